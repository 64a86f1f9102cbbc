"""Guards: Elasticsearch understands every field of everything that httpmon sends to it.

Said by the code that Elasticsearch itself parses with, in the oldest supported, the last 8.x and a 9.x
version, and by the typed model of Elastic's Java client for watches and ingest processors. Each body also
goes through with one of its fields misspelt, for every field: that it is refused then shows that the check
can fail.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.capabilities import Capabilities, assumed_capabilities
from provisioning.rendering import render_all
from provisioning.requests import UPDATABLE
from provisioning.settings import RetentionSettings, Settings
from tests.contract.elastic.comparison import dropped
from tests.contract.elastic.mutations import misspelt
from tests.contract.elastic.objects import Example, parts, planned
from tests.contract.elastic.pages import documented
from tests.contract.elastic.parsers import ParserProcess, installed_jars

ROOT = Path(__file__).parents[2]
PAGES = (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md")

# Whose templates go through which version's parsers: the oldest supported, the last 8.x and a new one.
ENGINES = {
    "server-8.10": ("elasticsearch:8.10.4", "elasticsearch:8.10.4 basic"),
    "server-8": ("elasticsearch:8.14.0", "elasticsearch:8.19.21"),
    "server-9": ("elasticsearch:9.0.0", "elasticsearch:9.5.3"),
}
# What only the client's model knows: the server's parsers are in modules that no repository has.
CLIENT_ONLY = {"watch", "pipeline"}
BY_CLIENT = {*CLIENT_ONLY, "transform"}


class Judges:
    """The parsers of one server version and the client's model."""

    def __init__(self, server: ParserProcess, client: ParserProcess) -> None:
        self._server = server
        self._client = client

    def refusal(self, example: Example, body: dict[str, Any]) -> str | None:
        """What one of them has against a body; None where all understand it."""
        kind, name = example.kind, example.name
        if kind not in CLIENT_ONLY:
            refused: str | None = self._server.ask(kind, name, body)["refused"]
            if refused:
                return refused
        return refused_by_client(self._client, example, body) if kind in BY_CLIENT else None


def refused_by_client(client: ParserProcess, example: Example, body: dict[str, Any]) -> str | None:
    """What the client's model has against a body, or what it drops of it."""
    answer = client.ask(example.kind, example.name, body)
    if answer["refused"]:
        return str(answer["refused"])
    lost = list(dropped(body, answer["body"])) if answer["body"] else []
    return f"does not know {', '.join(lost)}" if lost else None


@pytest.fixture(scope="module")
def client() -> Iterator[ParserProcess]:
    with ParserProcess("client_types", installed_jars("client")) as process:
        yield process


@pytest.fixture(scope="module", params=list(ENGINES))
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def judges(version: str, client: ParserProcess) -> Iterator[Judges]:
    with ParserProcess("server_parsers", installed_jars(version)) as process:
        yield Judges(process, client)


def capabilities(description: str) -> Capabilities:
    engine, _, licence = description.partition(" ")
    found = assumed_capabilities(engine)
    return dataclasses.replace(found, licence="basic", watcher=False) if licence else found


def variants(engine: Capabilities) -> list[Settings]:
    """The defaults, and everything that is off by default switched on, and what expires kept."""
    switched: dict[str, dict[str, Any]] = {}
    for rendered in render_all(Settings(), engine):
        for parameter in rendered.parameters:
            if parameter.default is False or parameter.default == "0s":
                value = True if parameter.default is False else "1h"
                switched.setdefault(rendered.stem, {})[parameter.name] = value
    return [
        Settings(retention=RetentionSettings(raw="7d", summaries="30d")),
        Settings(parameters=switched, retention=RetentionSettings(raw=None, summaries=None)),
    ]


@functools.cache
def sent(version: str) -> list[Example]:
    """What provisioning sends, each body once."""
    examples: list[Example] = []
    for description in ENGINES[version]:
        engine = capabilities(description)
        for settings in variants(engine):
            known = [(example.kind, example.body) for example in examples]
            examples += [
                example
                for example in planned(settings, engine, description)
                if (example.kind, example.body) not in known
            ]
    return examples


def beside() -> list[Example]:
    """What is sent by hand or by others: the docs' examples, and the roles of the container stacks."""
    roles = runpy.run_path(str(ROOT / "compose" / "scripts" / "accounts.py"))["ROLES"]
    return [
        *(example for page in PAGES for example in documented(page)),
        *(example for name in roles for example in parts("role", name, roles[name], "accounts.py")),
    ]


# Watches whose schedules are in spellings that a real Elasticsearch 8.10 took (a list of `cron` expressions,
# `in` of `yearly`, `tue`) and that the client's model does not know.
AS_PEOPLE_WRITE_THEM = "as_people_write_them.json"


def written_by_others() -> list[Example]:
    """The watches by which the scheduler is shown to understand Watcher's JSON, but for its own action."""
    examples: list[Example] = []
    for file in sorted((ROOT / "tests" / "node" / "watcher_documentation").glob("*.json")):
        text = file.read_text(encoding="utf-8").replace('"@PORT@"', "80").replace("@PORT@", "80")
        for case in json.loads(text.replace("@INDEX@", "example")):
            body = {"trigger": {"schedule": {"interval": "5m"}}, **case["watch"]}
            if file.name == AS_PEOPLE_WRITE_THEM:
                body["trigger"] = {"schedule": {"interval": "5m"}}
            if not any("notify" in action for action in body.get("actions", {}).values()):
                found = parts("watch", case["shows"], body, file.name)
                examples += [example for example in found if example.kind == "watch"]
    return examples


def refusals(judges: Judges, examples: list[Example]) -> list[str]:
    told = ((example, judges.refusal(example, example.body)) for example in examples)
    return [f"{example}: {refused}" for example, refused in told if refused]


def unnoticed(judges: Judges, examples: list[Example]) -> list[str]:
    """The misspelt fields that nobody refuses."""
    return [
        f"{example}: {'.'.join(map(str, path))}"
        for example in examples
        for path, body in misspelt(example.body)
        if judges.refusal(example, body) is None
    ]


def test_all_that_provisioning_sends_is_understood(version: str, judges: Judges) -> None:
    examples = sent(version)
    assert {"transform", "watch", "pipeline", "index_template", "component_template", "index", "search"} <= {
        example.kind for example in examples
    }
    assert refusals(judges, examples) == []


def test_a_misspelt_field_in_what_provisioning_sends_is_refused(version: str, judges: Judges) -> None:
    assert unnoticed(judges, sent(version)) == []


def test_what_changes_of_a_transform_is_understood(version: str, judges: Judges) -> None:
    updates = [
        Example(
            "transform_update",
            one.name,
            {key: one.body[key] for key in UPDATABLE if key in one.body},
            one.origin,
        )
        for one in sent(version)
        if one.kind == "transform"
    ]
    assert refusals(judges, updates) == []
    # Elasticsearch itself takes anything there; of a whole transform the client's model looks at it, too.
    assert [one for one in unnoticed(judges, updates) if not one.endswith(": sync.time.delay")] == []


def test_what_a_real_elasticsearch_took_is_not_refused(judges: Judges, shared_folder: Path) -> None:
    folder = shared_folder / "recordings" / "elasticsearch-8.10"
    bodies = {
        kind: json.loads((folder / "examples" / f"{file}.json").read_text(encoding="utf-8"))
        for kind, file in (
            ("watch", "watch_high_traffic"),
            ("index_template", "template"),
            ("pipeline", "pipeline"),
        )
    }
    shown = json.loads((folder / "transform" / "lifecycle" / "get.json").read_text(encoding="utf-8"))
    by_server = ("id", "version", "create_time")
    transform = {key: value for key, value in shown["transforms"][0].items() if key not in by_server}
    bodies["transform"] = transform
    examples = [part for kind, body in bodies.items() for part in parts(kind, "recorded", body, "recordings")]
    assert refusals(judges, examples) == []


def test_all_that_the_docs_and_the_stacks_show_is_understood(judges: Judges) -> None:
    assert refusals(judges, beside()) == []


def test_watches_that_the_scheduler_is_tried_with_are_elastics(client: ParserProcess) -> None:
    told = {str(one): refused_by_client(client, one, one.body) for one in written_by_others()}
    assert len(told) > 30
    assert {example: refused for example, refused in told.items() if refused} == {}


def test_a_misspelt_field_in_what_the_docs_and_the_stacks_show_is_refused(judges: Judges) -> None:
    assert unnoticed(judges, beside()) == []


PAGE = """
# A page

    {"trigger": {"schedule": {"interval": "10s"}}, "actions": {"say": {"logging": {"text": "x"}}}}

Text, and `httpmon render`:

    httpmon render high_traffic

```
PUT _transform/mine
{"source": {"index": "a"}, "dest": {"index": "b"}, "pivot": {}}
```

1. In a list:

       {"index_patterns": [{{ names.raw | tojson }}], "data_stream": {}}
"""


def test_examples_are_found_however_a_page_shows_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    found = {example.kind: example for example in documented(page)}
    assert set(found) == {"watch", "transform", "index_template"}
    assert found["index_template"].body["index_patterns"] == ["logs-httpmon.access-default"]
    page.write_text('    {"trigger": }\n', encoding="utf-8")
    with pytest.raises(AssertionError, match=r"page\.md"):
        list(documented(page))
