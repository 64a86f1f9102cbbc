"""The ``http`` input: what a web service answers becomes the payload.

A watch can be written by anybody who may write into the cluster's store of watches, and the scheduler may
stand where such a person has no way to. So it asks only hosts that the settings name, and follows no
redirection, which would lead it elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from engine.client import Engine
from engine.errors import SchedulerError
from scheduler.watches.definition import HttpInput
from scheduler.watches.http_requests import Answer, place, send, without_secrets
from scheduler.watches.paths import extracted
from scheduler.watches.texts import TextFailed, render_trees
from scheduler.watches.webhook_action import TEMPLATED


class NotAllowed(SchedulerError):
    """An http input asks a host that the settings do not name."""


class HttpLoader:
    """Loads http inputs.

    Args:
        engine: renders the templates in a request.
        allowed: the hosts that may be asked, ``host`` or ``host:port``; ``*`` for all.
    """

    def __init__(self, engine: Engine, allowed: tuple[str, ...]) -> None:
        self._engine = engine
        self._allowed = frozenset(host.lower() for host in allowed)

    def __call__(self, one: HttpInput, context: dict[str, Any]) -> dict[str, Any]:
        """The record's entry of the input: status, payload and what was asked. Raises SchedulerError."""
        self.check(one.request)
        templated = {key: one.request[key] for key in TEMPLATED if key in one.request}
        (rendered,) = render_trees(self._engine, templated, [context])
        if isinstance(rendered, TextFailed):
            raise rendered
        request = one.request | rendered
        answer = send(request)
        return {
            "type": "http",
            "status": "success",
            "payload": payload_of(answer, one),
            "http": {"request": without_secrets(request), "status_code": answer.status},
        }

    def check(self, request: Mapping[str, Any]) -> None:
        """Raise NotAllowed for a request to a host that may not be asked; with a proxy, to that either."""
        for where in (request, request.get("proxy")):
            if where is not None and not self._allows(str(where["host"]).lower(), int(where["port"])):
                raise NotAllowed(
                    f"http requests to {place(dict(where))} are not allowed; name the host in the setting "
                    "scheduler.http_input_hosts"
                )

    def _allows(self, host: str, port: int) -> bool:
        return not self._allowed.isdisjoint({"*", host, f"{host}:{port}"})


def payload_of(answer: Answer, one: HttpInput) -> dict[str, Any]:
    """What an answer is as a payload: parsed by its type, a list under ``data``, a text under ``_value``.

    As on Elasticsearch 8.10.4: the type asked for wins over the answer's; without either, what looks like a
    JSON object is parsed. Raises SchedulerError for a body that is not of its type.
    """
    payload: dict[str, Any] = {"_status_code": answer.status, "_headers": answer.headers}
    if not answer.body.strip():
        return payload
    kind = one.response_content_type or _kind_of(answer)
    if kind == "text":
        return payload | {"_value": answer.text()}
    parsed = _PARSERS[kind](answer.text())
    if one.extract:
        if not isinstance(parsed, dict):
            raise SchedulerError("extract can only take fields out of an object, and the answer is none")
        parsed = extracted(parsed, one.extract)
    return payload | (parsed if isinstance(parsed, dict) else {"data": parsed})


def _kind_of(answer: Answer) -> str:
    named = answer.header("content-type").partition(";")[0].strip().lower()
    if named.endswith(("json", "ndjson")):
        return "json"
    if named.endswith("yaml"):
        return "yaml"
    return "json" if not named and answer.body.lstrip().startswith(b"{") else "text"


def _parsed_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SchedulerError(f"the answer's body is no JSON: {error}") from None


def _parsed_yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise SchedulerError("the answer's body is YAML; to read it, install httpmon[notify]") from None
    try:
        return json.loads(json.dumps(yaml.safe_load(text), default=str))
    except (yaml.YAMLError, ValueError) as error:
        raise SchedulerError(f"the answer's body is no YAML: {error}") from None


_PARSERS: Mapping[str, Callable[[str], Any]] = {"json": _parsed_json, "yaml": _parsed_yaml}
