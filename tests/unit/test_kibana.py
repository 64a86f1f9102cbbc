"""Guards what Kibana imports: every reference resolves, versions and ids are fixed, fields exist."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.capabilities import Capabilities
from engine.errors import TemplateError
from provisioning.kibana import dashboard_links, installation_objects, ndjson, problems, saved_objects
from provisioning.names import Names
from provisioning.rendering import render_all
from provisioning.saved_object import marked
from provisioning.settings import KibanaSettings, Settings

GOLDEN = Path(__file__).parents[1] / "golden" / "kibana.ndjson"
ENGINE = Capabilities(flavour="elasticsearch", version=(8, 10, 4), version_text="8.10.4")


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    return installation_objects(Settings())


def of_type(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in objects if one["type"] == kind]


def test_it_is_the_file_that_was_looked_at(objects: list[dict[str, Any]]) -> None:
    """To accept a change: python -m httpmon kibana export -o tests/golden/kibana.ndjson."""
    assert ndjson(objects).splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_nothing_is_wrong_with_it(objects: list[dict[str, Any]]) -> None:
    assert problems(objects) == []
    kinds = Counter(one["type"] for one in objects)
    lens = kinds.pop("lens")
    assert kinds == {
        "tag": 1,
        "index-pattern": 5,
        "dashboard": 2,
        "query": 8,
        "search": 8,
        "visualization": 1,
    }
    assert lens >= 13


def test_the_dashboards_have_every_panel_and_control(objects: list[dict[str, Any]]) -> None:
    traffic, alerts = (
        one["attributes"] for one in sorted(of_type(objects, "dashboard"), key=lambda one: -len(one["id"]))
    )
    shown = {panel["panelIndex"] for panel in json.loads(traffic["panelsJSON"])}
    assert shown == {
        "hits", "total", "newest", "unparsed", "sections", "status", "error_share", "latency",
        "section_table", "clients", "paths", "alert_log",
    }  # fmt: skip
    controls = json.loads(traffic["controlGroupInput"]["panelsJSON"]).values()
    assert [(one["type"], one["explicitInput"]["fieldName"]) for one in controls] == [
        ("optionsListControl", "httpmon.section"),
        ("rangeSliderControl", "http.response.status_code"),
        ("optionsListControl", "source.address"),
    ]
    shown = {panel["panelIndex"] for panel in json.loads(alerts["panelsJSON"])}
    assert shown == {"timeline", "open", "recovery", "values", "log"}


def test_panels_of_a_dashboard_do_not_cover_each_other(objects: list[dict[str, Any]]) -> None:
    for one in of_type(objects, "dashboard"):
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(one["attributes"]["panelsJSON"]):
            place = panel["gridData"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert taken.isdisjoint(cells), f"{one['id']}: {panel['panelIndex']}"
            taken |= cells


def test_the_curve_has_the_threshold_and_marks_alerts(objects: list[dict[str, Any]]) -> None:
    (curve,) = of_type(objects, "visualization")
    parameters = json.loads(curve["attributes"]["visState"])["params"]
    rate, limit = parameters["series"]
    assert rate["metrics"][0] == {"id": "s0-sum", "type": "sum", "field": "httpmon.hits"}
    assert limit["metrics"][0]["value"] == "10"
    (events,) = parameters["annotations"]
    assert (events["fields"], events["template"]) == ("message", "{{message}}")
    assert [one["id"] for one in curve["references"][:2]] == ["httpmon-view-sections", "httpmon-view-alerts"]


def test_a_share_is_taken_apart_as_lens_does(objects: list[dict[str, Any]]) -> None:
    share = next(one for one in objects if one["id"].endswith("error-share"))
    layer = share["attributes"]["state"]["datasourceStates"]["indexpattern"]["layers"]["main"]
    columns = layer["columns"]
    assert set(layer["columnOrder"]) == set(columns)
    for column in columns.values():
        assert set(column.get("references", [])) <= set(columns)
    assert columns["n0"]["params"]["formula"] == "sum(httpmon.status.4xx) / sum(httpmon.hits)"


def no_version(one: dict[str, Any]) -> None:
    del one["migrationVersion"]


def newer_version(one: dict[str, Any]) -> None:
    one["migrationVersion"] = {one["type"]: "8.9.0"}


def newer_core(one: dict[str, Any]) -> None:
    one["coreMigrationVersion"] = "9.0.0"


def no_id(one: dict[str, Any]) -> None:
    del one["id"]


@pytest.mark.parametrize("harm", [no_version, newer_version, newer_core, no_id])
def test_each_harm_to_each_object_is_found(
    objects: list[dict[str, Any]], harm: Callable[[dict[str, Any]], None]
) -> None:
    for position, one in enumerate(objects):
        harmed = copy.deepcopy(objects)
        harm(harmed[position])
        assert problems(harmed), f"{harm.__name__} of {one['type']} {one['id']}"


@pytest.mark.parametrize("harm", ["lost", "to nowhere", "of another type", "renamed"])
def test_each_harm_to_each_reference_is_found(objects: list[dict[str, Any]], harm: str) -> None:
    harms: dict[str, dict[str, str]] = {
        "to nowhere": {"id": "nowhere"}, "of another type": {"type": "map"}, "renamed": {"name": "x"},
    }  # fmt: skip
    kinds = set()
    for position, one in enumerate(objects):
        for number, reference in enumerate(one["references"]):
            harmed = list(objects)
            harmed[position] = copy.deepcopy(one)
            if harm == "lost":
                del harmed[position]["references"][number]
            else:
                harmed[position]["references"][number] |= harms[harm]
            assert problems(harmed), f"{harm}: {one['type']} {one['id']}: {reference['name']}"
            kinds.add(one["type"])
    assert kinds == {one["type"] for one in objects} - {"tag"}


def test_an_object_that_is_twice_or_missing_is_found(objects: list[dict[str, Any]]) -> None:
    assert problems([*objects, objects[0]]) == ["two objects have one id"]
    wanted = {reference["id"] for one in objects for reference in one["references"]}
    for missing in (one for one in objects if one["id"] in wanted and one["type"] != "query"):
        assert problems([one for one in objects if one is not missing]), missing["id"]


def test_ids_belong_to_the_installation() -> None:
    default = {one["id"] for one in installation_objects(Settings())}
    other = {one["id"] for one in installation_objects(Settings(namespace="shop"))}
    assert all(one.startswith("httpmon-") for one in default)
    assert all(one.startswith("httpmon-shop-") for one in other)
    assert default.isdisjoint(other)


def mapped_fields() -> dict[str, set[str]]:
    """The fields of each index that a data view shows, as its template maps them."""

    def walk(properties: dict[str, Any], prefix: str = "") -> set[str]:
        found = set()
        for name, field in properties.items():
            found |= (
                walk(field["properties"], f"{prefix}{name}.") if "properties" in field else {prefix + name}
            )
        return found

    fields = {}
    for one in render_all(Settings(executor="scheduler"), ENGINE):
        if one.kind == "index":
            fields[one.name] = walk(one.body["mappings"]["properties"])
        if one.kind == "component_template" and one.stem == "access":
            fields[Names().raw] = walk(one.body["template"]["mappings"]["properties"])
    return fields


def test_every_field_that_is_shown_exists(objects: list[dict[str, Any]]) -> None:
    titles = {one["id"]: one["attributes"]["title"] for one in of_type(objects, "index-pattern")}
    fields = mapped_fields()
    stored_only = {"event.original"}  # kept in the document, not searchable; Discover shows it
    for one in objects:
        text = json.dumps(one["attributes"])
        for reference in one["references"]:
            if reference["type"] != "index-pattern" or one["type"] == "dashboard":
                continue
            known = fields[titles[reference["id"]]] | stored_only | {"___records___"}
            if one["type"] == "visualization":  # events are of a second data view
                known = set().union(
                    *(fields[titles[each["id"]]] for each in one["references"] if each["type"] != "tag")
                )
            shown = set(re.findall(r'"sourceField": "([^"]+)"', text))
            shown |= set(re.findall(r'\\"fields?\\": \\"([a-z]+[.][^"]+|message)\\"', text))
            shown |= set(one["attributes"].get("columns", []))
            shown |= set(re.findall(r"([a-z_@]+(?:\.[a-z0-9_]+)+) (?::|>)", text))
            assert shown <= known, f"{one['id']}: {sorted(shown - known)}"


def test_attributes_are_those_of_a_real_kibana(objects: list[dict[str, Any]], shared_folder: Path) -> None:
    """Since 8.8 an attribute that a type does not know is refused."""
    known: dict[str, set[str]] = {"tag": {"name", "description", "color"}}
    for name in ("lst-8.3.ndjson", "lst-more-8.3.ndjson", "export-8.3.3.ndjson"):
        for line in (shared_folder / "recordings" / "kibana-8.3" / name).read_text().splitlines():
            one = json.loads(line)
            if "type" in one:
                known.setdefault(one["type"], set()).update(one["attributes"])
    for one in objects:
        assert set(one["attributes"]) <= known[one["type"]], one["id"]


def test_the_threshold_is_that_of_the_rule() -> None:
    settings = Settings(parameters={"high_traffic": {"threshold": 25}})
    text = ndjson(installation_objects(settings))
    assert r"\"value\": \"25\"" in text


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        ({"view": "nothing"}, "there is no data view 'nothing'"),
        ({"picture": "cake"}, "a picture is metric"),
        ({"numbers": [{"median": "x", "label": "y"}]}, "a number is one of"),
        ({"place": [30, 0, 30, 5]}, "reaches beyond column 48"),
    ],
)
def test_a_dashboard_that_cannot_be_is_refused(panel: dict[str, Any], message: str) -> None:
    good = {
        "id": "p", "title": "P", "view": "v", "picture": "metric", "place": [0, 0, 9, 9],
        "numbers": [{"count": "", "label": "n"}],
    }  # fmt: skip
    board = {"title": "T", "description": "", "span": "now-1h", "panels": [good | panel]}
    views = {"data_views": [{"id": "v", "title": "logs", "name": "logs"}]}
    with pytest.raises(TemplateError, match=re.escape(message)):
        saved_objects(Names(), views, {"mine": board}, [])


def test_a_panel_of_a_session_that_is_not_there_is_found() -> None:
    board = {
        "title": "T", "description": "", "span": "now-1h",
        "panels": [{"id": "p", "title": "P", "search": "nothing", "place": [0, 0, 9, 9]}],
    }  # fmt: skip
    objects = marked(Names(), "default", saved_objects(Names(), {"data_views": []}, {"mine": board}, []))
    missing = "refers to search httpmon-session-nothing, which is not there"
    assert problems(objects) == [f"dashboard httpmon-dashboard-mine: {missing}"]


@pytest.mark.parametrize(
    ("space", "url", "link"),
    [
        (
            "default",
            "https://kibana:5601/",
            "https://kibana:5601/app/dashboards#/view/httpmon-dashboard-traffic",
        ),
        (
            "ops",
            "https://example.org/kibana",
            "https://example.org/kibana/s/ops/app/dashboards#/view/httpmon-dashboard-traffic-in-ops",
        ),
    ],
)
def test_a_dashboard_has_an_address(space: str, url: str, link: str) -> None:
    settings = Settings(kibana=KibanaSettings(url=url, space=space))
    assert ("HTTP traffic (httpmon)", link) in dashboard_links(settings, installation_objects(settings))
