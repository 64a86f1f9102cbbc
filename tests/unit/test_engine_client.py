"""Guards: every way a cluster can fail becomes one line of our own, with its exit code; secrets stay unseen.

The other end is a real HTTP server in this process: no engine is needed to see how the client takes failures.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from engine.client import Engine, refusal
from engine.connection import Connection
from engine.errors import (
    EXIT_ENGINE_UNREACHABLE,
    EXIT_NOT_PERMITTED,
    Conflict,
    EngineError,
    EngineUnreachable,
    NotFound,
    NotPermitted,
    RequestRefused,
)
from engine.kibana import Kibana

ROOT = {"version": {"number": "3.8.0", "distribution": "opensearch"}}
Answer = tuple[int, Any]


@contextmanager
def serving(
    answer: Callable[[str, str, dict[str, str]], Answer], context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve what ``answer(method, path, headers)`` says; the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status, body = answer(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"{'https' if context else 'http'}://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_the_clock_is_a_nodes_where_no_node_ingests() -> None:
    """As Elasticsearch 8.10.4 answers."""
    reason = "There are no ingest nodes in this cluster, unable to forward request to an ingest node."

    def answer(_method: str, path: str, _headers: dict[str, str]) -> Answer:
        if path.startswith("/_nodes/_local/stats/process?"):
            return 200, {"nodes": {"Q6XS": {"timestamp": 1795607918895}}}
        if path.startswith("/_ingest/"):
            return 500, {"error": {"type": "illegal_state_exception", "reason": reason}, "status": 500}
        return 200, ROOT

    with serving(answer) as url, Engine(Connection(url)) as engine:
        assert engine.now() == datetime(2026, 11, 25, 11, 58, 38, 895000, UTC)


def _root_then(status: int, body: Any) -> Callable[[str, str, dict[str, str]], Answer]:
    return lambda _method, path, _headers: (200, ROOT) if path == "/" else (status, body)


@pytest.mark.parametrize(
    ("status", "kind", "exit_code"),
    [
        (400, RequestRefused, 1),
        (401, NotPermitted, EXIT_NOT_PERMITTED),
        (403, NotPermitted, EXIT_NOT_PERMITTED),
        (404, NotFound, 1),
        (409, Conflict, 1),
        (429, EngineUnreachable, EXIT_ENGINE_UNREACHABLE),
        (503, EngineUnreachable, EXIT_ENGINE_UNREACHABLE),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[EngineError], exit_code: int) -> None:
    body = {
        "error": {"type": "a_type", "reason": "outer", "caused_by": {"reason": "inner"}},
        "status": status,
    }
    with (
        serving(_root_then(status, body)) as url,
        Engine(Connection(url, max_retries=1)) as engine,
        pytest.raises(kind) as caught,
    ):
        engine.request("PUT", "/thing", body={})
    assert type(caught.value) is kind
    assert caught.value.exit_code == exit_code
    assert "outer: inner" in str(caught.value)
    assert "PUT /thing" in str(caught.value)
    assert "\n" not in str(caught.value)
    if isinstance(caught.value, RequestRefused):
        assert (caught.value.status, caught.value.error_type) == (status, "a_type")
        assert caught.value.body == body


@pytest.mark.parametrize("cause", [{}, {"caused_by": {"reason": "no closing bracket"}}])
def test_what_the_first_shard_says_is_told(cause: dict[str, Any]) -> None:
    first = {"type": "query_shard_exception", "reason": "failed to create query", **cause}
    error = {
        "root_cause": [first],
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
        "failed_shards": [{"shard": 0, "index": "a", "reason": first}, {"shard": 1}],
    }
    told = str(refusal("POST /a/_search", 400, {"error": error}, where="http://x"))
    inner = ": no closing bracket" if cause else ""
    assert told == f"POST /a/_search: 400 all shards failed: failed to create query{inner}"
    for nothing in ([], "none", [None], [{}]):
        body = {"error": error | {"failed_shards": nothing}}
        assert str(refusal("POST /a", 503, body, where="http://x")).endswith("all shards failed")


def test_overload_is_retried_before_it_is_an_error() -> None:
    asked: list[str] = []

    def answer(_method: str, path: str, _headers: dict[str, str]) -> Answer:
        asked.append(path)
        return (200, ROOT) if path == "/" else ((429, {}) if asked.count(path) < 3 else (200, {"done": True}))

    with serving(answer) as url, Engine(Connection(url, max_retries=3)) as engine:
        assert engine.request("GET", "/thing") == {"done": True}
    assert asked == ["/", "/thing", "/thing", "/thing"]


def test_a_node_that_does_not_know_its_cluster_yet_is_not_there() -> None:
    root = ROOT | {"cluster_uuid": "_na_"}
    with serving(lambda *_: (200, root)) as url, Engine(Connection(url)) as engine:
        with pytest.raises(EngineUnreachable, match="has not recovered its state yet"):
            engine.cluster_uuid()
        root["cluster_uuid"] = "u-1"
        assert engine.cluster_uuid() == "u-1"


def test_nobody_listens() -> None:
    with serving(_root_then(200, {})) as url:
        pass
    with Engine(Connection(url, max_retries=0)) as engine, pytest.raises(EngineUnreachable) as caught:
        engine.request("GET", "/thing")
    assert str(caught.value).startswith(f"cannot reach the engine at {url}: ")
    assert "Connection refused" in str(caught.value)
    assert "object at" not in str(caught.value)


def test_something_else_answers() -> None:
    with (
        serving(lambda *_: (200, {"hello": "world"})) as url,
        Engine(Connection(url)) as engine,
        pytest.raises(EngineError, match="answers, but not as Elasticsearch or OpenSearch do"),
    ):
        engine.capabilities()


def test_each_way_in_reaches_the_server_and_no_message() -> None:
    seen: list[str | None] = []

    def answer(_method: str, _path: str, headers: dict[str, str]) -> Answer:
        seen.append(headers.get("authorization"))
        return 401, {"error": {"type": "security_exception", "reason": "unable to authenticate"}}

    with serving(answer) as url:
        for connection in (
            Connection(url, username="user", password="geheim"),
            Connection(url, username="jürgen", password="geheim€"),
            Connection(url, api_key="aWQ6Z2VoZWlt"),
            Connection(url),
        ):
            with Engine(connection) as engine, pytest.raises(NotPermitted) as caught:
                engine.request("GET", "/thing")
            assert "geheim" not in f"{caught.value} {connection}"
            assert "aWQ6Z2VoZWlt" not in f"{caught.value} {connection}"
            assert str(caught.value) == (
                "GET /: 401 unable to authenticate; engine.username and engine.password, or engine.api_key, "
                "say who asks"
            )
    assert seen == ["Basic dXNlcjpnZWhlaW0=", "Basic asO8cmdlbjpnZWhlaW3igqw=", "ApiKey aWQ6Z2VoZWlt", None]


def test_a_private_authority_is_trusted_only_when_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with serving(_root_then(200, {"done": True}), context) as url:
        for trusted in (Connection(url, ca_file=ca_file), Connection(url, verify_certificates=False)):
            with Engine(trusted) as engine:
                assert engine.request("GET", "/thing") == {"done": True}
        with (
            Engine(Connection(url, max_retries=0)) as engine,
            pytest.raises(EngineUnreachable, match=r"TLS failed: .*engine\.ca_file"),
        ):
            engine.request("GET", "/thing")


def test_https_where_http_is_spoken_is_not_blamed_on_the_authority() -> None:
    with serving(_root_then(200, {})) as url:
        address = url.replace("http:", "https:")
        with (
            Engine(Connection(address, max_retries=0)) as engine,
            pytest.raises(EngineUnreachable, match=r"TLS failed: .*\(is it http instead of https\?\)$"),
        ):
            engine.request("GET", "/thing")
        with (
            Kibana(Connection(address)) as kibana,
            pytest.raises(EngineUnreachable, match=r"TLS failed: .*\(is it http instead of https\?\)$"),
        ):
            kibana.request("GET", "/api/status")


def test_opensearch_gets_plain_media_types_and_elasticsearch_its_own() -> None:
    seen: dict[str, str] = {}
    product = {"flavour": "opensearch"}

    def answer(_method: str, path: str, headers: dict[str, str]) -> Answer:
        seen[path] = headers["accept"]
        return 200, {"version": {"number": "8.19.0", "distribution": product["flavour"]}}

    with serving(answer) as url:
        with Engine(Connection(url)) as engine:
            engine.request("GET", "/opensearch")
        assert seen["/opensearch"] == "application/json"
        product["flavour"] = "elasticsearch"
        # This server does not say that it is Elasticsearch in the product header, and is refused for it.
        with Engine(Connection(url)) as engine, pytest.raises(EngineError, match="is no Elasticsearch"):
            engine.request("GET", "/elasticsearch")
        assert seen["/elasticsearch"] == "application/vnd.elasticsearch+json; compatible-with=8"
