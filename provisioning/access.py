"""How to get in, and the settings of Kibana."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field, SecretStr, model_validator

from engine.connection import Connection
from provisioning.setting_types import Duration, Secret, SettingsGroup, Url, duration_seconds


class _Credentials(Protocol):
    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> SecretStr | None: ...
    @property
    def api_key(self) -> SecretStr | None: ...


def refuse_two_ways_in(given: _Credentials) -> None:
    """Raise ValueError for credentials that are half or twice there."""
    if given.api_key is not None and given.username is not None:
        raise ValueError("give either api_key or username and password, not both")
    if (given.username is None) != (given.password is None):
        raise ValueError("username and password belong together")


class KibanaSettings(SettingsGroup):
    """Kibana, where provision puts dashboards; nothing of it is asked while there is no URL."""

    url: Url | None = Field(None, description="where Kibana is; unset: nothing is done there")
    space: Annotated[str, Field(pattern=r"^[a-z0-9_\-]+$")] = Field(
        "default", description="the id of the space for data views, sessions and dashboards"
    )
    username: str | None = Field(None, description="user for basic authentication")
    password: Secret = Field(None, description="that user's password")
    api_key: Secret = Field(None, description="an API key in its encoded form, instead of user and password")
    ca_file: Path | None = Field(None, description="PEM file of a private certificate authority")
    insecure: bool = Field(False, description="accept any certificate")
    request_timeout: Duration = Field("60s", description="how long one request may take")

    @model_validator(mode="after")
    def _one_way_in(self) -> KibanaSettings:
        refuse_two_ways_in(self)
        return self

    def connection(self) -> Connection | None:
        """The same as plain values for ``engine.kibana.Kibana``; None without a URL."""
        if self.url is None:
            return None
        return Connection(
            url=self.url,
            username=self.username,
            password=self.password.get_secret_value() if self.password else None,
            api_key=self.api_key.get_secret_value() if self.api_key else None,
            ca_file=self.ca_file,
            verify_certificates=not self.insecure,
            request_timeout_seconds=duration_seconds(self.request_timeout),
        )
