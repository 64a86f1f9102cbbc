"""The ``webhook`` action: an HTTP request to somebody else's service."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from engine.client import Engine
from scheduler.watches import fields
from scheduler.watches.actions import ActionFailed, Result, Send, failure
from scheduler.watches.definition import Action
from scheduler.watches.run import Run
from scheduler.watches.texts import TextFailed, render_trees

# Watcher's xpack.http.default_connection_timeout and default_read_timeout.
_DEFAULT_TIMEOUT_SECONDS = 10.0
# More of an answer than this stands in no record.
_MOST_BODY = 10_000
# What is templated of a request (Watcher's documentation of the webhook action).
_TEMPLATED = ("path", "params", "headers", "body", "auth")


class WebhookAction:
    """Sends one request for each payload; an answer of 400 or above is a failure."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(
        self, action: Action, run: Run, payloads: list[dict[str, Any]], simulate: bool
    ) -> Sequence[Result | Send]:
        """Render the request, once for each payload, for sending."""
        templated = {key: action.body[key] for key in _TEMPLATED if key in action.body}
        contexts = [run.context(payload) for payload in payloads]
        return [
            failure(rendered)
            if isinstance(rendered, TextFailed)
            else _simulated(action.body | rendered)
            if simulate
            else partial(_result_of, action.body | rendered)
            for rendered in render_trees(self._engine, templated, contexts)
        ]


def _simulated(request: dict[str, Any]) -> Result:
    return {"status": "simulated", "webhook": {"request": _without_secrets(request)}}


def _result_of(request: dict[str, Any]) -> Result:
    """Send a request; the result of the action."""
    shown = _without_secrets(request)
    try:
        response = send(request)
    except ActionFailed as error:
        return failure(error) | {"webhook": {"request": shown}}
    entry: Result = {"status": "success", "webhook": {"request": shown, "response": response}}
    if response["status"] >= 400:
        entry |= {"status": "failure", "reason": f"received [{response['status']}] status code"}
    return entry


def send(request: dict[str, Any]) -> dict[str, Any]:
    """Send a rendered request: status, headers and body of the answer. Raises ActionFailed without one."""
    connection = _connection(request)
    path = quote(str(request.get("path") or "/"), safe="/%:@!$&'()*+,;=~-._")
    target = path if path.startswith("/") else f"/{path}"
    if request.get("params"):
        target += f"?{urlencode({key: str(value) for key, value in request['params'].items()})}"
    headers = {key: str(value) for key, value in (request.get("headers") or {}).items()}
    if "auth" in request:
        basic = request["auth"]["basic"]
        credentials = f"{basic['username']}:{basic['password']}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    body = request.get("body")
    try:
        method = str(request.get("method", "get")).upper()
        connection.request(method, target, None if body is None else str(body).encode(), headers)
        answer = connection.getresponse()
        text = answer.read(_MOST_BODY).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        place = f"{request['host']}:{request['port']}"
        raise ActionFailed(f"no answer from {place}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    return {"status": answer.status, "headers": _listed(answer.getheaders()), "body": text}


def _without_secrets(request: dict[str, Any]) -> dict[str, Any]:
    """The request as it may stand in a record."""
    shown = {key: value for key, value in request.items() if key != "auth"}
    if "headers" in shown:
        shown["headers"] = {
            key: "(not shown)" if key.lower() == "authorization" else value
            for key, value in (shown["headers"] or {}).items()
        }
    return shown


def _connection(request: dict[str, Any]) -> http.client.HTTPConnection:
    given = fields.seconds(request, "read_timeout", "") or fields.seconds(request, "connection_timeout", "")
    timeout = given or _DEFAULT_TIMEOUT_SECONDS
    if str(request.get("scheme", "http")).lower() == "https":
        return http.client.HTTPSConnection(
            request["host"], request["port"], timeout=timeout, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(request["host"], request["port"], timeout=timeout)


def _listed(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for name, value in headers:
        listed.setdefault(name.lower(), []).append(value)
    return listed
