"""How to get in, and the settings of Kibana."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from engine.connection import Connection
from engine.errors import SettingsError
from provisioning.setting_types import (
    ApiKey,
    Duration,
    Secret,
    SettingsGroup,
    Url,
    UserName,
    duration_seconds,
)


class AccessSettings(SettingsGroup):
    """Where a server is, and how to get in; each server has its own ``url`` and ``request_timeout``."""

    url: Url | None = Field(None, description="where the server is")
    username: UserName = Field(None, description="user for basic authentication")
    password: Secret = Field(None, description="that user's password")
    api_key: ApiKey = Field(None, description="an API key in its encoded form, instead of user and password")
    ca_file: Path | None = Field(None, description="PEM file of a private certificate authority")
    insecure: bool = Field(False, description="accept any certificate")
    request_timeout: Duration = Field("30s", description="how long one request may take")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.api_key is not None and self.username is not None:
            raise ValueError("give either api_key or username and password, not both")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        return self

    def connection_to(self, url: str, group: str) -> Connection:
        """The same as plain values; ``group`` is the settings' own name, for messages.

        Raises SettingsError when the file of the authority cannot be read: told here, because TLS only says
        then that a file is not there, and that only once it is used.
        """
        if self.ca_file is not None:
            try:
                self.ca_file.open("rb").close()
            except OSError as error:
                raise SettingsError(f"{group}.ca_file: {self.ca_file}: {error.strerror}") from None
        return Connection(
            url=url,
            username=self.username,
            password=self.password.get_secret_value() if self.password else None,
            api_key=self.api_key.get_secret_value() if self.api_key else None,
            ca_file=self.ca_file,
            verify_certificates=not self.insecure,
            request_timeout_seconds=duration_seconds(self.request_timeout),
        )


class KibanaSettings(AccessSettings):
    """Kibana, where provision puts dashboards; nothing of it is asked while there is no URL."""

    url: Url | None = Field(None, description="where Kibana is; unset: nothing is done there")
    space: Annotated[str, Field(pattern=r"^[a-z0-9_\-]+$")] = Field(
        "default", description="the id of the space for data views, sessions and dashboards"
    )
    request_timeout: Duration = Field("60s", description="how long one request may take")

    def connection(self) -> Connection | None:
        """The same as plain values for ``engine.kibana.Kibana``; None without a URL."""
        return None if self.url is None else self.connection_to(self.url, "kibana")
