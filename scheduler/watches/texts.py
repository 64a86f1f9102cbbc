"""Rendering Mustache in the engine: every text of an action, for every item it runs for, in one request.

An ingest pipeline's ``set`` processor is used for it, because it renders a text as a text;
``_render/template`` takes only templates whose rendering is JSON: no ``{{#toJson}}`` within a sentence.
"""

from __future__ import annotations

from typing import Any

from engine.client import Engine
from engine.errors import RequestRefused, SchedulerError
from scheduler.watches.instants import for_templates
from scheduler.watches.mustache import engine_template, is_template


class TextFailed(SchedulerError):
    """A template does not compile or cannot be rendered."""


def render_trees(engine: Engine, tree: Any, contexts: list[dict[str, Any]]) -> list[Any]:
    """Render every template in a tree, once for each ``ctx``.

    Returns:
        one tree for each context; or a TextFailed in the place of one that failed. Without a template in the
        tree no request is made.

    Raises:
        TextFailed: a template does not compile.
    """
    templates = list(dict.fromkeys(_templates(tree)))
    if not templates or not contexts:
        return [tree for _ in contexts]
    processors: list[dict[str, Any]] = []
    for index, text in enumerate(templates):
        failed = {"set": {"field": f"failed.{index}", "value": "{{&_ingest.on_failure_message}}"}}
        rendered = {"field": f"rendered.{index}", "value": engine_template(text), "on_failure": [failed]}
        processors.append({"set": rendered})
    processors.append({"remove": {"field": "ctx"}})
    documents = [{"_source": {"ctx": for_templates(context)}} for context in contexts]
    try:
        answer = engine.request(
            "POST",
            "/_ingest/pipeline/_simulate",
            body={"pipeline": {"processors": processors}, "docs": documents},
            params={"filter_path": "docs.doc._source,docs.error"},
        )
    except RequestRefused as refused:
        raise TextFailed(f"a template cannot be read: {refused.reason or refused}") from None
    return [_filled(tree, templates, one) for one in answer["docs"]]


def _templates(tree: Any) -> list[str]:
    if isinstance(tree, str):
        return [tree] if is_template(tree) else []
    if isinstance(tree, dict):
        return [text for key, value in tree.items() for text in _templates(key) + _templates(value)]
    if isinstance(tree, list):
        return [text for item in tree for text in _templates(item)]
    return []


def _filled(tree: Any, templates: list[str], answer: dict[str, Any]) -> Any:
    source = (answer.get("doc") or {}).get("_source") or {}
    if "error" in answer:
        return TextFailed(f"a template cannot be rendered: {answer['error'].get('reason')}")
    failed = source.get("failed") or {}
    if failed:
        index, reason = next(iter(failed.items()))
        return TextFailed(f"the template {templates[int(index)]!r} cannot be rendered: {reason}")
    rendered = source.get("rendered") or {}
    return _replaced(tree, {text: rendered[str(index)] for index, text in enumerate(templates)})


def _replaced(tree: Any, rendered: dict[str, str]) -> Any:
    if isinstance(tree, str):
        return rendered.get(tree, tree)
    if isinstance(tree, dict):
        return {_replaced(key, rendered): _replaced(value, rendered) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_replaced(item, rendered) for item in tree]
    return tree
