"""Somebody else's services, for tests: an HTTP server and a mail server that remember what they are sent."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult


class Request(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


class Receiver(ThreadingHTTPServer):
    """Remembers what it is sent; answers a path as ``answers`` says, any other with ``status``.

    With ``hold`` the answers are put off until ``let_go``; each takes ``answer_seconds``.
    """

    def __init__(self) -> None:
        self.received: list[Request] = []
        self.status = 200
        self.answer_seconds = 0.0
        self._go = threading.Event()
        self._go.set()
        # By path, without the query: status, content type, body.
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def bodies(self) -> list[str]:
        """What was sent, in order."""
        return [one.body for one in self.received]

    def hold(self) -> None:
        self._go.clear()

    def let_go(self) -> None:
        self._go.set()

    def wait(self) -> None:
        """Let a sender wait for its answer as long as it has to."""
        self._go.wait(60)
        time.sleep(self.answer_seconds)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.server.received.append(Request(self.command, self.path, dict(self.headers), body))
        self.server.wait()
        found = self.server.answers.get(self.path.partition("?")[0])
        status, content_type, content = found or (self.server.status, "", b"thank you")
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        if 300 <= status < 400:
            self.send_header("Location", f"http://127.0.0.1:{self.server.port}/elsewhere")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 - what http.server calls

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A running receiver."""
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.let_go()
            server.shutdown()


class MailServer:
    """Remembers the mails it takes, and who they are for; lets in ``user`` with ``password``, or anybody."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.users: list[str] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    def authenticate(self, *arguments: Any) -> AuthResult:
        data = arguments[-1]
        self.users.append(data.login.decode())
        right = (data.login, data.password) == (b"user", b"password")
        return AuthResult(success=right, handled=False)


@contextmanager
def receiving_mail(
    security: str = "none", context: ssl.SSLContext | None = None
) -> Iterator[tuple[MailServer, int]]:
    """A running mail server, and its port; encrypted as the settings of an account call it.

    With ``starttls`` it takes nothing, and lets nobody in, before the connection is encrypted.
    """
    mails = MailServer()
    loop = asyncio.new_event_loop()

    def session() -> SMTP:
        later = security == "starttls"
        return SMTP(
            mails,
            authenticator=mails.authenticate,
            auth_require_tls=later,
            tls_context=context if later else None,
            require_starttls=later,
            loop=loop,
        )

    at_once = context if security == "tls" else None
    server = loop.run_until_complete(loop.create_server(session, "127.0.0.1", 0, ssl=at_once))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield mails, server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
