"""The mark on everything httpmon writes: for which namespace, by which version, from which body. Pure.

Each API keeps it elsewhere: ``_meta`` where there is one, ``metadata`` of watches and roles, and the end of
the description where there is nothing else (OpenSearch refuses ``_meta`` in an ingest pipeline); a stored
search template begins with a comment.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.capabilities import Flavour
from provisioning.templates import Kind

ObjectKind = Literal[Kind, "data_stream", "saved_object"]

MANAGED_BY = "httpmon"

# Where the mark lies in the body of each kind; a store or index has it in its mapping.
_PLACES: dict[ObjectKind, tuple[str, ...]] = {
    "lifecycle_policy": ("policy", "_meta"),
    "component_template": ("_meta",),
    "index_template": ("_meta",),
    "pipeline": ("_meta",),
    "store": ("mappings", "_meta"),
    "index": ("mappings", "_meta"),
    "transform": ("_meta",),
    "watch": ("metadata",),
    "role": ("metadata",),
}
_KEYS = ("managed_by", "namespace", "version", "checksum")
_IN_DESCRIPTION = re.compile(
    r" ?\[httpmon namespace=(?P<namespace>\S+) version=(?P<version>\S+) checksum=(?P<checksum>[0-9a-f]+)\]$"
)
_IN_COMMENT = re.compile(
    r"\{\{! httpmon namespace=(?P<namespace>\S+) version=(?P<version>\S+) "
    r"checksum=(?P<checksum>[0-9a-f]+) \}\}"
)
# Enough of a SHA-256 that two bodies never share it by chance, short enough to read.
_CHECKSUM_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which installation wrote an object, with which version of httpmon, from which body."""

    namespace: str
    version: str
    checksum: str


def checksum(body: Mapping[str, Any]) -> str:
    """The checksum of a rendered body, whatever the order of its keys."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_CHECKSUM_DIGITS]


def stamped(kind: ObjectKind, body: Mapping[str, Any], stamp: Stamp, flavour: Flavour) -> dict[str, Any]:
    """The body with the mark in the place that this kind has for it."""
    marked: dict[str, Any] = copy.deepcopy(dict(body))
    if kind == "pipeline" and flavour == "opensearch":
        text = f"[httpmon namespace={stamp.namespace} version={stamp.version} checksum={stamp.checksum}]"
        marked["description"] = f"{marked.get('description', '')} {text}".lstrip()
        return marked
    if kind == "query":
        text = f"httpmon namespace={stamp.namespace} version={stamp.version} checksum={stamp.checksum}"
        marked["script"]["source"] = f"{{{{! {text} }}}}{marked['script']['source']}"
        return marked
    place = marked
    for key in _PLACES[kind]:
        place = place.setdefault(key, {})
    place.update(zip(_KEYS, (MANAGED_BY, stamp.namespace, stamp.version, stamp.checksum), strict=True))
    return marked


def read_stamp(kind: ObjectKind, body: Mapping[str, Any]) -> Stamp | None:
    """The mark in a body as the cluster has it; None if httpmon did not write it."""
    if kind == "query":
        comment = _IN_COMMENT.match(str(body.get("script", {}).get("source", "")))
        return Stamp(**comment.groupdict()) if comment else None
    place: Any = body
    for key in _PLACES[kind]:
        place = place.get(key) if isinstance(place, Mapping) else None
    if isinstance(place, Mapping) and place.get("managed_by") == MANAGED_BY:
        return Stamp(*(str(place.get(key, "")) for key in _KEYS[1:]))
    match = _IN_DESCRIPTION.search(str(body.get("description", ""))) if kind == "pipeline" else None
    return Stamp(**match.groupdict()) if match else None


def unstamped(kind: ObjectKind, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without the mark, and without what held nothing else."""
    bare: dict[str, Any] = copy.deepcopy(dict(body))
    if kind == "pipeline" and "description" in bare:
        bare["description"] = _IN_DESCRIPTION.sub("", str(bare["description"]))
        if not bare["description"]:
            del bare["description"]
    if kind == "query":
        bare["script"]["source"] = _IN_COMMENT.sub("", str(bare["script"]["source"]), count=1)
        return bare
    place: Any = bare
    *way, last = _PLACES[kind]
    for key in way:
        place = place.get(key, {})
    held = place.get(last)
    if isinstance(held, dict) and held.get("managed_by") == MANAGED_BY:
        rest = {key: value for key, value in held.items() if key not in _KEYS}
        place[last] = rest
        if not rest:
            del place[last]
    return bare
