"""Guards: parameters of aggregations are refused where Elasticsearch refuses them, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from scheduler.transforms.body import UnsupportedTransform
from scheduler.transforms.parameters import FORMS
from scheduler.transforms.parsing import parse_body
from tests.contract.elastic.parsers import ParserProcess, installed_jars

# In modules of which no repository has the parsers.
ELSEWHERE = {"top_metrics", "bucket_selector"}
# What each kind is not complete without.
SCRIPTS = {"map_script": "1", "combine_script": "1", "reduce_script": "1"}
COMPLETE: Mapping[str, dict[str, Any]] = {
    "weighted_avg": {"value": {"field": "a"}, "weight": {"field": "b"}},
    "scripted_metric": SCRIPTS,
    "bucket_script": {"buckets_path": "hits", "script": "1"},
    "range": {"field": "a", "ranges": [{"to": 5}]},
}
OBJECTS = [5, {}, {"bogus": 1}]
VALUES: Mapping[str, list[Any]] = {
    "bogus": [1],
    "field": [5, ["a"]],
    "script": ["1", {"source": "1"}, {"id": "a"}, {"id": "a", "lang": "b"}, 5, {}, {"bogus": 1}],
    "missing": ["a", 1, True, {}, []],
    "value_type": ["long", "number", "keyword", 5],
    "format": ["0", 5],
    "precision_threshold": [0, 40_001, "5", -1, "a", None],
    "execution_hint": ["high_accuracy", 5],
    "percents": [5, "5", [50, "99.9"], [], [101], ["a"], {}],
    "keyed": [True, "false", 1, "yes"],
    "tdigest": [{"compression": 5}, {"compression": -1}, {"execution_hint": "fast"}, *OBJECTS],
    "hdr": [{"number_of_significant_value_digits": 5}, {"number_of_significant_value_digits": 6}, *OBJECTS],
    "compression": [5, "5", 0, -1],
    "value": [{"field": "a", "missing": 5}, {"field": "a", "script": "1"}, {"bogus": 1}, {}, 5],
    "weight": [{"script": "1"}, {"field": 5}],
    "init_script": ["1", {"source": "1"}, 5],
    "params": [{"a": 1}, 5],
    "buckets_path": [["hits"], {"a": "hits"}, {"a": []}],
    "gap_policy": ["skip", "INSERT_ZEROS", "jump", 5],
    "ranges": [[{"from": 5, "key": "a"}], [{"to": 5, "key": 1}], [{"bogus": 1}], 5],
    "size": [1, "5", 2.5, 0, -1, "a"],
    "shard_size": [1, 0],
    "min_doc_count": [0, -1],
    "shard_min_doc_count": [0, -1],
    "show_term_doc_count_error": [True, 5],
    "collect_mode": ["depth_first", "BREADTH_FIRST"],
    "order": [
        {"_key": "ASC"},
        [{"_count": "desc"}],
        {"_key": "asc", "_count": "asc"},
        {"_key": "up"},
        [],
        {},
        5,
    ],
    "include": ["a.*", ["a", 1], {"partition": 0, "num_partitions": 2}, {"partition": 0}, 5, [{}]],
    "exclude": ["a.*", ["a"], 5],
    "max_doc_count": [1, 100, 0, 101],
    "precision": [0.1, "1", 0],
}


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in FORMS.keys() - ELSEWHERE:
        for parameter, values in VALUES.items():
            for value in values:
                specification = {**COMPLETE.get(kind, {"field": "a"}), parameter: value}
                yield f"{kind} {parameter} {json.dumps(value)}", {kind: specification}


@pytest.fixture(scope="module")
def parsers() -> Iterator[ParserProcess]:
    with ParserProcess("server_parsers", installed_jars("server-8.10")) as process:
        yield process


def test_the_same_parameters_are_refused(parsers: ParserProcess) -> None:
    other = []
    for case, aggregation in bodies():
        body = {
            "source": {"index": "raw"},
            "dest": {"index": "summary"},
            "pivot": {
                "group_by": {"section": {"terms": {"field": "section"}}},
                "aggregations": {"hits": {"value_count": {"field": "a"}}, "x": aggregation},
            },
        }
        theirs = parsers.ask("transform", "example", body)["refused"]
        try:
            parse_body("example", body)
            ours = None
        except UnsupportedTransform as refusal:
            ours = str(refusal)
        if (ours is None) != (theirs is None):
            other.append(f"{case}: {ours} | {theirs}")
    assert not other, "\n".join(sorted(other))
