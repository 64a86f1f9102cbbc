"""``httpmon generate``: made-up traffic for demonstrations, tests and benchmarks."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[str, typer.Argument(help="Log file to append to; - writes to standard output.")] = "-",
    rate: Annotated[float, typer.Option(min=0, help="Lines a second.")] = 20.0,
    burst: Annotated[
        list[str] | None,
        typer.Option(
            help="More for a while: 20s+60s*5 is after 20 s, for 60 s, 5 times the rate; "
            "20s+10s*5/2m repeats it every 2 minutes. May be repeated.",
            show_default=False,
        ),
    ] = None,
    scenario: Annotated[
        Path | None,
        typer.Option(help="TOML file of phases instead of --rate and --duration.", show_default=False),
    ] = None,
    duration: Annotated[
        str | None, typer.Option(help="End after this time, as 90s or 5m.", show_default=False)
    ] = None,
    lines: Annotated[
        int | None, typer.Option(min=0, help="End after so many lines.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same lines, but for their times.")] = 1,
    start: Annotated[
        datetime | None, typer.Option(help="UTC time of the first line instead of now.", show_default=False)
    ] = None,
    wait: Annotated[bool, typer.Option(help="Write each line when it is due; else all at once.")] = True,
) -> None:
    """Write realistic traffic in the Combined Log Format."""
    import sys
    import time
    import tomllib
    from datetime import UTC

    from cli.shipping_run import signals_stop
    from engine.errors import UsageError
    from provisioning.settings import duration_seconds
    from shipping.generate import generate
    from shipping.scenario import Phase, parse_burst, read_scenario, ticks
    from shipping.traffic import TrafficGenerator

    try:
        seconds = duration_seconds(duration) if duration else None
    except ValueError as error:
        raise UsageError(f"--duration {duration}: {error}") from None
    phases: tuple[Phase, ...] = (Phase(seconds, rate),)
    if scenario is not None:
        try:
            content = tomllib.loads(scenario.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{scenario}: cannot be read: {error}") from None
        phases = read_scenario(content, duration_seconds, where=str(scenario))
    if not wait and lines is None and any(phase.seconds is None for phase in phases):
        raise UsageError("--no-wait: say where to end, with --lines or --duration")
    schedule = ticks(phases, tuple(parse_burst(text, duration_seconds) for text in burst or ()))
    start_epoch = start.replace(tzinfo=UTC).timestamp() if start else time.time()
    try:
        output = sys.stdout.buffer if file == "-" else Path(file).open("ab", buffering=0)  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None

    def write(content: bytes) -> None:
        output.write(content)
        output.flush()

    with signals_stop() as stop:
        written = generate(
            schedule,
            TrafficGenerator(seed),
            write,
            start_epoch=start_epoch,
            wait=wait,
            stop=stop,
            max_lines=lines,
        )
    if file != "-":
        output.close()
        typer.echo(f"{written:,} lines written to {file}")
