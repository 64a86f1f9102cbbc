"""A real terminal for tests: tmux, driven by keys and read as a person would."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DEADLINE_SECONDS = 60
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("TMUX", "HTTPMON_"))
} | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}


class Terminal:
    """A terminal of its own, with a command running in it."""

    def __init__(self, width: int, height: int, command: str) -> None:
        self._socket = f"httpmon-test-{uuid.uuid4().hex[:8]}"
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "sh", "-c",
            f"{command}; echo ended with $?; exec cat",
        )  # fmt: skip

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=True,
            env=ENVIRONMENT,
        )  # fmt: skip
        return done.stdout

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self) -> list[str]:
        return self._tmux("capture-pane", "-p").split("\n")

    def printed(self) -> list[str]:
        """All that was printed, also what left the screen; lines that the terminal wrapped are one."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-").split("\n")

    def wait(self, condition: Callable[[str], bool], seconds: float = DEADLINE_SECONDS) -> list[str]:
        """The lines of the screen once it is as wanted."""
        deadline = time.monotonic() + seconds
        while not condition("\n".join(lines := self.screen())):
            assert time.monotonic() < deadline, "\n".join(lines)
            time.sleep(0.05)
        return lines

    def close(self) -> None:
        self._tmux("kill-server")
