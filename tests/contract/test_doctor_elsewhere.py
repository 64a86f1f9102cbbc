"""Guards what `httpmon doctor` finds where the local node cannot be: TLS, accounts, licences, disks.

The real client speaks to real servers: one with a real certificate, one that answers as Elasticsearch does.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from typer.testing import CliRunner

from cli.app import app
from reading.doctor.answers import uncounted_search
from tests.contract.replay.answers import Answer, made
from tests.contract.replay.cluster import Cluster
from tests.contract.replay.server import ReplayServer
from tests.kibana_server import KibanaServer


class Sick(Cluster):
    """A cluster that gives some answers whatever it would say, by methods and paths' starts."""

    def __init__(self, version: str = "8.19.21", licence: str = "trial", **_: Any) -> None:
        super().__init__(made(version), licence)
        self.always: dict[str, Answer] = {}

    def answer(self, method: str, path: str, params: Any, body: Any) -> Answer:
        for start, answer in self.always.items():
            if f"{method} {path}".startswith(start):
                return answer
        return super().answer(method, path, params, body)


@pytest.fixture
def cluster() -> Sick:
    return Sick()


@pytest.fixture
def server(cluster: Sick) -> Iterator[ReplayServer]:
    with ReplayServer(cluster) as serving:
        assert CliRunner().invoke(app, ["--url", serving.url, "provision"]).exit_code == 0
        yield serving


def doctor(url: str, *options: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code, and the findings by code."""
    result = CliRunner().invoke(app, ["--url", url, *options, "doctor", "--format", "json"])
    assert result.stdout, result.exception
    shown = json.loads(result.stdout)
    assert shown["exit_code"] == result.exit_code
    findings: dict[str, list[dict[str, Any]]] = {}
    for one in shown["findings"]:
        assert one["symptom"]
        assert one["cause"]
        assert one["commands"]
        findings.setdefault(one["code"], []).append(one)
    return result.exit_code, findings


def test_a_healthy_elasticsearch_has_no_finding(server: ReplayServer) -> None:
    assert doctor(server.url) == (0, {})


def test_a_licence_that_ended_or_soon_will(server: ReplayServer, cluster: Sick) -> None:
    licence = {"type": "trial", "status": "active"}
    soon = int((datetime.now(UTC) + timedelta(days=3, hours=1)).timestamp() * 1000)
    cluster.always["GET /_license"] = Answer(200, {"license": {**licence, "expiry_date_in_millis": soon}})
    code, findings = doctor(server.url)
    assert (code, findings["licence-ends"][0]["symptom"]) == (6, "the trial licence ends in 3 days")
    cluster.always["GET /_license"] = Answer(200, {"license": {**licence, "status": "expired"}})
    code, findings = doctor(server.url)
    assert (code, findings["licence"][0]["symptom"]) == (7, "the trial licence is expired")


def test_privileges_that_are_missing(server: ReplayServer, cluster: Sick) -> None:
    held = {
        "has_all_requested": False,
        "cluster": {"manage_index_templates": False, "manage_ingest_pipelines": True, "monitor": True,
                    "manage_transform": True, "manage_watcher": True},
        "index": {
            "logs-httpmon.access-default": {"read": True, "create_doc": False, "manage": True},
            "logs-httpmon.dead-default": {"create_doc": True},
            "httpmon-*": {"read": True, "index": True, "delete": True, "manage": True},
        },
    }  # fmt: skip
    cluster.always["POST /_security/user/_has_privileges"] = Answer(200, held)
    code, findings = doctor(server.url)
    assert code == 0, "an account that only reads is as it should be"
    assert [one["symptom"] for one in findings["privileges"]] == [
        "this account may not ship: it lacks create_doc on logs-httpmon.access-default",
        "this account may not provision: it lacks manage_index_templates",
    ]
    held["index"]["httpmon-*"]["read"] = False
    code, findings = doctor(server.url)
    assert (code, findings["privileges"][0]["level"]) == (6, "degraded")


def test_questions_that_are_refused(server: ReplayServer, cluster: Sick) -> None:
    reason = "action [cluster:monitor/settings] is unauthorized for user [reader]"
    body = {"error": {"type": "security_exception", "reason": reason}, "status": 403}
    cluster.always["GET /_cluster/settings"] = Answer(403, body)
    code, findings = doctor(server.url)
    assert code == 6
    refused = "GET /_cluster/settings: 403 user reader may not cluster:monitor/settings"
    assert refused in findings["refused-questions"][0]["symptom"]


def test_an_account_that_is_not_known(server: ReplayServer, cluster: Sick) -> None:
    body = {"error": {"type": "security_exception", "reason": "unable to authenticate user"}, "status": 401}
    cluster.always["GET /"] = Answer(401, body)
    code, findings = doctor(server.url)
    assert (code, list(findings)) == (5, ["credentials"])


def test_versions_that_are_too_old_or_not_known_yet() -> None:
    for version, kind, level in (
        ("7.17.0", "version", "broken"),
        ("8.9.2", "version", "broken"),
        ("10.0.0", "version-untried", "note"),
    ):
        with ReplayServer(Sick(version)) as serving:
            code, findings = doctor(serving.url)
        assert (code, findings[kind][0]["level"]) == (7, level), version
        assert version in findings[kind][0]["symptom"]


@pytest.mark.parametrize(
    ("free", "level", "mark"),
    [(20, None, None), (12, "degraded", "low"), (7, "degraded", "high"), (3, "broken", "flood_stage")],
)
def test_disks_below_a_watermark(
    server: ReplayServer, cluster: Sick, free: int, level: str | None, mark: str | None
) -> None:
    gigabyte = 1 << 30
    disk = {"node": "one", "disk.avail": str(free * gigabyte), "disk.total": str(100 * gigabyte)}
    cluster.always["GET /_cat/allocation"] = Answer(200, [disk, {"node": "UNASSIGNED", "shards": "1"}])  # type: ignore[arg-type]
    name = "cluster.routing.allocation.disk.watermark"
    limits = {f"{name}.low": "85%", f"{name}.high": "90%", f"{name}.flood_stage": "95%"}
    cluster.always["GET /_cluster/settings"] = Answer(200, {"defaults": limits, "persistent": {}})
    code, findings = doctor(server.url)
    if mark is None:
        assert (code, findings) == (0, {})
        return
    finding = findings["disk"][0]
    assert (finding["level"], finding["symptom"].split()[-1]) == (level, mark)
    off = {"cluster.routing.allocation.disk.threshold_enabled": "false"}
    cluster.always["GET /_cluster/settings"] = Answer(200, {"defaults": limits, "transient": off})
    assert doctor(server.url) == (0, {})


def test_both_executors_run_the_same(server: ReplayServer, cluster: Sick) -> None:
    forced = CliRunner().invoke(
        app, ["--url", server.url, "provision"], env={"HTTPMON_EXECUTOR": "scheduler"}
    )
    assert forced.exit_code == 0
    # Another host, which leaves the choice to the engine, makes what this one took away.
    watch = "httpmon-high-traffic"
    body = cluster.indices.all[".httpmon-watches"].documents[watch]["body"]
    cluster.answer("PUT", f"/_watcher/watch/{watch}", {}, body)
    code, findings = doctor(server.url)
    assert code == 7
    assert f"the engine and the scheduler both run {watch}" in {
        one["symptom"] for one in findings["executed-twice"]
    }


def test_hits_that_came_past_the_pipeline(server: ReplayServer, cluster: Sick) -> None:
    stream = "logs-httpmon.access-default"
    hit = {"_source": {"event": {"original": "GET /"}, "log": {"file": {"path": "/var/log/a"}}}}
    answered = cluster.answer

    def bypassed(method: str, path: str, params: Any, body: Any) -> Answer:
        asked = body == uncounted_search() and path == f"/{stream}/_search"
        found = {"hits": {"total": {"value": 1234, "relation": "eq"}, "hits": [hit]}}
        return Answer(200, found) if asked else answered(method, path, params, body)

    cluster.answer = bypassed  # type: ignore[method-assign]
    code, findings = doctor(server.url)
    assert (code, list(findings)) == (6, ["uncounted"])
    (finding,) = findings["uncounted"]
    assert finding["symptom"] == (
        "1,234 hits of the last day are in no summary: they lack httpmon.bucket_middle"
    )
    assert finding["cause"].endswith("; the newest of /var/log/a: GET /")
    assert f"{server.url}/{stream}/_settings/index.default_pipeline" in finding["commands"][1]


# -- Kibana ---------------------------------------------------------------------------------------------


@pytest.fixture
def kibana(server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[KibanaServer]:
    """A Kibana that has everything, and is set for all that follows."""
    with KibanaServer() as serving:
        monkeypatch.setenv("HTTPMON_KIBANA_URL", serving.url)
        assert CliRunner().invoke(app, ["--url", server.url, "provision"]).exit_code == 0
        yield serving


def test_a_kibana_that_has_everything_has_no_finding(server: ReplayServer, kibana: KibanaServer) -> None:
    writes = [*kibana.writes]
    assert doctor(server.url) == (0, {})
    assert kibana.writes == writes


def test_a_kibana_that_is_not_there_or_not_ready(server: ReplayServer, kibana: KibanaServer) -> None:
    kibana.ready = False
    code, findings = doctor(server.url)
    assert (code, list(findings)) == (6, ["kibana-unreachable"])
    assert findings["kibana-unreachable"][0]["symptom"].startswith(f"Kibana at {kibana.url} is not ready")


def test_a_kibana_that_lets_nobody_in(
    server: ReplayServer, kibana: KibanaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kibana.forbidden = True
    code, findings = doctor(server.url)
    assert (code, list(findings)) == (6, ["kibana-refused"])
    assert "Saved Objects Management" in findings["kibana-refused"][0]["symptom"]
    monkeypatch.setenv("HTTPMON_KIBANA_USERNAME", "ann")
    monkeypatch.setenv("HTTPMON_KIBANA_PASSWORD", "hush")
    kibana.user = "somebody else"
    code, findings = doctor(server.url)
    assert (code, list(findings)) == (6, ["kibana-refused"])
    assert f"curl -fsS -u ann {kibana.url}/api/spaces/space" in findings["kibana-refused"][0]["commands"]
    assert "hush" not in json.dumps(findings)


def test_what_is_no_kibana_or_has_no_such_space(
    server: ReplayServer, kibana: KibanaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPMON_KIBANA_SPACE", "nope")
    code, findings = doctor(server.url)
    assert (code, list(findings)) == (6, ["kibana-elsewhere"])
    assert "has no space 'nope'" in findings["kibana-elsewhere"][0]["symptom"]
    monkeypatch.delenv("HTTPMON_KIBANA_SPACE")
    monkeypatch.setenv("HTTPMON_KIBANA_URL", server.url)
    code, findings = doctor(server.url)
    assert (code, list(findings)) == (6, ["kibana-elsewhere"])


def test_saved_objects_that_are_missing_or_of_another_version(
    server: ReplayServer, kibana: KibanaServer
) -> None:
    board = ("default", "dashboard", "httpmon-dashboard-traffic")
    kept = kibana.objects.pop(board)
    code, findings = doctor(server.url)
    assert (code, list(findings)) == (6, ["kibana-missing"])
    assert board[2] in findings["kibana-missing"][0]["symptom"]
    # Another version renders otherwise, and marks what it made with another checksum.
    marks = [
        {**one, "name": "httpmon-0123456789abcdef"} if one["type"] == "tag" else one
        for one in kept["references"]
    ]
    kibana.objects[board] = {**kept, "references": marks}
    code, findings = doctor(server.url)
    assert (code, list(findings)) == (6, ["kibana-changed"])
    assert board[2] in findings["kibana-changed"][0]["symptom"]
    assert CliRunner().invoke(app, ["--url", server.url, "provision"]).exit_code == 0
    assert doctor(server.url) == (0, {})


# -- TLS ------------------------------------------------------------------------------------------------


@contextmanager
def tls_server(certificate: trustme.LeafCert) -> Iterator[str]:
    """A server that answers as the root of an Elasticsearch does, over TLS; its host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            payload = json.dumps({"version": {"number": "8.19.21"}, "cluster_uuid": "u"}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a handshake that the client breaks off is what is tested

    server = Quiet(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_certificate_that_nobody_trusts(authority: trustme.CA) -> None:
    with tls_server(authority.issue_cert("127.0.0.1")) as place:
        code, findings = doctor(f"https://{place}")
        assert code == 4
        (finding,) = findings["tls"]
        assert "engine.ca_file" in finding["cause"]
        assert finding["commands"][0].startswith(f"openssl s_client -connect {place} ")
        assert "HTTPMON_ENGINE_CA_FILE" in finding["commands"][-1]


def test_a_certificate_of_another_name(authority: trustme.CA, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    config = tmp_path / "httpmon.toml"
    config.write_text(f'[engine]\nca_file = "{tmp_path / "ca.pem"}"\n')
    with tls_server(authority.issue_cert("elsewhere.example")) as place:
        code, findings = doctor(f"https://{place}", "--config", str(config))
    assert code == 4
    assert "subjectAltName" in findings["tls"][0]["commands"][0]


def test_a_certificate_whose_time_is_over(authority: trustme.CA, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    config = tmp_path / "httpmon.toml"
    config.write_text(f'[engine]\nca_file = "{tmp_path / "ca.pem"}"\n')
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = authority.issue_cert("127.0.0.1", not_after=yesterday)
    with tls_server(expired) as place:
        code, findings = doctor(f"https://{place}", "--config", str(config))
    assert code == 4
    assert "time is over" in findings["tls"][0]["cause"]


def test_http_where_tls_is_spoken_and_the_other_way_round(authority: trustme.CA) -> None:
    with tls_server(authority.issue_cert("127.0.0.1")) as place:
        code, findings = doctor(f"http://{place}")
        assert (code, findings["tls-expected"][0]["commands"][0]) == (
            4,
            f"export HTTPMON_ENGINE_URL=https://{place}",
        )
    with ReplayServer(Sick()) as plain:
        code, findings = doctor(plain.url.replace("http:", "https:"))
        assert (code, findings["tls"][0]["commands"][0]) == (4, f"export HTTPMON_ENGINE_URL={plain.url}")


def test_nobody_answers_and_somebody_else_does() -> None:
    with ReplayServer(Sick()) as serving:
        url = serving.url
    code, findings = doctor(url)
    assert (code, list(findings)) == (4, ["unreachable"])
    other = Sick()
    other.always["GET /"] = Answer(200, {"hello": "world"})
    with ReplayServer(other, product=False) as serving:
        code, findings = doctor(serving.url)
    assert (code, list(findings)) == (4, ["no-engine"])
