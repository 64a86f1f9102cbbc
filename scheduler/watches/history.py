"""The record of a run, in the shape of Watcher's own. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from scheduler.watches.http_requests import REDACTED
from scheduler.watches.instants import millisecond_text
from scheduler.watches.run import Run
from scheduler.watches.status import Status

_SECRET_KEYS = frozenset({"password", "authorization", "proxy-authorization", "cookie", "x-api-key"})


def redacted(tree: Any) -> Any:
    """JSON of a watch without its passwords and the like, as Watcher shows it."""
    if isinstance(tree, dict):
        return {key: REDACTED if _is_secret(key, value) else redacted(value) for key, value in tree.items()}
    return [redacted(item) for item in tree] if isinstance(tree, list) else tree


def _is_secret(key: str, value: Any) -> bool:
    return key.lower() in _SECRET_KEYS and isinstance(value, str)


def run_record(
    run: Run,
    *,
    state: str,
    status: Status,
    result: dict[str, Any],
    messages: list[str],
    exception: dict[str, Any] | None,
    duration: timedelta,
    instance: str,
) -> dict[str, Any]:
    """The history document of one run."""
    watch = run.watch
    schedule = {"schedule": {"scheduled_time": millisecond_text(run.scheduled_time)}}
    record: dict[str, Any] = {
        "watch_id": watch.id,
        "node": instance,
        "state": state,
        "@timestamp": millisecond_text(run.execution_time),
        "status": status,
        "trigger_event": {
            "type": "manual" if run.manual else "schedule",
            "triggered_time": millisecond_text(run.triggered_time),
            **({"manual": schedule} if run.manual else schedule),
        },
        "input": redacted(watch.body.get("input", {"none": {}})),
        "condition": watch.body.get("condition", {"always": {}}),
        "metadata": watch.metadata,
        "result": {
            "execution_time": millisecond_text(run.execution_time),
            "execution_duration": max(0, round(duration.total_seconds() * 1000)),
            **result,
        },
        "messages": messages,
    }
    if exception is not None:
        record["exception"] = exception
    return record


def record_id(watch_id: str, scheduled_time: datetime, run_id: str = "") -> str:
    """The ``_id`` of a record: one for each scheduled time, so that running twice is recorded once."""
    stamp = millisecond_text(scheduled_time)
    return f"{watch_id}_{run_id}_{stamp}" if run_id else f"{watch_id}_{stamp}"


def with_failed_writes(record: dict[str, Any], failures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The record corrected for index actions that the engine refused: error by action id."""
    actions = [
        {"id": entry["id"], "type": entry["type"], "status": "failure", "error": failures[entry["id"]]}
        if entry["id"] in failures
        else entry
        for entry in record["result"]["actions"]
    ]
    return record | {"result": record["result"] | {"actions": actions}}
