"""What watches can do here: every kind of action and input, put together from the engine and the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.client import Engine
from provisioning.settings import NotifySettings, Settings
from scheduler.watches.actions import Actions
from scheduler.watches.claims import Claims
from scheduler.watches.email_action import Mailer
from scheduler.watches.execution import WatchExecutor
from scheduler.watches.http_input import HttpLoader
from scheduler.watches.index_action import IndexAction, LoggingAction
from scheduler.watches.messages import MessageAction
from scheduler.watches.notify_action import Notifier
from scheduler.watches.pagerduty_action import PagerDuty
from scheduler.watches.slack_action import Slack
from scheduler.watches.webhook_action import WebhookAction


@dataclass(frozen=True, slots=True)
class Outside:
    """What of the world outside the cluster watches may use: nothing but webhooks unless the settings say so.

    Attributes:
        http_hosts: the hosts that http inputs may ask.
        accounts: with which mail and messages are sent.
    """

    http_hosts: tuple[str, ...] = ()
    accounts: NotifySettings = field(default_factory=NotifySettings)

    @classmethod
    def of(cls, settings: Settings) -> Outside:
        """What the settings allow."""
        return cls(settings.scheduler.http_input_hosts, settings.notify)


def _now() -> datetime:
    return datetime.now(UTC)


def new_executor(
    engine: Engine,
    outside: Outside,
    *,
    instance: str,
    clock: Callable[[], datetime] = _now,
    claims: Claims | None = None,
) -> WatchExecutor:
    """An executor with every kind of action and input that there is.

    Args:
        engine: where watches run.
        outside: what they may use beside it.
        instance: the name of this scheduler, for records.
        clock: the time.
        claims: keeps what scheduled runs send from being sent twice.
    """
    load_http = HttpLoader(engine, outside.http_hosts)
    actions = Actions(
        {
            "index": IndexAction(engine),
            "logging": LoggingAction(engine),
            "webhook": WebhookAction(engine),
            "email": MessageAction(engine, Mailer(outside.accounts, load_http)),
            "slack": MessageAction(engine, Slack(engine, outside.accounts)),
            "pagerduty": MessageAction(engine, PagerDuty(outside.accounts)),
            "notify": MessageAction(engine, Notifier(outside.accounts)),
        },
        claims=claims,
    )
    return WatchExecutor(engine, actions=actions, load_http=load_http, clock=clock, instance=instance)
