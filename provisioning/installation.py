"""One installation in a cluster: plan it and apply the plan, from Python as from the command line."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from engine.client import Engine
from engine.kibana import Kibana
from provisioning.apply import apply_plan
from provisioning.desired import desired_state
from provisioning.facts import gather_facts
from provisioning.kibana import dashboard_links, installation_objects
from provisioning.kibana_facts import gather_rules, gather_saved_objects
from provisioning.kibana_plan import plan_saved_objects, plan_saved_objects_removal
from provisioning.kibana_rules import connector_id, owner_tag, plan_rules, rule_removal, wanted_rules
from provisioning.plan import build_plan
from provisioning.queries import stored_queries
from provisioning.removal import build_removal_plan
from provisioning.rendering import render_all, render_rules
from provisioning.saved_object import tag_id
from provisioning.settings import Settings
from provisioning.steps import Options, Plan, Step

# How often a replacement that fills is looked at.
_LOOK_EVERY_SECONDS = 1.0


def plan_installation(
    engine: Engine, settings: Settings, options: Options | None = None, kibana: Kibana | None = None
) -> Plan:
    """What would have to be done, in Kibana too where it is given; only reads.

    Raises what rendering, ``Engine.request`` and ``Kibana.request`` raise.
    """
    options = options or Options()
    capabilities = engine.capabilities()
    with ThreadPoolExecutor(1) as pool:
        facts = pool.submit(gather_facts, engine, settings.names)  # while the templates are rendered
        rendered = [*render_all(settings, capabilities), *stored_queries(settings)]
        desired = desired_state(rendered, settings, capabilities)
        plan = build_plan(facts.result(), desired, options)
    if kibana is None:
        return plan
    in_kibana = plan_kibana(kibana, settings, options)
    return Plan((*plan.steps, *in_kibana.steps), in_kibana.dashboards)


def plan_kibana(kibana: Kibana, settings: Settings, options: Options) -> Plan:
    """What would have to be done in Kibana; only reads. Raises as rendering and ``Kibana.request`` do."""
    names, space = settings.names, settings.kibana.space
    wanted = installation_objects(settings)
    found = gather_saved_objects(kibana, tag_id(names, space), wanted)
    runs = settings.executor == "kibana"
    rendered = render_rules(settings, connector_id(names, space)) if runs else []
    rules, owner = wanted_rules(names, space, rendered), owner_tag(names, space)
    rules_found = gather_rules(kibana, owner, rules, needed=runs)
    of_rules = plan_rules(rules_found, rules, owner, options)
    # A rule comes after the connector that it writes by, and goes before it.
    gone = [step for step in of_rules if step.action == "remove"]
    steps = (
        *gone,
        *plan_saved_objects(found, wanted, names, options),
        *(step for step in of_rules if step.action != "remove"),
    )
    return Plan(steps, tuple(dashboard_links(settings, wanted)))


def plan_removal(engine: Engine, settings: Settings, *, data: bool, kibana: Kibana | None = None) -> Plan:
    """What would have to be done to take the installation away; only reads."""
    capabilities = engine.capabilities()
    desired = desired_state(render_all(settings, capabilities), settings, capabilities)
    plan = build_removal_plan(gather_facts(engine, settings.names), desired, settings.names, data=data)
    if kibana is None:
        return plan
    tag = tag_id(settings.names, settings.kibana.space)
    found = gather_saved_objects(kibana, tag, ())
    owner = owner_tag(settings.names, settings.kibana.space)
    rules = gather_rules(kibana, owner, (), needed=settings.executor == "kibana")
    return Plan(
        (
            *(rule_removal(identity, rule, "is this installation's") for identity, rule in rules.items()),
            *plan_saved_objects_removal(found, tag, settings.names),
            *plan.steps,
        )
    )


def provision(
    engine: Engine,
    settings: Settings,
    options: Options | None = None,
    *,
    plan: Plan | None = None,
    on_step: Callable[[Step], None] = lambda _: None,
    before_step: Callable[[Step], None] = lambda _: None,
    wait_seconds: float = 0.0,
    kibana: Kibana | None = None,
) -> Plan:
    """Bring the cluster to what is rendered, and return the plan that is left: all ``unchanged``, or waiting.

    Args:
        engine: the cluster.
        settings: what to install.
        options: how far to go.
        plan: the plan to apply, where it was made and shown before.
        on_step: told of each step when it is done.
        before_step: told of each step before it is taken; an HttpmonError that it raises stops there.
        kibana: Kibana, where it is to have dashboards.
        wait_seconds: how long to wait for new versions of summaries to fill, before their old ones go. What
            is not done by then, a later run finishes.

    Raises:
        PlanRefused: nothing was done.
        ApplyStopped: a step failed.
    """
    deadline = time.monotonic() + wait_seconds
    if plan is None:
        plan = plan_installation(engine, settings, options, kibana)
    while True:
        for step in apply_plan(engine, plan, kibana, before_step):
            on_step(step)
        if not plan.waiting:
            return plan
        if time.monotonic() > deadline:
            return plan
        time.sleep(_LOOK_EVERY_SECONDS)
        plan = plan_installation(engine, settings, options, kibana)
