"""Guards that what only the engine can know of a transform is asked before it runs, and told with the place.

And that a transform which cannot run is neither installed nor started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from engine.connection import Connection
from engine.errors import HttpmonError, NotFound, NotPermitted, RequestRefused
from provisioning.apply import ApplyStopped
from provisioning.requests import Request
from provisioning.settings import Settings
from provisioning.steps import Step
from provisioning.templates import BUILT_IN_PACK
from scheduler.transforms.acceptance import require_accepted
from scheduler.transforms.body import UnsupportedTransform
from scheduler.transforms.control import check_definitions
from scheduler.transforms.parsing import parse_body
from scheduler.transforms.service import TransformService
from scheduler.transforms.source import SourceMissing
from tests.node.summaries import QuickClock, define, log_line, send_lines

pytestmark = pytest.mark.node

MAPPINGS = {
    "properties": {
        "@timestamp": {"type": "date"},
        "section": {"type": "keyword"},
        "agent": {"type": "text"},
        "bytes": {"type": "long"},
    }
}
DOCUMENT = {"@timestamp": "2026-03-01T12:00:00Z", "section": "/api", "agent": "curl", "bytes": 5}
TOTAL = {"total": {"sum": {"field": "bytes"}}}
BAD_SCRIPT = {"source": "no script"}


def pivot(aggregations: Mapping[str, Any] = TOTAL, **groups: Any) -> dict[str, Any]:
    return {"group_by": groups or {"s": {"terms": {"field": "section"}}}, "aggregations": aggregations}


def daily(**more: Any) -> dict[str, Any]:
    return {"date_histogram": {"field": "@timestamp", "calendar_interval": "1d", **more}}


def query(**content: Any) -> dict[str, Any]:
    return {"query": content, "pivot": pivot()}


def inside(**aggregations: Any) -> dict[str, Any]:
    """Aggregations two levels deep, in an order by one of them."""
    terms = {"terms": {"field": "section", "order": {"total": "desc"}}, "aggs": {**TOTAL, **aggregations}}
    return pivot({"busy": {"filter": {"range": {"bytes": {"gt": 1}}}, "aggs": {"top": terms}}})


def computed(script: str) -> dict[str, Any]:
    return {"per": {"bucket_script": {"buckets_path": {"a": "total"}, "script": script}}}


# Where, and a piece of what the engine says.
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (query(regexp={"section": "["}), "source.query", "unexpected end-of-string"),
    (query(term={"section": {"bogus": 1}}), "source.query", "[term] query does not support [bogus]"),
    (query(range={"@timestamp": {"gte": "soon"}}), "source.query", "failed to parse date field [soon]"),
    (query(query_string={"query": "((("}), "source.query", "Failed to parse query [(((]"),
    ({"pivot": pivot(s={"terms": {"field": "agent"}})}, "pivot.group_by.s", "Text fields are not optimised"),
    (
        {"pivot": pivot(s={"terms": {"field": "section"}}, d=daily(time_zone="Mars/City"))},
        "pivot.group_by.d",
        "[date_histogram] failed to parse field [time_zone]: Unknown time-zone ID: Mars/City",
    ),
    ({"pivot": pivot(s={"terms": {"script": BAD_SCRIPT}})}, "pivot.group_by.s", "compile error"),
    (
        {"pivot": pivot({**TOTAL, "x": {"sum": {"field": "section"}}})},
        "pivot.aggregations.x",
        "Field [section] of type [keyword] is not supported for aggregation [sum]",
    ),
    ({"pivot": pivot({"x": {"max": {"field": "bytes", "missing": "a"}}})}, "pivot.aggregations.x", '"a"'),
    ({"pivot": pivot({"x": {"avg": {"script": {"id": "none"}}}})}, "pivot.aggregations.x", "script [none]"),
    (
        {"pivot": inside(mean={"avg": {"script": BAD_SCRIPT}})},
        "pivot.aggregations.busy.top.mean",
        "compile error: invalid declaration: cannot resolve type [no]",
    ),
    ({"pivot": pivot({**TOTAL, **computed("params.")})}, "pivot.aggregations.per", "compile error"),
    (
        {"pivot": pivot({"x": {"filter": {"term": {"bytes": "many"}}}})},
        "pivot.aggregations.x",
        'For input string: "many"',
    ),
    (
        {"latest": {"unique_key": ["agent"], "sort": "@timestamp"}},
        "latest.unique_key",
        "Text fields are not optimised",
    ),
    ({"latest": {"unique_key": ["section"], "sort": "when"}}, "latest.sort", "No mapping found for [when]"),
]


@pytest.fixture(params=["an empty source", "a source with a document"])
def source(request: pytest.FixtureRequest, engine: Engine, settings: Settings) -> Iterator[str]:
    index = settings.names.of("accepted")
    engine.request("PUT", f"/{index}", body={"mappings": MAPPINGS})
    if request.param != "an empty source":
        engine.request("POST", f"/{index}/_doc", body=DOCUMENT, params={"refresh": True})
    yield index


def require(engine: Engine, index: str, content: Mapping[str, Any]) -> None:
    rest = {key: value for key, value in content.items() if key != "query"}
    given = {"index": index, **({"query": content["query"]} if "query" in content else {})}
    require_accepted(engine, parse_body("mine", {"source": given, "dest": {"index": "nowhere"}, **rest}))


@pytest.mark.parametrize(("content", "place", "reason"), REFUSED, ids=[one[1] for one in REFUSED])
def test_the_place_and_the_reason_are_told(
    engine: Engine, source: str, content: dict[str, Any], place: str, reason: str
) -> None:
    with pytest.raises(RequestRefused) as refusal:
        require(engine, source, content)
    told = str(refusal.value)
    assert told.startswith(f"transform mine: {place}: the engine refuses it: "), told
    assert reason in told
    assert "\n" not in told
    assert "[1:" not in told, "a position in a request that the author never sees"


def test_what_shows_with_the_first_document_only_is_told_with_its_place(
    engine: Engine, installed: Settings
) -> None:
    """No bucket, no script: one inside buckets is looked at when there is a document."""
    terms = {"terms": {"field": "httpmon.section"}}
    totals = {"total": {"sum": {"field": "http.response.body.bytes"}}}
    mine = installed.names.of("mine")
    body = {
        "source": {"index": installed.names.raw},
        "dest": {"index": mine},
        "frequency": "1s",
        "sync": {"time": {"field": "event.ingested", "delay": "0s"}},
        "pivot": {
            "group_by": {"s": terms},
            "aggregations": {"top": {**terms, "aggs": {**totals, **computed("params.")}}},
        },
    }
    define(engine, installed, mine, body)
    service = TransformService(engine, installed.names, monotonic=QuickClock())
    service.tick()
    send_lines(engine, installed, [log_line(datetime(2026, 3, 1, 12, tzinfo=UTC))])

    told = [result.reason for _ in range(10) for result in service.tick() if result.identifier == mine]

    place = f"transform {mine}: pivot.aggregations.top.per: the engine refuses it: compile error: "
    assert told[-1].startswith(place), told


@pytest.mark.parametrize("content", [{"pivot": inside(**computed("params.a"))}, query(match_all={})])
def test_what_can_run_is_taken(engine: Engine, source: str, content: dict[str, Any]) -> None:
    require(engine, source, content)


def test_a_source_that_is_not_there_is_told(engine: Engine, settings: Settings) -> None:
    for index in (settings.names.of("none"), f"{settings.names.of('none')}*"):
        with pytest.raises(SourceMissing, match=r"transform mine: source\.index: there is no index .*none"):
            require(engine, index, {"pivot": pivot()})


def test_a_script_that_fails_on_a_later_document_is_told_with_its_place(engine: Engine, source: str) -> None:
    bulk = '{"index":{}}\n{"section":"/a","bytes":1}\n' * 200 + '{"index":{}}\n{"section":"/b"}\n'
    engine.bulk(bulk.encode(), target=source, params={"refresh": True})
    mean = {"mean": {"avg": {"script": "doc['bytes'].value"}}}
    with pytest.raises(
        RequestRefused, match=r"pivot\.aggregations\.mean: the engine refuses it: runtime error"
    ):
        require(engine, source, {"pivot": pivot({**TOTAL, **mean})})


def test_an_index_that_is_closed_is_told_as_such(engine: Engine, source: str) -> None:
    engine.request("POST", f"/{source}/_close")
    with pytest.raises(
        RequestRefused, match=r"^transform mine: source\.index: the engine refuses it: closed$"
    ):
        require(engine, source, {"pivot": pivot()})


def test_a_pipeline_that_is_not_there_is_told(engine: Engine, source: str) -> None:
    body = {"source": {"index": source}, "dest": {"index": "nowhere", "pipeline": "none"}, "pivot": pivot()}
    with pytest.raises(HttpmonError, match=r"transform mine: dest\.pipeline: there is no pipeline none"):
        require_accepted(engine, parse_body("mine", body))


MISTYPED = {"sync": {"time": {"field": "@timestmap"}}, "pivot": pivot()}


def test_a_sync_field_that_is_not_there_is_told_with_the_closest(engine: Engine, source: str) -> None:
    """The engine takes a search for what is newer by such a field, and finds nothing for ever."""
    # A document to come might bring the field, unless there are some without it, or no field is added.
    engine.request("PUT", f"/{source}/_mapping", body={"dynamic": False})
    told = (
        f"transform mine: sync.time.field: {source} has no field @timestmap: no document would ever be seen; "
        "did you mean @timestamp?"
    )
    with pytest.raises(UnsupportedTransform) as refusal:
        require(engine, source, MISTYPED)
    assert str(refusal.value) == told

    engine.request("PUT", f"/{source}/_mapping", body={"dynamic": True})
    empty = engine.request("GET", f"/{source}/_count")["count"] == 0
    with pytest.raises(SourceMissing if empty else UnsupportedTransform) as refusal:
        require(engine, source, MISTYPED)
    waits = f"transform mine: sync.time.field: {source} is empty, and has no field @timestmap yet"
    assert str(refusal.value) == (waits if empty else told)


def test_a_sync_field_that_is_no_date_is_told(engine: Engine, source: str) -> None:
    for field, kind in (("section", "keyword"), ("bytes", "long")):
        with pytest.raises(UnsupportedTransform) as refusal:
            require(engine, source, {"sync": {"time": {"field": field}}, "pivot": pivot()})
        told = f"transform mine: sync.time.field: {field} of {source} is no date, but of the type {kind}"
        assert str(refusal.value) == told


def test_a_sync_field_in_one_of_several_indices_is_enough(engine: Engine, source: str) -> None:
    engine.request("PUT", f"/{source}-more", body={"mappings": {"dynamic": False}})
    require(engine, f"{source}*", {"sync": {"time": {"field": "@timestamp"}}, "pivot": pivot()})


# -- the commands ----------------------------------------------------------------------------------------


def httpmon(settings: Settings, folder: Path, *arguments: str) -> BaseException | None:
    """Run a command with the folder as a pack, and return the error with which it ended."""
    config = folder / "httpmon.toml"
    config.write_text(f"packs = ['{folder}']\n", encoding="utf-8")
    given = ["--config", str(config), "--url", settings.engine.url, "--namespace", settings.namespace]
    return CliRunner().invoke(app, [*given, *arguments]).exception


def pack(folder: Path, given: str, instead: str) -> None:
    """A pack with a `sections` of its own: the built-in one with something replaced."""
    built_in = (BUILT_IN_PACK / "transforms" / "sections.json.j2").read_text(encoding="utf-8")
    assert given in built_in
    (folder / "transforms").mkdir(exist_ok=True)
    (folder / "transforms" / "sections.json.j2").write_text(
        built_in.replace(given, instead), encoding="utf-8"
    )


SECTION = '{"terms": {"field": "httpmon.section"}}'


def test_what_cannot_be_read_is_refused_before_anything_is_installed(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    pack(tmp_path, SECTION, SECTION.replace("}}", ', "size": 5}}'))
    error = httpmon(settings, tmp_path, "provision")
    place = f"transform {settings.names.sections}-000001: pivot.group_by.httpmon.section.size"
    assert str(error) == f"{place}: is not supported: leave it out"
    with pytest.raises(NotFound):
        engine.request("GET", f"/_ingest/pipeline/{settings.names.access_pipeline}")


def test_what_the_engine_refuses_is_not_installed(engine: Engine, settings: Settings, tmp_path: Path) -> None:
    pack(tmp_path, SECTION, SECTION.replace("httpmon.section", "event.original"))
    error = httpmon(settings, tmp_path, "provision")
    transform = f"{settings.names.sections}-000001"
    place = f"create transform {transform}: pivot.group_by.httpmon.section"
    assert isinstance(error, ApplyStopped)
    assert str(error).startswith(f"{place}: the engine refuses it: ")
    with pytest.raises(NotFound):
        engine.request("GET", f"/{settings.names.transform_store}/_doc/{transform}")

    pack(tmp_path, SECTION, SECTION)
    assert httpmon(settings, tmp_path, "provision") is None


class Unreadable(Engine):
    """One that lets its user install, and not read."""

    def msearch(self, searches: Any, **named: Any) -> Any:
        raise NotPermitted(f"POST /_msearch: 403 no permissions for {searches}, {named}", status=403)


def test_who_installs_need_not_be_allowed_to_read(settings: Settings) -> None:
    body = {"source": {"index": "raw"}, "dest": {"index": "nowhere"}, "pivot": pivot()}
    path = f"/{settings.names.transform_store}/_doc/mine"
    step = Step("transform", "mine", "create", "is not there", (Request("PUT", path, {"body": body}),))
    with Unreadable(Connection(settings.engine.url)) as engine:
        check_definitions(engine, settings, step, ask=True)


def test_what_the_engine_refuses_is_not_started(
    engine: Engine, provisioned: Settings, tmp_path: Path
) -> None:
    transform = f"{provisioned.names.sections}-000001"
    path = f"/{provisioned.names.transform_store}/_update/{transform}?refresh"
    query = {"doc": {"enabled": False, "body": {"source": {"query": {"regexp": {"url.path": "["}}}}}}
    engine.request("POST", path, body={"script": {"source": "ctx._source.body.source.remove('query')"}})
    engine.request("POST", path, body=query)

    error = httpmon(provisioned, tmp_path, "transform", "start", "sections")

    told = "source.query: the engine refuses it: failed to create query: unexpected end-of-string"
    assert str(error) == f"transform {transform}: {told}"
    found = engine.request("GET", f"/{provisioned.names.transform_store}/_doc/{transform}")
    assert not found["_source"]["enabled"]


SYNC = '"sync": {"time": {"field": "event.ingested"'


def test_a_mistyped_sync_field_is_told_by_every_command(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    pack(tmp_path, SYNC, SYNC.replace("ingested", "ingestd"))
    transform = f"{settings.names.sections}-000001"
    told = (
        f"transform {{}}: sync.time.field: {settings.names.raw} has no field event.ingestd: "
        "no document would ever be seen; did you mean event.ingested?"
    )

    error = httpmon(settings, tmp_path, "provision")
    assert isinstance(error, ApplyStopped)
    assert str(error).startswith(f"create {told.format(transform)}")
    assert str(httpmon(settings, tmp_path, "transform", "preview", "sections")) == told.format("sections")

    pack(tmp_path, SYNC, SYNC)
    assert httpmon(settings, tmp_path, "provision") is None
    # As a version of httpmon before this check would have left it.
    script = {"source": "ctx._source.body.sync.time.field = 'event.ingestd'"}
    path = f"/{settings.names.transform_store}/_update/{transform}?refresh"
    engine.request("POST", path, body={"script": script})
    assert str(httpmon(settings, tmp_path, "transform", "start", "sections")) == told.format(transform)
    service = TransformService(engine, settings.names, monotonic=QuickClock())
    (failed,) = (one for one in service.tick() if one.outcome == "failed")
    assert (failed.identifier, failed.reason) == (transform, told.format(transform))
