"""Guards the report: points fit together, numbers add up, and nothing of a log can act in the browser."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.names import Names
from reading.alerts import Alert
from reading.figures import alert_spans, report_object
from reading.report import (
    Report,
    ReportQuestion,
    SectionTotals,
    report_question,
    report_searches,
    shape_report,
)
from reading.report_page import report_json, report_page
from reading.rule import TrafficRule

END = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EVIL = "</script><script>alert(1)</script>\x1b\u202e"


@pytest.mark.parametrize(
    ("span", "step"),
    [("10s", 10), ("2h", 10), ("3h", 30), ("24h", 300), ("7d", 900), ("30d", 3600), ("365d", 43_200)],
)
def test_the_step_follows_the_span(span: str, step: int) -> None:
    from provisioning.settings import duration_seconds

    question = report_question(END - timedelta(seconds=duration_seconds(span)), END)
    assert question.step_seconds == step


@given(st.floats(1, 4e8), st.floats(0, 4e9))
def test_points_cover_the_span_without_gap(length: float, end: float) -> None:
    ends_at = datetime.fromtimestamp(end, UTC)
    question = report_question(ends_at - timedelta(seconds=length), ends_at)
    points = question.points
    assert 1 <= len(points) <= 752 or question.step_seconds == 86_400
    assert points[0] == question.start
    assert all(point.timestamp() % question.step_seconds == 0 for point in points[:3])
    assert sum(question.covered_seconds(point) for point in points) == pytest.approx(
        (question.end - question.start).total_seconds()
    )


def test_hours_are_read_only_where_a_point_is_an_hour() -> None:
    def spans(question: ReportQuestion) -> list[Any]:
        should = report_searches(Names(), question)[0][1]["query"]["bool"]["should"]
        fine, hours = (part["bool"]["filter"][-1]["range"]["@timestamp"] for part in should)
        return [fine["gte"], fine["lt"], hours["gte"], hours["lt"]]

    week = report_question(END - timedelta(days=7), END)
    assert spans(week) == [week.start.isoformat(), END.isoformat(), *[week.start.isoformat()] * 2]
    month = report_question(END - timedelta(days=30), END)
    cut = (END - timedelta(hours=1)).isoformat()
    assert spans(month) == [cut, END.isoformat(), month.start.isoformat(), cut]


def buckets(question: ReportQuestion, counts: dict[int, int]) -> dict[str, Any]:
    """An answer's points: the number of the point, and its hits."""
    names = ("bytes", "1xx", "2xx", "3xx", "4xx", "5xx")
    return {
        "buckets": [
            {
                "key": int(question.points[number].timestamp() * 1000),
                "hits": {"value": float(hits)},
                **{name: {"value": 0.0} for name in names},
            }
            for number, hits in counts.items()
        ]
    }


def test_answers_become_curves_whose_sections_add_up() -> None:
    question = ReportQuestion(END - timedelta(seconds=30), END, 10, 1)
    section = {"key": "/a", "points": buckets(question, {0: 3, 2: 1})}
    section |= {name: {"value": 4.0} for name in ("hits", "bytes", "4xx", "5xx")}
    found = {"hits": {"total": {"value": 2}, "hits": []}}
    report = shape_report(
        question,
        [
            {"aggregations": {"points": buckets(question, {0: 5, 2: 1}), "sections": {"buckets": [section]}}},
            {
                "aggregations": {
                    "points": buckets(question, {0: 5, 2: 1}),
                    "peak": {"value": None},
                    "fine": {"peak": {"value": 5.0}},
                }
            },
            {"aggregations": {"newest": {"value": END.timestamp() * 1000}}},
            found,
            {"hits": {}},
            found,
        ],
    )
    assert report.hits == (5, 0, 1)
    assert report.sections == (("/a", (3, 0, 1)),)
    assert report.other_sections == (2, 0, 0)
    assert (report.peak, report.unparsed, report.clients) == (5, 2, ())
    assert report.newest_summary == END


def alert(action: str, second: int, identity: str = "") -> Alert:
    return Alert(END - timedelta(seconds=second), action, "high-traffic", "High traffic", EVIL, identity)


def made_report(alerts: tuple[Alert, ...] = ()) -> Report:
    question = ReportQuestion(END - timedelta(seconds=25), END, 10)
    return Report(
        question=question,
        hits=(100, 0, 50),
        bytes=(5, 0, 5),
        status={"1xx": (0, 0, 0), "2xx": (90, 0, 50), "3xx": (0, 0, 0), "4xx": (0, 0, 0), "5xx": (10, 0, 0)},
        sections=((EVIL, (90, 0, 50)),),
        other_sections=(10, 0, 0),
        section_totals=(SectionTotals(EVIL, 140, 8, 0, 10),),
        peak=100,
        alerts=alerts,
        clients=((EVIL, 7),),
        paths=(),
        unparsed=0,
        newest_summary=END - timedelta(seconds=10),
    )


def test_a_time_in_which_an_alert_was_open() -> None:
    alerts = (
        alert("recovered", 24, "a"),
        alert("triggered", 20, "b"),
        alert("renotified", 15, "b"),
        alert("recovered", 12, "b"),
        alert("triggered", 5, "c"),
    )
    spans = [
        ((END - start).seconds, (END - end).seconds) for _, start, end in alert_spans(made_report(alerts))
    ]
    assert spans == [(24, 24), (20, 12), (5, 0)]


def test_the_rate_of_a_point_that_is_cut_short_is_over_what_it_covers() -> None:
    shown = report_object(made_report(), TrafficRule(), now=END, zone=UTC)
    assert shown["figures"]["traffic"]["data"][0]["y"] == [10.0, 0.0, 10.0]
    assert shown["tables"]["sections"]["rows"][0][1:] == ["140", "93.3%", "0", "10", "8 B"]
    assert ["5xx", "10 (6.7%)"] in shown["tiles"]


def test_nothing_of_the_log_can_act_in_the_page() -> None:
    shown = report_object(made_report((alert("triggered", 5),)), TrafficRule(), now=END, zone=UTC)
    text = report_json(shown)
    assert "</script" not in text
    assert "<" not in text
    # Plotly reads a few tags in names: none is left one.
    assert "&lt;/script&gt;" in json.loads(text)["figures"]["sections"]["data"][0]["name"]
    assert "\u202e" not in json.dumps(shown, ensure_ascii=False)


def test_the_page_needs_nothing_else() -> None:
    shown = report_object(made_report(), TrafficRule(), now=END, zone=UTC)
    page = report_page(shown, title="a <b> title")
    assert "a &lt;b&gt; title" in page
    assert "default-src 'none'" in page
    assert "connect-src 'none'" in page
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", page[: page.index("<script>")])
    assert "fetch(" not in page[page.rindex('"use strict"') :]
    live = report_page(shown, title="t", live_seconds=10)
    assert "connect-src 'self'" in live
    assert "}, 10000);" in live
