"""From a bucket that the engine answered to the document that a native transform would write. Pure.

The forms (number or text, null or absent, names) are those of Elasticsearch 8.10.4, probed on a real node.
``types`` maps an output field's dotted name to the type it has in the destination, or would get by deduction:
where it is a whole-number type, a number without a fraction is written as ``1``, else as ``1.0``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import MAXYEAR, UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from scheduler.java_numbers import java_double, java_scalar
from scheduler.transforms.body import (
    NEWEST,
    SINGLE_VALUES,
    Aggregation,
    GroupSource,
    RunSettings,
    TransformBody,
)

WHOLE_NUMBERS = frozenset({"long", "integer", "short", "byte", "unsigned_long"})
NUMBERS = WHOLE_NUMBERS | {"double", "float", "half_float", "scaled_float"}
DATES = frozenset({"date", "date_nanos"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The calendar repeats itself after so long; a datetime holds years 1 to 9999.
_CYCLE_YEARS = 400
_CYCLE = timedelta(days=146_097) // timedelta(milliseconds=1)
_FIRST = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_LONGS_END = 2**63
_NANOSECONDS = re.compile(r"(\.\d{3})\d+(?=Z$)")
# What natively is left out of a document, if its name begins so: it is computed for others to use.
_INTERNAL = "_"
# The fraction that a whole number prints with, at the end of a range's key or before the dash in it.
_NO_FRACTION = re.compile(r"\.0(?=-|$)")
# Marks a field that a native transform leaves out, as distinct from null, which it writes.
_ABSENT = object()


def document_of(body: TransformBody, bucket: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """The document of one ``composite`` bucket."""
    if body.latest is not None:
        # The source as it was sent: dates as they were written, nulls where they were.
        newest: dict[str, Any] = bucket[NEWEST]["hits"]["hits"][0]["_source"]
        return {name: value for name, value in newest.items() if name[:1] != _INTERNAL}
    document: dict[str, Any] = {}
    for group in body.grouping.groups:
        if group.name[0] != _INTERNAL:
            value = _group_value(group, bucket["key"][group.name], types.get(group.name), body.settings)
            _set(document, group.name, value)
    for name, value in _values(body.grouping.aggregations, bucket, types, ""):
        if name[0] != _INTERNAL:
            _set(document, name, value)
    return document


@lru_cache(maxsize=4096)  # many groups share a bucket
def iso_milliseconds(milliseconds: float) -> str:
    """``2026-11-25T02:05:40.000Z``, as a native transform writes a group key that is a date."""
    cycles = 0
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        cycles = (int(milliseconds) - _FIRST) // _CYCLE
        moment = _EPOCH + timedelta(milliseconds=int(milliseconds) - cycles * _CYCLE)
    year = moment.year + cycles * _CYCLE_YEARS
    years = f"+{year}" if year > MAXYEAR else f"{year:05d}" if year < 0 else f"{year:04d}"
    return f"{years}-{moment:%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _group_value(group: GroupSource, value: Any, kind: str | None, settings: RunSettings) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if kind in DATES:
        return value if settings.dates_as_epoch_millis else iso_milliseconds(value)
    if group.kind == "histogram":
        return _number(float(value), kind)
    return value


def _values(
    aggregations: Iterable[Aggregation], bucket: Mapping[str, Any], types: Mapping[str, str], prefix: str
) -> Iterator[tuple[str, Any]]:
    for aggregation in aggregations:
        name = aggregation.name
        if aggregation.kind == "percentiles" and not bucket["doc_count"]:
            yield name, {}  # nothing was counted, and so there are no percents either
        elif aggregation.asked_as in bucket:
            value = _value(aggregation, bucket[aggregation.asked_as], types, prefix + name)
            if value is not _ABSENT:
                yield name, value


def _value(aggregation: Aggregation, answer: Mapping[str, Any], types: Mapping[str, str], name: str) -> Any:
    match aggregation.kind:
        case kind if kind in SINGLE_VALUES:
            return _single(answer, types.get(name))
        case "stats":
            # Without values only the two that are numbers then.
            keys = ("count", "min", "max", "avg", "sum")
            return {
                key: _number(answer[key], types.get(f"{name}.{key}"))
                for key in keys
                if answer[key] is not None
            }
        case "percentiles":
            return _percentiles(answer["values"])
        case "scripted_metric":
            return answer.get("value")
        case "top_metrics":
            return _top_metrics(aggregation, answer, types, name)
        case "filter" | "missing":
            return _bucket(aggregation, answer, types, name)
        case "range":
            return _ranges(aggregation, answer["buckets"])
        case "terms" | "rare_terms":
            return {
                _term_key(bucket): _bucket(aggregation, bucket, types, f"{name}.{_term_key(bucket)}")
                for bucket in answer["buckets"]
            }
    return _ABSENT


def _bucket(
    aggregation: Aggregation, bucket: Mapping[str, Any], types: Mapping[str, str], name: str
) -> int | dict[str, Any]:
    """A bucket's number of documents, or what the aggregations inside it say."""
    if not aggregation.inner:
        return int(bucket["doc_count"])
    return dict(_values(aggregation.inner, bucket, types, f"{name}."))


def _single(answer: Mapping[str, Any], kind: str | None) -> Any:
    value = answer.get("value")
    if value is None:
        # A script that had nothing to work on is not in the answer; one that gave no finite number is.
        return None
    formatted = answer.get("value_as_string")
    if formatted is not None and kind not in NUMBERS and formatted != java_double(float(value)):
        return formatted  # dates in their field's own format, booleans as texts
    return _number(value, kind)


def _number(value: float, kind: str | None) -> int | float:
    """A number as its type in the destination has it: whole ones are cut off, as Java's cast to long does."""
    if kind not in WHOLE_NUMBERS:
        return float(value)
    if value >= _LONGS_END:
        # An unsigned one, with no more digits than its double prints with.
        return int(Decimal(repr(float(value))))
    return max(int(value), -_LONGS_END)


def _percentiles(values: Any) -> dict[str, float | None]:
    """By percent; the engine answers with a list where the aggregation is not ``keyed``."""
    if isinstance(values, dict):
        values = [
            {"key": percent, "value": value}
            for percent, value in values.items()
            if not percent.endswith("_as_string")
        ]
    return {number_name(float(one["key"])): one["value"] for one in values}


def number_name(value: float | None) -> str:
    """A number as part of a field name: ``50``, ``99_9``; no bound is ``*``."""
    if value is None:
        return "*"
    whole = value.is_integer() and abs(value) < 2**63
    return str(int(value)) if whole else java_double(value).replace(".", "_")


@lru_cache(maxsize=1024)  # each document has the same ones
def range_name(key: str) -> str:
    """What a range is called in the document: its key without dots (``1.0-10.5`` -> ``1-10_5``)."""
    return _NO_FRACTION.sub("", key).replace(".", "_")


def _ranges(aggregation: Aggregation, buckets: Any) -> dict[str, int | dict[str, Any]]:
    # The answer always has a key; the engine's own looks like 1.0-10.5.
    pairs = buckets.items() if isinstance(buckets, dict) else ((one["key"], one) for one in buckets)
    if not aggregation.inner:
        return {range_name(key): bucket["doc_count"] for key, bucket in pairs}
    # Natively what is inside a range finds no type, so that its numbers are written as 1.0.
    return {range_name(key): _bucket(aggregation, bucket, {}, "") for key, bucket in pairs}


def _term_key(bucket: Mapping[str, Any]) -> str:
    key = bucket.get("key_as_string", bucket["key"])
    return java_double(key) if isinstance(key, float) else str(key)


def metric_fields(aggregation: Aggregation) -> list[str]:
    """The fields that a ``top_metrics`` aggregation keeps."""
    metrics = aggregation.specification.get("metrics", [])
    return [one["field"] for one in (metrics if isinstance(metrics, list) else [metrics])]


def _top_metrics(
    aggregation: Aggregation, answer: Mapping[str, Any], types: Mapping[str, str], name: str
) -> dict[str, str]:
    if "hits" in answer:  # asked for as a document
        hits = answer["hits"]["hits"]
        top = [{field: found[0] for field, found in hit.get("fields", {}).items()} for hit in hits]
    else:
        top = [one["metrics"] for one in answer["top"]]
    if not top:
        return {}
    return {
        field: _metric_text(top[0].get(field), types.get(f"{name}.{field}"))
        for field in metric_fields(aggregation)
    }


def _metric_text(value: Any, kind: str | None) -> str:
    """Natively always texts, and the text "null" where there is no value."""
    if kind == "date_nanos" and isinstance(value, str):
        return _NANOSECONDS.sub(r"\1", value)  # the milliseconds
    return java_scalar(value)


def _set(document: dict[str, Any], name: str, value: Any) -> None:
    """Set a dotted name, making the objects on the way."""
    path, last = _path(name)
    place = document
    for part in path:
        place = place.setdefault(part, {})
    place[last] = value


@lru_cache(maxsize=1024)  # each document has the same ones
def _path(name: str) -> tuple[tuple[str, ...], str]:
    *path, last = name.split(".")
    return tuple(path), last
