"""The panel that marks events on a curve: a time series visualization (TSVB). Pure.

Lens takes annotations from a query only since Kibana 8.5; this kind has done so in every version from 7 on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from provisioning.names import Names
from provisioning.saved_object import SavedObject, known_view, reference, saved_object, view_id

_CURVE_COLOR = "#54b399"
_LIMIT_COLOR = "#d55e00"
_EVENT_COLOR = "#bd271e"


def timeseries_panel(names: Names, stem: str, panel: Mapping[str, Any], known: set[str]) -> SavedObject:
    """A panel with ``numbers`` (sums, as rates), a ``threshold`` and ``events``, as a visualization.

    ``events`` is ``{"view", "kql", "field"}``: which documents are marked, and which field tells what of.
    Raises ValueError or KeyError for a description that is none.
    """
    identity = names.of(f"panel-{stem}-{panel['id']}")
    title = f"{panel['title']} ({names.prefix})"
    series = [_rate(f"s{position}", one) for position, one in enumerate(panel["numbers"])]
    if "threshold" in panel:
        series.append(_limit(panel["threshold"]))
    views = [panel["view"]]
    annotations = []
    if "events" in panel:
        views.append(panel["events"]["view"])
        annotations.append(_events(panel["events"]))
    parameters = {
        "id": identity,
        "type": "timeseries",
        "series": series,
        "annotations": annotations,
        "time_field": "@timestamp",
        "interval": ">=10s",
        "use_kibana_indexes": True,
        "axis_position": "left",
        "axis_formatter": "number",
        "axis_scale": "normal",
        "axis_min": "0",
        "show_legend": 1,
        "show_grid": 1,
        "legend_position": "bottom",
        "tooltip_mode": "show_all",
        "drop_last_bucket": 0,
        "isModelInvalid": False,
        "index_pattern_ref_name": "metrics_0_index_pattern",
    }
    attributes = {
        "title": title,
        "description": "",
        "version": 1,
        "uiStateJSON": "{}",
        "visState": json.dumps({"title": title, "type": "metrics", "aggs": [], "params": parameters}),
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": json.dumps({"query": {"query": "", "language": "kuery"}, "filter": []})
        },
    }
    references = [
        reference(
            f"metrics_{position}_index_pattern", "index-pattern", view_id(names, known_view(view, known))
        )
        for position, view in enumerate(views)
    ]
    return saved_object("visualization", identity, attributes, references)


def _rate(identity: str, given: Mapping[str, Any]) -> dict[str, Any]:
    metrics: list[dict[str, Any]] = [{"id": f"{identity}-sum", "type": "sum", "field": given["sum"]}]
    if given.get("per_second"):
        metrics.append(
            {
                "id": f"{identity}-rate",
                "type": "math",
                "variables": [{"id": f"{identity}-variable", "name": "sum", "field": f"{identity}-sum"}],
                # _interval is the length of a point in milliseconds.
                "script": "params.sum / (params._interval / 1000)",
            }
        )
    return _series(identity, given["label"], _CURVE_COLOR, metrics, fill=0.4)


def _limit(value: float) -> dict[str, Any]:
    metrics = [{"id": "limit-value", "type": "static", "value": f"{value:g}"}]
    return _series("limit", "threshold", _LIMIT_COLOR, metrics, fill=0)


def _series(
    identity: str, label: str, color: str, metrics: list[dict[str, Any]], *, fill: float
) -> dict[str, Any]:
    return {
        "id": identity,
        "label": label,
        "color": color,
        "split_mode": "everything",
        "metrics": metrics,
        "separate_axis": 0,
        "axis_position": "right",
        "formatter": "number",
        "chart_type": "line",
        "line_width": 1,
        "point_size": 0,
        "fill": fill,
        "stacked": "none",
    }


def _events(given: Mapping[str, Any]) -> dict[str, Any]:
    field = given["field"]
    return {
        "id": "events",
        "color": _EVENT_COLOR,
        "icon": "fa-bell",
        "time_field": "@timestamp",
        "fields": field,
        "template": f"{{{{{field}}}}}",
        "query_string": {"query": given["kql"], "language": "kuery"},
        # They are of the whole traffic: what narrows the curve does not narrow them.
        "ignore_global_filters": 1,
        "ignore_panel_filters": 1,
        "index_pattern_ref_name": "metrics_1_index_pattern",
    }
