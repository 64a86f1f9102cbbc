"""Guards what each line becomes: the golden file has lines, with the nasty ones, and the document of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from tests.node.access_log import essence, install_access, simulated

GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "golden_lines.json").read_text(encoding="utf-8")
)


@pytest.fixture
def access(engine: Engine, settings: Settings) -> Settings:
    install_access(engine, settings)
    return settings


def test_each_line_becomes_its_document(engine: Engine, access: Settings) -> None:
    sent = [{"event": {"original": one["line"]}} for one in GOLDEN]
    made = simulated(engine, access, "access", sent)
    wrong = [
        (one["line"], essence(document), one["document"])
        for one, document in zip(GOLDEN, made, strict=True)
        if essence(document) != one["document"]
    ]
    assert wrong == []
    assert [document["event"]["original"] for document in made] == [one["line"] for one in GOLDEN]


def test_a_line_in_message_is_taken_and_its_own_time_wins(engine: Engine, access: Settings) -> None:
    line = '192.0.2.1 - - [17/May/2015:10:05:03 +0200] "GET /a/b HTTP/1.1" 200 12'
    sent = [{"message": line, "@timestamp": "2020-01-01T00:00:00Z", "host": {"name": "web1"}}]
    (made,) = simulated(engine, access, "access", sent)
    assert made["@timestamp"] == "2015-05-17T08:05:03Z"
    assert made["event"]["original"] == line
    assert made["host"] == {"name": "web1"}
    assert "message" not in made


@pytest.mark.parametrize(
    "sent", [{}, {"message": None}, {"event": {"original": 5}}, {"event": "x", "message": ""}]
)
def test_what_has_no_line_is_kept_as_an_error(engine: Engine, access: Settings, sent: dict[str, Any]) -> None:
    (made,) = simulated(engine, access, "access", [sent])
    assert made["event"]["kind"] == "pipeline_error"
    assert made["error"]["message"]
    assert made["@timestamp"] == made["event"]["ingested"]
