"""Which of several schedulers executes: a lease, what is seen of it, and what to do then. Pure.

The lease is one document. Whoever writes it, writes it with ``if_seq_no``, so of two that want it one gets
it. Its holder renews it; who waits looks whether it moves. No time of day is compared: that a lease is over
is known from its revision having stood still for a while by the waiting one's own stopwatch. So a clock that
jumps, here or there, makes nobody take over.

A holder may be stopped for any time between looking at its lease and doing something. Therefore the lease
only spares work; that nothing is done twice is up to each write (see ``docs/scheduler.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from scheduler.watches.instants import millisecond_text, parse_instant

LEASE_ID = "scheduler:lease"
"""The ``_id`` of the lease."""

TTL_SECONDS = 8.0
"""How long a lease holds that is not renewed. With a look each second another one takes over within 15 s."""
RENEW_SECONDS = 2.0
"""How often its holder renews it: three renewals may fail."""
LOOK_SECONDS = 1.0
"""How often the others look at it: so soon one takes over a lease that was given back."""

STANDBY_SECONDS = 10.0
"""How often one that waits says that it is there, for those who ask how things stand."""

Step = Literal["take", "renew", "wait"]


@dataclass(frozen=True, slots=True)
class Member:
    """A scheduler that may hold the lease: a name that no other process ever bears, its host and its pid."""

    name: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease as it stands in the engine.

    Attributes:
        holder: who holds it; None where it was given back.
        term: counts the holders.
        since: when this one took it, by the engine's clock.
        renewed_at: when it was written, by the engine's clock: for people, and to date a handover.
        sequence_number, primary_term: its revision; None before it is written.
    """

    holder: Member | None
    term: int
    since: datetime
    renewed_at: datetime
    sequence_number: int | None = None
    primary_term: int | None = None

    def is_held_by(self, member: Member) -> bool:
        """Whether this member holds it."""
        return self.holder is not None and self.holder.name == member.name


@dataclass(frozen=True, slots=True)
class Standby:
    """A scheduler that waits for the lease, and when it was heard of, by the engine's clock."""

    member: Member
    seen_at: datetime

    @property
    def document_id(self) -> str:
        """The ``_id`` of its document."""
        return f"scheduler:standby:{self.member.name}"


class Seen(NamedTuple):
    """What one scheduler has seen of the lease: as it is (None: there is none), and since when it is so."""

    lease: Lease | None
    since: float


def look(before: Seen | None, lease: Lease | None, now: float) -> Seen:
    """What is known after another look at the lease, at ``now`` by the stopwatch."""
    if before is None or _revision(before.lease) != _revision(lease):
        return Seen(lease, now)
    return Seen(lease, before.since)


def _revision(lease: Lease | None) -> tuple[int | None, int | None] | None:
    return None if lease is None else (lease.sequence_number, lease.primary_term)


def next_step(seen: Seen, me: Member, now: float) -> Step:
    """What to do about the lease.

    ``take`` it where there is none, it was given back, or it stood still for its time; ``renew`` one's own.
    """
    lease = seen.lease
    if lease is None or lease.holder is None:
        return "take"
    if lease.is_held_by(me):
        return "renew"
    return "take" if now - seen.since >= TTL_SECONDS else "wait"


def taken(lease: Lease | None, me: Member, moment: datetime) -> Lease:
    """The lease to write in order to hold it, in place of ``lease``."""
    if lease is None:
        return Lease(me, 1, moment, moment)
    return replace(lease, holder=me, term=lease.term + 1, since=moment, renewed_at=moment)


def renewed(lease: Lease, moment: datetime) -> Lease:
    """The lease to write in order to go on holding it."""
    return replace(lease, renewed_at=moment)


def given_back(lease: Lease, moment: datetime) -> Lease:
    """The lease to write in order to let another one take it at once."""
    return replace(lease, holder=None, renewed_at=moment)


def to_document(lease: Lease) -> dict[str, Any]:
    """The document of a lease."""
    holder = lease.holder
    return {
        "type": "lease",
        "holder": None if holder is None else holder.name,
        "host": None if holder is None else holder.host,
        "pid": None if holder is None else holder.pid,
        "term": lease.term,
        "since": millisecond_text(lease.since),
        "renewed_at": millisecond_text(lease.renewed_at),
    }


def from_document(source: Mapping[str, Any], sequence_number: int, primary_term: int) -> Lease:
    """Read the document of a lease, with its revision."""
    name = source["holder"]
    return Lease(
        None if name is None else Member(name, source["host"], source["pid"]),
        source["term"],
        parse_instant(source["since"]),
        parse_instant(source["renewed_at"]),
        sequence_number,
        primary_term,
    )


def standby_document(standby: Standby) -> dict[str, Any]:
    """The document of one that waits; it expires an hour later, in case nobody takes it away."""
    member = standby.member
    return {
        "type": "standby",
        "holder": member.name,
        "host": member.host,
        "pid": member.pid,
        "seen_at": millisecond_text(standby.seen_at),
        "expires_at": millisecond_text(standby.seen_at + timedelta(hours=1)),
    }


def standby_from_document(source: Mapping[str, Any]) -> Standby:
    """Read the document of one that waits."""
    member = Member(source["holder"], source["host"], source["pid"])
    return Standby(member, parse_instant(source["seen_at"]))
