"""What operators do about alerts: acknowledge them, silence their rules. Documents made and read; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reading.alerts import Alert, parse_time

EVERY_RULE = "*"
"""The rule of a silence that holds for all of them."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has seen an alert.

    Attributes:
        alert_id: of the alert.
        time: when.
        user: who.
        reason: what they said, or "".
    """

    alert_id: str
    time: datetime
    user: str
    reason: str


@dataclass(frozen=True, slots=True)
class Silence:
    """A rule's alerts are nobody's business for a while.

    Attributes:
        silence_id: its document.
        rule_id: the rule, or ``EVERY_RULE``.
        starts_at, ends_at: from when until when.
        user: who asked for it.
        reason: why.
    """

    silence_id: str
    rule_id: str
    starts_at: datetime
    ends_at: datetime
    user: str
    reason: str

    def covers(self, rule_id: str, moment: datetime) -> bool:
        """Whether it holds for this rule at this moment."""
        return self.rule_id in (rule_id, EVERY_RULE) and self.starts_at <= moment < self.ends_at


@dataclass(frozen=True, slots=True)
class Operations:
    """The acknowledgements, newest first, and the silences that have not ended."""

    acknowledgements: tuple[Acknowledgement, ...] = ()
    silences: tuple[Silence, ...] = ()

    def acknowledged(self, alert: Alert) -> Acknowledgement | None:
        """Who acknowledged the alert; None if nobody has."""
        return next((one for one in self.acknowledgements if one.alert_id == alert_key(alert)), None)

    def silenced(self, rule_id: str, moment: datetime) -> Silence | None:
        """The silence that holds for a rule at a moment; None if none does."""
        return next((one for one in self.silences if one.covers(rule_id, moment)), None)


def alert_key(alert: Alert) -> str:
    """What all documents of one alert have in common: its id, or rule and start where it has none."""
    if alert.alert_id:
        return alert.alert_id
    return f"{alert.rule_id}@{(alert.started_at or alert.time).isoformat()}"


def operations_search(now: datetime, *, most: int = 500) -> dict[str, Any]:
    """The newest acknowledgements, and the silences that have not ended."""
    return {
        "size": most,
        "track_total_hits": False,
        "query": {
            "bool": {
                "should": [
                    {"term": {"event.action": "acknowledged"}},
                    {
                        "bool": {
                            "filter": [
                                {"term": {"event.action": "silenced"}},
                                {
                                    "range": {
                                        "httpmon.silence.ends_at": {
                                            "gt": now.isoformat(),
                                            "format": "strict_date_optional_time",
                                        }
                                    }
                                },
                            ]
                        }
                    },
                ],
                "minimum_should_match": 1,
            }
        },
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}],
    }


def shape_operations(answer: Mapping[str, Any]) -> Operations:
    """Read the answer to ``operations_search``."""
    acknowledgements: list[Acknowledgement] = []
    silences: list[Silence] = []
    for hit in answer["hits"]["hits"]:
        source = hit["_source"]
        details = source.get("httpmon") or {}
        user = str((source.get("user") or {}).get("name") or "")
        reason = str(source.get("message") or "")
        if source["event"]["action"] == "acknowledged":
            acknowledgements.append(
                Acknowledgement(str(details["alert"]["id"]), parse_time(source["@timestamp"]), user, reason)
            )
        else:
            silences.append(
                Silence(
                    hit["_id"],
                    str(source["rule"]["id"]),
                    parse_time(details["silence"]["starts_at"]),
                    parse_time(details["silence"]["ends_at"]),
                    user,
                    reason,
                )
            )
    return Operations(tuple(acknowledgements), tuple(silences))


def acknowledgement_document(alert: Alert, *, user: str, reason: str, now: datetime) -> dict[str, Any]:
    """The document that says that ``user`` has seen the alert."""
    return {
        "@timestamp": now.isoformat(),
        "event": {"kind": "event", "action": "acknowledged", "dataset": "httpmon.operations"},
        "rule": {"id": alert.rule_id, "name": alert.rule_name},
        "user": {"name": user},
        "message": reason,
        "httpmon": {"alert": {"id": alert_key(alert)}},
    }


def silence_document(
    rule_id: str, *, starts_at: datetime, ends_at: datetime, user: str, reason: str
) -> dict[str, Any]:
    """The document that silences a rule, or every rule, for a while."""
    return {
        "@timestamp": starts_at.isoformat(),
        "event": {"kind": "event", "action": "silenced", "dataset": "httpmon.operations"},
        "rule": {"id": rule_id},
        "user": {"name": user},
        "message": reason,
        "httpmon": {"silence": {"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()}},
    }
