"""Finds what is to be parsed: every request that provisioning would send, and every example in the docs."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.capabilities import Capabilities
from provisioning.desired import desired_state
from provisioning.facts import Facts
from provisioning.plan import build_plan
from provisioning.queries import stored_queries
from provisioning.rendering import render_all
from provisioning.requests import Request
from provisioning.settings import Settings

Body = dict[str, Any]

# The kind of object that a request makes, by its path.
_PATHS = (
    (re.compile(r"/_transform/[^/]+"), "transform"),
    (re.compile(r"/_component_template/[^/]+"), "component_template"),
    (re.compile(r"/_index_template/[^/]+"), "index_template"),
    (re.compile(r"/_ingest/pipeline/[^/]+"), "pipeline"),
    (re.compile(r"/_ilm/policy/[^/]+"), "lifecycle"),
    (re.compile(r"/_security/role/[^/]+"), "role"),
    (re.compile(r"/_watcher/watch/[^/]+"), "watch"),
    (re.compile(r"/_scripts/[^/]+"), "script"),
    (re.compile(r"/\.?[a-z][^/]*/_doc/[^/]+"), "definition"),
    (re.compile(r"/\.?[a-z][^/]*"), "index"),
)
# A search template's section without an argument, and the one with it: the former is what a search gets.
_DEFAULTED = re.compile(r"\{\{\^(\w+)\}\}(.*?)\{\{/\1\}\}\{\{#\1\}\}.*?\{\{/\1\}\}", re.DOTALL)
_COMMENT = re.compile(r"\{\{!.*?\}\}", re.DOTALL)
_TEMPLATE = {"source", "id", "lang", "params"}
_ANY_SEARCH: Body = {"query": {"match_all": {}}}


@dataclass(frozen=True)
class Example:
    """One body, and where it comes from.

    Attributes:
        kind: what a parser takes it for.
        name: what it is called in the cluster.
        body: what is sent.
        origin: for messages.
    """

    kind: str
    name: str
    body: Body = field(repr=False)
    origin: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.kind} {self.name}"


def planned(settings: Settings, engine: Capabilities, origin: str) -> list[Example]:
    """What provisioning sends to an empty cluster."""
    rendered = [*render_all(settings, engine), *stored_queries(settings)]
    plan = build_plan(Facts({}), desired_state(rendered, settings, engine))
    requests = [request for step in plan.steps for request in step.requests]
    return [example for request in requests for example in examples_of(request, origin)]


def examples_of(request: Request, origin: str) -> Iterator[Example]:
    """What a request carries; nothing where it has no body. A body of unknown kind is an error."""
    if request.body is None:
        return
    kind = next((kind for path, kind in _PATHS if path.fullmatch(request.path)), None)
    if kind is None or request.method != "PUT":
        raise AssertionError(f"{request.method} {request.path}: say in {__file__} what this makes")
    name, body = request.path.rpartition("/")[2], copy.deepcopy(dict(request.body))
    if kind == "definition":
        yield from parts("transform" if "pivot" in body["body"] else "watch", name, body["body"], origin)
    else:
        yield from parts(kind, name, body, origin)


def parts(kind: str, name: str, body: Body, origin: str) -> Iterator[Example]:
    """An object, and the searches in it that its own parser keeps without looking."""
    if kind == "watch":
        body = copy.deepcopy(body)
        for number, search in enumerate(_taken_searches(body)):
            yield Example("search", f"{name}, search {number}", search, origin)
        body = written_out(body)
    if kind == "script":
        text = _COMMENT.sub("", _DEFAULTED.sub(r"\2", body["script"]["source"]))
        yield Example("search", name, json.loads(text), origin)
    yield Example(kind, name, body, origin)


# What Watcher takes (its reference says so) and the client's model lacks, by the key above it.
_MISSING_IN_MODEL: Mapping[str, tuple[str, ...]] = {
    "contexts": ("text",),
    "email": ("account", "attach_data"),
    "index": ("doc_type",),
    "request": ("types",),
    "template": ("lang",),
}


def written_out(node: Any, key: str = "") -> Any:
    """A watch as the client's model knows it: the longer of two ways to write a part, without its gaps."""
    if isinstance(node, list):
        return [written_out(child, key) for child in node]
    if not isinstance(node, Mapping):
        return {"source": node} if key == "script" else node
    if key not in ("script", "template") and node and node.keys() <= _TEMPLATE:
        return str(node.get("source", node.get("id")))  # a text template with parameters
    if node.keys() == {"transform"} and key:
        return {"simple": {}}  # an input that is a transform
    if node.keys() == {"name", "address"}:
        return f"{node['name']} <{node['address']}>"
    left_out = _MISSING_IN_MODEL.get(key, ())
    whole = {name: written_out(child, name) for name, child in node.items() if name not in left_out}
    if key == "email" and isinstance(whole.get("body"), str):
        whole["body"] = {"text": whole["body"]}
    if key == "email" and "{{" in str(whole.get("priority")):
        del whole["priority"]  # the model takes its five words only
    if key == "message":
        whole.setdefault("attachments", [])
    if key == "script" and "inline" in whole:
        whole["source"] = whole.pop("inline")  # the former name
    if key == "template" and isinstance(whole.get("source"), Mapping):
        whole["source"] = json.dumps(whole["source"])
    return whole


def _taken_searches(node: Any) -> Iterator[Body]:
    """The search bodies in a watch, each replaced by one that matches everything."""
    if isinstance(node, list):
        for child in node:
            yield from _taken_searches(child)
    if not isinstance(node, Mapping):
        return
    request = node["search"].get("request") if isinstance(node.get("search"), Mapping) else None
    if isinstance(request, dict) and "body" in request:
        yield request["body"]
        request["body"] = dict(_ANY_SEARCH)
    for child in node.values():
        yield from _taken_searches(child)
