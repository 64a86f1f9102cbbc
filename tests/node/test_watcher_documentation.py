"""Guards that watches written by others run: each example of Watcher's documentation, with data to run on.

The cases stand in ``watcher_documentation/``: what the documentation shows, the documents, stored scripts and
services that it needs, and what must come out. What comes out is what Elasticsearch 8.10.4 gives.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.client import Engine
from provisioning.accounts import EmailAccount, PagerDutyAccount, SlackAccount
from provisioning.settings import EngineSettings, NotifySettings, Settings
from scheduler.watches.control import SchedulerControl, Trial
from scheduler.watches.definition import parse_watch
from scheduler.watches.kinds import Outside
from scheduler.watches.paths import value_at
from tests.conftest import remove_namespace
from tests.node.receivers import MailServer, Receiver, receiving, receiving_mail
from tests.node.summaries import install_store

FOLDER = Path(__file__).parent / "watcher_documentation"
CASES = [
    pytest.param(case, id=f"{file.stem}: {case['shows']}")
    for file in sorted(FOLDER.glob("*.json"))
    for case in json.loads(file.read_text(encoding="utf-8"))
]


class World(NamedTuple):
    """What the examples run in."""

    engine: Engine
    settings: Settings
    control: SchedulerControl
    receiver: Receiver
    mails: MailServer


@pytest.fixture(scope="module")
def world(engine: Engine, engine_url: str) -> Iterator[World]:
    namespace = f"t{uuid.uuid4().hex[:10]}"
    settings = Settings(namespace=namespace, engine=EngineSettings(url=engine_url))
    install_store(engine, settings, "watches")
    with receiving() as receiver, receiving_mail() as (mails, mail_port):
        service = f"http://127.0.0.1:{receiver.port}"
        accounts = NotifySettings(
            email={
                "work": EmailAccount(
                    host="127.0.0.1", port=mail_port, security="none", sender="watcher@example.org"
                )
            },
            slack={"team1": SlackAccount(url=f"{service}/slack")},
            pagerduty={"team1": PagerDutyAccount(service_api_key="key", url=f"{service}/pagerduty")},
        )
        outside = Outside(("127.0.0.1",), accounts)
        yield World(engine, settings, SchedulerControl(engine, settings.names, outside), receiver, mails)
    remove_namespace(engine, namespace)


def prepared(case: dict[str, Any], world: World) -> dict[str, Any]:
    """The case with this run's index names and port in the place of those in capitals."""
    text = json.dumps(case)
    text = text.replace("@INDEX@", world.settings.names.of("example"))
    text = text.replace('"@PORT@"', str(world.receiver.port)).replace("@PORT@", str(world.receiver.port))
    return dict(json.loads(text))


def set_up(case: dict[str, Any], world: World) -> None:
    world.receiver.received.clear()
    world.receiver.answers.clear()
    world.mails.mails.clear()
    for path, answer in case.get("answers", {}).items():
        world.receiver.answers[path] = (answer["status"], answer["type"], answer["body"].encode())
    for index, documents in case.get("documents", {}).items():
        mappings = {"dynamic_templates": [{"texts": {"match_mapping_type": "string", "mapping": _TEXT}}]}
        world.engine.request("PUT", f"/{index}", body={"mappings": mappings})
        lines = "".join(f'{{"index":{{}}}}\n{json.dumps(one)}\n' for one in documents)
        if lines:
            world.engine.bulk(lines.encode(), target=index, params={"refresh": True})
    for identifier, script in case.get("scripts", {}).items():
        world.engine.request("PUT", f"/_scripts/{identifier}", body={"script": script})


_TEXT = {"type": "text", "fields": {"raw": {"type": "keyword"}}}


@pytest.mark.parametrize("case", CASES)
def test_an_example_runs(world: World, case: dict[str, Any]) -> None:
    case = prepared(case, world)
    set_up(case, world)
    body = {"trigger": {"schedule": {"interval": "5m"}}} | case["watch"]
    parse_watch("example", body)
    document = {"type": "definition", "id": "example", "body": body, "active": True}
    store = world.settings.names.watch_store
    world.engine.request("PUT", f"/{store}/_doc/example", body=document, params={"refresh": True})
    try:
        record = world.control.execute("example", Trial(simulate=case.get("simulate", False)))
        world.engine.request("POST", f"/{world.settings.names.of('example')}*/_refresh")
        found = seen(world, record)
        for path, expected in case["gives"].items():
            assert value_at(path, found) == expected, (path, record["result"]["actions"])
        json.dumps(record)
    finally:
        for index in world.engine.request("GET", f"/{world.settings.names.of('example')}*/_alias"):
            world.engine.request("DELETE", f"/{index}")
        for identifier in case.get("scripts", {}):
            world.engine.request("DELETE", f"/_scripts/{identifier}")


def seen(world: World, record: dict[str, Any]) -> dict[str, Any]:
    """What came out: the record, what the services received, and the documents there are now."""
    hits = world.engine.request(
        "POST", f"/{world.settings.names.of('example')}*/_search", body={"size": 100, "sort": ["_doc"]}
    )["hits"]["hits"]
    return {
        "record": record,
        "requests": [
            {
                "method": one.method,
                "path": one.path,
                "headers": {key.lower(): value for key, value in one.headers.items()},
                "body": one.body,
                "json": json.loads(one.body) if one.body.startswith("{") else None,
            }
            for one in world.receiver.received
        ],
        "mails": [
            {
                "subject": mail["Subject"],
                "to": str(mail["To"]),
                "from": str(mail["From"]),
                "priority": mail["X-Priority"],
                "text": _part(mail, "plain"),
                "html": _part(mail, "html"),
                "attachments": {
                    part.get_filename().replace(".", "_"): {
                        "type": part.get_content_type(),
                        "disposition": part.get_content_disposition(),
                        "content": part.get_payload(decode=True).decode(),
                    }
                    for part in mail.iter_attachments()
                },
            }
            for mail in world.mails.mails
        ],
        "documents": {
            hit["_index"].removeprefix(world.settings.names.of("example")) + "/" + hit["_id"]: hit["_source"]
            for hit in hits
        },
        "count": len(hits),
    }


def _part(mail: Any, kind: str) -> str | None:
    part = mail.get_body(preferencelist=(kind,))
    return None if part is None else part.get_content().rstrip()
