"""Log formats of the user's own: patterns of the ingest processors dissect and grok, from the settings."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from provisioning.setting_types import SettingsGroup

# %{key} of dissect with its modifiers (+key, key/2, key->); %{SYNTAX:key} and %{SYNTAX:key:type} of grok.
_DISSECT_KEY = re.compile(r"%\{(?P<before>\+?)(?P<key>[A-Za-z@_][^}?*&+/>]*?)(?P<after>(?:/\d+)?(?:->)?)\}")
_GROK_KEY = re.compile(r"%\{(?P<before>\w+:)(?P<key>[^}:]+)(?P<after>(?::\w+)?)\}")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r}: a format's name has small letters, digits and '_'")
    return text


FormatName = Annotated[str, AfterValidator(_name)]


class FormatSettings(SettingsGroup):
    """A log format of one's own."""

    dissect: str | None = Field(None, description="the line as a pattern of the ingest processor dissect")
    grok: str | None = Field(None, description="the line as a pattern of the ingest processor grok")
    patterns: dict[str, str] = Field(
        default_factory=dict, description="patterns that grok knows beside its own, by name"
    )

    @model_validator(mode="after")
    def _one_pattern_that_names_something(self) -> FormatSettings:
        if (self.dissect is None) == (self.grok is None):
            raise ValueError("give either dissect or grok")
        if prefixed(self._pattern, "x", grok=self.grok is not None) == self._pattern:
            raise ValueError(f"{self._pattern!r} names no field; write it as %{{status}} or %{{INT:status}}")
        if (unended := self._pattern.rpartition("%{")[2]).find("}") < 0:
            raise ValueError(f"'%{{{unended}' in it has no end; write it as %{{status}} or %{{INT:status}}")
        return self

    @property
    def _pattern(self) -> str:
        return self.dissect or self.grok or ""

    def processor(self, field: str, target: str) -> dict[str, Any]:
        """The ingest processor that reads ``field`` and puts what the pattern names below ``target``."""
        pattern = prefixed(self._pattern, target, grok=self.grok is not None)
        if self.grok is None:
            return {"dissect": {"field": field, "pattern": pattern}}
        definitions = {"pattern_definitions": self.patterns} if self.patterns else {}
        return {"grok": {"field": field, "patterns": [pattern], **definitions}}


def prefixed(pattern: str, prefix: str, *, grok: bool) -> str:
    """A pattern of dissect or grok whose fields stand below ``prefix``."""
    expression = _GROK_KEY if grok else _DISSECT_KEY
    return expression.sub(
        lambda match: f"%{{{match['before']}{prefix}.{match['key']}{match['after']}}}", pattern
    )
