"""What an engine can run by itself, deduced from its own answers. Pure; the client asks the questions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import UsageError

Flavour = Literal["elasticsearch", "opensearch"]
Version = tuple[int, int, int]

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")

# Data stream lifecycle came as a technical preview in 8.11 and is generally available since 8.14
# (Elasticsearch release notes).
_LIFECYCLE_SINCE: Version = (8, 14, 0)

# The cluster name that httpmon gives its own local node.
_LOCAL_CLUSTER = "httpmon-local"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this engine, in this version, under this licence, can run by itself.

    Attributes:
        flavour: the family.
        version: as three numbers, comparable.
        version_text: as the engine says it (``8.10.4``, ``3.8.0``).
        licence: Elasticsearch's licence type (``basic``, ``trial``, ``platinum``, ...); None on OpenSearch.
        transforms: ``_transform`` can be used.
        watcher: ``_watcher`` can be used under this licence.
        index_lifecycle: ``_ilm`` can be used.
        data_stream_lifecycle: a data stream may carry its own ``lifecycle``.
        security: users, roles and API keys are managed by ``_security``, if it is switched on.
        local: this is the local node that ``httpmon node`` runs.
    """

    flavour: Flavour
    version: Version
    version_text: str
    licence: str | None = None
    transforms: bool = False
    watcher: bool = False
    index_lifecycle: bool = False
    data_stream_lifecycle: bool = False
    security: bool = False
    local: bool = False

    @property
    def retention_by(self) -> Literal["data_stream_lifecycle", "index_lifecycle", "scheduler"]:
        """What removes whole indices of a data stream when they are too old."""
        if self.data_stream_lifecycle:
            return "data_stream_lifecycle"
        return "index_lifecycle" if self.index_lifecycle else "scheduler"


def flavour_and_version(root: dict[str, Any]) -> tuple[Flavour, Version, str]:
    """Read the family and version out of the answer to ``GET /``.

    Raises ValueError when the answer is not that of a cluster.
    """
    version = root.get("version")
    if not isinstance(version, dict) or not isinstance(version.get("number"), str):
        raise ValueError("the answer has no version number")
    text: str = version["number"]
    match = _VERSION.match(text)
    if match is None:
        raise ValueError(f"the version {text!r} is no version number")
    major, minor, patch = match.groups(default="0")
    flavour: Flavour = "opensearch" if version.get("distribution") == "opensearch" else "elasticsearch"
    return flavour, (int(major), int(minor), int(patch)), text


def deduce_capabilities(root: dict[str, Any], xpack: dict[str, Any] | None) -> Capabilities:
    """Deduce from ``GET /`` and, on Elasticsearch, ``GET /_xpack`` (None where it does not exist).

    ``_watcher/stats`` is no evidence: it says ``started`` under a Basic licence too (measured on 8.10.4).
    """
    flavour, version, text = flavour_and_version(root)
    if flavour == "opensearch" or xpack is None:
        local = root.get("cluster_name") == _LOCAL_CLUSTER
        return Capabilities(flavour=flavour, version=version, version_text=text, local=local)
    features: dict[str, dict[str, Any]] = xpack.get("features") or {}

    def usable(feature: str) -> bool:
        state = features.get(feature) or {}
        return bool(state.get("available")) and bool(state.get("enabled", True))

    licence: dict[str, Any] = xpack.get("license") or {}
    return Capabilities(
        flavour=flavour,
        version=version,
        version_text=text,
        licence=licence.get("type"),
        transforms=usable("transform"),
        watcher=usable("watcher"),
        index_lifecycle=usable("ilm"),
        data_stream_lifecycle=version >= _LIFECYCLE_SINCE,
        security=usable("security"),
    )


# Licences under which Watcher runs (Elastic's subscription table); transforms, ILM and security are in Basic.
_LICENCES_WITH_WATCHER = frozenset({"trial", "gold", "platinum", "enterprise"})


def features_of_licence(answer: dict[str, Any]) -> dict[str, Any]:
    """What ``GET /_xpack`` would say, as far as it follows from ``GET /_license``.

    A module that was switched off or left out does not show here.
    """
    licence: dict[str, Any] = answer.get("license") or {}
    active = licence.get("status") == "active"
    watcher = active and licence.get("type") in _LICENCES_WITH_WATCHER
    available = {"transform": active, "watcher": watcher, "ilm": active, "security": active}
    return {
        "license": {"type": licence.get("type")},
        "features": {name: {"available": there, "enabled": True} for name, there in available.items()},
    }


# What `httpmon render` assumes where no version is named: the newest release line of each family.
_ASSUMED_VERSION: dict[str, str] = {"elasticsearch": "9.2.0", "opensearch": "3.8.0"}


def assumed_capabilities(description: str) -> Capabilities:
    """Capabilities without a cluster: of ``elasticsearch``, ``elasticsearch:8.10.4``, ``opensearch:2.19``.

    Elasticsearch is taken to have a licence under which it runs everything. Raises UsageError.
    """
    family, _, text = description.partition(":")
    if family not in _ASSUMED_VERSION:
        raise UsageError(f"engine {description}: write elasticsearch or opensearch, and :VERSION after it")
    number = text or _ASSUMED_VERSION[family]
    root = {"version": {"number": number, "distribution": family}}
    every = {
        feature: {"available": True, "enabled": True}
        for feature in ("transform", "watcher", "ilm", "security")
    }
    try:
        return deduce_capabilities(root, {"license": {"type": "trial"}, "features": every})
    except ValueError as error:
        raise UsageError(f"engine {description}: {error}") from None
