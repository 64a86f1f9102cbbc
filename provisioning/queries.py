"""Saved queries as their files say, and as stored search templates. Pure.

A query is a template in ``templates/queries/``: JSON with ``title``, ``description``, ``reads``, ``index``,
``span``, ``arguments``, ``search``, ``rows`` and ``columns``. In ``search`` a text ``"$name"`` stands for the
value of an argument, ``"$from"`` and ``"$to"`` for the span of time, ``"$from-7d"`` for a time before that.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from engine.errors import TemplateError
from provisioning.rendering import Rendered, render_queries
from provisioning.settings import Settings, duration_seconds

ColumnKind = Literal["text", "count", "number", "share", "bytes", "time", "seconds", "nanoseconds"]
Value = str | int | float | None

SPAN_ENDS = ("from", "to")
_VARIABLE = re.compile(r"\$(?P<name>[a-z][a-z0-9_]*)(?P<shift>[+-]\d+(?:ms|[smhd]))?")


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
        discover: the documents behind it as Kibana's Discover shows them: the query in KQL, and the columns;
            None where documents tell nothing.
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
    discover: tuple[str, tuple[str, ...]] | None = None


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
            discover=_discover(body.get("discover")),
        )
        duration_seconds(query.span)
    except KeyError as error:
        raise TemplateError(f"{source}: a query needs {error.args[0]!r}") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise TemplateError(f"{source}: {error}") from None
    known = {argument.name for argument in query.arguments} | set(SPAN_ENDS)
    used = {match["name"] for match in _variables(query.search)}
    for name in sorted(used - known):
        raise TemplateError(f"{source}: ${name} is no argument of the query")
    for name in sorted(known - used - set(SPAN_ENDS)):
        raise TemplateError(f"{source}: the argument {name} is not used")
    return query


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

    text = json.dumps(replaced_variables(query.search, replace), ensure_ascii=False)
    source = re.sub('"?\ue000(\\d+)\ue001"?', lambda mark: marks[int(mark[1])], text)
    return {"script": {"lang": "mustache", "source": source}}


def stored_queries(settings: Settings) -> list[Rendered]:
    """Every saved query of every pack as the stored search template that it is installed as.

    Raises TemplateError.
    """
    return [
        dataclasses.replace(one, body=stored_script(parse_query(one.stem, one.body, str(one.source))))
        for one in render_queries(settings)
    ]


# -- variables ------------------------------------------------------------------------------------------


def _variables(node: Any) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []

    def collect(match: re.Match[str]) -> Value:
        found.append(match)
        return None

    replaced_variables(node, collect)
    return found


def replaced_variables(node: Any, replace: Callable[[re.Match[str]], Value]) -> Any:
    """A copy of a JSON tree with each text that is a variable replaced; the match has name and shift."""
    if isinstance(node, str):
        match = _VARIABLE.fullmatch(node)
        return node if match is None else replace(match)
    if isinstance(node, Mapping):
        return {key: replaced_variables(child, replace) for key, child in node.items()}
    if isinstance(node, list):
        return [replaced_variables(child, replace) for child in node]
    return node


def _mustache(match: re.Match[str], defaults: Mapping[str, Value], span: str) -> str:
    name, shift = match["name"], match["shift"] or ""
    if name in SPAN_ENDS:
        otherwise = f"now-{span}" if name == "from" else "now"
        given = f"{{{{{name}}}}}||{shift}" if shift else f"{{{{{name}}}}}"
        return f'"{{{{^{name}}}}}{otherwise}{shift}{{{{/{name}}}}}{{{{#{name}}}}}{given}{{{{/{name}}}}}"'
    default = defaults[name]
    otherwise = "" if default is None else str(default)
    text = f"{{{{^{name}}}}}{otherwise}{{{{/{name}}}}}{{{{#{name}}}}}{{{{{name}}}}}{{{{/{name}}}}}"
    return text if isinstance(default, int | float) else f'"{text}"'


def _column_kind(text: str) -> ColumnKind:
    if text not in get_args(ColumnKind):
        raise ValueError(f"{text!r} is no kind of column; they are {', '.join(get_args(ColumnKind))}")
    return cast(ColumnKind, text)


def _discover(given: Mapping[str, Any] | None) -> tuple[str, tuple[str, ...]] | None:
    return None if given is None else (str(given["kql"]), tuple(str(column) for column in given["columns"]))
