"""A receiver of webhooks that keeps what it gets, and can keep a sender waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """What arrived, in order.

    With ``hold`` the answers are put off until ``let_go``; each takes ``answer_seconds``.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.bodies: list[str] = []
        self.status = 200
        self.answer_seconds = 0.0
        self._go = threading.Event()
        self._go.set()

    def hold(self) -> None:
        self._go.clear()

    def let_go(self) -> None:
        self._go.set()

    def take(self, body: str) -> int:
        """Keep a body; the status to answer with, in time."""
        self.bodies.append(body)
        self._go.wait(60)
        time.sleep(self.answer_seconds)
        return self.status


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status = receiver.take(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.let_go()
        server.shutdown()
        server.server_close()
