"""Saved queries: values put in, answers shaped into rows. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from engine.errors import UsageError
from engine.spelling import closest_hint
from provisioning.queries import Column, SavedQuery, Value, replaced_variables
from provisioning.settings import duration_seconds


def find_query(queries: Sequence[SavedQuery], name: str) -> SavedQuery:
    """The query of this name. Raises UsageError, with the closest name, when there is none."""
    by_name = {query.name: query for query in queries}
    wanted = name.replace("_", "-")
    if wanted in by_name:
        return by_name[wanted]
    hint = closest_hint(wanted, by_name, "; see httpmon query list")
    raise UsageError(f"query {name}: there is no such query{hint}")


def given_arguments(query: SavedQuery, assignments: Sequence[str]) -> dict[str, Value]:
    """The value of each argument, from ``name=value`` texts and defaults.

    Raises UsageError for an unknown name, a value of another type than the default, or a missing argument.
    """
    by_name = {argument.name: argument for argument in query.arguments}
    values: dict[str, Value] = {argument.name: argument.default for argument in query.arguments}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or name not in by_name:
            known = ", ".join(by_name) or "none"
            raise UsageError(f"--param {assignment}: write NAME=VALUE; the names of {query.name}: {known}")
        values[name] = _typed(assignment, text, by_name[name].default)
    for name, value in values.items():
        if value is None:
            raise UsageError(f"query {query.name}: give --param {name}=...: {by_name[name].help}")
    return values


def bound_search(
    query: SavedQuery, values: Mapping[str, Value], start: datetime, end: datetime
) -> dict[str, Any]:
    """The search with the variables replaced by their values."""
    ends = {"from": start, "to": end}

    def replace(match: re.Match[str]) -> Value:
        name = match["name"]
        if name in ends:
            return (ends[name] + _shift(match["shift"])).isoformat().replace("+00:00", "Z")
        return values[name]

    return cast(dict[str, Any], replaced_variables(query.search, replace))


def shaped_rows(query: SavedQuery, answer: Mapping[str, Any]) -> list[list[Value]]:
    """The answer's rows, a value for each column; None where the answer has none."""
    return [[_value_of(row, column) for column in query.columns] for row in _at(answer, query.rows) or ()]


def _shift(text: str | None) -> timedelta:
    if not text:
        return timedelta(0)
    seconds = duration_seconds(text[1:])
    return timedelta(seconds=-seconds if text[0] == "-" else seconds)


def _typed(assignment: str, text: str, default: Value) -> Value:
    try:
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float):
            return float(text)
    except ValueError:
        raise UsageError(f"--param {assignment}: {text!r} is no number") from None
    return text


# -- rows -----------------------------------------------------------------------------------------------


def _value_of(row: Any, column: Column) -> Value:
    value = _at(row, column.value)
    if isinstance(value, list):
        value = ", ".join(str(one) for one in value)
    if isinstance(value, dict):
        value = json.dumps(value)
    if isinstance(value, float) and column.kind in ("count", "bytes") and value.is_integer():
        return int(value)
    return cast(Value, value)


def _at(node: Any, path: str) -> Any:
    """What stands at a dotted path of names and list positions; None where the path ends early."""
    for part in path.split("."):
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, list) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node
