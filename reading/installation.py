"""How an installation stands, and what is wrong with it. Pure; ``reading.gather`` asks the engine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from engine.errors import EXIT_BROKEN, EXIT_DEGRADED, EXIT_DONE
from reading.printable import some_of
from reading.shippers import ShipperState

Level = Literal["ok", "degraded", "broken"]

# Transforms of hours, and those that only expire, look less often; the others every second, and wait for
# their delay.
_LAG_LIMITS = (("hourly", 600.0), ("late", 600.0), ("expiry", 600.0), ("", 60.0))
# A lease that stands still for 8 s is taken over, within 15 s.
_SCHEDULER_SILENCE_SECONDS = 20.0
# So long after its time a watch should have run.
_WATCH_LATE = timedelta(seconds=60)
_HISTORY = "its runs are recorded in the watch history"
_LONGEST_TROUBLE = 200
# Of a reason that is a page long, more than is shown, so that what is repeated in it can be left out.
_MOST_READ = 2000
_TWICE = re.compile(r"(.{16,}?)(?:: \1)+")
# A shipper reports every 10 s, and is behind for a moment whenever much is written.
SHIPPER_SILENCE_SECONDS = 60.0
SHIPPER_BEHIND_SECONDS = 60.0
UNFIT_STATES = frozenset({"failed", "failing"})


@dataclass(frozen=True, slots=True)
class TransformState:
    """One transform: its id, state, seconds behind (None before its first checkpoint), and trouble.

    ``progress`` is how much of a first checkpoint is done, in percent; None where none is under way.
    """

    identifier: str
    state: str
    lag_seconds: float | None
    reason: str = ""
    progress: float | None = None

    @property
    def told(self) -> str:
        """The trouble in one line of bounded length, for where the transform is named already."""
        return shortened(self.reason.removeprefix(f"transform {self.identifier}: "))


@dataclass(frozen=True, slots=True)
class WatchState:
    """One watch: its id, whether it is active, when it was last looked at, and how that went.

    Attributes:
        trouble: what is wrong with it, or "".
        skipped: scheduled runs that were left out, ever; None where the engine runs it and does not count.
        next_run: the scheduled time behind the last run; None if unknown.
    """

    identifier: str
    active: bool
    last_checked: datetime | None
    state: str
    trouble: str = ""
    skipped: int | None = None
    next_run: datetime | None = None


@dataclass(frozen=True, slots=True)
class SchedulerState:
    """One scheduler: its host and process, and how long ago it was heard of, by the engine's clock."""

    host: str
    pid: int
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class Schedulers:
    """Who executes what the engine does not.

    Attributes:
        leader: who holds the lease; None if it was given back or never taken.
        term: counts those who held it.
        since: when the leader took it.
        standbys: who would take over.
    """

    leader: SchedulerState | None = None
    term: int = 0
    since: datetime | None = None
    standbys: tuple[SchedulerState, ...] = ()

    @property
    def executes(self) -> bool:
        """Whether the leader is alive, as far as its lease tells."""
        return self.leader is not None and self.leader.silent_seconds <= _SCHEDULER_SILENCE_SECONDS


@dataclass(frozen=True, slots=True)
class Tier:
    """What one kind of data takes: its indices' documents and bytes, and whether writing is blocked."""

    name: str
    documents: int
    bytes: int
    read_only: bool = False


KibanaObstacle = Literal["unreachable", "not_permitted", "misdirected"]
"""Why Kibana could not be asked: nobody answers, the account may not, or it is no Kibana or no such space."""


@dataclass(frozen=True, slots=True)
class KibanaState:
    """Kibana, where one is set.

    Attributes:
        url: where it is.
        trouble: why it could not be asked, or "".
        objects: how many objects there should be in it.
        missing: names of objects that should be there and are not.
        changed: names of objects that are not as rendered.
        obstacle: of what kind the trouble is.
    """

    url: str
    trouble: str = ""
    objects: int = 0
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    obstacle: KibanaObstacle = "unreachable"


@dataclass(frozen=True, slots=True)
class Installation:
    """How an installation stood at one moment.

    Attributes:
        read_at: the moment, UTC.
        engine: family and version, ``opensearch 3.8.0``.
        licence: Elasticsearch's; None on OpenSearch.
        health: of its indices: ``green``, ``yellow``, ``red``; "" where there are none.
        transforms_by, watches_by: the executors, ``native``, ``scheduler`` or (watches only) ``kibana``.
        objects: how many objects there should be.
        missing: names of objects that should be there and are not.
        changed: names of objects that are not as rendered.
        transforms, watches: each one's state.
        schedulers: who executes; None where the engine does it all.
        shippers: what they reported of themselves.
        tiers: what the data takes.
        newest_summary: start of the newest summarised bucket; None while there is none.
        newest_hit: event time of the newest hit; None while there is none.
        unparsed: lines that could not be parsed.
        headers: lines that name the columns of others.
        open_alerts: names of rules whose alerts are open and not silenced.
        audited_at: when the summaries were last compared with their sources; None if they never were.
        audit: what came of that.
        kibana: how Kibana stands; None where none is set.
    """

    read_at: datetime
    engine: str
    licence: str | None
    health: str
    transforms_by: str
    watches_by: str
    objects: int
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    transforms: tuple[TransformState, ...] = ()
    watches: tuple[WatchState, ...] = ()
    schedulers: Schedulers | None = None
    shippers: tuple[ShipperState, ...] = ()
    tiers: tuple[Tier, ...] = ()
    newest_summary: datetime | None = None
    newest_hit: datetime | None = None
    unparsed: int = 0
    headers: int = 0
    open_alerts: tuple[str, ...] = ()
    audited_at: datetime | None = None
    audit: str = ""
    kibana: KibanaState | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, and what to do about it."""

    level: Level
    what: str
    mend: str


def findings(installation: Installation) -> list[Finding]:
    """Everything that is wrong, the worst first."""
    found = [
        *_object_findings(installation),
        *_data_findings(installation),
        *_scheduler_findings(installation),
        *_transform_findings(installation),
        *_watch_findings(installation),
        *_shipper_findings(installation),
        *_kibana_findings(installation),
    ]
    if installation.open_alerts:
        found.append(
            Finding("degraded", f"open alert: {', '.join(installation.open_alerts)}", "httpmon alerts open")
        )
    return sorted(found, key=lambda finding: finding.level != "broken")


def verdict(found: Iterable[Finding]) -> Level:
    """``broken`` if anything is, else ``degraded`` if anything is, else ``ok``."""
    levels = {finding.level for finding in found}
    if "broken" in levels:
        return "broken"
    return "degraded" if levels else "ok"


def exit_code(level: Level) -> int:
    """What a process that tells this ends with: 0, 6 or 7."""
    return {"ok": EXIT_DONE, "degraded": EXIT_DEGRADED, "broken": EXIT_BROKEN}[level]


def _object_findings(installation: Installation) -> Iterable[Finding]:
    missing, changed = installation.missing, installation.changed
    if missing and len(missing) >= installation.objects:
        yield Finding("broken", "nothing is installed", "httpmon provision")
        return
    if missing:
        yield Finding("broken", f"missing: {some_of(missing)}", "httpmon provision")
    if changed:
        mend = "httpmon provision --check shows what differs, httpmon provision mends it"
        yield Finding("degraded", f"not as rendered: {some_of(changed)}", mend)


def _data_findings(installation: Installation) -> Iterable[Finding]:
    if installation.health == "red":
        yield Finding("broken", "an index has lost a shard (red)", "look at GET _cluster/allocation/explain")
    blocked = [tier.name for tier in installation.tiers if tier.read_only]
    if blocked:
        mend = "make room on the disk, then set index.blocks.read_only_allow_delete of the index to null"
        yield Finding("broken", f"writing is blocked: {', '.join(blocked)}", mend)


def _scheduler_findings(installation: Installation) -> Iterable[Finding]:
    schedulers = installation.schedulers
    if schedulers is None or schedulers.executes:
        return
    what = "no scheduler executes"
    if schedulers.leader is not None:
        last = schedulers.leader
        what += f"; process {last.pid} on {last.host} was heard of {last.silent_seconds:.0f} s ago"
    yield Finding("degraded", what, "start httpmon scheduler")


_LIST = "httpmon transform list shows how far it is"


def _transform_findings(installation: Installation) -> Iterable[Finding]:
    runner = _runner(installation.transforms_by)
    running = []
    for one in installation.transforms:
        start = f"httpmon transform start {one.identifier}"
        if one.state in UNFIT_STATES:
            reason = f": {one.told}" if one.reason else ""
            yield Finding("broken", f"transform {one.identifier} failed{reason}", start)
        elif one.state == "stopped":
            yield Finding("degraded", f"transform {one.identifier} is stopped", start)
        elif one.reason:
            yield Finding("degraded", f"transform {one.identifier} tries again: {one.told}", _LIST)
        elif one.lag_seconds is None and one.progress is not None:
            done = f"transform {one.identifier} reads what there is, {one.progress:.0f} % done"
            yield Finding("degraded", done, _LIST)
        else:
            running.append(one)
    never = [one.identifier for one in running if one.lag_seconds is None]
    behind = [one for one in running if (one.lag_seconds or 0.0) > lag_limit(one.identifier)]
    if never:
        yield Finding("degraded", f"never ran: {some_of(never)}", runner)
    if behind:
        most = max(one.lag_seconds or 0.0 for one in behind)
        names = some_of([one.identifier for one in behind])
        yield Finding("degraded", f"up to {most:.0f} s behind: {names}", runner)


def _watch_findings(installation: Installation) -> Iterable[Finding]:
    runner = _runner(installation.watches_by)
    for one in installation.watches:
        what = f"watch {one.identifier}"
        if not one.active:
            yield Finding("degraded", f"{what} is not active", "somebody deactivated it")
            continue
        if one.state in UNFIT_STATES:
            yield Finding("broken", f"{what} fails{_because(one.trouble)}", _HISTORY)
        elif one.last_checked is None and one.trouble:
            yield Finding("broken", f"{what}{_because(one.trouble)}", "mend it, and run httpmon provision")
        elif one.last_checked is None:
            yield Finding("degraded", f"{what} never ran", runner)
        elif one.trouble:
            yield Finding("degraded", f"{what}{_because(one.trouble)}", _HISTORY)
        elif watch_is_late(one, installation.read_at):
            seconds = (installation.read_at - one.last_checked).total_seconds()
            yield Finding("degraded", f"{what} ran last {seconds:.0f} s ago", runner)


def _because(trouble: str) -> str:
    return f": {shortened(trouble)}" if trouble else ""


def shortened(trouble: str) -> str:
    """A trouble in one line of bounded length: the engine's own words may be a page long."""
    told = " ".join(trouble[:_MOST_READ].split())
    # Engines put an error around its cause, and each may say the same at length.
    told = _TWICE.sub(r"\1", told)
    return told if len(told) <= _LONGEST_TROUBLE else f"{told[: _LONGEST_TROUBLE - 3]}..."


def silent_shippers(shippers: Iterable[ShipperState], now: datetime) -> list[ShipperState]:
    """Those that did not say that they stopped, and say nothing any more."""
    return [
        one
        for one in shippers
        if one.state == "running" and (now - one.reported_at).total_seconds() > SHIPPER_SILENCE_SECONDS
    ]


def _shipper_findings(installation: Installation) -> Iterable[Finding]:
    silent = silent_shippers(installation.shippers, installation.read_at)
    for one in installation.shippers:
        where = f"the shipper on {one.host} (process {one.pid})"
        if one in silent:
            seconds = (installation.read_at - one.reported_at).total_seconds()
            yield Finding(
                "degraded", f"{where} was heard of {seconds:.0f} s ago", "is httpmon ship running there?"
            )
        elif one.state == "running" and one.behind_seconds > SHIPPER_BEHIND_SECONDS:
            behind = f"{one.behind_bytes:,} bytes and {one.behind_seconds:.0f} s behind"
            yield Finding("degraded", f"{where} is {behind}", "httpmon doctor says what holds it up")


def _kibana_findings(installation: Installation) -> Iterable[Finding]:
    kibana = installation.kibana
    if kibana is None:
        return
    # Where Kibana runs the rules, nobody is alerted without it; else only pictures are missing.
    level: Level = "broken" if installation.watches_by == "kibana" else "degraded"
    if kibana.trouble:
        mend = "see that it runs and that kibana.* of httpmon config show is right"
        yield Finding(level, f"Kibana cannot be asked: {kibana.trouble[:_LONGEST_TROUBLE]}", mend)
    if kibana.missing:
        yield Finding(level, f"missing in Kibana: {some_of(kibana.missing)}", "httpmon provision")
    if kibana.changed:
        mend = "httpmon provision --check shows what differs, httpmon provision mends it"
        yield Finding("degraded", f"not as rendered in Kibana: {some_of(kibana.changed)}", mend)


def _runner(executor: str) -> str:
    return "is httpmon scheduler running?" if executor == "scheduler" else "look at the engine's log"


def watch_is_late(watch: WatchState, now: datetime) -> bool:
    """Whether an active watch that ran before should have run again long ago."""
    last = watch.next_run or watch.last_checked
    return last is not None and now - last > _WATCH_LATE


def lag_limit(identifier: str) -> float:
    """From how many seconds on a transform is behind, by its id."""
    return next(limit for mark, limit in _LAG_LIMITS if mark in identifier)
