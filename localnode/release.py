"""The one release of OpenSearch that this version of httpmon runs, as ``opensearch-lock.json`` pins it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

LOCK_FILE = Path(__file__).with_name("opensearch-lock.json")


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned file."""

    coordinates: str
    """``group:artifact:version`` or ``group:artifact:version:classifier``."""
    folder: str
    """Where it belongs in the distribution: ``lib`` or ``modules/<name>``."""
    size: int
    """Bytes."""
    sha256: str

    @property
    def filename(self) -> str:
        """``artifact-version[-classifier].jar``, as Maven repositories name it."""
        _, artifact, version, *classifier = self.coordinates.split(":")
        return "-".join((artifact, version, *classifier)) + ".jar"

    @property
    def path(self) -> str:
        """Its place in the distribution."""
        return f"{self.folder}/{self.filename}"


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the engine: a folder of jars that is loaded like a plugin."""

    name: str
    plugin_class: str
    extends: tuple[str, ...]
    """Modules whose classes this one needs."""


@dataclass(frozen=True, slots=True)
class Release:
    """What makes up the engine."""

    version: str
    java: int
    """The Java version that the jars are compiled for."""
    modules: tuple[Module, ...]
    jars: tuple[Jar, ...]
    folder_name: str
    """Differs for each content of the lock, so that a distribution never mixes two of them."""


def pinned_release(lock_file: Path = LOCK_FILE) -> Release:
    """Read the pins."""
    content = lock_file.read_bytes()
    lock = json.loads(content)
    return Release(
        version=lock["version"],
        java=lock["java"],
        modules=tuple(
            Module(module["name"], module["plugin_class"], tuple(module["extends"]))
            for module in lock["modules"]
        ),
        jars=tuple(Jar(jar["gav"], jar["folder"], jar["size"], jar["sha256"]) for jar in lock["jars"]),
        folder_name=f"opensearch-{lock['version']}-{hashlib.sha256(content).hexdigest()[:8]}",
    )
