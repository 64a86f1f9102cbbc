"""Kibana's saved objects, made of short descriptions in ``templates/kibana/`` and of the saved queries. Pure.

The shapes are those that a real Kibana 8.3 imported and showed, and the versions are those that let one file
import from 8.3 through 9.x: each line says ``coreMigrationVersion`` and its type's ``migrationVersion``.
Lens state lies under ``indexpattern``, the name that older editors know, and every id is fixed, so that an
import replaces what the last one made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.errors import TemplateError
from provisioning.names import Names
from provisioning.queries import SavedQuery, parse_query
from provisioning.rendering import render_kibana, render_queries
from provisioning.settings import Settings

CORE_VERSION = "8.3.0"
# What Kibana 8.3 calls the current version of each type.
TYPE_VERSIONS = {
    "index-pattern": "8.0.0",
    "search": "8.0.0",
    "query": "8.0.0",
    "lens": "8.3.0",
    "dashboard": "8.3.0",
}
# Kibana's dashboards have this many columns.
GRID_COLUMNS = 48
_SEARCH_INDEX = "kibanaSavedObjectMeta.searchSourceJSON.index"
_PICTURES = {"area": "area", "bars": "bar_stacked", "lines": "line"}
_NUMBERS = ("sum", "max", "average", "count", "percentile")

SavedObject = dict[str, Any]
Reference = dict[str, str]


def installation_objects(settings: Settings) -> list[SavedObject]:
    """Every saved object of an installation, of every pack.

    Raises TemplateError or SettingsError, also when an import would not show what it should.
    """
    views, dashboards = render_kibana(settings)
    objects = saved_objects(
        settings.names,
        {"data_views": [one for rendered in views for one in rendered.body["data_views"]]},
        {rendered.stem: rendered.body for rendered in dashboards},
        [parse_query(one.stem, one.body, str(one.source)) for one in render_queries(settings)],
    )
    wrong = problems(objects)
    if wrong:
        raise TemplateError(f"kibana: {wrong[0]}")
    return objects


def saved_objects(
    names: Names,
    data_views: Mapping[str, Any],
    dashboards: Mapping[str, Mapping[str, Any]],
    queries: Sequence[SavedQuery],
) -> list[SavedObject]:
    """Every saved object, each after those that it refers to.

    Args:
        names: the installation; its prefix begins every id.
        data_views: the rendered description of the data views.
        dashboards: by stem, the rendered description of each dashboard.
        queries: the saved queries; those that documents tell something of become Discover sessions.

    Raises:
        TemplateError: a description is none, or refers to what is not there.
    """
    views = [_data_view(names, one) for one in data_views["data_views"]]
    by_title = {view["attributes"]["title"]: view["id"] for view in views}
    known = {one["id"] for one in data_views["data_views"]}
    sessions: list[SavedObject] = []
    for query in queries:
        if query.discover is not None:
            if query.index not in by_title:
                raise TemplateError(
                    f"kibana: the query {query.name} reads {query.index}, which no data view shows"
                )
            sessions += _session(names, query, by_title[query.index])
    panels: list[SavedObject] = []
    boards: list[SavedObject] = []
    for stem, board in dashboards.items():
        try:
            made = [_lens(names, stem, panel, known) for panel in board["panels"] if "search" not in panel]
            panels += made
            boards.append(_dashboard(names, stem, board, known))
        except (KeyError, ValueError) as error:
            raise TemplateError(f"kibana/{stem}.dashboard.json.j2: {error}") from None
    return [*views, *sessions, *panels, *boards]


def ndjson(objects: Iterable[SavedObject]) -> str:
    """The objects as the file that Kibana imports: one a line."""
    return "".join(json.dumps(one, separators=(",", ":"), ensure_ascii=False) + "\n" for one in objects)


def problems(objects: Sequence[SavedObject]) -> list[str]:
    """What an import would refuse, or take and then not show; nothing if all is well.

    Kibana accepts a Lens panel whose data view is missing and shows an error in its place, so references are
    checked here.
    """
    found: list[str] = []
    there = {(one.get("type"), one.get("id")) for one in objects}
    if len({one.get("id") for one in objects}) < len(objects):
        found.append("two objects have one id")
    for one in objects:
        what = f"{one.get('type')} {one.get('id')}"
        version = TYPE_VERSIONS.get(str(one.get("type")))
        if not one.get("id"):
            found.append(f"{what}: has no id")
        if version is None or one.get("migrationVersion") != {one.get("type"): version}:
            found.append(f"{what}: migrationVersion is {one.get('migrationVersion')}")
        if one.get("coreMigrationVersion") != CORE_VERSION:
            found.append(f"{what}: coreMigrationVersion is {one.get('coreMigrationVersion')}")
        references = one.get("references", [])
        found += [
            f"{what}: refers to {reference['type']} {reference['id']}, which is not there"
            for reference in references
            if (reference["type"], reference["id"]) not in there
        ]
        named = {reference["name"] for reference in references}
        found += [f"{what}: has no reference {name}" for name in sorted(_needed(one) - named)]
    return found


def _needed(one: SavedObject) -> set[str]:
    """The names of the references that an object's attributes stand on."""
    attributes = one["attributes"]
    if one["type"] == "search":
        return {_SEARCH_INDEX}
    if one["type"] == "lens":
        layers = attributes["state"]["datasourceStates"]["indexpattern"]["layers"]
        return {
            "indexpattern-datasource-current-indexpattern",
            *(f"indexpattern-datasource-layer-{layer}" for layer in layers),
        }
    if one["type"] == "dashboard":
        panels = json.loads(attributes["panelsJSON"])
        controls = json.loads(attributes["controlGroupInput"]["panelsJSON"])
        return {
            *(f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels),
            *(f"controlGroup_{identity}:optionsListDataView" for identity in controls),
        }
    return set()


def _object(kind: str, identity: str, attributes: dict[str, Any], references: list[Reference]) -> SavedObject:
    return {
        "type": kind,
        "id": identity,
        "attributes": attributes,
        "references": references,
        "migrationVersion": {kind: TYPE_VERSIONS[kind]},
        "coreMigrationVersion": CORE_VERSION,
    }


def _reference(name: str, kind: str, identity: str) -> Reference:
    return {"name": name, "type": kind, "id": identity}


def _view_id(names: Names, view: str) -> str:
    return names.of(f"view-{view}")


def _known_view(view: str, known: set[str]) -> str:
    if view not in known:
        raise ValueError(f"there is no data view {view!r}; there are {', '.join(sorted(known))}")
    return view


def _data_view(names: Names, given: Mapping[str, Any]) -> SavedObject:
    formats = {field: {"id": kind} for field, kind in given.get("formats", {}).items()}
    attributes = {
        "title": given["title"],
        "name": given["name"],
        "timeFieldName": "@timestamp",
        "fields": "[]",
        "fieldAttrs": "{}",
        "fieldFormatMap": json.dumps(formats),
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
        "typeMeta": "{}",
        "allowNoIndex": True,
    }
    return _object("index-pattern", _view_id(names, given["id"]), attributes, [])


def _session(names: Names, query: SavedQuery, view_id: str) -> list[SavedObject]:
    """The Discover session of a query, and its KQL for the query bar."""
    kql, columns = query.discover or ("", ())
    bar = {"query": kql, "language": "kuery"}
    source = {"query": bar, "filter": [], "indexRefName": _SEARCH_INDEX}
    attributes = {
        "title": f"{query.title} ({names.prefix})",
        "description": query.description,
        "columns": list(columns),
        "sort": [["@timestamp", "desc"]],
        "grid": {},
        "hideChart": False,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
    }
    saved_query = {
        "title": f"{query.title} ({names.prefix})",
        "description": query.description,
        "query": bar,
        "filters": [],
    }
    return [
        _object(
            "search",
            names.of(f"session-{query.name}"),
            attributes,
            [_reference(_SEARCH_INDEX, "index-pattern", view_id)],
        ),
        _object("query", names.of(f"query-{query.name}"), saved_query, []),
    ]


# -- Lens -----------------------------------------------------------------------------------------------


def _lens(names: Names, stem: str, panel: Mapping[str, Any], known: set[str]) -> SavedObject:
    view_id = _view_id(names, _known_view(panel["view"], known))
    columns: dict[str, dict[str, Any]] = {}
    if panel.get("over_time"):
        columns["time"] = _time_column()
    if "split" in panel:
        columns["split"] = _terms_column(panel["split"], "n0")
    numbers = {f"n{position}": _number_column(one) for position, one in enumerate(panel["numbers"])}
    # Kibana makes the groups in this order: split first, then by time.
    order = [name for name in ("split", "time") if name in columns] + list(numbers)
    layers: dict[str, Any] = {
        "main": {"columnOrder": order, "columns": {**columns, **numbers}, "incompleteColumns": {}}
    }
    visualization, kind = _visualization(panel, columns, list(numbers))
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
    return _object(
        "lens",
        names.of(f"panel-{stem}-{panel['id']}"),
        attributes,
        [_reference(name, "index-pattern", view_id) for name in names_of_references],
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


def _terms_column(split: Mapping[str, Any], order_by: str) -> dict[str, Any]:
    return {
        "label": split["field"],
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
            "otherBucket": True,
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
    if given.get("per_second"):
        column["timeScale"] = "s"
    return column


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
    layer = {
        "layerId": "main",
        "layerType": "data",
        "seriesType": _PICTURES[picture],
        "xAccessor": "time",
        "accessors": numbers,
    }
    if "split" in columns:
        layer["splitAccessor"] = "split"
    return {
        "legend": {"isVisible": True, "position": "bottom"},
        "valueLabels": "hide",
        "fittingFunction": "Linear" if picture == "lines" else "None",
        "preferredSeriesType": _PICTURES[picture],
        "layers": [layer],
    }, "lnsXY"


# -- dashboards -----------------------------------------------------------------------------------------


def _dashboard(names: Names, stem: str, board: Mapping[str, Any], known: set[str]) -> SavedObject:
    panels = []
    references = []
    for panel in board["panels"]:
        index = panel["id"]
        x, y, width, height = panel["place"]
        if x + width > GRID_COLUMNS:
            raise ValueError(f"the panel {index} reaches beyond column {GRID_COLUMNS}")
        kind = "search" if "search" in panel else "lens"
        target = names.of(f"session-{panel['search']}" if kind == "search" else f"panel-{stem}-{index}")
        panels.append(
            {
                "version": CORE_VERSION,
                "type": kind,
                "gridData": {"x": x, "y": y, "w": width, "h": height, "i": index},
                "panelIndex": index,
                "embeddableConfig": {"enhancements": {}},
                "title": panel["title"],
                "panelRefName": f"panel_{index}",
            }
        )
        references.append(_reference(f"{index}:panel_{index}", kind, target))
    controls = {}
    for position, control in enumerate(board.get("controls", [])):
        identity = f"c{position}"
        controls[identity] = {
            "order": position,
            "width": "medium",
            "type": "optionsListControl",
            "explicitInput": {
                "id": identity,
                "title": control["title"],
                "fieldName": control["field"],
                "selectedOptions": [],
                "enhancements": {},
            },
        }
        view_id = _view_id(names, _known_view(control["view"], known))
        references.append(
            _reference(f"controlGroup_{identity}:optionsListDataView", "index-pattern", view_id)
        )
    ignored = dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
    attributes = {
        "title": board["title"],
        "description": board["description"],
        "hits": 0,
        "version": 1,
        "optionsJSON": json.dumps({"useMargins": True, "syncColors": False, "hidePanelTitles": False}),
        "panelsJSON": json.dumps(panels),
        "controlGroupInput": {
            "chainingSystem": "HIERARCHICAL",
            "controlStyle": "oneLine",
            "ignoreParentSettingsJSON": json.dumps(ignored),
            "panelsJSON": json.dumps(controls),
        },
        "timeRestore": True,
        "timeFrom": board["span"],
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 10_000},
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": json.dumps({"query": {"query": "", "language": "kuery"}, "filter": []})
        },
    }
    return _object("dashboard", names.of(f"dashboard-{stem}"), attributes, references)
