"""The ``webhook`` action: an HTTP request to somebody else's service."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from engine.client import Engine
from scheduler.watches.actions import Result, Send, failure
from scheduler.watches.definition import Action
from scheduler.watches.http_requests import RequestFailed, send, without_secrets
from scheduler.watches.run import Run
from scheduler.watches.texts import TextFailed, render_trees

# More of an answer than this stands in no record.
_MOST_BODY = 10_000
# What is templated of a request (Watcher's documentation of the webhook action).
TEMPLATED = ("path", "params", "headers", "body")


class WebhookAction:
    """Sends one request for each payload; an answer of 400 or above is a failure."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(
        self, action: Action, run: Run, payloads: list[dict[str, Any]], simulate: bool
    ) -> Sequence[Result | Send]:
        """Render the request, once for each payload, for sending."""
        templated = {key: action.body[key] for key in TEMPLATED if key in action.body}
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
    return {"status": "simulated", "webhook": {"request": without_secrets(request)}}


def _result_of(request: dict[str, Any]) -> Result:
    """Send a request; the result of the action."""
    shown = without_secrets(request)
    try:
        answer = send(request)
    except RequestFailed as error:
        return failure(error) | {"webhook": {"request": shown}}
    response = {"status": answer.status, "headers": answer.headers, "body": answer.text()[:_MOST_BODY]}
    entry: Result = {"status": "success", "webhook": {"request": shown, "response": response}}
    if answer.status >= 400:
        entry |= {"status": "failure", "reason": f"received [{answer.status}] status code"}
    return entry
