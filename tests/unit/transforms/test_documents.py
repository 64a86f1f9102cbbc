"""Guards names, keys and deduced types as Elasticsearch 8.10.4 wrote them; the answers are made here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scheduler.transforms.body import TransformBody
from scheduler.transforms.deduction import deduced_types
from scheduler.transforms.documents import document_maker, iso_milliseconds
from scheduler.transforms.parsing import parse_body
from scheduler.transforms.pivot import groups_search, ordered_sources


def body_of(
    groups: Mapping[str, Any] | None = None, *, settings: Mapping[str, Any] | None = None, **aggregations: Any
) -> TransformBody:
    pivot = {
        "group_by": groups or {"key": {"terms": {"field": "section"}}},
        "aggregations": aggregations or {"n": {"value_count": {"field": "bytes"}}},
    }
    content = {"source": {"index": "raw"}, "dest": {"index": "summary"}, "pivot": pivot}
    return parse_body("example", content | ({"settings": settings} if settings else {}))


def document_of(body: TransformBody, bucket: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """The document of one bucket."""
    return document_maker(body, types)(bucket)


def value_of(aggregation: dict[str, Any], answer: Any) -> Any:
    """What a document has of one answer."""
    bucket = {"key": {"key": "/"}, "doc_count": 1, "x": answer}
    return document_of(body_of(x=aggregation), bucket, {})["x"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("*-1.0", "*-1"),
        ("1.0-10.5", "1-10_5"),
        ("-1.5-*", "-1_5-*"),
        ("*--0.0", "*--0"),
        ("*-1.0E7", "*-1_0E7"),
        ("1.0E-4-1.2345678E7", "1_0E-4-1_2345678E7"),
        ("1970-01-01T00:00:00.000Z-*", "1970-01-01T00:00:00_000Z-*"),
        ("*-true", "*-true"),
        ("slow.x", "slow_x"),
        ("b.0.0", "b_0"),
        ("a.00", "a_00"),
        ("x.0-y", "x-y"),
    ],
)
def test_ranges_are_named_by_their_keys(key: str, name: str) -> None:
    aggregation = {"range": {"field": "f", "ranges": [{"to": 1}]}}

    assert value_of(aggregation, {"buckets": [{"key": key, "doc_count": 3}]}) == {name: 3}
    assert value_of(aggregation, {"buckets": {key: {"doc_count": 3}}}) == {name: 3}


def test_terms_that_are_fractions_are_named_as_java_prints_them() -> None:
    buckets = [{"key": key, "doc_count": 1} for key in (1e21, 0.0001, 2.5)]

    assert value_of({"terms": {"field": "f"}}, {"buckets": buckets}) == {"1.0E21": 1, "1.0E-4": 1, "2.5": 1}


def test_percents_are_named_as_java_prints_them() -> None:
    values = {"0.0001": 1.0, "50.0": 2.0, "99.9": 3.0}

    assert value_of({"percentiles": {"field": "f"}}, {"values": values}) == {
        "1_0E-4": 1.0,
        "50": 2.0,
        "99_9": 3.0,
    }


def test_names_of_an_underscore_are_computed_and_left_out() -> None:
    """Natively they are left out of the document, and for others to use; inside others they are written."""
    inner = {"filter": {"match_all": {}}, "aggs": {"_a": {"sum": {"field": "bytes"}}}}
    body = body_of(
        {"_key": {"terms": {"field": "section"}}, "day": {"terms": {"field": "day"}}},
        _hidden={"sum": {"field": "bytes"}},
        shown=inner,
        twice={"bucket_script": {"buckets_path": {"h": "_hidden"}, "script": "params.h * 2"}},
    )
    bucket = {
        "key": {"_key": "/", "day": "monday"},
        "doc_count": 1,
        "_hidden": {"value": 3.0},
        "shown": {"doc_count": 1, "_a": {"value": 3.0}},
        "twice": {"value": 6.0},
    }
    assert document_of(body, bucket, {}) == {"day": "monday", "shown": {"_a": 3.0}, "twice": 6.0}


def test_an_aggregation_may_have_the_name_of_what_an_answer_has_anyhow() -> None:
    body = body_of(
        doc_count={"sum": {"field": "bytes"}},
        part={"filter": {"match_all": {}}, "aggs": {"key": {"max": {"field": "bytes"}}}},
        ratio={
            "bucket_script": {
                "buckets_path": {"a": "doc_count.value", "b": "part>key", "c": "_count"},
                "script": "params.a / params.b",
            }
        },
    )
    asked = groups_search(body, size=10)["aggregations"]["groups"]["aggregations"]
    total, part, ratio = asked
    (inner,) = asked[part]["aggs"]

    assert total != "doc_count"
    assert inner != "key"
    assert asked[ratio]["bucket_script"]["buckets_path"] == {
        "a": f"{total}.value",
        "b": f"part>{inner}",
        "c": "_count",
    }
    bucket = {
        "key": {"key": "/"},
        "doc_count": 7,
        total: {"value": 3.0},
        part: {"doc_count": 7, inner: {"value": 2.0}},
        ratio: {"value": 1.5},
    }
    assert document_of(body, bucket, {}) == {"key": "/", "doc_count": 3.0, "part": {"key": 2.0}, "ratio": 1.5}


def test_numbers_that_are_no_numbers_to_json_are_null() -> None:
    script = {"bucket_script": {"buckets_path": {"n": "_count"}, "script": "1 / (params.n - 1)"}}

    assert value_of(script, {"value": None}) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [("unsigned_long", 9223372036854776000), ("double", 9.223372036854776e18), (None, 9.223372036854776e18)],
)
def test_an_unsigned_long_has_the_digits_that_its_double_prints_with(kind: str | None, value: Any) -> None:
    body = body_of(x={"max": {"field": "ul"}})
    answer = {"value": 9.223372036854776e18, "value_as_string": "9.223372036854776E18"}
    types = {} if kind is None else {"x": kind}
    found = document_of(body, {"key": {"key": "/"}, "doc_count": 1, "x": answer}, types)["x"]

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("value", "written"),
    [(7.5, 7), (-7.5, -7), (9.2233720368539996e18, 9223372036853999616), (-9.3e18, -(2**63))],
)
def test_a_number_is_cut_off_where_the_destination_has_whole_ones(value: float, written: int) -> None:
    bucket = {"key": {"key": "/"}, "doc_count": 1, "x": {"value": value}}

    found = document_of(body_of(x={"avg": {"field": "bytes"}}), bucket, {"x": "long"})["x"]

    assert (found, type(found)) == (written, int)


def test_numbers_inside_terms_have_the_types_that_the_destination_has_for_each_term() -> None:
    body = body_of(x={"terms": {"field": "f"}, "aggs": {"n": {"max": {"field": "bytes"}}}})
    buckets = [{"key": key, "doc_count": 1, "n": {"value": 2.0}} for key in ("a", "b")]
    bucket = {"key": {"key": "/"}, "doc_count": 2, "x": {"buckets": buckets}}

    assert repr(document_of(body, bucket, {"x.a.n": "long"})["x"]) == "{'a': {'n': 2}, 'b': {'n': 2.0}}"
    assert repr(document_of(body, bucket, {"x": "flat_object"})["x"]) == "{'a': {'n': 2.0}, 'b': {'n': 2.0}}"


@pytest.mark.parametrize(
    ("kind", "written"),
    [("date", "1970-01-01"), (None, "1970-01-01"), ("long", 3), ("double", 3.0)],
)
def test_what_has_a_form_of_its_own_keeps_it_unless_the_destination_has_numbers(
    kind: str | None, written: Any
) -> None:
    bucket = {"key": {"key": "/"}, "doc_count": 1, "x": {"value": 3.0, "value_as_string": "1970-01-01"}}
    types = {} if kind is None else {"x": kind}

    found = document_of(body_of(x={"max": {"field": "f"}}), bucket, types)["x"]

    assert (found, type(found)) == (written, type(written))


def test_what_an_answer_lacks_is_left_out_of_the_document_and_of_its_objects() -> None:
    inner = {"a": {"max": {"field": "f"}}, "b": {"max": {"field": "f"}}}
    body = body_of(x={"filter": {"match_all": {}}, "aggs": inner}, y={"max": {"field": "f"}})
    bucket = {"key": {"key": "/"}, "doc_count": 1, "x": {"doc_count": 1, "b": {"value": None}}}

    assert document_of(body, bucket, {}) == {"key": "/", "x": {"b": None}}


def test_stats_have_the_numbers_that_there_are_in_their_types() -> None:
    answer = {"count": 0, "min": None, "max": None, "avg": None, "sum": 0.0}
    bucket = {"key": {"key": "/"}, "doc_count": 1, "x": answer}
    body = body_of(x={"stats": {"field": "f"}})

    assert repr(document_of(body, bucket, {"x.count": "long"})["x"]) == "{'count': 0, 'sum': 0.0}"


def test_only_the_keys_of_a_histogram_are_always_numbers_of_the_destination() -> None:
    groups = {"h": {"histogram": {"field": "f", "interval": 5}}, "t": {"terms": {"field": "g"}}}
    bucket = {"key": {"h": 5.0, "t": 5}, "doc_count": 1, "n": {"value": 1}}

    assert repr(document_of(body_of(groups), bucket, {"h": "long"})) == "{'h': 5, 't': 5, 'n': 1.0}"
    assert repr(document_of(body_of(groups), bucket, {"t": "double"})) == "{'h': 5.0, 't': 5, 'n': 1.0}"


def test_dates_are_numbers_where_the_settings_say_so() -> None:
    groups = {"day": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1d"}}}
    bucket = {"key": {"day": 86_400_000}, "doc_count": 1, "n": {"value": 1}}
    body = body_of(groups, settings={"dates_as_epoch_millis": True})

    assert document_of(body, bucket, {"day": "date"})["day"] == 86_400_000


def test_percentiles_of_no_document_have_no_percents() -> None:
    inner = {"filter": {"match_all": {}}, "aggs": {"p": {"percentiles": {"field": "f"}}}}
    answer = {"p": {"values": {"50.0": None}}}

    assert value_of(inner, {"doc_count": 0, **answer}) == {"p": {}}
    assert value_of(inner, {"doc_count": 1, **answer}) == {"p": {"50": None}}


def test_top_metrics_of_no_document_has_no_fields() -> None:
    top = {"top_metrics": {"metrics": [{"field": "a"}, {"field": "b"}], "sort": "t"}}

    assert value_of(top, {"top": []}) == {}
    assert value_of(top, {"top": [{"metrics": {"a": 1, "b": None}}]}) == {"a": "1", "b": "null"}


def test_top_metrics_are_those_of_a_document_where_the_engine_has_none() -> None:
    top = {
        "top_metrics": {"metrics": [{"field": "a"}, {"field": "b"}, {"field": "c"}], "sort": {"t": "desc"}}
    }
    body = body_of(x=top)
    asked = groups_search(body, size=10)["aggregations"]["groups"]["aggregations"]["x"]
    hit = {"fields": {"a": [1e21], "b": [True]}, "sort": [1]}

    assert asked["top_hits"]["docvalue_fields"] == ["a", "b", "c"]
    assert value_of(top, {"hits": {"hits": []}}) == {}
    assert value_of(top, {"hits": {"hits": [hit]}}) == {"a": "1.0E21", "b": "true", "c": "null"}


def test_latest_leaves_out_what_begins_with_an_underscore() -> None:
    content = {"source": {"index": "raw"}, "dest": {"index": "summary"}}
    body = parse_body("example", content | {"latest": {"unique_key": ["a"], "sort": "t"}})
    newest = {"hits": {"hits": [{"_source": {"a": 1, "_b": 2, "c": {"_d": 3}}}]}}

    assert document_of(body, {"key": {"a": 1}, "newest": newest}, {}) == {"a": 1, "c": {"_d": 3}}


def test_a_date_is_written_as_one_only_where_the_destination_has_dates() -> None:
    body = body_of({"day": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1d"}}})
    bucket = {"key": {"day": 86_400_000}, "doc_count": 1, "n": {"value": 1}}

    assert document_of(body, bucket, {"day": "date"})["day"] == "1970-01-02T00:00:00.000Z"
    assert document_of(body, bucket, {"day": "long"})["day"] == 86_400_000
    assert document_of(body, bucket, {})["day"] == 86_400_000


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-1, "1969-12-31T23:59:59.999Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (-62_135_596_800_001, "0000-12-31T23:59:59.999Z"),
        (-62_198_755_200_000, "-0001-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "+10000-01-01T00:00:00.000Z"),
        (8_640_000_000_000_000, "+275760-09-13T00:00:00.000Z"),
    ],
)
def test_dates_before_and_after_four_digits(milliseconds: int, text: str) -> None:
    assert iso_milliseconds(milliseconds) == text


SOURCE = {
    "section": "keyword",
    "t": "date",
    "bytes": "long",
    "scaled": "scaled_float",
    "const": "constant_keyword",
}


@pytest.mark.parametrize(
    ("group", "types"),
    [
        ({"terms": {"field": "const"}}, {"key": "keyword"}),
        ({"terms": {"field": "nothing"}}, {"key": "keyword"}),
        ({"date_histogram": {"field": "nothing", "fixed_interval": "1d"}}, {"key": "keyword"}),
        ({"date_histogram": {"field": "bytes", "fixed_interval": "1d"}}, {"key": "long"}),
        ({"terms": {"script": {"source": "1"}}}, {}),
        ({"histogram": {"script": {"source": "1"}, "interval": 5}}, {}),
    ],
)
def test_deduced_types_of_groups(group: dict[str, Any], types: dict[str, str]) -> None:
    assert deduced_types(body_of({"key": group}).grouping, SOURCE) == types | {"n": "long"}


@pytest.mark.parametrize(
    ("aggregation", "types"),
    [
        ({"min": {"field": "scaled"}}, {"x": "float"}),
        ({"min": {"field": "nothing"}}, {}),
        ({"missing": {"field": "t"}}, {"x": "long"}),
        ({"missing": {"field": "t"}, "aggs": {"y": {"sum": {"field": "bytes"}}}}, {"x": "long"}),
        ({"filter": {"match_all": {}}, "aggs": {"y": {"max": {"field": "t"}}}}, {"x.y": "date"}),
        (
            {"range": {"field": "bytes", "ranges": [{"to": 1e19, "key": "k"}, {"from": 1e7}, {"to": "7"}]}},
            {"x.*-1_0E19": "long", "x.10000000-*": "long", "x.*-*": "long"},
        ),
        (
            {
                "range": {"field": "bytes", "ranges": [{"from": -1.5, "key": "k"}]},
                "aggs": {"y": {"avg": {"field": "t"}}},
            },
            {"x.-1_5-*.y": "double"},
        ),
    ],
)
def test_deduced_types_of_aggregations(aggregation: dict[str, Any], types: dict[str, str]) -> None:
    found = deduced_types(body_of(x=aggregation).grouping, SOURCE)

    assert found == types | {"key": "keyword"}


def test_groups_are_ordered_by_kind_then_by_what_makes_their_values_then_by_javas_hash() -> None:
    groups = {
        "日本": {"terms": {"field": "a"}},
        "script": {"terms": {"script": {"source": "1"}}},
        "t": {"terms": {"field": "b"}},
        "x": {"terms": {"field": "c"}},
        "section": {"terms": {"field": "d"}},
        "made": {"terms": {"field": "made"}},
        "number": {"histogram": {"field": "e", "interval": 1}},
        "when": {"date_histogram": {"field": "f", "fixed_interval": "1d"}},
    }
    content = {
        "source": {"index": "raw", "runtime_mappings": {"made": {"type": "keyword"}}},
        "dest": {"index": "summary"},
        "pivot": {"group_by": groups, "aggregations": {"n": {"value_count": {"field": "f"}}}},
    }
    body = parse_body("example", content, elasticsearch=True)

    assert [source.name for source in ordered_sources(body)] == [
        "when", "number", "t", "x", "section", "日本", "made", "script",
    ]  # fmt: skip
