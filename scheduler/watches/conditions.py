"""The conditions ``compare`` and ``array_compare``. Pure: values in, a truth value out.

The rules are Watcher's: the configured value decides how the two are compared, and a missing value is unequal
to everything but null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from scheduler.java_numbers import java_scalar
from scheduler.watches.dates import date_math
from scheduler.watches.instants import java_text, parse_instant
from scheduler.watches.paths import value_at

_DATE_MATH = re.compile(r"<\{(.+)\}>")
_PATH = re.compile(r"\{\{(.+)\}\}")

OPERATORS: Mapping[str, Callable[[int | None], bool]] = {
    "eq": lambda order: order == 0,
    "not_eq": lambda order: order != 0,
    "gt": lambda order: order is not None and order > 0,
    "gte": lambda order: order is not None and order >= 0,
    "lt": lambda order: order is not None and order < 0,
    "lte": lambda order: order is not None and order <= 0,
}
QUANTIFIERS: Mapping[str, Callable[[list[bool]], bool]] = {"some": any, "all": all}


def compare_met(path: str, operator: str, value: Any, context: dict[str, Any], now: datetime) -> bool:
    """Whether what stands at ``path`` in ``{"ctx": ...}`` compares as wanted with ``value``."""
    found = value_at(path, context)
    return OPERATORS[operator](lenient_order(found, configured_value(value, context, now)))


def array_compare_met(
    array_path: str,
    path: str,
    operator: str,
    quantifier: str,
    value: Any,
    context: dict[str, Any],
    now: datetime,
) -> bool:
    """Whether some or all items of the list at ``array_path`` compare as wanted at ``path`` in each.

    Raises ValueError when there is something else than a list; nothing at all counts as an empty one.
    """
    items = value_at(array_path, context)
    if items is None:
        items = []
    if not isinstance(items, list):
        raise ValueError(f"array_compare: {array_path} is no array")
    wanted = configured_value(value, context, now)
    found = (value_at(path, item) if path else item for item in items)
    return QUANTIFIERS[quantifier]([OPERATORS[operator](lenient_order(one, wanted)) for one in found])


def configured_value(value: Any, context: dict[str, Any], now: datetime) -> Any:
    """The value to compare with: ``<{now-5m}>`` is a time, ``{{ctx.payload.x}}`` what stands there."""
    if isinstance(value, str):
        if match := _DATE_MATH.fullmatch(value):
            return date_math(match[1], now)
        if match := _PATH.fullmatch(value):
            return value_at(match[1].strip(), context)
    return value


def resolved_values(path: str, value: Any, context: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What was compared, as a watch record shows it: what stands at the paths, and the times meant."""
    resolved = {path: value_at(path, context)}
    if isinstance(value, str) and (match := _DATE_MATH.fullmatch(value) or _PATH.fullmatch(value)):
        resolved[match[1].strip()] = configured_value(value, context, now)
    return resolved


def lenient_order(found: Any, wanted: Any) -> int | None:
    """-1, 0 or 1 as ``found`` is below, equal to or above ``wanted``; None where there is no order."""
    if type(found) is type(wanted) and found == wanted:
        return 0
    if found is None or wanted is None or _is_nan(found) or _is_nan(wanted):
        return None
    if _is_number(wanted):
        number = _number(found)
        return None if number is None or math.isnan(number) else _order(number, float(wanted))
    if isinstance(wanted, str):
        # Java orders strings by UTF-16 code units.
        return _order(java_string(found).encode("utf-16-be"), wanted.encode("utf-16-be"))
    if isinstance(wanted, datetime):
        instant = _instant(found)
        return None if instant is None else _order(instant, wanted)
    return None


def java_string(value: Any) -> str:
    """As ``String.valueOf`` prints a value of a payload."""
    if isinstance(value, datetime):
        return java_text(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={java_string(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(java_string(item) for item in value) + "]"
    return java_scalar(value)


def _order(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _number(value: Any) -> float | None:
    if _is_number(value):
        return float(value)
    text = java_string(value).strip()
    try:
        # Java reads neither `1_000` nor `inf`.
        return None if "_" in text or "n" in text.lower() else float(text)
    except ValueError:
        return None


def _instant(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if _is_number(value):
        return datetime.fromtimestamp(value / 1000, tz=UTC)
    if isinstance(value, str):
        try:
            return parse_instant(value)
        except ValueError:
            return None
    return None
