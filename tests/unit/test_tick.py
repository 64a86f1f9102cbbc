"""Guards what a tick asks (one round trip, the right interval) and that what is shown adds up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from provisioning.names import Names
from reading.alerts import Alert, open_alerts
from reading.tick import Question, SectionCounts, shape_tick, tick_searches
from tests.unit.ticks import busy_tick

END = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)


def aggregated(
    hits: int, *, now: int, window: int, transferred: int = 0, failed: tuple[int, int] = (0, 0)
) -> dict[str, Any]:
    return {
        "now": {
            "doc_count": 1,
            "hits": {"value": float(now)},
            "bytes": {"value": float(transferred)},
            "4xx": {"value": float(failed[0])},
            "5xx": {"value": float(failed[1])},
        },
        "window": {"doc_count": 1, "hits": {"value": float(window)}},
        "hits": {"value": float(hits)},
    }


def found(*sources: dict[str, Any], total: int = 0) -> dict[str, Any]:
    return {"hits": {"total": {"value": total}, "hits": [{"_source": source} for source in sources]}}


def summary(end_offset: int, hits: int, **more: Any) -> dict[str, Any]:
    start = END - timedelta(seconds=end_offset)
    return {"@timestamp": start.isoformat().replace("+00:00", ".000Z"), "httpmon": {"hits": hits, **more}}


def answers(**given: dict[str, Any]) -> list[dict[str, Any]]:
    nothing: dict[str, dict[str, Any]] = {
        "sections": {
            "aggregations": {
                "matching": {"sections": {"buckets": []}},
                "distinct": {"sections": {"value": 0}},
                **aggregated(0, now=0, window=0),
            }
        },
        "history": found(),
        "documents": found(),
        "overall": {
            "aggregations": {
                "before": {"hits": {"value": 0.0}, "bytes": {"value": 0.0}},
                "newest": {"value": None},
            }
        },
        "alerts": found(),
        "by_alert": found(),
        "operations": found(),
        "newest_hit": found(),
        "unparsed": found(),
        "unparsed_now": found(),
        "headers": found(),
        "watches": found(),
        "runs": found(),
    }
    return list((nothing | given).values())


def terms(searches: list[Any]) -> dict[str, Any]:
    return searches[0][1]["aggs"]["matching"]["aggs"]["sections"]["terms"]  # type: ignore[no-any-return]


def test_the_searches_read_the_summaries_of_the_interval() -> None:
    searches = tick_searches(Names("shop"), Question(end=END, top=3))
    assert [header["index"] for header, _ in searches] == [
        "httpmon-shop-sections,httpmon-shop-sections-hourly",
        *["httpmon-shop-traffic"] * 2,
        "httpmon-shop-traffic,httpmon-shop-traffic-hourly",
        *["httpmon-shop-alerts"] * 2,
        "httpmon-shop-operations",
        *["logs-httpmon.access-shop"] * 4,
        ".httpmon-shop-watches",
        ".watcher-history-*",
    ]
    sections = searches[0][1]
    assert sections["aggs"]["now"]["filter"]["range"]["@timestamp"] == {
        "gte": "2026-03-01T12:00:00+00:00",
        "lt": "2026-03-01T12:00:10+00:00",
        "format": "strict_date_optional_time",
    }
    assert sections["aggs"]["window"]["filter"]["range"]["@timestamp"]["gte"] == "2026-03-01T11:58:10+00:00"
    assert terms(searches)["size"] == 3
    json.dumps(searches)


def test_what_may_be_absent_is_empty() -> None:
    searches = tick_searches(Names(), Question(end=END))
    lenient = {header["index"] for header, _ in searches if header.get("ignore_unavailable")}
    assert lenient == {
        "httpmon-sections,httpmon-sections-hourly",
        "httpmon-traffic,httpmon-traffic-hourly",
        "logs-httpmon.access-default",
        "httpmon-operations",
        ".httpmon-watches",
        ".watcher-history-*",
    }
    whole = [header["index"] for header, _ in searches if header.get("allow_partial_search_results") is False]
    assert len(whole) == len(searches) - 1  # a number may not be half; the engine's own history may be away


def test_the_past_shows_no_alert_of_its_future() -> None:
    def of_alerts(question: Question) -> list[dict[str, Any]]:
        searches = tick_searches(Names(), question)
        return [body for header, body in searches if header["index"] == "httpmon-alerts"]

    for body in of_alerts(Question(end=END, past=True)):
        assert body["query"]["bool"]["filter"][1]["range"]["@timestamp"]["lte"] == END.isoformat()
    assert len(of_alerts(Question(end=END))[1]["query"]["bool"]["filter"]) == 1


def test_nothing_at_all_is_zeros() -> None:
    tick = shape_tick(Question(end=END), answers())
    assert tick.sections == ()
    assert tick.others == tick.total == SectionCounts()
    assert (tick.hits, tick.bytes, tick.clients, tick.window_hits) == (0, 0, None, 0)
    assert tick.history == (0,) * 60
    assert set(tick.status.values()) == {0}
    assert tick.newest_summary is None
    assert tick.newest_hit is None


def test_a_watch_fails_if_it_is_still_there_and_active() -> None:
    known = [{"type": "definition", "id": name} for name in ("a", "b", "c")]
    failing = [{"type": "status", "id": name} for name in ("c", "a", "removed or at rest")]
    tick = shape_tick(Question(end=END), answers(watches=found(*known, *failing)))
    assert tick.failing == ("a", "c")


def test_watches_of_the_engine_whose_last_run_failed_are_named() -> None:
    def run(name: str, state: str, *statuses: str) -> dict[str, Any]:
        actions = [{"status": status} for status in statuses]
        return {"key": name, "last": found({"state": state, "result": {"actions": actions}})}

    buckets = [
        run("fine", "executed", "success"),
        run("refused", "executed", "success", "failure"),
        run("broken", "failed"),
        run("quiet", "execution_not_needed"),
    ]
    given = answers(runs={"aggregations": {"watches": {"buckets": buckets}}})
    assert shape_tick(Question(end=END), given).failing == ("broken", "refused")


def test_others_hold_what_the_named_sections_do_not() -> None:
    tick = shape_tick(
        Question(end=END, top=2),
        answers(
            sections={
                "aggregations": {
                    "matching": {
                        "sections": {
                            "buckets": [
                                {
                                    "key": "/a",
                                    **aggregated(100, now=5, window=40, transferred=50, failed=(2, 1)),
                                },
                                {"key": "/idle", **aggregated(900, now=0, window=30)},
                            ]
                        }
                    },
                    "distinct": {"sections": {"value": 4}},
                    **aggregated(1500, now=9, window=90, transferred=80, failed=(3, 1)),
                }
            }
        ),
    )
    assert tick.sections == (("/a", SectionCounts(5, 50, 2, 1, 40, 100)),)
    assert tick.others == SectionCounts(4, 30, 1, 0, 50, 1400)
    assert tick.other_sections == 3


def test_the_history_fills_the_gaps_with_zero_and_ends_with_the_interval() -> None:
    tick = shape_tick(
        Question(end=END, history_seconds=60, window_seconds=40),
        answers(history=found(summary(60, 7), summary(30, 3), summary(10, 5))),
    )
    assert tick.history == (7, 0, 0, 3, 0, 5)
    assert tick.window_hits == 8


def test_a_window_longer_than_the_history_is_summed_whole() -> None:
    question = Question(end=END, history_seconds=20, window_seconds=40)
    assert tick_searches(Names(), question)[1][1]["size"] == 4
    tick = shape_tick(question, answers(history=found(summary(40, 7), summary(10, 5))))
    assert tick.history == (0, 5)
    assert tick.window_hits == 12


def test_several_buckets_are_added_and_their_tops_merged() -> None:
    first = summary(
        20, 4, bytes=10, clients=2, status={"2xx": 4}, top={"clients": {"10.0.0.1": 3, "10.0.0.2": 1}}
    )
    second = summary(10, 3, bytes=5, clients=2, status={"2xx": 1, "5xx": 2}, top={"clients": {"10.0.0.2": 3}})
    tick = shape_tick(Question(end=END, seconds=20), answers(documents=found(first, second)))
    assert (tick.hits, tick.bytes) == (7, 15)
    assert tick.status == {"1xx": 0, "2xx": 5, "3xx": 0, "4xx": 0, "5xx": 2}
    assert tick.top["clients"] == (("10.0.0.2", 4), ("10.0.0.1", 3))
    assert tick.clients is None, "distinct clients of two buckets cannot be added"


def test_alerts_come_oldest_first_and_only_unrecovered_ones_are_open() -> None:
    def document(rule: str, action: str, time: str) -> dict[str, Any]:
        return {"@timestamp": time, "event": {"action": action}, "rule": {"id": rule}, "message": "m"}

    newest_first = [
        document("high-traffic", "recovered", "2026-03-01T12:00:00.000Z"),
        document("errors", "triggered", "2026-03-01T11:00:00Z"),
    ]
    tick = shape_tick(Question(end=END), answers(alerts=found(*newest_first), by_alert=found(*newest_first)))
    assert [alert.action for alert in tick.alerts] == ["triggered", "recovered"]
    assert [alert.rule_id for alert in tick.open_alerts] == ["errors"]
    assert tick.alerts[0].time == datetime(2026, 3, 1, 11, tzinfo=UTC)


def test_a_later_alert_of_a_rule_takes_the_place_of_an_earlier_one() -> None:
    def alert(action: str, sequence: int, key: str = "") -> Alert:
        return Alert(END, action, "r", "R", "", f"r-{sequence}", sequence, key)

    silent, triggered, recovered = alert("no_data", 1), alert("triggered", 2), alert("recovered", 3)
    assert open_alerts([silent]) == (silent,)
    assert open_alerts([silent, triggered]) == (triggered,)
    assert open_alerts([silent, recovered]) == ()
    others = [alert("triggered", 4, "192.0.2.1"), alert("triggered", 5, "192.0.2.2")]
    assert open_alerts([*others, recovered]) == tuple(others)


def test_the_sections_fall_by_what_they_are_sorted_by() -> None:
    searches = tick_searches(Names(), Question(end=END, sort="5xx"))
    assert terms(searches)["order"] == [
        {"now>5xx": "desc"}, {"now>hits": "desc"}, {"hits": "desc"}, {"_key": "asc"}
    ]  # fmt: skip
    searches = tick_searches(Names(), Question(end=END, sort="overall"))
    assert terms(searches)["order"] == [{"hits": "desc"}, {"now>hits": "desc"}, {"_key": "asc"}]


def test_a_filter_is_literal_text() -> None:
    matching = tick_searches(Names(), Question(end=END, matching="a*?\\"))[0][1]["aggs"]["matching"]
    assert matching["filter"] == {
        "wildcard": {"httpmon.section": {"value": r"*a\*\?\\*", "case_insensitive": True}}
    }


def test_fewer_named_sections_leave_more_to_the_others() -> None:
    tick = busy_tick()
    shown, others, count = tick.named(1)
    assert [name for name, _ in shown] == ["/pages"]
    assert others == SectionCounts(8, 933, 5, 0, 100, 500)
    assert count == 3
