"""How an installation stands, as one screen and as JSON. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

from tabulate import tabulate

from reading.buckets import summary_age
from reading.installation import (
    Finding,
    Installation,
    Schedulers,
    SchedulerState,
    WatchState,
    exit_code,
    verdict,
)
from reading.plain import bytes_text, duration_text, local_time
from reading.printable import printable
from reading.shippers import ShipperState
from reading.tick_json import utc_text


def status_text(installation: Installation, found: list[Finding], zone: tzinfo | None) -> str:
    """One screen of text."""
    licence = f", licence {installation.licence}" if installation.licence else ""
    health = f", indices {installation.health}" if installation.health else ""
    facts = [
        ("status", verdict(found).upper()),
        ("engine", f"{installation.engine}{licence}{health}"),
        (
            "executors",
            f"transforms by {_by(installation.transforms_by)}, watches by {_by(installation.watches_by)}",
        ),
        *_schedulers(installation.schedulers, zone),
        ("objects", _objects(installation)),
        ("newest summary", _age(installation.newest_summary, installation.read_at, zone, bucket=True)),
        ("newest hit", _age(installation.newest_hit, installation.read_at, zone, bucket=False)),
        ("unparsed lines", f"{installation.unparsed:,}"),
        *([("header lines", f"{installation.headers:,}")] if installation.headers else []),
        ("open alerts", ", ".join(map(printable, installation.open_alerts)) or "none"),
    ]
    if installation.audited_at is not None:
        when = _age(installation.audited_at, installation.read_at, zone, bucket=False)
        facts.append(("last audit", f"{when}: {printable(installation.audit)}"))
    parts = [tabulate(facts, tablefmt="plain", disable_numparse=True)]
    if found:
        lines = [f"{one.level}: {printable(one.what)}\n    {printable(one.mend)}" for one in found]
        parts.append("\n".join(lines))
    if installation.transforms:
        rows = [
            (one.identifier, one.state, "-" if one.lag_seconds is None else f"{one.lag_seconds:.1f} s")
            for one in installation.transforms
        ]
        parts.append(_table(rows, ("transform", "state", "lag"), ("left", "left", "right")))
    if installation.watches:
        watches = [
            (
                one.identifier,
                (one.state or "-") if one.active else "not active",
                _last_run(one, installation),
                "-" if one.skipped is None else f"{one.skipped:,}",
            )
            for one in installation.watches
        ]
        heads = ("watch", "last run", "when", "left out")
        parts.append(_table(watches, heads, ("left", "left", "right", "right")))
    if installation.shippers:
        shippers = [_shipper(one, installation.read_at) for one in installation.shippers]
        columns = ("shipper", "state", "reported", "lines", "again", "dead", "behind")
        parts.append(_table(shippers, columns, ("left", "left", *["right"] * 5)))
    if installation.tiers:
        tiers = [
            (tier.name, f"{tier.documents:,}", bytes_text(tier.bytes), "BLOCKED" if tier.read_only else "")
            for tier in installation.tiers
        ]
        parts.append(_table(tiers, ("data", "documents", "bytes", ""), ("left", "right", "right", "left")))
    return "\n\n".join(parts)


def status_object(installation: Installation, found: list[Finding]) -> dict[str, Any]:
    """The same as JSON values; times in UTC."""
    level = verdict(found)
    listed = [dataclasses.asdict(one) for one in found]
    shown = {"status": level, "exit_code": exit_code(level), "findings": listed}
    return {**shown, **_json(dataclasses.asdict(installation))}


def _schedulers(schedulers: Schedulers | None, zone: tzinfo | None) -> list[tuple[str, str]]:
    if schedulers is None:
        return []
    leader = schedulers.leader
    if leader is None:
        return [("scheduler", "none executes")]
    since = "" if schedulers.since is None else f" since {local_time(schedulers.since, zone)}"
    told = f"{_process(leader)}{since}, term {schedulers.term}"
    if not schedulers.executes:
        told += f", silent for {duration_text(leader.silent_seconds)}"
    lines = [("scheduler", told)]
    if schedulers.standbys:
        lines.append(("stand by", ", ".join(map(_process, schedulers.standbys))))
    return lines


def _process(one: SchedulerState) -> str:
    return f"process {one.pid} on {printable(one.host)}"


def _last_run(watch: WatchState, installation: Installation) -> str:
    if watch.last_checked is None:
        return "never"
    seconds = (installation.read_at - watch.last_checked).total_seconds()
    return f"{duration_text(max(0.0, seconds))} ago"


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, dict):
        return {name: _json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]
    return value


def _by(executor: str) -> str:
    return {"native": "the engine", "kibana": "Kibana"}.get(executor, "httpmon scheduler")


def _objects(installation: Installation) -> str:
    wrong = len(installation.missing) + len(installation.changed)
    if not wrong:
        return f"{installation.objects}, all as rendered"
    return f"{installation.objects}, {len(installation.missing)} missing, {len(installation.changed)} changed"


def _age(moment: datetime | None, now: datetime, zone: tzinfo | None, *, bucket: bool) -> str:
    if moment is None:
        return "none"
    seconds = summary_age(moment, now) if bucket else (now - moment).total_seconds()
    return f"{local_time(moment, zone)}, {duration_text(max(0.0, seconds))} ago"


def _shipper(one: ShipperState, now: datetime) -> tuple[str, ...]:
    age = max(0.0, (now - one.reported_at).total_seconds())
    behind = f"{bytes_text(one.behind_bytes)}, {one.behind_seconds:.0f} s" if one.behind_bytes else "-"
    counts = (f"{number:,}" for number in (one.read, one.duplicates, one.dead))
    return (printable(one.host), one.state, f"{duration_text(age)} ago", *counts, behind)


def _table(rows: Sequence[tuple[str, ...]], heads: Sequence[str], alignment: Sequence[str]) -> str:
    return tabulate(rows, headers=heads, colalign=alignment, disable_numparse=True)
