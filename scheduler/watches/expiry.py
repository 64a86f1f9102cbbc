"""Removes documents that nobody needs any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.client import Engine
from engine.errors import NotFound


def remove_matching(engine: Engine, index: str, query: Mapping[str, Any]) -> None:
    """Have the engine remove what a query finds in an index, if there is one; without waiting for it."""
    try:
        engine.request(
            "POST",
            f"/{index}/_delete_by_query",
            body={"query": query},
            params={"conflicts": "proceed", "wait_for_completion": False},
        )
    except NotFound:
        return
