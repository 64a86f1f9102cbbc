"""The types that settings are made of: durations, URLs, secrets, and the frozen group of fields."""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# What a retention says that removes nothing.
KEEP = "keep"


def duration_seconds(text: str) -> float:
    """How many seconds ``500ms``, ``10s``, ``2m``, ``1h`` or ``7d`` are; ValueError for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration; write it as 500ms, 10s, 2m, 1h or 7d")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def _duration(text: str) -> str:
    duration_seconds(text)
    return text


def _kept(text: str) -> str:
    return text if text == KEEP else _duration(text)


def _zone(text: str) -> str:
    if not re.fullmatch(r"[+-]\d{2}:?\d{2}", text):
        try:
            ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{text!r} is no time zone; write it as Europe/Berlin or +02:00") from None
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", text):
        raise ValueError("a URL looks like https://host:9200")
    if "@" in text:
        raise ValueError("a URL holds no credentials; set username and password beside it")
    return text.rstrip("/")


def _empty_is_unset(value: object) -> object:
    return None if value == "" else value


def _without_line_break(secret: SecretStr | None) -> SecretStr | None:
    # Out of a file that ends with one, as a Secret of Kubernetes made of such a file does.
    if secret is not None and secret.get_secret_value().endswith(("\n", "\r")):
        raise ValueError("ends with a line break, which is not part of it; give it without")
    return secret


def _one_word(key: SecretStr | None) -> SecretStr | None:
    if key is not None and not re.fullmatch(r"[\x21-\x7e]+", key.get_secret_value()):
        raise ValueError("an API key is one word; this one has a space, a line break or an odd letter")
    return key


def _user(name: str | None) -> str | None:
    # RFC 7617: the colon is what ends the name.
    if name is not None and not re.fullmatch(r"[^:\x00-\x1f\x7f]+", name):
        raise ValueError("a user's name has no colon and no line break")
    return name


# A duration, or ``keep``.
Kept = Annotated[str, AfterValidator(_kept)]
Zone = Annotated[str, AfterValidator(_zone)]
Duration = Annotated[str, AfterValidator(_duration)]
Url = Annotated[str, AfterValidator(_url)]
Secret = Annotated[SecretStr | None, BeforeValidator(_empty_is_unset), AfterValidator(_without_line_break)]
ApiKey = Annotated[Secret, AfterValidator(_one_word)]
UserName = Annotated[str | None, BeforeValidator(_empty_is_unset), AfterValidator(_user)]


class SettingsGroup(BaseModel):
    """Settings that belong together; a name that is none of them is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
