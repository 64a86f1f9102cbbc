"""The accounts with which watches send mail and messages: settings below ``notify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from provisioning.setting_types import Duration, Secret, SettingsGroup

# Where PagerDuty takes events (its documentation of the Events API, version 2).
_PAGERDUTY_EVENTS = "https://events.pagerduty.com/v2/enqueue"


class EmailAccount(SettingsGroup):
    """An SMTP server, and who one is there."""

    host: str = Field(description="the SMTP server")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(587, description="its port")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the connection is encrypted: after its start, from its start, or not"
    )
    username: str | None = Field(None, description="user, where the server wants one")
    password: Secret = Field(None, description="that user's password")
    ca_file: Path | None = Field(None, description="PEM file of a private certificate authority")
    sender: str | None = Field(None, description="who mails are from, where the action does not say")
    timeout: Duration = Field("30s", description="how long the server may take to answer")

    @model_validator(mode="after")
    def _user_and_password(self) -> EmailAccount:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        return self


class SlackAccount(SettingsGroup):
    """An incoming webhook of Slack."""

    url: SecretStr = Field(description="the webhook's URL, which is a secret")


class PagerDutyAccount(SettingsGroup):
    """A service of PagerDuty."""

    service_api_key: SecretStr = Field(description="the service's integration key")
    url: str = Field(_PAGERDUTY_EVENTS, description="where events are sent")
