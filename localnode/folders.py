"""Where the local node keeps its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CLUSTER_NAME = "httpmon-local"


def default_home() -> Path:
    """The node's own folder: ``node`` in the user's data folder of this platform.

    Linux: ``$XDG_DATA_HOME/httpmon/node`` or ``~/.local/share/httpmon/node``; macOS: ``~/Library/Application
    Support/httpmon/node``.
    """
    import platformdirs

    return platformdirs.user_data_path("httpmon") / "node"


def default_cache() -> Path:
    """The folder of downloaded jars, which may be deleted at any time while no node runs.

    Linux: ``$XDG_CACHE_HOME/httpmon`` or ``~/.cache/httpmon``; macOS: ``~/Library/Caches/httpmon``.
    """
    import platformdirs

    return platformdirs.user_cache_path("httpmon")


@dataclass(frozen=True, slots=True)
class NodeFolders:
    """The files of one node, all inside ``home``."""

    home: Path

    @property
    def config(self) -> Path:
        """Rewritten at each start; the engine keeps its keystore beside."""
        return self.home / "config"

    @property
    def data(self) -> Path:
        """The indices."""
        return self.home / "data"

    @property
    def logs(self) -> Path:
        """What the engine and the JVM say."""
        return self.home / "logs"

    @property
    def temporary(self) -> Path:
        """The JVM's scratch folder, emptied at each start."""
        return self.home / "tmp"

    @property
    def log_file(self) -> Path:
        """The engine's log, rotated; by this name the engine itself refers to it."""
        return self.logs / f"{CLUSTER_NAME}.log"

    @property
    def output_file(self) -> Path:
        """What the JVM printed outside the log: start failures, crashes. Overwritten at each start."""
        return self.logs / "jvm-output.log"

    @property
    def claim_file(self) -> Path:
        """Locked for as long as the node lives."""
        return self.home / "node.lock"

    @property
    def pid_file(self) -> Path:
        """Written by the engine when it comes up."""
        return self.home / "node.pid"

    @property
    def http_ports_file(self) -> Path:
        """Written by the engine (``node.portsfile``) when it answers HTTP: one ``address:port`` a line."""
        return self.logs / "http.ports"

    def create(self) -> None:
        """Make the folders; access logs hold personal data, so nobody else may look in."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.config, self.data, self.logs, self.temporary):
            folder.mkdir(exist_ok=True, mode=0o700)
