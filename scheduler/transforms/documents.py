"""From a bucket that the engine answered to the document that a native transform would write. Pure.

The forms (number or text, null or absent, names) are those of Elasticsearch 8.10.4, probed on a real node.
``types`` maps an output field's dotted name to the type it has in the destination, or would get by deduction:
where it is a whole-number type, a number without a fraction is written as ``1``, else as ``1.0``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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
Answer = Mapping[str, Any]
# Reads a value out of a bucket, or out of an aggregation's answer.
Reader = Callable[[Answer], Any]
# Marks a field that a native transform leaves out, as distinct from null, which it writes.
_ABSENT = object()


def document_maker(body: TransformBody, types: Mapping[str, str]) -> Callable[[Answer], dict[str, Any]]:
    """What makes the document of a ``composite`` bucket: made once for the buckets of many pages.

    All that is the same for each bucket (names, their parts, types) is looked up while it is made.
    """
    if body.latest is not None:
        return _newest_document
    fields: list[tuple[str, Reader]] = [
        (group.name, _group_reader(group, types.get(group.name), body.settings))
        for group in body.grouping.groups
    ]
    fields += _readers(body.grouping.aggregations, types, "")
    placed = [(*_path(name), read) for name, read in fields if name[0] != _INTERNAL]

    def document(bucket: Answer) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for path, last, read in placed:
            value = read(bucket)
            if value is not _ABSENT:
                place = made
                for part in path:
                    place = place.setdefault(part, {})
                place[last] = value
        return made

    return document


def _newest_document(bucket: Answer) -> dict[str, Any]:
    # The source as it was sent: dates as they were written, nulls where they were.
    newest: dict[str, Any] = bucket[NEWEST]["hits"]["hits"][0]["_source"]
    return {name: value for name, value in newest.items() if name[:1] != _INTERNAL}


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


def _group_reader(group: GroupSource, kind: str | None, settings: RunSettings) -> Reader:
    name = group.name
    is_date = kind in DATES and not settings.dates_as_epoch_millis
    is_number = kind not in DATES and group.kind == "histogram"

    def read(bucket: Answer) -> Any:
        value = bucket["key"][name]
        if value is None or isinstance(value, str | bool):
            return value
        if is_date:
            return iso_milliseconds(value)
        return _number(float(value), kind) if is_number else value

    return read


def _readers(
    aggregations: Iterable[Aggregation], types: Mapping[str, str], prefix: str
) -> list[tuple[str, Reader]]:
    """What reads each aggregation's value out of the bucket that they are in."""
    return [(one.name, _reader(one, types, prefix + one.name)) for one in aggregations]


def _reader(aggregation: Aggregation, types: Mapping[str, str], name: str) -> Reader:
    asked_as = aggregation.asked_as
    value_of = _answer_reader(aggregation, types, name)
    # Where nothing was counted there are no percents either.
    empty_without_documents = aggregation.kind == "percentiles"

    def read(bucket: Answer) -> Any:
        if empty_without_documents and not bucket["doc_count"]:
            return {}
        return value_of(bucket[asked_as]) if asked_as in bucket else _ABSENT

    return read


def _answer_reader(aggregation: Aggregation, types: Mapping[str, str], name: str) -> Reader:
    """What makes a value of an aggregation's answer; ``name`` is the field's, from the document's root."""
    match aggregation.kind:
        case kind if kind in SINGLE_VALUES:
            return _single_reader(types.get(name))
        case "stats":
            return _statistics_reader(types, name)
        case "percentiles":
            return lambda answer: _percentiles(answer["values"])
        case "scripted_metric":
            return lambda answer: answer.get("value")
        case "top_metrics":
            return lambda answer: _top_metrics(aggregation, answer, types, name)
        case "filter" | "missing":
            return _bucket_reader(aggregation, types, name)
        case "range":
            return _ranges_reader(aggregation)
        case "terms" | "rare_terms":
            return _terms_reader(aggregation, types, name)
    return lambda _: _ABSENT


def _bucket_reader(aggregation: Aggregation, types: Mapping[str, str], name: str) -> Reader:
    """A bucket's number of documents, or what the aggregations inside it say."""
    if not aggregation.inner:
        return lambda bucket: bucket["doc_count"]
    fields = _readers(aggregation.inner, types, f"{name}.")

    def read(bucket: Answer) -> dict[str, Any]:
        values = ((name, read(bucket)) for name, read in fields)
        return {name: value for name, value in values if value is not _ABSENT}

    return read


def _terms_reader(aggregation: Aggregation, types: Mapping[str, str], name: str) -> Reader:
    if any(field.startswith(f"{name}.") for field in types):
        # The types of what is inside depend on the term.
        return lambda answer: {
            key: _bucket_reader(aggregation, types, f"{name}.{key}")(bucket)
            for key, bucket in _keyed(answer["buckets"])
        }
    read = _bucket_reader(aggregation, {}, "")
    return lambda answer: {key: read(bucket) for key, bucket in _keyed(answer["buckets"])}


def _keyed(buckets: Iterable[Answer]) -> Iterator[tuple[str, Answer]]:
    return ((_term_key(bucket), bucket) for bucket in buckets)


def _statistics_reader(types: Mapping[str, str], name: str) -> Reader:
    kinds = {key: types.get(f"{name}.{key}") for key in ("count", "min", "max", "avg", "sum")}
    # Without values only the two that are numbers then.
    return lambda answer: {
        key: _number(answer[key], kind) for key, kind in kinds.items() if answer[key] is not None
    }


def _single_reader(kind: str | None) -> Reader:
    is_number = kind in NUMBERS

    def read(answer: Answer) -> Any:
        value = answer.get("value")
        if value is None:
            # A script that had nothing to work on is not in the answer; one that gave no finite number is.
            return None
        if not is_number:
            formatted = answer.get("value_as_string")
            if formatted is not None and formatted != java_double(float(value)):
                return formatted  # dates in their field's own format, booleans as texts
        return _number(value, kind)

    return read


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


def _ranges_reader(aggregation: Aggregation) -> Reader:
    # Natively what is inside a range finds no type, so that its numbers are written as 1.0.
    read = _bucket_reader(aggregation, {}, "")

    def ranges(answer: Answer) -> dict[str, Any]:
        buckets = answer["buckets"]
        # The answer always has a key; the engine's own looks like 1.0-10.5.
        pairs = buckets.items() if isinstance(buckets, dict) else ((one["key"], one) for one in buckets)
        return {range_name(key): read(bucket) for key, bucket in pairs}

    return ranges


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


def _path(name: str) -> tuple[list[str], str]:
    """The objects on the way to a dotted name, and its last part."""
    *path, last = name.split(".")
    return path, last
