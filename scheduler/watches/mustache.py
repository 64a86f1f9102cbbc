"""Which texts are Mustache templates, and how they must be put to the engine, which renders them. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_OPEN, _CLOSE = "{{", "}}"
_CONTENT_TYPE = re.compile(r"^__(?P<type>[a-z]+)__::")


@dataclass(frozen=True, slots=True)
class Text:
    """A template with parameters of its own, or one that is stored in the cluster.

    Attributes:
        source: the template; None for a stored one.
        id: the stored template's id.
        params_json: what it sees beside ``ctx``, as JSON.
    """

    source: str | None
    id: str | None = None
    params_json: str = "{}"


def is_template(text: str) -> bool:
    """Whether the text needs the engine to render it; what has no tag prints as it stands."""
    return _OPEN in text or _CONTENT_TYPE.match(text) is not None


def has_templates(tree: Any) -> bool:
    """Whether any text of the tree, keys included, is a template."""
    if isinstance(tree, str):
        return is_template(tree)
    if isinstance(tree, dict):
        return any(is_template(key) or has_templates(value) for key, value in tree.items())
    return isinstance(tree, list) and any(has_templates(item) for item in tree)


def one_text(body: Any) -> str:
    """A search body as the one text that is templated.

    Watcher renders the whole body and parses the result, so a section may begin in one string and end in
    another: ``["{{#list}}{{key}}","{{/list}}"]``. Hence no space between the tokens.
    """
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def reads_payload(template_text: str) -> bool:
    """Whether the text's rendering may depend on ``ctx.payload``, and so on an input before it.

    A section over ``ctx`` itself can name its parts without the prefix; whoever writes ``payload``, or
    opens such a section, is taken to read it.
    """
    return _OPEN in template_text and (
        "payload" in template_text
        or re.search(r"\{\{\s*[#^]\s*(toJson|join|url|ctx)\b", template_text) is not None
    )


def engine_template(template_text: str) -> str:
    """The template whose rendering by an engine, which escapes values for JSON, is what Watcher prints.

    Watcher escapes nothing in texts: ``{{x}}`` becomes ``{{&x}}``. After ``__json__::`` it escapes for
    JSON, as the engine does by itself.
    """
    prefix = _CONTENT_TYPE.match(template_text)
    if prefix is not None:
        bare = template_text[prefix.end() :]
        return bare if prefix["type"] == "json" else _unescaped(bare)
    return _unescaped(template_text)


def _unescaped(template_text: str) -> str:
    """Each variable tag as its unescaped form; sections, comments and set delimiters stay."""
    opening, closing = _OPEN, _CLOSE
    done: list[str] = []
    position = 0
    while True:
        start = template_text.find(opening, position)
        if start < 0:
            break
        inside = start + len(opening)
        triple = opening == _OPEN and template_text.startswith("{", inside)
        end_mark = "}" + closing if triple else closing
        end = template_text.find(end_mark, inside)
        if end < 0:
            break
        tag = template_text[inside:end]
        done.append(template_text[position:inside])
        kind = tag.lstrip()[:1]
        if kind and kind not in "#^/!>&={":
            done.append("&")
        done.append(template_text[inside : end + len(end_mark)])
        position = end + len(end_mark)
        if kind == "=" and len(parts := tag.strip().strip("=").split()) == 2:
            opening, closing = parts
    done.append(template_text[position:])
    return "".join(done)
