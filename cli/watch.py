"""``httpmon watch``: the watches, whoever runs them."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioning.names import Names
    from scheduler.watches.control import Control

app = typer.Typer(help="List, try, switch and acknowledge watches.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Template or id: high_traffic, httpmon-high-traffic.")]


@app.command("list")
def list_command(
    context: typer.Context,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",  # noqa: A002
) -> None:
    """Print each watch: whether it is active, when it ran last and what came of it."""
    from datetime import UTC

    from cli.status_list import print_statuses
    from cli.terminal import require_format
    from reading.alerts import parse_time
    from reading.plain import duration_text

    require_format(format)
    with _opened(context) as (names, control):
        statuses = control.statuses()
    now = datetime.now(UTC)

    def ago(moment: str | None) -> str:
        return (
            f"{duration_text(max(0.0, (now - parse_time(moment)).total_seconds()))} ago"
            if moment
            else "never"
        )

    print_statuses(
        statuses,
        format,
        none=f"no watch {names.prefix}-*",
        row=lambda one: (
            one.identifier,
            "yes" if one.active else "no",
            ago(one.last),
            one.state or "-",
            ", ".join(one.acknowledged) or "-",
            "-" if one.skipped is None else one.skipped,
        ),
        headers=("watch", "active", "last run", "state", "acknowledged", "skipped"),
        optional=(4,),
    )


@app.command()
def show(context: typer.Context, name: Name) -> None:
    """Print a watch as it is installed, as JSON; its passwords are not shown."""
    import json

    from scheduler.watches.history import redacted

    with _opened(context) as (names, control):
        body = control.body(_identifier(name, names, control))
    typer.echo(json.dumps(redacted(body), indent=2, ensure_ascii=False))


@app.command()
def activate(context: typer.Context, name: Name) -> None:
    """Let a watch run at its times."""
    _switch(context, name, active=True)


@app.command()
def deactivate(context: typer.Context, name: Name) -> None:
    """Let a watch rest; provisioning leaves it so."""
    _switch(context, name, active=False)


@app.command()
def ack(
    context: typer.Context,
    name: Name,
    actions: Annotated[list[str] | None, typer.Argument(help="Actions; all if left out.")] = None,
) -> None:
    """Acknowledge actions: they rest until the watch's condition has been false."""
    with _opened(context) as (names, control):
        identifier = _identifier(name, names, control)
        control.acknowledge(identifier, actions or [])
    typer.echo(f"{identifier} is acknowledged")


@app.command()
def execute(
    context: typer.Context,
    name: Name,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Do nothing; show what would be done.")
    ] = False,
    input: Annotated[  # noqa: A002
        Path | None,
        typer.Option(help="JSON file with a payload in place of the input's.", show_default=False),
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(help="UTC time to run for instead of now.", show_default=False)
    ] = None,
    ignore_condition: Annotated[
        bool, typer.Option("--ignore-condition", help="Take the condition as met.")
    ] = False,
) -> None:
    """Run a watch once, now, and print the record of the run as JSON."""
    import json
    from datetime import UTC

    from engine.errors import UsageError
    from scheduler.watches.control import Trial

    payload = None
    if input is not None:
        try:
            payload = json.loads(input.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"--input {input}: cannot be read as JSON: {error}") from None
        if not isinstance(payload, dict):
            raise UsageError(f"--input {input}: a payload is a JSON object")
    moment = at.replace(tzinfo=UTC) if at is not None else None
    trial = Trial(simulate=simulate, payload=payload, at=moment, ignore_condition=ignore_condition)
    with _opened(context) as (names, control):
        record = control.execute(_identifier(name, names, control), trial)
    typer.echo(json.dumps(record, indent=2, ensure_ascii=False))


@app.command()
def backtest(
    context: typer.Context,
    name: Name,
    start: Annotated[
        str,
        typer.Option(
            "--from", metavar="TIME", help="Start: a time in UTC, or how long before the end (24h)."
        ),
    ],
    end: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TIME",
            help="End: a time in UTC, or how long ago; now if not given.",
            show_default=False,
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PARAMETER=VALUE", help="Another value of a parameter.", show_default=False
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",  # noqa: A002
) -> None:
    """Run a watch over the past, at each of its times, without any effect; print when it would have fired.

    Exit code 1 if every run failed, so that nothing is known of the past.
    """
    from datetime import UTC

    from cli.context import loaded_settings, open_engine
    from cli.terminal import require_format
    from engine.errors import EXIT_FAILED
    from reading.buckets import span_of_time
    from scheduler.watches.backtest import backtest as run_backtest
    from scheduler.watches.backtest_report import as_json, as_table, watch_to_try

    require_format(format)
    stem = name.removeprefix("httpmon-").replace("-", "_")
    given = [one if "." in one.partition("=")[0] else f"{stem}.{one}" for one in assignments or ()]
    loaded = loaded_settings(context, assignments=given)
    with open_engine(loaded) as engine:
        first, last = span_of_time(start, end, start, UTC, engine.now())
        watch = watch_to_try(engine, loaded.settings, stem, name)
        done = run_backtest(engine, loaded.settings.names, watch, first, last)
    typer.echo(as_json(done, first, last) if format == "json" else as_table(done, first, last))
    if done.all_failed:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def validate(file: Annotated[Path, typer.Argument(help="A watch as JSON.")]) -> None:
    """Tell what is wrong in a watch, and where, without a cluster."""
    from engine.errors import UsageError
    from scheduler.watches.control import validated

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None
    validated(text, str(file))
    typer.echo(f"{file}: is a watch")


def _switch(context: typer.Context, name: str, *, active: bool) -> None:
    with _opened(context) as (names, control):
        identifier = _identifier(name, names, control)
        control.activate(identifier, active)
    typer.echo(f"{identifier} is {'active' if active else 'deactivated'}")


@contextmanager
def _opened(context: typer.Context) -> Iterator[tuple[Names, Control]]:
    """The names and the control of watches, with an engine that is closed afterwards."""
    from cli.context import loaded_settings, open_engine
    from engine.errors import UsageError
    from provisioning.executors import choose_executors
    from scheduler.watches.control import control_of
    from scheduler.watches.kinds import Outside

    loaded = loaded_settings(context)
    with open_engine(loaded) as engine:
        executors = choose_executors(loaded.settings.executor, engine.capabilities())
        if executors.watches == "kibana":
            raise UsageError("Kibana runs the rules (executor = kibana): see its Stack Management, Rules")
        names = loaded.settings.names
        yield (
            names,
            control_of(engine, names, Outside.of(loaded.settings), native=executors.watches == "native"),
        )


def _identifier(name: str, names: Names, control: Control) -> str:
    from scheduler.watches.control import identifier_of

    return identifier_of(name, control, names)
