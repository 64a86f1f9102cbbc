"""How aggregations are asked for. Pure.

An answer holds what was asked for beside keys of its own, so that an aggregation named ``doc_count`` or
``key`` hides them. Elasticsearch's transforms never see an answer as JSON and take such names.

OpenSearch has no ``top_metrics``, but can be asked for the document that has them. And it (3.8) fails on
``min`` of a field that is mapped nowhere, if nothing else is computed beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.transforms.body import PIPELINES

# The keys of buckets of the kinds that hold others, and of the composite's.
_TAKEN = frozenset(
    {
        "key",
        "key_as_string",
        "doc_count",
        "doc_count_error_upper_bound",
        "from",
        "from_as_string",
        "to",
        "to_as_string",
        "meta",
    }
)
_SUFFIX = " (asked)"
_BESIDE = " (beside)"


def asked_name(name: str) -> str:
    """The name of an aggregation in a search."""
    return name + _SUFFIX if name in _TAKEN else name


def asked(request: Mapping[str, Any], *, elasticsearch: bool) -> Mapping[str, Any]:
    """Aggregations as they are asked for, with the paths that name them.

    ``elasticsearch`` says whether that is the engine.
    """
    asked_for = {asked_name(name): _asked(value, elasticsearch) for name, value in request.items()}
    if not elasticsearch:
        computed = {name: value for name, value in asked_for.items() if not PIPELINES & value.keys()}
        if computed and all("min" in value for value in computed.values()):
            name, least = next(iter(computed.items()))
            asked_for[name + _BESIDE] = {"max": least["min"]}
    return asked_for


def _asked(aggregation: Any, elasticsearch: bool) -> Any:
    if not isinstance(aggregation, Mapping):
        return aggregation
    content = dict(aggregation)
    for kind, value in aggregation.items():
        if kind in ("aggs", "aggregations"):
            content[kind] = asked(value, elasticsearch=elasticsearch)
        elif kind == "top_metrics" and not elasticsearch:
            del content[kind]
            content["top_hits"] = _top_hit(value)
        elif kind in PIPELINES and "buckets_path" in value:
            content[kind] = {**value, "buckets_path": _paths(value["buckets_path"])}
    return content


def _top_hit(specification: Mapping[str, Any]) -> dict[str, Any]:
    """The document whose values a ``top_metrics`` aggregation tells."""
    metrics = specification["metrics"]
    fields = [one["field"] for one in (metrics if isinstance(metrics, list) else [metrics])]
    return {"size": 1, "sort": specification["sort"], "_source": False, "docvalue_fields": fields}


def _paths(paths: Any) -> Any:
    if isinstance(paths, str):
        return ">".join(_step(step) for step in paths.split(">"))
    if isinstance(paths, Mapping):
        return {name: _paths(path) for name, path in paths.items()}
    return [_paths(path) for path in paths] if isinstance(paths, list) else paths


def _step(step: str) -> str:
    """One part of a path: an aggregation's name, and what of it (``key.value``, ``key['a']``)."""
    for name in _TAKEN:
        rest = step.removeprefix(name)
        if rest != step and rest[:1] in ("", ".", "["):
            return asked_name(name) + rest
    return step
