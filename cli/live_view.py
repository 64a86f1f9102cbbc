"""The live screen in a terminal: keys in, ``reading.screen`` out. Imported only when it is shown."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from engine.errors import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EngineUnreachable,
    HttpmonError,
    NotProvisioned,
)
from reading.buckets import BUCKET_SECONDS, last_complete_end, seconds_until_next
from reading.follow import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, Pace
from reading.rule import TrafficRule
from reading.screen import Role, View, compose_screen
from reading.tick import SORT_KEYS, Question, Tick

# The screen has room for more than the tables of a --once: these many are asked for.
_MOST_SECTIONS = 100
_MOST_ALERTS = 50

# The terminal's own sixteen colours, so that they suit its light or dark background.
_STYLES: dict[Role, str] = {
    "": "",
    "title": "bold",
    "muted": "bright_black",
    "head": "bold underline",
    "bar": "cyan",
    "good": "green",
    "warning": "yellow",
    "over": "bold red",
    "alert": "bold red",
}


class Lines(Widget):
    """Where the screen is drawn; a new size draws it anew."""

    app: LiveView

    def render(self) -> Text:
        """The lines for the widget's size."""
        return self.app.drawn(self.size)


class LiveView(App[int]):
    """Shows each interval when it is complete, or a past one; ``run`` returns the exit code.

    Args:
        read: asks the engine one question; called on a thread of its own.
        question: what the first tick asks; its ``end`` is replaced by the last complete one.
        pace: when intervals are complete.
        rule: the high-traffic rule.
        view: title and characters.
        zone: of the times shown; None is the machine's own.
        acknowledge: acknowledges the open alerts of a tick; called on a thread of its own.
        clock: the time, UTC.
    """

    CSS = """
    Screen { background: ansi_default; color: ansi_default; overflow: hidden; }
    Lines { height: 1fr; }
    #filter { display: none; height: 1; border: none; padding: 0; background: ansi_default; }
    """
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave"),
        Binding("ctrl+c", "interrupt", priority=True),
        Binding("p", "pause"),
        Binding("s", "sort"),
        Binding("left", "move(-1)"),
        Binding("right", "move(1)"),
        Binding("up", "move(-6)"),
        Binding("down", "move(6)"),
        Binding("f", "follow"),
        # At once, so that what is typed after it goes into the field, however fast it comes.
        Binding("slash", "filter", priority=True),
        Binding("a", "acknowledge"),
        Binding("question_mark", "help"),
        Binding("escape", "dismiss", priority=True),
    ]

    def __init__(
        self,
        *,
        read: Callable[[Question], Tick],
        question: Question,
        pace: Pace,
        rule: TrafficRule,
        view: View,
        zone: tzinfo | None,
        acknowledge: Callable[[Tick], None] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(ansi_color=True)
        self.error: HttpmonError | None = None
        self._ask = read
        self._acknowledge = acknowledge
        self._question = question
        self._pace = pace
        self._rule = rule
        self._view = view
        self._zone = zone
        self._clock = clock
        self._tick: Tick | None = None
        self._asked = 0
        self._pause_seconds = FIRST_RETRY_SECONDS
        self._next: Timer | None = None

    def compose(self) -> ComposeResult:
        """The lines, and the field for the filter, which appears when it is asked for."""
        yield Lines()
        yield Input(id="filter", placeholder="section names that hold ...", compact=True)

    def on_mount(self) -> None:
        """Start to read; signals end the view properly, so that the terminal is left as it was."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.action_interrupt)
        self._draw()
        self._read_latest()

    def drawn(self, size: Size) -> Text:
        """The screen as it stands, laid out for this size."""
        lines = compose_screen(
            self._tick,
            self._rule,
            self._view,
            width=size.width,
            height=size.height,
            now=self._clock(),
            zone=self._zone,
        )
        text = Text(no_wrap=True, end="")
        for number, line in enumerate(lines):
            if number:
                text.append("\n")
            for piece, role in line:
                text.append(piece, _STYLES[role] or None)
        return text

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 - textual's signature
    ) -> bool | None:
        """A slash that is typed into the field is a letter of it."""
        return action != "filter" or not self.query_one("#filter", Input).display

    # -- keys --------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """End."""
        self.exit(EXIT_DONE)

    def action_interrupt(self) -> None:
        """End as Ctrl-C ends any command."""
        self.exit(EXIT_INTERRUPTED)

    def action_pause(self) -> None:
        """Stay at this interval, or go on from now."""
        if self._view.mode == "live":
            self._stop_timer()
            self._asked += 1  # an answer under way comes too late
            self._look(mode="paused")
        else:
            self.action_follow()

    def action_follow(self) -> None:
        """Go back to now and stay there."""
        self._look(mode="live")
        self._read_latest()

    def action_move(self, buckets: int) -> None:
        """Look at another interval; beyond the last complete one there is nothing to see."""
        end = self._question.end + timedelta(seconds=BUCKET_SECONDS * buckets)
        newest = self._newest_end()
        if end >= newest and self._view.mode == "live":
            return
        self._stop_timer()
        self._look(mode="past")
        self._read(replace(self._question, end=min(end, newest), past=True))

    def action_sort(self) -> None:
        """Sort the sections by the next key."""
        following = SORT_KEYS[(SORT_KEYS.index(self._question.sort) + 1) % len(SORT_KEYS)]
        self._read(replace(self._question, sort=following))

    def action_filter(self) -> None:
        """Ask for the text that section names must hold."""
        field = self.query_one("#filter", Input)
        field.value = self._question.matching
        field.display = True
        self.set_focus(field)

    def action_dismiss(self) -> None:
        """Leave the field or the page of keys."""
        self._hide_filter()
        self._look(help=False)

    def action_help(self) -> None:
        """Show the page of keys, or hide it."""
        self._look(help=not self._view.help)

    def action_acknowledge(self) -> None:
        """Acknowledge the open alerts and read again, so that it is seen."""
        tick, acknowledge = self._tick, self._acknowledge
        if tick is None or acknowledge is None or not tick.open_alerts:
            return

        def work() -> None:
            try:
                acknowledge(tick)
            except HttpmonError as error:
                self.call_from_thread(self._look, trouble=f"not acknowledged: {error}")
            else:
                self.call_from_thread(self._read, self._question)

        self.run_worker(work, thread=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Name only the sections that hold the text."""
        self._hide_filter()
        self._read(replace(self._question, matching=event.value.strip()))

    # -- reading -----------------------------------------------------------------------------------------

    def _newest_end(self) -> datetime:
        return last_complete_end(self._clock(), self._pace.interval_seconds, self._pace.delay_seconds)

    def _read_latest(self) -> None:
        self._read(replace(self._question, end=self._newest_end(), past=False))

    def _read(self, question: Question) -> None:
        self._question = question
        self._asked += 1
        number = self._asked

        def work() -> None:
            try:
                tick = self._ask(question)
            except HttpmonError as error:
                self.call_from_thread(self._failed, number, error)
            else:
                self.call_from_thread(self._arrived, number, tick)

        self.run_worker(work, thread=True)

    def _arrived(self, number: int, tick: Tick) -> None:
        if number != self._asked:
            return  # a newer question is under way
        self._tick = tick
        self._pause_seconds = FIRST_RETRY_SECONDS
        self._look(trouble="")
        if self._view.mode == "live":
            pace = self._pace
            self._wait(seconds_until_next(self._clock(), pace.interval_seconds, pace.delay_seconds))

    def _failed(self, number: int, error: HttpmonError) -> None:
        if number != self._asked:
            return
        if not isinstance(error, EngineUnreachable | NotProvisioned):
            self.error = error
            self.exit(error.exit_code)
            return
        self._look(trouble=f"{error}; trying again")
        self._wait(self._pause_seconds)
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_RETRY_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._stop_timer()
        self._next = self.set_timer(seconds, self._on_time)

    def _on_time(self) -> None:
        if self._view.mode == "live":
            self._read_latest()
        else:
            self._read(self._question)

    def _stop_timer(self) -> None:
        if self._next is not None:
            self._next.stop()
            self._next = None

    # -- drawing -----------------------------------------------------------------------------------------

    def _hide_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        self.set_focus(None)

    def _look(self, **changes: object) -> None:
        self._view = replace(self._view, **changes)  # type: ignore[arg-type]
        self._draw()

    def _draw(self) -> None:
        # Before the first layout there is nothing to draw on.
        for lines in self.query(Lines):
            lines.refresh()


def show_live(
    *,
    read: Callable[[Question], Tick],
    acknowledge: Callable[[Tick], None],
    question: Question,
    pace: Pace,
    rule: TrafficRule,
    view: View,
    zone: tzinfo | None,
) -> int:
    """Show the live view until somebody ends it; the exit code. Raises what ended it by itself."""
    roomy = replace(
        question, top=max(question.top, _MOST_SECTIONS), alerts=max(question.alerts, _MOST_ALERTS)
    )
    live = LiveView(
        read=read, acknowledge=acknowledge, question=roomy, pace=pace, rule=rule, view=view, zone=zone
    )
    code = live.run(mouse=False)
    if live.error is not None:
        raise live.error
    return EXIT_INTERRUPTED if code is None else code
