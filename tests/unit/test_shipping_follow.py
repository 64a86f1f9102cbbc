"""Guards which files the shipper reads: through crashes, rotations that nobody saw, and odd paths."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from shipping.follow import Follower, FollowOptions
from shipping.framing import Block
from shipping.registry import Registry
from shipping.tail import Tail


class Desk:
    """A folder with a log, and what a follower reads of it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "access.log"
        self.registry_file = folder / "registry" / "registry.json"
        self.registry_file.parent.mkdir()
        self.said: list[str] = []
        self.written: list[str] = []
        self.read: list[str] = []

    def write(self, count: int, name: str = "access.log") -> None:
        lines = [f"line {len(self.written) + number}" for number in range(count)]
        self.written += lines
        with self.log.with_name(name).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def registry(self) -> Registry:
        return Registry(self.registry_file, self.said.append)

    def follower(self, registry: Registry, *patterns: str) -> Follower:
        return Follower([*(patterns or (str(self.log),))], registry, FollowOptions(), self.said.append)

    def read_all(self, registry: Registry, follower: Follower) -> None:
        """Read until nothing more comes, and take all as acknowledged."""
        idle = 0
        while idle < 2:
            follower._next_scan = 0.0
            follower.scan()
            blocks = list(follower.read())
            idle = idle + 1 if not blocks else 0
            for tail, block in blocks:
                self.take(registry, tail, block)

    def take(self, registry: Registry, tail: Tail, block: Block) -> None:
        self.read += block.content.decode().splitlines()
        span = tail.span(block)
        registry.sending(span)
        registry.acknowledge(span)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def rotate(desk: Desk) -> None:
    number = 1
    while desk.log.with_name(f"access.log.{number}").exists():
        number += 1
    for older in range(number, 1, -1):
        desk.log.with_name(f"access.log.{older - 1}").rename(desk.log.with_name(f"access.log.{older}"))
    desk.log.rename(desk.log.with_name("access.log.1"))


def test_rotations_nobody_saw_are_known_before_anything_newer_is(desk: Desk) -> None:
    """A newer file in the registry says of what is older and not there that it was none of ours."""
    desk.write(3)
    registry = desk.registry()
    follower = desk.follower(registry)
    desk.read_all(registry, follower)
    follower.close()
    registry.close()
    for _ in range(3):
        desk.write(5)
        rotate(desk)
    desk.write(5)
    # Started, looked, and killed before a line was read or sent.
    registry = desk.registry()
    desk.follower(registry).close()
    registry._lock_file.close()
    kept = json.loads(desk.registry_file.read_text())["files"]
    assert len(kept) == 4  # the first file grew on to be the first of the rotated ones
    registry = desk.registry()
    follower = desk.follower(registry)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)


@pytest.mark.parametrize("looked", [True, False])
def test_a_log_that_was_filled_copied_and_emptied_between_two_looks(desk: Desk, looked: bool) -> None:
    desk.write(1, "access.log.1")
    desk.written.clear()
    desk.log.touch()
    registry = desk.registry()
    follower = desk.follower(registry)
    desk.read_all(registry, follower)
    desk.log.with_name("access.log.1").rename(desk.log.with_name("access.log.2"))
    desk.write(5)
    shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))
    os.truncate(desk.log, 0)
    if looked:
        desk.read_all(registry, follower)
    desk.write(3)
    # Read before it is looked at, and killed as soon as the first lines could have been sent.
    desk.take(registry, *next(follower.read()))
    registry.save_new()
    kept = json.loads(desk.registry_file.read_text())["files"]
    assert len(kept) == 2
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)


def test_what_was_rotated_before_a_log_was_followed_is_left_alone(desk: Desk) -> None:
    desk.write(5, "access.log.1")
    desk.written.clear()
    desk.write(2)
    registry = desk.registry()
    desk.read_all(registry, desk.follower(registry))
    assert desk.read == desk.written


def test_a_log_that_was_emptied_and_grew_beyond_what_was_read(desk: Desk) -> None:
    # Longer than the beginning that is compared, so that only the bytes before the position tell.
    same = b"the same line\n" * 100
    desk.log.write_bytes(same + b"old\n" * 10)
    registry = desk.registry()
    follower = desk.follower(registry)
    desk.read_all(registry, follower)
    assert len(desk.read) == 110
    shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))
    desk.log.write_bytes(same + b"new\n" * 400)
    desk.read.clear()
    desk.read_all(registry, follower)
    assert desk.read == desk.log.read_text().splitlines()


def test_where_the_registry_cannot_be_written_it_goes_on_and_says_so_once(desk: Desk) -> None:
    desk.write(3)
    registry = desk.registry()
    shutil.rmtree(desk.registry_file.parent)
    follower = desk.follower(registry)
    desk.read_all(registry, follower)
    for _ in range(2):
        registry.note("again", threading.get_ident())
        registry.try_save()
    assert desk.read == desk.written
    (told,) = desk.said
    assert "registry" in told
    assert "shipping goes on meanwhile" in told
    desk.registry_file.parent.mkdir()
    registry.note("again", 0)
    assert registry.try_save()
    assert desk.said[1:] == [f"registry {desk.registry_file}: can be written again"]


def test_a_folder_is_no_log(desk: Desk) -> None:
    registry = desk.registry()
    desk.follower(registry, str(desk.log.parent))
    (told,) = desk.said
    assert "is a directory; name the files in it, or a glob" in told
