"""The settings in force as ``httpmon config show`` shows them. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import SecretStr

from provisioning.origins import origin_of
from provisioning.settings import LoadedSettings, known_names


class ShownSetting(NamedTuple):
    """One setting as ``httpmon config show`` shows it."""

    name: str
    value: Any
    origin: str


def shown_settings(loaded: LoadedSettings) -> list[ShownSetting]:
    """Every setting in force with its origin; a secret is only said to be set."""
    rows = []
    for name in known_names():
        value: Any = loaded.settings
        for part in name.split("."):
            value = getattr(value, part)
        given = [(name, value)]
        if name == "parameters":
            given = [
                (f"{name}.{template}.{parameter}", one)
                for template, parameters in value.items()
                for parameter, one in parameters.items()
            ]
        elif isinstance(value, SecretStr):
            given = [(name, "(set, not shown)")]
        elif isinstance(value, dict):  # accounts, of which only the names are shown
            given = [(name, ", ".join(value))]
        rows += [
            ShownSetting(shown, one, origin_of(shown, loaded.origins) or "default") for shown, one in given
        ]
    return rows
