"""What a transform would write, without writing it, and without a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.client import Engine
from scheduler.transforms.body import TransformBody
from scheduler.transforms.deduction import deduced_types
from scheduler.transforms.documents import document_of
from scheduler.transforms.source import Source

# As many rows as Elasticsearch's preview shows.
_ROWS = 100


@dataclass(frozen=True, slots=True)
class Preview:
    """The first documents, and the types that a destination made for them would have."""

    documents: list[dict[str, Any]]
    types: dict[str, str]


def preview(engine: Engine, body: TransformBody) -> Preview:
    """Compute the first groups of all there is now. Raises what the engine raises, and SourceMissing."""
    source = Source(engine, body)
    types: dict[str, str] = {}
    if body.latest is None and body.settings.deduce_mappings:
        types = deduced_types(body.grouping, source.types())
    page = source.page(size=_ROWS)
    return Preview([document_of(body, bucket, types) for bucket in page.buckets], types)
