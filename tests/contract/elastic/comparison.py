"""What was dropped of a body on its way through a model that knows only its own fields. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# What a scalar is written out as: a script by its source, a query by its value.
_WRITTEN_OUT = ("source", "value", "order")


def dropped(given: Any, understood: Any, path: str = "") -> Iterator[str]:
    """The places of what was given and is not in what was understood, other ways of writing not counted."""
    if isinstance(given, Mapping) and isinstance(understood, Mapping):
        for key, value in given.items():
            place = f"{path}.{key}" if path else key
            name = "aggregations" if key == "aggs" and key not in understood else key
            if name in understood:
                yield from dropped(value, understood[name], place)
            else:
                yield place
    elif isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        for index, (one, other) in enumerate(zip(given, understood, strict=True)):
            yield from dropped(one, other, f"{path}[{index}]")
    elif not _same(given, understood):
        yield path


def _same(given: Any, understood: Any) -> bool:
    if isinstance(understood, Mapping) and not isinstance(given, Mapping | list):
        return any(key in understood and _same(given, understood[key]) for key in _WRITTEN_OUT)
    if isinstance(understood, list) and len(understood) == 1:
        return _same(given, understood[0])
    if isinstance(given, int | float) and isinstance(understood, int | float):
        return given == understood
    return str(given).lower() == str(understood).lower()
