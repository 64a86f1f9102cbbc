"""Claims: what cannot be taken back is announced before it is done, so that no two schedulers do it.

A webhook cannot be sent "only if nobody sent it". So before an action sends anything, it creates a document
whose ``_id`` is the watch, the scheduled time and the action; who finds it there does not send. After sending
the outcome is put into it, for a run that is repeated. A scheduler that is killed in between leaves a claim
without an outcome, and nobody can know whether the message went out: it is not sent again (at most once).
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from engine.client import Engine
from engine.errors import Conflict, EngineError
from provisioning.names import Names
from scheduler.watches.definition import Action
from scheduler.watches.expiry import remove_matching
from scheduler.watches.instants import for_documents, millisecond_text
from scheduler.watches.run import Run

Result = dict[str, Any]

# As long as the records of runs.
_KEPT = timedelta(days=7)


class Claims:
    """The claims of one scheduler; safe to share between threads.

    Args:
        engine: where they are kept.
        names: which installation.
        holder: a name that no other process bears.
        clock: the time, UTC.
    """

    def __init__(self, engine: Engine, names: Names, *, holder: str, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._store = names.watch_store
        self._holder = holder
        self._clock = clock
        # What came of claimed actions where the engine could not be told.
        self._untold: dict[str, Result] = {}

    def earlier(self, run: Run, action: Action) -> Result | None:
        """Claim an action of a run: None if it is to be done now, else what came of it before.

        Whoever gets None must do it and ``settle``, whatever happens.

        Raises EngineUnreachable: it is not certain whether the claim stands; nothing may be done.
        """
        key = _key(run, action)
        if key in self._untold:
            return self._untold[key]
        try:
            self._engine.request("PUT", self._path("_create", key), body=self._document(run, action))
        except Conflict:
            claim = self._engine.request("GET", self._path("_doc", key))["_source"]
            if "result" in claim or claim["holder"] != self._holder:
                return claim.get("result") or _unknown(claim)
            # Our own, and not settled: the answer to our first attempt was lost.
        return None

    def settle(self, run: Run, action: Action, result: Result) -> None:
        """Note what came of a claimed action."""
        key = _key(run, action)
        self._untold[key] = result  # in case the run is repeated before the engine can be told
        change = {"doc": {"result": for_documents(result)}}
        try:
            self._engine.request("POST", self._path("_update", key), body=change)
        except EngineError:
            return
        del self._untold[key]

    def expire(self) -> None:
        """Remove what has expired in the store: claims that nobody can ask for any more; without waiting."""
        over = {"range": {"expires_at": {"lt": millisecond_text(self._clock())}}}
        remove_matching(self._engine, self._store, over)

    def _path(self, operation: str, key: str) -> str:
        return f"/{self._store}/{operation}/{urllib.parse.quote(key, safe='')}"

    def _document(self, run: Run, action: Action) -> dict[str, Any]:
        now = self._clock()
        return {
            "type": "claim",
            "id": run.watch.id,
            "action": action.id,
            "scheduled_time": millisecond_text(run.scheduled_time),
            "holder": self._holder,
            "claimed_at": millisecond_text(now),
            "expires_at": millisecond_text(now + _KEPT),
        }


def _key(run: Run, action: Action) -> str:
    return f"{run.watch.id}:claim:{millisecond_text(run.scheduled_time)}:{action.id}"


def _unknown(claim: dict[str, Any]) -> Result:
    reason = (
        f"{claim['holder']} was about to do this at {claim['claimed_at']} and did not tell what came of it; "
        "it may have been done, and is not done again"
    )
    return {"status": "failure", "reason": reason, "error": {"type": "outcome_unknown", "reason": reason}}
