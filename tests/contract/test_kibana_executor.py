"""Guards `--executor kibana`: under a Basic licence the rules move to Kibana, whole and back again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from tests.contract.replay.answers import made
from tests.contract.replay.cluster import Cluster
from tests.contract.replay.server import ReplayServer
from tests.kibana_server import KibanaServer

WATCH = "httpmon-high-traffic"


@pytest.fixture
def basic() -> Iterator[ReplayServer]:
    with ReplayServer(Cluster(made("8.19.21"), "basic")) as server:
        yield server


@pytest.fixture
def kibana() -> Iterator[KibanaServer]:
    with KibanaServer() as server:
        yield server


def httpmon(cluster: ReplayServer, kibana: KibanaServer, *arguments: str, executor: str = "kibana") -> Result:
    environment = {
        "HTTPMON_ENGINE_URL": cluster.url,
        "HTTPMON_KIBANA_URL": kibana.url,
        "HTTPMON_EXECUTOR": executor,
    }
    return CliRunner().invoke(app, list(arguments), env=environment)


def test_rules_move_to_kibana_and_back(basic: ReplayServer, kibana: KibanaServer) -> None:
    definitions = basic.cluster.indices.all
    assert httpmon(basic, kibana, "provision", executor="auto").exit_code == 0
    assert WATCH in definitions[".httpmon-watches"].documents
    assert kibana.rules == {}

    moved = httpmon(basic, kibana, "provision", executor="kibana")
    assert moved.exit_code == 0, moved.output
    assert WATCH not in definitions[".httpmon-watches"].documents
    assert {rule["name"] for rule in kibana.rules.values()} == {
        "High traffic (httpmon)", "No data (httpmon)", "Unparsed lines (httpmon)",
    }  # fmt: skip
    shown = json.loads(httpmon(basic, kibana, "status", "--format", "json").stdout)
    assert shown["status"] == "ok"
    assert "watches by Kibana" in httpmon(basic, kibana, "status").stdout

    basic.requests.clear()
    kibana.sent.clear()
    again = httpmon(basic, kibana, "provision")
    assert "nothing to do" in again.stdout.splitlines()
    assert (basic.writes, kibana.writes) == ([], [])

    assert httpmon(basic, kibana, "provision", executor="auto").exit_code == 0
    assert WATCH in definitions[".httpmon-watches"].documents
    assert kibana.rules == {}


def test_it_can_be_said_on_the_command_line(basic: ReplayServer, kibana: KibanaServer) -> None:
    planned = httpmon(basic, kibana, "provision", "--executor", "kibana", "--plan", executor="auto")
    assert planned.exit_code == 0, planned.output
    assert "rule" in {line.split()[0] for line in planned.stdout.splitlines()}
    assert "watch" not in {line.split()[0] for line in planned.stdout.splitlines()}
    assert (basic.writes, kibana.writes) == ([], [])


def test_removal_takes_rules_and_connector_along(basic: ReplayServer, kibana: KibanaServer) -> None:
    assert httpmon(basic, kibana, "provision").exit_code == 0
    removed = httpmon(basic, kibana, "deprovision", "--data", "--yes")
    assert removed.exit_code == 0, removed.output
    assert (kibana.rules, kibana.objects) == ({}, {})


def test_commands_about_watches_say_where_to_look(basic: ReplayServer, kibana: KibanaServer) -> None:
    result = httpmon(basic, kibana, "watch", "list")
    assert str(result.exception) == (
        "Kibana runs the rules (executor = kibana): see its Stack Management, Rules"
    )
