"""Guards: the local node listens on loopback only, keeps to its folder, and its logs stay bounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localnode.configuration import engine_settings, java_command, logging_properties, module_descriptor
from localnode.folders import NodeFolders
from localnode.release import Module, pinned_release

FOLDERS = NodeFolders(Path("/somewhere/node"))


@pytest.mark.parametrize(
    ("port", "ports"), [(9200, "9200-9299"), (65500, "65500-65535"), (65535, "65535-65535")]
)
def test_it_listens_on_loopback_from_the_given_port_on(port: int, ports: str) -> None:
    settings = json.loads(engine_settings(FOLDERS, port))
    assert settings["network.host"] == "127.0.0.1"
    assert settings["http.port"] == ports


def test_watches_may_be_tried_out_without_a_limit_on_scripts() -> None:
    assert json.loads(engine_settings(FOLDERS, 9200))["script.disable_max_compilations_rate"] is True


def test_every_path_lies_in_its_folder() -> None:
    settings = json.loads(engine_settings(FOLDERS, 9200))
    paths = [value for value in settings.values() if isinstance(value, str) and value.startswith("/")]
    assert len(paths) == 3
    assert all(path.startswith("/somewhere/node/") for path in paths)


def test_the_log_rotates_by_size_and_keeps_a_few() -> None:
    lines = logging_properties().splitlines()
    assert "appender.file.policies.size.size = 16MB" in lines
    assert "appender.file.strategy.max = 3" in lines
    assert not [line for line in lines if "Console" in line]


@pytest.mark.parametrize("as_root", [True, False])
def test_the_root_check_is_switched_off_for_root_only(as_root: bool) -> None:
    command = java_command(Path("/java"), Path("/jars"), FOLDERS, heap="512m", as_root=as_root)
    assert ("-Djna.noclasspath=true" in command) is as_root


def test_the_command_line_names_heap_and_folders() -> None:
    command = java_command(Path("/j/bin/java"), Path("/jars"), FOLDERS, heap="1g", as_root=False)
    assert command[0] == "/j/bin/java"
    assert {"-Xms1g", "-Xmx1g", "-Dopensearch.path.home=/jars"} <= set(command)
    assert "-Dopensearch.path.conf=/somewhere/node/config" in command
    assert command[-3:] == ["-cp", "/jars/lib/*", "org.opensearch.bootstrap.OpenSearch"]


def test_each_module_of_the_release_can_be_described() -> None:
    release = pinned_release()
    names = {module.name for module in release.modules}
    for module in release.modules:
        assert set(module.extends) <= names
        assert [jar for jar in release.jars if jar.folder == f"modules/{module.name}"]
    text = module_descriptor(Module("ingest-common", "org.example.Plugin", ("lang-painless",)), release)
    assert "name=ingest-common\n" in text
    assert f"opensearch.version={release.version}\n" in text
    assert "extended.plugins=lang-painless\n" in text


def test_every_jar_is_pinned_once_in_a_place_of_its_own() -> None:
    jars = pinned_release().jars
    assert len({jar.path for jar in jars}) == len(jars)
    assert len({jar.coordinates for jar in jars}) == len(jars)
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in jars)
    assert all(jar.folder == "lib" or jar.folder.startswith("modules/") for jar in jars)
