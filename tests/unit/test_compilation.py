"""Compiled templates are kept only where nobody else can write, and no file there is trusted blindly.

Loading compiled code executes it. What must hold: a changed template counts at once, a damaged file and a
folder that cannot be written do no harm, and a folder that others can write to, or below one, is not used.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provisioning import compilation
from provisioning.templates import Template


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder below the home folder: those below /tmp are refused."""
    folder = Path(tempfile.mkdtemp(prefix=".httpmon-test-", dir=Path.home()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def template(tmp_path: Path) -> Template:
    path = tmp_path / "watchers" / "one.json.j2"
    path.parent.mkdir()
    path.write_text("{{ 1 + 1 }} before")
    return Template("watch", "one", tmp_path, path)


def _rendered(template: Template) -> str:
    """What a fresh process would render."""
    compilation._environment.cache_clear()
    return compilation.compiled(template, (template.pack,)).render()


def _kept(cache: Path) -> list[Path]:
    return [file for file in cache.rglob("*") if file.is_file()]


def test_what_was_compiled_is_used_again(
    cache: Path, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _rendered(template) == "2 before"
    assert len(_kept(cache)) == 1
    monkeypatch.setattr("jinja2.Environment.compile", lambda *_, **__: pytest.fail("compiled once more"))
    assert _rendered(template) == "2 before"


def test_a_changed_template_counts_at_once(cache: Path, template: Template) -> None:
    _rendered(template)
    changed = template.path.stat()
    template.path.write_text("{{ 1 + 1 }} after!")
    os.utime(template.path, ns=(changed.st_atime_ns, changed.st_mtime_ns))
    assert _rendered(template) == "2 after!"
    assert len(_kept(cache)) == 1


@pytest.mark.parametrize("damage", ["empty", "cut off", "one bit", "something else"])
def test_a_damaged_file_is_compiled_anew(cache: Path, template: Template, damage: str) -> None:
    _rendered(template)
    (kept,) = _kept(cache)
    whole = kept.read_bytes()
    kept.write_bytes(
        {
            "empty": b"",
            "cut off": whole[: len(whole) // 2],
            "one bit": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
            "something else": b"#!/bin/sh\n" * 40,
        }[damage]
    )
    assert _rendered(template) == "2 before"
    assert kept.read_bytes() == whole


def test_several_at_once_leave_one_whole_file(cache: Path, template: Template) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: _rendered(template), range(40))) == {"2 before"}
    assert len(_kept(cache)) == 1


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_folder_that_others_can_write_to_is_not_used(cache: Path, template: Template, mode: int) -> None:
    cache.chmod(mode)
    assert _rendered(template) == "2 before"
    assert not list(cache.iterdir())


def test_a_link_to_a_folder_that_others_can_write_to_is_not_used(
    cache: Path, template: Template, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (tmp_path / "elsewhere").chmod(0o777)
    (cache / "httpmon").symlink_to(elsewhere)
    assert _rendered(template) == "2 before"
    assert not list(elsewhere.iterdir())


def test_another_users_folder_is_not_used(
    cache: Path, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = cache.stat().st_uid + 1
    monkeypatch.setattr("os.geteuid", lambda: another)
    assert _rendered(template) == "2 before"
    assert not _kept(cache)


def test_a_cache_that_cannot_be_written_does_no_harm(cache: Path, template: Template) -> None:
    (cache / "httpmon").write_text("a file where the folder should be")
    assert _rendered(template) == "2 before"


def test_a_file_that_cannot_be_replaced_does_no_harm(cache: Path, template: Template) -> None:
    _rendered(template)
    (kept,) = _kept(cache)
    kept.unlink()
    kept.mkdir()
    assert _rendered(template) == "2 before"
    assert not _kept(cache)
