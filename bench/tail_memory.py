"""What `httpmon tail` holds in memory and asks for while it is left open in a terminal; by hand.

    python bench/tail_memory.py --url http://127.0.0.1:9200 --minutes 60

A terminal of tmux shows the live screen. In a namespace of its own, which is removed in the end, a scheduler
and a shipper run, and generated traffic rises above the threshold and falls below it again, so that tables,
curve and alerts change. The screen's requests are counted on their way to the engine; its memory and its
processor time are the kernel's figures. Each sample is a line of the output file.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.client import Engine
from engine.connection import Connection
from provisioning.settings import EngineSettings, Settings
from tests.conftest import remove_namespace
from tests.e2e.processes import Httpmon, await_that, environment_for
from tests.node.counting_proxy import CountingProxy
from tests.node.terminal import Terminal

# The limits that are set for it.
MOST_MEGABYTES = 80.0
MOST_REQUESTS_A_TICK = 1
TICK_SECONDS = 10
# Once everything has been shown once, this much more is still flat: allocators keep pages they have had.
FLAT_MEGABYTES = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the process; seconds since the first screen."""

    seconds: float
    megabytes: float
    requests: int
    processor_seconds: float


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--minutes", type=float, default=60)
    arguments.add_argument("--every", type=float, default=30, help="seconds from sample to sample")
    arguments.add_argument("--width", type=int, default=200)
    arguments.add_argument("--height", type=int, default=50)
    arguments.add_argument(
        "--rate", type=int, default=8, help="lines a second; for 2 of 5 minutes seven times"
    )
    arguments.add_argument("--output", type=Path, default=Path("tail_memory.tsv"))
    given = arguments.parse_args()
    settings = Settings(namespace=f"benchmem{uuid.uuid4().hex[:6]}", engine=EngineSettings(url=given.url))
    with tempfile.TemporaryDirectory() as folder, CountingProxy(given.url) as proxy:
        httpmon = Httpmon(given.url, settings.namespace, Path(folder))
        try:
            httpmon.run("provision")
            log = Path(folder) / "access.log"
            log.touch()
            feeding = [
                httpmon.start("scheduler"),
                httpmon.start("ship", log),
                httpmon.start("generate", log, "--rate", str(given.rate), "--burst", "60s+2m*7/5m"),
            ]
            terminal, pid = opened(proxy.url, settings, given, Path(folder))
            try:
                samples = observed(terminal, pid, proxy, given)
            finally:
                terminal.close()
            ended = [str(process.args) for process in feeding if process.poll() is not None]
        finally:
            httpmon.stop_all()
            with Engine(Connection(given.url)) as engine:
                remove_namespace(engine, settings.namespace)
    for command in ended:
        print(f"ended before its time: {command}")
    return 1 if ended else judged(samples, Counter(proxy.requests))


def opened(url: str, settings: Settings, given: argparse.Namespace, folder: Path) -> tuple[Terminal, int]:
    """The terminal with the live screen in it, and the process that draws it."""
    environment = environment_for(url, settings.namespace)
    wanted = " ".join(
        f"{name}={shlex.quote(value)}"
        for name, value in environment.items()
        if name.startswith("HTTPMON_") or name == "PYTHONPATH"
    )
    number = folder / "pid"
    own = f"echo $$ > {number}; exec env {wanted} {sys.executable} -m httpmon tail"
    terminal = Terminal(given.width, given.height, f"sh -c {shlex.quote(own)}")
    terminal.wait(lambda text: "following" in text and "\n/" in text)  # a section is shown
    await_that(
        lambda: number.exists() and number.read_text().strip() != "", "the process has told its number"
    )
    return terminal, int(number.read_text())


def observed(terminal: Terminal, pid: int, proxy: CountingProxy, given: argparse.Namespace) -> list[Sample]:
    """A sample every so often; the time is up when ``--minutes`` are."""
    started = time.monotonic()
    samples: list[Sample] = []
    with given.output.open("w", encoding="utf-8") as output:
        output.write("minutes\tmegabytes\trequests\tprocessor_seconds\n")
        while not samples or samples[-1].seconds < given.minutes * 60:
            time.sleep(max(0.0, started + given.every * len(samples) - time.monotonic()))
            sample = Sample(
                time.monotonic() - started, megabytes(pid), len(proxy.requests), processor_seconds(pid)
            )
            samples.append(sample)
            output.write(
                f"{sample.seconds / 60:.1f}\t{sample.megabytes:.2f}\t{sample.requests}"
                f"\t{sample.processor_seconds:.2f}\n"
            )
            output.flush()
    print("\n".join(line.rstrip() for line in terminal.screen()).rstrip())
    return samples


def megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def judged(samples: list[Sample], requests: Counter[str]) -> int:
    """Tell what it was against the limits; 1 when one is not kept."""
    first, last = samples[0], samples[-1]
    length = last.seconds - first.seconds
    half = [sample.megabytes for sample in samples[len(samples) // 2 :]]
    quarter = max(1, len(half) // 4)
    growth = statistics.mean(half[-quarter:]) - statistics.mean(half[:quarter])
    most = max(sample.megabytes for sample in samples)
    ticks = length / TICK_SECONDS
    asked = last.requests - first.requests
    print(f"{length / 60:.1f} minutes, {len(samples)} samples")
    print(f"memory: {first.megabytes:.1f} MB at first, at most {most:.1f} MB, limit {MOST_MEGABYTES:g} MB")
    print(f"in the second half: {min(half):.1f} to {max(half):.1f} MB, grown by {growth:+.2f} MB")
    print(f"requests: {first.requests} at the start, then {asked} in {ticks:.0f} ticks")
    print("of these: " + ", ".join(f"{count} x {request}" for request, count in requests.most_common()))
    used = last.processor_seconds - first.processor_seconds
    print(f"processor: {100 * used / length if length else 0:.2f} % of a core")
    kept = most < MOST_MEGABYTES and growth < FLAT_MEGABYTES and asked <= MOST_REQUESTS_A_TICK * (ticks + 1)
    print("within the limits" if kept else "NOT within the limits")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
