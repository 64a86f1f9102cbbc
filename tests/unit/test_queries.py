"""Guards how saved queries are read, given values, stored as search templates and shown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.errors import TemplateError, UsageError
from provisioning.queries import SavedQuery, parse_query, stored_script
from provisioning.rendering import render_queries
from provisioning.settings import Settings
from reading.buckets import span_of_time
from reading.queries import bound_search, find_query, given_arguments, shaped_rows
from reading.query_output import query_csv, query_json, query_table

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(hours=1)
BODY: dict[str, Any] = {
    "title": "One client",
    "description": "What it asked for.",
    "reads": "raw",
    "index": "logs",
    "span": "1h",
    "arguments": {
        "client": {"help": "its address"},
        "size": {"default": 5, "help": "how many"},
        "share": {"default": 0.5, "help": "a part"},
    },
    "search": {
        "size": "$size",
        "query": {
            "bool": {
                "filter": [
                    {"term": {"source.address": "$client"}},
                    {"range": {"@timestamp": {"gte": "$from-7d", "lt": "$to"}}},
                    {"term": {"price": "costs $5"}},
                ]
            }
        },
        "aggs": {"x": {"bucket_selector": {"script": {"params": {"share": "$share"}}}}},
    },
    "rows": "hits.hits",
    "columns": [
        {"name": "time", "value": "_source.@timestamp", "kind": "time"},
        {"name": "url", "value": "_source.url"},
        {"name": "hits", "value": "hits.value", "kind": "count"},
        {"name": "size", "value": "size", "kind": "bytes"},
        {"name": "part", "value": "part", "kind": "share"},
        {"name": "took", "value": "took.0", "kind": "nanoseconds"},
        {"name": "lasted", "value": "lasted", "kind": "seconds"},
    ],
}
ROWS: list[dict[str, Any]] = [
    {
        "_source": {"@timestamp": "2026-03-01T00:00:00Z", "url": "/a,\x1b[1m"},
        "hits": {"value": 1234.0},
        "size": 1_500_000,
        "part": 0.125,
        "took": [2_500_000],
        "lasted": 90,
    },
    {"_source": {"@timestamp": 1_772_323_200_000}},
]


def query() -> SavedQuery:
    return parse_query("one_client", BODY, "queries/one_client.json.j2")


def test_a_query_is_bound_to_typed_values() -> None:
    values = given_arguments(query(), ["client=192.0.2.1", "size=7"])
    bound = bound_search(query(), values, START, END)
    assert bound["size"] == 7
    assert bound["query"]["bool"]["filter"] == [
        {"term": {"source.address": "192.0.2.1"}},
        {"range": {"@timestamp": {"gte": "2026-02-22T00:00:00Z", "lt": "2026-03-01T01:00:00Z"}}},
        {"term": {"price": "costs $5"}},
    ]
    assert bound["aggs"]["x"]["bucket_selector"]["script"]["params"] == {"share": 0.5}


def test_a_value_cannot_break_out_of_its_place() -> None:
    values = given_arguments(query(), ['client="}},{"match_all":{}}', "size=7"])
    bound = bound_search(query(), values, START, END)
    assert bound["query"]["bool"]["filter"][0] == {"term": {"source.address": '"}},{"match_all":{}}'}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "give --param client=...: its address"),
        (["client=x", "size=many"], "'many' is no number"),
        (["client=x", "sise=5"], "the names of one-client: client, size, share"),
        (["client"], "write NAME=VALUE"),
    ],
)
def test_arguments_that_cannot_be_used(given: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("...", r"\.\.\.")):
        given_arguments(query(), given)


def test_a_stored_template_has_defaults_and_keeps_numbers_numbers() -> None:
    source = stored_script(query())["script"]["source"]
    assert '"size": {{^size}}5{{/size}}{{#size}}{{size}}{{/size}}' in source
    assert '"source.address": "{{^client}}{{/client}}{{#client}}{{client}}{{/client}}"' in source
    assert '"gte": "{{^from}}now-1h-7d{{/from}}{{#from}}{{from}}||-7d{{/from}}"' in source
    assert '"lt": "{{^to}}now{{/to}}{{#to}}{{to}}{{/to}}"' in source


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": None}, ""),
        ({"columns": [{"name": "x"}]}, "a query needs 'value'"),
        ({"columns": [{"name": "x", "value": "y", "kind": "colour"}]}, "'colour' is no kind of column"),
        ({"span": "long"}, "is no duration"),
        ({"search": {"size": "$sise"}}, r"\$sise is no argument"),
        ({"arguments": BODY["arguments"] | {"spare": {"help": "x"}}}, "the argument spare is not used"),
    ],
)
def test_a_file_that_is_no_query_is_refused(change: dict[str, Any], message: str) -> None:
    if not message:
        body = {name: value for name, value in BODY.items() if name not in change}
        message = "a query needs 'title'"
    else:
        body = BODY | change
    with pytest.raises(TemplateError, match=f"queries/x.json.j2: {message}|queries/x.json.j2: .*{message}"):
        parse_query("x", body, "queries/x.json.j2")


def test_an_unknown_name_is_refused_with_the_closest() -> None:
    with pytest.raises(UsageError, match="did you mean one-client"):
        find_query([query()], "on_client")
    assert find_query([query()], "one_client").name == "one-client"


def test_rows_as_a_table() -> None:
    rows = shaped_rows(query(), {"hits": {"hits": ROWS}})
    assert query_table(query(), rows, UTC).splitlines() == [
        "time                     url           hits    size    part    took      lasted",
        "-----------------------  ----------  ------  ------  ------  ------  ----------",
        r"2026-03-01 00:00:00 UTC  /a,\x1b[1m   1,234  1.5 MB   12.5%  2.5 ms  1 min 30 s",
        "2026-03-01 00:00:00 UTC  -                -       -       -       -           -",
    ]
    assert query_table(query(), [], UTC) == "nothing found"


def test_rows_as_json_and_csv() -> None:
    rows = shaped_rows(query(), {"hits": {"hits": ROWS}})
    first, second = (json.loads(line) for line in query_json(query(), rows).splitlines())
    assert first["time"] == second["time"] == "2026-03-01T00:00:00Z"
    assert (first["url"], first["hits"], first["part"], first["took"]) == (
        "/a,\x1b[1m",
        1234,
        0.125,
        2_500_000,
    )
    assert second["hits"] is None
    assert query_csv(query(), rows).splitlines()[:2] == [
        "time,url,hits,size,part,took,lasted",
        r'2026-03-01T00:00:00Z,"/a,\x1b[1m",1234,1500000,0.125,2500000,90',
    ]


def test_an_answer_without_rows_is_empty() -> None:
    assert shaped_rows(query(), {"hits": {"hits": []}}) == []
    assert shaped_rows(replace(query(), rows="aggregations.x.buckets"), {"hits": {}}) == []


NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "span"),
    [
        (None, None, (NOW - timedelta(hours=24), NOW)),
        ("2h", None, (NOW - timedelta(hours=2), NOW)),
        ("2h", "1h", (NOW - timedelta(hours=3), NOW - timedelta(hours=1))),
        ("2026-03-01T00:00:00Z", "1h", (START, NOW - timedelta(hours=1))),
        (None, "2026-03-01T00:00:00Z", (START - timedelta(hours=24), START)),
    ],
)
def test_a_span_of_time(start: str | None, end: str | None, span: tuple[datetime, datetime]) -> None:
    assert span_of_time(start, end, "24h", UTC, NOW) == span


def test_a_span_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(UsageError, match="ends before it starts"):
        span_of_time("2026-03-02", "2026-03-01", "24h", UTC, NOW)


def test_a_pack_adds_a_query_and_replaces_one(tmp_path: Path) -> None:
    folder = tmp_path / "queries"
    folder.mkdir()
    (folder / "one_client.json.j2").write_text(json.dumps(BODY))
    (folder / "top_paths.json.j2").write_text(json.dumps(BODY | {"title": "Mine"}))
    rendered = render_queries(Settings(packs=(tmp_path,)))
    titles = {one.stem: one.body["title"] for one in rendered}
    assert titles["one_client"] == "One client"
    assert titles["top_paths"] == "Mine"
    assert len(rendered) >= 21


def test_every_built_in_query_can_be_read_and_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "queries.md").read_text()
    for one in render_queries(Settings()):
        parsed = parse_query(one.stem, one.body, str(one.source))
        assert f"`{parsed.name}`" in page
