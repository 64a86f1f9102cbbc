"""How the parts of a transform's body are checked, and how a refusal says what is wrong and where. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from scheduler.transforms.body import UnsupportedTransform, time_value_milliseconds

# What an aggregation's and so a group's name cannot have, by the syntax of paths to them.
_NO_NAME_HAS = frozenset("[]>")


class Checks:
    """Holds what every refusal names: which transform it is."""

    def __init__(self, identifier: str) -> None:
        self.identifier = identifier

    def refusal(self, place: str, reason: str) -> UnsupportedTransform:
        """What to raise; ``place`` is a path in the body."""
        return UnsupportedTransform(f"transform {self.identifier}: {place}: {reason}")

    def object(self, value: Any, place: str, known: Collection[str] | None = None) -> dict[str, Any]:
        """An object, of no other keys than ``known``."""
        if not isinstance(value, dict):
            raise self.refusal(place, "must be an object")
        for key in value:
            if known is not None and key not in known:
                close = get_close_matches(str(key), known, n=1, cutoff=0.75)
                way_out = f"did you mean {close[0]}?" if close else "leave it out"
                raise self.refusal(f"{place}.{key}".removeprefix("body."), f"is not supported: {way_out}")
        return value

    def optional_object(
        self, content: dict[str, Any], key: str, place: str, known: Collection[str] | None = None
    ) -> dict[str, Any] | None:
        """The object below a key; None without the key."""
        return self.object(content[key], place, known) if key in content else None

    def text(self, value: Any, place: str) -> str:
        """A text that is not empty."""
        if not isinstance(value, str) or not value:
            raise self.refusal(place, "must be a text")
        return value

    def flag(self, content: dict[str, Any], key: str, place: str, *, default: bool) -> bool:
        """True or false, which may be written as a text; null is the default."""
        value = content.get(key)
        return default if value is None else self.boolean(value, f"{place}.{key}")

    def boolean(self, value: Any, place: str) -> bool:
        """True or false, which may be written as a text."""
        if isinstance(value, str) and value in ("true", "false"):
            return value == "true"
        if not isinstance(value, bool):
            raise self.refusal(place, "must be true or false")
        return value

    def query(self, value: Any, place: str) -> dict[str, Any]:
        """A query: an object with one key, its kind, and below it an object. The engine knows the rest."""
        content = self.object(value, place)
        if not content:
            raise self.refusal(place, "is empty: a query for all documents is match_all")
        if len(content) > 1:
            several = ", ".join(content)
            raise self.refusal(place, f"has {several}: a query is of one kind; put several into a bool query")
        kind, below = next(iter(content.items()))
        self.object(below, f"{place}.{kind}")
        return content

    def number(self, value: Any, place: str) -> float:
        """A number, which may be written as a text."""
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise self.refusal(place, "must be a number")
        return number

    def milliseconds(self, value: Any, place: str, minimum: float = 0, maximum: float | None = None) -> float:
        """A duration in the engine's notation."""
        milliseconds = time_value_milliseconds(value)
        if milliseconds is None:
            raise self.refusal(place, f"{value!r} is no duration such as 1s or 500ms")
        if milliseconds < minimum or (maximum is not None and milliseconds > maximum):
            bounds = f"at least {minimum / 1000:g}s" + (f", at most {maximum / 1000:g}s" if maximum else "")
            raise self.refusal(place, f"{value} must be {bounds}")
        return milliseconds

    def names(self, names: list[str], place: str) -> None:
        """Names of values of one object: each can be one, and none is a value and holds others at once."""
        for position, name in enumerate(names):
            if not all(name.split(".")):
                raise self.refusal(f"{place}: {name}", "a name has no empty part, and no dot at its ends")
            if _NO_NAME_HAS & set(name):
                raise self.refusal(f"{place}: {name}", "a name has none of the characters [ ] >")
            for other in names[position + 1 :]:
                # ``a`` beside ``a.b``, or twice the same.
                if other == name or other.startswith(f"{name}.") or name.startswith(f"{other}."):
                    raise self.refusal(f"{place}: {name}", f"the names {name} and {other} exclude each other")
