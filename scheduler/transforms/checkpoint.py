"""A transform's state and how a checkpoint changes it. Pure.

Times are epoch milliseconds of the engine's clock.

A checkpoint summarises the documents whose sync field (``event.ingested``) is below its *upper bound*, which
is the engine's clock minus the transform's delay. The next one looks for groups with documents between that
bound and its own, and computes these groups anew from all their documents.

Why no document is lost
-----------------------
A document is lost if it is not visible to the search for changed groups of the one checkpoint whose bounds
its stamp lies between. It is stamped in the ingest pipeline, then indexed, then made visible by a refresh.

* *The delay.* A document stamped at ``s`` is looked for at ``s + delay`` or later. It is visible by then if
  indexing and one refresh took less. A refresh comes at the latest one interval after the document was
  indexed and takes a while itself, so the settings refuse a delay below two refresh intervals; the rest is
  for indexing.
* *The guard.* Indexing has no bound of its own: a bulk request can wait in a queue, a shard can be
  recovering. So the state keeps how many documents were seen in each slice of the last
  ``GUARD_MILLISECONDS`` below the upper bound, and each checkpoint first counts them again. A slice that
  grew has documents that its own checkpoint did not see, and the search for changed groups begins at that
  slice instead of at the last upper bound.

It suffices because of the order of reading: the count comes before the search for changed groups, and what is
visible stays visible. So whatever a remembered count includes, the search after it found too; whatever
came later makes the next count greater. Deletions could hide a growth, but sources are append-only but for
expiry, which removes old documents, not those of the last two minutes. All searches ask for the same shard
copies (``preference``) and refuse partial answers, so that a copy which lags behind cannot answer the second
search. The guard is measured from the last upper bound, not from now: after an outage of scheduler or engine
the slices before it are counted once more, however long it took.

Why nothing is doubled or set back
----------------------------------
A group is always computed whole, and its document's id is made from its key: doing it again changes nothing.
The document's version grows with each checkpoint, and the engine keeps the greater (``external_gte``), so a
process that was stopped in the middle cannot overwrite newer numbers when it wakes. The state is written
only if nobody wrote it since it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from scheduler.transforms.pivot import Key

# How long after its stamp a document may become visible and still be counted, beyond the delay. Longer than a
# client waits for a bulk request (30 s by default, in elasticsearch-py and here) with its retries.
GUARD_MILLISECONDS = 120_000
# A clock that is set back by less than this is waited for; by more, and what came since is looked for anew.
_CLOCK_STEP_MILLISECONDS = 10_000
# How far back: no scheduler should have rested longer than this while the clock was wrong.
_SET_BACK_MILLISECONDS = 86_400_000
# Slices of the youngest part are as they came, one a checkpoint; older ones are joined up to this width.
_FINE_MILLISECONDS = 20_000
_COARSE_MILLISECONDS = 10_000
# Fewer are named and computed in a fraction of a second; this is asked of each checkpoint.
MANY_DOCUMENTS = 20_000

Status = Literal["started", "failed", "finished"]


class Slice(NamedTuple):
    """How many documents were visible with a sync field in ``[lower, upper)``."""

    lower: int
    upper: int
    documents: int


@dataclass(frozen=True, slots=True)
class Running:
    """A checkpoint that is not complete.

    Attributes:
        lower: where the search for changed groups begins; None computes every group.
        upper: its upper bound.
        slices: the counts that hold once it is complete.
        position: the last group key that is done with; None at the beginning.
        version: of the documents that it writes; greater than those of every checkpoint before it.
        total: how many documents it has to read, where that is known beforehand: if it computes every group.
        done: how many it has read.
    """

    lower: int | None
    upper: int
    slices: tuple[Slice, ...]
    version: int
    position: Key | None = None
    total: int | None = None
    done: int = 0

    @property
    def progress(self) -> float | None:
        """How much of it is done, in percent; None where that is not known."""
        return None if self.total is None else 100 * self.done / max(self.total, 1)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sums over the life of a transform, named as Elasticsearch's ``_stats`` names them."""

    pages_processed: int = 0
    documents_processed: int = 0
    documents_indexed: int = 0
    documents_deleted: int = 0
    search_time_in_ms: int = 0
    index_time_in_ms: int = 0
    late_slices: int = 0

    def plus(self, **amounts: int) -> Statistics:
        """The same with amounts added."""
        return replace(self, **{name: getattr(self, name) + amount for name, amount in amounts.items()})


@dataclass(frozen=True, slots=True)
class State:
    """All that a transform remembers.

    Attributes:
        checksum: of the body that it belongs to.
        status: ``finished`` is a transform without ``sync`` that has run.
        checkpoint: how many checkpoints are complete.
        upper: the upper bound of the last complete one; None before the first.
        slices: the counts to compare with.
        version: of the documents of the last complete one.
        running: the checkpoint under way.
        reason: why the last attempt failed; "" if it did not.
        failures: failed attempts in a row.
        changed_at: when a checkpoint last found changes.
    """

    checksum: str = ""
    status: Status = "started"
    checkpoint: int = 0
    upper: int | None = None
    slices: tuple[Slice, ...] = ()
    version: int = 0
    running: Running | None = None
    statistics: Statistics = field(default_factory=Statistics)
    reason: str = ""
    failures: int = 0
    changed_at: int | None = None


def upper_bound(now: int, delay: int, whole_buckets: int | None = None) -> int:
    """The upper bound of a checkpoint that begins now.

    ``whole_buckets`` rounds it down to multiples of this width: a bucket that is not over yet would be
    written again and again where the sync field is also the grouped one.
    """
    upper = now - delay
    return upper - upper % whole_buckets if whole_buckets else upper


def after_clock_step(state: State, upper: int) -> State | None:
    """The state from which a checkpoint up to ``upper`` begins; None if it must wait for the clock.

    Where the engine's clock was set back, new documents are stamped below the last upper bound, which nobody
    would look at again before the clock is there; and then they would be too old for the guard.
    """
    if state.upper is None or upper > state.upper:
        return state
    if state.upper - upper < _CLOCK_STEP_MILLISECONDS:
        return None
    return replace(state, upper=upper - _SET_BACK_MILLISECONDS, slices=())


def slices_to_count(state: State, upper: int) -> list[tuple[int, int]]:
    """Which slices the checkpoint up to ``upper`` counts: those remembered, then the new part."""
    first_guarded = upper - GUARD_MILLISECONDS
    start = first_guarded if state.upper is None else state.upper
    fresh = []
    if start < first_guarded:
        fresh.append((start, first_guarded))
        start = first_guarded
    while start < upper:
        end = min(start + _COARSE_MILLISECONDS, upper)
        fresh.append((start, end))
        start = end
    return [(one.lower, one.upper) for one in state.slices] + fresh


def begin(state: State, upper: int, counted: Sequence[Slice], total: int | None = None) -> State:
    """Begin a checkpoint up to ``upper``, given the counts of ``slices_to_count``.

    ``total`` is the number of documents to read, if it is known. Where nothing changed it is complete at
    once: the upper bound moves, and no checkpoint is under way.
    """
    remembered = {(one.lower, one.upper): one.documents for one in state.slices}
    grown = [one for one in counted if one.documents > remembered.get((one.lower, one.upper), one.documents)]
    new = any(one.documents for one in counted if (one.lower, one.upper) not in remembered)
    slices = _joined(counted, upper)
    if state.upper is not None and not grown and not new:
        return replace(state, upper=upper, slices=slices, reason="", failures=0)
    lower = min((one.lower for one in grown), default=state.upper)
    statistics = state.statistics.plus(late_slices=len(grown))
    # The upper bound is a version that every process agrees on; but a clock can be set back.
    version = max(upper, state.version + 1)
    running = Running(lower, upper, slices, version, total=total)
    return replace(state, running=running, statistics=statistics)


def many_documents(running: Running) -> bool:
    """Whether a checkpoint has so many new documents that reading whole stretches of time may pay.

    What is too old for the slices was not counted: then it may have.
    """
    if running.lower is None or running.lower < running.upper - GUARD_MILLISECONDS:
        return True
    return sum(one.documents for one in running.slices if one.lower >= running.lower) >= MANY_DOCUMENTS


def progressed(state: State, **amounts: int) -> State:
    """Something was read and written: an attempt that succeeds ends a row of failures."""
    running = state.running
    if running is not None:
        running = replace(running, done=running.done + amounts.get("documents_processed", 0))
    statistics = state.statistics.plus(**amounts)
    return replace(state, running=running, statistics=statistics, reason="", failures=0)


def moved(state: State, position: Key) -> State:
    """A page of groups is written: the checkpoint goes on after ``position``."""
    return replace(state, running=replace(_running(state), position=position))


def complete(state: State, now: int, *, finished: bool = False) -> State:
    """The last page of a checkpoint is written."""
    running = _running(state)
    return replace(
        state,
        status="finished" if finished else "started",
        checkpoint=state.checkpoint + 1,
        upper=running.upper,
        slices=running.slices,
        version=running.version,
        running=None,
        reason="",
        failures=0,
        changed_at=now,
    )


def _running(state: State) -> Running:
    if state.running is None:
        raise ValueError("no checkpoint is under way")
    return state.running


def failed(state: State, reason: str, *, for_good: bool) -> State:
    """An attempt failed; what it had reached stays."""
    return replace(
        state,
        status="failed" if for_good else state.status,
        reason=reason,
        failures=state.failures + 1,
    )


def _joined(counted: Iterable[Slice], upper: int) -> tuple[Slice, ...]:
    """The slices to remember: without those that are too old, the older ones joined to fewer."""
    kept: list[Slice] = []
    for one in counted:
        if one.upper <= upper - GUARD_MILLISECONDS:
            continue
        last = kept[-1] if kept else None
        if (
            last is not None
            and last.upper == one.lower
            and one.upper - last.lower <= _COARSE_MILLISECONDS
            and one.upper <= upper - _FINE_MILLISECONDS
        ):
            kept[-1] = Slice(last.lower, one.upper, last.documents + one.documents)
        else:
            kept.append(one)
    return tuple(kept)


def to_document(identifier: str, state: State) -> dict[str, Any]:
    """The state as the document ``<id>:state`` of the store."""
    running = state.running
    return {
        "type": "state",
        "id": identifier,
        "status": state.status,
        "checkpoint": state.checkpoint,
        "upper": state.upper,
        "changed_at": state.changed_at,
        "reason": state.reason,
        "failures": state.failures,
        "checksum": state.checksum,
        "slices": [list(one) for one in state.slices],
        "version": state.version,
        "statistics": {name: getattr(state.statistics, name) for name in Statistics.__slots__},
        "running": None
        if running is None
        else {
            "lower": running.lower,
            "upper": running.upper,
            "slices": [list(one) for one in running.slices],
            "version": running.version,
            "position": running.position,
            "total": running.total,
            "done": running.done,
        },
    }


def from_document(document: Mapping[str, Any]) -> State:
    """The state that ``to_document`` wrote; fields of other versions are left out."""
    running = document.get("running")
    statistics = document.get("statistics") or {}
    return State(
        checksum=document.get("checksum", ""),
        status=document.get("status", "started"),
        checkpoint=document.get("checkpoint", 0),
        upper=document.get("upper"),
        changed_at=document.get("changed_at"),
        reason=document.get("reason", ""),
        failures=document.get("failures", 0),
        slices=_slices(document.get("slices")),
        version=document.get("version", document.get("upper") or 0),
        statistics=Statistics(
            **{name: statistics[name] for name in Statistics.__slots__ if name in statistics}
        ),
        running=None
        if running is None
        else Running(
            running["lower"],
            running["upper"],
            _slices(running["slices"]),
            running.get("version", running["upper"]),
            running["position"],
            running.get("total"),
            running.get("done", 0),
        ),
    )


def _slices(values: Any) -> tuple[Slice, ...]:
    return tuple(Slice(*value) for value in values or ())
