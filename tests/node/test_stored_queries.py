"""Guards that provisioning stores the saved queries, knows them again, mends them and leaves others alone."""

from __future__ import annotations

import pytest

from engine.client import Engine
from provisioning.installation import plan_installation, provision
from provisioning.rendering import render_queries
from provisioning.settings import Settings
from provisioning.steps import Plan

pytestmark = pytest.mark.node


def actions(plan: Plan) -> dict[str, tuple[str, str]]:
    return {step.name: (step.action, step.why) for step in plan.steps if step.kind == "query"}


def test_each_query_is_stored_once(engine: Engine, provisioned: Settings) -> None:
    names = {provisioned.names.of(one.stem) for one in render_queries(provisioned)}
    found = actions(plan_installation(engine, provisioned))
    assert set(found) == names
    assert {action for action, _ in found.values()} == {"unchanged"}


def test_what_was_changed_or_removed_is_mended(engine: Engine, provisioned: Settings) -> None:
    changed, removed = (provisioned.names.of(stem) for stem in ("top_paths", "bots"))
    script = engine.request("GET", f"/_scripts/{changed}")["script"]
    script["source"] = script["source"].replace("url.path", "url.original")
    engine.request(
        "PUT", f"/_scripts/{changed}", body={"script": {"lang": "mustache", "source": script["source"]}}
    )
    engine.request("DELETE", f"/_scripts/{removed}")
    found = actions(plan_installation(engine, provisioned))
    assert found[changed][0] == "update"
    assert "was changed in the cluster" in found[changed][1]
    assert found[removed][0] == "create"
    provision(engine, provisioned)
    left = actions(plan_installation(engine, provisioned))
    assert {action for action, _ in left.values()} == {"unchanged"}


def test_a_script_of_somebody_else_is_not_overwritten(engine: Engine, provisioned: Settings) -> None:
    name = provisioned.names.of("top_paths")
    engine.request("PUT", f"/_scripts/{name}", body={"script": {"lang": "mustache", "source": "{}"}})
    assert actions(plan_installation(engine, provisioned))[name][0] == "refused"


def test_a_stored_query_answers_by_its_name(engine: Engine, provisioned: Settings) -> None:
    names = provisioned.names
    answer = engine.request(
        "POST", f"/{names.sections}/_search/template", body={"id": names.of("top_sections")}
    )
    assert answer["aggregations"]["sections"]["buckets"] == []
