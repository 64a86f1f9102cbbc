"""What is wrong with a watch, in one line, from its status and the record of its last run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def trouble_of_run(record: Mapping[str, Any]) -> str:
    """Why a run failed, or which of the watch's actions failed when it was last tried; "" if all is well."""
    if record["state"] == "failed":
        reason = (record.get("exception") or {}).get("reason")
        return str(reason or _input_failure(record) or "; ".join(record["messages"]) or "it failed")
    failed_transform = (record["result"].get("transform") or {}).get("status") == "failure"
    if failed_transform:
        return "; ".join(record["messages"])
    return trouble_of_status(record["status"])


def trouble_of_status(status: Mapping[str, Any]) -> str:
    """The actions whose last execution failed, as far as a status tells; "" if there is none."""
    told = [
        f"action {name} failed" + (f": {last['reason']}" if last.get("reason") else "")
        for name, action in (status.get("actions") or {}).items()
        if (last := action.get("last_execution")) and last.get("successful") is False
    ]
    return "; ".join(told)


def with_failed_actions(
    status: Mapping[str, Any], failures: Mapping[str, Mapping[str, Any]], stamp: str
) -> dict[str, Any]:
    """A status corrected for actions that turned out to have failed: the engine's error by action id."""
    actions = {
        name: action
        | {
            "last_execution": {
                "timestamp": stamp,
                "successful": False,
                "reason": str(failures[name].get("reason") or "refused"),
            }
        }
        if name in failures
        else action
        for name, action in status["actions"].items()
    }
    return {**status, "actions": actions}


def _input_failure(record: Mapping[str, Any]) -> str | None:
    loaded = record["result"].get("input") or {}
    if loaded.get("status") != "failure":
        return None
    reason = loaded.get("reason") or (loaded.get("error") or {}).get("reason")
    return None if reason is None else f"input: {reason}"
