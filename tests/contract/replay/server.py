"""Serves a replayed cluster over HTTP, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.contract.replay.cluster import Cluster
from tests.contract.replay.rest_api import problem

# Requests that change nothing though they are a POST.
_READS = ("/_search", "/_msearch", "/_field_caps", "/_query/watches", "/_simulate", "/_has_privileges")


class ReplayServer:
    """An HTTP server in front of a cluster.

    Attributes:
        requests: ``METHOD /path`` of what came, in order.
        unknown: what is wrong with requests that no Elasticsearch has, or not with these parameters.
        bodies: what came with each request, as (``METHOD /path``, body).
        product: whether answers bear Elastic's product header, by which its client knows an Elasticsearch.
    """

    def __init__(self, cluster: Cluster, *, product: bool = True) -> None:
        self.cluster = cluster
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.bodies: list[tuple[str, Any]] = []
        self.product = product
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def writes(self) -> list[str]:
        """The requests that ask for a change."""
        return [
            one for one in self.requests if not one.startswith(("GET ", "HEAD ")) and not one.endswith(_READS)
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self
        answering = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                url = urlsplit(self.path)
                content = self.rfile.read(int(self.headers.get("content-length") or 0))
                path = unquote(url.path)
                params, given = dict(parse_qsl(url.query)), _read(content, path)
                with answering:
                    outer.requests.append(f"{self.command} {path}")
                    outer.bodies.append((f"{self.command} {path}", given))
                    wrong = problem(self.command, path, set(params))
                    outer.unknown += [wrong] if wrong else []
                    answer = outer.cluster.answer(self.command, path, params, given)
                body = json.dumps(answer.body).encode()
                self.send_response(answer.status)
                # The media type that was asked for: the client of 8.x asks for version 8's.
                self.send_header("content-type", self.headers.get("accept", "application/json"))
                self.send_header("content-length", str(len(body)))
                if outer.product:
                    self.send_header("x-elastic-product", "Elasticsearch")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 (the base class's names)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _read(content: bytes, path: str) -> Any:
    if not content:
        return None
    if path.endswith("/_msearch"):
        return [json.loads(line) for line in content.splitlines() if line]
    return json.loads(content)
