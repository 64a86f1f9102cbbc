"""An HTTP proxy in front of the engine that notes each request, and can be stopped and started again."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class CountingProxy:
    """Forwards to ``upstream``; ``requests`` lists ``METHOD /path`` of what came through.

    ``fault`` says of each path with which status to answer instead of the engine's, and whether only after
    the engine has had the request: the sender is told of a failure that was none.
    """

    def __init__(
        self, upstream: str, fault: Callable[[str], tuple[int, bool] | None] = lambda _: None
    ) -> None:
        self._fault = fault
        self._upstream = urlsplit(upstream).netloc
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def _forward(self) -> None:
                proxy.requests.append(f"{self.command} {self.path.partition('?')[0]}")
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, after = proxy._fault(self.path.partition("?")[0]) or (0, True)
                if status and not after:
                    self._refuse(status)
                    return
                upstream = http.client.HTTPConnection(proxy._upstream, timeout=30)
                sent = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                sent["accept-encoding"] = "identity"
                upstream.request(self.command, self.path, body=body, headers=sent)
                answer = upstream.getresponse()
                content = answer.read()
                if status:
                    self._refuse(status)
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(content)
                upstream.close()

            def _refuse(self, status: int) -> None:
                content = b'{"error": {"type": "injected", "reason": "injected"}}'
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self._forward()

            def do_POST(self) -> None:
                self._forward()

            def do_PUT(self) -> None:
                self._forward()

            def do_DELETE(self) -> None:
                self._forward()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
