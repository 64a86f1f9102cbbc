"""Kibana's saved objects, made of short descriptions in ``templates/kibana/`` and of the saved queries. Pure.

The shapes are those that a real Kibana 8.3 imported and showed. Every id is fixed, so that an import replaces
what the last one made. Panels are in ``lens`` and ``timeseries``, versions in ``saved_object``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.errors import TemplateError
from provisioning.kibana_rules import connector
from provisioning.lens import lens_panel
from provisioning.names import Names
from provisioning.queries import SavedQuery, parse_query
from provisioning.rendering import render_kibana, render_queries
from provisioning.saved_object import (
    CORE_VERSION,
    TYPE_VERSIONS,
    SavedObject,
    known_view,
    marked,
    read_mark,
    reference,
    saved_object,
    view_id,
)
from provisioning.settings import Settings
from provisioning.timeseries import timeseries_panel

# Kibana's dashboards have this many columns.
GRID_COLUMNS = 48
# What a control calls the reference to its data view, by its type. Kibana 8.3 looks for a range slider's
# under the name of a list's, newer ones under its own.
_CONTROL_VIEWS = {
    "optionsListControl": ("optionsListDataView",),
    "rangeSliderControl": ("optionsListDataView", "rangeSliderDataView"),
}
_SEARCH_INDEX = "kibanaSavedObjectMeta.searchSourceJSON.index"


def installation_objects(settings: Settings) -> list[SavedObject]:
    """Every saved object of an installation, of every pack.

    Raises TemplateError or SettingsError, also when an import would not show what it should.
    """
    views, dashboards = render_kibana(settings)
    made = saved_objects(
        settings.names,
        {"data_views": [one for rendered in views for one in rendered.body["data_views"]]},
        {rendered.stem: rendered.body for rendered in dashboards},
        [parse_query(one.stem, one.body, str(one.source)) for one in render_queries(settings)],
    )
    if settings.executor == "kibana":
        made.append(connector(settings.names, settings.kibana.space))
    objects = marked(settings.names, settings.kibana.space, made)
    wrong = problems(objects)
    if wrong:
        raise TemplateError(f"kibana: {wrong[0]}")
    return objects


def dashboard_links(settings: Settings, objects: Iterable[SavedObject]) -> list[tuple[str, str]]:
    """The title and the address of each dashboard among the objects, in the space of the settings.

    Addresses begin with ``kibana.url``, or with nothing where that is not set.
    """
    space = "" if settings.kibana.space == "default" else f"/s/{settings.kibana.space}"
    root = (settings.kibana.url or "").rstrip("/")
    return [
        (one["attributes"]["title"], f"{root}{space}/app/dashboards#/view/{one['id']}")
        for one in objects
        if one["type"] == "dashboard"
    ]


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
            panels += [
                _PANELS[_panel_type(panel)](names, stem, panel, known)
                for panel in board["panels"]
                if "search" not in panel
            ]
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
    tags = [str(one.get("id")) for one in objects if one.get("type") == "tag"]
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
        if one.get("type") != "tag" and not any(read_mark(one, tag) for tag in tags):
            found.append(f"{what}: has no mark of httpmon's")
    return found


def _needed(one: SavedObject) -> set[str]:
    """The names of the references that an object's attributes stand on."""
    attributes = one["attributes"]
    if one["type"] == "search":
        return {_SEARCH_INDEX}
    if one["type"] == "visualization":
        return set(re.findall(r'"index_pattern_ref_name": "([^"]+)"', attributes["visState"]))
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
            *(
                f"controlGroup_{identity}:{name}"
                for identity, one in controls.items()
                for name in _CONTROL_VIEWS[one["type"]]
            ),
        }
    return set()


def _data_view(names: Names, given: Mapping[str, Any]) -> SavedObject:
    formats = {
        field: {"id": kind} if isinstance(kind, str) else kind
        for field, kind in given.get("formats", {}).items()
    }
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
    return saved_object("index-pattern", view_id(names, given["id"]), attributes, [])


def _session(names: Names, query: SavedQuery, view: str) -> list[SavedObject]:
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
        saved_object(
            "search",
            names.of(f"session-{query.name}"),
            attributes,
            [reference(_SEARCH_INDEX, "index-pattern", view)],
        ),
        saved_object("query", names.of(f"query-{query.name}"), saved_query, []),
    ]


# -- dashboards -----------------------------------------------------------------------------------------


_PANELS = {"lens": lens_panel, "visualization": timeseries_panel}


def _panel_type(panel: Mapping[str, Any]) -> str:
    """The type of the object that shows a panel: Lens draws all but what it cannot in Kibana 8.3."""
    if "search" in panel:
        return "search"
    return "visualization" if panel["picture"] == "timeline" else "lens"


def _dashboard(names: Names, stem: str, board: Mapping[str, Any], known: set[str]) -> SavedObject:
    panels = []
    references = []
    for panel in board["panels"]:
        index = panel["id"]
        x, y, width, height = panel["place"]
        if x + width > GRID_COLUMNS:
            raise ValueError(f"the panel {index} reaches beyond column {GRID_COLUMNS}")
        kind = _panel_type(panel)
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
        references.append(reference(f"{index}:panel_{index}", kind, target))
    controls = {}
    for position, control in enumerate(board.get("controls", [])):
        identity = f"c{position}"
        # Before Kibana 8.9 a list of values shows an error for a number.
        kind, chosen = (
            ("rangeSliderControl", {"value": ["", ""]})
            if control.get("number")
            else ("optionsListControl", {"selectedOptions": []})
        )
        controls[identity] = {
            "order": position,
            "width": "medium",
            "type": kind,
            "explicitInput": {
                "id": identity,
                "title": control["title"],
                "fieldName": control["field"],
                "enhancements": {},
                **chosen,
            },
        }
        view = view_id(names, known_view(control["view"], known))
        references += [
            reference(f"controlGroup_{identity}:{name}", "index-pattern", view)
            for name in _CONTROL_VIEWS[kind]
        ]
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
    return saved_object("dashboard", names.of(f"dashboard-{stem}"), attributes, references)
