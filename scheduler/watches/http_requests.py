"""Sending a watch's HTTP requests to services that are none of the cluster's."""

from __future__ import annotations

import base64
import http.client
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from engine.errors import SchedulerError
from scheduler.watches import fields

# Watcher's xpack.http.default_connection_timeout and default_read_timeout.
_DEFAULT_TIMEOUT_SECONDS = 10.0
# What Watcher shows in the place of a secret.
REDACTED = "::es_redacted::"
# Watcher's xpack.http.max_response_size.
_MOST_BYTES = 10 << 20


class RequestFailed(SchedulerError):
    """A service gave no answer, or one too big to take."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered; the names of headers in lower case."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    def header(self, name: str) -> str:
        """The first header of a name; "" without one."""
        return next(iter(self.headers.get(name, [])), "")

    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


def send(request: dict[str, Any]) -> Answer:
    """Send a rendered request and read the answer; a redirection is an answer, too. Raises RequestFailed."""
    target = _target(request)
    headers = {key: str(value) for key, value in (request.get("headers") or {}).items()}
    # A header that the watch gives itself goes before, as in Watcher.
    if request.get("auth") and not any(key.lower() == "authorization" for key in headers):
        basic = request["auth"]["basic"]
        credentials = f"{basic['username']}:{basic['password']}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    body = request.get("body")
    if body is not None and not any(key.lower() == "content-type" for key in headers):
        headers["Content-Type"] = _content_type(str(body))
    connection = _connection(request)
    try:
        connection.connect()
        connection.sock.settimeout(_timeout(request, "read_timeout"))
        method = str(request.get("method") or "get").upper()
        connection.request(method, target, None if body is None else str(body).encode(), headers)
        answer = connection.getresponse()
        content = answer.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RequestFailed(f"no answer from {place(request)}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if len(content) > _MOST_BYTES:
        raise RequestFailed(f"{place(request)} answers with more than {_MOST_BYTES >> 20} MB")
    return Answer(answer.status, _listed(answer.getheaders()), content)


def place(request: dict[str, Any]) -> str:
    """Where a request goes: host and port."""
    return f"{request['host']}:{request['port']}"


def without_secrets(request: dict[str, Any]) -> dict[str, Any]:
    """The request as it may stand in a record."""
    given = {"scheme": "http", "method": "get"} | request
    shown = {key: value for key, value in given.items() if key != "auth" and value is not None}
    shown["method"] = str(shown["method"]).lower()
    if request.get("auth"):
        shown["auth"] = {"basic": {"username": request["auth"]["basic"]["username"], "password": REDACTED}}
    if request.get("headers"):
        shown["headers"] = {
            key: REDACTED if key.lower() in _SECRET_HEADERS else value
            for key, value in request["headers"].items()
        }
    return shown


_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})


def _target(request: dict[str, Any]) -> str:
    path = quote(str(request.get("path") or "/"), safe="/%:@!$&'()*+,;=~-._")
    target = path if path.startswith("/") else f"/{path}"
    if request.get("params"):
        target += f"?{urlencode({key: str(value) for key, value in request['params'].items()})}"
    if request.get("proxy") and not _encrypted(request):
        return f"http://{place(request)}{target}"
    return target


def _content_type(body: str) -> str:
    """What Watcher says a body is that nobody gave a type: JSON where it begins as an object does."""
    return "application/json" if body.lstrip().startswith("{") else "text/plain; charset=utf-8"


def _encrypted(request: dict[str, Any]) -> bool:
    return str(request.get("scheme") or "http").lower() == "https"


def _timeout(request: dict[str, Any], key: str) -> float:
    return fields.seconds(request, key, "") or _DEFAULT_TIMEOUT_SECONDS


def _connection(request: dict[str, Any]) -> http.client.HTTPConnection:
    """A connection, through the proxy where there is one; the environment's proxies are not looked at."""
    proxy = request.get("proxy")
    host, port = (proxy["host"], proxy["port"]) if proxy else (request["host"], request["port"])
    timeout = _timeout(request, "connection_timeout")
    if not _encrypted(request):
        return http.client.HTTPConnection(host, port, timeout=timeout)
    connection = http.client.HTTPSConnection(
        host, port, timeout=timeout, context=ssl.create_default_context()
    )
    if proxy:
        connection.set_tunnel(request["host"], request["port"])
    return connection


def _listed(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for name, value in headers:
        listed.setdefault(name.lower(), []).append(value)
    return listed
