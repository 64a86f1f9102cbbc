"""What each kind of aggregation takes: its parameters, and what is allowed as the value of each. Pure.

By the reference of Elasticsearch's aggregations and what its parsers (8.10.4) take and refuse. Whether a
field has a type that fits, whether a script compiles and what else depends on the cluster, only the engine
knows: ``acceptance`` asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.transforms.checks import Checks

Parameter = Callable[[Checks, Any, str], object]


@dataclass(frozen=True, slots=True)
class Form:
    """What an object may and must hold.

    Attributes:
        parameters: the keys that are known, and the check of the value of each.
        needed: the keys that must be there.
        values: where the values come from: ``field or script`` for at least one of the two, ``one of field
            and script`` for exactly one, "" for neither.
    """

    parameters: Mapping[str, Parameter]
    needed: tuple[str, ...] = ()
    values: str = ""


# What a Java int can hold, which most numbers of aggregations are.
_MOST = 2_147_483_647
_EITHER = "field or script"
_ONE = "one of field and script"


def check_form(checks: Checks, form: Form, value: Any, place: str, what: str) -> dict[str, Any]:
    """An object of this form; ``what`` names it in a refusal. Raises UnsupportedTransform."""
    content = checks.object(value, place, form.parameters)
    for key in form.needed:
        if key not in content:
            raise checks.refusal(place, f"{what} needs {key}")
    given = [key for key in ("field", "script") if key in content]
    if form.values and not given:
        raise checks.refusal(place, f"{what} needs a field or a script")
    if form.values == _ONE and len(given) > 1:
        raise checks.refusal(place, f"{what} takes a field or a script, not both")
    for key, one in content.items():
        form.parameters[key](checks, one, f"{place}.{key}")
    return content


def check_script(checks: Checks, value: Any, place: str) -> None:
    """A script as an object: its text in ``source``, or the ``id`` of a stored one."""
    content = checks.object(value, place, _SCRIPT)
    given = [key for key in ("source", "inline", "id", "stored") if key in content]
    if len(given) != 1:
        raise checks.refusal(place, "needs either a source or the id of a stored script")
    checks.text(content[given[0]], f"{place}.{given[0]}")
    if given[0] in ("id", "stored") and ("lang" in content or "options" in content):
        raise checks.refusal(place, "a stored script has its own language and options: leave them out")
    for key in ("params", "options"):
        checks.optional_object(content, key, f"{place}.{key}")
    if "lang" in content:
        checks.text(content["lang"], f"{place}.lang")


# The third and fifth are former names, which engines still take.
_SCRIPT = ("source", "id", "inline", "lang", "stored", "params", "options")


def _script(checks: Checks, value: Any, place: str) -> None:
    if isinstance(value, str):
        checks.text(value, place)
    else:
        check_script(checks, value, place)


def _scalar(checks: Checks, value: Any, place: str) -> None:
    if not isinstance(value, str | int | float):
        raise checks.refusal(place, "must be a single value")


def _number(least: float, most: float = _MOST) -> Parameter:
    def check(checks: Checks, value: Any, place: str) -> None:
        if not (least <= checks.number(value, place) <= most):
            raise checks.refusal(place, f"{value} must be from {least:g} to {most:.10g}")

    return check


def _value_or_null(checks: Checks, value: Any, place: str) -> None:
    if value is not None:
        _scalar(checks, value, place)


def _one_of(*words: str) -> Parameter:
    def check(checks: Checks, value: Any, place: str) -> None:
        if value not in words:
            raise checks.refusal(place, f"must be {', '.join(words[:-1])} or {words[-1]}")

    return check


def _gap_policy(checks: Checks, value: Any, place: str) -> None:
    policies = ("skip", "insert_zeros", "keep_values")
    if not isinstance(value, str) or value.lower() not in policies:
        raise checks.refusal(place, "must be skip, insert_zeros or keep_values")


def _buckets_path(checks: Checks, value: Any, place: str) -> None:
    paths = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    if not all(isinstance(path, str) for path in paths):
        raise checks.refusal(place, "must name aggregations")


def _order(checks: Checks, value: Any, place: str) -> None:
    orders = value if isinstance(value, list) else [value]
    if not orders:
        raise checks.refusal(place, "must name what to order by")
    for one in orders:
        directions = checks.object(one, place)
        if not directions:
            raise checks.refusal(place, "must name what to order by")
        for key, direction in directions.items():
            if str(direction).lower() not in ("asc", "desc"):
                raise checks.refusal(f"{place}.{key}", "must be asc or desc")


def _selection(checks: Checks, value: Any, place: str) -> None:
    """``include`` and ``exclude``: a pattern, a list of values, or a partition."""
    if isinstance(value, str):
        return
    if isinstance(value, dict):
        check_form(checks, _PARTITION, value, place, "a partition")
        return
    if not isinstance(value, list) or not all(isinstance(one, str | int | float) for one in value):
        raise checks.refusal(place, "must be a pattern, a list of values, or a partition")


def _percents(checks: Checks, value: Any, place: str) -> None:
    percents = [checks.number(one, place) for one in (value if isinstance(value, list) else [value])]
    if not percents or not all(0 <= percent <= 100 for percent in percents):
        raise checks.refusal(place, "must be numbers from 0 to 100")
    if len(set(percents)) < len(percents):
        raise checks.refusal(place, "names a percent twice")


def _ranges(checks: Checks, value: Any, place: str) -> None:
    if not isinstance(value, list) or not value:
        raise checks.refusal(place, "must be a list of ranges")
    for one in value:
        bounds = checks.object(one, place, ("from", "to", "key"))
        for end in ("from", "to"):
            if bounds.get(end) is not None:
                checks.number(bounds[end], f"{place}.{end}")
        if "key" in bounds and (
            isinstance(bounds["key"], bool) or not isinstance(bounds["key"], int | float)
        ):
            checks.text(bounds["key"], f"{place}.key")


def _metrics(checks: Checks, value: Any, place: str) -> None:
    metrics = value if isinstance(value, list) else [value]
    if not metrics:
        raise checks.refusal(place, "must name a field")
    for one in metrics:
        check_form(checks, _METRIC, one, place, "a metric")


def _sort(checks: Checks, value: Any, place: str) -> None:
    sorts = value if isinstance(value, list) else [value]
    one = sorts[0] if len(sorts) == 1 else None
    if not (isinstance(one, str) and one) and not (isinstance(one, dict) and len(one) == 1):
        raise checks.refusal(place, "must be exactly one sort")


def _single(checks: Checks, value: Any, place: str) -> None:
    if value != 1:
        raise checks.refusal(place, "must be 1: a document has one value of a name")


def _within(form: Form, what: str) -> Parameter:
    return lambda checks, value, place: check_form(checks, form, value, place, what)


_TEXT: Parameter = Checks.text
_FLAG: Parameter = Checks.boolean
_OBJECT: Parameter = Checks.object
_VALUE_TYPES = (
    *("string", "long", "integer", "short", "byte", "double", "float", "number", "numeric"),
    *("date", "ip", "boolean"),
)
# Where values come from. ``script`` beside ``field`` changes each value.
_UNFORMATTED: dict[str, Parameter] = {
    "field": _TEXT,
    "script": _script,
    "missing": _scalar,
    "value_type": _one_of(*_VALUE_TYPES),
}
_VALUES = {**_UNFORMATTED, "format": _TEXT}
_PLAIN = Form(_VALUES, values=_EITHER)
_WEIGHED = Form({"field": _TEXT, "script": _script, "missing": _value_or_null}, values=_ONE)
_METRIC = Form({"field": _TEXT}, needed=("field",))
_PARTITION = Form(
    {"partition": _number(0), "num_partitions": _number(1)}, needed=("partition", "num_partitions")
)
# Each unit takes about 200 bytes of every group: 10,000 in pages of 1,000 groups end a node with a heap of
# 1 GB (OpenSearch 3.8). That of a median is 1000 where nothing is said.
_MOST_COMPRESSION = 1000
_DIGEST_HINT = _one_of("default", "high_accuracy")
_DIGEST = Form({"compression": _number(0, _MOST_COMPRESSION), "execution_hint": _DIGEST_HINT})
_HISTOGRAM = Form({"number_of_significant_value_digits": _number(0, 5)})
_OF_BUCKETS = {"buckets_path": _buckets_path, "script": _script, "gap_policy": _gap_policy}

FORMS: Mapping[str, Form] = {
    **dict.fromkeys(("value_count", "sum", "avg", "min", "max", "stats"), _PLAIN),
    # As for the others, but the documents that lack a script's value cannot be told.
    "missing": Form(_VALUES, needed=("field",)),
    "cardinality": Form(
        {**_UNFORMATTED, "precision_threshold": _number(0), "execution_hint": _TEXT}, values=_EITHER
    ),
    "percentiles": Form(
        {
            **_VALUES,
            "percents": _percents,
            "keyed": _FLAG,
            "tdigest": _within(_DIGEST, "tdigest"),
            "hdr": _within(_HISTOGRAM, "hdr"),
        },
        values=_EITHER,
    ),
    "median_absolute_deviation": Form(
        {**_VALUES, "compression": _number(0.1, _MOST_COMPRESSION), "execution_hint": _DIGEST_HINT},
        values=_EITHER,
    ),
    "weighted_avg": Form(
        {
            "value": _within(_WEIGHED, "the value"),
            "weight": _within(_WEIGHED, "the weight"),
            "format": _TEXT,
            "value_type": _one_of(*_VALUE_TYPES),
        },
        needed=("value", "weight"),
    ),
    "scripted_metric": Form(
        {
            **dict.fromkeys(("init_script", "map_script", "combine_script", "reduce_script"), _script),
            "params": _OBJECT,
        },
        needed=("map_script", "combine_script", "reduce_script"),
    ),
    "top_metrics": Form({"metrics": _metrics, "sort": _sort, "size": _single}, needed=("metrics", "sort")),
    "bucket_script": Form({**_OF_BUCKETS, "format": _TEXT}, needed=("buckets_path", "script")),
    "bucket_selector": Form(_OF_BUCKETS, needed=("buckets_path", "script")),
    "range": Form({**_VALUES, "ranges": _ranges, "keyed": _FLAG}, needed=("ranges",), values=_EITHER),
    "terms": Form(
        {
            **_VALUES,
            "size": _number(1),
            "shard_size": _number(1),
            "min_doc_count": _number(0),
            "shard_min_doc_count": _number(0),
            "show_term_doc_count_error": _FLAG,
            "collect_mode": _one_of("depth_first", "breadth_first"),
            "execution_hint": _TEXT,
            "order": _order,
            "include": _selection,
            "exclude": _selection,
        },
        values=_EITHER,
    ),
    "rare_terms": Form(
        {
            **_VALUES,
            "max_doc_count": _number(1, 100),
            "precision": _number(0.00001),
            "include": _selection,
            "exclude": _selection,
        },
        values=_EITHER,
    ),
}
