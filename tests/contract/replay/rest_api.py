"""Which requests Elasticsearch has, and which parameters each takes, as Elastic's own client knows them.

Read out of the source of the installed client, in which each method of the API says its path and its query.
Elasticsearch refuses a request with a parameter that it does not know; a server of ours would not.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import elasticsearch


@dataclass(frozen=True)
class Call:
    """One way to call an API: method, path and the names of its query parameters."""

    method: str
    path: re.Pattern[str]
    parameters: frozenset[str]


def problem(method: str, path: str, parameters: set[str]) -> str | None:
    """What is wrong with a request; None if Elasticsearch knows it."""
    found = [call for call in known_calls() if call.method == method and call.path.fullmatch(path)]
    if not found:
        return f"{method} {path}: there is no such request"
    unknown = min((parameters - call.parameters for call in found), key=len)
    return f"{method} {path}: unknown parameters {sorted(unknown)}" if unknown else None


@functools.cache
def known_calls() -> tuple[Call, ...]:
    """Every call that the installed client can make."""
    folder = Path(elasticsearch.__file__).parent / "_sync" / "client"
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.py"))]
    methods = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return tuple(call for method in methods for call in _calls_of(method))


def _calls_of(function: ast.FunctionDef) -> Iterator[Call]:
    paths, verbs, parameters = set(), set(), set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id == "__path":
                paths.add(_path(node.value))
            elif node.targets[0].id == "__method" and isinstance(node.value, ast.Constant):
                verbs.add(str(node.value.value))
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and node.value.id == "__query"
        ):
            parameters.add(str(ast.literal_eval(node.slice)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            sends = node.func.attr == "perform_request" and node.args
            if sends and isinstance(node.args[0], ast.Constant):
                verbs.add(str(node.args[0].value))
    if "expand_wildcards" in parameters:
        # What names indices takes all three (IndicesOptions.fromRequest); the specification leaves some out.
        parameters |= {"allow_no_indices", "ignore_unavailable"}
    if any(path.endswith("/_field_caps") for path in paths):
        parameters.add("fields")  # which the client sends in the body (reference: field capabilities API)
    if any(path.endswith("/_execute") for path in paths):
        verbs.add("POST")  # as good as the PUT that the client sends (reference: execute watch API)
    for path in paths:
        for verb in verbs:
            yield Call(verb, re.compile(path), frozenset(parameters))


def _path(value: ast.expr) -> str:
    """A path as a pattern: a name is one part of it."""
    if isinstance(value, ast.Constant):
        return re.escape(str(value.value))
    assert isinstance(value, ast.JoinedStr)
    parts = (part.value if isinstance(part, ast.Constant) else None for part in value.values)
    return "".join("[^/]+" if part is None else re.escape(str(part)) for part in parts)
