"""Guards who executes of several schedulers: one takes over in time, and no clock makes two do so."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.lease import (
    LOOK_SECONDS,
    RENEW_SECONDS,
    TTL_SECONDS,
    Lease,
    Member,
    Seen,
    from_document,
    given_back,
    look,
    next_step,
    renewed,
    taken,
    to_document,
)
from scheduler.service import handover_start

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
ONE, OTHER = Member("one", "host-a", 1), Member("other", "host-b", 1)


def written(lease: Lease, sequence_number: int = 1) -> Lease:
    return replace(lease, sequence_number=sequence_number, primary_term=1)


def test_a_lease_that_nobody_holds_is_taken() -> None:
    assert next_step(Seen(None, 0.0), ONE, 0.0) == "take"
    free = written(given_back(taken(None, OTHER, NOON), NOON))
    assert next_step(Seen(free, 0.0), ONE, 0.0) == "take"


def test_each_holder_has_a_term_of_its_own() -> None:
    first = taken(None, ONE, NOON)
    second = taken(given_back(renewed(first, NOON), NOON), OTHER, NOON + timedelta(seconds=5))
    assert (first.term, second.term) == (1, 2)
    assert second.since == second.renewed_at == NOON + timedelta(seconds=5)
    assert renewed(second, NOON + timedelta(seconds=9)).since == second.since


def test_ones_own_lease_is_renewed_however_old() -> None:
    lease = written(taken(None, ONE, NOON))
    assert next_step(Seen(lease, 0.0), ONE, 1000.0) == "renew"
    # The same pid on the same host, after a restart of a container, is another process.
    assert next_step(Seen(lease, 0.0), Member("one again", "host-a", 1), 1.0) == "wait"


def test_anothers_lease_is_left_alone_while_it_moves_and_taken_when_it_stands_still() -> None:
    lease = written(taken(None, OTHER, NOON))
    seen = look(None, lease, 100.0)
    assert next_step(seen, ONE, 100.0 + TTL_SECONDS - 0.1) == "wait"
    moved = look(seen, written(renewed(lease, NOON), 2), 107.0)
    assert next_step(moved, ONE, 107.0 + TTL_SECONDS - 0.1) == "wait"
    still = look(moved, written(renewed(lease, NOON), 2), 114.0)
    assert next_step(still, ONE, 107.0 + TTL_SECONDS) == "take"


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(hours=3)])
def test_times_of_day_decide_nothing(jump: timedelta) -> None:
    lease = written(taken(None, OTHER, NOON + jump))
    assert next_step(look(None, lease, 0.0), ONE, 1.0) == "wait"


def test_a_new_primary_is_a_movement() -> None:
    lease = written(taken(None, OTHER, NOON))
    seen = look(None, lease, 0.0)
    assert look(seen, replace(lease, primary_term=2), 5.0).since == 5.0


def test_the_document_says_all_of_it() -> None:
    for lease in (taken(None, ONE, NOON), given_back(taken(None, ONE, NOON), NOON)):
        assert from_document(to_document(lease), 7, 3) == replace(lease, sequence_number=7, primary_term=3)


def test_the_next_one_takes_over_within_15_seconds_and_never_while_the_lease_holds() -> None:
    """One holder dies at any moment; the other looks each second, a bit late, and answers take a while."""
    dice = random.Random(5)
    for _ in range(300):
        now, number = 0.0, 0
        death = dice.uniform(0, 30)
        revisions: list[tuple[float, float, int]] = []  # asked at, in the engine at, revision
        while now < death:
            number += 1
            revisions.append((now, now + dice.uniform(0.001, 0.5), number))
            now += RENEW_SECONDS + dice.uniform(0.0, 0.7)
        valid_until = revisions[-1][0] + TTL_SECONDS
        seen: Seen | None = None
        now = dice.uniform(0, 1)
        while True:
            visible = [revision for _, at, revision in revisions if at <= now]
            lease = written(taken(None, OTHER, NOON), visible[-1]) if visible else None
            now += dice.uniform(0.001, 0.5)
            if lease is not None:
                seen = look(seen, lease, now)
                if next_step(seen, ONE, now) == "take":
                    break
            now += LOOK_SECONDS + dice.uniform(0.0, 0.3)
        assert valid_until <= now <= death + 15


def test_a_time_that_fell_between_two_schedulers_is_the_next_ones() -> None:
    assert handover_start(None, NOON) == NOON
    assert handover_start(NOON - timedelta(seconds=9), NOON) == NOON - timedelta(seconds=9)
    assert handover_start(NOON - timedelta(hours=9), NOON) == NOON
    # The engine's clock was set back.
    assert handover_start(NOON + timedelta(hours=1), NOON) == NOON
