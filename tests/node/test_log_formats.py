"""Guards what each line of each format becomes: beside each log stands the document of each of its lines.

Lines are sent as the shipper sends them, header lines included, through the pipeline that tells formats by
itself and through that of the format's family.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.client import Engine
from engine.connection import Connection
from provisioning.own_formats import FormatSettings
from provisioning.settings import EngineSettings, Settings
from shipping.bulk_body import Origin, bulk_items
from shipping.formats import FORMATS, NO_HEADER, FormatOptions, runs_by_header
from shipping.framing import Block
from tests.conftest import remove_namespace
from tests.node.access_log import essence, flat, install_access, simulated

FOLDER = Path(__file__).parents[1] / "golden" / "formats"
LOGS = sorted(path.stem for path in FOLDER.glob("*.lines"))
# Logs of other names than their formats.
FAMILY = FORMATS | {"mixed": None, "csv_columns": "access_csv", "wrapped": None, "others": None}


@pytest.fixture(scope="module")
def access(engine_url: str) -> Any:
    """The pipelines, once for all logs: they change nothing of each other's."""
    settings = Settings(namespace="tlogformats", engine=EngineSettings(url=engine_url))
    with Engine(Connection(engine_url)) as engine:
        install_access(engine, settings)
        yield settings
        remove_namespace(engine, settings.namespace)


def sent(log: bytes) -> list[dict[str, Any]]:
    """The documents that the shipper sends of a log."""
    runs, _ = runs_by_header(Block(0, log, len(log)), NO_HEADER)
    items = [
        item for part, header in runs for item in bulk_items(part, Origin("k", "/x", FormatOptions(), header))
    ]
    return [json.loads(item.split(b"\n")[1]) for item in items]


def essences(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in essence(document).items() if not name.startswith("log.")}
        for document in documents
    ]


@pytest.mark.parametrize("name", LOGS)
def test_each_line_becomes_its_document(engine: Engine, access: Settings, name: str) -> None:
    lines = sent((FOLDER / f"{name}.lines").read_bytes())
    expected = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    made = essences(simulated(engine, access, "access", lines))
    wrong = [
        (line["event"]["original"], document, should_be)
        for line, document, should_be in zip(lines, made, expected, strict=True)
        if document != should_be
    ]
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in LOGS if FAMILY[name]])
def test_the_familys_pipeline_makes_the_same_hits(engine: Engine, access: Settings, name: str) -> None:
    """But for lines that are not of the family: these are errors in its pipeline."""
    lines = sent((FOLDER / f"{name}.lines").read_bytes())
    expected = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    made = essences(simulated(engine, access, str(FAMILY[name]), lines))
    hits = 0
    for line, document, should_be in zip(lines, made, expected, strict=True):
        if document.get("event.kind") == "pipeline_error":
            assert document["error.message"], line
        else:
            assert document == should_be
            hits += "event.kind" not in document
    assert hits >= len(lines) // 2


def test_every_log_has_its_lines(access: Settings) -> None:
    for name in FORMATS:
        if name not in ("auto", "json"):
            assert len(sent((FOLDER / f"{name}.lines").read_bytes())) >= 20, name


def test_what_a_sender_says_of_a_line_is_taken_out_again(engine: Engine, access: Settings) -> None:
    line = "2015-05-17 10:05:03 192.0.2.1 GET /a 200"
    told = {"header": {"fields": "date time c-ip cs-method cs-uri-stem sc-status"}, "own": 5, "format": ["x"]}
    documents = [
        {"message": line, "httpmon": told},
        {"message": line, "httpmon": {"header": told["header"]["fields"]}},  # type: ignore[index]
        {"message": "nonsense", "httpmon": told},
        {"message": line, "httpmon": "text"},
        {"message": line, "httpmon": {"header": {"fields": 7, "date": {}}}, "event": {"timezone": 5}},
    ]
    made = [flat(document) for document in simulated(engine, access, "access", documents)]
    assert [document["event.kind"] for document in made] == ["event"] * 2 + ["pipeline_error"] * 3
    names = {name for document in made for name in document if name.startswith(("httpmon", "event.timezone"))}
    assert names <= {"httpmon.section", "httpmon.lag", "httpmon"}


@pytest.mark.parametrize("key", ["message", "original"])
def test_a_line_that_no_script_may_read_is_kept(engine: Engine, access: Settings, key: str) -> None:
    """Painless ends a script that loops a million times, and its error cannot be caught in it."""
    line = '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5 ' + '"a' * (1 << 20)
    document: dict[str, Any] = {"message": line} if key == "message" else {"event": {"original": line}}
    (made,) = simulated(engine, access, "access", [document | {"httpmon": {"header": "date time"}}])
    assert made["event"]["kind"] == "pipeline_error"
    assert made["event"]["original"] == line
    assert made["error"]["message"]
    assert made["@timestamp"] == made["event"]["ingested"]
    assert not made.get("httpmon")


def test_dates_without_a_zone_are_of_the_one_that_is_given(engine: Engine, access: Settings) -> None:
    clf = '192.0.2.1 - - [17/May/2015:10:05:03] "GET /a HTTP/1.1" 200 5'
    zoned = '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5'
    iis = "2015-05-17 10:05:03 10.0.0.5 GET /iis7 - 80 - 192.0.2.1 x 200 0 0 15"
    times = [
        document["@timestamp"]
        for document in simulated(
            engine,
            access,
            "access",
            [
                {"message": line, "event": {"timezone": zone}}
                for line in (clf, zoned, iis)
                for zone in ("Europe/Berlin", "-03:30", "No/Where")
            ],
        )
    ]
    berlin, newfoundland, utc = "2015-05-17T08:05:03Z", "2015-05-17T13:35:03Z", "2015-05-17T10:05:03Z"
    assert times == [berlin, newfoundland, utc, utc, utc, utc, berlin, newfoundland, utc]


def test_formats_of_ones_own_come_first(engine: Engine, settings: Settings) -> None:
    own = {
        "gateway": FormatSettings(dissect="%{client_ip}|%{time}|%{method} %{path}|%{status}|%{duration_ms}"),
        "legacy": FormatSettings(
            grok="^%{IP:client_ip} %{NUMBER:time} %{WORD:method} %{NOTSPACE:path} %{CODE:status}$",
            patterns={"CODE": r"\d{3}"},
        ),
        "loose": FormatSettings(dissect="%{client_ip} %{user} [%{x}] %{y}"),
    }
    mine = settings.model_copy(update={"formats": own})
    install_access(engine, mine)
    gateway = "192.0.2.1|2015-05-17T10:05:03Z|GET /gateway|200|1.5"
    legacy = "192.0.2.1 1431857103 GET /legacy 404"
    clf = '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /clf HTTP/1.1" 200 5'
    documents: list[dict[str, Any]] = [{"message": line} for line in (gateway, legacy, clf)]
    documents += [{"event": {"original": line}} for line in (gateway, legacy, clf)]
    documents += [
        {"message": gateway, "httpmon": {"format": "gateway"}},
        {"message": legacy, "httpmon": {"format": "gateway"}},
        {"message": "nonsense"},
    ]
    made = [flat(document) for document in simulated(engine, mine, "access", documents)]
    sections = [document.get("httpmon.section") for document in made]
    assert sections == ["/gateway", "/legacy", "/clf"] * 2 + ["/gateway", None, None]
    assert made[0]["event.duration"] == 1_500_000
    assert made[7]["error.message"].startswith("not as the format gateway says")
    assert not any(name.startswith("httpmon.own") for document in made for name in document)
    assert all(name != "message" for document in made for name in document)


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [
        ('192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /long/', ' HTTP/1.1" 200 5 "-" "curl/8.0"'),
        ('192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /long/x HTTP/1.1" 200 5 "-" "', '"'),
        ('{"time":"2015-05-17T10:05:03Z","status":200,"request":"GET /long/', ' HTTP/1.1"}'),
        ('"192.0.2.1","-","-",1431857103,"GET /long/', ' HTTP/1.1",200,5'),
    ],
)
def test_a_line_of_a_megabyte_is_read(engine: Engine, access: Settings, prefix: str, suffix: str) -> None:
    line = prefix + "a%20b?" * ((1 << 20) // 6) + suffix
    (made,) = simulated(engine, access, "access", [{"event": {"original": line}}])
    assert made["event"]["kind"] == "event", made["error"]
    assert made["@timestamp"] == "2015-05-17T10:05:03Z"
    assert made["httpmon"]["section"].startswith("/long")
    assert made["event"]["original"] == line


@pytest.mark.parametrize(
    "piece",
    [
        '"',
        '""',
        ' "',
        '"a',
        '" "',
        "[",
        " [",
        "] ",
        "(",
        "{",
        '{"a":',
        "\\",
        "=",
        "a=",
        ":",
        "a:\t",
        "\t",
        ",",
        " ",
        "\x00",
        "%",
    ],
)
@pytest.mark.parametrize(
    "before", ["", '"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "']
)
def test_a_megabyte_of_anything_is_over_soon(
    engine: Engine, access: Settings, before: str, piece: str
) -> None:
    """Whatever costs its square would not be answered in the time that a client waits."""
    line = before + piece * ((1 << 20) // len(piece))
    (made,) = simulated(engine, access, "access", [{"event": {"original": line}}])
    assert made["event"]["original"] == line
    assert made["event"]["kind"] in ("event", "pipeline_error")


def test_clocks_that_change_lose_no_line(engine: Engine, access: Settings) -> None:
    """An hour that is there twice is taken for the first, one that is not for the one after it."""
    local = {
        "25/Oct/2026:01:59:59": "2026-10-24T23:59:59Z",
        "25/Oct/2026:02:30:00": "2026-10-25T00:30:00Z",
        "25/Oct/2026:03:00:00": "2026-10-25T02:00:00Z",
        "29/Mar/2026:01:59:59": "2026-03-29T00:59:59Z",
        "29/Mar/2026:02:30:00": "2026-03-29T01:30:00Z",
        "29/Mar/2026:03:00:00": "2026-03-29T01:00:00Z",
    }
    lines = [
        {
            "message": f'192.0.2.1 - - [{clock}] "GET /a HTTP/1.1" 200 5',
            "event": {"timezone": "Europe/Berlin"},
        }
        for clock in local
    ]
    assert [one["@timestamp"] for one in simulated(engine, access, "access", lines)] == [*local.values()]
