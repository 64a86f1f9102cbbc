"""Guards the plan for Kibana: from saved objects that are found to each step, its reason and its requests.

Each file of ``kibana_plan_cases`` is one case: ``wanted`` objects, those ``found`` (``mark``: ``current``,
``other body`` of an earlier rendering, ``rewritten`` by Kibana when somebody saved it, ``none``),
``options``, and the ``plan`` to come out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provisioning.kibana_plan import plan_saved_objects, plan_saved_objects_removal
from provisioning.names import Names
from provisioning.requests import Request
from provisioning.saved_object import marked, saved_object
from provisioning.steps import Options, Step

CASES = sorted((Path(__file__).parent / "kibana_plan_cases").glob("*.json"))
NAMES = Names()


def _references(one: dict[str, Any], wanted: list[dict[str, Any]]) -> list[dict[str, str]]:
    mark = one.get("mark", "none")
    if mark == "none":
        return []
    if mark == "current":
        return next(each["references"] for each in wanted if each["id"] == one["id"])
    name = "httpmon-0123456789abcdef" if mark == "other body" else "tag-ref-httpmon-tag"
    return [{"type": "tag", "id": "httpmon-tag", "name": name}]


def _case(path: Path) -> tuple[dict[str, Any], list[Step]]:
    case = json.loads(path.read_text(encoding="utf-8"))
    made = [saved_object(one["type"], one["id"], one["attributes"], []) for one in case["wanted"]]
    wanted = marked(NAMES, "default", made)
    found = {
        (one["type"], one["id"]): {
            "attributes": {key: value for key, value in one["attributes"].items() if value is not None},
            "references": _references(one, wanted),
            "updated_at": one["updated_at"],
        }
        for one in case["found"]
    }
    return case, plan_saved_objects(found, wanted, NAMES, Options(**case["options"]))


def _line(request: Request) -> str:
    of = f" of {len(request.body)}" if isinstance(request.body, list) else ""
    return f"{request.method} {request.path}{of}"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_plan_is_as_written(path: Path) -> None:
    case, steps = _case(path)
    written = []
    for step in steps:
        entry: dict[str, Any] = {"name": step.name, "action": step.action, "why": step.why}
        if step.requests:
            entry["requests"] = [_line(request) for request in step.requests]
        if step.changes:
            entry["changes"] = [str(change) for change in step.changes]
        written.append(entry)
    assert written == case["plan"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_changes_is_sent_once_and_to_kibana(path: Path) -> None:
    _, steps = _case(path)
    imports = [request for step in steps for request in step.requests if request.path.endswith("_import")]
    changing = any(step.action in ("create", "update") for step in steps)
    assert len(imports) == changing
    assert all(request.receiver == "kibana" for step in steps for request in step.requests)
    assert all(not step.requests for step in steps if step.action in ("unchanged", "refused"))


def test_what_is_ours_is_removed_with_its_data_views_and_tag_last() -> None:
    board = saved_object("dashboard", "httpmon-dashboard-mine", {}, [])
    view = saved_object("index-pattern", "httpmon-view-raw", {}, [])
    ours = {(one["type"], one["id"]): one for one in marked(NAMES, "default", [view, board])}
    theirs = {
        ("dashboard", "copy"): {"references": [{"type": "tag", "id": "httpmon-tag", "name": "tag-ref"}]},
        ("lens", "httpmon-panel-theirs"): {"references": []},
    }
    steps = plan_saved_objects_removal(ours | theirs, "httpmon-tag", NAMES)
    assert [step.name for step in steps] == [
        "dashboard httpmon-dashboard-mine", "index-pattern httpmon-view-raw", "tag httpmon-tag",
    ]  # fmt: skip
    assert {step.action for step in steps} == {"remove"}


def test_every_space_has_ids_of_its_own() -> None:
    board = saved_object("dashboard", "d", {}, [{"name": "x", "type": "lens", "id": "p"}])
    tag, moved = marked(NAMES, "ops", [board])
    assert (tag["id"], moved["id"]) == ("httpmon-tag-in-ops", "d-in-ops")
    assert [one["id"] for one in moved["references"]] == ["p-in-ops", "httpmon-tag-in-ops"]
