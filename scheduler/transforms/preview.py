"""What a transform would write, without writing it, and without a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.client import Engine
from engine.errors import SchedulerError
from scheduler.transforms.acceptance import require_accepted
from scheduler.transforms.body import TransformBody
from scheduler.transforms.deduction import deduced_types
from scheduler.transforms.documents import document_maker
from scheduler.transforms.source import Source

# As many rows as Elasticsearch's preview shows.
_ROWS = 100


@dataclass(frozen=True, slots=True)
class Preview:
    """The first documents, and the types that a destination made for them would have."""

    documents: list[dict[str, Any]]
    types: dict[str, str]


def preview(engine: Engine, body: TransformBody) -> Preview:
    """Compute the first groups of all there is now. Raises as ``require_accepted`` and the engine do."""
    require_accepted(engine, body)
    source = Source(engine, body)
    types: dict[str, str] = {}
    if body.latest is None and body.settings.deduce_mappings:
        types = deduced_types(body.grouping, source.types())
    page = source.page(size=_ROWS)
    documents = [*map(document_maker(body, types), page.buckets)]
    if body.pipeline is not None and documents:
        documents = _through_pipeline(engine, body, body.pipeline, documents)
    return Preview(documents, types)


def _through_pipeline(
    engine: Engine, body: TransformBody, pipeline: str, documents: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Documents as the ingest pipeline would leave them; those that it drops are left out."""
    answer = engine.request(
        "POST",
        f"/_ingest/pipeline/{pipeline}/_simulate",
        body={"docs": [{"_index": body.destination, "_source": document} for document in documents]},
    )
    left = []
    for one in answer["docs"]:
        if one is None:
            continue
        if "error" in one:
            what = f"transform {body.identifier}: dest.pipeline"
            raise SchedulerError(f"{what}: {pipeline} refuses a document: {one['error'].get('reason')}")
        left.append(one["doc"]["_source"])
    return left
