"""Guards the searches for changed groups: their filters let every document of these groups through."""

from __future__ import annotations

from typing import Any

from scheduler.transforms.parsing import parse_body
from scheduler.transforms.pivot import groups_filter, groups_search, ordered_sources

BODY = parse_body(
    "example",
    {
        "source": {"index": "raw", "query": {"term": {"event.kind": "event"}}},
        "dest": {"index": "summary"},
        "sync": {"time": {"field": "event.ingested", "delay": "3s"}},
        "pivot": {
            "group_by": {
                "section": {"terms": {"field": "httpmon.section", "missing_bucket": True}},
                "time": {"date_histogram": {"field": "@timestamp", "fixed_interval": "10s"}},
            },
            "aggregations": {"hits": {"value_count": {"field": "@timestamp"}}},
        },
    },
)
SOURCES = ordered_sources(BODY)


def filters(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return groups_filter(SOURCES, keys)


def ranges(found: dict[str, Any]) -> list[tuple[int, int]]:
    alternatives = found["bool"]["should"] if "bool" in found else [found]
    return [(one["range"]["@timestamp"]["gte"], one["range"]["@timestamp"]["lt"]) for one in alternatives]


def test_dates_come_first() -> None:
    assert [source.name for source in SOURCES] == ["time", "section"]


def test_buckets_that_touch_are_one_range() -> None:
    keys = [{"time": time, "section": "/a"} for time in (50_000, 0, 10_000)]

    assert ranges(filters(keys)[0]) == [(0, 20_000), (50_000, 60_000)]


def test_many_buckets_are_few_ranges_that_cover_all_of_them() -> None:
    times = [number * number * 10_000 for number in range(500)]

    found = ranges(filters([{"time": time, "section": "/a"} for time in times])[0])

    assert len(found) == 64
    assert all(any(lower <= time and time + 10_000 <= upper for lower, upper in found) for time in times)


def test_a_missing_value_is_looked_for_too() -> None:
    found = filters([{"time": 0, "section": "/a"}, {"time": 0, "section": None}])[1]

    assert found == {
        "bool": {
            "should": [
                {"terms": {"httpmon.section": ["/a"]}},
                {"bool": {"must_not": {"exists": {"field": "httpmon.section"}}}},
            ]
        }
    }


def test_a_search_is_bounded_by_query_and_upper_bound_and_skips_what_is_done() -> None:
    request = groups_search(BODY, size=10, upper=99, after={"time": 50_000, "section": None})

    assert request["query"]["bool"]["filter"] == [
        {"term": {"event.kind": "event"}},
        {"range": {"event.ingested": {"lt": 99, "format": "epoch_millis"}}},
        {"range": {"@timestamp": {"gte": 50_000, "format": "epoch_millis"}}},
    ]
    assert request["aggregations"]["groups"]["composite"]["after"] == {"time": 50_000, "section": None}
