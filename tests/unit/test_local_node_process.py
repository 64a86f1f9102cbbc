"""Guards: a process is asked to end, then made to; a Java that isn't there is told with its setting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import LocalNodeError
from localnode.process import await_condition, command_line, end, java_program

# Says when it is ready, so that no signal comes before.
OBEDIENT = "print(flush=True); input()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {OBEDIENT}"


@pytest.mark.parametrize(("program", "signal_number"), [(OBEDIENT, 15), (STUBBORN, 9)])
def test_a_process_is_asked_first_and_then_killed(program: str, signal_number: int) -> None:
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert end(process.pid, lambda: process.poll() is not None, patience_seconds=0.3)
        assert process.returncode == -signal_number


def test_a_process_that_is_gone_already_is_no_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert command_line(process.pid) == ""
    assert end(process.pid, lambda: True, patience_seconds=0.1)


def test_a_condition_that_never_holds_ends_with_its_time() -> None:
    assert not await_condition(lambda: False, 0.0)


def test_a_java_that_is_not_there_is_told_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(LocalNodeError, match=r"bin/java: there is no such program; .* node\.java_home"):
        java_program(tmp_path)
