"""Guards: what Logstash parses are the hits of the ingest pipeline, and no line is lost.

The script of the filter runs in JRuby, on the lines and documents to which the ingest pipeline is held, and
on lines damaged at random, which go through the real pipeline beside it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest

from engine.capabilities import assumed_capabilities
from engine.client import Engine
from engine.connection import Connection
from provisioning.rendering import render_all
from provisioning.settings import EngineSettings, Settings
from shipping.generate import generate
from shipping.scenario import Phase, ticks
from shipping.traffic import TrafficGenerator
from tests.conftest import remove_namespace
from tests.node.access_log import essence, flat, install_access, simulated
from tests.node.logstash_filters import SCRIPTS, RubyFilters
from tests.node.test_log_formats import FOLDER, LOGS, sent

# Of the golden logs in these formats, at least so many lines.
PARSED_HERE = {"common": 15, "combined": 20, "vhost": 15, "nginx": 8}
PARAMS = {"namespace": "tlogstash", "timezone": "UTC", "unknown_sections": "made_up"}


@pytest.fixture(scope="module")
def ruby() -> Iterator[RubyFilters]:
    with RubyFilters() as process:
        yield process


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """What is particular to a document, its time as an instant: Logstash writes three decimals always."""
    fields = {name: value for name, value in essence(document).items() if not name.startswith("log.")}
    return with_instant(fields)


def with_instant(fields: dict[str, Any]) -> dict[str, Any]:
    time = fields.get("@timestamp")
    return fields | ({"@timestamp": datetime.fromisoformat(time)} if time else {})


def expected(name: str) -> list[dict[str, Any]]:
    documents = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return [with_instant(document) for document in documents]


@pytest.mark.parametrize("name", LOGS)
def test_a_hit_is_the_same_hit_and_all_else_is_kept_and_counted_as_unparsed(
    ruby: RubyFilters, name: str
) -> None:
    lines = sent((FOLDER / f"{name}.lines").read_bytes())
    made = ruby.run("parse.rb", PARAMS, lines)
    hits = 0
    for line, document, should_be in zip(lines, made, expected(name), strict=True):
        assert document["event"]["original"] == line["event"]["original"]
        if document["event"]["kind"] == "event":
            assert comparable(document) == should_be
            hits += 1
        else:
            assert document["event"]["kind"] == "pipeline_error"
            assert document["error"]["message"]
            assert document["@timestamp"] == document["event"]["ingested"]
    assert hits >= PARSED_HERE.get(name, 0)


def damaged(lines: list[str], count: int) -> list[str]:
    """Lines with pieces put in, cut out and taken from others; the same ones in each run."""
    chance = random.Random(20261125)
    pieces = [
        *('"', "\\", '\\"', " ", " [", "]", "-", ",", ", ", ":", "::", "/", "//", "?", "#", "=", "<", "*"),
        *("rt=0.5", 'urt="0.1, 0.2"', "0.123", "1500", "1/1000000", "TLSv1.3", "HTTP/1.1", "é", "\t", ""),
        *("192.0.2.9", "2001:db8::1", "[2001:db8::1]:80", "10.0.0.1:1234", "1.2.3.999", "::ffff:192.0.2.1"),
        *("+0200", "Europe/Berlin", "30/Feb/2020:00:00:00 +0000", "2020-01-02T03:04:05.678Z", "\u00a0"),
        *("Sun, 17 May 2015 10:05:03 GMT", ": ", "nginx[12]: ", "<134>1 ", "xff=192.0.2.1", "host=a.example"),
        *("D=100", "time=7", "12ms", "1.5s", '"192.0.2.1, 10.0.0.1"', "http://h:1/p", "a" * 210, "404"),
        *("000", "1589000000.123", "99999999999999999999", "0", "\x1b[37m", '""', "a.example", "->"),
    ]
    made = []
    for _ in range(count):
        line = chance.choice(lines)
        for _ in range(chance.randint(1, 2)):
            at, how = chance.randint(0, len(line)), chance.random()
            if how < 0.4:
                line = line[:at] + chance.choice(pieces) + line[at:]
            elif how < 0.6:
                line = line[:at] + line[at + chance.randint(1, 8) :]
            elif how < 0.85:
                words = line.split(" ")
                words[chance.randrange(len(words))] = chance.choice(pieces)
                line = " ".join(words)
            else:
                other = chance.choice(lines)
                line = line[:at] + other[chance.randint(0, len(other)) :]
        made.append(line)
    return made


@pytest.mark.node
def test_lines_are_read_as_the_ingest_pipeline_reads_them(engine_url: str, ruby: RubyFilters) -> None:
    golden = [
        line["event"]["original"]
        for name in PARSED_HERE
        for line in sent((FOLDER / f"{name}.lines").read_bytes())
    ]
    long_path = '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /{}/x HTTP/1.1" 200 5'
    plain = [{"message": line} for line in made_lines(300)]
    plain += [{"message": long_path.format(name)} for name in ("😀" * 110, "a" * 198 + "😀b", "é" * 199)]
    plain += [
        {"message": golden[0], "event": {"timezone": "+02:00"}, "log": {"offset": "x", "file": "y"}},
        {"message": long_path.format("a").replace(" +0000", ""), "event": {"timezone": "Europe/Berlin"}},
        {"message": golden[0], "httpmon": "text", "source": 5, "log": 7},
    ]
    events = plain + [{"message": line} for line in damaged(golden, 600)]
    events += [{"message": "#Fields: date time c-ip"}, {"message": 12}, {"host": {"name": "web1"}}]
    settings = Settings(namespace=PARAMS["namespace"], engine=EngineSettings(url=engine_url))
    with Engine(Connection(engine_url)) as engine:
        install_access(engine, settings)
        try:
            piped = simulated(engine, settings, "access", events)
        finally:
            remove_namespace(engine, settings.namespace)
    filtered = ruby.run("parse.rb", PARAMS, events)
    hits = [document["event"]["kind"] == "event" for document in filtered]
    differing = [
        (event, here, there)
        for hit, event, here, there in zip(
            hits, events, map(comparable, filtered), map(comparable, piped), strict=True
        )
        if hit and here != there
    ]
    assert differing == []
    assert all(hits[: len(plain)])
    assert 50 < sum(hits[len(plain) :]) < 600


def made_lines(count: int) -> list[str]:
    parts: list[bytes] = []
    tick = ticks((Phase(1.0, float(count)),))
    generate(tick, TrafficGenerator(7), parts.append, start_epoch=1.7e9, wait=False, stop=Event())
    return b"".join(parts).decode().splitlines()


def test_what_every_document_has_is_there(ruby: RubyFilters) -> None:
    (line, *_) = sent((FOLDER / "common.lines").read_bytes())
    (document,) = map(flat, ruby.run("parse.rb", PARAMS, [line | {"host": {"name": "web1"}}]))
    ingested = datetime.fromisoformat(document["event.ingested"])
    assert abs((datetime.now(UTC) - ingested).total_seconds()) < 600
    assert document["httpmon.bucket_middle"] == "2015-05-17T10:05:05Z"
    assert document["httpmon.lag"] == int(ingested.timestamp() - 1431857103)
    assert {name: document[name] for name in document if name.startswith("data_stream")} == {
        "data_stream.type": "logs",
        "data_stream.dataset": "httpmon.access",
        "data_stream.namespace": PARAMS["namespace"],
    }
    assert (document["ecs.version"], document["event.dataset"]) == ("8.17.0", "httpmon.access")
    assert document["host.name"] == "web1"
    assert document["log.file.path"] == "/x"


def test_the_defaults_are_those_of_the_ingest_pipeline() -> None:
    config = (SCRIPTS.parent / "pipeline" / "parse.conf").read_text(encoding="utf-8")
    (pipeline,) = (
        one
        for one in render_all(Settings(), assumed_capabilities("elasticsearch"))
        if (one.kind, one.stem) == ("pipeline", "access")
    )
    defaults = {parameter.name: parameter.default for parameter in pipeline.parameters}
    for name in ("timezone", "unknown_sections"):
        assert PARAMS[name] == defaults[name]
        assert f'"{name}" => "${{HTTPMON_LOGSTASH_{name.upper()}:{defaults[name]}}}"' in config


@pytest.mark.parametrize(
    ("folding", "section"), [("none", "/wp"), ("made_up", "/wp"), ("all", "(not found)")]
)
def test_sections_that_are_not_there_are_folded_as_it_is_set(
    ruby: RubyFilters, folding: str, section: str
) -> None:
    line = '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /wp HTTP/1.1" 404 5'
    (document,) = ruby.run("parse.rb", PARAMS | {"unknown_sections": folding}, [{"message": line}])
    assert document["httpmon"]["section"] == section


def test_equal_lines_have_a_place_each_and_the_same_one_when_they_are_read_again(ruby: RubyFilters) -> None:
    def places(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
        made = ruby.run("place.rb", {"remembered": 200000}, events)
        told = [document["@metadata"]["httpmon"] for document in made]
        return [(one["log"], one["place"]) for one in told]

    def read(path: str, *lines: str, **more: str) -> list[dict[str, Any]]:
        return [{"message": line, "log": {"file": {"path": path}}} | more for line in lines]

    log = "/var/log/nginx/access.log"
    assert places(read(log, "a", "b", "a")) == [(log, "n0"), (log, "n0"), (log, "n1")]
    assert places(read(f"{log}.1", "a", "b", "a")) == [(log, "n0"), (log, "n0"), (log, "n1")]
    assert places(read(f"{log}-20261125", "a")) == [(log, "n0")]
    beat = {"message": "a", "log": {"file": {"path": f"{log}.1"}, "offset": 7}}
    assert places([beat, beat]) == [(log, "o7"), (log, "o7")]
    # Out of the queue of a process that was killed, and then read again.
    queued = {"@timestamp": "2020-01-01T00:00:00.000Z"}
    now = {"@timestamp": "2100-01-01T00:00:00.000Z"}
    twice = read(log, "a", "a", **queued) + read(log, "a", **now)
    twice += read(log, "b", **queued) + read(log, "a", **now)
    assert [place for _, place in places(twice)] == ["n0", "n1", "n0", "n0", "n1"]
