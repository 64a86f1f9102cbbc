"""Guards that the shipper's memory stays small without forgetting a file that may be met again."""

from __future__ import annotations

import time
from pathlib import Path

from shipping.identity import Entry, Fingerprint
from shipping.registry import Registry

DAY = 86_400.0


def test_only_old_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    there = tmp_path / "there.log"
    there.write_text("a line\n")
    now = time.time()
    registry = Registry(tmp_path / "registry.json")

    def remember(key: str, days: float, path: Path, inode: int = 1) -> None:
        head = Fingerprint(0, "")
        registry.put(Entry(key, str(path), 1, inode, head, modified=now - days * DAY))

    remember("old and there", 400, there, there.stat().st_ino)
    remember("old and gone", 400, tmp_path / "gone.log")
    remember("old, another file has its place", 400, there)
    remember("young and gone", 20, tmp_path / "gone.log")
    for number in range(1000):
        remember(f"newest {number}", 10, tmp_path / f"{number}.log")
    registry.forget_vanished()
    registry.close()
    kept = {entry.key for entry in Registry(tmp_path / "registry.json").entries}
    assert {key for key in kept if not key.startswith("newest")} == {"old and there", "young and gone"}
    assert len(kept) == 1002


def test_of_few_none_is_forgotten(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry.json")
    registry.put(Entry("old", str(tmp_path / "gone.log"), 1, 1, Fingerprint(0, ""), modified=1.0))
    registry.forget_vanished()
    assert [entry.key for entry in registry.entries] == ["old"]
