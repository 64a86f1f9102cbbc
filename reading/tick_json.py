"""A tick as one JSON object; ``docs/tail.md`` describes each field."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reading.alerts import Alert
from reading.buckets import summary_age
from reading.rule import TrafficRule
from reading.tick import SectionCounts, Tick


def tick_object(tick: Tick, rule: TrafficRule, *, now: datetime) -> dict[str, Any]:
    """The tick as JSON values: times in UTC, rates in hits/s, sizes in bytes, spans in seconds."""
    question = tick.question
    return {
        "interval": {
            "start": utc_text(question.start),
            "end": utc_text(question.end),
            "seconds": question.seconds,
        },
        "traffic": {
            "hits": tick.hits,
            "hits_per_second": tick.hits / question.seconds,
            "window": {
                "seconds": question.window_seconds,
                "hits": tick.window_hits,
                "hits_per_second": tick.window_hits / question.window_seconds,
            },
            "threshold": rule.threshold,
            "bytes": tick.bytes,
            "clients": tick.clients,
            "status": dict(tick.status),
            "overall": {"hits": tick.overall_hits, "bytes": tick.overall_bytes},
            "history": list(tick.history),
        },
        "sections": [{"section": name, **_counts(tick, counts)} for name, counts in tick.sections],
        "others": {"sections": tick.other_sections, **_counts(tick, tick.others)},
        "total": _counts(tick, tick.total),
        "top": {
            kind: [{"name": name, "hits": hits} for name, hits in named] for kind, named in tick.top.items()
        },
        "alerts": [alert_object(alert) for alert in tick.alerts],
        "open_alerts": [alert_object(alert) for alert in tick.open_alerts],
        "freshness": {
            "read_at": utc_text(now),
            "newest_summary": tick.newest_summary and utc_text(tick.newest_summary),
            "age_seconds": tick.newest_summary and round(summary_age(tick.newest_summary, now), 3),
            "newest_hit": tick.newest_hit and utc_text(tick.newest_hit),
        },
        "unparsed": {"overall": tick.unparsed, "interval": tick.unparsed_now},
        "headers": {"overall": tick.headers},
        "failing_watches": list(tick.failing),
    }


def alert_object(alert: Alert) -> dict[str, Any]:
    """One alert document as JSON values."""
    return {
        "time": utc_text(alert.time),
        "action": alert.action,
        "rule": alert.rule_id,
        "rule_name": alert.rule_name,
        "message": alert.message,
        "id": alert.alert_id,
        "seq": alert.sequence,
        "value": alert.value,
        "threshold": alert.threshold,
        "hits": alert.hits,
        "window_seconds": alert.window_seconds,
        "started_at": alert.started_at and utc_text(alert.started_at),
        "ended_at": alert.ended_at and utc_text(alert.ended_at),
    }


def utc_text(moment: datetime) -> str:
    """``2026-11-25T14:32:50Z``, with a fraction where there is one."""
    return moment.isoformat().replace("+00:00", "Z")


def _counts(tick: Tick, counts: SectionCounts) -> dict[str, Any]:
    return {
        "hits": counts.hits,
        "share": counts.hits / tick.total.hits if tick.total.hits else 0.0,
        "window_hits": counts.window_hits,
        "window_hits_per_second": counts.window_hits / tick.question.window_seconds,
        "status_4xx": counts.status_4xx,
        "status_5xx": counts.status_5xx,
        "bytes": counts.bytes,
        "overall_hits": counts.overall_hits,
    }
