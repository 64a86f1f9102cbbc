"""Rendering Mustache in the engine: every text of an action, for every item it runs for, in one request.

An ingest pipeline's ``set`` processor is used for it, because it renders a text as a text;
``_render/template`` takes only templates whose rendering is JSON: no ``{{#toJson}}`` within a sentence.
"""

from __future__ import annotations

import json
from typing import Any

from engine.client import Engine
from engine.errors import NotFound, RequestRefused, SchedulerError
from scheduler.watches.instants import for_templates
from scheduler.watches.mustache import Text, engine_template, is_template

# Names in the documents that are rendered from; no model has these keys.
_RENDERED, _FAILED = "httpmon_rendered", "httpmon_failed"


class TextFailed(SchedulerError):
    """A template does not compile or cannot be rendered."""


def render_trees(engine: Engine, tree: Any, contexts: list[dict[str, Any]]) -> list[Any]:
    """Render every template in a tree, once for each ``ctx``: see ``render_models``."""
    return render_models(engine, tree, [{"ctx": context} for context in contexts])


def render_models(engine: Engine, tree: Any, models: list[dict[str, Any]]) -> list[Any]:
    """Render every template in a tree, once for each model: what templates see.

    Args:
        engine: renders.
        tree: JSON, in which a template is a text or a ``Text``.
        models: what the templates see.

    Returns:
        one tree for each model; or a TextFailed in the place of one that failed. Without a template in the
        tree no request is made.

    Raises:
        TextFailed: a template does not compile, or is stored nowhere.
    """
    texts = list(dict.fromkeys(_texts(tree)))
    if not texts or not models:
        return [tree for _ in models]
    processors: list[dict[str, Any]] = []
    for index, text in enumerate(texts):
        failed = {"set": {"field": f"{_FAILED}.{index}", "value": "{{&_ingest.on_failure_message}}"}}
        rendered = {
            "field": f"{_RENDERED}.{index}",
            "value": engine_template(_source(engine, text)),
            "on_failure": [failed],
        }
        processors.append({"set": rendered})
    # A text with parameters of its own sees them and the model, so it has a document of its own.
    scopes = list(dict.fromkeys(_scope(text) for text in texts))
    documents = [
        {"_source": for_templates(model) | json.loads(scope)} for model in models for scope in scopes
    ]
    try:
        answer = engine.request(
            "POST",
            "/_ingest/pipeline/_simulate",
            body={"pipeline": {"processors": processors}, "docs": documents},
            params={"filter_path": f"docs.doc._source.{_RENDERED},docs.doc._source.{_FAILED},docs.error"},
        )
    except RequestRefused as refused:
        raise TextFailed(f"a template cannot be read: {refused.reason or refused}") from None
    answers = answer["docs"]
    of_model = [answers[first : first + len(scopes)] for first in range(0, len(answers), len(scopes))]
    return [_filled(tree, texts, dict(zip(scopes, one, strict=True))) for one in of_model]


def _scope(text: str | Text) -> str:
    return text.params_json if isinstance(text, Text) else "{}"


def _source(engine: Engine, text: str | Text) -> str:
    if isinstance(text, str):
        return text
    if text.source is not None:
        return text.source
    try:
        return str(engine.request("GET", f"/_scripts/{text.id}")["script"]["source"])
    except NotFound:
        raise TextFailed(f"the template [{text.id}] is not stored in the cluster") from None


def _texts(tree: Any) -> list[str | Text]:
    if isinstance(tree, Text):
        return [tree]
    if isinstance(tree, str):
        return [tree] if is_template(tree) else []
    if isinstance(tree, dict):
        return [text for key, value in tree.items() for text in _texts(key) + _texts(value)]
    if isinstance(tree, list):
        return [text for item in tree for text in _texts(item)]
    return []


def _filled(tree: Any, texts: list[str | Text], answers: dict[str, dict[str, Any]]) -> Any:
    rendered: dict[str | Text, str] = {}
    for index, text in enumerate(texts):
        answer = answers[_scope(text)]
        if "error" in answer:
            return TextFailed(f"a template cannot be rendered: {answer['error'].get('reason')}")
        source = (answer.get("doc") or {}).get("_source") or {}
        reason = (source.get(_FAILED) or {}).get(str(index))
        if reason is not None:
            return TextFailed(f"the template {_shown(text)!r} cannot be rendered: {reason}")
        rendered[text] = source[_RENDERED][str(index)]
    return _replaced(tree, rendered)


def _shown(text: str | Text) -> str:
    return text if isinstance(text, str) else text.source or str(text.id)


def _replaced(tree: Any, rendered: dict[str | Text, str]) -> Any:
    if isinstance(tree, str | Text):
        return rendered.get(tree, tree)
    if isinstance(tree, dict):
        return {_replaced(key, rendered): _replaced(value, rendered) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_replaced(item, rendered) for item in tree]
    return tree
