"""Guards that the traffic line follows the high-traffic watch as it is."""

from __future__ import annotations

import pytest

from reading.rule import TrafficRule, rule_of_watch


def test_the_parameters_in_force_are_those_of_the_watch() -> None:
    metadata = {"threshold": 2.5, "window": 30, "evaluation_delay": 5, "rule_name": "High traffic"}
    assert rule_of_watch({"metadata": metadata}) == TrafficRule(2.5, 30, 5.0)


@pytest.mark.parametrize("body", [{}, {"metadata": None}, {"metadata": {"window": "2m", "threshold": None}}])
def test_a_watch_of_another_make_keeps_the_defaults(body: dict[str, object]) -> None:
    assert rule_of_watch(body) == TrafficRule(10.0, 120, 7.0)


def test_a_window_is_whole_buckets() -> None:
    assert rule_of_watch({"metadata": {"window": 39}}).window_seconds == 30
    assert rule_of_watch({"metadata": {"window": 3}}).window_seconds == 10


def test_it_is_read_a_second_after_the_watch_decides() -> None:
    assert rule_of_watch({"metadata": {"evaluation_delay": 5}}).reading_delay_seconds == 6.0
