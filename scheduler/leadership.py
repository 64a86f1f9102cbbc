"""Gets the lease, keeps it and gives it back: the lease's edge to the engine."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import urllib.parse
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from engine.client import Engine
from engine.errors import Conflict, EngineError, NotFound
from scheduler.clock import EngineClock, elapsed_seconds
from scheduler.lease import (
    LEASE_ID,
    LOOK_SECONDS,
    RENEW_SECONDS,
    STANDBY_SECONDS,
    TTL_SECONDS,
    Lease,
    Member,
    Seen,
    Standby,
    from_document,
    given_back,
    look,
    next_step,
    renewed,
    standby_document,
    standby_from_document,
    taken,
    to_document,
)

_log = logging.getLogger("httpmon.scheduler")

# An answer that comes later than this is of no use to somebody who must renew within the TTL.
_TIMEOUT_SECONDS = 3.0
# How often the engine's clock is asked for.
_SYNC_SECONDS = 10.0


def this_process() -> Member:
    """This process as a holder of leases."""
    host, pid = socket.gethostname(), os.getpid()
    # A pid is used again, and in a container it is always 1.
    return Member(f"{host}-{pid}-{uuid.uuid4().hex[:8]}", host, pid)


def read_lease(engine: Engine, store: str) -> Lease | None:
    """The lease in a store; None where nobody ever held one. Raises NotFound where there is no store."""
    try:
        answer = engine.request("GET", f"/{store}/_doc/{LEASE_ID}", timeout_seconds=_TIMEOUT_SECONDS)
    except NotFound as error:
        if error.error_type == "index_not_found_exception":
            raise
        return None
    return from_document(answer["_source"], answer["_seq_no"], answer["_primary_term"])


def read_standbys(engine: Engine, store: str, now: datetime) -> list[Standby]:
    """Those that wait for the lease and were heard of lately, by their hosts. Raises EngineError."""
    query = {"size": 100, "query": {"term": {"type": "standby"}}}
    hits = engine.request("POST", f"/{store}/_search", body=query)["hits"]["hits"]
    found = [standby_from_document(hit["_source"]) for hit in hits]
    alive = [one for one in found if (now - one.seen_at).total_seconds() <= 2.5 * STANDBY_SECONDS]
    return sorted(alive, key=lambda one: (one.member.host, one.member.pid))


class Leadership:
    """One scheduler's part in the lease.

    ``turn`` is for one thread; ``held`` may be asked by others.

    Args:
        engine: the cluster.
        store: the index that the lease stands in.
        me: this scheduler.
        clock: the engine's; kept right here.
        stopwatch: counts seconds.
    """

    def __init__(
        self,
        engine: Engine,
        store: str,
        me: Member,
        clock: EngineClock,
        *,
        stopwatch: Callable[[], float] = elapsed_seconds,
    ) -> None:
        self._engine = engine
        self._store = store
        self._me = me
        self._clock = clock
        self._stopwatch = stopwatch
        self._seen: Seen | None = None
        self._valid_until = float("-inf")
        self._synced_at = float("-inf")
        self._told = ""
        self._shown_at: float | None = None
        self.renewed_by_another = False
        """Whether another scheduler was seen to renew the lease: it is alive, not only its lease."""
        self.absent = False
        """Whether there is no store: nothing is installed."""
        self.handed_over_at: datetime | None = None
        """When the one before renewed the lease last, or gave it back; None if there was none before."""

    @property
    def held(self) -> bool:
        """Whether this scheduler holds the lease and nobody can have taken it over."""
        return self._stopwatch() < self._valid_until

    @property
    def lease(self) -> Lease | None:
        """The lease as it was seen last."""
        return None if self._seen is None else self._seen.lease

    def turn(self) -> float:
        """Look at the lease, take or renew it if that is to be done; in how many seconds to come again."""
        try:
            self._turn()
        except NotFound:
            self.absent = True
            self._valid_until = float("-inf")
            self._tell("there is nothing to execute yet: httpmon provision installs it")
        except EngineError as error:
            # The lease holds as long as it holds; those who work tell that the engine is away.
            if not self.held:
                self._tell(f"{error}; trying again")
        return RENEW_SECONDS if self.held else LOOK_SECONDS

    def _turn(self) -> None:
        begun = self._stopwatch()
        if begun - self._synced_at >= _SYNC_SECONDS:
            self._clock.sync()
            self._synced_at = begun
        lease = read_lease(self._engine, self._store)
        self.absent = False
        before = self._seen
        self._seen = look(before, lease, self._stopwatch())
        step = next_step(self._seen, self._me, self._stopwatch())
        moment = self._clock()
        if step == "wait":
            self._valid_until = float("-inf")
            self.renewed_by_another |= before is not None and before.since != self._seen.since
            holder = lease.holder if lease is not None else None
            if lease is not None and holder is not None:
                where = f"process {holder.pid} on {holder.host}"
                self._tell(f"stands by: {where} executes (term {lease.term})", level=logging.INFO)
            self._show(moment)
            return
        following = renewed(lease, moment) if step == "renew" and lease else taken(lease, self._me, moment)
        try:
            written = self._write(lease, following)
        except Conflict:
            self._after_conflict(begun)
            return
        if step == "take":
            self.handed_over_at = lease.renewed_at if lease is not None else None
        self._hold(written, begun)

    def _after_conflict(self, begun: float) -> None:
        """Somebody was quicker; or an answer was lost, and the client wrote a second time."""
        lease = read_lease(self._engine, self._store)
        self._seen = look(self._seen, lease, self._stopwatch())
        if lease is not None and lease.is_held_by(self._me):
            self._hold(lease, begun)
        else:
            self._valid_until = float("-inf")

    def _hold(self, lease: Lease, begun: float) -> None:
        if not self.held:
            self._tell(f"executes (term {lease.term})", level=logging.INFO)
            self._hide()
        self._seen = look(self._seen, lease, self._stopwatch())
        # Counted from before it was asked for: nobody saw it move earlier.
        self._valid_until = begun + TTL_SECONDS

    def _show(self, moment: datetime) -> None:
        """Say, now and then, that this scheduler stands by."""
        if self._shown_at is not None and self._stopwatch() - self._shown_at < STANDBY_SECONDS:
            return
        standby = Standby(self._me, moment)
        path = f"/{self._store}/_doc/{urllib.parse.quote(standby.document_id, safe='')}"
        self._engine.request("PUT", path, body=standby_document(standby))
        self._shown_at = self._stopwatch()

    def _hide(self) -> None:
        if self._shown_at is None:
            return
        self._shown_at = None
        standby = Standby(self._me, self._clock())
        path = f"/{self._store}/_doc/{urllib.parse.quote(standby.document_id, safe='')}"
        with contextlib.suppress(EngineError):
            self._engine.request("DELETE", path)

    def release(self) -> None:
        """Give the lease back, if it is ours, for another one to take it at once."""
        self._hide()
        if not self.held:
            return
        self._valid_until = float("-inf")
        lease = self.lease
        if lease is None or not lease.is_held_by(self._me):
            return
        try:
            self._write(lease, given_back(lease, self._clock()))
        except EngineError as error:
            _log.warning("the lease was not given back, it runs out by itself: %s", error)

    def _write(self, before: Lease | None, lease: Lease) -> Lease:
        """Write the successor of a lease. Raises Conflict when it was not the last one."""
        params: dict[str, str | int] = {"op_type": "create"}
        if before is not None and before.sequence_number is not None and before.primary_term is not None:
            params = {"if_seq_no": before.sequence_number, "if_primary_term": before.primary_term}
        answer: dict[str, Any] = self._engine.request(
            "PUT",
            f"/{self._store}/_doc/{LEASE_ID}",
            body=to_document(lease),
            params=params,
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        return from_document(to_document(lease), answer["_seq_no"], answer["_primary_term"])

    def _tell(self, text: str, *, level: int = logging.WARNING) -> None:
        if text != self._told:
            self._told = text
            _log.log(level, "%s", text)
