"""Whether the node of a folder runs, and where it answers.

A node holds an exclusive ``flock`` on its claim file for as long as it lives: the descriptor is inherited
from whoever started it, and the kernel lets the lock go when the process ends, however it ends. So a stale
pid file or a pid used again by another process is never mistaken for a node: both files that the engine
writes (its pid, its HTTP address) are believed only while the lock is held, and are deleted by the starter
under the lock, before it makes the process.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from localnode.folders import NodeFolders


def try_claim(folders: NodeFolders) -> int | None:
    """Lock the folder for a node; the descriptor that holds the lock, or None where a node has it.

    A reader that looks at the same instant makes this fail too, so callers try again.
    """
    descriptor = os.open(folders.claim_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_running(folders: NodeFolders) -> bool:
    """Whether a node holds the folder, be it still on its way up."""
    try:
        descriptor = os.open(folders.claim_file, os.O_RDONLY)
    except OSError:
        return False
    try:
        # Shared, so that any number of readers at once see the same.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def running_url(home: Path) -> str | None:
    """The URL of the node that runs in ``home``; None where none runs or it does not answer HTTP yet."""
    folders = NodeFolders(home)
    if not is_running(folders):
        return None
    address = _first_line(folders.http_ports_file)
    return f"http://{address}" if address else None


def running_pid(folders: NodeFolders) -> int | None:
    """The process of the node that runs; None where none runs or it has not written its pid yet."""
    if not is_running(folders):
        return None
    text = _first_line(folders.pid_file)
    return int(text) if text.isdecimal() else None


def forget_last_run(folders: NodeFolders) -> None:
    """Remove what an earlier run left behind; only for the holder of the claim."""
    folders.pid_file.unlink(missing_ok=True)
    folders.http_ports_file.unlink(missing_ok=True)


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").partition("\n")[0].strip()
    except FileNotFoundError:
        return ""
