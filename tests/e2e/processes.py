"""httpmon's own processes, started and stopped as a user's shell would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

REPOSITORY = Path(__file__).parents[2]


def environment_for(url: str, namespace: str) -> dict[str, str]:
    """The test's own settings only, whatever the developer's shell holds."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HTTPMON_")}
    return kept | {
        "HTTPMON_ENGINE_URL": url,
        "HTTPMON_NAMESPACE": namespace,
        "PYTHONPATH": str(REPOSITORY),
    }


class Httpmon:
    """Runs ``httpmon`` in processes of its own, with settings for one engine and namespace, and some more."""

    def __init__(
        self, url: str, namespace: str, folder: Path, further: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._environment = environment_for(url, namespace) | further
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, *arguments: str | Path, expect: int = 0, standard_input: IO[bytes] | None = None) -> str:
        """Run to the end; its standard output. Fails when the exit code is another than expected."""
        done = subprocess.run(
            self._command(arguments),
            cwd=self._folder,
            env=self._environment,
            stdin=standard_input,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start in the background; its output goes to a file named after the command."""
        log = self._folder / f"{arguments[0]}-{len(self._running)}.out"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._command(arguments),
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """``kill -9``: no handler runs, nothing is flushed."""
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)

    def stop_all(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.wait(timeout=30)

    @staticmethod
    def _command(arguments: tuple[str | Path, ...]) -> list[str]:
        return [sys.executable, "-m", "httpmon", *map(str, arguments)]


def await_that(condition: Callable[[], bool], what: str, *, seconds: float = 120) -> None:
    """Ask until the condition holds; fail with ``what`` when it never does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
