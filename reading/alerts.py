"""Alert documents: how they are asked for and what one says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

OPENING_ACTIONS = frozenset({"triggered", "renotified", "no_data"})
"""The ``event.action`` values after which an alert is open; ``recovered`` closes it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert document.

    Attributes:
        time: the bucket end that it is about.
        action: ``triggered``, ``renotified``, ``recovered`` or ``no_data``.
        rule_id, rule_name: the rule.
        message: what it says to people.
        alert_id: common to all documents from the triggering to the recovery; "" if not given.
        key: what the alert is about where a rule has several at a time (a client, a section); else "".
        sequence: counts the rule's documents.
        value, threshold: hits/s, where the rule has them.
        hits: in the window.
        window_seconds: the rule's window.
        started_at, ended_at: of the alert; None while unknown or open.
    """

    time: datetime
    action: str
    rule_id: str
    rule_name: str
    message: str
    alert_id: str = ""
    sequence: int = 0
    key: str = ""
    value: float | None = None
    threshold: float | None = None
    hits: int | None = None
    window_seconds: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def opens(self) -> bool:
        """Whether the alert is open after this document."""
        return self.action in OPENING_ACTIONS


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alert documents are wanted; what is None does not matter."""

    rule_id: str | None = None
    action: str | None = None
    alert_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def alerts_search(wanted: AlertFilter, size: int) -> dict[str, Any]:
    """The newest ``size`` alert documents of those wanted, newest first."""
    filters: list[dict[str, Any]] = [{"term": {"event.kind": "alert"}}]
    for field, value in (
        ("rule.id", wanted.rule_id),
        ("event.action", wanted.action),
        ("httpmon.alert.id", wanted.alert_id),
    ):
        if value is not None:
            filters.append({"term": {field: value}})
    for bound, moment in (("gte", wanted.since), ("lte", wanted.until)):
        if moment is not None:
            filters.append(
                {"range": {"@timestamp": {bound: moment.isoformat(), "format": "strict_date_optional_time"}}}
            )
    return {
        "size": size,
        "track_total_hits": False,
        "query": {"bool": {"filter": filters}},
        "sort": _NEWEST_FIRST,
    }


def latest_alerts_search(size: int, until: datetime | None) -> dict[str, Any]:
    """The newest ``size`` alert documents, newest first; none after ``until`` if given."""
    return alerts_search(AlertFilter(until=until), size)


def latest_by_alert_search(until: datetime | None, *, most: int = 200) -> dict[str, Any]:
    """The newest document of each of the newest alerts: it tells whether the alert is open.

    A rule may have several alerts at a time, one for each client or section, so rules do not do.
    """
    return latest_alerts_search(most, until) | {"collapse": {"field": "httpmon.alert.id"}}


def shape_alert(source: Mapping[str, Any]) -> Alert:
    """Read one alert document's ``_source``; what it lacks gets the field's default."""
    event: Mapping[str, Any] = source.get("event") or {}
    rule: Mapping[str, Any] = source.get("rule") or {}
    details: Mapping[str, Any] = (source.get("httpmon") or {}).get("alert") or {}
    rule_id = str(rule.get("id") or "")
    hits = details.get("hits")
    return Alert(
        time=parse_time(source["@timestamp"]),
        action=str(event.get("action") or ""),
        rule_id=rule_id,
        rule_name=str(rule.get("name") or rule_id),
        message=str(source.get("message") or ""),
        alert_id=str(details.get("id") or ""),
        sequence=int(details.get("seq") or 0),
        key=str(details.get("key") or ""),
        value=_measured(details),
        threshold=_number(details.get("threshold")),
        hits=None if hits is None else int(hits),
        window_seconds=_number(details.get("window")),
        started_at=_time_or_none(details.get("started_at")),
        ended_at=_time_or_none(details.get("ended_at")),
    )


def shape_alerts(answer: Mapping[str, Any]) -> tuple[Alert, ...]:
    """The alerts of a search answer, oldest first."""
    return tuple(shape_alert(hit["_source"]) for hit in reversed(answer["hits"]["hits"]))


def open_alerts(newest: Iterable[Alert]) -> tuple[Alert, ...]:
    """Of the newest documents of alerts, oldest first, those that are open.

    Of one rule and key only the newest alert can be: a later one takes the place of an earlier, whose
    recovery nobody saw.
    """
    current = {(alert.rule_id, alert.key): alert for alert in newest}
    return tuple(alert for alert in current.values() if alert.opens)


def parse_time(value: str | float) -> datetime:
    """A date as a document holds it, ISO 8601 text or milliseconds since the epoch, in UTC."""
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return datetime.fromtimestamp(value / 1000, UTC)


_NEWEST_FIRST = [
    {"@timestamp": {"order": "desc", "unmapped_type": "date"}},
    {"httpmon.alert.seq": {"order": "desc", "unmapped_type": "long"}},
]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _measured(details: Mapping[str, Any]) -> float | None:
    """What was measured; a rule that Kibana runs cannot divide, so its documents give hits and window."""
    value, hits, window = (_number(details.get(name)) for name in ("value", "hits", "window"))
    return hits / window if value is None and hits is not None and window else value


def _time_or_none(value: Any) -> datetime | None:
    return None if value is None else parse_time(value)
