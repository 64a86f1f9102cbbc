"""Guards the checkpoints' arithmetic: nothing between two bounds is left out, and a slice that grew is gone
over."""

from __future__ import annotations

from itertools import pairwise

from scheduler.transforms.checkpoint import (
    GUARD_MILLISECONDS,
    MANY_DOCUMENTS,
    Slice,
    State,
    after_clock_step,
    begin,
    complete,
    failed,
    from_document,
    many_documents,
    moved,
    progressed,
    slices_to_count,
    to_document,
    upper_bound,
)

NOW = 1_800_000_000_000


def after_checkpoint(upper: int, counts: dict[tuple[int, int], int] | None = None) -> State:
    """The state once a first checkpoint up to ``upper`` is complete, with nothing or the given counts
    seen."""
    slices = [Slice(*one, (counts or {}).get(one, 0)) for one in slices_to_count(State(), upper)]
    return complete(begin(State(), upper, slices), upper)


def counted(state: State, upper: int, count: int = 0, grown: dict[int, int] | None = None) -> list[Slice]:
    """What the engine would count: what is remembered, plus growth by slice position, and ``count`` in the
    new."""
    remembered = {(one.lower, one.upper): one.documents for one in state.slices}
    wanted = slices_to_count(state, upper)
    return [
        Slice(*one, remembered.get(one, count) + (grown or {}).get(position, 0))
        for position, one in enumerate(wanted)
    ]


def test_the_first_checkpoint_computes_everything() -> None:
    state = begin(State(), NOW, [])
    assert state.running is not None
    assert state.running.lower is None
    assert state.running.upper == NOW


def test_slices_cover_the_guarded_time_and_what_is_new_without_a_gap() -> None:
    state = after_checkpoint(NOW)
    upper = NOW + 37_123

    slices = slices_to_count(state, upper)

    assert slices[0][0] == NOW - GUARD_MILLISECONDS
    assert slices[-1][1] == upper
    assert all(left[1] == right[0] for left, right in pairwise(slices))


def test_after_an_outage_the_old_slices_are_counted_once_more() -> None:
    state = after_checkpoint(NOW)
    upper = NOW + 3_600_000

    slices = slices_to_count(state, upper)

    assert [list(one)[:2] for one in state.slices] == [list(one) for one in slices[: len(state.slices)]]
    following = begin(state, upper, counted(state, upper, 1))
    assert following.running is not None
    assert following.running.slices[0].lower >= upper - GUARD_MILLISECONDS - 10_000


def test_nothing_new_completes_the_checkpoint_at_once() -> None:
    state = after_checkpoint(NOW)

    following = begin(state, NOW + 1000, counted(state, NOW + 1000))

    assert following.running is None
    assert following.upper == NOW + 1000
    assert following.checkpoint == state.checkpoint


def test_new_documents_are_looked_for_from_the_last_upper_bound() -> None:
    state = after_checkpoint(NOW)

    following = begin(state, NOW + 1000, counted(state, NOW + 1000, 5))

    assert following.running is not None
    assert following.running.lower == NOW
    assert following.upper == NOW, "the old bound holds until the new checkpoint is complete"


def test_a_slice_that_grew_is_where_the_search_begins() -> None:
    state = after_checkpoint(NOW)

    following = begin(state, NOW + 1000, counted(state, NOW + 1000, grown={3: 1}))

    assert following.running is not None
    assert following.running.lower == state.slices[3].lower
    assert following.statistics.late_slices == 1


def test_growth_is_seen_once() -> None:
    state = after_checkpoint(NOW)
    counts = counted(state, NOW + 1000, grown={3: 1})
    state = complete(begin(state, NOW + 1000, counts), NOW)

    following = begin(state, NOW + 2000, counted(state, NOW + 2000))

    assert following.running is None


def test_deleted_documents_are_no_change() -> None:
    slices = dict.fromkeys(slices_to_count(State(), NOW), 10)
    state = after_checkpoint(NOW, slices)

    fewer = [one._replace(documents=4 if one.documents else 0) for one in counted(state, NOW + 1000)]
    following = begin(state, NOW + 1000, fewer)

    assert following.running is None
    assert {one.documents for one in following.slices} == {0, 4}


def test_joined_slices_keep_their_documents_and_their_bounds() -> None:
    state = after_checkpoint(NOW)
    upper = NOW
    for _ in range(150):
        upper += 1000
        following = begin(state, upper, counted(state, upper, 3))
        state = complete(following, upper)

    assert len(state.slices) < 50, "a slice a second for the last 20 s, then few"
    assert all(left.upper == right.lower for left, right in pairwise(state.slices))
    assert state.slices[-1].upper == upper
    assert state.slices[0].lower <= upper - GUARD_MILLISECONDS + 10_000
    assert all(3 * (one.upper - one.lower) // 1000 == one.documents for one in state.slices)


def test_a_state_survives_its_document() -> None:
    state = after_checkpoint(NOW)
    state = begin(state, NOW + 1000, counted(state, NOW + 1000, 5))
    state = moved(progressed(state, pages_processed=1, documents_processed=5), {"a": 1, "b": None})
    state = failed(state, "no reason", for_good=False)

    assert from_document(to_document("example", state)) == state


def test_an_attempt_that_succeeds_ends_a_row_of_failures() -> None:
    state = failed(failed(after_checkpoint(NOW), "a", for_good=False), "b", for_good=False)
    assert (state.failures, state.reason) == (2, "b")

    following = begin(state, NOW + 1000, counted(state, NOW + 1000))

    assert (following.failures, following.reason) == (0, "")


def test_an_upper_bound_can_be_held_to_whole_buckets() -> None:
    assert upper_bound(NOW + 12_345, 3000) == NOW + 9345
    assert upper_bound(NOW + 12_345, 1000, whole_buckets=10_000) == NOW + 10_000


def test_a_clock_set_back_a_little_is_waited_for() -> None:
    assert after_clock_step(after_checkpoint(NOW), NOW - 5000) is None


def test_a_clock_set_back_far_has_new_documents_looked_for_and_written_over_old_ones() -> None:
    """Else every document until the clock is there again would be counted too late or never."""
    state = after_checkpoint(NOW)
    upper = NOW - 3_600_000

    state = after_clock_step(state, upper) or State()
    following = begin(state, upper, counted(state, upper, 1))

    assert following.running is not None
    assert following.running.lower is not None
    assert following.running.lower <= upper - 86_400_000
    assert following.running.version > NOW
    assert complete(following, upper).upper == upper


def test_whole_stretches_of_time_may_pay_after_a_pause_or_with_many_new_documents() -> None:
    state = after_checkpoint(NOW)
    few = begin(state, NOW + 1000, counted(state, NOW + 1000, 1)).running
    many = begin(state, NOW + 1000, counted(state, NOW + 1000, MANY_DOCUMENTS)).running
    later = NOW + GUARD_MILLISECONDS + 1000
    paused = begin(state, later, counted(state, later, 1)).running

    assert few is not None and not many_documents(few)
    assert many is not None and many_documents(many)
    assert paused is not None and many_documents(paused)
