"""Guards which files the shipper reads: through crashes, rotations that nobody saw, and odd paths."""

from __future__ import annotations

import gzip
import itertools
import json
import mmap
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipping import recognition
from shipping.follow import Follower
from shipping.framing import Block
from shipping.open_files import FollowOptions
from shipping.recognition import Recognised, recognise
from shipping.registry import Registry
from shipping.sources import PlainFile
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

    def write_fixed(self, length: int, count: int) -> None:
        """Lines that are all different, each of so many bytes."""
        lines = [f"line {len(self.written) + number} ".ljust(length - 1, ".") for number in range(count)]
        self.written += lines
        with self.log.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def registry(self) -> Registry:
        return Registry(self.registry_file, self.said.append)

    def follower(self, registry: Registry, *patterns: str, options: FollowOptions | None = None) -> Follower:
        return Follower(
            [*(patterns or (str(self.log),))], registry, options or FollowOptions(), self.said.append
        )

    def begin(self, pattern: str = "access.log", **options: int) -> tuple[Registry, Follower]:
        """Three lines that are there and have been read."""
        self.write(3)
        registry = self.registry()
        follower = self.follower(registry, str(self.log.with_name(pattern)), options=FollowOptions(**options))
        self.read_all(registry, follower)
        return registry, follower

    def look(self, follower: Follower) -> None:
        """Look at the paths now, be it time or not."""
        follower._next_scan = follower._wanted._next_glob = 0.0
        follower.scan()

    def read_all(self, registry: Registry, follower: Follower) -> None:
        """Read until nothing more comes, and take all as acknowledged."""
        idle = 0
        while idle < 2:
            self.look(follower)
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
    registry, follower = desk.begin()
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


def test_a_file_that_is_written_late_hides_none_that_came_after_it(desk: Desk) -> None:
    """Lines still come into a renamed log after its successor has been renamed as well, and nobody looks."""
    registry, follower = desk.begin()
    rotate(desk)
    desk.write(4)
    rotate(desk)
    desk.write(2, "access.log.2")
    newest = desk.log.with_name("access.log.2").stat().st_mtime
    os.utime(desk.log.with_name("access.log.1"), (newest - 1e-3, newest - 1e-3))
    # The late lines are read and written down before the other file is looked at.
    for tail, block in follower.read():
        desk.take(registry, tail, block)
    registry.save()
    follower.close()
    registry._lock_file.close()
    registry = desk.registry()
    desk.read_all(registry, desk.follower(registry))
    assert sorted(desk.read) == sorted(desk.written)


@pytest.mark.parametrize("packed", [False, True])
def test_a_copy_that_turns_up_before_the_log_is_known_is_not_read_as_well(desk: Desk, packed: bool) -> None:
    desk.log.touch()
    registry = desk.registry()
    follower = desk.follower(registry)
    desk.write(5)
    if packed:
        desk.log.rename(desk.log.with_name("access.log.1"))
        content = desk.log.with_name("access.log.1").read_bytes()
        desk.log.with_name("access.log.2.gz").write_bytes(gzip.compress(content))
        desk.log.with_name("access.log.1").unlink()
    else:
        shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))
        follower._rotated.begin(str(desk.log), time.monotonic())
    desk.write(2)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)


def test_a_file_that_is_still_being_packed_is_waited_for(desk: Desk) -> None:
    desk.log.touch()
    registry = desk.registry()
    follower = desk.follower(registry)
    desk.written = [f"line {number}" for number in range(5)]
    whole = gzip.compress("".join(f"{line}\n" for line in desk.written).encode())
    packed = desk.log.with_name("access.log.1.gz")
    packed.write_bytes(whole[: len(whole) // 2])
    follower._rotated.begin(str(desk.log), time.monotonic())
    desk.read_all(registry, follower)
    assert desk.read == []
    packed.write_bytes(whole)
    desk.read_all(registry, follower)
    assert desk.read == desk.written


def test_what_comes_between_the_last_reading_and_the_closing_is_read(desk: Desk) -> None:
    desk.write(2)
    registry = desk.registry()
    follower = desk.follower(registry, options=FollowOptions(close_seconds=0.0))
    desk.read_all(registry, follower)
    desk.log.rename(desk.log.with_name("access.log.1"))
    desk.write(1, "access.log.1")
    desk.look(follower)
    desk.read_all(registry, follower)
    assert desk.read == desk.written
    assert follower.tails == []


def test_a_log_in_its_place_stays_open_for_lines_that_come_long_after_it_was_renamed(desk: Desk) -> None:
    desk.write(2)
    registry = desk.registry()
    follower = desk.follower(registry, options=FollowOptions(close_seconds=0.0))
    desk.read_all(registry, follower)
    with desk.log.open("a") as writer:
        desk.log.unlink()
        desk.written.append("the last line")
        writer.write("the last line\n")
    desk.read_all(registry, follower)
    assert desk.read == desk.written


def test_what_was_closed_while_the_reader_waited_is_not_read(desk: Desk) -> None:
    """Between two blocks the engine may take nothing for long, and files are looked at meanwhile."""
    names = [f"{number}.log" for number in range(3)]
    for name in names:
        desk.write(2, name)
    registry = desk.registry()
    options = FollowOptions(close_seconds=0.0)
    follower = desk.follower(registry, f"{desk.log.parent}/*.log", options=options)
    desk.read_all(registry, follower)
    desk.write(1, names[0])
    blocks = follower.read()
    desk.take(registry, *next(blocks))
    for name in names[1:]:
        desk.log.with_name(name).unlink()
    desk.look(follower)
    assert len(follower.tails) == 1
    assert list(blocks) == []
    assert not any(tail.damaged for tail in follower.tails)


@pytest.mark.parametrize("once", [False, True])
def test_more_logs_than_may_be_open_are_read_in_turn(desk: Desk, once: bool) -> None:
    names = [f"{number:02}.log" for number in range(30)]
    for name in [*names, *names]:
        desk.write(2, name)
    registry = desk.registry()
    options = FollowOptions(once=once, most_open=8)
    follower = desk.follower(registry, f"{desk.log.parent}/*.log", options=options)
    for _ in range(5):
        assert once or not follower.finished
        desk.read_all(registry, follower)
        assert len(follower.tails) <= 8
    assert sorted(desk.read) == sorted(desk.written)
    assert follower.finished == once
    (told,) = desk.said
    assert "8 files are open, which is all that the system's limit allows" in told
    if not once:
        for name in names:
            desk.write(1, name)
        for _ in range(5):
            desk.read_all(registry, follower)
        assert sorted(desk.read) == sorted(desk.written)


def test_where_a_link_led_is_remembered_though_nothing_was_there(desk: Desk) -> None:
    (desk.log.parent / "real").mkdir()
    targets = [desk.log.parent / "real" / name for name in ("first", "second")]
    targets[0].touch()
    desk.log.symlink_to(targets[0])
    registry = desk.registry()
    desk.follower(registry).close()
    registry._lock_file.close()
    desk.write(3)
    desk.log.unlink()
    desk.log.symlink_to(targets[1])
    desk.write(3)
    registry = desk.registry()
    desk.read_all(registry, desk.follower(registry))
    assert sorted(desk.read) == sorted(desk.written)


@pytest.mark.parametrize("packed", [False, True])
def test_logs_that_begin_with_the_same_header_are_told_apart(desk: Desk, packed: bool) -> None:
    """A file of which nothing but the header is known says nothing about the next one with that header."""
    header = "#Fields: date time c-ip cs-method cs-uri-stem sc-status\n"
    registry = desk.registry()
    for _ in range(3):
        desk.log.write_text(header)
        desk.written.append(header.strip())
        follower = desk.follower(registry)
        for _ in range(2):
            desk.look(follower)
            for tail, block in follower.read():
                desk.take(registry, tail, block)
        follower.close()
        registry.close()
        desk.write(3)
        if packed:
            for number in (2, 1):
                older = desk.log.with_name(f"access.log.{number}.gz")
                if older.exists():
                    older.rename(desk.log.with_name(f"access.log.{number + 1}.gz"))
            desk.log.with_name("access.log.1.gz").write_bytes(gzip.compress(desk.log.read_bytes()))
            desk.log.unlink()
        else:
            rotate(desk)
        registry = desk.registry()
    desk.log.write_text(header)
    desk.written.append(header.strip())
    desk.write(2)
    desk.read_all(registry, desk.follower(registry))
    assert sorted(desk.read) == sorted(desk.written)


def test_a_log_that_holds_a_header_only_is_read_in_the_end(desk: Desk) -> None:
    desk.log.write_text("#Fields: date time c-ip cs-method cs-uri-stem sc-status\n")
    registry = desk.registry()
    follower = desk.follower(registry)
    desk.read_all(registry, follower)
    assert desk.read == []
    follower.close()
    follower = desk.follower(registry, options=FollowOptions(once=True))
    desk.read_all(registry, follower)
    assert len(desk.read) == 1
    assert follower.finished


def test_a_copy_that_holds_a_rest_is_read_once_though_a_glob_names_it(desk: Desk) -> None:
    desk.write(40)
    registry = desk.registry()
    follower = desk.follower(registry, f"{desk.log}*", options=FollowOptions(read_bytes=100))
    for tail, block in follower.read():
        desk.take(registry, tail, block)
    shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))
    os.truncate(desk.log, 0)
    for _ in range(2):  # the emptying is noticed, and the copy found
        for tail, block in follower.read():
            desk.take(registry, tail, block)
        desk.look(follower)
    desk.log.with_name("access.log.1").rename(desk.log.with_name("access.log.2"))
    desk.write(1)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)


def test_what_was_forgotten_is_not_read_again(desk: Desk) -> None:
    registry, follower = desk.begin()
    desk.log.rename(desk.log.with_name("access.log.1"))
    desk.write(1)
    desk.read_all(registry, follower)
    registry.note("forgotten", {str(desk.log): desk.log.with_name("access.log.1").stat().st_mtime})
    for entry in registry.entries:
        if not entry.found_at or Path(entry.found_at).stat().st_ino != entry.inode:
            del registry._entries[entry.key]
    follower.close()
    registry._changed = True
    registry.close()
    registry = desk.registry()
    desk.read_all(registry, desk.follower(registry, f"{desk.log}*"))
    assert desk.read == desk.written


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


def test_a_copy_that_is_seen_before_anything_is_in_it(desk: Desk) -> None:
    """A glob names the copy, too: as an empty file it could be a log of its own."""
    registry, follower = desk.begin("access.log*")
    copy = desk.log.with_name("access.log.1")
    copy.touch()
    desk.look(follower)
    desk.write(2)
    shutil.copyfile(desk.log, copy)
    for tail, block in follower.read():
        desk.take(registry, tail, block)
    os.truncate(desk.log, 0)
    desk.write(2)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages of files are held on Linux only")
@pytest.mark.parametrize("grown_again", [False, True])
def test_what_is_written_just_before_a_log_is_emptied(desk: Desk, grown_again: bool) -> None:
    """After the copying, and not looked at before the emptying: it is in neither file."""
    registry, follower = desk.begin()
    shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))
    desk.write(2)
    os.truncate(desk.log, 0)
    desk.write(20 if grown_again else 1)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)


def rotations_in_steps(desk: Desk, monkeypatch: pytest.MonkeyPatch, step: int, filled: int) -> list[int]:
    """Let the log be copied, emptied and filled anew just before a step of its reading; says when it was."""
    done: list[int] = []
    steps = itertools.count()

    def stepping(call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(source: PlainFile, *given: Any) -> Any:
            if source.path == str(desk.log) and next(steps) == step:
                shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))
                os.truncate(desk.log, 0)
                desk.write(filled)
                done.append(step)
            return call(source, *given)

        return stepped

    for name in ("read_at", "hold_page", "confirm_held"):
        monkeypatch.setattr(PlainFile, name, stepping(getattr(PlainFile, name)))
    return done


@pytest.mark.parametrize("filled", [1, 5, 40])
@pytest.mark.parametrize("step", range(12))
def test_a_log_that_is_rotated_in_the_middle_of_a_look(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: int, filled: int
) -> None:
    registry, follower = desk.begin()
    desk.write(10)
    done = rotations_in_steps(desk, monkeypatch, step, filled)
    desk.read_all(registry, follower)
    desk.write(3)
    desk.read_all(registry, follower)
    assert done == [step]
    assert sorted(desk.read) == sorted(desk.written)


def test_nothing_of_what_a_log_was_filled_with_anew_is_taken_for_held(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of lines as long as the earlier ones; just before the position, a page holds too little to tell."""
    desk.write_fixed(64, mmap.PAGESIZE // 64)
    registry = desk.registry()
    follower = desk.follower(registry)
    desk.read_all(registry, follower)
    (tail,) = follower.tails
    assert isinstance(tail.source, PlainFile)
    with desk.log.open("a") as file:
        file.write("x\n")
    hold = PlainFile.hold_page

    def hold_of_another(source: PlainFile, position: int) -> None:
        monkeypatch.undo()
        shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))
        os.truncate(desk.log, 0)
        desk.write_fixed(64, mmap.PAGESIZE // 64)
        with desk.log.open("a") as file:
            file.write("x\n")
        desk.write(2)
        hold(source, position)

    monkeypatch.setattr(PlainFile, "hold_page", hold_of_another)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted([*desk.written, "x", "x"])


def test_a_copy_that_is_filled_just_after_it_was_compared(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, follower = desk.begin("access.log*")
    copy = desk.log.with_name("access.log.1")
    copy.touch()

    def then_filled(*given: Any) -> Recognised:
        found = recognise(*given)
        if given[0].path == str(copy) and not copy.stat().st_size:
            shutil.copyfile(desk.log, copy)
        return found

    monkeypatch.setattr("shipping.open_files.recognise", then_filled)
    desk.read_all(registry, follower)
    os.truncate(desk.log, 0)
    desk.write(2)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)


def test_a_log_that_is_emptied_while_its_copy_is_compared(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, follower = desk.begin("access.log*")
    shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))

    def emptied_first(*given: Any) -> bool:
        os.truncate(desk.log, 0)
        return begin_alike(*given)

    begin_alike = recognition._begin_alike
    monkeypatch.setattr(recognition, "_begin_alike", emptied_first)
    desk.look(follower)
    monkeypatch.undo()
    desk.write(2)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)


@pytest.mark.parametrize("pattern", ["access.log", "access.log*"])
@pytest.mark.parametrize("known", [False, True])
def test_a_copy_of_what_nobody_has_noticed_yet(desk: Desk, pattern: str, known: bool) -> None:
    """The log was emptied and filled anew, beyond what was read of it, and copied, all between two looks."""
    if known:
        registry, follower = desk.begin(pattern)
        shutil.copyfile(desk.log, desk.log.with_name("access.log.2"))
        os.truncate(desk.log, 0)
    else:
        desk.log.touch()
        registry = desk.registry()
        follower = desk.follower(registry, str(desk.log.with_name(pattern)))
        desk.read_all(registry, follower)
    desk.write(20)
    shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))
    desk.look(follower)
    desk.read_all(registry, follower)
    os.truncate(desk.log, 0)
    desk.write(2)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)


@pytest.mark.parametrize("pattern", ["access.log", "access.log*"])
def test_a_copy_of_a_log_that_was_made_while_the_paths_were_looked_at(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    """The log was renamed after the look at its path, and the one that came after it copied."""
    registry, follower = desk.begin(pattern)
    searches = follower._rotated.searches

    def rotated_first(now: float, *, only_once: bool) -> Any:
        if not desk.log.with_name("access.log.2").exists():
            desk.log.rename(desk.log.with_name("access.log.2"))
            desk.write(5)
            shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))
            if pattern != "access.log":
                follower._look_at(str(desk.log.with_name("access.log.1")), {})
        return searches(now, only_once=only_once)

    follower._rotated.begin(str(desk.log), time.monotonic())
    monkeypatch.setattr(follower._rotated, "searches", rotated_first)
    desk.read_all(registry, follower)
    os.truncate(desk.log, 0)
    desk.write(2)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)


def test_a_copy_is_known_while_what_was_read_last_is_still_handed_out(desk: Desk) -> None:
    """The engine takes a block slowly; meanwhile the log is copied and emptied, and looked at."""
    registry, follower = desk.begin("access.log*", max_line_bytes=20)
    with desk.log.open("a") as file:
        file.write("another line\n" + "x" * 100 + "\nthe last line\n")
    desk.written += ["another line", "x" * 20, "the last line"]
    blocks = follower.read()
    desk.take(registry, *next(blocks))
    shutil.copyfile(desk.log, desk.log.with_name("access.log.1"))
    os.truncate(desk.log, 0)
    desk.look(follower)
    for tail, block in blocks:
        desk.take(registry, tail, block)
    desk.write(2)
    desk.read_all(registry, follower)
    assert sorted(desk.read) == sorted(desk.written)
