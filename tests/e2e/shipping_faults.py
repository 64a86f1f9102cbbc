"""A log under a seeded schedule of everything that happens to logs, shippers and engines, and what arrives.

Between lines the log is rotated in every way, its rotated files are numbered on and packed, the shipper and
the node are killed with ``kill -9``, and a proxy between them refuses, cuts and answers in part.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from engine.client import Engine
from engine.connection import Connection
from localnode.node import DEFAULT_HEAP, LocalNode
from provisioning.installation import provision
from provisioning.settings import EngineSettings, Settings
from tests.e2e.processes import await_that
from tests.e2e.shipped import Shipping
from tests.node.counting_proxy import Answer, CountingProxy, Sent, refusal

# What may happen between two portions of lines, and how often beside the others.
_EVENTS = {"rename": 6, "copytruncate": 4, "kill shipper": 6, "kill node": 3, "outage": 2, "nothing": 6}


class FaultyProxy(CountingProxy):
    """Lets bulk requests go wrong by chance, in each way in which one can.

    ``chance`` is below 1, or nothing ever came through; ``done`` counts the faults by kind.
    """

    def __init__(self, upstream: str, *, seed: int, chance: float) -> None:
        super().__init__(upstream)
        self._dice = random.Random(seed)
        self._mutex = threading.Lock()
        self._chance = chance
        self.done: Counter[str] = Counter()

    def exchange(self, sent: Sent) -> Answer | None:
        if not sent.path.partition("?")[0].endswith("_bulk"):
            return self.forward(sent)
        with self._mutex:
            kind = ""
            if self._dice.random() < self._chance:
                kind = self._dice.choice(("429", "503", "unheard 503", "cut", "unheard cut", "in part"))
                self.done[kind] += 1
            seed = self._dice.random()
        match kind:
            case "429" | "503":
                return refusal(int(kind))
            case "cut":
                return None
            case "unheard 503":
                self.forward(sent)
                return refusal(503)
            case "unheard cut":
                self.forward(sent)
                return None
            case "in part":
                return self._in_part(sent, random.Random(seed))
        return self.forward(sent)

    def _in_part(self, sent: Sent, dice: random.Random) -> Answer | None:
        """Keep some items from the engine and tell of some that it took that it had not: both with 429."""
        headers = {name.lower(): value for name, value in sent.headers.items()}
        body = gzip.decompress(sent.body) if headers.pop("content-encoding", "") == "gzip" else sent.body
        del headers["content-length"]
        lines = body.splitlines(keepends=True)
        items = list(zip(lines[::2], lines[1::2], strict=True))
        kept_back = {number for number in range(len(items)) if dice.random() < 0.2}
        kept_back.discard(0)
        passed = b"".join(a + b for number, (a, b) in enumerate(items) if number not in kept_back)
        answer = self.forward(Sent(sent.method, sent.path, headers, passed))
        if answer is None or answer.status != 200:
            return answer
        content = json.loads(answer.content)
        told = iter(content["items"])
        error = {"type": "es_rejected_execution_exception", "reason": "injected"}
        refused = {"create": {"status": 429, "error": error}}
        content["items"] = [
            refused if number in kept_back else self._or_refused(next(told), refused, dice)
            for number in range(len(items))
        ]
        content["errors"] = True
        return Answer(200, [("content-type", "application/json")], json.dumps(content).encode())

    @staticmethod
    def _or_refused(item: object, refused: object, dice: random.Random) -> object:
        return refused if dice.random() < 0.1 else item


@dataclass(slots=True)
class Outcome:
    """What was done, and what arrived.

    Attributes:
        written: lines in the log and its rotated files.
        missing, doubled, foreign: lines that are not there, there more than once, or were never written.
        exit_code: of the last shipper, which was asked to end when all had arrived.
        events: how often each thing was done to the log, the shipper and the node.
        faults: how often the proxy let a request go wrong, by kind.
        seconds: how long it took.
    """

    written: int
    missing: list[str]
    doubled: list[str]
    foreign: list[str]
    exit_code: int
    events: Counter[str]
    faults: Counter[str]
    seconds: float

    @property
    def exact(self) -> bool:
        """Whether the engine holds exactly the lines, once each, and the shipper ended well."""
        return not (self.missing or self.doubled or self.foreign or self.exit_code)


@dataclass(slots=True)
class Trial:
    """One trial on a node of its own.

    Attributes:
        shipping: the log, whose shippers go through the proxy.
        node: killed and started again.
        proxy: between the two.
    """

    shipping: Shipping
    node: LocalNode
    proxy: FaultyProxy
    events: Counter[str] = field(default_factory=Counter)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _restart: Future[str] | None = None
    _shipper: subprocess.Popen[bytes] | None = None

    def run(self, *, lines: int, seed: int, lines_a_second: float, always: tuple[str, ...] = ()) -> Outcome:
        """Write so many lines, with something happening after each portion; then wait until all is there.

        ``always`` are events that come first, whatever the seed says.
        """
        started = time.monotonic()
        dice = random.Random(seed)
        first = list(always)
        try:
            self.shipping.write(1)
            self._shipper = self.shipping.start()
            # What was rotated before a shipper ever saw the log is none of its lines.
            self.shipping.await_count(1)
            while len(self.shipping.written) < lines:
                portion = min(dice.randrange(100, 4000), lines - len(self.shipping.written))
                self._write(portion, lines_a_second)
                event = first.pop(0) if first else dice.choices([*_EVENTS], [*_EVENTS.values()])[0]
                self._happen(event, dice)
            if self._restart is not None:
                self._restart.result()
            with contextlib.suppress(AssertionError):  # what has not arrived by then is missing below
                self.shipping.await_count(len(self.shipping.written))
            self._shipper.send_signal(signal.SIGTERM)
            exit_code = self._shipper.wait(timeout=60)
        finally:
            self.shipping.httpmon.stop_all()
            self._pool.shutdown()
        arrived, written = self.shipping.arrived(), Counter(self.shipping.written)
        return Outcome(
            written=len(self.shipping.written),
            missing=sorted(written - arrived),
            doubled=sorted(line for line, count in arrived.items() if count > 1),
            foreign=sorted(arrived.keys() - written.keys()),
            exit_code=exit_code,
            events=self.events,
            faults=self.proxy.done,
            seconds=time.monotonic() - started,
        )

    def _write(self, count: int, lines_a_second: float) -> None:
        while count > 0:
            now = min(count, 200)
            self.shipping.write(now)
            count -= now
            time.sleep(now / lines_a_second)

    def _happen(self, event: str, dice: random.Random) -> None:
        match event:
            case "rename":
                self._number_on(pack=dice.random() < 0.5)
                self.shipping.log.rename(self._rotated(1))
                # A server writes to its old file until it is told to open the new one.
                self.shipping.write(dice.randrange(5), to=self._rotated(1))
                self.shipping.write(dice.randrange(1, 5))
            case "copytruncate":
                self._number_on(pack=dice.random() < 0.5)
                shutil.copyfile(self.shipping.log, self._rotated(1))
                os.truncate(self.shipping.log, 0)
            case "kill shipper":
                assert self._shipper is not None
                self.shipping.httpmon.kill(self._shipper)
                self._write(dice.randrange(500), 10_000)
                if dice.random() < 0.5:
                    self._happen(dice.choice(("rename", "copytruncate")), dice)
                    self._write(dice.randrange(1, 500), 10_000)
                self._shipper = self.shipping.start()
            case "kill node":
                if self._restart is not None and not self._restart.done():
                    return
                pid = self.node.status().pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                self._restart = self._pool.submit(self._start_again)
            case "outage":
                self.proxy.stop()
                self._write(dice.randrange(1, 500), 10_000)
                self.proxy.start()
            case _:
                return
        self.events[event] += 1

    def _start_again(self) -> str:
        await_that(lambda: not self.node.status().running, "the killed node is gone")
        return self.node.start()

    def _rotated(self, number: int) -> Path:
        return self.shipping.log.with_name(f"access.log.{number}")

    def _number_on(self, *, pack: bool) -> None:
        """Give every rotated file the next number; perhaps pack the second, as logrotate does."""
        number = 1
        while self._rotated(number).exists() or self._packed(number).exists():
            number += 1
        for old in range(number - 1, 0, -1):
            for path, later in (
                (self._rotated(old), self._rotated(old + 1)),
                (self._packed(old), self._packed(old + 1)),
            ):
                if path.exists():
                    path.rename(later)
        if pack and self._rotated(2).exists():
            with (
                self._rotated(2).open("rb") as plain,
                gzip.open(self._packed(2), "wb", compresslevel=1) as packed,
            ):
                shutil.copyfileobj(plain, packed)
            self._rotated(2).unlink()

    def _packed(self, number: int) -> Path:
        return self.shipping.log.with_name(f"access.log.{number}.gz")


def run_trial(
    folder: Path,
    *,
    port: int,
    heap: str = DEFAULT_HEAP,
    lines: int,
    seed: int,
    chance: float,
    lines_a_second: float,
    always: tuple[str, ...] = (),
) -> Outcome:
    """One trial on a node of its own in ``folder``, which is stopped afterwards; see ``Trial.run``."""
    node = LocalNode(folder / "node", port=port, heap=heap)
    try:
        url = node.start()
        settings = Settings(namespace="faults", engine=EngineSettings(url=url))
        with Engine(Connection(url)) as engine, FaultyProxy(url, seed=seed, chance=chance) as proxy:
            provision(engine, settings)
            trial = Trial(Shipping(engine, settings, proxy.url, folder), node, proxy)
            return trial.run(lines=lines, seed=seed, lines_a_second=lines_a_second, always=always)
    finally:
        node.stop()
