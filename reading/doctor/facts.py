"""What the doctor looks at. Values only; ``gather`` asks for them, ``diagnose`` judges them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from engine.capabilities import Capabilities
from reading.installation import Installation, KibanaState

Contact = Literal["answers", "unreachable", "untrusted", "speaks_tls", "unknown_account", "no_engine"]
"""How the engine was met: whether it answers, and if not, what is in the way."""


@dataclass(frozen=True, slots=True)
class Licence:
    """Elasticsearch's licence: its type, ``active`` or ``expired``, and its end where it has one."""

    type: str
    status: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of one data node, in bytes."""

    node: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Watermark:
    """One of the cluster's limits: so much must stay free, as bytes or as a part of the disk.

    ``headroom`` is the most bytes that a part may come to; None for no limit.
    """

    name: str
    setting: str
    bytes: int | None = None
    part: float | None = None
    headroom: int | None = None

    def must_be_free(self, disk: Disk) -> float:
        """How many bytes must be free on a disk."""
        if self.bytes is not None:
            return float(self.bytes)
        wanted = (self.part or 0.0) * disk.total
        return wanted if self.headroom is None else min(wanted, float(self.headroom))


@dataclass(frozen=True, slots=True)
class LostShard:
    """A shard that is nowhere: its index, and what the engine says of it.

    Attributes:
        decider: the rule of the engine's that keeps it from being allocated, or "".
        explanation: the engine's words.
        filters: settings of the index that no node meets.
    """

    index: str
    shard: int
    decider: str = ""
    explanation: str = ""
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lines:
    """What became of the lines that came within the last hour.

    Attributes:
        hits: those that are hits.
        unparsed: those that are not.
        reasons: why not, with how many, the most frequent first.
        example: one of them.
        path: the file that it is of, or "".
    """

    hits: int = 0
    unparsed: int = 0
    reasons: tuple[tuple[str, int], ...] = ()
    example: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Hits of the last day that no transform counts, because they do not say the middle of their bucket.

    Attributes:
        stream: where they are stored.
        hits: how many.
        example: the line of the newest of them, or "".
        path: the file that it is of, or "".
    """

    stream: str
    hits: int = 0
    example: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Backing:
    """One index of a data stream, oldest first in a list of them."""

    name: str
    created_at: datetime
    documents: int


@dataclass(frozen=True, slots=True)
class Expiry:
    """How one data stream expires: its retention, and its indices, oldest first."""

    stream: str
    retention: str
    seconds: float
    by: str
    indices: tuple[Backing, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """An object under a name of this installation that somebody else wrote: its kind, name, and why."""

    kind: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Findable:
    """Everything that was found out; what could not be is None or empty.

    Attributes:
        read_at: when, by this host's clock, UTC.
        contact: how the engine was met.
        trouble: what it, or the way to it, said.
        capabilities: what the engine is.
        refused: what this account was not allowed to ask, in the engine's words.
        lacking: for each task, the privileges that this account lacks for it.
        licence: Elasticsearch's.
        clock_skew: seconds by which the engine's clock is ahead of this host's, and how sure that is.
        disks, watermarks: the data nodes' disks and the cluster's limits; no limits where they are off.
        blocks: by index, the settings that keep it from being written.
        lost: primary shards that are nowhere.
        yellow: indices without all their copies.
        conflicts: by group of indices and field, the indices of each type of the field.
        lines: what came within the last hour.
        refused_lines: why lines were refused for good within the last day, and how many.
        uncounted: hits of the last day that the transforms leave out; None where they leave none out.
        future_hit: event time of the newest hit, if it lies ahead of the engine's clock.
        expiries: data streams that have a retention.
        foreign: objects under this installation's names that httpmon did not make for it.
        otherwise: objects that somebody rendered otherwise with the same version of httpmon.
        newer: the newest version of httpmon that wrote an object, if newer than this one.
        twice: transforms and watches that both executors would run.
        installation: as ``httpmon status`` sees it.
        kibana: as ``httpmon status`` sees it; None where none is set.
    """

    read_at: datetime
    contact: Contact = "answers"
    trouble: str = ""
    capabilities: Capabilities | None = None
    refused: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    licence: Licence | None = None
    clock_skew: tuple[float, float] | None = None
    disks: tuple[Disk, ...] = ()
    watermarks: tuple[Watermark, ...] = ()
    blocks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lost: tuple[LostShard, ...] = ()
    yellow: tuple[str, ...] = ()
    conflicts: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    lines: Lines | None = None
    refused_lines: tuple[tuple[str, int], ...] = ()
    uncounted: Uncounted | None = None
    future_hit: datetime | None = None
    expiries: tuple[Expiry, ...] = ()
    foreign: tuple[Claim, ...] = ()
    otherwise: tuple[str, ...] = ()
    newer: str = ""
    twice: tuple[str, ...] = ()
    installation: Installation | None = None
    kibana: KibanaState | None = None
