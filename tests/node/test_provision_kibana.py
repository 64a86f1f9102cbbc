"""Guards `provision` where `kibana.url` is set: imported once, changes undone, others' objects left alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from engine.client import Engine
from engine.connection import Connection
from engine.errors import EngineError, EngineUnreachable, HttpmonError, NotFound
from engine.kibana import Kibana
from provisioning.apply import apply_plan
from provisioning.installation import plan_kibana
from provisioning.kibana import installation_objects
from provisioning.kibana_facts import gather_saved_objects
from provisioning.rendering import Rendered, render_kibana
from provisioning.settings import KibanaSettings, Settings
from provisioning.steps import Options
from tests.kibana_server import KibanaServer
from tests.node.counting_proxy import CountingProxy

pytestmark = pytest.mark.node


@pytest.fixture
def kibana() -> Iterator[KibanaServer]:
    with KibanaServer() as server:
        yield server


def run(settings: Settings, kibana: KibanaServer, *arguments: str, url: str | None = None) -> Result:
    environment = {
        "HTTPMON_ENGINE_URL": settings.engine.url,
        "HTTPMON_NAMESPACE": settings.namespace,
        "HTTPMON_KIBANA_URL": url or kibana.url,
    }
    return CliRunner().invoke(app, list(arguments), env=environment)


def saved_objects_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("saved_object")]


def dashboards_of(settings: Settings) -> list[str]:
    return [settings.names.of("dashboard-traffic"), settings.names.of("dashboard-alerts")]


def test_from_the_first_import_to_the_removal(provisioned: Settings, kibana: KibanaServer) -> None:
    wanted = installation_objects(provisioned)
    first = run(provisioned, kibana, "provision")
    assert first.exit_code == 0, first.output
    assert kibana.writes == ["POST /api/saved_objects/_import"]
    assert {key[1:] for key in kibana.objects} == {(one["type"], one["id"]) for one in wanted}

    kibana.sent.clear()
    again = run(provisioned, kibana, "provision").stdout.splitlines()[-3:]
    traffic, alerts = (f"{kibana.url}/app/dashboards#/view/{one}" for one in dashboards_of(provisioned))
    prefix = provisioned.names.prefix
    assert again == [
        "nothing to do", f"Alerts ({prefix}): {alerts}", f"HTTP traffic ({prefix}): {traffic}",
    ]  # fmt: skip
    assert run(provisioned, kibana, "provision", "--check").exit_code == 0
    assert kibana.writes == []

    board = provisioned.names.of("dashboard-alerts")
    kibana.change("dashboard", board, title="Mine")
    checked = run(provisioned, kibana, "provision", "--check", "--diff")
    assert checked.exit_code == 3
    changed = [line for line in saved_objects_of(checked.stdout) if "unchanged" not in line]
    assert len(changed) == 2
    assert "was changed in Kibana" in changed[0]
    assert f"attributes.title: 'Mine' -> 'Alerts ({provisioned.names.prefix})'" in changed[1]
    assert "\n1 objects changed\n" in run(provisioned, kibana, "provision").stdout
    assert run(provisioned, kibana, "provision", "--check").exit_code == 0

    kibana.objects["default", "dashboard", "theirs"] = {
        "type": "dashboard", "id": "theirs", "attributes": {}, "references": [],
    }  # fmt: skip
    removed = run(provisioned, kibana, "deprovision")
    assert removed.exit_code == 0, removed.output
    assert [key[2] for key in kibana.objects] == ["theirs"]


def test_the_saved_objects_are_rendered_once(
    provisioned: Settings, kibana: KibanaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[Settings] = []

    def counted(settings: Settings) -> tuple[list[Rendered], list[Rendered]]:
        rendered.append(settings)
        return render_kibana(settings)

    monkeypatch.setattr("provisioning.kibana.render_kibana", counted)
    result = run(provisioned, kibana, "provision")
    assert result.exit_code == 0, result.output
    assert f"{kibana.url}/app/dashboards#/view/{dashboards_of(provisioned)[0]}" in result.stdout
    assert len(rendered) == 1


def test_what_is_not_ours_is_refused_by_name(provisioned: Settings, kibana: KibanaServer) -> None:
    board = provisioned.names.of("dashboard-traffic")
    theirs = {"type": "dashboard", "id": board, "attributes": {"title": "Theirs"}, "references": []}
    kibana.objects["default", "dashboard", board] = theirs
    refused = run(provisioned, kibana, "provision")
    assert refused.exit_code == 1
    assert str(refused.exception) == (
        f"nothing was changed: saved_object dashboard {board} is there and was not made by httpmon; "
        "--force takes it over"
    )
    assert kibana.writes == []
    assert run(provisioned, kibana, "provision", "--force").exit_code == 0
    assert kibana.objects["default", "dashboard", board]["attributes"]["title"] != "Theirs"


def test_without_an_answer_nothing_is_changed_anywhere(
    settings: Settings, engine_url: str, kibana: KibanaServer
) -> None:
    kibana.ready = False
    with CountingProxy(engine_url) as proxy:
        away = settings.model_copy(update={"engine": settings.engine.model_copy(update={"url": proxy.url})})
        result = run(away, kibana, "provision")
        assert isinstance(result.exception, EngineUnreachable)
        assert not [one for one in proxy.requests if one.startswith(("PUT", "DELETE"))]


def asked(kibana: KibanaServer, space: str = "default", **access: str) -> str:
    """What the user is told when facts cannot be gathered."""
    connection = Connection(kibana.url, **access)  # type: ignore[arg-type]
    with Kibana(connection, space) as client, pytest.raises(HttpmonError) as told:
        gather_saved_objects(client, "httpmon-tag", [])
    return f"{type(told.value).__name__}: {told.value}"


def test_each_trouble_is_told_in_one_line(kibana: KibanaServer, engine: Engine, engine_url: str) -> None:
    assert asked(kibana, "nope") == (
        f"NotFound: kibana.space: the Kibana at {kibana.url} has no space 'nope'; make it there first"
    )
    kibana.forbidden = True
    assert asked(kibana) == (
        f"NotPermitted: Kibana at {kibana.url} does not permit it (403): Unable to bulk_create dashboard; "
        "the user needs all privileges of Saved Objects Management in the space default"
    )
    kibana.user = "Basic dXNlcjpzZWNyZXQ="
    assert asked(kibana) == (
        f"NotPermitted: Kibana at {kibana.url} does not know who asks (401): set kibana.username and "
        "kibana.password, or kibana.api_key"
    )
    assert "secret" not in asked(kibana, username="user", password="secret")
    kibana.ready = False
    assert asked(kibana).startswith(f"EngineUnreachable: Kibana at {kibana.url} is not ready: it answers 503")
    with Kibana(Connection(engine_url)) as client, pytest.raises(EngineError, match="not as Kibana does"):
        gather_saved_objects(client, "httpmon-tag", [])
    with Kibana(Connection("http://127.0.0.1:9")) as client, pytest.raises(EngineUnreachable) as away:
        gather_saved_objects(client, "httpmon-tag", [])
    assert str(away.value) == "cannot reach Kibana at http://127.0.0.1:9: [Errno 111] Connection refused"


def test_rules_come_with_their_connector_and_go_when_another_executor_takes_over(
    engine: Engine, kibana: KibanaServer
) -> None:
    """Without a cluster, because the local node has no transforms and Kibana runs none."""
    given = {"url": kibana.url, "space": "ops"}
    settings = Settings(executor="kibana", namespace="t", kibana=KibanaSettings.model_validate(given))
    connection = settings.kibana.connection()
    assert connection is not None

    def apply(client: Kibana, with_settings: Settings) -> list[str]:
        plan = plan_kibana(client, with_settings, Options())
        return [f"{step.action} {step.kind}" for step in apply_plan(engine, plan, client)]

    with Kibana(connection, "ops") as client:
        assert apply(client, settings).count("create rule") == 3
        (connector,) = (one for key, one in kibana.objects.items() if key[1] == "action")
        for rule in kibana.rules.values():
            assert {action["id"] for action in rule["actions"]} == {connector["id"]}
        assert apply(client, settings) == []
        next(iter(kibana.rules.values()))["schedule"] = {"interval": "1h"}
        assert apply(client, settings) == ["update rule"]
        theirs = {"id": "theirs", "name": "Theirs", "tags": ["httpmon"]}
        kibana.rules["ops", "theirs"] = theirs
        native = settings.model_copy(update={"executor": "native"})
        assert apply(client, native) == ["remove rule"] * 3 + ["remove saved_object"]
        assert list(kibana.rules.values()) == [theirs]
        assert not [key for key in kibana.objects if key[1] == "action"]
        assert apply(client, native) == []


def test_the_right_user_gets_in(kibana: KibanaServer) -> None:
    kibana.user = "Basic dXNlcjpzZWNyZXQ="
    given = KibanaSettings.model_validate({"url": kibana.url, "username": "user", "password": "secret"})
    connection = given.connection()
    assert connection is not None
    with Kibana(connection) as client:
        assert gather_saved_objects(client, "httpmon-tag", []) == {}
    kibana.user = "ApiKey abc"
    with Kibana(Connection(kibana.url, api_key="abc")) as client:
        assert gather_saved_objects(client, "httpmon-tag", []) == {}


def test_an_import_that_is_refused_in_part_is_told(kibana: KibanaServer) -> None:
    reference = {"type": "index-pattern", "id": "gone", "name": "x"}
    session = {"type": "search", "id": "s", "attributes": {}, "references": [reference]}
    with Kibana(Connection(kibana.url)) as client, pytest.raises(HttpmonError) as told:
        client.request("POST", "/api/saved_objects/_import", body=[session], params={"overwrite": True})
    assert str(told.value) == "POST /api/saved_objects/_import: search s: missing_references"


def test_nothing_is_sent_into_a_space_that_is_not_there(kibana: KibanaServer) -> None:
    with Kibana(Connection(kibana.url), "nope") as client, pytest.raises(NotFound):
        client.check_space()
    with Kibana(Connection(kibana.url), "ops") as client:
        client.check_space()
