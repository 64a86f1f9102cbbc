"""Reads transform definitions from the engine and keeps each transform's state there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from engine.client import Engine
from engine.errors import NotFound
from provisioning.names import Names
from scheduler.definitions import StoredDefinitions
from scheduler.transforms.checkpoint import State, from_document, to_document


@dataclass(frozen=True, slots=True)
class Definition:
    """A transform as provisioning stored it."""

    identifier: str
    body: Mapping[str, Any]
    enabled: bool = True
    meta: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 0


class Stored(NamedTuple):
    """A state and what is needed to write its successor: where in the index's history it stands."""

    state: State
    sequence_number: int | None = None
    primary_term: int | None = None


class TransformStore:
    """The index of definitions and states (``.httpmon-transforms``)."""

    def __init__(self, engine: Engine, names: Names) -> None:
        self._engine = engine
        self._index = names.transform_store
        self._definitions = StoredDefinitions(engine, self._index)

    def definitions(self) -> list[Definition]:
        """Every definition, by id; none where the store does not exist yet."""
        return [_definition(one.source, one.revision) for one in self._definitions.read()]

    def definition(self, identifier: str) -> Definition:
        """One definition, as it is now. Raises NotFound."""
        answer = self._engine.request("GET", f"/{self._index}/_doc/{identifier}")
        return _definition(answer["_source"], answer["_seq_no"])

    def set_enabled(self, identifier: str, enabled: bool) -> None:
        """Let the scheduler run a transform, or not, and look at its state again. Raises NotFound."""
        self._engine.request(
            "POST",
            f"/{self._index}/_update/{identifier}",
            body={"doc": {"enabled": enabled}, "detect_noop": False},
            params={"refresh": True, "retry_on_conflict": 3},
        )

    def load(self, identifier: str) -> Stored:
        """The state of a transform; that of one that never ran, if there is none."""
        try:
            answer = self._engine.request("GET", f"/{self._index}/_doc/{identifier}:state")
        except NotFound:
            return Stored(State())
        return Stored(from_document(answer["_source"]), answer["_seq_no"], answer["_primary_term"])

    def save(self, identifier: str, state: State, after: Stored) -> Stored:
        """Write the successor of ``after``.

        Raises Conflict when the state is not ``after`` any more: another process wrote it.
        """
        params: dict[str, str | int] = {"op_type": "create"}
        if after.sequence_number is not None and after.primary_term is not None:
            params = {"if_seq_no": after.sequence_number, "if_primary_term": after.primary_term}
        answer = self._engine.request(
            "PUT",
            f"/{self._index}/_doc/{identifier}:state",
            body=to_document(identifier, state),
            params=params,
        )
        return Stored(state, answer["_seq_no"], answer["_primary_term"])

    def forget(self, identifier: str) -> None:
        """Remove a transform's state, so that it begins anew."""
        try:
            self._engine.request("DELETE", f"/{self._index}/_doc/{identifier}:state")
        except NotFound:
            return


def _definition(source: Mapping[str, Any], revision: int) -> Definition:
    return Definition(
        identifier=source["id"],
        body=source["body"],
        enabled=bool(source.get("enabled", True)),
        meta=source.get("_meta") or {},
        revision=revision,
    )
