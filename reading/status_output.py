"""How an installation stands, as one screen and as JSON. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Any

from reading.buckets import summary_age
from reading.installation import (
    Finding,
    Installation,
    KibanaState,
    Schedulers,
    SchedulerState,
    WatchState,
    exit_code,
    verdict,
)
from reading.plain import bytes_text, duration_text, local_time
from reading.printable import printable
from reading.shippers import ShipperState
from reading.tables import table_text, wrapped_lines
from reading.tick_json import utc_text

# Kinds of data that are named where there is no room for all.
_LARGEST_TIERS = 3


def status_text(
    installation: Installation,
    found: list[Finding],
    zone: tzinfo | None,
    *,
    width: int | None = None,
    height: int | None = None,
) -> str:
    """One screen of text.

    Args:
        installation: what to show.
        found: what is wrong with it.
        zone: of the times shown; None is the machine's own.
        width: columns of the terminal; None where it is none.
        height: lines of the terminal. Where the whole does not fit, each table becomes one line; what is
            wrong with one of its rows is among the findings. None shows the tables.
    """
    facts = _facts(installation, found, zone)
    wrong = [_found_text(one, width) for one in found]
    whole = "\n\n".join([_facts_text(facts, width), *_joined(wrong), *_tables(installation, width)])
    if height is None or whole.count("\n") + 1 < height:
        return whole
    folded = [*facts, *_counts(installation)]
    hint = "httpmon status --all shows each transform, watch, shipper and tier"
    return "\n\n".join([_facts_text(folded, width), *_joined(wrong), *_joined([wrapped_lines(hint, width)])])


def _joined(lines: list[str]) -> list[str]:
    return ["\n".join(lines)] if lines else []


def _found_text(one: Finding, width: int | None) -> str:
    what = wrapped_lines(f"{one.level}: {printable(one.what)}", width)
    mend = wrapped_lines(f"    {printable(one.mend)}", width, indent=" " * 6)
    return f"{what}\n{mend}"


def _facts_text(facts: Sequence[tuple[str, str]], width: int | None) -> str:
    label = max(len(name) for name, _ in facts) + 2
    return "\n".join(
        wrapped_lines(f"{name:<{label}}{value}", width, indent=" " * label) for name, value in facts
    )


def _facts(installation: Installation, found: list[Finding], zone: tzinfo | None) -> list[tuple[str, str]]:
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
    ]
    if installation.kibana is not None:
        facts.append(("kibana", _kibana(installation.kibana)))
    facts += [
        ("newest summary", _age(installation.newest_summary, installation.read_at, zone, bucket=True)),
        ("newest hit", _age(installation.newest_hit, installation.read_at, zone, bucket=False)),
        ("unparsed lines", f"{installation.unparsed:,}"),
        *([("header lines", f"{installation.headers:,}")] if installation.headers else []),
        ("open alerts", ", ".join(map(printable, installation.open_alerts)) or "none"),
    ]
    if installation.audited_at is not None:
        when = _age(installation.audited_at, installation.read_at, zone, bucket=False)
        facts.append(("last audit", f"{when}: {printable(installation.audit)}"))
    return facts


def _counts(installation: Installation) -> list[tuple[str, str]]:
    """Each table in one line."""
    facts = []
    transforms = installation.transforms
    if transforms:
        lags = [one.lag_seconds for one in transforms if one.lag_seconds is not None]
        most = f", at most {max(lags):.1f} s behind" if lags else ""
        facts.append(("transforms", _tally(one.state for one in transforms) + most))
    watches = installation.watches
    if watches:
        ran = [one.last_checked for one in watches if one.last_checked is not None]
        last = (installation.read_at - max(ran)).total_seconds() if ran else None
        when = "" if last is None else f", the last run {duration_text(max(0.0, last))} ago"
        states = ((one.state or "never ran") if one.active else "not active" for one in watches)
        facts.append(("watches", _tally(states) + when))
    shippers = installation.shippers
    if shippers:
        behind = sum(one.behind_bytes for one in shippers)
        facts.append(
            ("shippers", f"{_tally(one.state for one in shippers)}, {bytes_text(behind)} behind together")
        )
    if installation.tiers:
        parts = sorted(installation.tiers, key=lambda tier: -tier.bytes)
        total = bytes_text(sum(tier.bytes for tier in parts))
        largest = ", ".join(f"{tier.name} {bytes_text(tier.bytes)}" for tier in parts[:_LARGEST_TIERS])
        facts.append(("data", f"{total}; the most: {largest}"))
    return facts


def _tally(states: Iterable[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(states).most_common())


def _tables(installation: Installation, width: int | None) -> list[str]:
    parts = []
    if installation.transforms:
        rows = [
            (one.identifier, one.state, "-" if one.lag_seconds is None else f"{one.lag_seconds:.1f} s")
            for one in installation.transforms
        ]
        parts.append(_table(rows, ("transform", "state", "lag"), ("left", "left", "right"), width))
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
        parts.append(_table(watches, heads, ("left", "left", "right", "right"), width))
    if installation.shippers:
        shippers = [_shipper(one, installation.read_at) for one in installation.shippers]
        columns = ("shipper", "state", "reported", "lines", "again", "dead", "behind")
        parts.append(_table(shippers, columns, ("left", "left", *["right"] * 5), width))
    if installation.tiers:
        tiers = [
            (tier.name, f"{tier.documents:,}", bytes_text(tier.bytes), "BLOCKED" if tier.read_only else "")
            for tier in installation.tiers
        ]
        parts.append(
            _table(tiers, ("data", "documents", "bytes", ""), ("left", "right", "right", "left"), width)
        )
    return parts


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


def _objects(there: Installation | KibanaState) -> str:
    wrong = len(there.missing) + len(there.changed)
    if not wrong:
        return f"{there.objects}, all as rendered"
    return f"{there.objects}, {len(there.missing)} missing, {len(there.changed)} changed"


def _kibana(kibana: KibanaState) -> str:
    return f"{kibana.url}, {'cannot be asked' if kibana.trouble else f'objects {_objects(kibana)}'}"


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


def _table(
    rows: Sequence[tuple[str, ...]], heads: Sequence[str], alignment: Sequence[str], width: int | None
) -> str:
    return table_text(rows, heads, width=width, flexible=(0,), align=alignment)
