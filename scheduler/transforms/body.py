"""A ``_transform`` body, parsed and checked: what this executor runs, and why it refuses the rest. Pure.

What is refused is what Elasticsearch refuses (probed on 8.10.4), and what this executor does not do; nothing
is left out in silence. Names and limits are those of Elasticsearch's reference of the create-transform API.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.errors import SchedulerError
from scheduler.transforms.asking import asked, asked_name

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
_OTHERS = frozenset({"stats", "percentiles", "scripted_metric", "top_metrics", "bucket_selector"})
SUPPORTED = SINGLE_VALUES | BUCKETS | _OTHERS
_SOURCES_KNOWN = {
    "terms": {"field", "script", "missing_bucket"},
    "histogram": {"field", "script", "missing_bucket", "interval"},
    "date_histogram": {
        "field",
        "script",
        "missing_bucket",
        "fixed_interval",
        "calendar_interval",
        "time_zone",
        "offset",
    },
}
# Elasticsearch runs these natively; this executor does not.
_NATIVE_ONLY = frozenset({"boxplot", "geo_bounds", "geo_centroid", "geo_line", "geotile_grid"})

# The aggregation that holds the newest document of a group, where the transform is of the kind ``latest``.
NEWEST = "newest"

_TIME_VALUE = re.compile(r"(\d+)(nanos|micros|ms|s|m|h|d)")
_UNIT_MILLISECONDS = {"nanos": 1e-6, "micros": 1e-3, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_UNIT_MILLISECONDS["d"] = 86_400_000
_CALENDAR_UNITS = {
    "minute": "m",
    "1m": "m",
    "hour": "h",
    "1h": "h",
    "day": "d",
    "1d": "d",
    "week": "w",
    "1w": "w",
    "month": "M",
    "1M": "M",
    "quarter": "q",
    "1q": "q",
    "year": "y",
    "1y": "y",
}
# The longest that one calendar unit can be, a change of the clock included: what a bucket is at most.
_LONGEST_DAYS = {"m": 1 / 24, "h": 1 / 6, "d": 1.25, "w": 7.25, "M": 31.25, "q": 92.25, "y": 366.25}


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


def parse_body(identifier: str, body: Mapping[str, Any], *, runtime_fields: bool = False) -> TransformBody:
    """Parse and check a ``_transform`` body.

    Args:
        identifier: the transform's id, for messages.
        body: as it is sent to ``PUT _transform/<id>``.
        runtime_fields: whether the engine has runtime fields.

    Raises:
        UnsupportedTransform: with the place in the body and the reason.
    """
    return _Parser(identifier, runtime_fields).parse(body)


def time_value_milliseconds(text: Any) -> float | None:
    """How long ``1s`` or ``500ms`` is, in the engine's notation of durations; None for anything else."""
    match = _TIME_VALUE.fullmatch(text) if isinstance(text, str) else None
    return int(match[1]) * _UNIT_MILLISECONDS[match[2]] if match else None


def offset_milliseconds(group: GroupSource) -> int:
    """By how much the buckets of a date_histogram are shifted (``offset``: ``6h``, ``-1d``)."""
    text = str(group.specification.get("offset", "0ms"))
    sign = -1 if text.startswith("-") else 1
    return sign * int(time_value_milliseconds(text.lstrip("+-")) or 0)


class _Parser:
    """Holds what every refusal names: which transform, on which kind of engine."""

    def __init__(self, identifier: str, runtime_fields: bool) -> None:
        self._identifier = identifier
        self._runtime_fields = runtime_fields

    def _refuse(self, place: str, reason: str) -> UnsupportedTransform:
        return UnsupportedTransform(f"transform {self._identifier}: {place}: {reason}")

    def _object(self, value: Any, place: str, known: set[str] | None = None) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._refuse(place, "must be an object")
        for key in value:
            if known is not None and key not in known:
                raise self._refuse(f"{place}.{key}".removeprefix("body."), "is not supported")
        return value

    def _text(self, value: Any, place: str) -> str:
        if not isinstance(value, str) or not value:
            raise self._refuse(place, "must be a text")
        return value

    def _milliseconds(
        self, value: Any, place: str, minimum: float = 0, maximum: float | None = None
    ) -> float:
        milliseconds = time_value_milliseconds(value)
        if milliseconds is None:
            raise self._refuse(place, f"{value!r} is no duration such as 1s or 500ms")
        if milliseconds < minimum or (maximum is not None and milliseconds > maximum):
            bounds = f"at least {minimum / 1000:g}s" + (f", at most {maximum / 1000:g}s" if maximum else "")
            raise self._refuse(place, f"{value} must be {bounds}")
        return milliseconds

    def parse(self, body: Mapping[str, Any]) -> TransformBody:
        known = {"source", "dest", "frequency", "sync", "pivot", "latest", "settings", "retention_policy"}
        known |= {"_meta", "description", "id", "version", "create_time"}
        content = self._object(dict(body), "body", known)
        source = self._object(content.get("source"), "source", {"index", "query", "runtime_mappings"})
        indices = source.get("index")
        indices = [indices] if isinstance(indices, str) else indices
        if not isinstance(indices, list) or not indices:
            raise self._refuse("source.index", "must name an index")
        runtime_mappings = self._object(source.get("runtime_mappings") or {}, "source.runtime_mappings")
        if runtime_mappings and not self._runtime_fields:
            raise self._refuse("source.runtime_mappings", "this engine has no runtime fields")
        destination = self._object(content.get("dest"), "dest", {"index", "pipeline"})
        if ("pivot" in content) == ("latest" in content):
            raise self._refuse("body", "needs exactly one of pivot and latest")
        latest = self._latest(content["latest"]) if "latest" in content else None
        grouping = self._pivot(content["pivot"]) if latest is None else _latest_grouping(latest)
        frequency = self._milliseconds(content.get("frequency", "1m"), "frequency", 1000, 3_600_000)
        sync_field, delay = self._sync(content.get("sync"))
        pipeline = destination.get("pipeline")
        deciding = {key: content.get(key) for key in ("source", "dest", "pivot", "latest")}
        deciding["sync_field"] = sync_field
        return TransformBody(
            identifier=self._identifier,
            indices=tuple(self._text(index, "source.index") for index in indices),
            query=self._object(source.get("query") or {"match_all": {}}, "source.query"),
            runtime_mappings=runtime_mappings,
            destination=self._text(destination.get("index"), "dest.index"),
            pipeline=None if pipeline is None else self._text(pipeline, "dest.pipeline"),
            frequency_seconds=frequency / 1000,
            sync_field=sync_field,
            delay_milliseconds=int(delay),
            grouping=grouping,
            latest=latest,
            retention=self._retention(content.get("retention_policy")),
            settings=self._settings(content.get("settings")),
            checksum=hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16],
        )

    def _sync(self, sync: Any) -> tuple[str | None, float]:
        if sync is None:
            return None, 0
        time = self._object(self._object(sync, "sync", {"time"}).get("time"), "sync.time", {"field", "delay"})
        delay = self._milliseconds(time.get("delay", "60s"), "sync.time.delay")
        return self._text(time.get("field"), "sync.time.field"), delay

    def _retention(self, policy: Any) -> Retention | None:
        if policy is None:
            return None
        content = self._object(policy, "retention_policy", {"time"})
        time = self._object(content.get("time"), "retention_policy.time", {"field", "max_age"})
        max_age = time.get("max_age")
        self._milliseconds(max_age, "retention_policy.time.max_age", 60_000)
        return Retention(self._text(time.get("field"), "retention_policy.time.field"), str(max_age))

    def _settings(self, settings: Any) -> RunSettings:
        known = {"max_page_search_size", "docs_per_second", "align_checkpoints", "dates_as_epoch_millis"}
        known |= {"deduce_mappings", "unattended", "num_failure_retries"}
        content = self._object(settings or {}, "settings", known)
        page_size = content.get("max_page_search_size")
        if page_size is not None and not (isinstance(page_size, int) and 10 <= page_size <= 65_536):
            raise self._refuse("settings.max_page_search_size", f"{page_size} must be 10 to 65536")
        if "num_failure_retries" in content:
            raise self._refuse("settings.num_failure_retries", "is not supported")
        per_second = content.get("docs_per_second")
        if per_second is not None and (not isinstance(per_second, int | float) or per_second <= 0):
            raise self._refuse("settings.docs_per_second", f"{per_second} must be above 0")
        return RunSettings(
            page_size,
            per_second,
            content.get("align_checkpoints") is not False,
            bool(content.get("dates_as_epoch_millis", False)),
            content.get("deduce_mappings") is not False,
            bool(content.get("unattended", False)),
        )

    def _latest(self, value: Any) -> Latest:
        latest = self._object(value, "latest", {"unique_key", "sort"})
        keys = latest.get("unique_key")
        if not isinstance(keys, list) or not keys:
            raise self._refuse("latest.unique_key", "must be a list of fields")
        names = tuple(self._text(key, "latest.unique_key") for key in keys)
        if len(set(names)) < len(names):
            raise self._refuse("latest.unique_key", "names a field twice")
        return Latest(names, self._text(latest.get("sort"), "latest.sort"))

    def _pivot(self, value: Any) -> Grouping:
        pivot = self._object(value, "pivot", {"group_by", "aggregations", "aggs"})
        groups = self._object(pivot.get("group_by"), "pivot.group_by")
        if not groups:
            raise self._refuse("pivot.group_by", "must group by something")
        if ("aggregations" in pivot) == ("aggs" in pivot):
            raise self._refuse("pivot", "needs aggregations")
        request = self._object(pivot.get("aggregations", pivot.get("aggs")), "pivot.aggregations")
        if not request:
            raise self._refuse("pivot.aggregations", "must compute something")
        sources = tuple(self._group(name, group) for name, group in groups.items())
        aggregations = self._aggregations(request, "pivot.aggregations")
        self._refuse_colliding_names([*groups, *request])
        return Grouping(sources, aggregations, asked(request))

    def _refuse_colliding_names(self, names: list[str]) -> None:
        """A name cannot be a value and hold others at once: ``a`` beside ``a.b``, or twice the same."""
        for position, name in enumerate(names):
            if not all(name.split(".")):
                raise self._refuse(f"pivot: {name}", "a name has no empty part, and no dot at its ends")
            for other in names[position + 1 :]:
                if other == name or other.startswith(f"{name}.") or name.startswith(f"{other}."):
                    raise self._refuse(f"pivot: {name}", f"the names {name} and {other} exclude each other")

    def _group(self, name: str, group: Any) -> GroupSource:
        place = f"pivot.group_by.{name}"
        content = self._object(group, place)
        if len(content) != 1:
            raise self._refuse(place, "must have one kind of grouping")
        kind, specification = next(iter(content.items()))
        if kind in _NATIVE_ONLY:
            raise self._refuse(place, f"{kind} is not supported by this executor")
        if kind not in _SOURCES_KNOWN:
            raise self._refuse(place, f"there is no grouping by {kind}")
        self._object(specification, place, _SOURCES_KNOWN[kind])
        if ("field" in specification) == ("script" in specification):
            raise self._refuse(place, "needs either a field or a script")
        if "script" in specification:
            self._object(specification["script"], f"{place}.script")
        if kind == "terms":
            return GroupSource(name, "terms", specification)
        if kind == "histogram":
            interval = specification.get("interval")
            if isinstance(interval, bool) or not isinstance(interval, int | float) or interval <= 0:
                raise self._refuse(f"{place}.interval", "must be a number above 0")
            return GroupSource(name, "histogram", specification)
        longest = self._longest_bucket(specification, place)
        return GroupSource(name, "date_histogram", specification, longest)

    def _longest_bucket(self, specification: Mapping[str, Any], place: str) -> int:
        fixed, calendar = specification.get("fixed_interval"), specification.get("calendar_interval")
        if (fixed is None) == (calendar is None):
            raise self._refuse(place, "needs either fixed_interval or calendar_interval")
        if fixed is not None:
            return int(self._milliseconds(fixed, f"{place}.fixed_interval", 1))
        unit = _CALENDAR_UNITS.get(str(calendar))
        if unit is None:
            raise self._refuse(f"{place}.calendar_interval", f"{calendar!r} is no calendar interval")
        return int(_LONGEST_DAYS[unit] * _UNIT_MILLISECONDS["d"])

    def _aggregations(self, request: Mapping[str, Any], place: str) -> tuple[Aggregation, ...]:
        parsed = tuple(self._aggregation(name, value, f"{place}.{name}") for name, value in request.items())
        for one in parsed:
            if one.kind in ("bucket_script", "bucket_selector"):
                self._refuse_dotted_paths(one, set(request), f"{place}.{one.name}")
        return parsed

    def _aggregation(self, name: str, value: Any, place: str) -> Aggregation:
        content = self._object(value, place)
        kinds = [key for key in content if key not in ("aggs", "aggregations", "meta")]
        if len(kinds) != 1:
            raise self._refuse(place, "must have one kind of aggregation")
        kind = kinds[0]
        if kind in _NATIVE_ONLY:
            raise self._refuse(place, f"{kind} is not supported by this executor")
        if kind not in SUPPORTED:
            raise self._refuse(place, f"unsupported aggregation type {kind} (Elasticsearch refuses it too)")
        specification = self._object(content[kind], place)
        inner = content.get("aggs", content.get("aggregations")) or {}
        if inner and kind not in BUCKETS:
            raise self._refuse(place, f"a {kind} aggregation holds no others")
        return Aggregation(
            name, kind, specification, self._aggregations(inner, place), asked_as=asked_name(name)
        )

    def _refuse_dotted_paths(self, aggregation: Aggregation, names: set[str], place: str) -> None:
        paths = aggregation.specification.get("buckets_path")
        for path in paths.values() if isinstance(paths, dict) else [paths]:
            # The engine takes what follows the last dot for a property of the metric.
            if isinstance(path, str) and "." in path and path in names:
                reason = f"buckets_path {path!r} cannot name an aggregation with a dot; write {path}.value"
                raise self._refuse(place, reason)


def _latest_grouping(latest: Latest) -> Grouping:
    groups = tuple(
        GroupSource(name, "terms", {"field": name, "missing_bucket": True}) for name in latest.unique_key
    )
    newest = {"top_hits": {"size": 1, "sort": [{latest.sort: {"order": "desc"}}]}}
    return Grouping(groups, (), {NEWEST: newest})
