"""What every command starts from: the settings and an engine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import typer

    from engine.client import Engine
    from engine.kibana import Kibana
    from provisioning.settings import LoadedSettings


def loaded_settings(
    context: typer.Context, *, assignments: Sequence[str] | None = None, **options: Any
) -> LoadedSettings:
    """Read the settings for one command; where nothing names a cluster, it is the local node if that runs.

    Args:
        context: the command's context, which holds the options given before the command's name.
        assignments: the command's ``--set TEMPLATE.PARAMETER=VALUE``.
        options: the command's own options that are settings, with ``__`` for the dot of a setting's name
            (``summaries__delay="5s"``); None values are left out.

    Raises:
        SettingsError: a setting cannot be used.
    """
    from localnode import default_home, running_url
    from provisioning.settings import load_settings, parse_parameter

    given = context.obj["options"] | {name.replace("__", "."): value for name, value in options.items()}
    for assignment in assignments or ():
        template, parameter, value = parse_parameter(assignment)
        given[f"parameters.{template}.{parameter}"] = value
    loaded = load_settings(context.obj["config"], given)
    if "engine.url" in loaded.origins:
        return loaded
    url = running_url(loaded.settings.node.home or default_home())
    if url is None:
        return loaded
    return load_settings(context.obj["config"], given, fallbacks={"engine.url": (url, "local node")})


def open_engine(loaded: LoadedSettings) -> Engine:
    """Make the client; nothing is sent before its first request."""
    from engine.client import Engine

    return Engine(loaded.settings.engine.connection())


@contextmanager
def open_kibana(loaded: LoadedSettings) -> Iterator[Kibana | None]:
    """Make the client of Kibana; None where no ``kibana.url`` is set."""
    from engine.kibana import Kibana

    connection = loaded.settings.kibana.connection()
    if connection is None:
        yield None
        return
    with Kibana(connection, loaded.settings.kibana.space) as kibana:
        yield kibana
