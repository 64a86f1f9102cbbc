"""Guards that the executor writes what a native transform writes, field for field.

The expected documents are the rules probed on a native Elasticsearch: number forms, nulls, names, dates,
rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from engine.client import Engine
from engine.errors import HttpmonError
from provisioning.settings import Settings
from scheduler.transforms.body import UnsupportedTransform
from scheduler.transforms.parsing import parse_body
from scheduler.transforms.preview import Preview, preview
from scheduler.transforms.source import SourceMissing

pytestmark = pytest.mark.node

MAPPINGS = {
    "properties": {
        "@timestamp": {"type": "date"},
        "day": {"type": "date", "format": "yyyy-MM-dd"},
        "epoch": {"type": "date", "format": "epoch_second"},
        "nanos": {"type": "date_nanos"},
        "section": {"type": "keyword"},
        "tags": {"type": "keyword"},
        "status": {"type": "long"},
        "bytes": {"type": "long"},
        "same": {"type": "long"},
        "huge": {"type": "long"},
        "ratio": {"type": "double"},
        "narrow": {"type": "float"},
        "secure": {"type": "boolean"},
        "client": {"type": "ip"},
        "part": {"type": "alias", "path": "section"},
    }
}
DOCUMENTS: list[dict[str, Any]] = [
    {
        "@timestamp": "2024-03-31T00:30:00.500Z",
        "day": "2024-03-31",
        "epoch": 1704076020,
        "nanos": "2024-03-31T00:30:00.123456789Z",
        "section": "/api",
        "tags": ["a", "b"],
        "status": 500,
        "bytes": 100,
        "same": 8,
        "huge": 9007199254740993,
        "ratio": 1.5,
        "narrow": -0.1,
        "secure": True,
        "client": "192.0.2.1",
    },
    {
        "@timestamp": "2024-03-31T01:30:00Z",
        "day": "2024-03-30",
        "epoch": 1704076021,
        "section": "/api",
        "tags": ["b"],
        "status": 200,
        "bytes": 300,
        "same": 8,
        "ratio": 10.0,
        "narrow": 2.0,
        "secure": False,
        "client": "192.0.2.2",
    },
    {"@timestamp": "2024-04-01T12:00:00Z", "section": "/empty", "status": 204},
    {"@timestamp": "2024-04-01T12:00:09.999Z", "status": 404, "bytes": 7},
]

Run = Callable[..., Preview]


@pytest.fixture
def source(engine: Engine, settings: Settings) -> Iterator[str]:
    index = settings.names.of("forms")
    engine.request("PUT", f"/{index}", body={"mappings": MAPPINGS})
    fill(engine, index, DOCUMENTS)
    yield index


@pytest.fixture
def run(engine: Engine, source: str) -> Run:
    """Preview a pivot or latest over the source."""

    def previewed(**content: Any) -> Preview:
        content.setdefault("source", {"index": source})
        parsed = parse_body("forms", {"dest": {"index": "nowhere"}, **content})
        return preview(engine, parsed)

    return previewed


def fill(engine: Engine, index: str, documents: Sequence[Mapping[str, Any]]) -> None:
    lines = "".join(f'{{"index":{{}}}}\n{json.dumps(document)}\n' for document in documents)
    answer = engine.bulk(lines.encode(), target=index, params={"refresh": "true"})
    assert not answer["errors"], answer


def by_section(**aggregations: Any) -> dict[str, Any]:
    group = {"section": {"terms": {"field": "section"}}}
    return {"group_by": group, "aggregations": aggregations or {"n": {"value_count": {"field": "status"}}}}


def by(group: Mapping[str, Any], **aggregations: Any) -> dict[str, Any]:
    return {
        "group_by": {"key": group},
        "aggregations": aggregations or {"n": {"value_count": {"field": "@timestamp"}}},
    }


def exactly(document: Any) -> str:
    """As JSON, in which 1 and 1.0 differ; the order of keys carries no meaning."""
    return json.dumps(document, sort_keys=True)


# -- aggregations ----------------------------------------------------------------------------------------

AGGREGATIONS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    # name: (aggregation, value over the two documents of /api, value over /empty that lacks the fields)
    "value_count": ({"value_count": {"field": "bytes"}}, 2, 0),
    "cardinality": ({"cardinality": {"field": "client"}}, 2, 0),
    "sum": ({"sum": {"field": "bytes"}}, 400.0, 0.0),
    "avg": ({"avg": {"field": "bytes"}}, 200.0, None),
    "min of a long": ({"min": {"field": "bytes"}}, 100, None),
    "max of a long": ({"max": {"field": "bytes"}}, 300, None),
    "max of a double": ({"max": {"field": "ratio"}}, 10.0, None),
    "min of a float is widened": ({"min": {"field": "narrow"}}, -0.10000000149011612, None),
    "min of a date in its own format": ({"min": {"field": "day"}}, "2024-03-30", None),
    "max of a date in its own format": ({"max": {"field": "epoch"}}, "1704076021", None),
    "avg of a date is milliseconds": ({"avg": {"field": "epoch"}}, 1704076020500.0, None),
    "max of a boolean is a text": ({"max": {"field": "secure"}}, "true", None),
    "weighted_avg": (
        {"weighted_avg": {"value": {"field": "bytes"}, "weight": {"field": "ratio"}}},
        3150.0 / 11.5,
        None,
    ),
    "median_absolute_deviation": ({"median_absolute_deviation": {"field": "same"}}, 0.0, None),
    "stats": (
        {"stats": {"field": "bytes"}},
        {"count": 2.0, "min": 100.0, "max": 300.0, "avg": 200.0, "sum": 400.0},
        {"count": 0.0, "sum": 0.0},
    ),
    # Estimates, and not the same ones on each engine: so of values that leave no choice.
    "percentiles": (
        {"percentiles": {"field": "same", "percents": [50, 99.9]}},
        {"50": 8.0, "99_9": 8.0},
        {"50": None, "99_9": None},
    ),
    "percentiles not keyed": (
        {"percentiles": {"field": "same", "percents": [50], "keyed": False}},
        {"50": 8.0},
        {"50": None},
    ),
    "filter": ({"filter": {"range": {"status": {"gte": 500}}}}, 1, 0),
    "filter with others inside": (
        {
            "filter": {"range": {"status": {"gte": 500}}},
            "aggs": {"n": {"value_count": {"field": "status"}}, "b": {"sum": {"field": "bytes"}}},
        },
        {"n": 1, "b": 100.0},
        {"n": 0, "b": 0.0},
    ),
    "missing": ({"missing": {"field": "bytes"}}, 0, 1),
    "range": (
        {"range": {"field": "status", "ranges": [{"key": "slow.x", "from": 500}, {"to": 300}]}},
        {"slow_x": 1, "*-300": 1},
        {"slow_x": 0, "*-300": 1},
    ),
    "range named by its bounds": (
        {"range": {"field": "ratio", "keyed": True, "ranges": [{"to": 1}, {"from": 1, "to": 10.5}]}},
        {"*-1": 0, "1-10_5": 2},
        {"*-1": 0, "1-10_5": 0},
    ),
    "range named by its bounds with others inside": (
        {
            "range": {"field": "status", "ranges": [{"from": 0}]},
            "aggs": {"n": {"value_count": {"field": "status"}}},
        },
        {"0-*": {"n": 2.0}},
        {"0-*": {"n": 1.0}},
    ),
    "range with others inside": (
        {
            "range": {"field": "status", "ranges": [{"key": "all", "from": 0}]},
            "aggs": {"n": {"value_count": {"field": "status"}}},
        },
        {"all": {"n": 2.0}},
        {"all": {"n": 1.0}},
    ),
    "terms": ({"terms": {"field": "status"}}, {"200": 1, "500": 1}, {"204": 1}),
    "terms of addresses keep their dots": (
        {"terms": {"field": "client"}},
        {"192.0.2.1": 1, "192.0.2.2": 1},
        {},
    ),
    "terms of booleans": ({"terms": {"field": "secure"}}, {"true": 1, "false": 1}, {}),
    "terms with others inside": (
        {"terms": {"field": "status"}, "aggs": {"c": {"cardinality": {"field": "client"}}}},
        {"200": {"c": 1.0}, "500": {"c": 1.0}},
        {"204": {"c": 0.0}},
    ),
    "scripted_metric": (
        {
            "scripted_metric": {
                "init_script": "state.n = 0",
                "map_script": "state.n += 1",
                "combine_script": "return state.n",
                "reduce_script": "long n = 0; for (s in states) { n += s } return ['n': n]",
            }
        },
        {"n": 2},
        {"n": 1},
    ),
}


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_aggregation(run: Run, name: str) -> None:
    aggregation, over_values, over_nothing = AGGREGATIONS[name]

    documents = run(pivot=by_section(x=aggregation)).documents

    assert exactly(documents) == exactly(
        [{"section": "/api", "x": over_values}, {"section": "/empty", "x": over_nothing}]
    )


def test_a_bucket_script_over_null_leaves_its_field_out(run: Run) -> None:
    script = {"bucket_script": {"buckets_path": {"b": "mean"}, "script": "params.b / 100"}}
    documents = run(pivot=by_section(mean={"avg": {"field": "bytes"}}, x=script)).documents

    assert exactly(documents) == exactly(
        [{"section": "/api", "mean": 200.0, "x": 2.0}, {"section": "/empty", "mean": None}]
    )


def test_a_bucket_selector_over_null_drops_the_row(run: Run) -> None:
    selector = {"bucket_selector": {"buckets_path": {"b": "mean"}, "script": "params.b > 0"}}
    documents = run(pivot=by_section(mean={"avg": {"field": "bytes"}}, only=selector)).documents

    assert exactly(documents) == exactly([{"section": "/api", "mean": 200.0}])


def test_dotted_names_become_objects(run: Run) -> None:
    pivot = {
        "group_by": {"http.section": {"terms": {"field": "section"}}},
        "aggregations": {
            "http.hits": {"value_count": {"field": "status"}},
            "http.size.sum": {"sum": {"field": "bytes"}},
        },
    }
    assert exactly(run(pivot=pivot).documents[0]) == exactly(
        {"http": {"section": "/api", "hits": 2, "size": {"sum": 400.0}}}
    )


def test_without_deduced_mappings_every_metric_has_a_fraction(run: Run) -> None:
    pivot = by_section(n={"value_count": {"field": "status"}}, least={"min": {"field": "bytes"}})
    documents = run(pivot=pivot, settings={"deduce_mappings": False}).documents

    assert exactly(documents[0]) == exactly({"section": "/api", "n": 2.0, "least": 100.0})


def test_an_alias_has_the_type_of_its_target(run: Run) -> None:
    pivot = by({"terms": {"field": "part"}}, least={"min": {"field": "bytes"}})

    previewed = run(pivot=pivot)

    assert previewed.types == {"key": "keyword", "least": "long"}
    assert exactly(previewed.documents) == exactly(
        [{"key": "/api", "least": 100}, {"key": "/empty", "least": None}]
    )


# -- groups ----------------------------------------------------------------------------------------------

GROUPS: dict[str, tuple[dict[str, Any], list[tuple[Any, int]]]] = {
    "terms": ({"terms": {"field": "section"}}, [("/api", 2), ("/empty", 1)]),
    "terms with the missing ones": (
        {"terms": {"field": "section", "missing_bucket": True}},
        [(None, 1), ("/api", 2), ("/empty", 1)],
    ),
    "terms of a field with several values": ({"terms": {"field": "tags"}}, [("a", 1), ("b", 2)]),
    "terms of a great long": ({"terms": {"field": "huge"}}, [(9007199254740993, 1)]),
    "terms of addresses": ({"terms": {"field": "client"}}, [("192.0.2.1", 1), ("192.0.2.2", 1)]),
    "terms of booleans": ({"terms": {"field": "secure"}}, [(False, 1), (True, 1)]),
    "terms of a field that is not there": ({"terms": {"field": "nothing"}}, []),
    "terms of a script": (
        {"terms": {"script": {"source": "doc['status'].value >= 400 ? 'bad' : 'good'"}}},
        [("bad", 2), ("good", 2)],
    ),
    "histogram of a long": (
        {"histogram": {"field": "status", "interval": 100}},
        [(200, 2), (400, 1), (500, 1)],
    ),
    "histogram of a double": ({"histogram": {"field": "ratio", "interval": 5}}, [(0.0, 1), (10.0, 1)]),
    "date_histogram": (
        {"date_histogram": {"field": "@timestamp", "fixed_interval": "10s"}},
        [
            ("2024-03-31T00:30:00.000Z", 1),
            ("2024-03-31T01:30:00.000Z", 1),
            ("2024-04-01T12:00:00.000Z", 2),
        ],
    ),
    "date_histogram of nanoseconds": (
        {"date_histogram": {"field": "nanos", "fixed_interval": "1ms"}},
        [("2024-03-31T00:30:00.123Z", 1)],
    ),
    "a day in Berlin": (
        {"date_histogram": {"field": "@timestamp", "calendar_interval": "1d", "time_zone": "Europe/Berlin"}},
        [("2024-03-30T23:00:00.000Z", 2), ("2024-03-31T22:00:00.000Z", 2)],
    ),
    "a month": (
        {"date_histogram": {"field": "@timestamp", "calendar_interval": "month"}},
        [("2024-03-01T00:00:00.000Z", 2), ("2024-04-01T00:00:00.000Z", 2)],
    ),
    "an offset": (
        {"date_histogram": {"field": "@timestamp", "fixed_interval": "1d", "offset": "6h"}},
        [("2024-03-30T06:00:00.000Z", 2), ("2024-04-01T06:00:00.000Z", 2)],
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_group(run: Run, name: str) -> None:
    group, rows = GROUPS[name]

    documents = run(pivot=by(group)).documents

    assert exactly(documents) == exactly([{"key": key, "n": number} for key, number in rows])


def test_dates_as_numbers_change_keys_only(run: Run) -> None:
    pivot = by(
        {"date_histogram": {"field": "@timestamp", "calendar_interval": "month"}},
        last={"max": {"field": "@timestamp"}},
    )
    documents = run(pivot=pivot, settings={"dates_as_epoch_millis": True}).documents

    assert exactly(documents[0]) == exactly({"key": 1709251200000, "last": "2024-03-31T01:30:00.000Z"})


def test_rows_come_in_the_order_of_dates_then_numbers_then_terms(run: Run) -> None:
    pivot = {
        "group_by": {
            "section": {"terms": {"field": "section", "missing_bucket": True}},
            "class": {"histogram": {"field": "status", "interval": 100}},
            "day": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1d"}},
        },
        "aggregations": {"n": {"value_count": {"field": "status"}}},
    }
    documents = run(pivot=pivot).documents

    assert [(one["day"][:10], one["class"], one["section"]) for one in documents] == [
        ("2024-03-31", 200, "/api"),
        ("2024-03-31", 500, "/api"),
        ("2024-04-01", 200, "/empty"),
        ("2024-04-01", 400, None),
    ]


def test_the_query_of_the_source_holds(run: Run, source: str) -> None:
    narrowed = {"index": [source], "query": {"range": {"status": {"gte": 500}}}}
    assert exactly(run(source=narrowed, pivot=by_section()).documents) == exactly(
        [{"section": "/api", "n": 1}]
    )


def test_the_suspicious_clients_of_the_transform_guide(engine: Engine, settings: Settings) -> None:
    """Its shape: distinct counts, counts of kinds of answers, first and last time, and a script over both."""
    index = settings.names.of("weblog")
    keyword = {"type": "keyword"}
    mappings = {
        "properties": {
            "clientip": {"type": "ip"},
            "timestamp": {"type": "date"},
            "bytes": {"type": "long"},
            "response": keyword,
            "url": keyword,
            "geo": {"properties": {"src": keyword, "dest": keyword}},
        }
    }
    engine.request("PUT", f"/{index}", body={"mappings": mappings})
    answers = ["200", "404", "503", "404"]
    hits = [
        {
            "clientip": f"198.51.100.{number // 4}",
            "timestamp": f"2024-05-01T10:00:{number * 2:02d}.250Z",
            "bytes": 100 * number,
            "response": answers[number % 4],
            "url": f"/{number % 3}",
            "geo": {"src": "DE", "dest": "US" if number % 2 else "FR"},
        }
        for number in range(8)
    ]
    fill(engine, index, hits)
    pivot = {
        "group_by": {"clientip": {"terms": {"field": "clientip"}}},
        "aggregations": {
            "url_dc": {"cardinality": {"field": "url"}},
            "bytes_sum": {"sum": {"field": "bytes"}},
            "geo.dest_dc": {"cardinality": {"field": "geo.dest"}},
            "responses.total": {"value_count": {"field": "timestamp"}},
            "success": {"filter": {"term": {"response": "200"}}},
            "error404": {"filter": {"term": {"response": "404"}}},
            "error5xx": {"filter": {"range": {"response": {"gte": "500", "lt": "600"}}}},
            "timestamp.min": {"min": {"field": "timestamp"}},
            "timestamp.max": {"max": {"field": "timestamp"}},
            "timestamp.duration_ms": {
                "bucket_script": {
                    "buckets_path": {"first": "timestamp.min.value", "last": "timestamp.max.value"},
                    "script": "(params.last - params.first)",
                }
            },
        },
    }
    body = parse_body("guide", {"source": {"index": index}, "dest": {"index": "nowhere"}, "pivot": pivot})

    documents = preview(engine, body).documents

    assert exactly(documents[1]) == exactly(
        {
            "clientip": "198.51.100.1",
            "url_dc": 3,
            "bytes_sum": 2200.0,
            "geo": {"dest_dc": 2},
            "responses": {"total": 4},
            "success": 1,
            "error404": 2,
            "error5xx": 1,
            "timestamp": {
                "min": "2024-05-01T10:00:08.250Z",
                "max": "2024-05-01T10:00:14.250Z",
                "duration_ms": 6000.0,
            },
        }
    )
    newest = parse_body(
        "guide",
        {
            "source": {"index": index},
            "dest": {"index": "nowhere"},
            "latest": {"unique_key": ["clientip"], "sort": "timestamp"},
        },
    )
    assert exactly(preview(engine, newest).documents) == exactly([hits[3], hits[7]])


# -- latest ----------------------------------------------------------------------------------------------


def test_latest_keeps_the_source_as_it_was_sent(engine: Engine, run: Run, source: str) -> None:
    newest = {
        "@timestamp": "2024-05-01T00:00:00+02:00",
        "section": "/api",
        "bytes": None,
        "extra": {"a": [1]},
    }
    fill(engine, source, [newest])

    documents = run(latest={"unique_key": ["section"], "sort": "@timestamp"}).documents

    assert exactly(documents) == exactly([DOCUMENTS[3], newest, DOCUMENTS[2]])


def test_latest_makes_a_row_of_each_value_of_its_key(run: Run) -> None:
    documents = run(latest={"unique_key": ["tags"], "sort": "@timestamp"}).documents

    assert [one.get("tags") for one in documents] == [None, ["a", "b"], ["b"]]


def test_latest_orders_rows_by_its_keys_as_they_are_listed(run: Run) -> None:
    documents = run(latest={"unique_key": ["tags", "section"], "sort": "@timestamp"}).documents

    assert [(one.get("tags"), one.get("section")) for one in documents] == [
        (None, None),
        (None, "/empty"),
        (["a", "b"], "/api"),
        (["b"], "/api"),
    ]


# -- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pivot", "reason"),
    [
        (by_section(x={"value_count": {"field": "status"}}, y={"filters": {}}), "filters"),
        (by_section(x={"extended_stats": {"field": "bytes"}}), "extended_stats"),
        (by_section(x={"bucket_sort": {}}), "bucket_sort"),
        (by_section(x={"date_histogram": {"field": "@timestamp"}}), "date_histogram"),
        (by({"date_histogram": {"field": "@timestamp", "fixed_interval": "1d", "format": "yyyy"}}), "format"),
        (
            by(
                {"date_histogram": {"field": "@timestamp", "fixed_interval": "1d", "calendar_interval": "1d"}}
            ),
            "either fixed_interval or calendar_interval",
        ),
    ],
)
def test_what_the_native_one_refuses_is_refused_with_its_reason(
    run: Run, pivot: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnsupportedTransform, match=reason):
        run(pivot=pivot)


def test_a_preview_shows_what_the_pipeline_leaves(engine: Engine, settings: Settings, run: Run) -> None:
    pipeline = settings.names.of("forms")
    processors = [
        {"set": {"field": "big", "value": 9007199254740993}},
        {"drop": {"if": "ctx.section == '/empty'"}},
    ]
    engine.request("PUT", f"/_ingest/pipeline/{pipeline}", body={"processors": processors})

    documents = run(pivot=by_section(), dest={"index": "nowhere", "pipeline": pipeline}).documents

    assert exactly(documents) == exactly([{"section": "/api", "n": 2, "big": 9007199254740993}])


def test_a_pipeline_that_is_not_there_is_refused(run: Run) -> None:
    with pytest.raises(HttpmonError, match=r"dest\.pipeline: there is no pipeline nothing-such"):
        run(pivot=by_section(), dest={"index": "nowhere", "pipeline": "nothing-such"})


def test_a_pattern_that_matches_nothing_is_waited_for(run: Run) -> None:
    with pytest.raises(SourceMissing, match="there is no index httpmon-nothing-of-the-kind-"):
        run(source={"index": "httpmon-nothing-of-the-kind-*"}, pivot=by_section())


def test_the_least_of_a_field_that_is_mapped_nowhere_is_null(run: Run) -> None:
    least = {"min": {"field": "nothing"}}
    inside = {"filter": {"match_all": {}}, "aggs": {"least": least}}

    for aggregation, value in ((least, None), (inside, {"least": None})):
        documents = run(pivot=by_section(x=aggregation)).documents
        assert exactly(documents[0]) == exactly({"section": "/api", "x": value})


def test_a_constant_is_grouped_right_or_refused(engine: Engine, settings: Settings, run: Run) -> None:
    index = settings.names.of("constant")
    mappings = {"properties": {"all": {"type": "constant_keyword", "value": "same"}}}
    engine.request("PUT", f"/{index}", body={"mappings": mappings})
    fill(engine, index, [{}])
    pivot = by({"terms": {"field": "all"}}, n={"value_count": {"field": "all"}})
    if engine.capabilities().flavour == "opensearch":
        with pytest.raises(UnsupportedTransform, match="cannot group or compute the constant_keyword all"):
            run(source={"index": index}, pivot=pivot)
    else:
        documents = run(source={"index": index}, pivot=pivot).documents
        assert exactly(documents) == exactly([{"key": "same", "n": 1}])


def test_a_source_that_is_not_there_is_refused(run: Run) -> None:
    with pytest.raises(HttpmonError, match="there is no index httpmon-nothing-of-the-kind yet"):
        run(source={"index": "httpmon-nothing-of-the-kind"}, pivot=by_section())
