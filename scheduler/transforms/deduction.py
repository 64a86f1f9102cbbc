"""The types of a transform's output fields, deduced from those of its source. Pure.

Elasticsearch makes a missing destination with these types, and they decide how a number is written. Which
type each aggregation has was read off the destinations that Elasticsearch 8.10.4 made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.transforms.body import Aggregation, Grouping
from scheduler.transforms.documents import metric_fields, number_name

_LONG = frozenset({"value_count", "cardinality"})
_SOURCE = frozenset({"min", "max"})
_DOUBLE = frozenset({"sum", "avg", "weighted_avg", "median_absolute_deviation"})
_STATISTICS = ("count", "min", "max", "avg", "sum")
# Percents that `percentiles` has by default.
_PERCENTS = (1, 5, 25, 50, 75, 95, 99)
# Types that a field of the destination cannot have, and what it has instead.
_INSTEAD = {"wildcard": "keyword", "constant_keyword": "keyword"}
# A metric of scaled numbers is no longer scaled.
_METRIC_INSTEAD = {"scaled_float": "float"}
FLATTENED = "flattened"


def flat_types(properties: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The type of each field of a mapping's ``properties``, by dotted name."""
    types: dict[str, str] = {}
    for name, value in properties.items():
        if "properties" in value:
            types |= flat_types(value["properties"], f"{prefix}{name}.")
        elif "type" in value:
            types[prefix + name] = value["type"]
        if "fields" in value:
            types |= flat_types(value["fields"], f"{prefix}{name}.")
    return types


def source_fields(grouping: Grouping) -> set[str]:
    """The fields of the source whose types decide those of the output."""
    fields = {group.field for group in grouping.groups if group.field is not None}
    return fields | _fields_of(grouping.aggregations)


def named_fields(grouping: Grouping) -> set[str]:
    """Every field of the source that is grouped by or computed with; those of queries are not among them."""
    fields = {group.field for group in grouping.groups if group.field is not None}
    waiting: list[Any] = list(grouping.aggregations)
    while waiting:
        one = waiting.pop()
        if isinstance(one, Aggregation):
            waiting += one.inner if one.kind == "filter" else [*one.inner, one.specification]
        elif isinstance(one, Mapping):
            waiting += one.values()
            if isinstance(one.get("field"), str):
                fields.add(one["field"])
        elif isinstance(one, list):
            waiting += one
    return fields


def _fields_of(aggregations: Iterable[Aggregation]) -> set[str]:
    fields: set[str] = set()
    for one in aggregations:
        if one.kind in _SOURCE and "field" in one.specification:
            fields.add(str(one.specification["field"]))
        if one.kind == "top_metrics":
            fields.update(metric_fields(one))
        fields |= _fields_of(one.inner)
    return fields


def deduced_types(grouping: Grouping, source: Mapping[str, str]) -> dict[str, str]:
    """The type of each output field, by dotted name, given those of the source's fields."""
    types: dict[str, str] = {}
    for group in grouping.groups:
        if group.field is not None:  # of a script's values nothing is known
            kind = source.get(group.field, "keyword")
            types[group.name] = _INSTEAD.get(kind, kind)
    return types | _of_aggregations(grouping.aggregations, source, "")


def _of_aggregations(
    aggregations: Iterable[Aggregation], source: Mapping[str, str], prefix: str
) -> dict[str, str]:
    types: dict[str, str] = {}
    for one in aggregations:
        types |= _of_aggregation(one, source, prefix + one.name)
    return types


def _of_aggregation(one: Aggregation, source: Mapping[str, str], name: str) -> dict[str, str]:
    if one.kind in _LONG:
        return {name: "long"}
    if one.kind in _DOUBLE:
        return {name: "double"}
    if one.kind in _SOURCE:
        kind = source.get(str(one.specification.get("field")))
        return {} if kind is None else {name: _of_metric(kind)}
    if one.kind == "stats":
        return {f"{name}.{statistic}": "double" for statistic in _STATISTICS}
    if one.kind == "percentiles":
        percents = one.specification.get("percents", _PERCENTS)
        listed = percents if isinstance(percents, list | tuple) else [percents]
        return {f"{name}.{number_name(float(percent))}": "double" for percent in listed}
    if one.kind == "range":
        return _of_ranges(one, source, name)
    if one.kind == "top_metrics":
        return {
            f"{name}.{field}": _of_metric(source[field]) for field in metric_fields(one) if field in source
        }
    if one.kind in ("terms", "rare_terms"):
        return {name: FLATTENED}
    if one.kind == "filter" and one.inner:
        return _of_aggregations(one.inner, source, f"{name}.")
    if one.kind in ("filter", "missing"):
        # A `missing` with others inside too: natively such a destination then refuses every document.
        return {name: "long"}
    return {}


def _of_metric(kind: str) -> str:
    return _METRIC_INSTEAD.get(kind, _INSTEAD.get(kind, kind))


def _of_ranges(one: Aggregation, source: Mapping[str, str], name: str) -> dict[str, str]:
    types: dict[str, str] = {}
    for wanted in one.specification.get("ranges", ()):
        # By the bounds that are numbers, even where the range has a key of its own.
        bounds = (wanted.get(end) for end in ("from", "to"))
        ends = (float(bound) if isinstance(bound, int | float) else None for bound in bounds)
        place = f"{name}.{'-'.join(number_name(end) for end in ends)}"
        types |= _of_aggregations(one.inner, source, f"{place}.") if one.inner else {place: "long"}
    return types


def deduced_mappings(types: Mapping[str, str], *, flattened: str) -> dict[str, Any]:
    """The mappings of a destination with these types; ``flattened`` is what the engine calls that type."""
    return {
        "_meta": {"created_by": "httpmon"},
        "properties": {
            name: {"type": flattened if kind == FLATTENED else kind} for name, kind in types.items()
        },
    }
