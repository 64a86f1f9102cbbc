"""Guards that a transform which cannot be executed is refused before it runs, with the place and the
reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.transforms.body import UnsupportedTransform
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
