"""Guards conservation: the 10 s summaries of a log hold exactly its hits, whatever befalls the scheduler."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.client import Engine
from engine.connection import Connection
from provisioning.settings import Settings
from scheduler.transforms.service import TransformService
from tests.node.summaries import (
    QuickClock,
    define,
    install_summaries,
    log_line,
    send_lines,
    settle,
    summaries,
    totals,
)

pytestmark = pytest.mark.node

BUCKET = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MAXIMUM_SIZE = 10**14 - 1  # of a response, as the pipeline takes it


def new_service(engine: Engine, settings: Settings) -> TransformService:
    """A scheduler that was just started."""
    return TransformService(engine, settings.names, monotonic=QuickClock())


def real_log(shared_folder: Path) -> tuple[list[str], dict[str, Any]]:
    log = (shared_folder / "corpus/apache-combined-10k.log").read_bytes()
    facts = json.loads((shared_folder / "corpus/facts.json").read_text(encoding="utf-8"))
    return [line.decode("utf-8", "replace") for line in log.split(b"\n")[:-1]], facts


def assert_facts(engine: Engine, settings: Settings, facts: dict[str, Any]) -> None:
    sections = summaries(engine, settings.names.sections)
    traffic = summaries(engine, settings.names.traffic)
    hits: Counter[str] = Counter()
    for document in sections:
        hits[document["httpmon"]["section"]] += document["httpmon"]["hits"]
    assert totals(sections) == {
        "documents": facts["section_buckets_10s_nonempty"],
        "hits": facts["hits"],
        "bytes": facts["bytes"],
    }
    assert totals(traffic) == {
        "documents": facts["buckets_10s_nonempty"],
        "hits": facts["hits"],
        "bytes": facts["bytes"],
    }
    assert hits == facts["sections"]
    for documents in (sections, traffic):
        classes: Counter[str] = Counter()
        for document in documents:
            classes.update(document["httpmon"]["status"])
        expected: Counter[str] = Counter()
        for status, number in facts["status"].items():
            expected[f"{status[0]}xx"] += number
        assert +classes == expected
    busiest = sorted(traffic, key=lambda one: (-one["httpmon"]["hits"], one["@timestamp"]))[:5]
    assert [[one["@timestamp"].replace(".000Z", "Z"), one["httpmon"]["hits"]] for one in busiest] == facts[
        "busiest_10s_buckets"
    ]


def test_a_real_log_gives_the_counted_numbers(
    engine: Engine, installed: Settings, shared_folder: Path
) -> None:
    lines, facts = real_log(shared_folder)
    send_lines(engine, installed, lines)

    settle(engine, new_service(engine, installed))

    assert_facts(engine, installed, facts)


def test_the_same_when_it_comes_in_parts_and_each_part_meets_a_new_scheduler(
    engine: Engine, installed: Settings, shared_folder: Path
) -> None:
    lines, facts = real_log(shared_folder)
    for first in range(0, len(lines), 2500):
        # Sent twice, as after a crash of the shipper: the ids keep the second from counting.
        send_lines(engine, installed, lines[first : first + 2500], first=first)
        send_lines(engine, installed, lines[first : first + 1000], first=first)
        service = new_service(engine, installed)
        for _ in range(3):
            service.tick()

    settle(engine, new_service(engine, installed))

    assert_facts(engine, installed, facts)


def test_a_late_line_counts_in_its_bucket(engine: Engine, installed: Settings) -> None:
    service = new_service(engine, installed)
    send_lines(engine, installed, [log_line(BUCKET, "/a"), log_line(BUCKET + timedelta(seconds=10), "/a")])
    settle(engine, service)

    send_lines(engine, installed, [log_line(BUCKET, "/a", size=7), log_line(BUCKET, "/b")], first=2)
    settle(engine, service)

    assert [
        (one["@timestamp"], one["httpmon"]["hits"], one["httpmon"]["bytes"])
        for one in summaries(engine, installed.names.traffic)
    ] == [("2026-03-01T12:00:00.000Z", 3, 207), ("2026-03-01T12:00:10.000Z", 1, 100)]
    assert sorted(
        (one["@timestamp"], one["httpmon"]["section"], one["httpmon"]["hits"])
        for one in summaries(engine, installed.names.sections)
    ) == [
        ("2026-03-01T12:00:00.000Z", "/a", 2),
        ("2026-03-01T12:00:00.000Z", "/b", 1),
        ("2026-03-01T12:00:10.000Z", "/a", 1),
    ]


def test_sizes_that_no_response_has_end_no_transform(engine: Engine, installed: Settings) -> None:
    """A sum that is no ``long`` has the engine refuse the summary, and from then on there is none."""
    sizes = [5, *[MAXIMUM_SIZE] * 3, MAXIMUM_SIZE + 1, 2**63 - 1]
    send_lines(engine, installed, [log_line(BUCKET, "/big", size=size) for size in sizes])
    settle(engine, new_service(engine, installed))
    for alias in (installed.names.sections, installed.names.traffic):
        assert totals(summaries(engine, alias)) == {"documents": 1, "hits": 4, "bytes": 5 + 3 * MAXIMUM_SIZE}


def test_documents_that_become_visible_long_after_their_stamp_are_counted(
    engine: Engine, installed: Settings
) -> None:
    service = new_service(engine, installed)
    send_lines(engine, installed, [log_line(BUCKET, "/a")])
    settle(engine, service)
    passed = service.passed(installed.names.traffic)
    assert passed is not None
    # As if it had been stamped before the last checkpoint's upper bound and waited in a queue since.
    stamp = passed - timedelta(seconds=90)
    document = {
        "@timestamp": BUCKET.isoformat(),
        "event": {"kind": "event", "ingested": stamp.isoformat()},
        "http": {"response": {"status_code": 200, "body": {"bytes": 5}}},
        "httpmon": {"section": "/late"},
        "source": {"address": "192.0.2.9"},
    }
    body = b'{"create":{"_id":"late"}}\n' + json.dumps(document).encode() + b"\n"
    engine.bulk(body, target=installed.names.raw, params={"refresh": "true", "pipeline": "_none"})

    settle(engine, service)

    assert totals(summaries(engine, installed.names.sections)) == {
        "documents": 2,
        "hits": 2,
        "bytes": 105,
    }
    assert totals(summaries(engine, installed.names.traffic)) == {"documents": 1, "hits": 2, "bytes": 105}


class PausingEngine(Engine):
    """Stops its user for a while before a bulk request is carried out."""

    def __init__(self, connection: Connection, meanwhile: Callable[[], None]) -> None:
        super().__init__(connection)
        self._meanwhile: Callable[[], None] | None = meanwhile

    def bulk(self, *arguments: Any, **named: Any) -> Any:
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return super().bulk(*arguments, **named)


def test_a_process_that_was_stopped_in_the_middle_changes_nothing_when_it_wakes(
    engine: Engine, installed: Settings
) -> None:
    """A stale document has a lower version, and a stale state is not the successor of the present one."""
    other = new_service(engine, installed)
    send_lines(engine, installed, [log_line(BUCKET, "/a")])
    settle(engine, other)

    def meanwhile() -> None:
        send_lines(engine, installed, [log_line(BUCKET, "/a")] * 5, first=2)
        settle(engine, other)

    send_lines(engine, installed, [log_line(BUCKET, "/a")], first=1)
    with PausingEngine(Connection(installed.engine.url), meanwhile) as pausing:
        results = new_service(pausing, installed).tick()

    assert "retrying" in {one.outcome for one in results}
    assert totals(summaries(engine, installed.names.sections))["hits"] == 7
    assert totals(summaries(engine, installed.names.traffic))["hits"] == 7


def test_a_group_is_whole_where_documents_are_in_several_groups(engine: Engine, settings: Settings) -> None:
    """Documents of changed groups bring other groups along, of which the search sees only a part."""
    install_summaries(engine, settings)
    source, destination = settings.names.of("tagged"), settings.names.of("tags")
    fields = {"tags": {"type": "keyword"}, "at": {"type": "date"}}
    engine.request("PUT", f"/{source}", body={"mappings": {"properties": fields}})
    body = {
        "source": {"index": source},
        "dest": {"index": destination},
        "frequency": "1s",
        "sync": {"time": {"field": "at", "delay": "0s"}},
        "pivot": {
            "group_by": {"tag": {"terms": {"field": "tags"}}},
            "aggregations": {"n": {"value_count": {"field": "at"}}},
        },
    }
    define(engine, settings, destination, body)
    service = new_service(engine, settings)

    for tags in (["a", "b"], ["b"], ["a", "b"], ["a"]):
        document = {"tags": tags, "at": engine.now().isoformat()}
        engine.request("POST", f"/{source}/_doc", body=document, params={"refresh": "true"})
        settle(engine, service)

    engine.request("POST", f"/{destination}/_refresh")
    found = engine.request("POST", f"/{destination}/_search")["hits"]["hits"]
    assert {hit["_source"]["tag"]: hit["_source"]["n"] for hit in found} == {"a": 3, "b": 3}


KILLED_SCHEDULER = """
import sys, time
from engine.client import Engine
from engine.connection import Connection
from engine.connection import Connection
from provisioning.names import Names
from scheduler.transforms.service import TransformService
url, namespace = sys.argv[1:]
service = TransformService(Engine(Connection(url)), Names(namespace))
print("running", flush=True)
while True:
    for result in service.tick(0):
        if result.documents:
            print(result.identifier, result.documents, flush=True)
    time.sleep(0.02)
"""


def test_the_same_when_the_scheduler_is_killed_midway(
    engine: Engine, engine_url: str, installed: Settings, shared_folder: Path
) -> None:
    lines, facts = real_log(shared_folder)
    send_lines(engine, installed, lines[:6000])
    for part in (lines[6000:8000], lines[8000:]):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED_SCHEDULER, engine_url, installed.namespace],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        assert process.stdout.readline(), "it wrote something"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        send_lines(engine, installed, part, first=lines.index(part[0]))

    settle(engine, new_service(engine, installed))

    assert_facts(engine, installed, facts)
