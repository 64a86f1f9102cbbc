"""A log that is rotated while it is written: lines lost and doubled, for each way of rotating.

    python bench/shipping_rotation.py --url http://127.0.0.1:9200 [--lines 20000] [--rate 5000]

One process writes, another rotates, as a server and logrotate do. Each way is tried with the log's own path
and with a glob that matches its rotated files, too. Exits with 1 where a line is missing or there twice. It
makes a namespace of its own and removes it.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import product
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

_SPAWN = multiprocessing.get_context("spawn")


def write(log: Path, name: str, lines: int, rate: float) -> None:
    """Write lines that are all different, each at its time, into a file that a SIGHUP lets open anew."""
    told: list[int] = []
    signal.signal(signal.SIGHUP, lambda *_: told.append(1))
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    begun = time.perf_counter()
    for number in range(lines):
        if told:
            told.clear()
            os.close(file)
            file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{line(name, number)}\n".encode())
        ahead = begun + (number + 1) / rate - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)


def line(name: str, number: int) -> str:
    return f'192.0.2.1 - - [25/Nov/2025:10:00:00 +0000] "GET /{name}/{number} HTTP/1.1" 200 1'


Reopen = Callable[[], None]


def rename(log: Path, rotated: Path, reopen: Reopen) -> None:
    log.rename(rotated)
    reopen()


def rename_late(log: Path, rotated: Path, reopen: Reopen) -> None:
    log.rename(rotated)
    log.touch()
    time.sleep(LATE_SECONDS)
    reopen()


def copytruncate(log: Path, rotated: Path, reopen: Reopen) -> None:  # noqa: ARG001 - nobody is told
    shutil.copyfile(log, rotated)
    os.truncate(log, 0)


def copytruncate_by_shell(log: Path, rotated: Path, reopen: Reopen) -> None:  # noqa: ARG001
    """Another process copies, so more is written before the log is emptied."""
    subprocess.run(["/bin/sh", "-c", 'cp "$0" "$1" && : > "$0"', log, rotated], check=True)


WAYS: dict[str, Callable[[Path, Path, Reopen], None]] = {
    "rename": rename,
    "rename, old file written for 100 ms": rename_late,
    "copytruncate": copytruncate,
    "copytruncate, by cp and a shell": copytruncate_by_shell,
}


def trial(shipping: Shipping, way: str, pattern: str, given: argparse.Namespace) -> tuple[int, int]:
    """Lines that are missing and that are there more than once."""
    name, first = secrets.token_hex(4), secrets.token_hex(4)
    before = shipping.count()
    shipping.log.touch()
    shipper = shipping.start(shipping.log.parent / pattern)
    # What was rotated before a shipper ever saw the log is none of its lines.
    write(shipping.log, first, 1, given.rate)
    shipping.await_count(before + 1)
    writer = _SPAWN.Process(target=write, args=(shipping.log, name, given.lines, given.rate))
    writer.start()
    await_that(lambda: shipping.log.stat().st_size > len(line(first, 0)) + 1, "the writer begins")
    reopen = partial(os.kill, writer.pid or 0, signal.SIGHUP)
    for number in range(given.rotations):
        time.sleep(given.lines / given.rate / (given.rotations + 1))
        for older in range(number, 0, -1):
            shipping.log.with_name(f"access.log.{older}").rename(
                shipping.log.with_name(f"access.log.{older + 1}")
            )
        WAYS[way](shipping.log, shipping.log.with_name("access.log.1"), reopen)
    writer.join()
    with contextlib.suppress(AssertionError):  # it is told below
        await_that(lambda: shipping.count() - before > given.lines, "all lines arrive", seconds=10)
    shipper.terminate()
    shipper.wait(timeout=20)
    arrived = {text: count for text, count in shipping.arrived().items() if f"GET /{name}/" in text}
    missing = {line(name, number) for number in range(given.lines)} - set(arrived)
    return len(missing), sum(count - 1 for count in arrived.values())


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--lines", type=int, default=20_000)
    arguments.add_argument("--rate", type=float, default=5000, help="lines a second")
    arguments.add_argument("--rotations", type=int, default=4)
    arguments.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    arguments.add_argument("--rounds", type=int, default=1)
    given = arguments.parse_args()
    settings = Settings(namespace="bench_rotation", engine=EngineSettings(url=given.url))
    wrong = 0
    with Engine(Connection(given.url)) as engine:
        try:
            provision(engine, settings)
            for way, pattern in product(given.ways * given.rounds, ("access.log", "access.log*")):
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
