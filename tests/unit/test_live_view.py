"""Guards the live screen: keys do what they say, at 80x24 and 200x50, and nothing is drawn outside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from cli.live_view import Lines, LiveView
from engine.errors import EngineUnreachable, HttpmonError, NotPermitted
from reading.follow import Pace
from reading.rule import TrafficRule
from reading.screen import View
from reading.tick import Question, Tick
from tests.unit.ticks import END, NOW, busy_tick

SIZES = [(80, 24), (200, 50)]


class Desk:
    """A view whose engine answers what the test wants, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.acknowledged: list[Tick] = []
        self.error: HttpmonError | None = None
        self.time = NOW
        self.view = LiveView(
            read=self.read,
            acknowledge=self.acknowledged.append,
            question=Question(end=END),
            pace=Pace(10, 8.0),
            rule=TrafficRule(),
            view=View(title="httpmon-shop"),
            zone=UTC,
            clock=lambda: self.time,
        )

    def read(self, question: Question) -> Tick:
        self.asked.append(question)
        if self.error is not None:
            raise self.error
        return replace(busy_tick(), question=question)

    @property
    def text(self) -> str:
        return str(self.view.query_one(Lines).render())


def drive(desk: Desk, size: tuple[int, int], script: Callable[[Pilot[int]], Awaitable[None]]) -> None:
    async def play() -> None:
        async with desk.view.run_test(size=size) as pilot:
            await settled(pilot)
            await script(pilot)

    asyncio.run(play())


async def settled(pilot: Pilot[int]) -> None:
    with contextlib.suppress(WorkerCancelled):  # the view has ended
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def press(pilot: Pilot[int], *keys: str) -> None:
    await pilot.press(*keys)
    await settled(pilot)


@pytest.mark.parametrize("size", SIZES)
def test_the_screen_fills_the_terminal_and_no_more(size: tuple[int, int]) -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        lines = desk.text.split("\n")
        assert len(lines) == size[1]
        assert max(len(line) for line in lines) <= size[0]
        assert "httpmon-shop  2026-03-01 12:00:00 to 12:00:10 UTC" in lines[0]
        assert lines[0].endswith("following")
        assert r"/\x1b[31mevil" in desk.text
        assert "OPEN for 2 min 18 s" in desk.text
        assert lines[-1].startswith("q quit")

    drive(desk, size, script)


def test_a_new_size_is_a_new_layout() -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        await pilot.resize_terminal(200, 50)
        await pilot.pause()
        assert len(desk.text.split("\n")) == 50
        await pilot.resize_terminal(40, 12)
        await pilot.pause()
        assert len(desk.text.split("\n")) == 12

    drive(desk, (80, 24), script)
    assert len(desk.asked) == 1, "a new size asks the engine nothing"


@pytest.mark.parametrize("size", SIZES)
def test_arrows_go_back_bucket_by_bucket_and_f_follows_again(size: tuple[int, int]) -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        await press(pilot, "left")
        await press(pilot, "left")
        await press(pilot, "up")
        await press(pilot, "right")
        assert [(END - question.end).seconds for question in desk.asked] == [0, 10, 20, 80, 70]
        assert all(question.past for question in desk.asked[1:])
        assert "PAST, f follows" in desk.text
        desk.time = NOW + timedelta(seconds=100)
        await press(pilot, "f")
        assert desk.asked[-1].end == END + timedelta(seconds=100)
        assert not desk.asked[-1].past
        assert "following" in desk.text

    drive(desk, size, script)


def test_there_is_nothing_to_see_beyond_the_last_complete_bucket() -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        await press(pilot, "right")
        await press(pilot, "left")
        await press(pilot, "down")
        assert [question.end for question in desk.asked] == [END, END - timedelta(seconds=10), END]

    drive(desk, (80, 24), script)


def test_pause_and_go_on() -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        await press(pilot, "p")
        assert "PAUSED" in desk.text
        desk.time = NOW + timedelta(seconds=50)
        await press(pilot, "p")
        assert "following" in desk.text
        assert [question.end for question in desk.asked] == [END, END + timedelta(seconds=50)]

    drive(desk, (80, 24), script)


def test_s_sorts_by_the_next_number() -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        assert "*hits" in desk.text
        for _ in range(6):
            await press(pilot, "s")
        assert [question.sort for question in desk.asked] == [
            "hits", "average", "4xx", "5xx", "bytes", "overall", "hits"
        ]  # fmt: skip

    drive(desk, (80, 24), script)


def test_slash_filters_sections_and_keys_are_text_meanwhile() -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        await press(pilot, "slash", "slash", "p", "q", "enter")
        assert desk.asked[-1].matching == "/pq"
        assert "section [/pq]" in desk.text
        await press(pilot, "slash", "escape")
        assert len(desk.asked) == 2
        await press(pilot, "slash", "backspace", "backspace", "backspace", "enter")
        assert desk.asked[-1].matching == ""

    drive(desk, (80, 24), script)


def test_a_acknowledges_the_open_alerts_and_reads_again() -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        await press(pilot, "a")
        await settled(pilot)
        assert [tick.open_alerts[0].action for tick in desk.acknowledged] == ["triggered"]
        assert len(desk.asked) == 2

    drive(desk, (80, 24), script)


def test_help_names_every_key() -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        await press(pilot, "question_mark")
        for key in ("q", "p", "s", "left, right", "up, down", "f", "/", "a", "?"):
            assert f"\n  {key} " in desk.text
        await press(pilot, "escape")
        assert "/pages" in desk.text

    drive(desk, (80, 24), script)


def test_an_outage_keeps_the_numbers_and_says_so() -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        desk.error = EngineUnreachable("cannot reach the engine at X: refused")
        await press(pilot, "f")
        assert "cannot reach the engine at X: refused; trying again" in desk.text
        assert "/pages" in desk.text
        desk.error = None
        await press(pilot, "f")
        assert "trying again" not in desk.text

    drive(desk, (80, 24), script)


def test_an_error_for_good_ends_it() -> None:
    desk = Desk()
    desk.error = NotPermitted("no", status=403)

    async def script(pilot: Pilot[int]) -> None:
        assert desk.view.error is desk.error

    drive(desk, (80, 24), script)
    assert desk.view.return_value == 5


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("ctrl+c", 130)])
def test_the_ways_out(key: str, code: int) -> None:
    desk = Desk()

    async def script(pilot: Pilot[int]) -> None:
        await pilot.press(key)

    drive(desk, (80, 24), script)
    assert desk.view.return_value == code
