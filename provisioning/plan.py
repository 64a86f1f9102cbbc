"""The plan: from what is and what should be to the steps between. Pure; nothing here asks a cluster.

Each step says why it is taken, and each step that does nothing says why not. Plain kinds are compared one by
one; indices, which are versioned together with the transforms that write them, are in ``versions``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from provisioning import requests
from provisioning.compare import ABSENT, Difference, differences, flat_settings, merged
from provisioning.desired import Desired, Wanted
from provisioning.executors import Executor
from provisioning.facts import Facts, Found, FoundKind
from provisioning.requests import Request
from provisioning.stamp import ObjectKind, read_stamp
from provisioning.steps import Options, Plan, Step, judge, named
from provisioning.versions import DYNAMIC_SETTINGS, index_updates, plan_expiry, plan_versions, version_of

# The order in which objects depend on one another: a data stream needs its templates, and its first document
# the pipeline; a transform needs source and destination; a watch reads what transforms write.
_ORDER: tuple[ObjectKind, ...] = (
    "lifecycle_policy",
    "component_template",
    "pipeline",
    "index_template",
    "data_stream",
    "store",
    "index",
    "transform",
    "watch",
    "query",
    "role",
)
PlainKind = Literal["lifecycle_policy", "component_template", "pipeline", "index_template", "query", "role"]
_PLAIN: tuple[PlainKind, ...] = (
    "lifecycle_policy",
    "component_template",
    "pipeline",
    "index_template",
    "query",
)
# The setting by which an index follows a lifecycle policy.
_POLICY = "index.lifecycle.name"

_NO_OPTIONS = Options()


def build_plan(facts: Facts, desired: Desired, options: Options = _NO_OPTIONS) -> Plan:
    """The steps that bring the cluster from ``facts`` to ``desired``, in the order to take them."""
    steps: list[Step] = []
    for kind in _PLAIN:
        steps += [_plain(kind, facts, desired, wanted, options) for wanted in desired.of_kind(kind)]
    steps += [_role(facts, desired, wanted, options) for wanted in desired.of_kind("role")]
    steps += [_data_stream(facts, desired, wanted) for wanted in desired.of_kind("data_stream")]
    steps += [_store(facts, desired, wanted, options) for wanted in desired.of_kind("store")]
    versions = [plan_versions(facts, desired, wanted, options) for wanted in desired.of_kind("index")]
    steps += [
        step for group in versions for step in group if step.kind == "index" and step.action != "remove"
    ]
    steps += [
        step for group in versions for step in group if step.kind == "transform" and step.action != "remove"
    ]
    steps += [
        plan_expiry(facts, desired, wanted, options)
        for wanted in desired.of_kind("transform")
        if wanted.only_expires
    ]
    if desired.executors.watches != "kibana":
        steps += [_watch(facts, desired, wanted, options) for wanted in desired.of_kind("watch")]
    # Removals come last and in reverse, so that nothing is without what it reads or writes.
    removals = [step for group in versions for step in group if step.action == "remove"]
    removals += _left_to_the_other_executor(facts, desired)
    removals += _no_longer_rendered(facts, desired, options, [*steps, *removals])
    steps += sorted(removals, key=lambda step: -_ORDER.index(step.kind))
    return Plan(tuple(steps))


def _plain(kind: PlainKind, facts: Facts, desired: Desired, wanted: Wanted, options: Options) -> Step:
    verdict = judge(desired, wanted, facts.of_kind(kind).get(wanted.name), options)
    sent = (requests.put_simple(desired, wanted),) if verdict.action in ("create", "update") else ()
    return Step(wanted.kind, wanted.name, verdict.action, verdict.why, sent, verdict.changes)


def _role(facts: Facts, desired: Desired, wanted: Wanted, options: Options) -> Step:
    if facts.roles_out_of_reach:
        return Step("role", wanted.name, "skipped", facts.roles_out_of_reach)
    return _plain("role", facts, desired, wanted, options)


def _data_stream(facts: Facts, desired: Desired, wanted: Wanted) -> Step:
    """A data stream is made before its first document.

    One whose template changed is changed in place where that can be done, else it goes on in a new index:
    rarely, because what was stored but not acknowledged before that is not known again after it.
    """
    found = facts.of_kind("data_stream").get(wanted.name)
    if found is None:
        return Step(
            "data_stream",
            wanted.name,
            "create",
            "is not there",
            (requests.create_data_stream(wanted.name),),
        )
    effective = _effective(desired, wanted)
    changes = tuple(differences("index", effective, found.body))
    settings = {change.path.removeprefix("settings."): change.wanted for change in changes}
    in_place = all(DYNAMIC_SETTINGS.fullmatch(name) for name in settings)
    policy = flat_settings(found.body.get("settings", {})).get(_POLICY)
    if policy is not None and _POLICY not in effective["settings"] and _is_our_policy(facts, desired, policy):
        settings[_POLICY] = None
        changes += (Difference(f"settings.{_POLICY}", ABSENT, policy),)
    lifecycle, lifecycle_changes = _lifecycle(wanted, found)
    sent = []
    if not in_place:
        sent.append(requests.roll_over(wanted.name))
    elif settings:
        sent.append(requests.update_settings(wanted.name, settings))
    changes += lifecycle_changes
    if not changes:
        return Step("data_stream", wanted.name, "unchanged", "its newest index is as its template says")
    why = f"its newest index is not as its template says: {named(changes)}"
    return Step("data_stream", wanted.name, "update", why, (*sent, *lifecycle), changes)


def _is_our_policy(facts: Facts, desired: Desired, name: str) -> bool:
    policy = facts.of_kind("lifecycle_policy").get(name)
    return policy is not None and is_ours(desired, "lifecycle_policy", policy.body)


def _lifecycle(wanted: Wanted, found: Found) -> tuple[list[Request], tuple[Difference, ...]]:
    """What brings a data stream's own lifecycle to its template's, which counts for new data streams only."""
    should = wanted.body.get("template", {}).get("lifecycle")
    there = found.state.get("lifecycle")
    kept, keeps = (should or {}).get("data_retention"), (there or {}).get("data_retention")
    if kept == keeps and bool(should) <= bool(there):
        return [], ()
    change = Difference("lifecycle.data_retention", kept or ABSENT, keeps or ABSENT)
    if should is None:
        return [requests.delete_lifecycle(wanted.name)], (change,)
    return [requests.put_lifecycle(wanted.name, should)], (change,)


def _effective(desired: Desired, wanted: Wanted) -> dict[str, dict[str, Any]]:
    """The settings and mappings that a template gives, its components' first, as the cluster merges them."""
    components = {one.name: one.body for one in desired.of_kind("component_template")}
    parts = [components[name] for name in wanted.body.get("composed_of", ()) if name in components]
    settings: dict[str, str] = {}
    properties: dict[str, Any] = {}
    mappings: dict[str, Any] = {}
    for part in [*parts, wanted.body]:
        template = part.get("template", {})
        settings |= flat_settings(template.get("settings", {}))
        mapping = template.get("mappings", {})
        properties = merged(properties, mapping.get("properties", {}))
        mappings |= {key: value for key, value in mapping.items() if key != "properties"}
    if properties:
        mappings["properties"] = properties
    return {"settings": settings, "mappings": mappings}


def _store(facts: Facts, desired: Desired, wanted: Wanted, options: Options) -> Step:
    found = facts.of_kind("index").get(wanted.name)
    verdict = judge(desired, wanted, found, options)
    if verdict.action == "create":
        sent = [requests.create_index(desired, wanted, wanted.name)]
    elif verdict.action == "update":
        updates = index_updates(desired, wanted, wanted.name, verdict.changes)
        if updates is None:
            why = f"{verdict.why}; an index cannot change that: httpmon deprovision removes it"
            return Step("store", wanted.name, "refused", why, changes=verdict.changes)
        sent = updates
    else:
        sent = []
    return Step("store", wanted.name, verdict.action, verdict.why, tuple(sent), verdict.changes)


def _watch(facts: Facts, desired: Desired, wanted: Wanted, options: Options) -> Step:
    executor = desired.executors.watches
    kind: FoundKind = "watch" if executor == "native" else "scheduled_watch"
    found = facts.of_kind(kind).get(wanted.name)
    verdict = judge(desired, wanted, found, options)
    active = found is None or bool(found.state.get("active", True))
    why = verdict.why if active else f"{verdict.why}; it was deactivated and stays so"
    sent = (
        (requests.put_watch(desired, executor, wanted, active=active),)
        if verdict.action in ("create", "update")
        else ()
    )
    return Step("watch", wanted.name, verdict.action, why, sent, verdict.changes)


def _left_to_the_other_executor(facts: Facts, desired: Desired) -> list[Step]:
    """What the other executor would still run: two at once would do everything twice."""
    steps = []
    executors = desired.executors
    if executors.transforms == "native":
        steps += _removals(facts, desired, "scheduled_transform", "now the engine runs it")
    else:
        steps += _removals(facts, desired, "transform", "now the scheduler runs it")
    runner = {"native": "the engine", "scheduler": "the scheduler", "kibana": "Kibana"}[executors.watches]
    if executors.watches != "scheduler":
        steps += _removals(facts, desired, "scheduled_watch", f"now {runner} runs it")
    if executors.watches != "native":
        steps += _removals(facts, desired, "watch", f"now {runner} runs it")
    return steps


def _removals(facts: Facts, desired: Desired, kind: FoundKind, why: str) -> list[Step]:
    return [
        removal(desired, kind, name, why)
        for name, found in facts.of_kind(kind).items()
        if is_ours(desired, rendered_kind(kind), found.body)
    ]


def _no_longer_rendered(
    facts: Facts, desired: Desired, options: Options, steps: Sequence[Step]
) -> list[Step]:
    known = {(step.kind, step.name) for step in steps} | {("index", step.name) for step in steps}
    left = []
    for kind, objects in facts.objects.items():
        made_from = rendered_kind(kind)
        for name, found in objects.items():
            if kind == "data_stream" or (made_from, name) in known:
                continue
            if not is_ours(desired, made_from, found.body) or _is_version(desired, made_from, name):
                continue
            if options.prune:
                left.append(removal(desired, kind, name, "is no longer rendered (--prune)"))
            else:
                why = "is ours and no longer rendered; --prune removes it"
                left.append(Step(made_from, name, "unchanged", why))
    return left


def _is_version(desired: Desired, kind: ObjectKind, name: str) -> bool:
    """Whether it is some version of what is rendered: ``versions`` alone says when such a one may go."""
    return any(version_of(wanted.name, name) is not None for wanted in desired.of_kind(kind))


def removal(desired: Desired, kind: FoundKind, name: str, why: str) -> Step:
    """The step that removes one object, an index with its documents."""
    made_from = rendered_kind(kind)
    if kind == "index":
        sent = [requests.delete_index(name)]
    elif made_from == "transform":
        executor = _executor_of(kind)
        sent = requests.remove_transform(executor, desired.transform_store, name)
    elif made_from == "watch":
        sent = requests.remove_watch(_executor_of(kind), desired.watch_store, name)
    else:
        sent = [requests.delete_simple(made_from, name)]
    return Step(made_from, name, "remove", why, tuple(sent))


def _executor_of(kind: FoundKind) -> Executor:
    return "scheduler" if kind in ("scheduled_transform", "scheduled_watch") else "native"


def rendered_kind(kind: FoundKind) -> ObjectKind:
    """The kind of template that an object in the cluster came from."""
    if kind == "scheduled_transform":
        return "transform"
    return "watch" if kind == "scheduled_watch" else kind


def is_ours(desired: Desired, kind: ObjectKind, body: Mapping[str, Any]) -> bool:
    """Whether this installation made an object."""
    stamp = read_stamp(kind, body)
    return stamp is not None and stamp.namespace == desired.namespace
