"""Guards: a log in any format becomes hits, whatever a header said and wherever reading began."""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from reading.alerts import parse_time
from tests.e2e.processes import Httpmon
from tests.node.access_log import flat, install_access

pytestmark = pytest.mark.e2e

IIS_HEADER = """\
#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2015-05-17 10:00:00
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip sc-status time-taken
"""
IIS_OTHER = "#Fields: time c-ip cs-method cs-uri-stem sc-status sc-bytes\n"


class Shipped:
    """What ``httpmon ship --once`` and ``replay`` bring to the engine."""

    def __init__(self, engine: Engine, settings: Settings, url: str, folder: Path) -> None:
        self.engine = engine
        self.settings = settings
        self.httpmon = Httpmon(url, settings.namespace, folder)
        self.folder = folder

    def ship(self, *files: Path, options: tuple[str, ...] = ()) -> str:
        registry = self.folder / "registry.json"
        return self.httpmon.run("ship", "--once", "--registry", registry, *options, *files)

    def documents(self) -> list[dict[str, Any]]:
        """All documents by file and offset, with dotted names."""
        raw = self.settings.names.raw
        self.engine.request("POST", f"/{raw}/_refresh")
        body = {"size": 1000, "sort": ["log.file.path", "log.offset"]}
        hits = self.engine.request("POST", f"/{raw}/_search", body=body)["hits"]["hits"]
        return [flat(hit["_source"]) for hit in hits]

    def kinds(self) -> Counter[str]:
        return Counter(document["event.kind"] for document in self.documents())


@pytest.fixture
def shipped(engine: Engine, engine_url: str, settings: Settings, tmp_path: Path) -> Shipped:
    install_access(engine, settings)
    return Shipped(engine, settings, engine_url, tmp_path)


def test_columns_of_a_header_are_known_after_a_restart(shipped: Shipped, tmp_path: Path) -> None:
    log = tmp_path / "u_ex150517.log"
    line = "2015-05-17 10:00:{:02} 10.0.0.5 GET /n/{} - 80 - 192.0.2.1 200 {}\n"
    log.write_text(IIS_HEADER + "".join(line.format(n, n, n) for n in range(10)))
    shipped.ship(log)
    with log.open("a") as file:
        file.writelines(line.format(n, n, n) for n in range(10, 20))
        file.write(IIS_OTHER)
        file.writelines(f"10:01:{n:02} 192.0.2.1 GET /n/{n} 200 {n}\n" for n in range(20, 25))
    shipped.ship(log)
    with log.open("a") as file:
        file.writelines(f"10:01:{n:02} 192.0.2.1 GET /n/{n} 200 {n}\n" for n in range(25, 30))
    shipped.ship(log)

    assert shipped.kinds() == {"event": 30, "enrichment": 5}
    hits = [document for document in shipped.documents() if document["event.kind"] == "event"]
    assert [hit["url.path"] for hit in hits] == [f"/n/{n}" for n in range(30)]
    assert [hit.get("event.duration") for hit in hits[:20]] == [n * 1_000_000 for n in range(20)]
    # The other header has no date, but a directive above it had.
    assert [hit["@timestamp"] for hit in hits[20:]] == [f"2015-05-17T10:01:{n:02}Z" for n in range(20, 30)]
    assert [hit["http.response.body.bytes"] for hit in hits[20:]] == list(range(20, 30))
    assert not any(name.startswith("httpmon.header") for document in hits for name in document)


def test_headers_are_found_where_reading_begins_at_the_end(shipped: Shipped, tmp_path: Path) -> None:
    log = tmp_path / "u_ex150517.log"
    log.write_text(IIS_HEADER + IIS_OTHER + "10:00:00 192.0.2.1 GET /old 200 1\n")
    shipped.ship(log, options=("--from-end",))
    with log.open("a") as file:
        file.write("10:00:01 192.0.2.1 GET /new 200 7\n")
    shipped.ship(log)
    (hit,) = shipped.documents()
    assert (hit["url.path"], hit["http.response.body.bytes"]) == ("/new", 7)


def test_each_file_is_in_a_format_of_its_own_or_in_several(shipped: Shipped, tmp_path: Path) -> None:
    haproxy = tmp_path / "haproxy.log"
    haproxy.write_text(
        "Feb  6 12:14:14 lb haproxy[1]: 192.0.2.1:3317 [06/Feb/2009:12:14:14.655] in app/a 1/0/3/9/13 200 27 "
        '- - ---- 1/1/1/1/0 0/0 "GET /haproxy HTTP/1.1"\n' * 5
    )
    mixed = tmp_path / "mixed.log"
    mixed.write_bytes(
        b'192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /clf HTTP/1.1" 200 5\n'
        b'{"time": "2015-05-17T10:05:03Z", "request": "GET /json HTTP/1.1", "status": 200, "bytes": 5}\n'
        b'"192.0.2.1","-","-",1431857103,"GET /csv HTTP/1.0",200,5\n'
        b"not a line of a log\n\n"
        b'192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /\xff HTTP/1.1" 200 5\n'
    )
    cloudfront = tmp_path / "E2X.2015-05-17-10.abcd.gz"
    cloudfront.write_bytes(
        gzip.compress(
            b"#Version: 1.0\n#Fields: date time c-ip cs-method cs-uri-stem sc-status time-taken\n"
            b"2015-05-17\t10:05:03\t2001:db8::1\tGET\t/cloudfront\t304\t0.002\n"
        )
    )
    csv = tmp_path / "access.csv"
    csv.write_text(
        '"remotehost","rfc931","authuser","date","request","status","bytes"\n'
        '"192.0.2.1","-","apache",1549573860,"GET /csv HTTP/1.0",200,1234\n'
    )
    shipped.ship(haproxy, mixed, cloudfront, csv)
    assert shipped.kinds() == {"event": 11, "pipeline_error": 2, "enrichment": 3}
    sections = Counter(d["httpmon.section"] for d in shipped.documents() if "httpmon.section" in d)
    assert sections == {
        "/haproxy": 5,
        "/clf": 1,
        "/json": 1,
        "/csv": 2,
        "/cloudfront": 1,
        "/\\xff": 1,
    }


def test_a_format_and_a_zone_can_be_forced(shipped: Shipped, tmp_path: Path) -> None:
    clf = tmp_path / "clf.log"
    clf.write_text('192.0.2.1 - - [17/May/2015:10:05:03] "GET /clf HTTP/1.1" 200 5\n')
    shipped.ship(clf, options=("--log-format", "common", "--timezone", "Europe/Berlin"))
    (hit,) = shipped.documents()
    assert hit["@timestamp"] == "2015-05-17T08:05:03Z"
    other = tmp_path / "other.log"
    other.write_bytes(clf.read_bytes())
    shipped.ship(other, options=("--log-format", "haproxy"))
    assert shipped.kinds() == {"event": 1, "pipeline_error": 1}
    shipped.httpmon.run("ship", "--once", "--log-format", "haproxi", other, expect=1)


def test_a_replay_gives_every_format_the_time_of_now(shipped: Shipped, tmp_path: Path) -> None:
    log = tmp_path / "u_ex150517.log"
    log.write_text(
        IIS_HEADER
        + "".join(f"2015-05-17 10:00:00 10.0.0.5 GET /n/{n} - 80 - 192.0.2.1 200 5\n" for n in range(5))
    )
    shipped.httpmon.run("replay", log)
    assert shipped.kinds() == {"event": 5, "enrichment": 4}
    for hit in shipped.documents():
        if hit["event.kind"] == "event":
            assert hit["@timestamp"][:13] >= hit["event.ingested"][:10]


def test_a_replay_finds_the_time_where_a_header_says_that_it_is(shipped: Shipped, tmp_path: Path) -> None:
    apart = tmp_path / "apart.log"
    apart.write_text(
        "#Fields: date cs-method c-ip time cs-uri sc-status\n2015-05-17 GET 192.0.2.1 10:05:03 /apart 200\n"
        "#Date: 2015-05-17\n#Fields: time cs-method cs-uri sc-status\n10:05:04 GET /directive 200\n"
    )
    csv = tmp_path / "access.csv"
    csv.write_text("date,status,request,remotehost\n1431857103,200,GET /csv HTTP/1.1,192.0.2.1\n")
    for log in (apart, csv):
        shipped.httpmon.run("replay", log)
    age = {
        document["httpmon.section"]: parse_time(document["event.ingested"])
        - parse_time(document["@timestamp"])
        for document in shipped.documents()
        if document["event.kind"] == "event"
    }
    assert age.keys() == {"/apart", "/directive", "/csv"}
    assert all(timedelta(seconds=-5) <= one < timedelta(seconds=60) for one in age.values()), age
    assert shipped.kinds() == {"event": 3, "enrichment": 4}
