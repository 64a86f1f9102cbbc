"""Reading the actions of a watch. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.watches import fields
from scheduler.watches.definition import (
    DEFAULT_MAX_ITERATIONS,
    Action,
    parse_condition,
    parse_transform,
)
from scheduler.watches.fields import WatchInvalid, joined
from scheduler.watches.http_fields import http_request, text_of
from scheduler.watches.message_fields import email, notify, pagerduty, slack

_AROUND = (
    "condition",
    "transform",
    "throttle_period",
    "throttle_period_in_millis",
    "foreach",
    "max_iterations",
)
_INDEX = (
    "index", "doc_id", "op_type", "execution_time_field", "timeout", "timeout_in_millis", "refresh",
    "dynamic_name_timezone", "doc_type",
)  # fmt: skip
_OP_TYPES = ("index", "create")
_REFRESH = ("true", "false", "wait_for")
_LEVELS = ("error", "warn", "info", "debug", "trace")
# What Watcher has and the scheduler has not, and what to write instead.
_NOT_HERE = {"jira": "call Jira's issue API with a webhook action"}


def parse_actions(value: Any, path: str) -> tuple[Action, ...]:
    """Read a watch's ``actions``, in the order of the file."""
    for action_id in fields.the_object(value, path):
        if any(character.isspace() for character in action_id):
            raise WatchInvalid(joined(path, action_id), "has white space in its name, which Watcher refuses")
    return tuple(
        _action(action_id, one, joined(path, action_id))
        for action_id, one in fields.the_object(value, path).items()
    )


def _action(action_id: str, value: Any, path: str) -> Action:
    whole = fields.the_object(value, path)
    kinds = [key for key in whole if key not in _AROUND]
    for key in kinds:
        if key in _NOT_HERE:
            raise WatchInvalid(joined(path, key), f"is no action of the scheduler; {_NOT_HERE[key]}")
        if key not in KINDS:
            raise WatchInvalid(joined(path, key), f"is no action{fields.closest(key, (*KINDS, *_AROUND))}")
    if not kinds:
        raise WatchInvalid(path, f"needs an action, one of {', '.join(KINDS)}")
    # Where there are several, the last, as in Watcher.
    kind = kinds[-1]
    return Action(
        id=action_id,
        kind=kind,
        body=KINDS[kind](whole[kind], joined(path, kind)),
        condition=parse_condition(whole["condition"], joined(path, "condition"))
        if "condition" in whole
        else None,
        transform=parse_transform(whole["transform"], joined(path, "transform"))
        if "transform" in whole
        else None,
        throttle_seconds=fields.seconds(whole, "throttle_period", path),
        foreach=_foreach(whole, path),
        max_iterations=_max_iterations(whole, path),
    )


def _foreach(whole: Mapping[str, Any], path: str) -> str | None:
    foreach = whole.get("foreach")
    if foreach is not None and not isinstance(foreach, str):
        raise WatchInvalid(joined(path, "foreach"), "is no path, such as ctx.payload.hits.hits")
    return foreach


def _max_iterations(whole: Mapping[str, Any], path: str) -> int:
    given = whole.get("max_iterations", DEFAULT_MAX_ITERATIONS)
    if isinstance(given, str) and given.isdigit():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise WatchInvalid(joined(path, "max_iterations"), "is no positive number")
    return given


def _logging(value: Any, path: str) -> dict[str, Any]:
    body = dict(fields.the_object(value, path))
    fields.refuse_unknown(body, ("text", "category", "level"), path)
    if "text" not in body:
        raise WatchInvalid(joined(path, "text"), "is missing")
    body["text"] = text_of(body["text"], joined(path, "text"))
    fields.one_of(body, "level", _LEVELS, path)
    return body


def _index(value: Any, path: str) -> dict[str, Any]:
    body = dict(fields.the_object(value, path))
    fields.refuse_unknown(body, _INDEX, path)
    for key in ("index", "doc_id", "execution_time_field"):
        if key in body:
            fields.text(body, key, path)
    if "op_type" in body:
        body["op_type"] = str(body["op_type"]).lower()
        fields.one_of(body, "op_type", _OP_TYPES, path)
    if "refresh" in body:
        # Watcher takes true and "true".
        given = body["refresh"]
        body["refresh"] = str(given).lower() if isinstance(given, bool) else str(given or "true")
        fields.one_of(body, "refresh", _REFRESH, path)
    fields.seconds(body, "timeout", path)
    return body


# What each kind of action is read by (Watcher's documentation of the action; `notify` is httpmon's own).
KINDS = {
    "index": _index,
    "logging": _logging,
    "webhook": http_request,
    "email": email,
    "slack": slack,
    "pagerduty": pagerduty,
    "notify": notify,
}
