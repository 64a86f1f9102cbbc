"""A log that is rotated in every way while a follower reads it, with pauses at every step of both.

What comes up once in many thousand rotations, that the log is renamed, copied or emptied between two of the
reader's system calls, comes up all the time. The engine is a dictionary by document ids; the reader is let
down now and then, and another one begins where the registry says.
"""

from __future__ import annotations

import gzip
import multiprocessing
import os
import random
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

from shipping.follow import Follower
from shipping.framing import Block
from shipping.open_files import FollowOptions
from shipping.positions import Span
from shipping.registry import Registry
from shipping.sources import PlainFile

HEADER = b"#Fields: date time cs-method cs-uri-stem sc-status\n"
WAYS = ("rename", "copytruncate", "pack")
_SPAWN = multiprocessing.get_context("spawn")
_LONGEST_PAUSE_SECONDS = 0.006
# For so many seconds, and in so many looks, nothing may come before a trial counts as over.
_WITH_ALL = 0.4, 10
_WITHOUT_ALL = 1.5, 60


@dataclass(frozen=True, slots=True)
class Plan:
    """One trial.

    Attributes:
        seed: of all that is random.
        ways: how the log is rotated, of WAYS; "pack" packs rotated files.
        crashes: how often the reader is let down.
        header: each log begins with the same line.
        pauses: the chance that a step of the reader is preceded or followed by a pause.
    """

    seed: int
    ways: tuple[str, ...] = WAYS
    crashes: int = 0
    header: bool = False
    pauses: float = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial.

    Attributes:
        written: lines.
        missing: lines that are not there, but for those written between the copying and the emptying.
        doubled: what is there more than once, or was never written.
        lost_in_gaps: lines that are not there and were written between the copying and the emptying.
    """

    written: int
    missing: list[str]
    doubled: list[str]
    lost_in_gaps: int


def line(number: int) -> str:
    """One line of a log, without its newline; each number has one of its own."""
    return f'192.0.2.1 - - [25/Nov/2025:10:00:00 +0000] "GET /n/{number} HTTP/1.1" 200 1'


class Writer:
    """A server and its logrotate, in a process of their own."""

    def __init__(self, log: Path, plan: Plan, first: int) -> None:
        self._log = log
        self._dice = random.Random(plan.seed)
        self._header = HEADER if plan.header else b""
        self._ways = [way for way in plan.ways if way != "pack"]
        self._packs = "pack" in plan.ways
        self._names = self._dice.choice(("shifted", "ascending", "dated"))
        self._hurry = self._dice.random()
        self._file = os.open(log, os.O_WRONLY | os.O_APPEND)
        self.lines = first
        self.gaps: list[int] = []

    def work(self) -> None:
        """Write and rotate, a few times."""
        for rotation in range(1, self._dice.randint(2, 6)):
            self._write(self._dice.randint(1, 900))
            self._pause()
            rotated = self._name_of(rotation)
            if self._dice.choice(self._ways) == "rename":
                self._rename(rotated)
            else:
                self._copy_and_empty(rotated)
            self._pause()
            if self._packs and self._dice.random() < 0.4:
                self._pack(rotated)
                self._pause()
            self._write(self._dice.randint(1, 900))
            self._pause()

    def _pause(self) -> None:
        if self._dice.random() < self._hurry and self._dice.random() < 0.6:
            time.sleep(self._dice.random() * self._dice.choice((0.002, 0.15)))

    def _content(self, count: int) -> bytes:
        numbers = range(self.lines, self.lines + count)
        self.lines += count
        return "".join(f"{line(number)}\n" for number in numbers).encode()

    def _write(self, count: int, file: int | None = None) -> None:
        content, at = self._content(count), 0
        whole = self._dice.random() < 0.5
        while at < len(content):
            length = len(content) if whole else self._dice.choice((70, 300, 4096, 20_000))
            at += os.write(self._file if file is None else file, content[at : at + length])
            if not whole and self._dice.random() < 0.2:
                time.sleep(self._dice.random() * 0.003)

    def _name_of(self, rotation: int) -> Path:
        if self._names == "ascending":
            return self._log.with_name(f"{self._log.name}.{rotation}")
        if self._names == "dated":
            return self._log.with_name(f"{self._log.name}-2025112{rotation}")
        rotated = {int(path.name.split(".")[2]): path for path in self._log.parent.glob("access.log.*")}
        for number, path in sorted(rotated.items(), reverse=True):
            path.rename(self._log.with_name(f"{self._log.name}.{number + 1}{'.gz' * (path.suffix == '.gz')}"))
        return self._log.with_name(f"{self._log.name}.1")

    def _rename(self, rotated: Path) -> None:
        self._log.rename(rotated)
        self._pause()
        if self._dice.random() < 0.5:  # until it is told to open its log anew, a server writes to the old one
            self._write(self._dice.randint(1, 5))
            self._pause()
        new = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(new, self._header)
        if self._dice.random() < 0.3:
            self._write(1, new)
            self._write(1)
        os.close(self._file)
        self._file = new

    def _copy_and_empty(self, rotated: Path) -> None:
        shutil.copyfile(self._log, rotated)
        self._pause()
        if self._dice.random() < 0.3:
            self.gaps += [self.lines, self.lines + 1]
            os.write(self._file, self._content(2))
            self._pause()
        os.truncate(self._log, 0)
        os.write(self._file, self._header)

    def _pack(self, rotated: Path) -> None:
        packed = rotated.with_name(f"{rotated.name}.gz")
        begun = packed.with_name("begun") if self._dice.random() < 0.5 else packed
        with rotated.open("rb") as plain, gzip.open(begun, "wb") as out:
            shutil.copyfileobj(plain, out)
        shutil.copystat(rotated, begun)
        begun.rename(packed)
        rotated.unlink()


def _write(log: Path, plan: Plan, first: int, other: Connection) -> None:
    writer = Writer(log, plan, first)
    other.send("ready")
    other.recv()
    writer.work()
    other.send((writer.lines, writer.gaps))


class Reader:
    """A follower, and an engine that takes what it reads; one after the other with the same registry."""

    def __init__(self, log: Path, registry: Path, dice: random.Random) -> None:
        self._pattern = f"{log}{dice.choice(('', '*'))}"
        self._registry_path = registry
        self._dice = dice
        self._read_bytes = dice.choice((1 << 18, 1 << 18, 8192, 1000))
        self.documents: dict[tuple[str, int], bytes] = {}
        self.said: list[str] = []
        self._begin()

    def turn(self) -> bool:
        """Look and read once; whether anything came."""
        self._follower.scan()
        came = False
        for tail, block in self._follower.read():
            came = True
            span = tail.span(block)
            self._registry.save_new()  # before anything of a new file is sent
            self._registry.sending(span)
            self._under_way.append((block, span))
            if self._dice.random() < 0.1:
                self._wait_for_engine()
        if self._dice.random() < 0.1:
            self._wait_for_engine()
        if self._dice.random() < 0.05:
            self._registry.try_save()
        return came

    def _wait_for_engine(self) -> None:
        """Be held up by a full queue; meanwhile the shipper looks at the paths."""
        until = time.monotonic() + self._dice.random() * 0.3
        while time.monotonic() < until:
            self._follower.scan()
            time.sleep(0.02)

    def pause(self, longest: float) -> None:
        """Wait as the shipper does between two looks."""
        time.sleep(min(longest, self._follower.next_page_seconds()))

    @property
    def idle(self) -> bool:
        """Whether the engine has all that was read."""
        return not self._under_way

    def crash(self) -> None:
        """End without a last word, some of what was sent having arrived; then begin again."""
        self._end()
        for block, span in self._under_way:
            if self._dice.random() < 0.5:
                self._store(block, span)
        self._registry._lock_file.close()
        self._begin()

    def close(self) -> None:
        """End."""
        self._end()
        self._registry.close()

    def _begin(self) -> None:
        self._registry = Registry(self._registry_path, self.said.append)
        options = FollowOptions(read_bytes=self._read_bytes)
        self._follower = Follower([self._pattern], self._registry, options, self.said.append)
        self._under_way: deque[tuple[Block, Span]] = deque()
        self._over = threading.Event()
        self._engine = threading.Thread(target=self._take)
        self._engine.start()

    def _end(self) -> None:
        self._over.set()
        self._engine.join()
        self._follower.close()

    def _take(self) -> None:
        dice = random.Random(self._dice.random())
        while not self._over.wait(dice.random() * 0.02):
            while self._under_way and not self._over.is_set():
                block, span = self._under_way[0]
                self._store(block, span)
                self._registry.acknowledge(span)
                self._under_way.popleft()

    def _store(self, block: Block, span: Span) -> None:
        lines = block.content.split(b"\n")
        if not block.flags:
            lines.pop()
        offsets = accumulate((len(one) + 1 for one in lines), initial=block.offset)
        for offset, one in zip(offsets, lines, strict=False):
            self.documents.setdefault((span.key, offset), one)


@contextmanager
def pausing(chance: float, dice: random.Random) -> Iterator[None]:
    """Let every look of the reader at the file system be preceded or followed by a pause, now and then."""

    def pause() -> None:
        if dice.random() < chance:
            time.sleep(dice.random() * _LONGEST_PAUSE_SECONDS)

    def paused(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            pause()
            answer = call(*given, **named)
            pause()
            return answer

        return run

    with ExitStack() as patches:
        looks = [(PlainFile, name) for name in ("read_at", "hold_page", "confirm_held", "take_held")]
        for owner, name in (*looks, (os, "stat"), (os, "fstat"), (os, "listdir")):
            patches.enter_context(mock.patch.object(owner, name, paused(getattr(owner, name))))
        yield


def run_trial(folder: Path, plan: Plan) -> Outcome:
    """Try one plan in an empty folder. Raises AssertionError where it comes to no end."""
    dice = random.Random(plan.seed)
    log, registry = folder / "logs" / "access.log", folder / "registry" / "registry.json"
    log.parent.mkdir()
    registry.parent.mkdir()
    first = dice.randint(1, 40)
    header = HEADER if plan.header else b""
    log.write_bytes(header + "".join(f"{line(number)}\n" for number in range(first)).encode())
    with pausing(plan.pauses, dice):
        reader = Reader(log, registry, dice)
        try:
            written, gaps = _rotate_while_read(log, plan, first, reader, dice)
        finally:
            reader.close()
    return _outcome(reader.documents.values(), written, gaps)


def _rotate_while_read(
    log: Path, plan: Plan, first: int, reader: Reader, dice: random.Random
) -> tuple[int, list[int]]:
    """How many lines were written, and which of them between a copying and an emptying."""
    here, there = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_write, args=(log, plan, first, there), daemon=True)
    process.start()
    here.recv()
    result: tuple[int, list[int]] | None = None
    begins, crashes, begun = False, plan.crashes, time.monotonic()
    grown_at, crash_at, looks = begun, float("inf"), 0
    while True:
        came = reader.turn()
        now = time.monotonic()
        assert now - begun < 120, f"seed {plan.seed} does not come to its end"
        if not begins and len(reader.documents) >= first + plan.header:
            begins = True
            here.send("begin")
        if begins and came and crashes and crash_at == float("inf"):
            crash_at = now + dice.random() * 0.3
        if now >= crash_at:
            reader.crash()
            crashes, crash_at, came = crashes - 1, float("inf"), True
        if begins and result is None and here.poll():
            result = here.recv()
            process.join()
            came = True
        if came:
            grown_at, looks = now, 0
            continue
        looks += 1
        if result is not None and reader.idle:
            complete = len(reader.documents) >= result[0]
            seconds, least = _WITH_ALL if complete else _WITHOUT_ALL
            if now - grown_at > seconds and looks > least:
                return result
        reader.pause(0.01 if dice.random() < 0.9 else 0.05)


def _outcome(documents: Any, written: int, gaps: list[int]) -> Outcome:
    arrived = Counter(one.decode() for one in documents if one + b"\n" != HEADER)
    expected = Counter(line(number) for number in range(written))
    in_gaps = {line(number) for number in gaps}
    missing = expected - arrived
    # Of a line that goes beyond the page that was held, the first part may be there.
    doubled = [text for text in (arrived - expected) if not any(whole.startswith(text) for whole in in_gaps)]
    doubled += [text for text in in_gaps if arrived[text] > 1]
    lost = [text for text in missing if text in in_gaps]
    return Outcome(written, sorted(missing.keys() - in_gaps), sorted(doubled), len(lost))
