"""Guards the plan: from what is found and what is wanted to each step, its reason and its requests.

Each file of ``plan_cases`` is one case: ``desired`` (kind, name, body), ``facts`` (by kind and name: ``body``
as the cluster shows it, ``state``, and ``mark``: whose it is), ``roles_out_of_reach``, ``options``, and the
``plan`` to come out.

``mark`` stands for the stamp that httpmon wrote: ``current``, ``other body`` (of an earlier rendering),
``other version``, ``other namespace``; without it the object is not httpmon's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError
from provisioning.apply import ApplyStopped, PlanRefused
from provisioning.desired import Desired, Wanted
from provisioning.executors import Executors
from provisioning.facts import Facts, Found
from provisioning.plan import build_plan
from provisioning.requests import Request
from provisioning.stamp import Stamp, checksum, stamped
from provisioning.steps import Options, Plan, Step

CASES = sorted((Path(__file__).parent / "plan_cases").glob("*.json"))
# The kind that a found object was rendered from.
RENDERED = {"scheduled_transform": "transform", "scheduled_watch": "watch"}


def _desired(case: dict[str, Any]) -> Desired:
    executor = case.get("executor", "scheduler")
    return Desired(
        objects=tuple(Wanted(one["kind"], one["name"], one["body"], "a.json.j2") for one in case["desired"]),
        namespace="default",
        version="1.0",
        flavour="opensearch" if executor == "scheduler" else "elasticsearch",
        executors=Executors("native" if executor == "kibana" else executor, executor, "", ""),
        transform_store=".httpmon-transforms",
        watch_store=".httpmon-watches",
    )


def _found(desired: Desired, kind: str, name: str, one: dict[str, Any]) -> Found:
    kind = RENDERED.get(kind, kind)
    if any(wanted.kind == "store" and wanted.name == name for wanted in desired.objects):
        kind = "store"
    body: dict[str, Any] = one.get("body", {})
    if "mark" in one:
        # Of the wanted object of this name; a version's name goes on with its number.
        wanted = next((w for w in desired.objects if w.kind == kind and name.startswith(w.name)), None)
        stamp = Stamp(
            "staging" if one["mark"] == "other namespace" else "default",
            "0.9" if one["mark"] == "other version" else "1.0",
            "0123456789abcdef" if one["mark"] == "other body" or wanted is None else checksum(wanted.body),
        )
        body = stamped(kind, body, stamp, desired.flavour)  # type: ignore[arg-type]
    return Found(body, one.get("state", {}))


def _planned(case: dict[str, Any]) -> Plan:
    desired = _desired(case)
    facts = Facts(
        {
            kind: {name: _found(desired, kind, name, one) for name, one in found.items()}
            for kind, found in case.get("facts", {}).items()
        },
        roles_out_of_reach=case.get("roles_out_of_reach", ""),
    )
    return build_plan(facts, desired, Options(**case.get("options", {})))


def _line(request: Request) -> str:
    flags = "".join(f" {key}={value}" for key, value in request.params.items() if key == "force")
    return f"{request.method} {request.path}{flags}"


def _as_written(plan: Plan) -> list[dict[str, Any]]:
    """The steps as the files have them; what is empty is left out."""
    written = []
    for step in plan.steps:
        entry: dict[str, Any] = {
            "kind": step.kind, "name": step.name, "action": step.action, "why": step.why,
        }  # fmt: skip
        if step.requests:
            entry["requests"] = [_line(request) for request in step.requests]
        if step.waiting:
            entry["waiting"] = True
        written.append(entry)
    return written


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_plan_is_as_written(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    assert _as_written(_planned(case)) == case["plan"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_step_has_a_reason_and_only_changes_send(path: Path) -> None:
    for step in _planned(json.loads(path.read_text(encoding="utf-8"))).steps:
        assert step.why
        assert bool(step.requests) == (step.action not in ("unchanged", "refused", "skipped")) or step.waiting


def test_there_are_cases_of_every_action() -> None:
    actions = {
        step["action"] for path in CASES for step in json.loads(path.read_text(encoding="utf-8"))["plan"]
    }
    assert actions == {"create", "update", "replace", "unchanged", "remove", "refused", "skipped"}
    assert len(CASES) >= 40


def test_a_refusal_names_the_first_objects_that_stand_in_the_way() -> None:
    steps = [Step("pipeline", f"p{number}", "refused", "is not ours") for number in range(7)]
    assert str(PlanRefused(Plan(tuple(steps)))) == (
        "nothing was changed: pipeline p0 is not ours; pipeline p1 is not ours; pipeline p2 is not ours; "
        "pipeline p3 is not ours; pipeline p4 is not ours; and 2 more (--plan names all)"
    )
    assert str(PlanRefused(Plan(tuple(steps[:1])))) == "nothing was changed: pipeline p0 is not ours"


def test_what_stopped_is_one_readable_line_with_the_command_to_run_again() -> None:
    steps = [Step("query", f"q{number}", "remove", "is ours") for number in range(9)]

    told = str(ApplyStopped(steps[0], EngineError("no answer"), 0, steps[1:]))

    assert told == (
        "remove query q0: no answer (0 of the plan's steps done; not begun: query q1, query q2, query q3, "
        "query q4, query q5 and 3 more); once that is mended, run httpmon deprovision again"
    )
    made = Step("query", "q", "create", "is not there")
    assert str(ApplyStopped(made, EngineError("no answer"), 2, [])) == (
        "create query q: no answer (2 of the plan's steps done); "
        "once that is mended, run httpmon provision again"
    )
