"""Guards: settings come from file, environment, options in rising order, validated once, secrets unseen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import SettingsError
from provisioning.settings import (
    duration_seconds,
    environment_variable,
    known_names,
    load_settings,
    parse_parameter,
)
from provisioning.shown_settings import shown_settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in list(os.environ):
        if variable.startswith("HTTPMON_"):
            monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


def test_each_source_overrides_the_weaker_one_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "httpmon.toml").write_text(
        'namespace = "file"\n[engine]\nurl = "http://file:1"\nmax_retries = 5\nrequest_timeout = "5s"\n'
    )
    monkeypatch.setenv("HTTPMON_ENGINE_URL", "http://environment:1")
    monkeypatch.setenv("HTTPMON_ENGINE_MAX_RETRIES", "7")
    loaded = load_settings(
        options={"engine.url": "http://option:1", "namespace": None},
        fallbacks={"engine.url": ("http://late:1", "local node"), "node.port": (9999, "late")},
    )
    assert loaded.settings.engine.url == "http://option:1"
    assert loaded.settings.engine.max_retries == 7
    assert loaded.settings.engine.request_timeout == "5s"
    assert loaded.settings.namespace == "file"
    assert loaded.settings.node.port == 9999
    assert loaded.origins == {
        "engine.url": "command line",
        "engine.max_retries": "HTTPMON_ENGINE_MAX_RETRIES",
        "engine.request_timeout": "httpmon.toml",
        "namespace": "httpmon.toml",
        "node.port": "late",
    }


def test_every_setting_has_a_description_and_a_variable() -> None:
    names = known_names()
    assert "engine.ca_file" in names
    assert [name for name, description in names.items() if not description] == []
    assert environment_variable("engine.ca_file") == "HTTPMON_ENGINE_CA_FILE"
    assert len({environment_variable(name) for name in names}) == len(names)


def shown_origins(name: str) -> list[str]:
    """Where ``config show`` says that a setting, or each parameter below it, came from."""
    rows = shown_settings(load_settings())
    return [row.origin for row in rows if row.name == name or row.name.startswith(f"{name}.")]


def test_the_origin_of_what_is_set_by_name_is_the_variable_or_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPMON_NOTIFY_EMAIL", '{"work": {"host": "smtp.example", "password": "p"}}')
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == (
        "notify.email.work (HTTPMON_NOTIFY_EMAIL): username and password belong together"
    )
    monkeypatch.setenv("HTTPMON_NOTIFY_EMAIL", '{"work": {"port": 25}}')
    with pytest.raises(SettingsError, match=r"^notify\.email\.work\.host \(HTTPMON_NOTIFY_EMAIL\): Field"):
        load_settings()
    monkeypatch.setenv("HTTPMON_NOTIFY_EMAIL", '{"work": {"host": "smtp.example"}}')
    monkeypatch.setenv("HTTPMON_NOTIFY_SLACK", "{}")
    monkeypatch.setenv("HTTPMON_PARAMETERS", '{"high_traffic": {"threshold": 20}}')
    assert shown_origins("notify.email") == ["HTTPMON_NOTIFY_EMAIL"]
    assert shown_origins("notify.slack") == ["HTTPMON_NOTIFY_SLACK"]
    assert shown_origins("notify.pagerduty") == ["default"]
    assert shown_origins("parameters") == ["HTTPMON_PARAMETERS"]
    (tmp_path / "httpmon.toml").write_text(
        '[notify.email.home]\nhost = "mail.example"\n[parameters.own]\nmapping = {a = 1}\n'
    )
    assert shown_origins("notify.email") == ["httpmon.toml, HTTPMON_NOTIFY_EMAIL"]
    assert shown_origins("parameters.own") == ["httpmon.toml"]


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPMON_ENGINE_API_KEY", "c2VjcmV0")
    loaded = load_settings()
    shown = {row.name: (row.value, row.origin) for row in shown_settings(loaded)}
    assert shown["engine.api_key"] == ("(set, not shown)", "HTTPMON_ENGINE_API_KEY")
    assert loaded.settings.engine.connection().api_key == "c2VjcmV0"
    for text in (repr(loaded), repr(loaded.settings.engine.connection()), str(shown)):
        assert "c2VjcmV0" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[engine]\nurll = 1\n",
            "engine.urll (httpmon.toml): there is no such setting; did you mean engine.url?",
        ),
        ("engin = 1\n", "engin (httpmon.toml): there is no such setting"),
        (
            "[formats.x]\ndisect = '%{a}'\n",
            "formats.x.disect (httpmon.toml): there is no such setting; did you mean formats.x.dissect?",
        ),
        (
            '[notify.email.work]\nhots = "smtp.example"\n',
            "notify.email.work.hots (httpmon.toml): there is no such setting; "
            "did you mean notify.email.work.host?",
        ),
        ('[engine]\nurl = "localhost"\n', "engine.url (httpmon.toml): a URL looks like https://host:9200"),
        ('[engine]\nurl = "http://u:p@h:1"\n', "a URL holds no credentials"),
        ('[summaries]\ndelay = "1s"\n', "less than twice refresh_interval"),
        ('[summaries]\ndelay = "soon"\n', "'soon' is no duration"),
        ('namespace = "Prod-1"\n', "a namespace has lower-case letters"),
        (f'namespace = "{"n" * 33}"\n', "at most 32 characters"),
        ('[engine]\nusername = "u"\n', "username and password belong together"),
        ("namespace = \n", "httpmon.toml: is not TOML"),
        (
            '[engine]\napi_key = "hush hush"\n',
            "engine.api_key (httpmon.toml): an API key is one word",
        ),
        ('[kibana]\napi_key = "hush\\n"\n', "kibana.api_key (httpmon.toml): ends with a line break"),
        ('[engine]\nusername = "a"\npassword = "hush\\n"\n', "engine.password (httpmon.toml): ends with a"),
        (
            '[engine]\nusername = "a:b"\npassword = "hush"\n',
            "engine.username (httpmon.toml): a user's name has no colon",
        ),
    ],
)
def test_bad_input_gets_one_line_that_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "httpmon.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPMON_ENGINE_URI", "http://x:1")
    with pytest.raises(SettingsError, match="did you mean HTTPMON_ENGINE_URL"):
        load_settings()


@pytest.mark.parametrize("variable", ["httpmon_engine_url", "Httpmon_Engine_Url", "HTTPMON_engine_url"])
def test_a_setting_in_small_letters_is_refused_with_its_right_name(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise httpmon would go to another cluster than the one that was meant."""
    monkeypatch.setenv(variable, "http://x:1")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == f"{variable}: variables are read in capitals only: write HTTPMON_ENGINE_URL"
    monkeypatch.setenv("HTTPMON_ENGINE_URL", "http://y:1")
    assert load_settings().settings.engine.url == "http://y:1"


def test_small_letters_that_are_no_setting_are_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("httpmon_checkout", "/src")
    assert load_settings().origins == {}


@pytest.mark.parametrize("group", ["engine", "kibana"])
def test_a_file_of_an_authority_that_cannot_be_read_is_named(
    group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where it is used: what needs no cluster goes on without it."""
    monkeypatch.setenv(f"HTTPMON_{group.upper()}_URL", "https://x:1")
    for file, reason in ((tmp_path / "nope.pem", "No such file or directory"), (tmp_path, "Is a directory")):
        monkeypatch.setenv(f"HTTPMON_{group.upper()}_CA_FILE", str(file))
        settings = load_settings().settings
        with pytest.raises(SettingsError) as caught:
            getattr(settings, group).connection()
        assert str(caught.value) == f"{group}.ca_file: {file}: {reason}"


def test_a_config_file_that_is_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        load_settings(tmp_path / "other.toml")


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("10s", 10), ("2m", 120), ("1h", 3600), ("7d", 604800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    ("assignment", "parts"),
    [
        ("high_traffic.threshold=20", ("high_traffic", "threshold", 20)),
        ("high_traffic.window=5m", ("high_traffic", "window", "5m")),
        ("rule.on=true", ("rule", "on", True)),
        ("rule.equation=a=b", ("rule", "equation", "a=b")),
    ],
)
def test_parameters_on_the_command_line(assignment: str, parts: tuple[str, str, object]) -> None:
    assert parse_parameter(assignment) == parts


@pytest.mark.parametrize("assignment", ["threshold=20", "high_traffic.threshold", ".x=1", "x.=1"])
def test_a_parameter_without_its_template_is_refused(assignment: str) -> None:
    with pytest.raises(SettingsError, match=r"write it as TEMPLATE\.PARAMETER=VALUE"):
        parse_parameter(assignment)
