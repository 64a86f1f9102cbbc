"""Asks the engine how an installation stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.client import Engine
from engine.errors import EngineError, EngineUnreachable, NotFound, NotPermitted, NotProvisioned
from engine.kibana import Kibana
from provisioning.executors import Executors, choose_executors
from provisioning.installation import plan_installation, plan_kibana
from provisioning.names import Names
from provisioning.settings import Settings
from provisioning.steps import Options, Step
from reading.alerts import parse_time
from reading.buckets import last_complete_end
from reading.console import read_tick
from reading.installation import (
    Installation,
    KibanaState,
    Schedulers,
    SchedulerState,
    Tier,
    TransformState,
    WatchState,
)
from reading.shippers import ShipperState, shape_shippers, shippers_search
from reading.tick import Question, Tick
from scheduler.leadership import read_lease, read_standbys
from scheduler.transforms.audit import AUDIT_ID
from scheduler.transforms.control import control_of
from scheduler.watches.definition import parse_watch
from scheduler.watches.fields import WatchInvalid
from scheduler.watches.store import WatchStore
from scheduler.watches.trouble import trouble_of_status

# A kind of data by what its indices' names begin with, behind the prefix; the longer first.
_BLOCK = "index.blocks.read_only_allow_delete"
_TIERS = ("sections-hourly", "traffic-hourly", "sections", "traffic", "alerts", "operations", "watch-history")


def read_installation(engine: Engine, settings: Settings, kibana: Kibana | None = None) -> Installation:
    """Ask everything that a status needs; a dozen requests, and a few of Kibana where it is given.

    Raises what rendering and ``Engine.request`` raise.
    """
    now = datetime.now(UTC)
    names = settings.names
    capabilities = engine.capabilities()
    executors = choose_executors(settings.executor, capabilities)
    plan = plan_installation(engine, settings)
    control = control_of(engine, settings, native=executors.transforms == "native")
    watches = [step.name for step in plan.steps if step.kind == "watch" and step.action != "remove"]
    health, tiers = _stored(engine, names)
    try:
        tick: Tick | None = read_tick(engine, names, Question(end=last_complete_end(now, 10, 8.0)))
    except (NotProvisioned, EngineUnreachable):
        # Unreachable: a shard that is lost makes the engine answer a search with 503; the health tells.
        tick = None
    audited_at, audit = _last_audit(engine, names)
    objects, missing, changed = _objects(plan.steps)
    return Installation(
        read_at=now,
        engine=f"{capabilities.flavour} {capabilities.version_text}",
        licence=capabilities.licence,
        health=health,
        transforms_by=executors.transforms,
        watches_by=executors.watches,
        objects=objects,
        missing=missing,
        changed=changed,
        transforms=tuple(
            TransformState(one.identifier, one.state, one.lag_seconds, one.reason, one.progress)
            for one in control.statuses()
        ),
        watches=tuple(
            state
            for state in (_watch(engine, names, name, executors.watches) for name in watches)
            if state is not None
        ),
        schedulers=_schedulers(engine, names, executors),
        shippers=_shippers(engine, names),
        tiers=tiers,
        newest_summary=tick.newest_summary if tick else None,
        newest_hit=tick.newest_hit if tick else None,
        unparsed=tick.unparsed if tick else 0,
        headers=tick.headers if tick else 0,
        open_alerts=tuple(
            alert.rule_name
            for alert in (tick.open_alerts if tick else ())
            if tick is not None and tick.operations.silenced(alert.rule_id, now) is None
        ),
        audited_at=audited_at,
        audit=audit,
        kibana=None if kibana is None else read_kibana(kibana, settings),
    )


def read_kibana(kibana: Kibana, settings: Settings) -> KibanaState:
    """Whether Kibana answers, and whether its objects are as rendered. Raises what rendering raises."""
    try:
        plan = plan_kibana(kibana, settings, Options())
    except EngineUnreachable as error:
        return KibanaState(kibana.url, str(error), obstacle="unreachable")
    except NotPermitted as error:
        return KibanaState(kibana.url, str(error), obstacle="not_permitted")
    except EngineError as error:
        return KibanaState(kibana.url, str(error), obstacle="misdirected")
    return KibanaState(kibana.url, "", *_objects(plan.steps))


def _objects(steps: Sequence[Step]) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """How many objects there should be, and the names of those that are missing and not as rendered."""
    kept = [step for step in steps if step.action not in ("remove", "skipped")]
    changed = [step for step in steps if step.action not in ("create", "unchanged", "skipped")]
    missing = [step for step in kept if step.action == "create"]
    return len(kept), tuple(step.name for step in missing), tuple(step.name for step in changed)


def _last_audit(engine: Engine, names: Names) -> tuple[datetime | None, str]:
    """When `httpmon reconcile` last ran, and what it found."""
    try:
        document = engine.request("GET", f"/{names.operations}/_doc/{AUDIT_ID}")["_source"]
    except NotFound:
        return None, ""
    return parse_time(document["@timestamp"]), str(document["message"])


def _shippers(engine: Engine, names: Names) -> tuple[ShipperState, ...]:
    try:
        return shape_shippers(engine.request("POST", f"/{names.operations}/_search", body=shippers_search()))
    except NotFound:
        return ()


def _stored(engine: Engine, names: Names) -> tuple[str, tuple[Tier, ...]]:
    """The health of the installation's indices, and what each kind of data takes."""
    targets = f"{names.raw},{names.dead},{names.prefix}-*"
    params: dict[str, str | bool] = {"expand_wildcards": "open,hidden", "ignore_unavailable": True}
    stats = engine.request("GET", f"/{targets}/_stats/docs,store", params=params | {"level": "indices"})
    flat = params | {"flat_settings": True}
    blocks = engine.request("GET", f"/{targets}/_settings/{_BLOCK}", params=flat)
    tiers: dict[str, Tier] = {}
    for index, one in stats["indices"].items():
        tier = _tier(index, names)
        if tier is None:
            continue
        before = tiers.get(tier, Tier(tier, 0, 0))
        flags: Mapping[str, Any] = blocks.get(index, {}).get("settings", {})
        tiers[tier] = Tier(
            tier,
            before.documents + one["primaries"]["docs"]["count"],
            before.bytes + one["total"]["store"]["size_in_bytes"],
            before.read_only or flags.get(_BLOCK) == "true",
        )
    if not tiers:
        return "", ()
    health = engine.request(
        "GET", f"/_cluster/health/{names.prefix}-*", params={"timeout": "1s", "level": "cluster"}
    )
    return str(health["status"]), tuple(tiers[name] for name in ("raw", "dead", *_TIERS) if name in tiers)


def _tier(index: str, names: Names) -> str | None:
    if names.raw in index:
        return "raw"
    if names.dead in index:
        return "dead"
    return next((tier for tier in _TIERS if index.startswith(f"{names.prefix}-{tier}")), None)


def _watch(engine: Engine, names: Names, name: str, executor: str) -> WatchState | None:
    """What is remembered of a watch; None if it is not installed."""
    skipped: int | None = None
    last: datetime | None = None
    try:
        if executor == "native":
            answer = engine.request("GET", f"/_watcher/watch/{name}")
            status: Mapping[str, Any] = answer["status"]
            active = bool(status.get("state", {}).get("active", True))
            body = answer["watch"]
            trouble = trouble_of_status(status)
        else:
            definition = engine.request("GET", f"/{names.watch_store}/_doc/{name}")
            active = bool(definition["_source"].get("active", True))
            body = definition["_source"]["body"]
            progress = WatchStore(engine, names).progress(name)
            # A run that failed before its condition does not count as a check, as in Watcher; but it ran.
            last = progress.last if progress.status else None
            status, trouble, skipped = progress.status or {}, progress.trouble, progress.skipped
    except NotFound:
        return None
    checked = status.get("last_checked")
    ran = [
        moment for moment in (last, None if checked is None else parse_time(checked)) if moment is not None
    ]
    return WatchState(
        name,
        active,
        max(ran, default=None),
        str(status.get("execution_state", "")),
        trouble,
        skipped,
        _next_run(name, body, last),
    )


def _next_run(name: str, body: Mapping[str, Any], last: datetime | None) -> datetime | None:
    """The scheduled time behind the last run; None if there is none or it cannot be told."""
    if last is None:
        return None
    try:
        return parse_watch(name, dict(body)).schedule.next_after(last)
    except WatchInvalid:
        return None


def _schedulers(engine: Engine, names: Names, executors: Executors) -> Schedulers | None:
    """Who holds the lease and who stands by; None where there is nothing for them to do."""
    if not executors.scheduler_needed:
        return None
    store = names.watch_store if executors.watches == "scheduler" else names.transform_store
    try:
        lease = read_lease(engine, store)
    except NotFound:
        return Schedulers()
    if lease is None or lease.holder is None:
        return Schedulers()
    now = engine.now()
    silent = (now - lease.renewed_at).total_seconds()
    return Schedulers(
        leader=SchedulerState(lease.holder.host, lease.holder.pid, max(0.0, silent)),
        term=lease.term,
        since=lease.since,
        standbys=tuple(
            SchedulerState(one.member.host, one.member.pid, max(0.0, (now - one.seen_at).total_seconds()))
            for one in read_standbys(engine, store, now)
        ),
    )
