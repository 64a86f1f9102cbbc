"""A ``_transform`` body as it is executed. ``parsing`` makes it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.errors import SchedulerError

GroupKind = Literal["terms", "histogram", "date_histogram"]

# Metrics with one number as their answer.
SINGLE_VALUES = frozenset(
    {
        "value_count",
        "sum",
        "avg",
        "min",
        "max",
        "cardinality",
        "weighted_avg",
        "median_absolute_deviation",
        "bucket_script",
    }
)
# Aggregations that put documents into buckets and may hold others.
BUCKETS = frozenset({"filter", "missing", "range", "terms", "rare_terms"})
# Aggregations that compute with what others beside them made.
PIPELINES = frozenset({"bucket_script", "bucket_selector"})
# The aggregation that holds the newest document of a group, where the transform is of the kind ``latest``.
NEWEST = "newest"

# Of the units, only m is not written otherwise: M is a month.
_TIME_VALUE = re.compile(r"(\d+)\s*((?i:nanos|micros|ms|s|h|d)|m)")
_UNIT_MILLISECONDS = {"nanos": 1e-6, "micros": 1e-3, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_UNIT_MILLISECONDS["d"] = 86_400_000


class UnsupportedTransform(SchedulerError):
    """A transform's body cannot be executed; the message names the place and the reason."""


@dataclass(frozen=True, slots=True)
class GroupSource:
    """One entry of ``pivot.group_by``.

    Attributes:
        name: the output field.
        kind: how values are grouped.
        specification: what goes below the kind in a ``composite`` source.
        longest_milliseconds: what one bucket of a date_histogram spans at most; 0 for the other kinds.
    """

    name: str
    kind: GroupKind
    specification: Mapping[str, Any]
    longest_milliseconds: int = 0

    @property
    def field(self) -> str | None:
        """The source field; None where a script makes the value."""
        value = self.specification.get("field")
        return value if isinstance(value, str) else None

    @property
    def missing_bucket(self) -> bool:
        """Whether documents without the value form a group with a null key."""
        return bool(self.specification.get("missing_bucket", False))


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One aggregation of a pivot, by its kind, with those inside it.

    ``asked_as`` is its name in a search, and so in the answer.
    """

    name: str
    kind: str
    specification: Mapping[str, Any]
    inner: tuple[Aggregation, ...] = ()
    asked_as: str = ""


@dataclass(frozen=True, slots=True)
class Grouping:
    """By what documents are grouped and what is computed of each group.

    Attributes:
        groups: the parts of a group's key.
        aggregations: what is computed; nothing for ``latest``.
        request: the same as the engine takes it.
    """

    groups: tuple[GroupSource, ...]
    aggregations: tuple[Aggregation, ...]
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Latest:
    """``latest``: of the documents that share ``unique_key``, the one with the greatest ``sort``."""

    unique_key: tuple[str, ...]
    sort: str


@dataclass(frozen=True, slots=True)
class Retention:
    """``retention_policy.time``: summaries whose ``field`` is older than ``max_age`` are removed."""

    field: str
    max_age: str


@dataclass(frozen=True, slots=True)
class RunSettings:
    """``settings`` of a transform, with Elasticsearch's defaults but for the page size.

    Attributes:
        page_size: groups a search; None leaves it to the executor.
        documents_per_second: the limit on documents read; None is no limit.
        align_checkpoints: round a checkpoint down to whole buckets where the sync field is the grouped one.
        dates_as_epoch_millis: write group keys that are dates as numbers.
        deduce_mappings: make a missing destination with mappings deduced from the source.
        unattended: never fail, always retry.
    """

    page_size: int | None = None
    documents_per_second: float | None = None
    align_checkpoints: bool = True
    dates_as_epoch_millis: bool = False
    deduce_mappings: bool = True
    unattended: bool = False


@dataclass(frozen=True, slots=True)
class TransformBody:
    """A transform as it is executed.

    Attributes:
        identifier: its id.
        indices: the source, as the engine takes it in a path.
        query: the source's query.
        runtime_mappings: fields made while searching.
        destination: the index written to.
        pipeline: the ingest pipeline that written documents pass.
        frequency_seconds: how often to look for changes.
        sync_field: the field by which new documents are found; None for a transform that runs once.
        delay_milliseconds: how far behind the engine's clock a checkpoint stays.
        grouping: what a document is made of: that of ``pivot``, or that which ``latest`` amounts to.
        latest: for a transform of this kind.
        retention: what is removed from the destination, if anything.
        settings: how it runs.
        checksum: of all that decides which documents it writes; another one means beginning anew.
    """

    identifier: str
    indices: tuple[str, ...]
    query: Mapping[str, Any]
    destination: str
    frequency_seconds: float
    checksum: str
    grouping: Grouping
    runtime_mappings: Mapping[str, Any] = field(default_factory=dict)
    pipeline: str | None = None
    sync_field: str | None = None
    delay_milliseconds: int = 0
    latest: Latest | None = None
    retention: Retention | None = None
    settings: RunSettings = RunSettings()


def time_value_milliseconds(text: Any) -> float | None:
    """How long ``1s`` or ``500ms`` is, in the engine's notation of durations; None for anything else."""
    match = _TIME_VALUE.fullmatch(text) if isinstance(text, str) else None
    return int(match[1]) * _UNIT_MILLISECONDS[match[2].lower()] if match else None


def offset_milliseconds(group: GroupSource) -> int:
    """By how much the buckets of a date_histogram are shifted (``offset``: ``6h``, ``-1d``)."""
    text = str(group.specification.get("offset", "0ms"))
    sign = -1 if text.startswith("-") else 1
    return sign * int(time_value_milliseconds(text.lstrip("+-")) or 0)
