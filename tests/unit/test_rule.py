"""Guards that the traffic line follows the parameters in force of the high-traffic watch."""

from __future__ import annotations

import pytest

from engine.errors import SettingsError
from reading.rule import TrafficRule, traffic_rule


def test_defaults_and_given_parameters() -> None:
    assert traffic_rule({}) == TrafficRule(10.0, 120, 7.0)
    given = {"threshold": 2, "window": "30s", "evaluation_delay": "5s"}
    assert traffic_rule(given) == TrafficRule(2.0, 30, 5.0)


def test_it_is_read_a_second_after_the_watch_decides() -> None:
    assert traffic_rule({"evaluation_delay": "5s"}).reading_delay_seconds == 6.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"window": "15s"}, "window: 15s is no whole number of 10 s buckets"),
        ({"window": "long"}, "'long' is no duration"),
        ({"threshold": "many"}, "parameters.high_traffic: could not convert"),
    ],
)
def test_what_cannot_be_used_is_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        traffic_rule(parameters)
