"""``httpmon scheduler``: executes transforms and watches where the engine does not."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Execute all that is due, then end.")] = False,
) -> None:
    """Execute transforms and watches on an engine that does not run them itself."""
    import gc
    import signal

    from cli.context import loaded_settings, open_engine
    from cli.logs import tell
    from engine.errors import EXIT_INTERRUPTED
    from provisioning.executors import choose_executors
    from scheduler.leadership import this_process
    from scheduler.service import Scheduler
    from scheduler.watches.kinds import Outside

    loaded = loaded_settings(context)
    with open_engine(loaded) as engine:
        executors = choose_executors(loaded.settings.executor, engine.capabilities())
        if not executors.scheduler_needed:
            tell(f"nothing to do: {executors.why_transforms}; {executors.why_watches}")
            return
        scheduler = Scheduler(
            engine,
            loaded.settings.names,
            transforms=executors.transforms == "scheduler",
            watches=executors.watches == "scheduler",
            member=this_process(),
            outside=Outside.of(loaded.settings),
        )
        received: list[int] = []

        def stop(number: int, _: object) -> None:
            received.append(number)
            scheduler.stop()

        # What is loaded stays to the end: full collections, which large answers set off, need not look there.
        gc.freeze()
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        if once:
            scheduler.run_once()
        else:
            tell(f"transforms: {executors.why_transforms}; watches: {executors.why_watches}")
            scheduler.run()
    if signal.SIGINT in received:
        raise typer.Exit(EXIT_INTERRUPTED)
