"""An HTTP proxy in front of the engine that notes each request, and can be stopped and started again."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit


class Sent(NamedTuple):
    """A request as it came; ``path`` has its parameters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """What is answered."""

    status: int
    headers: list[tuple[str, str]]
    content: bytes


def refusal(status: int) -> Answer:
    """The answer of an engine that cannot now."""
    content = b'{"error": {"type": "injected", "reason": "injected"}}'
    return Answer(status, [("content-type", "application/json")], content)


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
                path = self.path.partition("?")[0]
                proxy.requests.append(f"{self.command} {path}")
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                sent = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                sent["accept-encoding"] = "identity"
                answer = proxy.exchange(Sent(self.command, self.path, sent, body))
                self.close_connection = True
                if answer is None:
                    return
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.content)))
                self.send_header("connection", "close")
                self.end_headers()
                with contextlib.suppress(OSError):  # a sender that was killed hears nothing
                    self.wfile.write(answer.content)

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

    def exchange(self, sent: Sent) -> Answer | None:
        """What is answered to a request; None cuts the connection without an answer."""
        status, after = self._fault(sent.path.partition("?")[0]) or (0, True)
        if status and not after:
            return refusal(status)
        answer = self.forward(sent)
        return refusal(status) if status else answer

    def forward(self, sent: Sent) -> Answer | None:
        """What the engine answers; None where it is not there."""
        upstream = http.client.HTTPConnection(self._upstream, timeout=60)
        try:
            upstream.request(sent.method, sent.path, body=sent.body, headers=sent.headers)
            answer = upstream.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            upstream.close()
        left_out = ("transfer-encoding", "content-length", "connection")
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in left_out]
        return Answer(answer.status, headers, content)

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
