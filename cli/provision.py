"""``httpmon provision``: brings the cluster to what the templates say, and says what for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioning.steps import Plan, Step


def command(
    context: typer.Context,
    plan_only: Annotated[bool, typer.Option("--plan", help="Only print the plan.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only print the plan; exit 3 if it changes anything.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show each place that differs.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what is httpmon's and no longer rendered.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Take over objects that httpmon did not make.")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Let failed transforms try again.")] = False,
    wait: Annotated[int, typer.Option(min=0, help="Seconds to wait for replaced summaries to fill.")] = 60,
    executor: Annotated[
        str | None,
        typer.Option(
            help="Who runs transforms and watches: auto, native, scheduler or kibana.", show_default="auto"
        ),
    ] = None,
    allow_old: Annotated[
        bool, typer.Option("--allow-old", help="Go on with an engine that is older than supported.")
    ] = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="TEMPLATE.PARAMETER=VALUE; may be repeated.", show_default=False),
    ] = None,
) -> None:
    """Install or update everything httpmon needs in the cluster; a second run changes nothing."""
    from functools import partial

    from cli.context import loaded_settings, open_engine, open_kibana
    from cli.logs import tell
    from engine.errors import EXIT_PLAN_HAS_CHANGES
    from provisioning.installation import plan_installation, provision
    from provisioning.minimum import refuse_old
    from provisioning.steps import Options
    from provisioning.templates import overriding_templates
    from scheduler.transforms.control import check_definitions

    loaded = loaded_settings(context, assignments=assignments, executor=executor)
    options = Options(force=force, prune=prune, repair=repair)
    for template in overriding_templates(loaded.settings.packs):
        tell(f"{template.path} takes the place of {template.overrides}")
    with open_engine(loaded) as engine, open_kibana(loaded) as kibana:
        if not allow_old:
            refuse_old(engine.capabilities())
        plan = plan_installation(engine, loaded.settings, options, kibana)
        for step in plan.changes:
            check_definitions(engine, loaded.settings, step)
        print_plan(plan.steps, diff=diff)
        if check and (plan.changes or plan.refused):
            raise typer.Exit(EXIT_PLAN_HAS_CHANGES)
        if check or plan_only:
            return
        left = provision(
            engine,
            loaded.settings,
            options,
            plan=plan,
            on_step=print_step,
            before_step=partial(check_definitions, engine, loaded.settings, ask=True),
            wait_seconds=wait,
            kibana=kibana,
        )
    typer.echo(_summary(plan, left))
    for title, link in plan.dashboards:
        typer.echo(f"{title}: {link}")


def print_plan(steps: Sequence[Step], *, diff: bool) -> None:
    """Print a plan as a table; with ``diff`` each place that differs behind it.

    Who stops reading it (``| head``) has seen enough of the plan, and does not stop what it is for.
    """
    from cli.terminal import output_width
    from reading.tables import table_text

    rows = [(step.kind, step.name, step.action, step.why) for step in steps]
    headers = ("kind", "name", "action", "why")
    lines = [table_text(rows, headers, width=output_width(), flexible=(3, 1))]
    if diff:
        lines += [f"{step.kind} {step.name}: {change}" for step in steps for change in step.changes]
    with suppress(BrokenPipeError):
        typer.echo("\n".join(lines))


def print_step(step: Step) -> None:
    """Say that a step is done."""
    typer.echo(f"{step.action} {step.kind} {step.name}: done", err=True)


def _summary(plan: Plan, left: Plan) -> str:
    if left.waiting:
        names = ", ".join(f"{step.kind} {step.name}: {step.why}" for step in left.waiting)
        return f"not finished yet: {names}; run httpmon provision again to finish"
    if not plan.changes:
        return "nothing to do"
    return f"{len(plan.changes)} objects changed"
