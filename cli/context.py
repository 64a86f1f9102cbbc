"""What every command starts from: the settings and an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

    from engine.client import Engine
    from provisioning.settings import LoadedSettings


def loaded_settings(context: typer.Context, **options: Any) -> LoadedSettings:
    """Read the settings for one command.

    ``options`` are the command's own, with ``__`` for the dot of a setting's name
    (``summaries__delay="5s"``); None values are left out. Raises SettingsError.
    """
    from provisioning.settings import load_settings

    given = context.obj["options"] | {name.replace("__", "."): value for name, value in options.items()}
    return load_settings(context.obj["config"], given)


def open_engine(loaded: LoadedSettings) -> Engine:
    """Make the client; nothing is sent before its first request."""
    from engine.client import Engine

    return Engine(loaded.settings.engine.connection())
