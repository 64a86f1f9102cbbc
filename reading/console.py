"""Asks the engine and tells it: the edge between the pure questions and documents and the cluster."""

from __future__ import annotations

import getpass
import os
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from engine.capabilities import Capabilities
from engine.client import Engine, raise_for_error
from engine.errors import Conflict, EngineError, NotFound, NotProvisioned
from provisioning.names import Names
from provisioning.queries import SavedQuery, Value
from provisioning.rendering import render_one
from provisioning.settings import Settings
from reading.alerts import (
    Alert,
    AlertFilter,
    alerts_search,
    latest_by_alert_search,
    open_alerts,
    shape_alerts,
)
from reading.operations import (
    Operations,
    acknowledgement_document,
    alert_key,
    operations_search,
    shape_operations,
    silence_document,
)
from reading.queries import shaped_rows
from reading.report import Report, ReportQuestion, report_searches, shape_report
from reading.rule import HIGH_TRAFFIC, TrafficRule, rule_of_watch
from reading.tick import Question, Search, Tick, search_header, shape_tick, tick_searches

# A tick that takes longer than an interval is late for the next one.
_TIMEOUT_SECONDS = 10.0

# A watch's parameters are the same on every engine.
_ANY_ENGINE = Capabilities(flavour="opensearch", version=(3, 0, 0), version_text="3.0.0")


def read_tick(engine: Engine, names: Names, question: Question) -> Tick:
    """Ask for one tick in one round trip; raises as ``ask`` does."""
    return shape_tick(question, ask(engine, tick_searches(names, question)))


@dataclass(frozen=True, slots=True)
class AlertLog:
    """Alert documents as they were at one moment.

    Attributes:
        alerts: the wanted ones, oldest first.
        open_alerts: the newest document of each alert that is open.
        operations: what people did about alerts.
        read_at: the moment, UTC.
    """

    alerts: tuple[Alert, ...]
    open_alerts: tuple[Alert, ...]
    operations: Operations
    read_at: datetime

    @property
    def loud(self) -> tuple[Alert, ...]:
        """The open alerts that no silence covers."""
        return tuple(
            alert
            for alert in self.open_alerts
            if self.operations.silenced(alert.rule_id, self.read_at) is None
        )


def rule_in_force(engine: Engine, settings: Settings) -> TrafficRule:
    """The high-traffic rule as it is installed; as the settings would make it where it cannot be asked for.

    Raises TemplateError or SettingsError when the settings cannot be rendered.
    """
    names = settings.names
    watch = names.of(HIGH_TRAFFIC)
    # Where the scheduler runs the watches its store has the body, elsewhere the engine has it.
    for path, keys in (
        (f"/{names.watch_store}/_doc/{watch}", ("_source", "body")),
        (f"/_watcher/watch/{watch}", ("watch",)),
    ):
        try:
            body = engine.request("GET", path)
        except EngineError:  # not there, not permitted, or away: the reading itself will tell
            continue
        for key in keys:
            body = body.get(key) or {}
        return rule_of_watch(body)
    rendered = render_one(settings, _ANY_ENGINE, "watch", HIGH_TRAFFIC)
    return rule_of_watch({} if rendered is None else rendered.body)


def read_alerts(engine: Engine, names: Names, wanted: AlertFilter, size: int) -> AlertLog:
    """Ask for alert documents and what was done about them, in one round trip; raises as ``ask`` does."""
    now = datetime.now(UTC)
    alerts, by_alert, operations = ask(
        engine,
        [
            (search_header(names.alerts), alerts_search(wanted, size)),
            (search_header(names.alerts), latest_by_alert_search(None)),
            (search_header(names.operations, may_be_absent=True), operations_search(now)),
        ],
    )
    return AlertLog(
        alerts=shape_alerts(alerts),
        open_alerts=open_alerts(shape_alerts(by_alert)),
        operations=shape_operations(operations),
        read_at=now,
    )


def read_report(engine: Engine, names: Names, question: ReportQuestion) -> Report:
    """Ask for one report in one round trip; raises as ``ask`` does."""
    return shape_report(question, ask(engine, report_searches(names, question)))


def search_rows(engine: Engine, query: SavedQuery, body: dict[str, Any]) -> list[list[Value]]:
    """Ask a saved query, its search with the values put in; raises as ``ask`` does."""
    (answer,) = ask(engine, [(search_header(query.index), body)])
    return shaped_rows(query, answer)


def ask(engine: Engine, searches: Sequence[Search]) -> list[dict[str, Any]]:
    """Send searches in one round trip and return their answers, none of which holds an error.

    Raises:
        NotProvisioned: what is read has no index.
        EngineUnreachable, NotPermitted, RequestRefused: as ``Engine.request`` does.
    """
    answers = engine.msearch(searches, timeout_seconds=_TIMEOUT_SECONDS)
    for (header, _), answer in zip(searches, answers, strict=True):
        try:
            raise_for_error(f"search {header['index']}", answer, where=engine.url)
        except NotFound:
            raise _not_provisioned(engine, header["index"]) from None
    return answers


def acknowledge(engine: Engine, names: Names, alert: Alert, *, reason: str = "") -> bool:
    """Say that this user has seen the alert; False if somebody had said so before.

    Raises NotProvisioned when there is no place to say it, else as ``Engine.request`` does.
    """
    document = acknowledgement_document(alert, user=user_name(), reason=reason, now=datetime.now(UTC))
    # One acknowledgement an alert: who was first stays.
    identity = urllib.parse.quote(f"acknowledged-{alert_key(alert)}", safe="")
    try:
        _write(engine, names, "PUT", f"_create/{identity}", document)
    except Conflict:
        return False
    return True


def silence(
    engine: Engine, names: Names, rule_id: str, *, starts_at: datetime, ends_at: datetime, reason: str
) -> str:
    """Silence a rule, or ``EVERY_RULE``, until ``ends_at``; the silence's id.

    Raises as ``acknowledge`` does.
    """
    document = silence_document(
        rule_id, starts_at=starts_at, ends_at=ends_at, user=user_name(), reason=reason
    )
    answer = _write(engine, names, "POST", "_doc", document)
    return str(answer["_id"])


def end_silence(engine: Engine, names: Names, silence_id: str, *, at: datetime) -> bool:
    """End a silence now; False if there is none of this id. Raises as ``acknowledge`` does."""
    identity = urllib.parse.quote(silence_id, safe="")
    change = {"doc": {"httpmon": {"silence": {"ends_at": at.isoformat()}}}}
    try:
        _write(engine, names, "POST", f"_update/{identity}", change)
    except NotFound:
        return False
    return True


def acknowledge_open(engine: Engine, names: Names, tick: Tick) -> None:
    """Acknowledge each open alert of a tick; raises as ``acknowledge`` does."""
    for alert in tick.open_alerts:
        acknowledge(engine, names, alert)


def user_name() -> str:
    """Who sits at the keyboard, as far as the machine knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return f"uid {os.getuid()}"


def _write(engine: Engine, names: Names, method: str, operation: str, body: dict[str, Any]) -> Any:
    # Without provisioning there is no alias, and the engine would make an index with a mapping of its own.
    try:
        return engine.request(
            method,
            f"/{names.operations}/{operation}",
            body=body,
            params={"refresh": "true", "require_alias": "true"},
        )
    except NotFound as error:
        if error.error_type == "index_not_found_exception":
            raise _not_provisioned(engine, names.operations) from None
        raise


def _not_provisioned(engine: Engine, index: str) -> NotProvisioned:
    return NotProvisioned(f"{engine.url} has no {index}: run httpmon provision to make it")
