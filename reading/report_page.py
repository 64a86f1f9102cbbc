"""The report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
from typing import Any

import jinja2

from engine.errors import HttpmonError
from provisioning.templates import BUILT_IN_PACK


def report_json(shown: dict[str, Any]) -> str:
    """The report's values as JSON that can stand inside a script element.

    A ``<`` in a text of the log could end the element; an escaped one cannot.
    """
    return json.dumps(shown, separators=(",", ":")).replace("<", "\\u003c")


def report_page(shown: dict[str, Any], *, title: str, live_seconds: int = 0) -> str:
    """The page; with ``live_seconds`` it asks ``data`` beside it for newer values that often.

    Raises HttpmonError when the library that draws is not installed.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(BUILT_IN_PACK / "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html.j2").render(
        title=title, data=report_json(shown), plotly=_plotly(), live_seconds=live_seconds
    )


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise HttpmonError("report: it draws with plotly: pip install 'httpmon[report]'") from None
    return str(get_plotlyjs())
