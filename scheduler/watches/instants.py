"""Points in time, as Java prints them and as documents hold them. Pure.

In a payload a ``datetime`` stands for what is a ``ZonedDateTime`` in Watcher: it prints one way in a template
(``2024-01-01T10:20Z``) and another in a document (``2024-01-01T10:20:00.000Z``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


def java_text(instant: datetime) -> str:
    """As ``ZonedDateTime.toString`` prints it in UTC: no seconds where they are zero, 0, 3 or 6 decimals."""
    utc = instant.astimezone(UTC)
    text = utc.strftime("%Y-%m-%dT%H:%M")
    if utc.second or utc.microsecond:
        text += f":{utc.second:02d}"
    if utc.microsecond:
        text += f".{utc.microsecond:06d}" if utc.microsecond % 1000 else f".{utc.microsecond // 1000:03d}"
    return f"{text}Z"


def document_text(instant: datetime) -> str:
    """As Elasticsearch writes a time into a document: UTC, at least three decimals, no zeros after those."""
    utc = instant.astimezone(UTC)
    decimals = f"{utc.microsecond:06d}"
    while len(decimals) > 3 and decimals.endswith("0"):
        decimals = decimals[:-1]
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{decimals}Z"


def millisecond_text(instant: datetime) -> str:
    """As a watch record holds its own times: UTC with three decimals."""
    utc = instant.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 time with any number of decimals; without an offset it is UTC. ValueError."""
    instant = datetime.fromisoformat(text)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)


def with_instants(tree: Any, replacement: Callable[[datetime], Any]) -> Any:
    """The same tree with each ``datetime`` in it replaced; the very same object where there is none."""
    if isinstance(tree, datetime):
        return replacement(tree)
    if isinstance(tree, dict):
        changed = {key: with_instants(value, replacement) for key, value in tree.items()}
        return tree if all(changed[key] is tree[key] for key in tree) else changed
    if isinstance(tree, list):
        items = [with_instants(item, replacement) for item in tree]
        return tree if all(new is old for new, old in zip(items, tree, strict=True)) else items
    return tree


def for_documents(tree: Any) -> Any:
    """The tree as it stands in a document."""
    return with_instants(tree, document_text)


def for_templates(tree: Any) -> Any:
    """The tree as a Mustache template sees it."""
    return with_instants(tree, java_text)
