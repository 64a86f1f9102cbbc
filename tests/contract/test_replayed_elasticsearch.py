"""Guards: what `httpmon provision`, `status` and `deprovision` do on Elasticsearch, whatever it answers.

The real client speaks HTTP to a server that answers as an Elasticsearch does: with recordings of a real
8.10.4 where they are at hand, and always with answers of the same shape made here, of old and new versions.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli.app import run
from engine.client import Engine
from engine.connection import Connection
from engine.errors import Conflict, EngineError, NotFound, NotPermitted, RequestRefused
from provisioning.templates import BUILT_IN_PACK
from tests.contract.replay.answers import Answer, Answers, made, recorded
from tests.contract.replay.cluster import Cluster
from tests.contract.replay.rest_api import problem
from tests.contract.replay.server import ReplayServer

SECTIONS = "httpmon-sections-000001"
WATCH = "httpmon-high-traffic"


@pytest.fixture(scope="module", params=["recorded", "8.10.4", "9.5.3"])
def answers(request: pytest.FixtureRequest) -> Answers:
    if request.param == "recorded":
        shared: Path = request.getfixturevalue("shared_folder")
        return recorded(shared / "recordings" / "elasticsearch-8.10")
    return made(request.param)


@pytest.fixture
def server(answers: Answers) -> Iterator[ReplayServer]:
    """A cluster with a trial licence, empty."""
    with ReplayServer(Cluster(answers)) as serving:
        yield serving
        assert serving.unknown == []


@pytest.fixture
def basic(answers: Answers) -> Iterator[ReplayServer]:
    """A cluster with a Basic licence, empty."""
    with ReplayServer(Cluster(answers, "basic")) as serving:
        yield serving
        assert serving.unknown == []


@pytest.fixture
def any_server() -> Iterator[ReplayServer]:
    """As ``server``, for what does not depend on how answers look."""
    with ReplayServer(Cluster(made("8.19.21"))) as serving:
        yield serving
        assert serving.unknown == []


@pytest.fixture(scope="module")
def installed(answers: Answers) -> Cluster:
    """A cluster with a trial licence and the built-in pack, made once; not to be changed."""
    return provisioned_cluster(answers)


def provisioned_cluster(answers: Answers) -> Cluster:
    with ReplayServer(Cluster(answers)) as serving:
        assert httpmon(serving, "provision").code == 0
        assert serving.unknown == []
        return serving.cluster


@pytest.fixture
def provisioned(installed: Cluster) -> Iterator[ReplayServer]:
    """As ``installed``, the test's own."""
    with ReplayServer(copy.deepcopy(installed)) as serving:
        yield serving
        assert serving.unknown == []


@pytest.fixture(scope="module")
def installed_somewhere() -> Cluster:
    """As ``installed``, for what does not depend on how answers look."""
    return provisioned_cluster(made("8.19.21"))


@pytest.fixture
def provisioned_somewhere(installed_somewhere: Cluster) -> Iterator[ReplayServer]:
    """As ``installed_somewhere``, the test's own."""
    with ReplayServer(copy.deepcopy(installed_somewhere)) as serving:
        yield serving
        assert serving.unknown == []


class Told(NamedTuple):
    """What a command came to."""

    code: int
    output: str
    errors: str


def httpmon(server: ReplayServer, *arguments: str) -> Told:
    output, errors = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["httpmon", "--url", server.url, *arguments]
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = run()
    finally:
        sys.argv = before
    return Told(code, output.getvalue(), errors.getvalue())


def ask(server: ReplayServer, method: str, path: str, body: Any = None, **params: Any) -> Any:
    """What somebody else asks of the cluster, on another connection."""
    with Engine(Connection(server.url)) as engine:
        return engine.request(method, path, body=body, params=params)


def status(server: ReplayServer) -> tuple[int, dict[str, Any]]:
    told = httpmon(server, "status", "--format", "json")
    return told.code, json.loads(told.output)


def test_a_second_run_sends_no_write(server: ReplayServer) -> None:
    first = httpmon(server, "provision")
    assert (first.code, "objects changed" in first.output) == (0, True)
    cluster = server.cluster
    assert {one.state for one in cluster.transforms.all.values()} == {"started"}
    assert WATCH in cluster.watches.all
    server.requests.clear()
    second = httpmon(server, "provision")
    assert (second.code, second.output.splitlines()[-1]) == (0, "nothing to do")
    assert server.writes == []
    assert len(server.requests) > 8
    assert status(server)[0] == 0


def test_a_second_run_under_a_basic_licence_sends_no_write(basic: ReplayServer) -> None:
    assert httpmon(basic, "provision").code == 0
    assert not any("_watcher" in request for request in basic.requests), "it is known beforehand"
    assert WATCH in basic.cluster.indices.all[".httpmon-watches"].documents
    assert {one.state for one in basic.cluster.transforms.all.values()} == {"started"}
    basic.requests.clear()
    assert httpmon(basic, "provision").output.splitlines()[-1] == "nothing to do"
    assert basic.writes == []
    code, shown = status(basic)
    assert (code, shown["status"]) == (6, "degraded")
    assert all("httpmon scheduler" in finding["mend"] for finding in shown["findings"])
    assert "basic" in json.dumps(shown)


def test_watches_under_a_basic_licence_are_refused_in_elastics_words(basic: ReplayServer) -> None:
    with pytest.raises(NotPermitted, match="current license is non-compliant for"):
        ask(basic, "PUT", f"/_watcher/watch/{WATCH}", {"trigger": {}})


def test_what_was_changed_in_the_cluster_is_shown_and_mended(provisioned: ReplayServer) -> None:
    ask(provisioned, "POST", f"/_transform/{SECTIONS}/_update", {"frequency": "30s"})
    ask(provisioned, "PUT", f"/{SECTIONS}/_settings", {"index.refresh_interval": "60s"})
    path = "/_ingest/pipeline/httpmon-summary"
    pipeline = ask(provisioned, "GET", path)["httpmon-summary"]
    ask(provisioned, "PUT", path, pipeline | {"processors": []})
    watch, _ = provisioned.cluster.watches.all[WATCH]
    watch["metadata"]["threshold"] = 99.0
    provisioned.requests.clear()
    checked = httpmon(provisioned, "provision", "--check", "--diff")
    assert (checked.code, provisioned.writes) == (3, [])
    assert "frequency: '30s' -> '1s'" in checked.output
    assert "metadata.threshold: 99.0 -> 10.0" in checked.output
    assert status(provisioned)[0] != 0
    assert httpmon(provisioned, "provision").code == 0
    changed = {path.partition(" ")[2].partition("/_update")[0] for path in provisioned.writes}
    assert {f"/_transform/{SECTIONS}", f"/_watcher/watch/{WATCH}"} <= changed
    provisioned.requests.clear()
    assert httpmon(provisioned, "provision").output.splitlines()[-1] == "nothing to do"
    assert provisioned.writes == []
    assert provisioned.cluster.transforms.all[SECTIONS].state == "started"


def test_a_deactivated_watch_stays_so_when_it_is_updated(provisioned_somewhere: ReplayServer) -> None:
    watch, _ = provisioned_somewhere.cluster.watches.all[WATCH]
    provisioned_somewhere.cluster.watches.all[WATCH] = (watch, False)
    assert httpmon(provisioned_somewhere, "provision", "--set", "high_traffic.threshold=20").code == 0
    watch, active = provisioned_somewhere.cluster.watches.all[WATCH]
    assert (watch["metadata"]["threshold"], active) == (20.0, False)


def test_a_transform_that_somebody_started_meanwhile_is_as_well(provisioned: ReplayServer) -> None:
    transforms = provisioned.cluster.transforms
    transforms.all[SECTIONS].state = "stopped"
    transforms.started_meanwhile.add(SECTIONS)
    assert httpmon(provisioned, "provision").code == 0
    assert provisioned.writes == [f"POST /_transform/{SECTIONS}/_start"]
    assert transforms.all[SECTIONS].state == "started"


def test_a_failed_transform_is_shown_with_its_reason_and_repaired(provisioned: ReplayServer) -> None:
    transform = provisioned.cluster.transforms.all[SECTIONS]
    transform.state = "failed"
    reason = "Failed to index documents into destination index due to permanent error"
    code, shown = status(provisioned)
    assert code == 7
    assert any(f"transform {SECTIONS} failed: {reason}" in finding["what"] for finding in shown["findings"])
    left = httpmon(provisioned, "provision")
    assert (left.code, provisioned.writes) == (0, [])
    assert reason in left.output
    assert "--repair lets it try again" in left.output
    assert httpmon(provisioned, "provision", "--repair").code == 0
    assert provisioned.writes == [f"POST /_transform/{SECTIONS}/{action}" for action in ("_stop", "_start")]
    assert transform.state == "started"
    assert status(provisioned)[0] == 0


def test_a_lost_destination_is_made_anew_and_filled_again(provisioned_somewhere: ReplayServer) -> None:
    ask(provisioned_somewhere, "DELETE", f"/{SECTIONS}")
    provisioned_somewhere.requests.clear()
    assert httpmon(provisioned_somewhere, "provision").code == 0
    actions = [
        path.rpartition("/")[2]
        for path in provisioned_somewhere.writes
        if "/httpmon-sections-000001/" in path
    ]
    assert actions == ["_stop", "_reset", "_start"]
    assert "httpmon-sections" in provisioned_somewhere.cluster.indices.all[SECTIONS].aliases


def test_a_changed_pivot_fills_beside_the_old_one_and_takes_its_place(provisioned: ReplayServer) -> None:
    indices = provisioned.cluster.indices.all
    told = httpmon(provisioned, "provision", "--wait", "0", "--set", "traffic.top=3")
    assert (told.code, "not finished yet" in told.output) == (0, True)
    new = "httpmon-traffic-000002"
    assert "httpmon-traffic" in indices["httpmon-traffic-000001"].aliases
    assert provisioned.cluster.transforms.all[new].body["dest"]["index"] == new
    assert httpmon(provisioned, "provision", "--set", "traffic.top=3").code == 0
    assert "httpmon-traffic" in indices[new].aliases
    assert "httpmon-traffic-000001" not in {*indices, *provisioned.cluster.transforms.all}
    provisioned.requests.clear()
    assert httpmon(provisioned, "provision", "--set", "traffic.top=3").output.endswith("nothing to do\n")
    assert provisioned.writes == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/_ingest/pipeline/httpmon-access", {"processors": []}),
        ("/_index_template/httpmon-access", {"index_patterns": ["other-*"], "priority": 1}),
        (f"/_watcher/watch/{WATCH}", {"trigger": {"schedule": {"interval": "1h"}}, "actions": {}}),
        (f"/{SECTIONS}", {"mappings": {"properties": {"mine": {"type": "keyword"}}}}),
    ],
)
def test_what_is_not_ours_is_refused_by_name_before_anything_is_sent(
    any_server: ReplayServer, path: str, body: dict[str, Any]
) -> None:
    ask(any_server, "PUT", path, body)
    any_server.requests.clear()
    refused = httpmon(any_server, "provision")
    assert (refused.code, any_server.writes) == (1, [])
    assert "nothing was changed" in refused.errors
    assert path.rpartition("/")[2] in refused.errors
    assert "--force takes it over" in refused.errors


def test_what_is_not_ours_can_be_taken_over(any_server: ReplayServer) -> None:
    ask(any_server, "PUT", "/_ingest/pipeline/httpmon-access", {"processors": []})
    ask(
        any_server,
        "PUT",
        f"/_watcher/watch/{WATCH}",
        {"trigger": {"schedule": {"interval": "1h"}}, "actions": {}},
    )
    assert httpmon(any_server, "provision", "--force").code == 0
    any_server.requests.clear()
    assert httpmon(any_server, "provision").output.splitlines()[-1] == "nothing to do"
    assert any_server.writes == []


def test_what_fails_stops_the_plan_and_the_next_run_finishes(server: ReplayServer) -> None:
    refusal = server.cluster.answers("not_permitted")
    server.cluster.faults[f"PUT /_transform/{SECTIONS}"] = refusal
    stopped = httpmon(server, "provision")
    assert stopped.code == 5
    assert "manage_transform" in stopped.errors, "the privilege that is missing"
    assert f"create transform {SECTIONS}" in stopped.errors
    assert f"not begun: transform {SECTIONS.replace('sections', 'sections-hourly')}" in stopped.errors
    assert WATCH not in server.cluster.watches.all
    assert httpmon(server, "provision").code == 0
    server.requests.clear()
    assert httpmon(server, "provision").output.splitlines()[-1] == "nothing to do"


def test_a_cluster_that_cannot_list_its_features_is_known_by_its_licence(any_server: ReplayServer) -> None:
    broken = {"error": {"type": "illegal_state_exception", "reason": "failed to find action"}, "status": 500}
    any_server.cluster.faults["GET /_xpack"] = Answer(500, broken)
    any_server.cluster.faults["GET /_license"] = Answer(
        200, {"license": {"type": "basic", "status": "active"}}
    )
    assert httpmon(any_server, "provision").code == 0
    assert WATCH in any_server.cluster.indices.all[".httpmon-watches"].documents


def test_a_version_that_is_too_old_is_refused_unless_told_to_go_on() -> None:
    with ReplayServer(Cluster(made("8.9.2"))) as old:
        refused = httpmon(old, "provision")
        assert (refused.code, old.writes) == (1, [])
        assert "8.9.2 is older than 8.10" in refused.errors
        assert "--allow-old" in refused.errors
        assert httpmon(old, "provision", "--allow-old").code == 0


def test_what_only_looks_like_elasticsearch_is_refused() -> None:
    with ReplayServer(Cluster(made("8.10.4")), product=False) as other:
        with pytest.raises(EngineError, match=r"is no Elasticsearch or OpenSearch; check engine\.url"):
            ask(other, "GET", "/_xpack")
        assert httpmon(other, "provision").code == 1
        assert other.writes == []


def test_removal_keeps_data_and_then_leaves_nothing(provisioned: ReplayServer) -> None:
    cluster = provisioned.cluster
    ask(provisioned, "PUT", "/_ingest/pipeline/httpmon-theirs", {"processors": []})
    cluster.transforms.all[SECTIONS].state = "failed"
    assert httpmon(provisioned, "deprovision").code == 0
    assert (cluster.transforms.all, cluster.watches.all) == ({}, {})
    assert SECTIONS in cluster.indices.all
    assert cluster.indices.named("logs-httpmon.access-default")
    assert httpmon(provisioned, "deprovision", "--data", "--yes").code == 0
    assert cluster.indices.all == {}
    left = {kind: list(objects) for kind, objects in cluster.objects.items() if objects}
    assert left == {"_ingest/pipeline": ["httpmon-theirs"]}
    assert httpmon(provisioned, "deprovision").output.splitlines()[-1] == "nothing to remove"


def test_removal_under_a_basic_licence_leaves_nothing(basic: ReplayServer) -> None:
    assert httpmon(basic, "provision").code == 0
    assert httpmon(basic, "deprovision", "--data", "--yes").code == 0
    assert basic.cluster.indices.all == {}
    assert not any(basic.cluster.objects.values())


def test_nothing_installed_is_broken(any_server: ReplayServer) -> None:
    code, shown = status(any_server)
    assert (code, shown["findings"][0]["mend"]) == (7, "httpmon provision")
    assert any_server.writes == []


def test_a_changed_retention_takes_effect_without_a_rollover(
    provisioned: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPMON_RETENTION_DEAD", "9d")
    assert httpmon(provisioned, "provision").code == 0
    by_lifecycle = tuple(map(int, provisioned.cluster.answers.version.split("."))) >= (8, 14, 0)
    expected = (
        ["PUT /_index_template/httpmon-dead", "PUT /_data_stream/logs-httpmon.dead-default/_lifecycle"]
        if by_lifecycle
        else ["PUT /_ilm/policy/httpmon-dead"]
    )
    assert provisioned.writes == expected
    provisioned.requests.clear()
    assert httpmon(provisioned, "provision").output.splitlines()[-1] == "nothing to do"
    assert provisioned.writes == []


def test_a_transform_that_would_never_see_anything_is_told(any_server: ReplayServer, tmp_path: Path) -> None:
    """Elasticsearch takes a field for sync.time that its source does not have, and finds nothing for ever."""
    built_in = (BUILT_IN_PACK / "transforms" / "sections.json.j2").read_text(encoding="utf-8")
    (tmp_path / "transforms").mkdir()
    mistyped = built_in.replace('"field": "event.ingested"', '"field": "event.ingestd"')
    (tmp_path / "transforms" / "sections.json.j2").write_text(mistyped, encoding="utf-8")
    (tmp_path / "httpmon.toml").write_text(f"packs = ['{tmp_path}']\n", encoding="utf-8")
    config = ("--config", str(tmp_path / "httpmon.toml"))
    told = (
        "sync.time.field: logs-httpmon.access-default has no field event.ingestd: "
        "no document would ever be seen; did you mean event.ingested?"
    )

    stopped = httpmon(any_server, *config, "provision")

    assert stopped.code == 1
    assert f"httpmon: create transform {SECTIONS}: {told}" in stopped.errors
    assert SECTIONS not in any_server.cluster.transforms.all
    assert (
        f"transform sections: {told}"
        in httpmon(any_server, *config, "transform", "preview", "sections").errors
    )

    assert httpmon(any_server, "provision").code == 0
    transform = any_server.cluster.transforms.all[SECTIONS]
    transform.body["sync"]["time"]["field"] = "event.ingestd"
    transform.state = "stopped"
    started = httpmon(any_server, "transform", "start", "sections")
    assert (started.code, started.errors) == (1, f"httpmon: transform {SECTIONS}: {told}\n")
    assert transform.state == "stopped"


def test_transforms_are_switched_by_elasticsearchs_own_api(provisioned: ReplayServer) -> None:
    transforms = provisioned.cluster.transforms.all
    assert SECTIONS in httpmon(provisioned, "transform", "list").output
    assert "is stopped" in httpmon(provisioned, "transform", "stop", "sections").output
    assert transforms[SECTIONS].state == "stopped"
    assert "was stopped already" in httpmon(provisioned, "transform", "stop", "sections").output
    transforms[SECTIONS].state = "failed"
    assert "is started" in httpmon(provisioned, "transform", "start", "sections").output
    assert transforms[SECTIONS].state == "started"
    assert "was started already" in httpmon(provisioned, "transform", "start", "sections").output
    provisioned.requests.clear()
    assert httpmon(provisioned, "transform", "reset", "sections").code == 0
    assert [path.rpartition("/")[2] for path in provisioned.writes] == ["_stop", "_reset", "_start"]


def test_watches_are_switched_and_tried_by_watchers_own_api(
    provisioned: ReplayServer, tmp_path: Path
) -> None:
    watches = provisioned.cluster.watches
    assert httpmon(provisioned, "watch", "deactivate", "high_traffic").code == 0
    assert not watches.all[WATCH][1]
    assert WATCH in httpmon(provisioned, "watch", "list").output
    assert httpmon(provisioned, "watch", "activate", "high_traffic").code == 0
    assert watches.all[WATCH][1]
    assert httpmon(provisioned, "watch", "ack", "high_traffic", "write_alert").code == 0
    assert watches.acknowledged == {WATCH: ["write_alert"]}
    listed = json.loads(httpmon(provisioned, "watch", "list", "--format", "json").output)
    assert {one["identifier"]: one["acknowledged"] for one in listed}[WATCH] == ["write_alert"]
    payload = tmp_path / "payload.json"
    payload.write_text('{"traffic": {}}', encoding="utf-8")
    tried = httpmon(
        provisioned,
        "watch",
        "execute",
        "high_traffic",
        "--simulate",
        "--input",
        str(payload),
        "--ignore-condition",
    )
    assert (tried.code, json.loads(tried.output)["watch_id"]) == (0, WATCH)
    assert provisioned.bodies[-1] == (
        f"POST /_watcher/watch/{WATCH}/_execute",
        {
            "action_modes": {"_all": "force_simulate"},
            "alternative_input": {"traffic": {}},
            "ignore_condition": True,
        },
    )


def test_a_request_that_no_elasticsearch_has_would_be_seen() -> None:
    assert problem("POST", "/_transform/a/_stop", {"force", "timeout"}) is None
    assert problem("POST", "/_transform/a/_stop", {"forced"}) == (
        "POST /_transform/a/_stop: unknown parameters ['forced']"
    )
    assert (
        problem("POST", "/_transform/a/_halt", set()) == "POST /_transform/a/_halt: there is no such request"
    )


def test_every_recorded_refusal_is_one_line_in_elastics_words(shared_folder: Path) -> None:
    folder = shared_folder / "recordings" / "elasticsearch-8.10"
    refusals = {file: body for file in sorted(folder.rglob("*.json")) if (body := refusal_in(file))}
    assert len(refusals) > 30
    kinds = {401: NotPermitted, 403: NotPermitted, 404: NotFound, 409: Conflict}
    with ReplayServer(Cluster(made("8.10.4"))) as serving, Engine(Connection(serving.url)) as engine:
        for file, body in refusals.items():
            serving.cluster.faults["GET /_transform/any"] = Answer(body["status"], body)
            with pytest.raises(RequestRefused) as caught:
                engine.request("GET", "/_transform/any")
            assert type(caught.value) is kinds.get(body["status"], RequestRefused), file
            told = str(caught.value)
            assert "no reason given" not in told, file
            if isinstance(body["error"], dict) and body["status"] != 403:
                assert str(body["error"]["reason"]) in told, file


def refusal_in(file: Path) -> dict[str, Any] | None:
    """The error that a recording holds, if it does."""
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # one document a line
        return None
    return body if isinstance(body, dict) and "error" in body and "status" in body else None
