"""Guards compare and array_compare in the corners in which Watcher itself was probed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.java_numbers import java_double
from scheduler.watches.conditions import array_compare_met, compare_met
from scheduler.watches.paths import extracted, value_at

NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "operator", "value", "met"),
    [
        (5, "gt", 4, True),
        (5, "gte", 5, True),
        (5, "lt", 5.0, False),
        (5, "eq", 5.0, True),
        (5, "not_eq", 6, True),
        # A missing value: unequal to everything but null, and neither above nor below anything.
        (None, "gt", 5, False),
        (None, "lt", 5, False),
        (None, "gte", 5, False),
        (None, "not_eq", 5, True),
        (None, "eq", None, True),
        (None, "not_eq", None, False),
        # The configured value decides how they are compared.
        ("10", "gt", 5, True),
        (10, "gt", "5", False),
        (10, "lt", "5", True),
        (True, "eq", "true", True),
        ("abc", "gt", 5, False),
        ("b", "gt", "a", True),
        ("red", "eq", "red", True),
        # Times.
        ("2025-01-01T11:58:00Z", "gte", "<{now-5m}>", True),
        ("2025-01-01T11:50:00Z", "gte", "<{now-5m}>", False),
        (1735732680000, "gte", "<{now-5m}>", True),
        # Another path.
        (7, "eq", "{{ctx.payload.other}}", True),
        (8, "gt", "{{ctx.payload.other}}", True),
    ],
)
def test_compare(found: Any, operator: str, value: Any, met: bool) -> None:
    payload = {"other": 7} if found is None else {"other": 7, "value": found}
    assert compare_met("ctx.payload.value", operator, value, {"ctx": {"payload": payload}}, NOW) is met


@pytest.mark.parametrize(
    ("items", "quantifier", "met"),
    [
        ([{"n": 1}, {"n": 9}], "some", True),
        ([{"n": 1}, {"n": 9}], "all", False),
        ([{"n": 8}, {"n": 9}], "all", True),
        ([{"n": 1}, {"m": 9}], "some", False),
        # Over an empty list `all` holds and `some` does not.
        ([], "some", False),
        ([], "all", True),
        (None, "some", False),
    ],
)
def test_array_compare(items: Any, quantifier: str, met: bool) -> None:
    context = {"ctx": {"payload": {"items": items}}}
    assert array_compare_met("ctx.payload.items", "n", "gte", quantifier, 5, context, NOW) is met


def test_array_compare_of_something_else_fails() -> None:
    context = {"ctx": {"payload": {"items": {"n": 1}}}}
    with pytest.raises(ValueError, match=r"ctx\.payload\.items is no array"):
        array_compare_met("ctx.payload.items", "n", "gte", "some", 5, context, NOW)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (249821663232.0, "2.49821663232E11"),
        (12345678.0, "1.2345678E7"),
        (0.0001, "1.0E-4"),
        (2.0, "2.0"),
        (9999999.0, "9999999.0"),
        (0.001, "0.001"),
        (-0.00025, "-2.5E-4"),
        (1e22, "1.0E22"),
        (float("nan"), "NaN"),
    ],
)
def test_numbers_print_as_java_prints_them(number: float, text: str) -> None:
    assert java_double(number) == text


def test_paths() -> None:
    tree = {"ctx": {"payload": {"hits": {"hits": [{"_source": {"a": 1}}, {"_source": {"a": 2}}]}, "x.y": 3}}}
    assert value_at("ctx.payload.hits.hits.1._source.a", tree) == 2
    assert value_at("ctx.payload.hits.hits.7._source.a", tree) is None
    assert value_at("ctx.payload.x.y", tree) is None


def test_extract_in_its_corners() -> None:
    tree = {
        "hits": {"total": 3, "hits": []},
        "aggregations": {"t": {"buckets": [{"doc_count": 1}, {"doc_count": 2}]}, "u": 1},
    }
    assert extracted(tree, ("hits.total",)) == {"hits": {"total": 3}}
    assert extracted(tree, ("hits.hits",)) == {"hits": {}}
    assert extracted(tree, ("aggregations.t.buckets.doc_count",)) == {
        "aggregations": {"t": {"buckets": [{}, {}]}}
    }
    assert extracted(tree, ("aggregations",)) == {"aggregations": tree["aggregations"]}
