"""The live screen of ``httpmon tail``: a tick, laid out for a terminal of any size. Pure.

A line is a sequence of pieces, each a text and the role that it plays (``title``, ``over``, ``muted``, ...);
the terminal's side gives each role a colour. Nothing is said by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from reading.alerts import Alert
from reading.plain import (
    bytes_text,
    duration_text,
    freshness_lines,
    near_time,
    offset_text,
    open_state,
    share_text,
    window_text,
)
from reading.printable import cells, fitted, printable
from reading.rule import TrafficRule
from reading.sparkline import curve
from reading.tick import SORT_KEYS, STATUS_CLASSES, SectionCounts, SortKey, Tick

Role = Literal["", "title", "muted", "head", "bar", "good", "warning", "over", "alert"]
Piece = tuple[str, Role]
Line = tuple[Piece, ...]

KEYS_LINE = "q quit  p pause  s sort  left/right time  f follow  / filter  a ack  ? help"
HELP = (
    ("q", "quit"),
    ("p", "pause, and go on"),
    ("s", "sort the sections: " + ", ".join(SORT_KEYS)),
    ("left, right", "one bucket back, one forward"),
    ("up, down", "one minute back, one forward"),
    ("f", "follow: back to now"),
    ("/", "name only sections that hold a text; empty names all; Esc leaves"),
    ("a", "acknowledge the open alerts"),
    ("?", "this page"),
)


@dataclass(frozen=True, slots=True)
class View:
    """What the person at the keyboard has chosen, and what goes on.

    Attributes:
        title: what is watched.
        mode: following, paused at an interval, or looking at a past one.
        ascii_only: nothing but ASCII is drawn.
        trouble: why nothing new comes, "" if all is well.
        help: the page of keys is shown.
    """

    title: str = "httpmon"
    mode: Literal["live", "paused", "past"] = "live"
    ascii_only: bool = False
    trouble: str = ""
    help: bool = False


def compose_screen(
    tick: Tick | None,
    rule: TrafficRule,
    view: View,
    *,
    width: int,
    height: int,
    now: datetime,
    zone: tzinfo | None,
) -> list[Line]:
    """Exactly ``height`` lines of at most ``width`` columns."""
    if view.help:
        lines = [*_help_lines()]
    elif tick is None:
        lines = [((view.title, "title"),), ((view.trouble or "reading ...", "warning"),)]
    else:
        lines = _tick_lines(tick, rule, view, width, height, now, zone)
    lines = lines[: max(0, height - 1)]
    lines += [((" ", ""),)] * (height - 1 - len(lines))
    if height > 0:
        lines.append(((KEYS_LINE, "muted"),))
    return [_cut(line, width) for line in lines]


def line_text(line: Line) -> str:
    """A line without its roles."""
    return "".join(text for text, _ in line)


def _tick_lines(
    tick: Tick, rule: TrafficRule, view: View, width: int, height: int, now: datetime, zone: tzinfo | None
) -> list[Line]:
    curve_rows = 2 if height < 30 else 5
    foot: list[Line] = [((text, "muted" if i == 0 else "warning"),) for i, text in enumerate(
        freshness_lines(tick, now=now, zone=zone))]  # fmt: skip
    if view.trouble:
        foot.append(((view.trouble, "alert"),))
    head = [
        _title_line(tick, view, width, zone),
        _traffic_line(tick, rule),
        *_curve_lines(tick, rule, curve_rows, width, ascii_only=view.ascii_only),
        _status_line(tick),
    ]
    # The keys take the last line. Of what is left, alerts and tops get a quarter each, sections the rest.
    room = max(0, height - 1 - len(head) - len(foot))
    alert_rows = min(len(tick.alerts), max(1, room // 4 - 1)) if tick.alerts else 0
    alerts = _alert_lines(tick, alert_rows, now, zone)
    top_rows = max(0, min(10, room // 4))
    tops = list(_top_lines(tick, top_rows, width))
    sections = _section_lines(tick, room - len(alerts) - len(tops), width, ascii_only=view.ascii_only)
    blocks = [head, [*sections], tops, alerts, foot]
    spare = height - 1 - sum(len(block) for block in blocks)
    gap: list[Line] = [(("", ""),)] if spare >= len(blocks) else []
    return [line for block in blocks for line in [*block, *(gap if block else [])]]


def _title_line(tick: Tick, view: View, width: int, zone: tzinfo | None) -> Line:
    start, end = tick.question.start.astimezone(zone), tick.question.end.astimezone(zone)
    state: Piece = {
        "live": ("following", "good"),
        "paused": ("PAUSED", "warning"),
        "past": ("PAST, f follows", "warning"),
    }[view.mode]  # type: ignore[assignment]
    day = f"{start:%Y-%m-%d} " if width >= 70 else ""
    when = f"{day}{start:%H:%M:%S} to {end:%H:%M:%S} {offset_text(end)}"
    return _spread(((f"{view.title}  ", "title"), (when, "")), (state,), width)


def _traffic_line(tick: Tick, rule: TrafficRule) -> Line:
    question = tick.question
    average = tick.window_hits / question.window_seconds
    over = average > rule.threshold
    pieces: list[Piece] = [
        (f"{tick.hits / question.seconds:.2f} hits/s now, ", ""),
        (
            f"{average:.2f} over {window_text(question.window_seconds)}{' (above)' if over else ''}",
            "over" if over else "",
        ),
        (f", threshold {rule.threshold:g}; {tick.overall_hits:,} overall", ""),
    ]
    return tuple(pieces)


def _curve_lines(tick: Tick, rule: TrafficRule, rows: int, width: int, *, ascii_only: bool) -> Iterator[Line]:
    rates = [hits / 10 for hits in tick.history]
    label_width = 16
    drawn = curve(
        rates, width=max(0, width - label_width), height=rows, threshold=rule.threshold, ascii_only=ascii_only
    )
    minutes = len(tick.history) // 6
    for number, text in enumerate(drawn.rows):
        label = ""
        if number == drawn.threshold_row:
            label = f"- {rule.threshold:g} threshold"
        elif number == 0:
            label = f"  {drawn.top:.4g} hits/s"
        elif number == rows - 1:
            label = f"  last {minutes} min"
        yield (*_curve_pieces(text, drawn.over), (fitted(label, label_width), "muted"))


def _curve_pieces(text: str, over: Sequence[bool]) -> Iterator[Piece]:
    start = 0
    for position in range(1, len(text) + 1):
        if position == len(text) or over[position] != over[start]:
            yield text[start:position], "over" if over[start] else "bar"
            start = position


def _status_line(tick: Tick) -> Line:
    roles: dict[str, Role] = {"2xx": "good", "4xx": "warning", "5xx": "alert"}
    pieces: list[Piece] = []
    for name in STATUS_CLASSES:
        hits = tick.status[name]
        if name != "1xx" or hits:
            pieces.append((f"{name} {hits:,}", roles.get(name, "") if hits else "muted"))
            pieces.append(("  ", ""))
    clients = "" if tick.clients is None else f"  {tick.clients:,} clients"
    return (*pieces, (f"{bytes_text(tick.bytes)}{clients}", ""))


# Head, width and sort key of each number column, in the order in which they are given up where room is short.
_COLUMNS: tuple[tuple[str, int, SortKey | None], ...] = (
    ("hits", 7, "hits"),
    ("share", 6, None),
    ("avg", 8, "average"),
    ("5xx", 6, "5xx"),
    ("4xx", 6, "4xx"),
    ("overall", 9, "overall"),
    ("bytes", 8, "bytes"),
)
_SHOWN_ORDER = ("hits", "share", "avg", "4xx", "5xx", "bytes", "overall")
_LEAST_NAME = 14


def _section_lines(tick: Tick, rows: int, width: int, *, ascii_only: bool) -> Iterator[Line]:
    if rows < 2:
        return
    question = tick.question
    fitting = _fitting_columns(width)
    numbers_width = sum(column_width + 1 for _, column_width, _ in fitting)
    left = max(0, width - numbers_width)
    name_width = left if left < 20 else min(48, max(_LEAST_NAME, left * 2 // 3))
    bar_width = left - name_width - 1
    # One row is the head, one the total; one more the others, unless every section is shown.
    shown, others, other_count = tick.named(rows - 2)
    if others != SectionCounts():
        shown, others, other_count = tick.named(rows - 3)
    labelled = [(printable(name), counts, "") for name, counts in shown]
    if others != SectionCounts():
        labelled.append((f"(others: {other_count:,})", others, "muted"))
    labelled.append(("total", tick.total, "title"))
    filtered = f"section [{printable(question.matching)}]" if question.matching else "section"
    heads = [
        fitted(_column_head(head, key, question.sort, question.window_seconds), column_width, right=True)
        for head, column_width, key in fitting
    ]
    bar_head = " " * (bar_width + 1) if bar_width > 0 else ""
    yield ((" ".join([fitted(filtered, name_width) + bar_head, *heads]), "head"),)
    most = max((counts.hits for _, counts in shown), default=0)
    for name, counts, role in labelled:
        cut_name = fitted(name, name_width)
        bar = ""
        if bar_width > 0:
            bar = " " + ("" if role else _bar(counts.hits, most, bar_width, ascii_only=ascii_only))
            bar = bar[: bar_width + 1].ljust(bar_width + 1)
        numbers = _numbers(tick, counts)
        cells_of_row = (fitted(numbers[head], column_width, right=True) for head, column_width, _ in fitting)
        plain_role: Role = role  # type: ignore[assignment]
        yield ((cut_name, plain_role), (bar, "bar"), *((f" {text}", plain_role) for text in cells_of_row))


def _fitting_columns(width: int) -> list[tuple[str, int, SortKey | None]]:
    fitting: list[tuple[str, int, SortKey | None]] = []
    room = width - _LEAST_NAME
    for column in _COLUMNS:
        if room < column[1] + 1:
            break
        fitting.append(column)
        room -= column[1] + 1
    return sorted(fitting, key=lambda column: _SHOWN_ORDER.index(column[0]))


def _column_head(head: str, key: SortKey | None, sort: SortKey, window_seconds: int) -> str:
    name = f"{head} {window_text(window_seconds)}" if head == "avg" else head
    return f"*{name}" if key == sort else name


def _numbers(tick: Tick, counts: SectionCounts) -> dict[str, str]:
    return {
        "hits": count_text(counts.hits, 7),
        "share": share_text(counts.hits, tick.total.hits),
        "avg": f"{counts.window_hits / tick.question.window_seconds:.2f}",
        "4xx": count_text(counts.status_4xx, 6),
        "5xx": count_text(counts.status_5xx, 6),
        "bytes": bytes_text(counts.bytes),
        "overall": count_text(counts.overall_hits, 9),
    }


def count_text(count: int, width: int) -> str:
    """A count with thousands separated; where that is too wide, in thousands, millions or more."""
    text = f"{count:,}"
    if len(text) <= width:
        return text
    value = float(count)
    unit = ""
    for larger in ("k", "M", "G", "T", "P"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f}{unit}" if value < 99.95 else f"{value:.0f}{unit}"


def _bar(hits: int, most: int, width: int, *, ascii_only: bool) -> str:
    if hits <= 0 or most <= 0 or width <= 0:
        return ""
    length = min(width, max(1, round(width * hits / most)))
    return ("#" if ascii_only else "█") * length


def _top_lines(tick: Tick, rows: int, width: int) -> Iterator[Line]:
    kinds = [kind for kind in ("clients", "paths", "agents") if tick.top[kind]]
    if rows < 2 or not kinds:
        return
    kinds = kinds[: 3 if width >= 120 else 2]
    column = (width - 2 * (len(kinds) - 1)) // len(kinds)
    yield (("  ".join(fitted(f"top {kind}", column) for kind in kinds), "head"),)
    for row in range(min(rows - 1, max(len(tick.top[kind]) for kind in kinds))):
        parts = []
        for kind in kinds:
            named = tick.top[kind]
            if row < len(named):
                name, hits = named[row]
                count = f" {count_text(hits, 7)}"
                parts.append(fitted(printable(name), column - len(count)) + count)
            else:
                parts.append(" " * column)
        yield (("  ".join(parts), ""),)


def _alert_lines(tick: Tick, rows: int, now: datetime, zone: tzinfo | None) -> list[Line]:
    if rows < 1:
        return [(("no alerts so far", "muted"),)]
    still_open = {(alert.rule_id, alert.sequence) for alert in tick.open_alerts}
    lines: list[Line] = [(("alerts, newest last", "head"),)]
    for alert in tick.alerts[-rows:]:
        opened = (alert.rule_id, alert.sequence) in still_open
        role: Role = "alert" if opened else ("good" if not alert.opens else "")
        lines.append(
            (
                (f"{near_time(alert.time, now, zone)} ", ""),
                (f"{printable(alert.action):<10} ", role),
                (f"{_alert_age(tick, alert, now, opened=opened)}; ", role),
                (printable(alert.message), ""),
            )
        )
    return lines


def _alert_age(tick: Tick, alert: Alert, now: datetime, *, opened: bool) -> str:
    if opened:
        since = alert.started_at or alert.time
        return f"{open_state(tick.operations, alert, now)} for {_span(now - since)}"
    age = f"{_span(now - alert.time)} ago"
    if alert.started_at is not None and alert.ended_at is not None:
        return f"{age}, lasted {_span(alert.ended_at - alert.started_at)}"
    return age


def _span(length: timedelta) -> str:
    return duration_text(max(0.0, length.total_seconds()))


def _help_lines() -> Iterator[Line]:
    yield (("keys", "title"),)
    for key, meaning in HELP:
        yield ((f"  {key:<12}", "head"), (meaning, ""))


def _spread(left: Line, right: Line, width: int) -> Line:
    used = cells(line_text(left)) + cells(line_text(right))
    return (*left, (" " * max(1, width - used), ""), *right)


def _cut(line: Line, width: int) -> Line:
    """The line in at most ``width`` columns."""
    kept: list[Piece] = []
    room = width
    for text, role in line:
        if cells(text) > room:
            kept.append((fitted(text, room), role))
            break
        kept.append((text, role))
        room -= cells(text)
    return tuple(kept)
