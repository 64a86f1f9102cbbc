"""``httpmon deprovision``: takes away what ``provision`` installed."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    context: typer.Context,
    data: Annotated[bool, typer.Option("--data", help="Remove logs, summaries and alerts, too.")] = False,
    plan_only: Annotated[bool, typer.Option("--plan", help="Only print the plan.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove what is httpmon's from the cluster; data stays unless --data is given."""
    import sys

    from cli.context import loaded_settings, open_engine, open_kibana
    from cli.provision import print_plan, print_step
    from engine.errors import UsageError
    from provisioning.apply import apply_plan
    from provisioning.installation import plan_removal

    loaded = loaded_settings(context)
    with open_engine(loaded) as engine, open_kibana(loaded) as kibana:
        plan = plan_removal(engine, loaded.settings, data=data, kibana=kibana)
        print_plan(plan.steps, diff=False)
        if plan_only:
            return
        if not plan.changes:
            typer.echo("nothing to remove")
            return
        if data and not yes:
            if not sys.stdin.isatty():
                raise UsageError(
                    "deprovision --data: removes logs for good; say --yes where nobody can be asked"
                )
            typer.confirm(f"Remove all of this from {engine.url}, data included?", abort=True)
        for step in apply_plan(engine, plan, kibana):
            print_step(step)
    typer.echo(f"{len(plan.changes)} objects removed")
