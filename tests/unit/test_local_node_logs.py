"""Guards: the end of the log is shown, and followed over rotation without losing a line."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from engine.errors import LocalNodeError
from localnode.logs import follow, is_there, last_lines


def test_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "node.log"
    log.write_text("one\ntwo\nthree\n")
    assert last_lines(log, 2) == ["two", "three"]
    assert last_lines(log, 0) == []
    assert last_lines(log, 9) == ["one", "two", "three"]
    assert last_lines(tmp_path / "nothing.log", 9) == []


def test_a_log_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Of another user's node, for one; a folder stands for that, because root may read everything."""
    log = tmp_path / "node.log"
    log.mkdir()
    for read in (is_there, lambda path: last_lines(path, 1), lambda path: next(follow(path, 1))):
        with pytest.raises(LocalNodeError, match=r"node\.log: the node's log cannot be read: Is a directory"):
            read(log)


def test_following_sees_what_is_written_before_and_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "node.log"
    log.write_text("one\ntwo\n")
    followed = follow(log, 1)
    assert next(followed) == "two"
    with log.open("a") as file:
        file.write("three\nfo")
        file.flush()
        assert next(followed) == "three"
        file.write("ur\nfive\n")
    log.rename(tmp_path / "node.1.log")
    log.write_text("six\nseven\n")
    assert list(islice(followed, 4)) == ["four", "five", "six", "seven"]
