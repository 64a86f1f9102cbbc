"""Guards that `httpmon doctor` sees what can go wrong on a real engine, and nothing where all is well.

One installation for all tests of this file: each does its damage, has it found, and mends it with the
finding's own command or takes it back.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from provisioning.installation import provision
from provisioning.settings import EngineSettings, Settings
from reading.doctor.answers import read_uncounted, uncounted_search
from reading.doctor.diagnose import diagnose
from reading.doctor.facts import Uncounted
from reading.doctor.finding import Finding
from reading.doctor.gather import examine
from reading.doctor.remedies import Remedies
from scheduler.leadership import this_process
from scheduler.lease import LEASE_ID, taken, to_document
from scheduler.transforms.control import control_of
from shipping.delivery import Counts
from shipping.reports import Reporting, report_document
from shipping.shipper import Progress
from tests.conftest import remove_namespace
from tests.node.full_disk import look_while_blocked
from tests.node.summaries import log_line, send_lines
from tests.node.tail_indices import alert_operations, send
from tests.node.terminal import Terminal

pytestmark = pytest.mark.node

NAMESPACE = "tdoctor"


@pytest.fixture(scope="module")
def patient(engine: Engine, engine_url: str) -> Iterator[Settings]:
    """An installation on which nothing is wrong but that no scheduler executes."""
    settings = Settings(namespace=NAMESPACE, engine=EngineSettings(url=engine_url))
    remove_namespace(engine, NAMESPACE)
    provision(engine, settings)
    yield settings
    remove_namespace(engine, NAMESPACE)


def found(
    engine: Engine,
    settings: Settings,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Finding]:
    """The findings, without the one that every test here has: no scheduler executes."""
    findings = diagnose(examine(settings, engine, clock=clock), Remedies(settings.engine))
    return [one for one in findings if one.code != "scheduler"]


def the(findings: list[Finding], code: str) -> Finding:
    """The only finding of a code."""
    matching = [one for one in findings if one.code == code]
    assert len(matching) == 1, findings
    return matching[0]


def run_by_hand(engine: Engine, command: str) -> None:
    """Do what a finding's curl would: the method, the path and the body stand in it as they are sent."""
    path = command.split(engine.url, 1)[1].split(" ", 1)[0].strip("'")
    body = command.rsplit(" -d ", 1)[1].strip("'")
    engine.request("PUT", path, body=json.loads(body))


@contextmanager
def documents(engine: Engine, index: str, by_id: dict[str, dict[str, Any]]) -> Iterator[None]:
    for identifier, body in by_id.items():
        engine.request("PUT", f"/{index}/_doc/{identifier}", body=body, params={"refresh": "true"})
    try:
        yield
    finally:
        for identifier in by_id:
            engine.request("DELETE", f"/{index}/_doc/{identifier}", params={"refresh": "true"})


def test_where_all_is_well_there_is_nothing_but_the_scheduler(engine: Engine, patient: Settings) -> None:
    assert found(engine, patient) == []
    where = ["--url", engine.url, "--namespace", NAMESPACE]
    result = CliRunner().invoke(app, [*where, "doctor", "--format", "json"])
    shown = json.loads(result.stdout)
    assert (result.exit_code, shown["exit_code"]) == (7, 7)
    (finding,) = shown["findings"]
    assert finding["symptom"] == "no scheduler executes"
    assert finding["commands"] == [f"httpmon --url {engine.url} --namespace {NAMESPACE} scheduler"]
    text = CliRunner().invoke(app, [*where, "doctor"]).stdout
    assert text.splitlines()[0] == "broken: no scheduler executes"
    assert f"    {finding['commands'][0]}" in text.splitlines()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50)])
def test_in_a_terminal_words_are_whole_and_commands_are_lines(
    engine: Engine, patient: Settings, width: int, height: int
) -> None:
    command = f"{sys.executable} -m httpmon --url {engine.url} --namespace {NAMESPACE}"
    terminal = Terminal(width, height, f"{command} doctor")
    try:
        lines = terminal.wait(lambda text: "ended with 7" in text)
        assert lines[0] == "broken: no scheduler executes"
        assert lines[1].startswith(
            "    why: this engine does not run all transforms and watches itself, and no"
        )
        assert "httpmon scheduler runs" in " ".join(" ".join(lines).split())
        assert max(len(line) for line in lines[:3]) <= min(width, 100)
        assert f"    httpmon --url {engine.url} --namespace {NAMESPACE} scheduler" in lines
    finally:
        terminal.close()
    terminal = Terminal(width, height, f"{command} status --utc | head -{height - 4}; echo shown")
    try:
        lines = terminal.wait(lambda text: "shown" in text and "status" in text)
        assert lines[0].split() == ["status", "DEGRADED"]
        assert "degraded: no scheduler executes" in lines
    finally:
        terminal.close()


def test_nothing_is_installed(engine: Engine, settings: Settings) -> None:
    (finding,) = found(engine, settings)
    assert (finding.code, finding.commands) == ("not-installed", ("httpmon provision",))


def test_a_read_only_index_is_found_and_its_command_mends_it(engine: Engine, patient: Settings) -> None:
    names = patient.names
    findings = look_while_blocked(engine, names.raw, lambda: found(engine, patient), bool)
    finding = the(findings, "read-only")
    assert finding.level == "broken"
    assert "flood_stage" in finding.cause
    run_by_hand(engine, finding.commands[-1])
    assert found(engine, patient) == []
    engine.request("PUT", f"/{names.sections}/_settings", body={"index.blocks.write": True})
    finding = the(found(engine, patient), "read-only")
    assert "somebody set it" in finding.cause
    run_by_hand(engine, finding.commands[-1])
    assert found(engine, patient) == []


def test_a_red_index_is_found_with_the_filter_that_makes_it_so(engine: Engine, patient: Settings) -> None:
    index = f"{patient.names.sections}-000001"
    before = engine.request("GET", f"/{index}")[index]
    engine.request("DELETE", f"/{index}")
    settings = {"index.routing.allocation.require.box": "nowhere", "index.number_of_replicas": 0}
    body = {"settings": settings, "mappings": before["mappings"], "aliases": before["aliases"]}
    engine.request("PUT", f"/{index}", body=body, params={"wait_for_active_shards": 0, "timeout": "1s"})
    try:
        finding = the(found(engine, patient), "red")
        assert finding.symptom == f"index {index} has lost shard 0 (red)"
        assert "allocation filter" in finding.cause
        assert "nowhere" in finding.cause
        result = CliRunner().invoke(app, ["--url", engine.url, "--namespace", NAMESPACE, "status"])
        assert result.exit_code == 7
        assert "an index has lost a shard (red)" in result.stdout
        run_by_hand(engine, finding.commands[-1])
        engine.request("GET", f"/_cluster/health/{index}", params={"wait_for_status": "green"})
        assert "red" not in {one.code for one in found(engine, patient)}
    finally:
        engine.request("DELETE", f"/{index}")
        provision(engine, patient)
    assert found(engine, patient) == []


def test_copies_that_cannot_be_are_a_note(engine: Engine, patient: Settings) -> None:
    path = f"/{patient.names.alerts}/_settings"
    copies = {"index.auto_expand_replicas": False, "index.number_of_replicas": 3}
    engine.request("PUT", path, body=copies)
    try:
        finding = the(found(engine, patient), "yellow")
        assert finding.level == "note"
    finally:
        engine.request("PUT", path, body={"index.auto_expand_replicas": "0-1"})
    assert found(engine, patient) == []


def test_hits_past_the_pipeline_are_found_but_by_their_own_time(engine: Engine, patient: Settings) -> None:
    """Asked here as on Elasticsearch; the transforms here do not need the field, so nothing is wrong."""
    names = patient.names
    now = datetime.now(UTC)
    send_lines(engine, patient, ["what is this"])
    past = {"event": {"kind": "event", "original": "GET /"}, "log": {"file": {"path": "/var/log/a"}}}
    arrived = {**past, "@timestamp": "2015-05-17T10:05:03Z", "event": past["event"] | {"ingested": now}}
    never_stamped = {**past, "@timestamp": now - timedelta(minutes=1)}
    long_ago = {**past, "@timestamp": now - timedelta(days=3)}
    counted = {**arrived, "httpmon": {"bucket_middle": "2015-05-17T10:05:05Z"}}
    for document in (arrived, never_stamped, long_ago, counted):
        body = json.loads(json.dumps(document, default=datetime.isoformat))
        asked: dict[str, str | bool] = {"pipeline": "_none", "refresh": True}
        engine.request("POST", f"/{names.raw}/_doc", body=body, params=asked)
    try:
        answer = engine.request("POST", f"/{names.raw}/_search", body=uncounted_search())
        assert read_uncounted(names.raw, answer) == Uncounted(names.raw, 2, "GET /", "/var/log/a")
        assert "uncounted" not in {one.code for one in found(engine, patient)}
    finally:
        empty(engine, names.raw)
    assert found(engine, patient) == []


def test_lines_that_cannot_be_parsed_or_were_refused(engine: Engine, patient: Settings) -> None:
    names = patient.names
    now = datetime.now(UTC)
    send_lines(engine, patient, [log_line(now), log_line(now), "what is this"])
    refused = {"@timestamp": now.isoformat(), "error": {"type": "strict_dynamic_mapping_exception"}}
    engine.request("POST", f"/{names.dead}/_doc", body=refused, params={"refresh": "true"})
    try:
        findings = found(engine, patient)
        finding = the(findings, "unparsed")
        assert finding.symptom == "1 lines of the last hour could not be parsed, 33.3% of all"
        assert "what is this" in finding.cause
        assert the(findings, "refused-lines").cause == "its reasons: strict_dynamic_mapping_exception (1)"
    finally:
        empty(engine, names.raw, names.dead)
    assert found(engine, patient) == []


def empty(engine: Engine, *streams: str) -> None:
    for stream in streams:
        query = {"query": {"match_all": {}}}
        engine.request("POST", f"/{stream}/_delete_by_query", body=query, params={"refresh": "true"})


def test_a_hit_of_a_time_to_come(engine: Engine, patient: Settings) -> None:
    send_lines(engine, patient, [log_line(datetime.now(UTC) + timedelta(hours=2))])
    try:
        assert "yet to come" in the(found(engine, patient), "future").symptom
    finally:
        empty(engine, patient.names.raw)


def test_a_stopped_transform_and_a_failed_one(engine: Engine, patient: Settings) -> None:
    control = control_of(engine, patient, native=False)
    one, another = sorted(control.bodies())[:2]
    control.stop(one)
    state = {another + ":state": {"type": "state", "id": another, "status": "failed", "reason": "no field x"}}
    with documents(engine, patient.names.transform_store, state):
        findings = found(engine, patient)
        failed, stopped = the(findings, "transform-failed"), the(findings, "transform-stopped")
        assert (failed.level, failed.symptom, failed.cause) == (
            "broken",
            f"transform {another} failed",
            "no field x",
        )
        assert (stopped.level, stopped.symptom) == ("degraded", f"transform {one} is stopped")
        assert stopped.commands == (f"httpmon transform start {one}",)
    control.start(one)
    assert found(engine, patient) == []


def test_a_watch_that_somebody_deactivated(engine: Engine, patient: Settings) -> None:
    watch = patient.names.of("high_traffic")
    where = ["--url", engine.url, "--namespace", NAMESPACE, "watch"]
    assert CliRunner().invoke(app, [*where, "deactivate", watch]).exit_code == 0
    finding = the(found(engine, patient), "watch-inactive")
    assert (finding.symptom, finding.commands) == (
        f"watch {watch} is not active",
        (f"httpmon watch activate {watch}",),
    )
    assert CliRunner().invoke(app, [*where, "activate", watch]).exit_code == 0
    assert found(engine, patient) == []


def test_a_scheduler_that_does_not_keep_up(engine: Engine, patient: Settings) -> None:
    names = patient.names
    now = engine.now()
    watches = [step.name for step in provision(engine, patient).steps if step.kind == "watch"]
    late, failing = watches[:2]
    runs: dict[str, dict[str, Any]] = {
        f"{name}:status": {
            "type": "status",
            "id": name,
            "last_scheduled_time": now.isoformat(),
            "status": {"execution_state": "executed", "last_checked": now.isoformat()},
        }
        for name in watches
    }
    long_ago = (now - timedelta(minutes=10)).isoformat()
    runs[f"{late}:status"] |= {
        "last_scheduled_time": long_ago,
        "status": {"execution_state": "executed", "last_checked": long_ago},
    }
    runs[f"{failing}:status"] |= {"status": {"execution_state": "failed"}, "trouble": "no such index [x]"}
    runs[LEASE_ID] = to_document(taken(None, this_process(), now))
    with documents(engine, names.watch_store, runs):
        findings = diagnose(examine(patient, engine), Remedies(patient.engine))
    assert {one.code for one in findings} == {"transform-behind", "watch-late", "watch-failing"}
    assert the(findings, "watch-late").symptom == f"watch {late} is late"
    failed = the(findings, "watch-failing")
    assert (failed.level, failed.symptom, failed.cause) == (
        "broken",
        f"watch {failing} fails",
        "no such index [x]",
    )
    behind = [one.symptom for one in findings if one.code == "transform-behind"]
    assert f"transform {names.sections}-000001 never ran" in behind
    assert found(engine, patient) == []


def test_an_object_that_somebody_changed_and_an_alert_that_is_open(engine: Engine, patient: Settings) -> None:
    pipeline = f"/_ingest/pipeline/{patient.names.of('summary')}"
    body = engine.request("GET", pipeline)[patient.names.of("summary")]
    engine.request("PUT", pipeline, body={**body, "processors": []})
    changed = the(found(engine, patient), "changed")
    assert changed.symptom == f"not as rendered: {patient.names.of('summary')}"
    where = ["--url", engine.url, "--namespace", NAMESPACE]
    assert changed.commands[-1] == "httpmon provision"
    assert CliRunner().invoke(app, [*where, "provision"]).exit_code == 0
    now = datetime.now(UTC)
    send(engine, alert_operations(patient.names, 1, "triggered", now, now))
    try:
        assert the(found(engine, patient), "alert").symptom == "open alert: High traffic"
    finally:
        empty(engine, patient.names.alerts)
    assert found(engine, patient) == []


def test_a_field_of_two_types(engine: Engine, patient: Settings) -> None:
    raw = patient.names.raw
    engine.request("PUT", f"/{raw}/_mapping", body={"properties": {"shoe_size": {"type": "long"}}})
    engine.request("POST", f"/{raw}/_rollover")
    params = {"write_index_only": True}
    body = {"properties": {"shoe_size": {"type": "keyword"}}}
    engine.request("PUT", f"/{raw}/_mapping", body=body, params=params)
    try:
        finding = the(found(engine, patient), "mapping")
        assert finding.symptom.startswith(f"the field shoe_size of {raw} has several types: keyword in .ds-")
    finally:
        engine.request("DELETE", f"/_data_stream/{raw}")
        provision(engine, patient)
    assert found(engine, patient) == []


def test_data_that_should_have_expired(engine: Engine, patient: Settings) -> None:
    raw = patient.names.raw
    kept = patient.model_copy(
        update={"retention": patient.retention.model_copy(update={"raw": "4h", "summaries": "2d"})}
    )
    engine.request("POST", f"/{raw}/_rollover")
    try:
        assert "retention" not in {one.code for one in found(engine, kept)}
        later = datetime.now(UTC) + timedelta(days=2)
        findings = [one for one in found(engine, kept, lambda: later) if one.code == "retention"]
        finding = next(one for one in findings if raw in one.symptom)
        assert f"{raw} is kept for 4h, and should be gone: .ds-{raw}-" in finding.symptom
        assert finding.commands[0] == "httpmon scheduler"
    finally:
        engine.request("DELETE", f"/_data_stream/{raw}")
        provision(engine, patient)


def test_a_clock_that_is_wrong(engine: Engine, patient: Settings) -> None:
    finding = the(found(engine, patient, lambda: datetime.now(UTC) - timedelta(minutes=5)), "clock-skew")
    assert "300" in finding.symptom.replace("299.9", "300")
    assert "ahead of this host's" in finding.symptom


def test_a_missing_object_and_one_of_somebody_else(engine: Engine, patient: Settings) -> None:
    script = f"/_scripts/{patient.names.of('top_paths')}"
    engine.request("DELETE", script)
    assert the(found(engine, patient), "missing").commands == ("httpmon provision",)
    engine.request("PUT", script, body={"script": {"lang": "mustache", "source": "{}"}})
    try:
        finding = the(found(engine, patient), "foreign-object")
        assert finding.level == "broken"
        assert "was not made by httpmon" in finding.symptom
    finally:
        engine.request("DELETE", script)
        provision(engine, patient)
    assert found(engine, patient) == []


def test_two_hosts_that_provision_one_namespace(engine: Engine, patient: Settings) -> None:
    other = patient.model_copy(update={"parameters": {"high_traffic": {"threshold": 99.0}}})
    provision(engine, other)
    try:
        finding = the(found(engine, patient), "rendered-otherwise")
        assert finding.symptom == f"rendered otherwise than here: {patient.names.of('high_traffic')}"
        assert finding.commands[-1] == "httpmon --namespace OTHER provision"
    finally:
        provision(engine, patient)
    assert found(engine, patient) == []


def test_a_newer_httpmon_was_here(engine: Engine, patient: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    # A checkout that was never installed has no version of its own to compare with.
    monkeypatch.setattr("provisioning.desired.httpmon_version", lambda: "1.0.0")
    name = patient.names.of("summary")
    body = engine.request("GET", f"/_ingest/pipeline/{name}")[name]
    before = body["description"]
    version = before.rsplit("version=", 1)[1].split(" ", 1)[0]
    body["description"] = before.replace(f"version={version}", "version=99.0.0")
    engine.request("PUT", f"/_ingest/pipeline/{name}", body=body)
    try:
        finding = the(found(engine, patient), "newer-httpmon")
        assert finding.symptom == "httpmon 99.0.0 wrote objects here, which is newer than this one"
    finally:
        engine.request("PUT", f"/_ingest/pipeline/{name}", body={**body, "description": before})
    assert found(engine, patient) == []


def test_shippers_behind_silent_and_two_for_one_file(engine: Engine, patient: Settings) -> None:
    now = datetime.now(UTC)

    def report(
        pid: int, *, seconds_ago: int = 0, behind: float = 0.0, again: int = 0, dead: int = 0
    ) -> dict[str, Any]:
        who = Reporting("web1", pid, Path(f"/r{pid}.json"), (f"/log{pid % 2}",), now)
        counts = Counts(read=2000, sent=2000 - again, duplicates=again, dead=dead)
        progress = Progress(counts, int(behind * 1000), behind, 1)
        return report_document(who, progress, state="running", now=now - timedelta(seconds=seconds_ago))

    reports = {
        "shipper:1": report(1, behind=90.0),
        "shipper:2": report(2, seconds_ago=120),
        "shipper:3": report(3, again=1500, dead=7),
    }
    with documents(engine, patient.names.operations, reports):
        findings = found(engine, patient)
    told = {one.code: one.symptom for one in findings}
    assert told["shipper-behind"] == "the shipper on web1 (process 1) is 90,000 bytes and 90 s behind"
    assert "(process 2) was heard of 12" in told["shipper-silent"]
    assert told["shipper-refused"].startswith("the shipper on web1 (process 3) had 7 lines refused for good")
    assert told["shippers-of-one-file"].startswith("two shippers on web1 (processes 1 and 3) follow /log1")
    assert told["lines-sent-again"] == "of 2,000 lines of the shipper on web1, 1,500 were there already"
    assert found(engine, patient) == []
