"""What is remembered of a watch between its runs: throttling and acknowledgement. Pure.

A status is the JSON that Watcher shows in ``GET _watcher/watch/<id>`` as ``status``; every function makes a
new one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from scheduler.watches.definition import Action, Watch
from scheduler.watches.instants import millisecond_text, parse_instant

Status = dict[str, Any]

AWAITS = "awaits_successful_execution"
ACKABLE = "ackable"
ACKED = "acked"


def new_status(watch: Watch, now: datetime, *, active: bool = True) -> Status:
    """The status of a watch that has never run."""
    stamp = millisecond_text(now)
    return {
        "state": {"active": active, "timestamp": stamp},
        "actions": {action.id: _new_action(stamp) for action in watch.actions},
    }


def fitted(status: Status, watch: Watch, now: datetime) -> Status:
    """The status for the watch as it is now: actions that are new start anew, those that went are dropped."""
    kept = status.get("actions") or {}
    stamp = millisecond_text(now)
    return status | {
        "actions": {action.id: kept.get(action.id) or _new_action(stamp) for action in watch.actions}
    }


def _new_action(stamp: str) -> dict[str, Any]:
    return {"ack": {"timestamp": stamp, "state": AWAITS}}


def throttle_reason(status: Status, action: Action, watch: Watch, now: datetime) -> tuple[str, str] | None:
    """Why an action must not run now, as (action status, reason); None if it may.

    The period is the action's, else the watch's. A period of nothing never throttles.
    """
    state = status["actions"][action.id]
    period = watch.throttle_seconds if action.throttle_seconds is None else action.throttle_seconds
    last = (state.get("last_successful_execution") or {}).get("timestamp")
    if last is not None and period > 0:
        elapsed = now - parse_instant(last)
        if elapsed <= timedelta(seconds=period):
            return "throttled", (
                f"throttling interval is set to [{period:g} seconds] but time elapsed since last execution "
                f"is [{max(elapsed.total_seconds(), 0):g} seconds]"
            )
    if state["ack"]["state"] == ACKED:
        return "acknowledged", f"action [{action.id}] was acked at [{state['ack']['timestamp']}]"
    return None


def after_run(
    status: Status, met: bool | None, results: Iterable[Mapping[str, Any]], state: str, now: datetime
) -> Status:
    """The status after a run.

    Args:
        status: before it.
        met: the condition; None where the run failed before it.
        results: the record's entry of each action that was looked at.
        state: the run's state, ``executed`` and so on.
        now: the time of execution.
    """
    following = copy.deepcopy(status)
    stamp = millisecond_text(now)
    if met is not None:
        following["last_checked"] = stamp
    if met:
        following["last_met_condition"] = stamp
    if met is False:
        for action in following["actions"].values():
            _reset_ack(action, stamp)
    for result in results:
        action = following["actions"].get(result["id"])
        if action is not None:
            _after_action(action, result, stamp)
    following["execution_state"] = state
    return following


def _after_action(action: dict[str, Any], result: Mapping[str, Any], stamp: str) -> None:
    match result["status"]:
        case "success" | "simulated":
            action["last_execution"] = {"timestamp": stamp, "successful": True}
            action["last_successful_execution"] = {"timestamp": stamp, "successful": True}
            if action["ack"]["state"] == AWAITS:
                action["ack"] = {"timestamp": stamp, "state": ACKABLE}
        case "failure" | "partial_failure":
            reason = str(result.get("reason") or (result.get("error") or {}).get("reason") or "")
            action["last_execution"] = {"timestamp": stamp, "successful": False, "reason": reason}
        case "throttled":
            action["last_throttle"] = {"timestamp": stamp, "reason": str(result.get("reason", ""))}
        case "condition_failed":
            if (result.get("condition") or {}).get("met") is False:
                _reset_ack(action, stamp)
        case _:
            pass


def _reset_ack(action: dict[str, Any], stamp: str) -> None:
    if action["ack"]["state"] != AWAITS:
        action["ack"] = {"timestamp": stamp, "state": AWAITS}


def acknowledged(status: Status, action_ids: Iterable[str], now: datetime) -> Status:
    """The status after a user's acknowledgement of these actions, or of all if none is named.

    Only an action that has run since its condition was last false can be acknowledged. Raises KeyError for an
    action that the watch does not have.
    """
    following = copy.deepcopy(status)
    for action_id in list(action_ids) or list(following["actions"]):
        action = following["actions"][action_id]
        if action["ack"]["state"] == ACKABLE:
            action["ack"] = {"timestamp": millisecond_text(now), "state": ACKED}
    return following
