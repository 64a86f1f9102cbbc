"""Reads what provisioning stored for the scheduler: the definitions of transforms or of watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.client import Engine
from engine.errors import NotFound

# More than one installation can sensibly have; a search answers at most 10,000.
_MOST_DEFINITIONS = 1000


class StoredDefinition(NamedTuple):
    """A definition document and the revision that it has in the index: another one, another document."""

    source: Mapping[str, Any]
    revision: int


def stored_definitions(engine: Engine, store: str) -> list[StoredDefinition]:
    """Every definition in a store, by id; none where the store does not exist yet."""
    query = {
        "size": _MOST_DEFINITIONS,
        "query": {"term": {"type": "definition"}},
        "sort": [{"id": "asc"}],
        "seq_no_primary_term": True,
    }
    try:
        answer = engine.request("POST", f"/{store}/_search", body=query)
    except NotFound:
        return []
    return [StoredDefinition(hit["_source"], hit["_seq_no"]) for hit in answer["hits"]["hits"]]
