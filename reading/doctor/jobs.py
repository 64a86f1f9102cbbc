"""What is wrong with what works: objects, transforms, watches, schedulers, shippers, and rivals. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from reading.doctor.facts import Findable
from reading.doctor.finding import Finding
from reading.doctor.remedies import Remedies
from reading.installation import (
    SHIPPER_BEHIND_SECONDS,
    UNFIT_STATES,
    Installation,
    lag_limit,
    shortened,
    silent_shippers,
    watch_is_late,
)
from reading.printable import some_of
from reading.shippers import ShipperState

# From so many lines on, and such a part of them already there, somebody else must have sent them.
_AGAIN_LINES = 1000
_AGAIN_SHARE = 0.5


def job_findings(findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    """Findings about what is installed and runs."""
    yield from _rivals(findable, remedies)
    installation = findable.installation
    if installation is None:
        return
    if installation.missing and len(installation.missing) >= installation.objects:
        yield Finding(
            "not-installed",
            "broken",
            "nothing is installed",
            "httpmon provision never ran for this cluster and namespace",
            (remedies.httpmon("provision"),),
        )
        return
    yield from _objects(installation, remedies)
    yield from _scheduler(installation, remedies)
    yield from _transforms(installation, remedies)
    yield from _watches(installation, remedies)
    yield from _shippers(installation, remedies)
    if installation.open_alerts:
        yield Finding(
            "alert",
            "degraded",
            f"open alert: {', '.join(installation.open_alerts)}",
            "the rule's condition holds",
            (remedies.httpmon("alerts", "open"),),
        )


def _objects(installation: Installation, remedies: Remedies) -> Iterator[Finding]:
    if installation.missing:
        yield Finding(
            "missing",
            "broken",
            f"missing: {some_of(installation.missing)}",
            "somebody deleted it, or this version of httpmon has more than the one that provisioned",
            (remedies.httpmon("provision"),),
        )
    if installation.changed:
        yield Finding(
            "changed",
            "degraded",
            f"not as rendered: {some_of(installation.changed)}",
            "it was changed in the cluster, or the settings and templates here were",
            (remedies.httpmon("provision", "--check", "--diff"), remedies.httpmon("provision")),
        )


def _scheduler(installation: Installation, remedies: Remedies) -> Iterator[Finding]:
    schedulers = installation.schedulers
    if schedulers is None or schedulers.executes:
        return
    last = schedulers.leader
    heard = (
        f"; process {last.pid} on {last.host} was heard of {last.silent_seconds:.0f} s ago" if last else ""
    )
    yield Finding(
        "scheduler",
        "broken",
        f"no scheduler executes{heard}",
        "this engine does not run all transforms and watches itself, and no httpmon scheduler runs",
        (remedies.httpmon("scheduler"),),
    )


def _transforms(installation: Installation, remedies: Remedies) -> Iterator[Finding]:
    idle = installation.schedulers is not None and not installation.schedulers.executes
    by_scheduler = installation.transforms_by == "scheduler"
    for one in installation.transforms:
        start = remedies.httpmon("transform", "start", one.identifier)
        if one.state in UNFIT_STATES:
            yield Finding(
                "transform-failed",
                "broken",
                f"transform {one.identifier} failed",
                one.told or "the engine does not say why",
                (remedies.httpmon("transform", "list"), remedies.httpmon("provision", "--repair")),
            )
        elif one.state == "stopped":
            yield Finding(
                "transform-stopped",
                "degraded",
                f"transform {one.identifier} is stopped",
                "somebody stopped it; its summaries stand still, and it catches up when it is started",
                (start,),
            )
        elif by_scheduler and idle:
            continue  # that nobody executes is a finding of its own
        elif one.lag_seconds is None or one.lag_seconds > lag_limit(one.identifier):
            behind = "never ran" if one.lag_seconds is None else f"is {one.lag_seconds:.0f} s behind"
            if one.lag_seconds is None and one.progress is not None:
                behind = f"reads what there is, {one.progress:.0f} % done"
            show = (
                remedies.httpmon("scheduler", "--help")
                if by_scheduler
                else remedies.request("GET", f"/_transform/{one.identifier}/_stats")
            )
            yield Finding(
                "transform-behind",
                "degraded",
                f"transform {one.identifier} {behind}",
                one.told or "it still catches up, or its executor is overloaded or cannot use its indices",
                (remedies.httpmon("transform", "list"), show),
            )


def _watches(installation: Installation, remedies: Remedies) -> Iterator[Finding]:
    idle = installation.schedulers is not None and not installation.schedulers.executes
    for one in installation.watches:
        show = remedies.httpmon("watch", "show", one.identifier)
        if not one.active:
            yield Finding(
                "watch-inactive",
                "degraded",
                f"watch {one.identifier} is not active",
                "somebody deactivated it; its rule tells nobody anything",
                (remedies.httpmon("watch", "activate", one.identifier),),
            )
        elif one.state in UNFIT_STATES or one.trouble:
            yield Finding(
                "watch-failing",
                "broken" if one.state in UNFIT_STATES or one.last_checked is None else "degraded",
                f"watch {one.identifier} fails",
                shortened(one.trouble) or "its last run failed; the watch history says how",
                (show, remedies.httpmon("watch", "execute", one.identifier)),
            )
        elif installation.watches_by == "scheduler" and idle:
            continue
        elif one.last_checked is None or watch_is_late(one, installation.read_at):
            late = "never ran" if one.last_checked is None else "is late"
            yield Finding(
                "watch-late",
                "degraded",
                f"watch {one.identifier} {late}",
                "its executor does not run, is overloaded, or waits for a transform that is behind",
                (show, remedies.httpmon("transform", "list")),
            )


def _shippers(installation: Installation, remedies: Remedies) -> Iterator[Finding]:
    silent = silent_shippers(installation.shippers, installation.read_at)
    for one in installation.shippers:
        where = f"the shipper on {one.host} (process {one.pid})"
        again = remedies.httpmon("ship", "--registry", one.registry, *one.files)
        if one in silent:
            seconds = (installation.read_at - one.reported_at).total_seconds()
            yield Finding(
                "shipper-silent",
                "degraded",
                f"{where} was heard of {seconds:.0f} s ago",
                "it was killed, or its host is down, cut off or of another time; it goes on where it stopped",
                (f"ssh {one.host} {again}",),
            )
        elif one.state == "running" and one.behind_seconds > SHIPPER_BEHIND_SECONDS:
            yield Finding(
                "shipper-behind",
                "degraded",
                f"{where} is {one.behind_bytes:,} bytes and {one.behind_seconds:.0f} s behind",
                "the engine takes lines slower than they are written, or it has an old log to catch up with",
                (
                    remedies.request("GET", "/_cat/thread_pool/write?v&h=node_name,active,queue,rejected"),
                    "export HTTPMON_SHIP_CONNECTIONS=8",
                ),
            )
        if one.state == "running" and one.dead:
            yield Finding(
                "shipper-refused",
                "note",
                f"{where} had {one.dead:,} lines refused for good since its start",
                "they are kept with the engine's reasons",
                (remedies.request("GET", "/logs-httpmon.dead-*/_search?size=3&sort=@timestamp:desc"),),
            )


def _rivals(findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    other = remedies.elsewhere("provision")
    for claim in findable.foreign:
        yield Finding(
            "foreign-object",
            "broken",
            f"{claim.kind} {claim.name} {claim.why}",
            "somebody else uses this installation's names; httpmon leaves it alone",
            (other, remedies.httpmon("provision", "--force", "--plan")),
        )
    if findable.twice:
        yield Finding(
            "executed-twice",
            "broken",
            f"the engine and the scheduler both run {some_of(findable.twice)}",
            "two hosts provision this namespace with different settings of executor",
            (remedies.httpmon("config", "show"), remedies.httpmon("provision")),
        )
    if findable.newer:
        yield Finding(
            "newer-httpmon",
            "degraded",
            f"httpmon {findable.newer} wrote objects here, which is newer than this one",
            "another host provisions this namespace, too, and this one would undo what it did",
            ("pipx upgrade httpmon",),
        )
    if findable.otherwise:
        yield Finding(
            "rendered-otherwise",
            "degraded",
            f"rendered otherwise than here: {some_of(findable.otherwise)}",
            "settings or templates here were changed since, or another host provisions this namespace with "
            "its own: each run then undoes the other's",
            (remedies.httpmon("provision", "--check", "--diff"), other),
        )
    shippers = findable.installation.shippers if findable.installation else ()
    for one, another in itertools.combinations(shippers, 2):
        shared = sorted(set(one.files) & set(another.files))
        if one.host == another.host and shared and one.state == another.state == "running":
            yield Finding(
                "shippers-of-one-file",
                "degraded",
                f"two shippers on {one.host} (processes {one.pid} and {another.pid}) follow "
                f"{some_of(tuple(shared))}",
                f"they have different registries, {one.registry} and {another.registry}; "
                "lines of a file that both know are counted once, and sent twice",
                (f"ssh {one.host} kill {max(one.pid, another.pid)}",),
            )
    for one in shippers:
        if one.state == "running" and _sends_again(one):
            yield Finding(
                "lines-sent-again",
                "note",
                f"of {one.read:,} lines of the shipper on {one.host}, {one.duplicates:,} were there already",
                "somebody else ships the same lines, or its registry was lost; they are counted once",
                (f"ssh {one.host} pgrep -af 'httpmon.*ship'",),
            )


def _sends_again(one: ShipperState) -> bool:
    return one.read >= _AGAIN_LINES and one.duplicates > _AGAIN_SHARE * one.read
