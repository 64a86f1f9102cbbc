"""Alert documents as lists for people and as JSON, with what was done about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any

from reading.alerts import Alert
from reading.operations import Operations, Silence
from reading.plain import duration_text, local_time, open_state
from reading.printable import printable
from reading.tables import table_text
from reading.tick_json import alert_object, utc_text


def alert_line(alert: Alert, zone: tzinfo | None) -> str:
    """One alert document in one line."""
    lasted = ""
    if alert.started_at is not None and alert.ended_at is not None:
        lasted = f" (lasted {duration_text((alert.ended_at - alert.started_at).total_seconds())})"
    return (
        f"{local_time(alert.time, zone)}  {printable(alert.action):<10}  {printable(alert.rule_id)}: "
        f"{printable(alert.message)}{lasted}"
    )


def open_table(
    alerts: Iterable[Alert],
    operations: Operations,
    *,
    now: datetime,
    zone: tzinfo | None,
    width: int | None = None,
) -> str:
    """The open alerts, and what was done about each; ``width`` is the terminal's, if it is one."""
    rows = [
        (
            printable(alert.alert_id or "-"),
            printable(alert.rule_id),
            local_time(alert.started_at or alert.time, zone),
            duration_text(max(0.0, (now - (alert.started_at or alert.time)).total_seconds())),
            open_state(operations, alert, now),
            printable(alert.message),
        )
        for alert in alerts
    ]
    if not rows:
        return "no open alert"
    headers = ("id", "rule", "since", "for", "state", "message")
    return table_text(rows, headers, width=width, flexible=(5, 4))


def silences_table(silences: Iterable[Silence], zone: tzinfo | None, *, width: int | None = None) -> str:
    """The silences, by their end; ``width`` is the terminal's, if it is one."""
    rows = [
        (
            printable(one.silence_id),
            printable(one.rule_id),
            local_time(one.starts_at, zone),
            local_time(one.ends_at, zone),
            printable(one.user),
            printable(one.reason),
        )
        for one in sorted(silences, key=lambda one: one.ends_at)
    ]
    if not rows:
        return "no silence"
    headers = ("id", "rule", "from", "until", "by", "reason")
    return table_text(rows, headers, width=width, flexible=(5, 4))


def alert_details(alerts: Iterable[Alert], operations: Operations, zone: tzinfo | None) -> str:
    """Everything about the documents of one alert, oldest first."""
    lines: list[str] = []
    for alert in alerts:
        lines.append(alert_line(alert, zone))
        facts = {
            "hits": alert.hits,
            "hits/s": alert.value,
            "threshold": alert.threshold,
            "window": None if alert.window_seconds is None else duration_text(alert.window_seconds),
            "started": alert.started_at and local_time(alert.started_at, zone),
            "ended": alert.ended_at and local_time(alert.ended_at, zone),
        }
        lines += [f"    {name:<10} {_fact(value)}" for name, value in facts.items() if value is not None]
        acknowledged = operations.acknowledged(alert)
        if acknowledged is not None:
            reason = f": {printable(acknowledged.reason)}" if acknowledged.reason else ""
            lines.append(
                f"    acknowledged by {printable(acknowledged.user)} at "
                f"{local_time(acknowledged.time, zone)}{reason}"
            )
    return "\n".join(lines)


def alert_status_object(alert: Alert, operations: Operations, now: datetime) -> dict[str, Any]:
    """An alert document as JSON values, with ``acknowledged`` and ``silenced`` (objects or null)."""
    acknowledged = operations.acknowledged(alert)
    silenced = operations.silenced(alert.rule_id, now)
    return alert_object(alert) | {
        "acknowledged": acknowledged
        and {
            "time": utc_text(acknowledged.time),
            "user": acknowledged.user,
            "reason": acknowledged.reason,
        },
        "silenced": silenced and silence_object(silenced),
    }


def silence_object(silence: Silence) -> dict[str, Any]:
    """A silence as JSON values."""
    return {
        "id": silence.silence_id,
        "rule": silence.rule_id,
        "starts_at": utc_text(silence.starts_at),
        "ends_at": utc_text(silence.ends_at),
        "user": silence.user,
        "reason": silence.reason,
    }


def _fact(value: object) -> str:
    return (
        f"{value:,.6g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
