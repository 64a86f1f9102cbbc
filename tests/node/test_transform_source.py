"""Guards that a first checkpoint looks at all the time there is: what lies outside of it would be lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from scheduler.transforms.parsing import parse_body
from scheduler.transforms.source import Extent, Source

pytestmark = pytest.mark.node

# 2024-03-31T00:30:00Z in epoch milliseconds.
HALF_PAST = 1_711_845_000_000


def fill(engine: Engine, index: str, kind: str | None, documents: list[dict[str, Any]]) -> None:
    types = {"came": {"type": "date"}} | ({"date": {"type": kind}} if kind is not None else {})
    engine.request("PUT", f"/{index}", body={"mappings": {"dynamic": False, "properties": types}})
    lines = "".join(f'{{"index":{{}}}}\n{json.dumps(document)}\n' for document in documents)
    answer = engine.bulk(lines.encode(), target=index, params={"refresh": "true"})
    assert not answer["errors"], answer


@pytest.mark.parametrize(
    ("early", "milliseconds"), [("1969-12-31T23:59:59.500Z", -500), ("1970-01-01T00:00:00.500Z", 500)]
)
def test_the_first_and_the_last_date_are_found_in_indices_of_all_kinds(
    engine: Engine, settings: Settings, early: str, milliseconds: int
) -> None:
    """Dates with nanoseconds beside those without, several in a document, none, and before 1970."""
    indices = [settings.names.of(f"extent-{number}") for number in range(3)]
    came = "2024-04-02T00:00:00Z"
    fill(
        engine,
        indices[0],
        "date",
        [
            {"came": came, "date": ["2024-03-31T00:20:00Z", early]},
            {"came": came},
            {"came": "2024-04-03T00:00:00Z", "date": "2030-01-01T00:00:00Z"},
        ],
    )
    fill(engine, indices[1], "date_nanos", [{"came": came, "date": "2024-03-31T00:30:00.999999999Z"}])
    fill(engine, indices[2], None, [{"came": came, "date": "2029-01-01T00:00:00Z"}])
    body = parse_body(
        "extent",
        {
            "source": {"index": indices},
            "dest": {"index": "nowhere"},
            "sync": {"time": {"field": "came", "delay": "0s"}},
            "pivot": {
                "group_by": {"date": {"date_histogram": {"field": "date", "fixed_interval": "10s"}}},
                "aggregations": {"n": {"value_count": {"field": "came"}}},
            },
        },
    )
    source = Source(engine, body)
    upper = HALF_PAST + 2 * 86_400_000

    assert source.extent(upper) == Extent(total=4, first=milliseconds, last=HALF_PAST + 999)
    assert source.extent(None, lower=upper).last == 1_893_456_000_000
    assert source.extent(0) == Extent(total=0, first=None, last=None)
