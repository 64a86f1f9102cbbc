"""Guards: templates render to JSON or are refused with the file, the line and the way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.capabilities import Capabilities, assumed_capabilities
from engine.errors import HttpmonError, SettingsError, TemplateError
from provisioning.rendering import Rendered, render_all
from provisioning.settings import Settings
from provisioning.templates import overriding_templates

ELASTICSEARCH = assumed_capabilities("elasticsearch")
OPENSEARCH = assumed_capabilities("opensearch")


def _render(pack: Path, text: str, **settings: Any) -> Rendered:
    (pack / "watchers").mkdir(parents=True, exist_ok=True)
    (pack / "watchers" / "my_rule.json.j2").write_text(text)
    rendered = render_all(Settings(packs=(pack,), **settings), OPENSEARCH)
    return next(one for one in rendered if one.stem == "my_rule")


def test_a_template_sees_names_engine_settings_and_its_parameters(tmp_path: Path) -> None:
    one = _render(
        tmp_path,
        """{"name": {{ name | tojson }}, "reads": {{ names.traffic | tojson }},
            "engine": {{ engine.flavour | tojson }}, "delay": {{ settings.summaries.delay | seconds }},
            "threshold": {{ parameter("threshold", 10.0, unit="hits/s", minimum=0) | tojson }}}""",
        namespace="staging",
        parameters={"my_rule": {"threshold": 20}},
    )
    assert (one.kind, one.name) == ("watch", "httpmon-staging-my-rule")
    assert one.body == {
        "name": "httpmon-staging-my-rule",
        "reads": "httpmon-staging-traffic",
        "engine": "opensearch",
        "delay": 3,
        "threshold": 20.0,
    }
    (parameter,) = one.parameters
    assert (parameter.value, parameter.default, parameter.unit) == (20.0, 10.0, "hits/s")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n"a": {{ nothing }}}', "my_rule.json.j2:2: 'nothing' is undefined"),
        ('{\n"a": {{ name | nofilter }}}', "my_rule.json.j2:2: No filter named 'nofilter'"),
        ('{"a": 1,}', "its output is not JSON"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        ("[1]", "its output is no JSON object"),
        ("", "its output is not JSON"),
        ("{{ ''.__class__.__mro__ }}", "my_rule.json.j2:1: access to attribute"),
        ('{% include "nowhere" %}', "includes nowhere, which is in no pack"),
    ],
)
def test_a_bad_template_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        _render(tmp_path, text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"my_rule": {"treshold": 1}}, "my_rule has no such parameter; did you mean threshold?"),
        ({"my_rul": {"threshold": 1}}, "parameters.my_rul: there is no such template; did you mean my_rule?"),
        ({"my_rule": {"threshold": "high"}}, "parameters.my_rule.threshold: 'high' is no number"),
        ({"my_rule": {"threshold": True}}, "is no number"),
        ({"my_rule": {"threshold": -1}}, "is below 0"),
        ({"my_rule": {"window": "two"}}, "is no duration"),
        ({"my_rule": {"window": 120}}, "is not like the default, '2m'"),
        ({"my_rule": {"full": 1}}, "is not true or false"),
        ({"my_rule": {"count": 1.5}}, "is no whole number"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(
    tmp_path: Path, given: dict[str, dict[str, object]], message: str
) -> None:
    text = """{"a": [{{ parameter("threshold", 10.0, minimum=0) }}, {{ parameter("window", "2m") | seconds }},
               {{ parameter("full", false) | tojson }}, {{ parameter("count", 3) }}]}"""
    with pytest.raises(SettingsError) as caught:
        _render(tmp_path, text, parameters=given)
    assert message in str(caught.value)


def test_a_later_pack_overrides_and_both_files_are_known(tmp_path: Path) -> None:
    for pack in ("one", "two"):
        (tmp_path / pack / "watchers").mkdir(parents=True)
        (tmp_path / pack / "watchers" / "my_rule.json.j2").write_text(f'{{"from": "{pack}"}}')
    settings = Settings(packs=(tmp_path / "one", tmp_path / "two"))
    one = next(one for one in render_all(settings, OPENSEARCH) if one.stem == "my_rule")
    assert one.body == {"from": "two"}
    assert one.overrides == tmp_path / "one" / "watchers" / "my_rule.json.j2"
    (told,) = overriding_templates(settings.packs)
    assert (told.path, told.overrides) == (one.source, one.overrides)


def test_a_file_that_is_no_template_is_refused(tmp_path: Path) -> None:
    (tmp_path / "indices").mkdir()
    (tmp_path / "indices" / "thing.json.j2").write_text("{}")
    with pytest.raises(TemplateError, match=r"a template in indices/ is named <name>\.component\.json\.j2"):
        render_all(Settings(packs=(tmp_path,)), OPENSEARCH)


def test_a_pack_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HttpmonError, match="is no folder of templates"):
        render_all(Settings(packs=(tmp_path / "none",)), OPENSEARCH)


@pytest.mark.parametrize("engine", [ELASTICSEARCH, OPENSEARCH], ids=lambda engine: engine.flavour)
def test_the_built_in_pack_renders_for_both_families(engine: Capabilities) -> None:
    rendered = render_all(Settings(), engine)
    names = [(one.kind, one.name) for one in rendered]
    assert len(set(names)) == len(names)
    assert engine is OPENSEARCH or [one.name for one in rendered if one.kind == "store"] == []


@pytest.mark.parametrize(("delay", "refused"), [("1s", True), ("1999ms", True), ("2s", False), (None, False)])
def test_a_transform_that_would_miss_documents_is_refused(
    tmp_path: Path, delay: str | None, refused: bool
) -> None:
    (tmp_path / "transforms").mkdir()
    (tmp_path / "indices").mkdir()
    time = {"field": "event.ingested"} | ({"delay": delay} if delay else {})
    (tmp_path / "transforms" / "mine.json.j2").write_text(json.dumps({"sync": {"time": time}}))
    settings = Settings(packs=(tmp_path,))
    if refused:
        with pytest.raises(TemplateError, match=r"mine.json.j2: sync.time.delay .* less than twice"):
            render_all(settings, OPENSEARCH)
    else:
        assert any(one.stem == "mine" for one in render_all(settings, OPENSEARCH))


def test_a_parameter_may_be_another_templates_own(tmp_path: Path) -> None:
    text = """{"zone": {{ parameter("timezone", "UTC", of="access") | tojson }}}"""
    one = _render(tmp_path, text, parameters={"access": {"timezone": "Europe/Berlin"}})
    assert one.body == {"zone": "Europe/Berlin"}
    assert one.parameters == ()


SCRIPT = r"""
/* Twice a number. */
int doubled(int number) {
  return number + number;
}
x = doubled(3) + list.doubled(4);
z = 'doubled(5) , { == (char)';
undoubled(doubled);
a = c >= (char) '0' && c != (char) '\\' ? (char) '\\' : (char) ' ';
"""


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (
            100,
            r"""int doubled(int number) {
return number + number;
}
x = doubled(3) + list.doubled(4);
z = 'doubled(5) , { == (char)';
undoubled(doubled);
a = c >= (char) '0' && c != (char) '\\' ? (char) '\\' : (char) ' ';
""",
        ),
        (
            60_000,
            r"""int f0(int number){
return number + number;
}
x=f0(3)+ list.doubled(4);
z='doubled(5) , { == (char)';
undoubled(doubled);
a=c>=48&&c!=92?(char)'\\':(char)' ';
""",
        ),
    ],
)
def test_only_long_scripts_are_made_hard_to_read(tmp_path: Path, length: int, expected: str) -> None:
    """Texts and the methods of others are left alone."""
    padded = SCRIPT + ";" * length
    one = _render(
        tmp_path, """{"script": {{ text | bare_code | tojson }}}""".replace("text", json.dumps(padded))
    )
    assert one.body["script"].rstrip(";") == expected.rstrip(";\n") + ";\n"


@pytest.mark.parametrize("engine", [ELASTICSEARCH, OPENSEARCH])
def test_scripts_of_pipelines_are_not_longer_than_engines_take(engine: Capabilities) -> None:
    for one in render_all(Settings(), engine):
        if one.kind == "pipeline":
            for processor in one.body["processors"]:
                source = processor.get("script", {}).get("source", "")
                assert len(source.encode()) < 65_535, one.name  # the default of script.max_size_in_bytes
