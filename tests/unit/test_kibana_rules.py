"""Guards the rules that Kibana runs: their bodies, their parameters, and the plan for them.

Each file of ``kibana_rule_cases`` is one case of the plan for one rule: what is ``found`` (changes to the
rule as it is wanted; no ``found`` if there is no rule), ``options``, ``plan``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.capabilities import Capabilities
from engine.errors import SettingsError
from provisioning.executors import choose_executors
from provisioning.kibana import installation_objects
from provisioning.kibana_rules import connector_id, owner_tag, plan_rules, wanted_rules
from provisioning.names import Names
from provisioning.rendering import render_all, render_rules
from provisioning.settings import KibanaSettings, Settings, load_settings
from provisioning.steps import Options
from reading.alerts import shape_alert

GOLDEN = Path(__file__).parents[1] / "golden" / "kibana_rules.json"
CASES = sorted((Path(__file__).parent / "kibana_rule_cases").glob("*.json"))
NAMES = Names()
BASIC = Capabilities(
    flavour="elasticsearch", version=(8, 10, 4), version_text="8.10.4", licence="basic", transforms=True
)


def rules(settings: Settings | None = None) -> dict[str, dict[str, Any]]:
    settings = settings or Settings()
    space = settings.kibana.space
    connector = connector_id(settings.names, space)
    return wanted_rules(settings.names, space, render_rules(settings, connector))


def test_they_are_those_that_a_real_kibana_ran() -> None:
    """To accept a change: write json.dumps(rules(), indent=1) there, and let a Kibana run it."""
    assert rules() == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_each_writes_by_the_connector_that_is_imported_with_it() -> None:
    settings = Settings(executor="kibana", kibana=KibanaSettings(url="http://kibana:5601"))
    (connector,) = (one for one in installation_objects(settings) if one["type"] == "action")
    assert connector["attributes"]["config"]["index"] == "httpmon-alerts"
    for rule in rules(settings).values():
        assert [action["group"] for action in rule["actions"]] == ["query matched", "recovered"]
        assert {action["id"] for action in rule["actions"]} == {connector["id"]}
    assert not [one for one in installation_objects(Settings()) if one["type"] == "action"]


def test_documents_have_the_fields_of_alert_documents() -> None:
    mappings = next(
        one.body["mappings"]["properties"]
        for one in render_all(Settings(), BASIC)
        if (one.kind, one.stem) == ("index", "alerts")
    )

    def check(part: dict[str, Any], properties: dict[str, Any]) -> None:
        for key, value in part.items():
            assert key in properties, key
            if isinstance(value, dict):
                check(value, properties[key]["properties"])

    for rule in rules().values():
        for action in rule["actions"]:
            (document,) = action["params"]["documents"]
            check(document, mappings)
            assert document["event"]["kind"] == "alert"


def test_their_parameters_are_those_of_the_watches() -> None:
    given = {"high_traffic": {"threshold": 25, "window": "90s"}, "no_data": {"after": "10m"}}
    limits = {
        rule["name"]: (
            rule["params"]["threshold"],
            rule["params"]["timeWindowSize"],
            rule["params"]["timeWindowUnit"],
        )
        for rule in rules(Settings(parameters=given)).values()
    }
    assert limits["High traffic (httpmon)"] == ([2250], 90, "s")
    assert limits["No data (httpmon)"] == ([1], 10, "m")


def test_every_namespace_and_space_has_rules_of_its_own() -> None:
    ops = KibanaSettings(url="http://kibana:5601", space="ops")
    ids = [set(rules(one)) for one in (Settings(), Settings(namespace="shop"), Settings(kibana=ops))]
    assert len(set().union(*ids)) == sum(map(len, ids))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_plan_is_as_written(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    identity, wanted = next((key, rule) for key, rule in rules().items() if "High" in rule["name"])
    found = {}
    if "found" in case:
        there = json.loads(json.dumps({**wanted, "enabled": True}))
        for key, value in case["found"].items():
            there[key] = {**there[key], **value} if isinstance(value, dict) else value
        found[case.get("id", identity)] = there
    steps = plan_rules(found, {identity: wanted}, owner_tag(NAMES, "default"), Options(**case["options"]))
    written = []
    for step in steps:
        assert all(request.receiver == "kibana" for request in step.requests)
        entry: dict[str, Any] = {"name": step.name, "action": step.action, "why": step.why}
        if step.requests:
            entry["requests"] = [f"{one.method} {one.path.replace(identity, 'ID')}" for one in step.requests]
        written.append(entry)
    assert written == case["plan"]


def test_transforms_stay_with_the_engine() -> None:
    chosen = choose_executors("kibana", BASIC)
    assert (chosen.transforms, chosen.watches, chosen.scheduler_needed) == ("native", "kibana", False)
    opensearch = Capabilities(flavour="opensearch", version=(3, 8, 0), version_text="3.8.0")
    with pytest.raises(SettingsError, match=r"executor = kibana: opensearch 3\.8\.0 has no transforms"):
        choose_executors("kibana", opensearch)


def test_kibana_must_be_known() -> None:
    with pytest.raises(SettingsError, match=r"executor = kibana needs kibana\.url"):
        load_settings(None, {"executor": "kibana"})


def test_readers_take_the_rate_from_hits_and_window() -> None:
    """Kibana writes numbers as text and cannot divide."""
    written = {"@timestamp": "2026-01-01T00:00:00Z", "httpmon": {"alert": {"hits": "1500", "window": 120}}}
    assert (shape_alert(written).value, shape_alert(written).hits) == (12.5, 1500)
    assert shape_alert({**written, "httpmon": {"alert": {"window": 120}}}).value is None
