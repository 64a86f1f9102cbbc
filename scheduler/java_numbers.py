"""Values as the engines print them, which run on Java. Pure."""

from __future__ import annotations

import math


def java_double(value: float) -> str:
    """As ``Double.toString`` prints it: decimal from 0.001 to below ten million, else with an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value) if "e" not in repr(value) else f"{value:f}"
    digits = repr(value) if "e" in repr(value) else f"{value!r}e0"
    mantissa, _, exponent = digits.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, decimals = mantissa.lstrip("-").partition(".")
    significant = (whole + decimals).lstrip("0")
    power = int(exponent) + len(whole) - 1
    if whole.strip("0") == "":
        power -= len(whole + decimals) - len(significant)
    significant = significant.rstrip("0") or "0"
    return f"{sign}{significant[0]}.{significant[1:] or '0'}E{power}"


def java_scalar(value: float | str | None) -> str:
    """As ``String.valueOf`` prints a number, a boolean, a text or null."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return java_double(value) if isinstance(value, float) else str(value)
