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


class StoredDefinitions:
    """The definitions in one store.

    A scheduler looks each second, and mostly nothing has changed; so after the first time only the revisions
    are asked for, and the definitions only where one of them is another.
    """

    def __init__(self, engine: Engine, store: str) -> None:
        self._engine = engine
        self._store = store
        self._known: dict[str, StoredDefinition] = {}

    def read(self) -> list[StoredDefinition]:
        """Every definition, by id; none where the store does not exist yet. Raises EngineError."""
        known = {identifier: one.revision for identifier, one in self._known.items()}
        if not known or known != {hit["_id"]: hit["_seq_no"] for hit in self._search(whole=False)}:
            hits = self._search(whole=True)
            self._known = {hit["_id"]: StoredDefinition(hit["_source"], hit["_seq_no"]) for hit in hits}
        return list(self._known.values())

    def _search(self, *, whole: bool) -> list[dict[str, Any]]:
        query = {
            "size": _MOST_DEFINITIONS,
            "query": {"term": {"type": "definition"}},
            "sort": [{"id": "asc"}],
            "seq_no_primary_term": True,
            "_source": whole,
        }
        params = {} if whole else {"filter_path": "hits.hits._id,hits.hits._seq_no"}
        try:
            answer = self._engine.request("POST", f"/{self._store}/_search", body=query, params=params)
        except NotFound:
            return []
        found: list[dict[str, Any]] = (answer.get("hits") or {}).get("hits") or []
        return found
