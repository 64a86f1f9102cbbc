"""Guards that a transform which cannot be executed is refused before it runs, with the place and the
reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.transforms.body import UnsupportedTransform, offset_milliseconds
from scheduler.transforms.parsing import parse_body

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "refused_bodies.json").read_text(encoding="utf-8")
)
BODY: dict[str, Any] = {
    "source": {"index": "raw"},
    "dest": {"index": "summary"},
    "pivot": {
        "group_by": {"section": {"terms": {"field": "section"}}},
        "aggregations": {"hits": {"value_count": {"field": "@timestamp"}}},
    },
}


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``above`` laid over ``below``; null takes a key away."""
    result = dict(below)
    for key, value in above.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_refused(case: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedTransform) as refusal:
        parse_body("example", merged(BODY, case["body"]))

    assert str(refusal.value) == f"transform example: {case['refusal']}"


def test_defaults_are_those_of_elasticsearch() -> None:
    body = parse_body("example", BODY | {"sync": {"time": {"field": "event.ingested"}}})

    assert body.frequency_seconds == 60
    assert body.delay_milliseconds == 60_000
    assert body.query == {"match_all": {}}
    assert body.settings.align_checkpoints
    assert body.settings.documents_per_second is None


def test_numbers_and_flags_may_be_written_as_texts() -> None:
    """As Elasticsearch takes them, and templates are likely to write them."""
    settings = {"max_page_search_size": "500", "docs_per_second": "2.5", "align_checkpoints": "false"}
    found = parse_body("example", BODY | {"settings": settings, "frequency": "5S"})

    assert (found.settings.page_size, found.settings.documents_per_second) == (500, 2.5)
    assert not found.settings.align_checkpoints
    assert found.frequency_seconds == 5


def test_latest_takes_a_single_field() -> None:
    latest = {"source": BODY["source"], "dest": BODY["dest"], "latest": {"unique_key": "a", "sort": "t"}}

    assert (
        parse_body("example", latest).latest
        == parse_body("example", latest | {"latest": {"unique_key": ["a"], "sort": "t"}}).latest
    )


def test_a_destination_may_be_left_out_of_a_pattern_of_the_source() -> None:
    assert parse_body("example", BODY | {"source": {"index": ["s*", "-summary"]}}).destination == "summary"


def test_the_checksum_follows_what_decides_the_documents() -> None:
    """Another frequency goes on where it was; another pivot begins anew."""
    plain = parse_body("example", BODY).checksum

    assert parse_body("example", BODY | {"frequency": "5s"}).checksum == plain
    assert parse_body("example", merged(BODY, {"source": {"query": {"exists": {}}}})).checksum != plain


def test_runtime_fields_are_taken_where_the_engine_has_them() -> None:
    body = merged(BODY, {"source": {"runtime_mappings": {"hour": {"type": "long"}}}})

    assert parse_body("example", body, elasticsearch=True).runtime_mappings == {"hour": {"type": "long"}}


TAKEN: dict[str, dict[str, Any]] = {
    "numbers as texts": {"terms": {"field": "b", "size": "5", "min_doc_count": 1.0}},
    "a flag as a text": {"range": {"field": "b", "keyed": "true", "ranges": [{"to": 5, "key": 1}]}},
    "directions in capitals": {"terms": {"field": "b", "order": [{"_count": "DESC"}, {"_key": "ASC"}]}},
    "an order by two": {"terms": {"field": "b", "order": {"_count": "desc", "_key": "asc"}}},
    "a partition": {"terms": {"field": "b", "include": {"partition": 0, "num_partitions": "3"}}},
    "values of several types": {"terms": {"field": "b", "exclude": ["a", 1, True]}},
    "a script that changes values": {"sum": {"field": "b", "script": "_value * 2"}},
    "a stored script": {"sum": {"script": {"id": "a", "params": {"b": 1}}}},
    "a script by its former name": {"sum": {"script": {"inline": "1", "lang": "painless", "options": {}}}},
    "a percent": {"percentiles": {"field": "b", "percents": "50", "tdigest": {}, "keyed": False}},
    "a weight without a value": {
        "weighted_avg": {"value": {"field": "b", "missing": None}, "weight": {"script": "1"}}
    },
    "one metric": {"top_metrics": {"metrics": {"field": "b"}, "sort": [{"t": "desc"}], "size": 1}},
    "paths as a list": {"bucket_script": {"buckets_path": ["hits"], "script": "1", "gap_policy": "SKIP"}},
}


@pytest.mark.parametrize("aggregation", TAKEN.values(), ids=TAKEN)
def test_taken(aggregation: dict[str, Any]) -> None:
    """Elasticsearch's parsers take them all (the contract tests ask them), so they are not refused here."""
    parse_body("example", merged(BODY, {"pivot": {"aggregations": {"x": aggregation}}}))


def test_an_interval_may_be_a_text_and_an_offset_a_number() -> None:
    groups = {
        "class": {"histogram": {"field": "status", "interval": "100"}},
        "time": {"date_histogram": {"field": "t", "fixed_interval": "1h", "offset": 60_000, "time_zone": 2}},
    }
    found = parse_body("example", merged(BODY, {"pivot": {"group_by": groups}})).grouping.groups

    assert [group.specification.get("interval") for group in found] == [None, 100, None]
    assert offset_milliseconds(found[2]) == 60_000
