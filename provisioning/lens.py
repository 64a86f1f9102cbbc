"""Panels that Lens draws: state made of a short description. Pure.

Lens state lies under ``indexpattern``, the name that older editors know; its shapes are those that a real
Kibana 8.3 imported and drew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from provisioning.names import Names
from provisioning.saved_object import SavedObject, known_view, reference, saved_object, view_id

_PICTURES = {"area": "area", "bars": "bar_stacked", "lines": "line"}
_NUMBERS = ("sum", "max", "average", "count", "percentile", "last", "share")


def lens_panel(names: Names, stem: str, panel: Mapping[str, Any], known: set[str]) -> SavedObject:
    """A panel as a Lens object.

    Raises ValueError or KeyError for a description that is none.
    """
    view = view_id(names, known_view(panel["view"], known))
    columns: dict[str, dict[str, Any]] = {}
    if panel.get("over_time"):
        columns["time"] = _time_column()
    if "split" in panel:
        columns["split"] = _terms_column(panel["split"], "n0", others=panel["picture"] != "table")
    numbers = [f"n{position}" for position in range(len(panel["numbers"]))]
    made: dict[str, dict[str, Any]] = {}
    for name, one in zip(numbers, panel["numbers"], strict=True):
        made |= _share_columns(name, one) if "share" in one else {name: _number_column(one)}
    # Kibana makes the groups in this order: split first, then by time.
    order = [name for name in ("split", "time") if name in columns] + list(made)
    layers: dict[str, Any] = {
        "main": {"columnOrder": order, "columns": {**columns, **made}, "incompleteColumns": {}}
    }
    visualization, kind = _visualization(panel, columns, numbers)
    if "threshold" in panel:
        layers["threshold"] = {
            "columnOrder": ["limit"],
            "columns": {"limit": _static_column(panel["threshold"])},
            "incompleteColumns": {},
        }
        visualization["layers"].append(_threshold_layer())
    attributes = {
        "title": f"{panel['title']} ({names.prefix})",
        "description": "",
        "visualizationType": kind,
        "state": {
            "datasourceStates": {"indexpattern": {"layers": layers}},
            "visualization": visualization,
            "query": {"query": panel.get("kql", ""), "language": "kuery"},
            "filters": [],
        },
    }
    names_of_references = [
        "indexpattern-datasource-current-indexpattern",
        *(f"indexpattern-datasource-layer-{layer}" for layer in layers),
    ]
    return saved_object(
        "lens",
        names.of(f"panel-{stem}-{panel['id']}"),
        attributes,
        [reference(name, "index-pattern", view) for name in names_of_references],
    )


def _time_column() -> dict[str, Any]:
    return {
        "label": "@timestamp",
        "dataType": "date",
        "operationType": "date_histogram",
        "sourceField": "@timestamp",
        "isBucketed": True,
        "scale": "interval",
        "params": {"interval": "auto", "includeEmptyRows": True},
    }


def _terms_column(split: Mapping[str, Any], order_by: str, *, others: bool) -> dict[str, Any]:
    return {
        "label": split.get("label", split["field"]),
        "customLabel": True,
        "dataType": "string",
        "operationType": "terms",
        "scale": "ordinal",
        "sourceField": split["field"],
        "isBucketed": True,
        "params": {
            "size": split["size"],
            "orderBy": {"type": "column", "columnId": order_by},
            "orderDirection": "desc",
            "otherBucket": others,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        },
    }


def _number_column(given: Mapping[str, Any]) -> dict[str, Any]:
    operation = next((name for name in _NUMBERS if name in given), None)
    if operation is None:
        raise ValueError(f"a number is one of {', '.join(_NUMBERS)}: {json.dumps(dict(given))}")
    column: dict[str, Any] = {
        "label": given["label"],
        "customLabel": True,
        "dataType": "date" if given.get("max") == "@timestamp" else "number",
        "operationType": operation,
        "isBucketed": False,
        "scale": "ratio",
        "sourceField": given[operation],
    }
    if operation == "count":
        column["sourceField"] = "___records___"
        if given["count"]:
            column["filter"] = {"language": "kuery", "query": given["count"]}
    if operation == "percentile":
        column |= {"sourceField": given["of"], "params": {"percentile": given["percentile"]}}
    if operation == "last":
        # As an array: older Elasticsearch gives a keyword's last value in no other way.
        column |= {
            "operationType": "last_value",
            "dataType": given.get("type", "number"),
            "scale": "ratio" if given.get("type", "number") == "number" else "ordinal",
            "params": {"sortField": "@timestamp", "showArrayValues": True},
        }
    if given.get("per_second"):
        column["timeScale"] = "s"
    return column


def _share_columns(name: str, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The sum of one field over that of another, with the columns that Lens takes a formula apart into."""
    part, whole = given["share"]
    text = f"sum({part}) / sum({whole})"
    hidden = [f"{name}X{position}" for position in range(3)]
    common = {"label": given["label"], "customLabel": True, "isBucketed": False, "scale": "ratio"}
    division = {
        "type": "function",
        "name": "divide",
        "args": hidden[:2],
        "location": {"min": 0, "max": len(text)},
        "text": text,
    }
    formula = {
        "formula": text,
        "isFormulaBroken": False,
        "format": {"id": "percent", "params": {"decimals": 1}},
    }
    number = {**common, "dataType": "number"}
    return {
        name: {**number, "operationType": "formula", "params": formula, "references": [hidden[2]]},
        hidden[0]: {**number, "operationType": "sum", "sourceField": part},
        hidden[1]: {**number, "operationType": "sum", "sourceField": whole},
        hidden[2]: {
            **number,
            "operationType": "math",
            "params": {"tinymathAst": division},
            "references": hidden[:2],
        },
    }


def _static_column(value: float) -> dict[str, Any]:
    return {
        "label": "threshold",
        "customLabel": True,
        "dataType": "number",
        "operationType": "static_value",
        "isStaticValue": True,
        "isBucketed": False,
        "scale": "ratio",
        "params": {"value": f"{value:g}"},
        "references": [],
    }


def _threshold_layer() -> dict[str, Any]:
    look = {"axisMode": "left", "color": "#d55e00", "lineStyle": "dashed", "lineWidth": 2}
    return {
        "layerId": "threshold",
        "layerType": "referenceLine",
        "accessors": ["limit"],
        "yConfig": [{"forAccessor": "limit", **look}],
    }


def _visualization(
    panel: Mapping[str, Any], columns: Mapping[str, Any], numbers: list[str]
) -> tuple[dict[str, Any], str]:
    picture = panel["picture"]
    if picture == "metric":
        return {"layerId": "main", "layerType": "data", "accessor": numbers[0]}, "lnsMetric"
    if picture == "table":
        return {
            "layerId": "main",
            "layerType": "data",
            "columns": [{"columnId": name} for name in [*columns, *numbers]],
            "sorting": {"columnId": numbers[0], "direction": "desc"},
            "paging": {"enabled": True, "size": 10},
        }, "lnsDatatable"
    if picture not in _PICTURES:
        raise ValueError(f"a picture is metric, table, {', '.join(_PICTURES)}, not {picture}")
    layer: dict[str, Any] = {
        "layerId": "main",
        "layerType": "data",
        "seriesType": _PICTURES[picture],
        "xAccessor": "time",
        "accessors": numbers,
    }
    if "split" in columns:
        layer["splitAccessor"] = "split"
    colours = [
        {"forAccessor": name, "color": one["color"]}
        for name, one in zip(numbers, panel["numbers"], strict=True)
        if "color" in one
    ]
    if colours:
        layer["yConfig"] = colours
    return {
        "yTitle": panel.get("unit", panel["numbers"][0]["label"]),
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": True, "yRight": True},
        "legend": {"isVisible": True, "position": "bottom"},
        "valueLabels": "hide",
        "fittingFunction": "Linear" if picture == "lines" else "None",
        "preferredSeriesType": _PICTURES[picture],
        "layers": [layer],
    }, "lnsXY"
