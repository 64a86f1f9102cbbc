"""A tick as plain text: no colour, no cursor movement, fit for a pipe, a file and a screen reader."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

from reading.alerts import Alert
from reading.buckets import BUCKET_SECONDS
from reading.operations import Operations
from reading.printable import printable
from reading.rule import TrafficRule
from reading.tables import table_text, wrapped_lines
from reading.tick import STATUS_CLASSES, SectionCounts, Tick

_NAME_WIDTH = 32
_MESSAGE_WIDTH = 160
# Names of failing watches that are shown.
_MOST_FAILING = 3
# From this age on the summaries are called old: the default window of the high-traffic rule.
_OLD_SECONDS = 120


def render_tick(
    tick: Tick, rule: TrafficRule, *, now: datetime, zone: tzinfo | None, width: int | None = None
) -> str:
    """One block of text for one tick, without a newline at its end.

    Args:
        tick: what to show.
        rule: threshold and window of the traffic line.
        now: when the tick was read; ages count from it.
        zone: the zone of the times shown; None is the machine's own.
        width: columns of the terminal; None where it is none, and nothing is wrapped.
    """
    parts = [
        wrapped_lines("\n".join(_head(tick, rule, zone)), width, indent=" " * 10),
        _sections_table(tick, width),
        _clients_table(tick, width),
        wrapped_lines(_alerts_table(tick.alerts, zone), width),
        wrapped_lines("\n".join(freshness_lines(tick, now=now, zone=zone)), width),
    ]
    return "\n\n".join(part for part in parts if part)


def freshness_lines(tick: Tick, *, now: datetime, zone: tzinfo | None) -> list[str]:
    """How current the numbers are, how many lines are no hits, and what to do about old numbers."""
    facts = []
    if tick.newest_summary is None:
        facts.append("no summary yet")
    else:
        age = _age(tick.newest_summary, now)
        facts.append(f"newest summary {near_time(tick.newest_summary, now, zone)}, {age}")
    if tick.newest_hit is not None:
        facts.append(f"newest hit {near_time(tick.newest_hit, now, zone)}")
    facts.append(f"unparsed lines {tick.unparsed:,} (+{tick.unparsed_now:,})")
    # In a line of its own: eighty columns hold no more than the others.
    headers = [f"header lines {tick.headers:,}"] if tick.headers else []
    return ["; ".join(facts), *headers, *_failing(tick), *_advice(tick, now, zone)]


def _failing(tick: Tick) -> list[str]:
    if not tick.failing:
        return []
    names = ", ".join(printable(name, _NAME_WIDTH) for name in tick.failing[:_MOST_FAILING])
    more = len(tick.failing) - _MOST_FAILING
    rest = f" and {more} more" if more > 0 else ""
    noun = "watch fails" if len(tick.failing) == 1 else "watches fail"
    return [f"{len(tick.failing)} {noun}: {names}{rest}; see httpmon status"]


def open_state(operations: Operations, alert: Alert, moment: datetime) -> str:
    """``OPEN``, or ``open`` with what somebody did about it: ``open, acknowledged by ada``."""
    acknowledged = operations.acknowledged(alert)
    silenced = operations.silenced(alert.rule_id, moment)
    done = [f"acknowledged by {printable(acknowledged.user)}"] if acknowledged else []
    done += ["silenced"] if silenced else []
    return ", ".join(["open", *done]) if done else "OPEN"


def local_time(moment: datetime, zone: tzinfo | None) -> str:
    """``2026-11-25 14:32:50 +02:00``."""
    shown = moment.astimezone(zone)
    return f"{shown:%Y-%m-%d %H:%M:%S} {offset_text(shown)}"


def duration_text(seconds: float) -> str:
    """A length of time in at most two units: ``9 s``, ``2 min 5 s``, ``3 h 20 min``, ``4 d 2 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole, 60, "min", 1, "s")
    if whole < 86400:
        return _two_units(whole, 3600, "h", 60, "min")
    return _two_units(whole, 86400, "d", 3600, "h")


def bytes_text(count: int) -> str:
    """Bytes in decimal units with one digit after the point: ``0 B``, ``512 B``, ``1.2 MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        # 999.95 and more would round to 1000.0 of the smaller unit.
        if value < (1000 if unit == "B" else 999.95):
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} PB"


def share_text(part: int, whole: int) -> str:
    """A share in per cent with one digit after the point; ``-`` of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


def window_text(seconds: int) -> str:
    """A window as short as a column head needs it: ``2m``, ``90s``, ``1h``."""
    if seconds % 3600 == 0:
        return f"{seconds // 3600}h"
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"


def _head(tick: Tick, rule: TrafficRule, zone: tzinfo | None) -> Iterable[str]:
    question = tick.question
    start, end = question.start.astimezone(zone), question.end.astimezone(zone)
    until = f"{end:%H:%M:%S}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M:%S}"
    yield f"== {start:%Y-%m-%d %H:%M:%S} to {until} {offset_text(end)} =="
    yield (
        f"traffic   {tick.hits / question.seconds:.2f} hits/s now, "
        f"{tick.window_hits / question.window_seconds:.2f} over {window_text(question.window_seconds)}, "
        f"threshold {rule.threshold:g}; {tick.overall_hits:,} hits overall"
    )
    clients = "" if tick.clients is None else f"; {tick.clients:,} clients"
    classes = ", ".join(f"{name} {tick.status[name]:,}" for name in STATUS_CLASSES if _shown(tick, name))
    yield f"status    {classes}; {bytes_text(tick.bytes)}{clients}"
    for alert in tick.open_alerts:
        since = alert.started_at or alert.time
        yield (
            f"ALERT     {printable(alert.rule_name, _NAME_WIDTH)} "
            f"{open_state(tick.operations, alert, question.end)} since {local_time(since, zone)} "
            f"({duration_text((question.end - since).total_seconds())})"
        )


def _shown(tick: Tick, status_class: str) -> bool:
    return status_class != "1xx" or tick.status[status_class] > 0


def _sections_table(tick: Tick, width: int | None) -> str:
    rows = [(printable(name, _NAME_WIDTH), counts) for name, counts in tick.sections]
    if tick.others != SectionCounts():
        rows.append((f"(others: {tick.other_sections:,})", tick.others))
    rows.append(("total", tick.total))
    average = f"avg {window_text(tick.question.window_seconds)}"
    return _table(
        [
            (
                name,
                f"{counts.hits:,}",
                share_text(counts.hits, tick.total.hits),
                f"{counts.window_hits / tick.question.window_seconds:.2f}/s",
                f"{counts.status_4xx:,}",
                f"{counts.status_5xx:,}",
                bytes_text(counts.bytes),
                f"{counts.overall_hits:,}",
            )
            for name, counts in rows
        ],
        ("section", "hits", "share", average, "4xx", "5xx", "bytes", "overall"),
        width,
    )


def _clients_table(tick: Tick, width: int | None) -> str:
    if not tick.top["clients"]:
        return ""
    return _table(
        [
            (printable(name, _NAME_WIDTH), f"{hits:,}", share_text(hits, tick.hits))
            for name, hits in tick.top["clients"]
        ],
        ("top client", "hits", "share"),
        width,
    )


def _alerts_table(alerts: Iterable[Alert], zone: tzinfo | None) -> str:
    lines = [
        f"{local_time(alert.time, zone)}  {printable(alert.action, 12):<10}  "
        f"{printable(alert.message, _MESSAGE_WIDTH)}"
        for alert in alerts
    ]
    return "\n".join(["alerts, newest last", *lines]) if lines else "no alerts so far"


def _table(rows: list[tuple[str, ...]], heads: tuple[str, ...], width: int | None) -> str:
    alignment = ("left", *("right",) * (len(heads) - 1))
    return table_text(rows, heads, width=width, flexible=(0,), align=alignment)


def _advice(tick: Tick, now: datetime, zone: tzinfo | None) -> list[str]:
    """What to say when the newest summary is not of the interval shown."""
    newest, hit = tick.newest_summary, tick.newest_hit
    end = tick.question.end
    if newest is None:
        if hit is None:
            return ["no line has arrived yet: send some with httpmon ship FILE"]
        return ["hits have arrived but are not summarised: see httpmon status"]
    summarised = newest + timedelta(seconds=BUCKET_SECONDS)
    if hit is not None and summarised <= hit < end:
        known = near_time(hit, now, zone)
        return [f"hits up to {known} are not summarised yet; if that stays, see httpmon status"]
    if summarised < end - timedelta(seconds=_OLD_SECONDS):
        moment = summarised.astimezone(zone).isoformat()
        return [f"the newest summary is old; to look at it: httpmon tail --at {moment}"]
    return []


def near_time(moment: datetime, now: datetime, zone: tzinfo | None) -> str:
    """The time of day if it is today's, else with the date and the offset."""
    shown = moment.astimezone(zone)
    return f"{shown:%H:%M:%S}" if shown.date() == now.astimezone(zone).date() else local_time(moment, zone)


def _age(bucket: datetime, now: datetime) -> str:
    """How long ago a bucket ended; one that goes on is current."""
    seconds = (now - bucket).total_seconds()
    if seconds < 0:
        return f"{duration_text(-seconds)} ahead of this clock"
    return "current" if seconds < BUCKET_SECONDS else f"{duration_text(seconds - BUCKET_SECONDS)} old"


def offset_text(moment: datetime) -> str:
    """The offset of a moment in its zone: ``+02:00``, or ``UTC``."""
    if moment.tzinfo is UTC:
        return "UTC"
    text = f"{moment:%z}"
    return f"{text[:3]}:{text[3:5]}"


def _two_units(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = whole % large // small
    return f"{whole // large} {large_name}" + (f" {rest} {small_name}" if rest else "")
