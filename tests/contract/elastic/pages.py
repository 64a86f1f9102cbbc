"""Finds the examples in the docs: blocks of code that are an object of the cluster."""

from __future__ import annotations

import json
import re
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.capabilities import assumed_capabilities
from provisioning.queries import parse_query, stored_script
from provisioning.rendering import render_one
from provisioning.requests import Request
from provisioning.settings import Settings
from tests.contract.elastic.objects import Example, examples_of, parts

Body = dict[str, Any]

_FENCED = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^(?: {4}[^\n]*)?\n)+", re.MULTILINE)
_REQUEST = re.compile(r"(?P<method>[A-Z]+) /?(?P<path>\S+)\n(?P<body>\{.*)", re.DOTALL)

# The keys by which the kind of an object is known, the most telling first.
_MARKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("watch", ("trigger",)),
    ("transform", ("pivot",)),
    ("index_template", ("index_patterns",)),
    ("pipeline", ("processors",)),
    ("lifecycle", ("policy",)),
    ("role", ("cluster", "indices")),
    ("saved_query", ("search", "columns")),
    ("component_template", ("template",)),
    ("index", ("mappings",)),
)


def documented(page: Path) -> Iterator[Example]:
    """The examples of one page. A block that looks like JSON and cannot be read is an error."""
    text = page.read_text(encoding="utf-8")
    for block in blocks_of_code(text):
        request = _REQUEST.match(block)
        body = _read(request["body"] if request else block, page)
        if body is None:
            continue
        if request:
            path = "/" + request["path"].lstrip("/")
            if request["method"] == "PUT":
                yield from examples_of(Request("PUT", path, body), page.name)
            elif path.endswith("/_search"):
                yield from parts("search", path, body, page.name)
            continue
        kind = next((kind for kind, keys in _MARKS if all(key in body for key in keys)), None)
        if kind == "saved_query":
            script = stored_script(parse_query("example", body, page.name))
            yield from parts("script", "example", script, page.name)
        elif kind is not None:
            yield from parts(kind, "example", body, page.name)


def blocks_of_code(text: str) -> list[str]:
    """The blocks of a Markdown page, fenced or indented, without their indentation."""
    fenced = [match[1] for match in _FENCED.finditer(text)]
    rest = _FENCED.sub("\n", text)
    indented = [match[0] for match in _INDENTED.finditer(rest)]
    return [textwrap.dedent(block).strip() for block in (*fenced, *indented) if block.strip()]


def _read(block: str, page: Path) -> Body | None:
    """A block as JSON, or as a template of such; None for other code, and where something is left out."""
    if not block.startswith("{") or "..." in block:
        return None
    if block.startswith(("{{", "{%", "{#")) or "{{" in block:
        return _render(block)
    try:
        body, end = json.JSONDecoder().raw_decode(block)
    except ValueError as error:
        raise AssertionError(f"{page.name}: {error} in {block[:200]}") from None
    return dict(body) if end == len(block) else None  # a log has an object a line


def _render(block: str) -> Body:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "pipelines" / "example.json.j2"  # the folder makes no difference here
        place.parent.mkdir()
        place.write_text(block, encoding="utf-8")
        settings = Settings(packs=(Path(folder),))
        rendered = render_one(settings, assumed_capabilities("elasticsearch"), "pipeline", "example")
    assert rendered is not None
    return rendered.body
