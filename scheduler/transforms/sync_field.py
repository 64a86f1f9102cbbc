"""Asks whether a transform's ``sync.time.field`` is there.

The engine takes a search between two times of a field that it does not have, and finds nothing. So a
transform whose field is mistyped would run, complete its checkpoints, and never see a document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.client import Engine
from engine.errors import NotFound
from engine.spelling import closest_hint
from scheduler.transforms.body import UnsupportedTransform
from scheduler.transforms.source import SourceMissing, field_capabilities

_DATES = frozenset({"date", "date_nanos"})


def require_sync_field(
    engine: Engine,
    identifier: str,
    indices: Sequence[str],
    field: str,
    runtime_mappings: Mapping[str, Any] | None = None,
) -> None:
    """Raise if no index of the source has the field, or has it as something else than a date.

    Raises:
        UnsupportedTransform: it has not, and the source has documents, or takes no new fields.
        SourceMissing: there is no source yet, or it is empty and may get the field.
    """
    source = ",".join(indices)
    try:
        answer = field_capabilities(engine, indices, [field], runtime_mappings)
    except NotFound:
        answer = {"indices": [], "fields": {}}
    if not answer["indices"]:
        raise SourceMissing(f"transform {identifier}: source.index: there is no index {source} yet")
    kinds = answer["fields"].get(field, {})
    if _DATES & kinds.keys():
        return
    place = f"transform {identifier}: sync.time.field"
    if kinds:
        kind = " and ".join(sorted(kinds))
        raise UnsupportedTransform(f"{place}: {field} of {source} is no date, but of the type {kind}")
    if _may_come(engine, source):
        raise SourceMissing(f"{place}: {source} is empty, and has no field {field} yet")
    every = field_capabilities(engine, indices, ["*"])["fields"]
    dates = [name for name, found in every.items() if _DATES & found.keys()]
    hint = closest_hint(field, dates)
    raise UnsupportedTransform(
        f"{place}: {source} has no field {field}: no document would ever be seen{hint}"
    )


def _may_come(engine: Engine, source: str) -> bool:
    """Whether a document to come may bring the field: there is none yet, and new fields are mapped."""
    mappings = engine.request("GET", f"/{source}/_mapping")
    closed = ("false", "strict")
    if all(str(one["mappings"].get("dynamic", True)).lower() in closed for one in mappings.values()):
        return False
    answer = engine.request("POST", f"/{source}/_search", body={"size": 0, "terminate_after": 1})
    return bool(answer["hits"]["total"]["value"] == 0)
