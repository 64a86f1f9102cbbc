"""Serves the live report: the page, and its values anew for each request."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cli.logs import tell
from engine.errors import HttpmonError
from reading.report_page import report_json


def report_server(
    address: tuple[str, int], page: str, read: Callable[[], dict[str, Any]]
) -> ThreadingHTTPServer:
    """A server that answers ``/`` with the page and ``/data`` with what ``read`` gives.

    Raises HttpmonError when the address cannot be listened at.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                self._answer(200, "text/html; charset=utf-8", page)
            elif self.path == "/data":
                try:
                    self._answer(200, "application/json", report_json(read()))
                except HttpmonError as error:
                    tell(str(error))
                    self._answer(503, "text/plain; charset=utf-8", str(error))
            else:
                self._answer(404, "text/plain; charset=utf-8", "there is / and /data")

        def _answer(self, status: int, kind: str, text: str) -> None:
            content = text.encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.send_header("cache-control", "no-store")
            self.send_header("x-content-type-options", "nosniff")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Requests of a browser are not worth a line."""

    try:
        return ThreadingHTTPServer(address, Handler)
    except OSError as error:
        raise HttpmonError(f"report: cannot listen on {address[0]}:{address[1]}: {error.strerror}") from None
