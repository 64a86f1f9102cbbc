"""Reads watch definitions from the engine, and keeps there what each watch did and when it ran last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from engine.client import Engine, refusal
from engine.errors import EngineUnreachable, NotFound
from provisioning.names import Names
from scheduler.definitions import StoredDefinitions
from scheduler.watches.execution import Outcome
from scheduler.watches.expiry import remove_matching
from scheduler.watches.history import record_id, with_failed_writes
from scheduler.watches.instants import millisecond_text, parse_instant
from scheduler.watches.run import Write
from scheduler.watches.status import Status
from scheduler.watches.trouble import trouble_of_run, with_failed_actions

_CONFLICT = 409
# What an engine says of one document of a bulk request when it only lacks the means just now.
_AGAIN = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Definition:
    """A watch as provisioning stored it."""

    identifier: str
    body: Mapping[str, Any]
    active: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What is remembered of a watch between its runs, and where in the index's history that stands.

    Attributes:
        status: Watcher's status of it; None if it never ran.
        last: its last scheduled time that is done with.
        skipped: scheduled times that were left out, ever.
        trouble: what is wrong with it; "" if nothing is.
    """

    status: Status | None = None
    last: datetime | None = None
    skipped: int = 0
    trouble: str = ""
    sequence_number: int | None = None
    primary_term: int | None = None


class Superseded(Exception):
    """Another scheduler has written a watch's progress since it was read."""


class WatchStore:
    """The index of definitions and statuses (``.httpmon-watches``) and the history of runs."""

    def __init__(self, engine: Engine, names: Names) -> None:
        self._engine = engine
        self._index = names.watch_store
        self._history = names.watch_history
        self._definitions = StoredDefinitions(engine, self._index)

    def definitions(self) -> list[Definition]:
        """Every definition, by id; none where the store does not exist yet."""
        return [
            Definition(
                identifier=one.source["id"],
                body=one.source["body"],
                active=bool(one.source.get("active", True)),
                revision=one.revision,
            )
            for one in self._definitions.read()
        ]

    def progress(self, identifier: str) -> Progress:
        """What is remembered of a watch."""
        try:
            answer = self._engine.request("GET", f"/{self._index}/_doc/{identifier}:status")
        except NotFound:
            return Progress()
        source = answer["_source"]
        last = source.get("last_scheduled_time")
        return Progress(
            status=source.get("status"),
            last=None if last is None else parse_instant(last),
            skipped=source.get("skipped", 0),
            trouble=source.get("trouble") or "",
            sequence_number=answer["_seq_no"],
            primary_term=answer["_primary_term"],
        )

    def expire_history(self, older_than: str) -> None:
        """Remove the records of runs that are older, ``7d``, without waiting for it."""
        old = {"range": {"@timestamp": {"lt": f"now-{older_than}"}}}
        remove_matching(self._engine, self._history, old)

    def set_active(self, identifier: str, active: bool) -> None:
        """Let the scheduler run a watch at its times, or not. Raises NotFound."""
        self._engine.request(
            "POST",
            f"/{self._index}/_update/{identifier}",
            body={"doc": {"active": active}},
            params={"refresh": True, "retry_on_conflict": 3},
        )

    def save(self, identifier: str, progress: Progress, after: Progress) -> Progress:
        """Write progress without a run: times that were skipped. Raises Superseded."""
        return self._commit(identifier, progress, after, [], [])[0]

    def save_run(
        self, identifier: str, outcome: Outcome, scheduled: datetime, skipped: int, after: Progress
    ) -> tuple[Progress, dict[str, Any]]:
        """Write what a run came to in one request: its documents, its record and the watch's progress.

        A document that exists already is what this run, or the same run elsewhere, wrote before. What the
        engine cannot take just now is sent again until it takes it or is gone.

        Returns:
            The new progress, and the record as it was written.

        Raises:
            Superseded: another scheduler has done this run.
            EngineUnreachable: it is not certain what was written; the run can be repeated.
        """
        progress = Progress(outcome.status, scheduled, skipped, trouble_of_run(outcome.record))
        record = (record_id(identifier, scheduled), outcome.record)
        written, failures = self._commit(identifier, progress, after, list(outcome.writes), [record])
        if not failures:
            return written, outcome.record
        status = with_failed_actions(outcome.status, failures, outcome.record["@timestamp"])
        corrected = with_failed_writes(outcome.record, failures) | {"status": status}
        self._engine.request("PUT", f"/{self._history}/_doc/{record[0]}", body=corrected)
        amended = replace(written, status=status, trouble=trouble_of_run(corrected))
        return self.save(identifier, amended, written), corrected

    def save_attempt(
        self, identifier: str, outcome: Outcome, scheduled: datetime, run_id: str, after: Progress
    ) -> None:
        """Record a run that failed and is to be repeated: the watch's progress stays where it is."""
        progress = replace(after, status=outcome.status, trouble=trouble_of_run(outcome.record))
        record = (record_id(identifier, scheduled, run_id), outcome.record)
        self._commit(identifier, progress, after, [], [record])

    def save_trial(self, outcome: Outcome) -> dict[str, Any]:
        """Write the documents of a run that was asked for, and nothing else; the record, corrected."""
        if not outcome.writes:
            return outcome.record
        operations = [_create(write.index, write.id, write.source) for write in outcome.writes]
        refresh = any(write.refresh for write in outcome.writes)
        items = self._bulk(operations, {"refresh": True} if refresh else {})
        failures = {
            write.action_id: item["error"]
            for write, item in zip(outcome.writes, items, strict=True)
            if "error" in item
        }
        if not failures:
            return outcome.record
        status = with_failed_actions(outcome.status, failures, outcome.record["@timestamp"])
        return with_failed_writes(outcome.record, failures) | {"status": status}

    def _commit(
        self,
        identifier: str,
        progress: Progress,
        after: Progress,
        writes: list[Write],
        records: list[tuple[str, dict[str, Any]]],
    ) -> tuple[Progress, dict[str, dict[str, Any]]]:
        # The watch's documents stand before its progress and are safe before it moves: if the engine takes
        # the progress and not them, they are sent again here; if this process dies, the next run of a rule
        # whose state is in its documents finds them missing.
        operations = [_create(write.index, write.id, write.source) for write in writes]
        operations += [_create(self._history, document_id, record) for document_id, record in records]
        operations.append(self._progress_operation(identifier, progress, after))
        params: dict[str, Any] = {"refresh": True} if any(write.refresh for write in writes) else {}
        items = self._bulk(operations, params)
        failures = {
            write.action_id: item["error"]
            for write, item in zip(writes, items, strict=False)
            if "error" in item and item["status"] != _CONFLICT
        }
        last = items[-1]
        if last["status"] == _CONFLICT:
            raise Superseded
        if "error" in last:
            raise refusal(f"status of {identifier}", last["status"], last, where=self._engine.url)
        written = replace(progress, sequence_number=last["_seq_no"], primary_term=last["_primary_term"])
        return written, failures

    def _bulk(self, operations: list[bytes], params: dict[str, Any]) -> list[dict[str, Any]]:
        """Send operations; their answers in order. What is refused for want of means is sent once more."""
        answer = self._engine.bulk(b"".join(operations), params=params)
        items = [next(iter(item.values())) for item in answer["items"]]
        again = [position for position, item in enumerate(items) if item["status"] in _AGAIN]
        if not again:
            return items
        answer = self._engine.bulk(b"".join(operations[position] for position in again), params=params)
        for position, item in zip(again, answer["items"], strict=True):
            items[position] = next(iter(item.values()))
            if items[position]["status"] in _AGAIN:
                raise EngineUnreachable(
                    f"the engine at {self._engine.url} answers {items[position]['status']} to a document"
                )
        return items

    def _progress_operation(self, identifier: str, progress: Progress, after: Progress) -> bytes:
        target: dict[str, Any] = {"_index": self._index, "_id": f"{identifier}:status"}
        operation = "create"
        if after.sequence_number is not None and after.primary_term is not None:
            operation = "index"
            target |= {"if_seq_no": after.sequence_number, "if_primary_term": after.primary_term}
        document = {
            "type": "status",
            "id": identifier,
            "status": progress.status,
            "last_scheduled_time": None if progress.last is None else millisecond_text(progress.last),
            "skipped": progress.skipped,
            "failing": bool(progress.trouble),
            "trouble": progress.trouble or None,
        }
        return _lines({operation: target}, document)


def _create(index: str, document_id: str, source: Mapping[str, Any]) -> bytes:
    return _lines({"create": {"_index": index, "_id": document_id}}, source)


def _lines(*objects: Mapping[str, Any]) -> bytes:
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in objects)
