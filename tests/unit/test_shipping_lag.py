"""Guards that a shipper that keeps up is never called late, and one that does not is, by how much."""

from __future__ import annotations

from shipping.lag import Lag


def test_steady_traffic_that_keeps_up_is_a_second_behind_at_most() -> None:
    lag = Lag()
    # At each look the last 100 bytes are on their way: nothing is ever all acknowledged.
    behind = [lag.look(second, {"log": (100 * (second + 1), 100 * second)}) for second in range(200)]
    assert max(behind) <= 1


def test_what_waits_is_as_old_as_its_first_byte() -> None:
    lag = Lag()
    assert lag.look(0, {"log": (500, 500)}) == 0
    assert lag.look(10, {"log": (600, 500)}) == 0
    assert lag.look(15, {"log": (700, 500)}) == 5
    assert lag.look(20, {"log": (700, 600)}) == 5, "the bytes from 600 on were seen at 15"
    assert lag.look(21, {"log": (700, 700)}) == 0


def test_the_latest_of_several_files_counts_and_a_file_that_is_gone_does_not() -> None:
    lag = Lag()
    lag.look(0, {"old": (10, 0), "new": (10, 10)})
    assert lag.look(30, {"old": (10, 0), "new": (20, 10)}) == 30
    assert lag.look(31, {"new": (20, 10)}) == 1


def test_a_file_that_was_cut_begins_anew() -> None:
    lag = Lag()
    lag.look(0, {"log": (1000, 0)})
    assert lag.look(50, {"log": (40, 0)}) == 0
    assert lag.look(51, {"log": (40, 0)}) == 1


def test_a_long_outage_is_remembered_in_little() -> None:
    lag = Lag()
    for second in range(10_000):
        lag.look(second, {"log": (second + 1, 0)})
    assert lag.look(10_000, {"log": (10_001, 0)}) == 10_000
    assert abs(lag.look(10_000, {"log": (10_001, 9_000)}) - 1_000) <= 100
