"""Guards: provisioning a real engine is exact, repeats without a write, and touches nothing of others."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from engine.client import Engine
from engine.connection import Connection
from provisioning.apply import PlanRefused, apply_plan
from provisioning.installation import plan_installation, plan_removal, provision
from provisioning.settings import Settings
from provisioning.steps import Options
from scheduler.transforms.service import TransformService
from tests.node.counting_proxy import CountingProxy
from tests.node.running import ENVIRONMENT, REPOSITORY
from tests.node.summaries import QuickClock, send_lines, settle

LINE = '192.0.2.1 - - [25/Nov/2025:10:00:0{} +0000] "GET /pages/{} HTTP/1.1" 200 100'


def actions(engine: Engine, settings: Settings, **options: bool) -> dict[str, set[str]]:
    """The names by action of what would be done now."""
    found: dict[str, set[str]] = {}
    for step in plan_installation(engine, settings, Options(**options)).steps:
        found.setdefault(step.action, set()).add(f"{step.kind} {step.name}")
    return found


def test_a_second_run_changes_nothing_and_sends_no_write(
    engine: Engine, engine_url: str, provisioned: Settings
) -> None:
    with CountingProxy(engine_url) as proxy, Engine(Connection(proxy.url)) as counted:
        plan = provision(counted, provisioned)
    assert {step.action for step in plan.steps} == {"unchanged"}
    assert {step.why for step in plan.steps} <= {"is as rendered", "its newest index is as its template says"}
    reads = ("GET ", "POST /_msearch")
    written = [one for one in proxy.requests if not one.startswith(reads) and not one.endswith("/_search")]
    assert written == []
    assert len(proxy.requests) > 5, "the requests did not go through the proxy"


def test_who_stops_reading_the_plan_does_not_stop_its_work(
    engine: Engine, engine_url: str, settings: Settings
) -> None:
    where = ["--url", engine_url, "--namespace", settings.namespace]
    with subprocess.Popen(
        [sys.executable, "-m", "httpmon", *where, "provision"],
        cwd=REPOSITORY, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=120) == 0
    assert set(actions(engine, settings)) == {"unchanged"}


def test_what_was_changed_in_the_cluster_is_found_and_mended(engine: Engine, provisioned: Settings) -> None:
    names = provisioned.names
    pipeline = engine.request("GET", f"/_ingest/pipeline/{names.access_pipeline}")[names.access_pipeline]
    engine.request("PUT", f"/_ingest/pipeline/{names.access_pipeline}", body=pipeline | {"processors": []})
    engine.request("PUT", f"/{names.sections}/_settings", body={"index.refresh_interval": "99s"})
    changed = actions(engine, provisioned)["update"]
    assert changed == {f"pipeline {names.access_pipeline}", f"index {names.sections}-000001"}
    provision(engine, provisioned)
    assert set(actions(engine, provisioned)) == {"unchanged"}


def test_what_is_not_ours_is_refused_by_name_and_nothing_is_done(engine: Engine, settings: Settings) -> None:
    names = settings.names
    theirs = {"processors": [{"set": {"field": "a", "value": "b"}}]}
    engine.request("PUT", f"/_ingest/pipeline/{names.access_pipeline}", body=theirs)
    with pytest.raises(PlanRefused, match=f"nothing was changed: pipeline {names.access_pipeline} is there"):
        provision(engine, settings)
    found = engine.request("GET", f"/_ingest/pipeline/{names.access_pipeline}")[names.access_pipeline]
    assert found["processors"] == theirs["processors"]
    assert actions(engine, settings).get("unchanged") is None
    provision(engine, settings, Options(force=True))
    assert set(actions(engine, settings)) == {"unchanged"}


def test_two_namespaces_do_not_know_each_other(engine: Engine, provisioned: Settings) -> None:
    other = provisioned.model_copy(update={"namespace": f"{provisioned.namespace}b"})
    assert set(actions(engine, other)) == {"create"}
    provision(engine, other)
    assert set(actions(engine, provisioned)) == {"unchanged"} == set(actions(engine, other, prune=True))


def test_a_changed_transform_fills_beside_the_old_one_and_takes_its_place(
    engine: Engine, provisioned: Settings
) -> None:
    names = provisioned.names
    send_lines(engine, provisioned, [LINE.format(n % 10, n) for n in range(50)])
    _summarise(engine, provisioned)
    changed = provisioned.model_copy(update={"parameters": {"traffic": {"top": 3}}})
    provision(engine, changed)
    aliased = engine.request("GET", f"/_alias/{names.traffic}")
    assert set(aliased) == {f"{names.traffic}-000001"}, "readers keep the old numbers until the new are there"
    assert _hits(engine, names.traffic) == 50
    _summarise(engine, changed)
    provision(engine, changed, wait_seconds=0)
    assert set(engine.request("GET", f"/_alias/{names.traffic}")) == {f"{names.traffic}-000002"}
    engine.request("POST", f"/{names.traffic}/_refresh")
    assert _hits(engine, names.traffic) == 50
    assert set(actions(engine, changed)) == {"unchanged"}
    indices = engine.request("GET", f"/{names.traffic}-0*")
    assert set(indices) == {f"{names.traffic}-000002"}


def _summarise(engine: Engine, settings: Settings) -> None:
    service = TransformService(engine, settings.names, monotonic=QuickClock())
    try:
        settle(engine, service, ticks=20_000)
    finally:
        service.close()
    engine.request("POST", f"/{settings.names.prefix}-*/_refresh")


def _hits(engine: Engine, alias: str) -> int:
    body: dict[str, Any] = {"size": 0, "aggs": {"hits": {"sum": {"field": "httpmon.hits"}}}}
    return int(engine.request("POST", f"/{alias}/_search", body=body)["aggregations"]["hits"]["value"])


def test_removal_keeps_data_and_what_that_needs_until_it_is_told_otherwise(
    engine: Engine, provisioned: Settings
) -> None:
    names = provisioned.names
    send_lines(engine, provisioned, [LINE.format(1, 1)])
    theirs = {"processors": []}
    engine.request("PUT", f"/_ingest/pipeline/{names.of('theirs')}", body=theirs)
    _remove(engine, provisioned, data=False)
    assert engine.request("GET", f"/{names.raw}/_count")["count"] == 1
    send_lines(engine, provisioned, [LINE.format(2, 2)], first=1)
    assert engine.request("GET", f"/{names.raw}/_count")["count"] == 2
    _remove(engine, provisioned, data=True)
    left = plan_removal(engine, provisioned, data=True)
    assert left.steps == ()
    assert set(actions(engine, provisioned)) == {"create"}
    assert names.of("theirs") in engine.request("GET", f"/_ingest/pipeline/{names.of('theirs')}")


def _remove(engine: Engine, settings: Settings, *, data: bool) -> None:
    for _ in apply_plan(engine, plan_removal(engine, settings, data=data)):
        pass
