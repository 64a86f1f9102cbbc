"""Guards `httpmon alerts`: history, open alerts, acknowledgements, silences and the exit code for scripts."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from engine.client import Engine
from engine.errors import NotProvisioned, UsageError
from provisioning.settings import Settings
from tests.node.running import Running
from tests.node.tail_indices import alert_operations, make_indices, send

pytestmark = pytest.mark.node

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MESSAGE = "too much \x1b[2J"


@pytest.fixture
def history(engine: Engine, settings: Settings) -> str:
    """One alert that recovered and one that is open, whose id is returned."""
    make_indices(engine, settings.names)
    names = settings.names
    second = START + timedelta(seconds=300)
    send(
        engine,
        [
            *alert_operations(names, 1, "triggered", START, START, "first"),
            *alert_operations(names, 2, "recovered", START + timedelta(seconds=90), START, "calm"),
            *alert_operations(names, 3, "triggered", second, second, MESSAGE),
        ],
    )
    return f"high-traffic-{second:%H%M%S}"


@pytest.fixture
def recovered(engine: Engine, settings: Settings, history: str) -> None:
    second = START + timedelta(seconds=300)
    send(engine, alert_operations(settings.names, 4, "recovered", second + timedelta(seconds=60), second))


def alerts(settings: Settings, *arguments: str) -> Result:
    result = CliRunner().invoke(
        app,
        ["--url", settings.engine.url, "--namespace", settings.namespace, "alerts", *arguments],
        catch_exceptions=True,
    )
    assert "\x1b" not in result.output
    return result


def test_the_history_is_newest_last(settings: Settings, history: str) -> None:
    assert alerts(settings, "list", "--utc").output.splitlines() == [
        "2026-03-01 12:00:00 UTC  triggered   high-traffic: first",
        "2026-03-01 12:01:30 UTC  recovered   high-traffic: calm (lasted 1 min 30 s)",
        r"2026-03-01 12:05:00 UTC  triggered   high-traffic: too much \x1b[2J",
    ]


@pytest.mark.parametrize(
    ("options", "sequences"),
    [
        (["--action", "recovered"], [2]),
        (["--rule", "other"], []),
        (["--since", "2026-03-01T12:01:00Z"], [2, 3]),
        (["--until", "2026-03-01T12:01:30Z"], [1, 2]),
        (["--size", "1"], [3]),
    ],
)
def test_the_history_is_filtered(
    settings: Settings, history: str, options: list[str], sequences: list[int]
) -> None:
    output = alerts(settings, "list", "--format", "json", *options).output
    assert [json.loads(line)["seq"] for line in output.splitlines()] == sequences


def test_one_alert_is_shown_from_beginning_to_end(settings: Settings, history: str) -> None:
    output = alerts(settings, "show", "high-traffic-120000", "--utc").output
    assert "triggered" in output
    assert "    ended      2026-03-01 12:01:30 UTC" in output
    assert isinstance(alerts(settings, "show", "nothing").exception, UsageError)


def test_the_exit_code_tells_scripts_of_an_open_alert(settings: Settings, history: str) -> None:
    assert alerts(settings).exit_code == 0
    assert alerts(settings, "--exit-code").exit_code == 6
    assert alerts(settings, "open", "--exit-code", "--format", "json").exit_code == 6
    assert alerts(settings, "list", "--exit-code").exit_code == 6


def test_the_exit_code_is_0_once_all_have_recovered(settings: Settings, recovered: None) -> None:
    result = alerts(settings, "--exit-code")
    assert (result.exit_code, result.output) == (0, "no open alert\n")


def test_the_first_acknowledgement_stays(settings: Settings, history: str) -> None:
    assert alerts(settings, "ack", history, "--reason", "on it").output == f"{history}: acknowledged\n"
    assert alerts(settings, "ack", "--reason", "me too").output == f"{history}: was acknowledged before\n"
    (shown,) = alerts(settings, "open", "--format", "json").output.splitlines()
    assert json.loads(shown)["acknowledged"]["reason"] == "on it"
    assert "open, acknowledged by" in alerts(settings, "open").output
    assert isinstance(alerts(settings, "ack", "high-traffic-120000").exception, UsageError)


@pytest.mark.parametrize("rule", ["high-traffic", "*"])
def test_a_silence_quiets_the_exit_code_until_it_ends(settings: Settings, history: str, rule: str) -> None:
    made = alerts(settings, "silence", rule, "--for", "2h", "--reason", "load test").output
    identity = made.split(":")[0]
    assert alerts(settings, "--exit-code").exit_code == 0
    assert "silenced" in alerts(settings, "open").output
    (listed,) = alerts(settings, "silence", "--format", "json").output.splitlines()
    assert json.loads(listed)["reason"] == "load test"
    assert alerts(settings, "silence", "--end", identity).output == f"{identity}: ended\n"
    assert alerts(settings, "silence").output == "no silence\n"
    assert alerts(settings, "--exit-code").exit_code == 6


def test_a_silence_of_another_rule_quiets_nothing(settings: Settings, history: str) -> None:
    alerts(settings, "silence", "errors", "--reason", "known")
    assert alerts(settings, "--exit-code").exit_code == 6


@pytest.mark.parametrize(
    "arguments",
    [
        ["silence", "high-traffic"],
        ["silence", "high-traffic", "--reason", "x", "--for", "soon"],
        ["silence", "high-traffic", "--reason", "x", "--until", "2020-01-01T00:00:00Z"],
        ["silence", "--end", "nothing"],
        ["list", "--since", "yesterday"],
        ["list", "--format", "xml"],
    ],
)
def test_bad_input_is_a_usage_error(settings: Settings, history: str, arguments: list[str]) -> None:
    assert isinstance(alerts(settings, *arguments).exception, UsageError)


def test_without_provisioning_nothing_is_made(engine: Engine, settings: Settings) -> None:
    assert isinstance(alerts(settings, "open").exception, NotProvisioned)
    silenced = alerts(settings, "silence", "*", "--reason", "x")
    assert isinstance(silenced.exception, NotProvisioned)
    assert engine.request("GET", f"/_alias/{settings.names.operations}*") == {}


def test_following_shows_each_new_document_once(engine: Engine, settings: Settings, history: str) -> None:
    running = Running(
        sys.executable, "-m", "httpmon", "--url", settings.engine.url, "--namespace", settings.namespace,
        "alerts", "list", "--follow", "--size", "1", "--format", "json",
    )  # fmt: skip
    try:
        assert json.loads(running.lines.get(timeout=60))["seq"] == 3
        second = START + timedelta(seconds=300)
        send(engine, alert_operations(settings.names, 4, "recovered", second + timedelta(seconds=60), second))
        assert json.loads(running.lines.get(timeout=60))["seq"] == 4
        assert running.interrupt() == 130
    finally:
        running.process.kill()
        running.process.wait(30)
