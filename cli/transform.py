"""``httpmon transform``: the transforms, whoever runs them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.client import Engine
    from provisioning.settings import Settings
    from scheduler.transforms.control import Control

app = typer.Typer(help="Preview, list, start, stop and reset transforms.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Template, object or id: sections, httpmon-sections-000001.")]


@app.command()
def preview(
    context: typer.Context,
    name: Name,
    rows: Annotated[int, typer.Option(min=1, max=100, help="How many documents to show.")] = 10,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TEMPLATE.PARAMETER=VALUE", help="Give a parameter a value."),
    ] = None,
) -> None:
    """Print the first documents that a transform would write now, as JSON; nothing is written."""
    import json

    from cli.context import loaded_settings, open_engine
    from scheduler.transforms.control import previewed

    loaded = loaded_settings(context, assignments=assignments)
    with open_engine(loaded) as engine:
        native = _native(engine, loaded.settings)
        documents = previewed(engine, loaded.settings, name, native=native)
    typer.echo(json.dumps(documents[:rows], indent=2, ensure_ascii=False))


@app.command("list")
def list_command(
    context: typer.Context,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",  # noqa: A002
) -> None:
    """Print each transform: its state, checkpoints, progress, and how many seconds it is behind."""
    from cli.status_list import print_statuses
    from cli.terminal import require_format

    require_format(format)
    with _opened(context) as (settings, control):
        statuses = control.statuses()
    print_statuses(
        statuses,
        format,
        none=f"no transform {settings.names.prefix}-*",
        row=lambda one: (
            one.identifier,
            one.state,
            one.checkpoint,
            "-" if one.progress is None else f"{one.progress:.0f} %",
            "-" if one.lag_seconds is None else f"{one.lag_seconds:.1f} s",
            one.documents,
            one.reason.removeprefix(f"transform {one.identifier}: "),
        ),
        headers=("transform", "state", "checkpoint", "progress", "lag", "documents", "trouble"),
        align=("left", "left", "right", "right", "right", "right", "left"),
        optional=(3, 6),
    )


@app.command()
def start(context: typer.Context, name: Name) -> None:
    """Let a transform run; a failed one tries again."""
    with _opened(context) as (settings, control):
        for identifier in _identifiers(name, settings, control):
            done = control.start(identifier)
            typer.echo(f"{identifier} {'is started' if done else 'was started already'}")


@app.command()
def stop(context: typer.Context, name: Name) -> None:
    """Let a transform rest; it goes on where it was when it is started again."""
    with _opened(context) as (settings, control):
        for identifier in _identifiers(name, settings, control):
            done = control.stop(identifier)
            typer.echo(f"{identifier} {'is stopped' if done else 'was stopped already'}")


@app.command()
def reset(context: typer.Context, name: Name) -> None:
    """Let a transform begin anew and compute every group again; its documents stay until then."""
    with _opened(context) as (settings, control):
        for identifier in _identifiers(name, settings, control):
            control.reset(identifier)
            typer.echo(f"{identifier} begins anew")


@contextmanager
def _opened(context: typer.Context) -> Iterator[tuple[Settings, Control]]:
    """The settings and the control of transforms, with an engine that is closed afterwards."""
    from cli.context import loaded_settings, open_engine
    from scheduler.transforms.control import control_of

    loaded = loaded_settings(context)
    with open_engine(loaded) as engine:
        native = _native(engine, loaded.settings)
        yield loaded.settings, control_of(engine, loaded.settings, native=native)


def _native(engine: Engine, settings: Settings) -> bool:
    from provisioning.executors import choose_executors

    return choose_executors(settings.executor, engine.capabilities()).transforms == "native"


def _identifiers(name: str, settings: Settings, control: Control) -> list[str]:
    from scheduler.transforms.control import identifiers_of

    return identifiers_of(name, control, settings.names)
