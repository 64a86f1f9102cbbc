"""A log that is rotated while it is written: lines lost and doubled, for each way of rotating.

    python bench/shipping_rotation.py --url http://127.0.0.1:9200 [--lines 20000] [--rate 5000]

One thread writes, another rotates, as a server and logrotate do. Each way is tried with the log's own path
and with a glob that matches its rotated files, too. Exits with 1 where a line is missing or there twice. It
makes a namespace of its own and removes it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.client import Engine
from engine.connection import Connection
from provisioning.apply import apply_plan
from provisioning.installation import plan_removal, provision
from provisioning.settings import EngineSettings, Settings
from tests.e2e.processes import await_that
from tests.e2e.shipped import Shipping

# How long a server goes on writing to its old file where it is told so late.
LATE_SECONDS = 0.1


class Server:
    """Writes lines that are all different at a rate, into a file that it opens anew when it is told to."""

    def __init__(self, log: Path, rate: float) -> None:
        self._log = log
        self._rate = rate
        self._file = log.open("a", buffering=1)
        self._reopen = threading.Event()
        self.written: list[str] = []

    def reopen(self) -> None:
        """What a signal after the rotation does."""
        self._reopen.set()

    def write(self, count: int, name: str) -> None:
        begun = time.perf_counter()
        for number in range(count):
            if self._reopen.is_set():
                self._reopen.clear()
                self._file.close()
                self._file = self._log.open("a", buffering=1)
            line = f'192.0.2.1 - - [25/Nov/2025:10:00:00 +0000] "GET /{name}/{number} HTTP/1.1" 200 1'
            self._file.write(f"{line}\n")
            self.written.append(line)
            ahead = begun + (number + 1) / self._rate - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)


def rename(log: Path, rotated: Path, server: Server) -> None:
    log.rename(rotated)
    server.reopen()


def rename_late(log: Path, rotated: Path, server: Server) -> None:
    log.rename(rotated)
    log.touch()
    time.sleep(LATE_SECONDS)
    server.reopen()


def copytruncate(log: Path, rotated: Path, server: Server) -> None:  # noqa: ARG001 - it notices nothing
    shutil.copyfile(log, rotated)
    os.truncate(log, 0)


WAYS: dict[str, Callable[[Path, Path, Server], None]] = {
    "rename": rename,
    "rename, old file written for 100 ms": rename_late,
    "copytruncate": copytruncate,
}


def trial(shipping: Shipping, way: str, pattern: str, given: argparse.Namespace) -> tuple[int, int]:
    """Lines that are missing and that are there more than once."""
    name = secrets.token_hex(4)
    server = Server(shipping.log, given.rate)
    before = shipping.count()
    shipper = shipping.start(shipping.log.parent / pattern)
    # What was rotated before a shipper ever saw the log is none of its lines.
    server.write(1, f"{name}first")
    shipping.await_count(before + 1)
    writer = threading.Thread(target=server.write, args=(given.lines, name))
    writer.start()
    for number in range(given.rotations):
        time.sleep(given.lines / given.rate / (given.rotations + 1))
        for older in range(number, 0, -1):
            shipping.log.with_name(f"access.log.{older}").rename(
                shipping.log.with_name(f"access.log.{older + 1}")
            )
        WAYS[way](shipping.log, shipping.log.with_name("access.log.1"), server)
    writer.join()
    with contextlib.suppress(AssertionError):  # it is told below
        await_that(lambda: shipping.count() - before > given.lines, "all lines arrive", seconds=20)
    shipper.terminate()
    shipper.wait(timeout=20)
    arrived = {line: count for line, count in shipping.arrived().items() if f"GET /{name}/" in line}
    missing = Counter(server.written[1:]) - Counter(arrived)
    return missing.total(), sum(count - 1 for count in arrived.values())


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--lines", type=int, default=20_000)
    arguments.add_argument("--rate", type=float, default=5000, help="lines a second")
    arguments.add_argument("--rotations", type=int, default=4)
    given = arguments.parse_args()
    settings = Settings(namespace="bench_rotation", engine=EngineSettings(url=given.url))
    wrong = 0
    with Engine(Connection(given.url)) as engine:
        try:
            provision(engine, settings)
            for way in WAYS:
                for pattern in ("access.log", "access.log*"):
                    with tempfile.TemporaryDirectory() as folder:
                        shipping = Shipping(engine, settings, given.url, Path(folder))
                        try:
                            missing, doubled = trial(shipping, way, pattern, given)
                        finally:
                            shipping.httpmon.stop_all()
                    wrong += missing + doubled
                    print(f"{way:36} {pattern:12} {missing:6,} lost {doubled:6,} doubled", flush=True)
        finally:
            for _ in apply_plan(engine, plan_removal(engine, settings, data=True)):
                pass
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
