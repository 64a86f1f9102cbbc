"""Reading the JSON of a watch: what is wrong is said with its path. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from engine.errors import SchedulerError
from engine.spelling import closest_hint

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(nanos|micros|ms|s|m|h|d|w)")
_UNIT_SECONDS = {
    "nanos": 1e-9, "micros": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0,
}  # fmt: skip


class WatchInvalid(SchedulerError):
    """A watch cannot be read.

    Attributes:
        path: where in its JSON, ``actions.notify.webhook.url``.
        problem: what is wrong there.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


def joined(path: str, key: str) -> str:
    """The path of a field below ``path``."""
    return f"{path}.{key}" if path else key


def at(path: str, index: int) -> str:
    """The path of a list's item."""
    return f"{path}[{index}]"


def as_list(value: Any) -> list[Any]:
    """A list as it is, nothing as an empty one, anything else as a list of it."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def the_object(value: Any, path: str) -> dict[str, Any]:
    """The value, if it is an object."""
    if not isinstance(value, dict):
        raise WatchInvalid(path, "is no object")
    return value


def the_only_key(value: Any, path: str, known: Iterable[str], what: str) -> tuple[str, Any]:
    """The one key of an object and what stands below it; where there are several, the last, as in Watcher."""
    fields = the_object(value, path)
    if not fields:
        raise WatchInvalid(path, f"is empty; {what} is one of {', '.join(known)}")
    for key in fields:
        if key not in known:
            raise WatchInvalid(joined(path, key), f"is no {what}{closest(key, known)}")
    key = list(fields)[-1]
    return key, fields[key]


def refuse_unknown(fields: Mapping[str, Any], known: Iterable[str], path: str) -> None:
    """Raise WatchInvalid for the first key that is not known."""
    for key in fields:
        if key not in known:
            raise WatchInvalid(joined(path, key), f"is unknown here{closest(key, known)}")


def one_of(fields: Mapping[str, Any], key: str, known: tuple[str, ...], path: str) -> None:
    """Raise WatchInvalid where a field has a value that is none of the known ones, whatever its case."""
    if key in fields and str(fields[key]).lower() not in known:
        raise WatchInvalid(joined(path, key), f"{fields[key]!r} is none of {', '.join(known)}")


def closest(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` or, where nothing is close, what there is."""
    names = sorted(known)
    return closest_hint(name, names, f"; there are {', '.join(names)}")


def text(fields: Mapping[str, Any], key: str, path: str, default: str | None = None) -> str:
    """A field that is a text; required where there is no default."""
    value = fields.get(key, default)
    if not isinstance(value, str) or (value == "" and default is None):
        raise WatchInvalid(joined(path, key), "is missing" if value is None else "is no text")
    return value


def seconds(fields: Mapping[str, Any], key: str, path: str) -> float | None:
    """A duration, ``key: "5s"`` or ``key_in_millis: 5000``, in seconds; None if it is not given."""
    millis = fields.get(f"{key}_in_millis")
    if millis is not None:
        if isinstance(millis, bool) or not isinstance(millis, int | float):
            raise WatchInvalid(joined(path, f"{key}_in_millis"), "is no number")
        return millis / 1000
    value = fields.get(key)
    if value is None:
        return None
    match = _DURATION.fullmatch(str(value))
    if match is None:
        if str(value) in ("0", "-1"):
            return 0.0
        raise WatchInvalid(
            joined(path, key), f"{value!r} is no duration; write it as 500ms, 5s, 10m, 1h or 1d"
        )
    return float(match[1]) * _UNIT_SECONDS[match[2]]
