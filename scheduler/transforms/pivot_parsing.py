"""Parses and checks the ``pivot`` of a transform. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.transforms.asking import asked, asked_name
from scheduler.transforms.body import BUCKETS, PIPELINES, SINGLE_VALUES, Aggregation, Grouping, GroupSource
from scheduler.transforms.checks import Checks
from scheduler.transforms.parameters import FORMS, check_form, check_script

_OTHERS = frozenset({"stats", "percentiles", "scripted_metric", "top_metrics", "bucket_selector"})
_SUPPORTED = SINGLE_VALUES | BUCKETS | _OTHERS
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
_CALENDAR_UNITS = {
    "second": "s",
    "minute": "m",
    "hour": "h",
    "day": "d",
    "week": "w",
    "month": "M",
    "quarter": "q",
    "year": "y",
}
# The longest that one calendar unit can be, a change of the clock included: what a bucket is at most.
_LONGEST_SECONDS = {
    "s": 1,
    "m": 3_600,
    "h": 4 * 3_600,
    "d": 30 * 3_600,
    "w": 174 * 3_600,
    "M": 750 * 3_600,
    "q": 2_214 * 3_600,
    "y": 8_790 * 3_600,
}


class PivotParser(Checks):
    """Parses ``pivot``; ``elasticsearch`` says whether that is the engine."""

    def __init__(self, identifier: str, *, elasticsearch: bool) -> None:
        super().__init__(identifier)
        self._elasticsearch = elasticsearch

    def parse(self, value: Any) -> Grouping:
        """The groups and what is computed of them. Raises UnsupportedTransform."""
        pivot = self.object(value, "pivot", {"group_by", "aggregations", "aggs"})
        groups = self.object(pivot.get("group_by"), "pivot.group_by")
        if not groups:
            raise self.refusal("pivot.group_by", "must group by something")
        if ("aggregations" in pivot) == ("aggs" in pivot):
            raise self.refusal("pivot", "needs aggregations")
        request = self.object(pivot.get("aggregations", pivot.get("aggs")), "pivot.aggregations")
        if not request:
            raise self.refusal("pivot.aggregations", "must compute something")
        sources = tuple(self._group(name, group) for name, group in groups.items())
        self.names([*groups, *request], "pivot")
        aggregations = self._aggregations(request, "pivot.aggregations")
        return Grouping(sources, aggregations, asked(request, elasticsearch=self._elasticsearch))

    # -- groups ------------------------------------------------------------------------------------------

    def _group(self, name: str, group: Any) -> GroupSource:
        place = f"pivot.group_by.{name}"
        content = self.object(group, place)
        if len(content) != 1:
            raise self.refusal(place, "must have one kind of grouping")
        kind, specification = next(iter(content.items()))
        if kind in _NATIVE_ONLY:
            raise self.refusal(place, f"{kind} is not supported by this executor")
        if kind not in _SOURCES_KNOWN:
            raise self.refusal(place, f"there is no grouping by {kind}")
        specification = self.object(specification, place, _SOURCES_KNOWN[kind])
        if ("field" in specification) == ("script" in specification):
            raise self.refusal(place, "needs either a field or a script")
        if "script" in specification:
            check_script(self, specification["script"], f"{place}.script")
        else:
            self.text(specification["field"], f"{place}.field")
        if "missing_bucket" in specification and specification["missing_bucket"] is None:
            raise self.refusal(f"{place}.missing_bucket", "must be true or false")
        self.flag(specification, "missing_bucket", place, default=False)
        if kind == "terms":
            return GroupSource(name, "terms", specification)
        if kind == "histogram":
            interval = self.number(specification.get("interval"), f"{place}.interval")
            if interval <= 0:
                raise self.refusal(f"{place}.interval", "must be a number above 0")
            return GroupSource(name, "histogram", {**specification, "interval": interval})
        zone = specification.get("time_zone", "UTC")
        if isinstance(zone, bool) or not isinstance(zone, str | int) or zone == "":
            raise self.refusal(f"{place}.time_zone", "must be a time zone such as Europe/Berlin or +02:00")
        offset = specification.get("offset")
        if isinstance(offset, int | float) and not isinstance(offset, bool):
            specification = {**specification, "offset": f"{int(offset)}ms"}
        longest = self._longest_bucket(specification, place)
        return GroupSource(name, "date_histogram", specification, longest)

    def _longest_bucket(self, specification: Mapping[str, Any], place: str) -> int:
        fixed, calendar = specification.get("fixed_interval"), specification.get("calendar_interval")
        if (fixed is None) == (calendar is None):
            raise self.refusal(place, "needs either fixed_interval or calendar_interval")
        offset = specification.get("offset", "0s")
        sign = offset[:1] if isinstance(offset, str) and offset[:1] in ("+", "-") else ""
        self.milliseconds(offset[1:] if sign else offset, f"{place}.offset")
        if fixed is not None:
            return int(self.milliseconds(fixed, f"{place}.fixed_interval", 1))
        text = str(calendar)
        unit = _CALENDAR_UNITS.get(text) or (text[1:] if text[:1] == "1" else "")
        if unit not in _LONGEST_SECONDS:
            raise self.refusal(f"{place}.calendar_interval", f"{calendar!r} is no calendar interval")
        return _LONGEST_SECONDS[unit] * 1000

    # -- aggregations ------------------------------------------------------------------------------------

    def _aggregations(self, request: Mapping[str, Any], place: str) -> tuple[Aggregation, ...]:
        parsed = tuple(self._aggregation(name, value, f"{place}.{name}") for name, value in request.items())
        for one in parsed:
            if one.kind in PIPELINES:
                self._check_paths(one, set(request), f"{place}.{one.name}")
        return parsed

    def _aggregation(self, name: str, value: Any, place: str) -> Aggregation:
        content = self.object(value, place)
        kinds = [key for key in content if key not in ("aggs", "aggregations", "meta")]
        if len(kinds) != 1:
            raise self.refusal(place, "must have one kind of aggregation")
        kind = kinds[0]
        if kind in _NATIVE_ONLY:
            raise self.refusal(place, f"{kind} is not supported by this executor")
        if kind not in _SUPPORTED:
            raise self.refusal(place, f"unsupported aggregation type {kind} (Elasticsearch refuses it too)")
        specification = self._specification(kind, content[kind], place)
        self.optional_object(content, "meta", f"{place}.meta")
        return Aggregation(
            name, kind, specification, self._inner(kind, content, place), asked_as=asked_name(name)
        )

    def _inner(self, kind: str, content: dict[str, Any], place: str) -> tuple[Aggregation, ...]:
        keys = [key for key in ("aggs", "aggregations") if key in content]
        if not keys:
            return ()
        if kind not in BUCKETS:
            raise self.refusal(place, f"a {kind} aggregation holds no others")
        if len(keys) > 1:
            raise self.refusal(place, "has both aggs and aggregations")
        inner = self.object(content[keys[0]], f"{place}.{keys[0]}")
        self.names(list(inner), place)
        return self._aggregations(inner, place)

    def _specification(self, kind: str, value: Any, place: str) -> dict[str, Any]:
        """What would otherwise come to light only at the first search, or not at all."""
        if kind == "filter":
            return self.query(value, place)
        specification = check_form(self, FORMS[kind], value, place, kind)
        if str(specification.get("gap_policy")).lower() == "keep_values" and not self._elasticsearch:
            raise self.refusal(f"{place}.gap_policy", "this engine has no keep_values: write skip")
        return specification

    def _check_paths(self, aggregation: Aggregation, names: set[str], place: str) -> None:
        value = aggregation.specification["buckets_path"]
        paths = [value] if isinstance(value, str) else value
        for path in paths.values() if isinstance(paths, dict) else paths:
            # The engine takes what follows the last dot for a property of the metric.
            if isinstance(path, str) and "." in path and path in names:
                reason = f"buckets_path {path!r} cannot name an aggregation with a dot; write {path}.value"
                raise self.refusal(place, reason)
            if isinstance(path, str) and not path.startswith("_") and not _names_one(path, names):
                known = ", ".join(sorted(names - {aggregation.name})) or "none"
                raise self.refusal(place, f"buckets_path {path!r} names no aggregation beside it: {known}")


def _names_one(path: str, names: set[str]) -> bool:
    """Whether a path begins with one of the names, and goes on as a path does."""
    begun = (path[len(name) :] for name in names if path.startswith(name))
    return any(rest[:1] in ("", ".", "[", ">") for rest in begun)
