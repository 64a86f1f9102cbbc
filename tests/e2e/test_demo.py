"""Guards the first thing that a new user does: the demo shows an alert come and go, and leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import REPOSITORY, await_that

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc"),
]


class Demo:
    """``httpmon demo`` with a home of its own; downloaded jars are shared with the other tests."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self._output = folder / "demo.out"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HTTPMON_")}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "httpmon", "demo", *arguments],
                cwd=folder,
                env=kept | {"PYTHONPATH": str(REPOSITORY), "XDG_DATA_HOME": str(folder / "data")},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own, as a shell gives to each command: Ctrl-C goes to all in it.
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def await_output(self, pattern: str, *, seconds: float) -> None:
        def seen() -> bool:
            assert self.process.poll() is None, f"the demo ended by itself: {self.output}"
            return re.search(pattern, self.output) is not None

        await_that(seen, f"{pattern} in the output: {self.output[-3000:]}", seconds=seconds)

    def interrupt(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)

    def left_behind(self) -> list[str]:
        """The command lines of processes that know the demo's folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has just ended
                continue
            if str(self.folder) in command:
                found.append(command)
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(tmp_path).encode() in entry.read_bytes():
                os.kill(int(entry.parent.name), signal.SIGKILL)
        except OSError:
            continue


def test_an_alert_fires_and_recovers_and_ctrl_c_ends_it_all(folder: Path) -> None:
    demo = Demo(folder, "--window", "10s", "--burst", "8s+15s*20")
    demo.await_output(r"triggered +High traffic: ", seconds=200)
    demo.await_output(r"recovered +High traffic recovered after \d+ s", seconds=120)
    assert demo.interrupt() == 130
    assert demo.left_behind() == []
    output = demo.output
    assert "Traceback" not in output
    assert "httpmon node start" in output
    assert f"--config {folder / 'data' / 'httpmon' / 'demo' / 'httpmon.toml'} tail" in output


def test_a_log_of_ones_own_is_followed(folder: Path) -> None:
    log = folder / "access.log"
    line = '192.0.2.1 - - [01/Jan/2020:00:00:00 +0000] "GET /old/page HTTP/1.1" 200 100 "-" "-"\n'
    log.write_text(line * 3)
    demo = Demo(folder, "--log", str(log))
    demo.await_output(r"/old .* 3\n|; 3 hits overall", seconds=200)
    with log.open("a") as appended:
        appended.write(line * 2)
    demo.await_output(r"; 5 hits overall", seconds=60)
    assert demo.interrupt() == 130
    assert demo.left_behind() == []


def test_ctrl_c_while_it_starts_leaves_nothing_either(folder: Path) -> None:
    demo = Demo(folder)
    demo.await_output(r"Starting OpenSearch", seconds=200)
    assert demo.interrupt() == 130
    assert demo.left_behind() == []
    assert "Traceback" not in demo.output


def test_a_log_that_is_not_there_is_refused_at_once(folder: Path) -> None:
    demo = Demo(folder, "--log", "nowhere.log")
    assert demo.process.wait(timeout=60) == 2
    assert demo.output == "httpmon: --log nowhere.log: there is no such file\n"
