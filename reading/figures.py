"""The report's pictures and tables as plain JSON values, for Plotly and the page's script. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from reading.buckets import BUCKET_SECONDS
from reading.plain import bytes_text, duration_text, local_time, offset_text, share_text
from reading.printable import printable
from reading.report import Report
from reading.rule import TrafficRule

# Told apart by people with any common colour vision (Okabe and Ito 2008), and on light and dark ground.
_PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a800", "#7a4fb3", "#5c4033",
            "#66c2a5", "#a6d854", "#e7298a")  # fmt: skip
_STACKED = {"barmode": "stack", "bargap": 0}
_ALERT_COLOUR = "#d55e00"
_NAME_WIDTH = 40
_STATUS_COLOURS = {"1xx": "#7f7f7f", "2xx": "#009e73", "3xx": "#56b4e9", "4xx": "#e69f00", "5xx": "#d55e00"}


def report_object(report: Report, rule: TrafficRule, *, now: datetime, zone: tzinfo | None) -> dict[str, Any]:
    """Everything that the page shows, its times in ``zone``."""
    question = report.question
    x = [f"{point.astimezone(zone):%Y-%m-%d %H:%M:%S}" for point in question.points]
    rates = [
        round(hits / question.covered_seconds(point), 4)
        for hits, point in zip(report.hits, question.points, strict=True)
    ]
    total = sum(report.hits)
    return {
        "span": f"{local_time(question.start, zone)} to {local_time(question.end, zone)}",
        "zone": offset_text(now.astimezone(zone)),
        "made": local_time(now, zone),
        "step": duration_text(question.step_seconds),
        "tiles": _tiles(report, now),
        "figures": {
            "traffic": _traffic_figure(report, rule, x, rates, zone),
            "sections": _sections_figure(report, x),
            "status": _status_figure(report, x),
            "errors": _errors_figure(report, x),
        },
        "tables": {
            "sections": _sections_table(report, total),
            "clients": {"heads": ["client", "hits"], "rows": _counted(report.clients)},
            "paths": {"heads": ["path", "hits"], "rows": _counted(report.paths)},
            "alerts": _alerts_table(report, zone),
        },
    }


def alert_spans(report: Report) -> list[tuple[str, datetime, datetime]]:
    """Rule, start and end of each time in the span during which an alert was open."""
    opened: dict[str, tuple[str, datetime]] = {}
    spans: list[tuple[str, datetime, datetime]] = []
    for alert in report.alerts:
        key = alert.alert_id or alert.rule_id
        started = max(alert.started_at or alert.time, report.question.start)
        if alert.opens:
            opened.setdefault(key, (alert.rule_id, started))
        else:
            _, start = opened.pop(key, (alert.rule_id, started))
            spans.append((alert.rule_id, start, alert.time))
    spans += [(rule, start, report.question.end) for rule, start in opened.values()]
    return sorted(spans, key=lambda span: span[1])


def _tiles(report: Report, now: datetime) -> list[list[str]]:
    total = sum(report.hits)
    failed = sum(report.status["5xx"])
    age = "none"
    if report.newest_summary is not None:
        seconds = (now - report.newest_summary - timedelta(seconds=BUCKET_SECONDS)).total_seconds()
        age = duration_text(max(0.0, seconds))
    return [
        ["hits", f"{total:,}"],
        ["busiest 10 s", f"{report.peak / BUCKET_SECONDS:.1f}/s"],
        ["bytes", bytes_text(sum(report.bytes))],
        ["5xx", f"{failed:,} ({share_text(failed, total)})"],
        ["unparsed lines", f"{report.unparsed:,}"],
        ["alerts", f"{sum(alert.action == 'triggered' for alert in report.alerts):,}"],
        ["newest summary, age", age],
    ]


def _sections_table(report: Report, total: int) -> dict[str, Any]:
    rows = []
    for one in report.section_totals:
        errors = [f"{one.status_4xx:,}", f"{one.status_5xx:,}"]
        counts = [f"{one.hits:,}", share_text(one.hits, total), *errors, bytes_text(one.bytes)]
        rows.append([printable(one.name), *counts])
    return {"heads": ["section", "hits", "share", "4xx", "5xx", "bytes"], "rows": rows}


def _alerts_table(report: Report, zone: tzinfo | None) -> dict[str, Any]:
    rows = []
    for alert in reversed(report.alerts):
        lasted = ""
        if alert.ended_at is not None and alert.started_at is not None:
            lasted = duration_text((alert.ended_at - alert.started_at).total_seconds())
        texts = [printable(text) for text in (alert.rule_id, alert.action)]
        rows.append([local_time(alert.time, zone), *texts, lasted, printable(alert.message)])
    return {"heads": ["time", "rule", "action", "lasted", "message"], "rows": rows}


def _counted(named: Sequence[tuple[str, int]]) -> list[list[str]]:
    return [[printable(name), f"{hits:,}"] for name, hits in named]


def _line(x: list[str], y: Sequence[float], name: str, colour: str, **more: Any) -> dict[str, Any]:
    line = {"color": colour, "width": 1.5}
    # Plotly takes a name for a little HTML; what stands in a log is none.
    text = html.escape(printable(name, _NAME_WIDTH), quote=False)
    return {"type": "scatter", "mode": "lines", "x": x, "y": list(y), "name": text, "line": line, **more}


def _bars(x: list[str], y: Sequence[float], name: str, colour: str) -> dict[str, Any]:
    # Stacked bars, for a stacked line of height nothing is drawn nevertheless.
    text = html.escape(printable(name, _NAME_WIDTH), quote=False)
    marker = {"color": colour, "line": {"width": 0}}
    return {"type": "bar", "x": x, "y": list(y), "name": text, "marker": marker}


def _traffic_figure(
    report: Report, rule: TrafficRule, x: list[str], rates: list[float], zone: tzinfo | None
) -> dict[str, Any]:
    def local(moment: datetime) -> str:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"

    shapes: list[dict[str, Any]] = [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": local(start),
            "x1": local(end),
            "y0": 0,
            "y1": 1,
            "fillcolor": _ALERT_COLOUR,
            "opacity": 0.2,
            "line": {"width": 0},
        }
        for _, start, end in alert_spans(report)
    ]
    shapes.append(
        {
            "type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": rule.threshold,
            "y1": rule.threshold, "line": {"color": "#d55e00", "width": 1, "dash": "dash"},
        }
    )  # fmt: skip
    note = {
        "xref": "paper", "yref": "y", "x": 1, "y": rule.threshold, "xanchor": "right", "yanchor": "bottom",
        "showarrow": False, "text": f"threshold {rule.threshold:g}",
    }  # fmt: skip
    return {
        "title": "Hits per second (alerts shaded)",
        "data": [_line(x, rates, "hits/s", _PALETTE[0], fill="tozeroy")],
        "layout": {"shapes": shapes, "annotations": [note], "yaxis": {"rangemode": "tozero"}},
    }


def _sections_figure(report: Report, x: list[str]) -> dict[str, Any]:
    curves = [
        _bars(x, curve, name, _PALETTE[number % len(_PALETTE)])
        for number, (name, curve) in enumerate(report.sections)
    ]
    if any(report.other_sections):
        curves.append(_bars(x, report.other_sections, "(others)", "#7f7f7f"))
    return {"title": "Hits by section", "data": curves, "layout": _STACKED}


def _status_figure(report: Report, x: list[str]) -> dict[str, Any]:
    return {
        "title": "Hits by status class",
        "data": [
            _bars(x, curve, name, _STATUS_COLOURS[name])
            for name, curve in report.status.items()
            if any(curve)
        ],
        "layout": _STACKED,
    }


def _errors_figure(report: Report, x: list[str]) -> dict[str, Any]:
    def share(name: str) -> list[float]:
        return [
            round(100 * failed / hits, 3) if hits else 0.0
            for failed, hits in zip(report.status[name], report.hits, strict=True)
        ]

    return {
        "title": "Errors, % of hits",
        "data": [_line(x, share(name), name, _STATUS_COLOURS[name]) for name in ("4xx", "5xx")],
        "layout": {"yaxis": {"rangemode": "tozero", "ticksuffix": "%"}},
    }
