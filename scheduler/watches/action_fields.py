"""Reading the actions of a watch and the HTTP requests in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from scheduler.watches import fields
from scheduler.watches.definition import (
    DEFAULT_MAX_ITERATIONS,
    Action,
    parse_condition,
    parse_transform,
)
from scheduler.watches.fields import WatchInvalid, joined

_AROUND = (
    "condition",
    "transform",
    "throttle_period",
    "throttle_period_in_millis",
    "foreach",
    "max_iterations",
)
# What each kind of action takes (Watcher's documentation of the action; `notify` is httpmon's own).
KINDS: Mapping[str, tuple[str, ...]] = {
    "index": (
        "index", "doc_id", "op_type", "execution_time_field", "timeout", "timeout_in_millis", "refresh",
        "dynamic_name_timezone", "doc_type",
    ),
    "logging": ("text", "category", "level"),
    "webhook": (),  # an HTTP request, see http_request
    "email": (
        "id", "account", "from", "to", "cc", "bcc", "reply_to", "subject", "body", "priority", "attachments",
        "attach_data", "profile",
    ),
    "slack": ("account", "message", "proxy"),
    "pagerduty": (
        "account", "description", "event_type", "incident_key", "client", "client_url", "attach_payload",
        "contexts", "proxy", "event",
    ),
    "notify": ("urls", "title", "body", "type"),
}  # fmt: skip
_OP_TYPES = ("index", "create")
_REFRESH = ("true", "false", "wait_for")
_LEVELS = ("error", "warn", "info", "debug", "trace")
_HTTP = (
    "scheme", "host", "port", "method", "path", "params", "headers", "auth", "body", "proxy", "url",
    "connection_timeout", "connection_timeout_in_millis", "read_timeout", "read_timeout_millis",
    "read_timeout_in_millis",
)  # fmt: skip
_METHODS = ("head", "get", "post", "put", "delete", "patch")


def parse_actions(value: Any, path: str) -> tuple[Action, ...]:
    """Read a watch's ``actions``, in the order of the file."""
    return tuple(
        _action(action_id, one, joined(path, action_id))
        for action_id, one in fields.the_object(value, path).items()
    )


def _action(action_id: str, value: Any, path: str) -> Action:
    whole = fields.the_object(value, path)
    kinds = [key for key in whole if key not in _AROUND]
    for key in kinds:
        if key not in KINDS:
            raise WatchInvalid(joined(path, key), f"is no action{fields.closest(key, (*KINDS, *_AROUND))}")
    if len(kinds) != 1:
        raise WatchInvalid(path, f"needs one action, of {', '.join(KINDS)}")
    kind = kinds[0]
    body_path = joined(path, kind)
    body = fields.the_object(whole[kind], body_path)
    iterations = whole.get("max_iterations", DEFAULT_MAX_ITERATIONS)
    if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1:
        raise WatchInvalid(joined(path, "max_iterations"), "is no positive number")
    foreach = whole.get("foreach")
    if foreach is not None and not isinstance(foreach, str):
        raise WatchInvalid(joined(path, "foreach"), "is no path, such as ctx.payload.hits.hits")
    return Action(
        id=action_id,
        kind=kind,
        body=_checked(kind, body, body_path),
        condition=parse_condition(whole["condition"], joined(path, "condition"))
        if "condition" in whole
        else None,
        transform=parse_transform(whole["transform"], joined(path, "transform"))
        if "transform" in whole
        else None,
        throttle_seconds=fields.seconds(whole, "throttle_period", path),
        foreach=foreach,
        max_iterations=iterations,
    )


def _checked(kind: str, body: dict[str, Any], path: str) -> dict[str, Any]:
    if kind == "webhook":
        return http_request(body, path)
    fields.refuse_unknown(body, KINDS[kind], path)
    match kind:
        case "index":
            return _index(body, path)
        case "logging":
            if "text" not in body:
                raise WatchInvalid(joined(path, "text"), "is missing")
            _one_of(body, "level", _LEVELS, path)
        case "email":
            if not any(body.get(key) for key in ("to", "cc", "bcc")):
                raise WatchInvalid(joined(path, "to"), "is missing")
        case "slack":
            fields.the_object(body.get("message"), joined(path, "message"))
        case "notify":
            if not fields.as_list(body.get("urls")):
                raise WatchInvalid(joined(path, "urls"), "is missing")
        case _:
            pass
    return body


def _index(body: dict[str, Any], path: str) -> dict[str, Any]:
    checked = dict(body)
    if "op_type" in body:
        checked["op_type"] = str(body["op_type"]).lower()
        _one_of(checked, "op_type", _OP_TYPES, path)
    if "refresh" in body:
        # Watcher takes true and "true".
        given = body["refresh"]
        checked["refresh"] = str(given).lower() if isinstance(given, bool) else str(given or "true")
        _one_of(checked, "refresh", _REFRESH, path)
    fields.seconds(body, "timeout", path)
    return checked


def _one_of(body: Mapping[str, Any], key: str, known: tuple[str, ...], path: str) -> None:
    if key in body and str(body[key]).lower() not in known:
        raise WatchInvalid(joined(path, key), f"{body[key]!r} is none of {', '.join(known)}")


def http_request(value: Any, path: str) -> dict[str, Any]:
    """Check an HTTP request of a webhook or an http input; ``url`` is taken apart into its parts."""
    request = dict(fields.the_object(value, path))
    fields.refuse_unknown(request, _HTTP, path)
    url = request.pop("url", None)
    if url is not None:
        parts = urlsplit(str(url))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise WatchInvalid(joined(path, "url"), f"{url!r} is no http or https URL")
        request |= {"scheme": parts.scheme, "host": parts.hostname}
        if parts.port or "port" not in request:
            request["port"] = parts.port or (443 if parts.scheme == "https" else 80)
        if parts.path:
            request["path"] = parts.path
        if parts.query:
            request["params"] = dict(parse_qsl(parts.query)) | dict(request.get("params") or {})
    if not isinstance(request.get("host"), str) or not request["host"]:
        raise WatchInvalid(joined(path, "host"), "is missing")
    request["port"] = _port(request.get("port"), path)
    _one_of(request, "scheme", ("http", "https"), path)
    _one_of(request, "method", _METHODS, path)
    for key in ("params", "headers"):
        fields.the_object(request.get(key) or {}, joined(path, key))
    auth = request.get("auth")
    if auth is not None:
        basic = fields.the_object(auth, joined(path, "auth")).get("basic")
        for key in ("username", "password"):
            fields.text(fields.the_object(basic, joined(path, "auth.basic")), key, joined(path, "auth.basic"))
    return request


def _port(value: Any, path: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d+", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise WatchInvalid(joined(path, "port"), "is missing" if value is None else f"{value!r} is no port")
    return value
