"""Values from several sources, the stronger over the weaker, and where each came from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted name as the tables that they stand in."""
    tables: dict[str, Any] = {}
    for name, value in values.items():
        place = tables
        *groups, last = name.split(".")
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return tables


def merged(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both; where both have one, and not both a table, the stronger."""
    both = dict(weaker)
    for key, value in stronger.items():
        below = both.get(key)
        both[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted name of each value; an empty table is one."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def origin_of(name: str, origins: Mapping[str, str]) -> str | None:
    """Where a value came from; None where nobody gave it.

    A table may have parts from several sources, which are all named, the weakest first.
    """
    if name in origins:
        return origins[name]
    below = [origin for known, origin in origins.items() if known.startswith(f"{name}.")]
    return ", ".join(dict.fromkeys(below)) or None
