"""Saved queries: their files read, arguments put in, answers shaped into rows. Pure.

A query is a template in ``templates/queries/``: JSON with ``title``, ``description``, ``reads``, ``index``,
``span``, ``arguments``, ``search``, ``rows`` and ``columns``. In ``search`` a text ``"$name"`` stands for the
value of an argument, ``"$from"`` and ``"$to"`` for the span of time, ``"$from-7d"`` for a time before that.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast, get_args

from engine.errors import TemplateError, UsageError
from provisioning.settings import duration_seconds

ColumnKind = Literal["text", "count", "number", "share", "bytes", "time", "seconds", "nanoseconds"]
Value = str | int | float | None

_VARIABLE = re.compile(r"\$(?P<name>[a-z][a-z0-9_]*)(?P<shift>[+-]\d+(?:ms|[smhd]))?")
_SPAN_ENDS = ("from", "to")


@dataclass(frozen=True, slots=True)
class Argument:
    """What a query can be given: a name, the value without it (None: it must be given), and its meaning."""

    name: str
    default: Value
    help: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, where its value stands in a row of the answer, and what it is."""

    name: str
    value: str
    kind: ColumnKind


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """A query as its file says.

    Attributes:
        name: the file's stem, with hyphens.
        title, description: for people.
        reads: ``summaries``, ``raw`` or ``alerts``.
        index: what is searched.
        span: how long before its end the span of time starts, unless it is given.
        arguments: what it can be given.
        search: the body of the search, with variables.
        rows: where the rows stand in the answer.
        columns: what is shown of each row.
        kql: the same as far as Kibana's query bar can say it, with variables; None where it cannot.
    """

    name: str
    title: str
    description: str
    reads: str
    index: str
    span: str
    arguments: tuple[Argument, ...]
    search: Mapping[str, Any]
    rows: str
    columns: tuple[Column, ...]
    kql: str | None = None


def parse_query(stem: str, body: Mapping[str, Any], source: str) -> SavedQuery:
    """Read a rendered query. Raises TemplateError, which names ``source``, when it is none."""
    try:
        columns = tuple(
            Column(str(one["name"]), str(one["value"]), _column_kind(one.get("kind", "text")))
            for one in body["columns"]
        )
        query = SavedQuery(
            name=stem.replace("_", "-"),
            title=str(body["title"]),
            description=str(body["description"]),
            reads=str(body["reads"]),
            index=str(body["index"]),
            span=str(body["span"]),
            arguments=tuple(
                Argument(name, given.get("default"), str(given["help"]))
                for name, given in body["arguments"].items()
            ),
            search=dict(body["search"]),
            rows=str(body["rows"]),
            columns=columns,
            kql=body.get("kql"),
        )
        duration_seconds(query.span)
    except KeyError as error:
        raise TemplateError(f"{source}: a query needs {error.args[0]!r}") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise TemplateError(f"{source}: {error}") from None
    known = {argument.name for argument in query.arguments} | set(_SPAN_ENDS)
    used = {match["name"] for match in _variables(query.search)}
    for name in sorted(used - known):
        raise TemplateError(f"{source}: ${name} is no argument of the query")
    for name in sorted(known - used - set(_SPAN_ENDS)):
        raise TemplateError(f"{source}: the argument {name} is not used")
    return query


def find_query(queries: Sequence[SavedQuery], name: str) -> SavedQuery:
    """The query of this name. Raises UsageError, with the closest name, when there is none."""
    by_name = {query.name: query for query in queries}
    wanted = name.replace("_", "-")
    if wanted in by_name:
        return by_name[wanted]
    close = difflib.get_close_matches(wanted, by_name, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else "; see httpmon query list"
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

    return cast(dict[str, Any], _replaced(query.search, replace))


def stored_script(query: SavedQuery) -> dict[str, Any]:
    """The query as a stored search template (``PUT _scripts/<id>``), for clients other than httpmon.

    Its Mustache parameters are ``from``, ``to`` (dates) and the arguments; each has its default.
    """
    defaults: dict[str, Value] = {argument.name: argument.default for argument in query.arguments}
    marks: list[str] = []

    def replace(match: re.Match[str]) -> Value:
        # A mark that JSON leaves alone; what stands for it is put in once the text is made.
        marks.append(_mustache(match, defaults, query.span))
        return f"\ue000{len(marks) - 1}\ue001"

    text = json.dumps(_replaced(query.search, replace), ensure_ascii=False)
    source = re.sub('"?\ue000(\\d+)\ue001"?', lambda mark: marks[int(mark[1])], text)
    return {"script": {"lang": "mustache", "source": source}}


def shaped_rows(query: SavedQuery, answer: Mapping[str, Any]) -> list[list[Value]]:
    """The answer's rows, a value for each column; None where the answer has none."""
    return [[_value_of(row, column) for column in query.columns] for row in _at(answer, query.rows) or ()]


# -- variables ------------------------------------------------------------------------------------------


def _variables(node: Any) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []

    def collect(match: re.Match[str]) -> Value:
        found.append(match)
        return None

    _replaced(node, collect)
    return found


def _replaced(node: Any, replace: Callable[[re.Match[str]], Value]) -> Any:
    """A copy of a JSON tree with each text that is a variable replaced."""
    if isinstance(node, str):
        match = _VARIABLE.fullmatch(node)
        return node if match is None else replace(match)
    if isinstance(node, Mapping):
        return {key: _replaced(child, replace) for key, child in node.items()}
    if isinstance(node, list):
        return [_replaced(child, replace) for child in node]
    return node


def _shift(text: str | None) -> timedelta:
    if not text:
        return timedelta(0)
    seconds = duration_seconds(text[1:])
    return timedelta(seconds=-seconds if text[0] == "-" else seconds)


def _mustache(match: re.Match[str], defaults: Mapping[str, Value], span: str) -> str:
    name, shift = match["name"], match["shift"] or ""
    if name in _SPAN_ENDS:
        otherwise = f"now-{span}" if name == "from" else "now"
        given = f"{{{{{name}}}}}||{shift}" if shift else f"{{{{{name}}}}}"
        return f'"{{{{^{name}}}}}{otherwise}{shift}{{{{/{name}}}}}{{{{#{name}}}}}{given}{{{{/{name}}}}}"'
    default = defaults[name]
    otherwise = "" if default is None else str(default)
    text = f"{{{{^{name}}}}}{otherwise}{{{{/{name}}}}}{{{{#{name}}}}}{{{{{name}}}}}{{{{/{name}}}}}"
    return text if isinstance(default, int | float) else f'"{text}"'


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


def _column_kind(text: str) -> ColumnKind:
    if text not in get_args(ColumnKind):
        raise ValueError(f"{text!r} is no kind of column; they are {', '.join(get_args(ColumnKind))}")
    return cast(ColumnKind, text)


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
