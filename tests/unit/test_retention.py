"""Guards what is kept and for how long: no number falls when data expires, and nothing unseen is removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.capabilities import assumed_capabilities, deduce_capabilities
from engine.errors import SettingsError
from localnode.folders import CLUSTER_NAME
from provisioning.rendering import Rendered, render_all
from provisioning.retention import Retention, retention_for, rollover_age
from provisioning.settings import RetentionSettings, Settings, load_settings
from provisioning.stamp import Stamp, stamped
from scheduler.retention import BackingIndex, Due, Policy, backing_indices, due, policies

CLUSTER = assumed_capabilities("opensearch")
LOCAL = deduce_capabilities(
    {"cluster_name": CLUSTER_NAME, "version": {"number": "3.8.0", "distribution": "opensearch"}}, None
)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SEVEN_DAYS = Policy("logs", timedelta(days=7), timedelta(days=1))


def test_a_cluster_removes_what_is_old_and_the_local_node_keeps_everything() -> None:
    unset = RetentionSettings()
    assert retention_for(unset, CLUSTER) == Retention("7d", "30d", "730d", "730d", "30d")
    assert retention_for(unset, LOCAL) == Retention()
    assert LOCAL.local
    assert not CLUSTER.local


def test_settings_are_stronger_than_either_default() -> None:
    given = RetentionSettings(raw="keep", alerts="10d", dead="keep")
    assert retention_for(given, CLUSTER) == Retention(None, None, None, "10d", None)
    given = RetentionSettings(raw="4h", summaries="6h")
    assert retention_for(given, LOCAL) == Retention("4h", "6h", None, None, None)


def test_the_default_of_a_tier_grows_with_what_it_is_made_of() -> None:
    retention = retention_for(RetentionSettings(raw="800d"), CLUSTER)
    assert (retention.raw, retention.summaries, retention.hourly) == ("800d", "19224h", "19248h")


@pytest.mark.parametrize(
    ("given", "local", "problem"),
    [
        ({"raw": "3h"}, False, "retention.raw: 3h is less than 4h"),
        ({"summaries": "30d"}, True, "summaries: cannot expire before raw do: set retention.raw, too"),
        ({"raw": "keep", "summaries": "30d"}, False, "summaries: cannot expire before raw do"),
        ({"raw": "7d", "summaries": "7d"}, False, "7d must be an hour longer than retention.raw, 7d"),
        ({"hourly": "20d"}, False, "20d must be an hour longer than retention.summaries, 30d"),
    ],
)
def test_a_retention_that_would_lose_hits_is_refused(
    given: dict[str, str], local: bool, problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        retention_for(RetentionSettings(**given), LOCAL if local else CLUSTER)


def test_a_retention_is_a_duration_or_keep() -> None:
    with pytest.raises(SettingsError, match=r"retention\.raw.*'for ever' is no duration"):
        load_settings(None, {"retention.raw": "for ever"})


@pytest.mark.parametrize(("raw", "late"), [(None, None), ("4h", 3 * 3600), ("7d", 6 * 86_400)])
def test_a_line_is_late_while_its_raw_documents_are_surely_there(raw: str | None, late: int | None) -> None:
    assert Retention(raw=raw).late_after_seconds == late


@pytest.mark.parametrize(
    ("raw", "interval"), [(None, "1d"), ("7d", "1d"), ("32h", "1d"), ("31h", "1h"), ("4h", "1h")]
)
def test_late_lines_are_counted_by_spans_for_which_raw_documents_are_surely_there(
    raw: str | None, interval: str
) -> None:
    assert Retention(raw=raw).arrival_interval == interval


@pytest.mark.parametrize(("kept", "hours"), [("4h", 1), ("3d", 10), ("7d", 24), ("730d", 24)])
def test_a_data_stream_goes_on_in_a_new_index_a_few_times_within_its_retention(kept: str, hours: int) -> None:
    assert rollover_age(kept) == hours


def _rendered(engine: str, **retention: str) -> dict[tuple[str, str], Rendered]:
    settings = Settings(retention=RetentionSettings(**retention))
    return {(one.kind, one.stem): one for one in render_all(settings, assumed_capabilities(engine))}


def test_each_engine_gets_the_retention_that_it_can_see_to() -> None:
    newer = _rendered("elasticsearch:8.14.0")
    older = _rendered("elasticsearch:8.13.4")
    scheduled = _rendered("opensearch")
    assert newer["index_template", "access"].body["template"]["lifecycle"] == {"data_retention": "7d"}
    assert newer["index_template", "dead"].body["template"]["lifecycle"] == {"data_retention": "30d"}
    policy = older["lifecycle_policy", "access"]
    assert policy.body["policy"]["phases"]["hot"]["actions"]["rollover"]["max_age"] == "24h"
    assert policy.body["policy"]["phases"]["delete"] == {"min_age": "7d", "actions": {"delete": {}}}
    settings = older["index_template", "access"].body["template"]["settings"]
    assert settings["index.lifecycle.name"] == policy.name == "httpmon-access"
    assert scheduled["index_template", "access"].body["_meta"] == {
        "retention": {"after": "7d", "rollover": "24h"}
    }
    for rendered, said in ((newer, 1), (older, 1), (scheduled, 1)):
        text = str([rendered["index_template", stem].body for stem in ("access", "dead")])
        marks = ("'lifecycle'", "index.lifecycle.name", "'retention'")
        assert sum(mark in text for mark in marks) == said, "two would see to the same index"


@pytest.mark.parametrize("engine", ["elasticsearch:8.14.0", "elasticsearch:8.13.4", "opensearch"])
def test_what_is_kept_for_ever_has_no_retention_anywhere(engine: str) -> None:
    rendered = _rendered(engine, raw="keep", alerts="keep", dead="keep")
    assert ("transform", "alerts_expiry") not in rendered
    assert not any(kind == "lifecycle_policy" for kind, _ in rendered)
    text = str([one.body for one in rendered.values()])
    for mark in ("retention", "'lifecycle'", "lifecycle.name"):
        assert mark not in text


def test_summaries_and_alerts_expire_document_by_document() -> None:
    rendered = _rendered("elasticsearch:8.10.4")
    found = {
        stem: one.body["retention_policy"]["time"]
        for (kind, stem), one in rendered.items()
        if kind == "transform" and "retention_policy" in one.body
    }
    fine, hours = {"field": "@timestamp", "max_age": "30d"}, {"field": "event.ingested", "max_age": "730d"}
    assert found == {
        "sections": fine,
        "traffic": fine,
        "sections_hourly": hours,
        "traffic_hourly": hours,
        "alerts_expiry": {"field": "@timestamp", "max_age": "730d"},
    }


def _index(generation: int, age: timedelta) -> BackingIndex:
    return BackingIndex(f".ds-logs-{generation:06}", generation, NOW - age)


def test_an_index_goes_when_its_successor_is_as_old_as_the_retention() -> None:
    days = [_index(number, timedelta(days=10 - number)) for number in range(1, 10)]
    # 000003 is 7 days old: all of 000002 came before it was made.
    assert due(SEVEN_DAYS, days, NOW, NOW) == Due((".ds-logs-000001", ".ds-logs-000002"), roll_over=True)
    almost = NOW - timedelta(seconds=1)
    assert due(SEVEN_DAYS, days, almost, NOW).delete == (".ds-logs-000001",)


@pytest.mark.parametrize("seen", [None, NOW - timedelta(days=8, seconds=1)])
def test_what_a_transform_has_not_seen_stays(seen: datetime | None) -> None:
    indices = [_index(1, timedelta(days=30)), _index(2, timedelta(days=8))]
    assert due(SEVEN_DAYS, indices, NOW, seen).delete == ()
    assert due(SEVEN_DAYS, indices, NOW, NOW - timedelta(days=8)).delete == (".ds-logs-000001",)


def test_the_newest_index_never_goes() -> None:
    assert due(SEVEN_DAYS, [_index(4, timedelta(days=900))], NOW, NOW) == Due((), roll_over=True)
    assert due(SEVEN_DAYS, [_index(4, timedelta(hours=23))], NOW, NOW) == Due()
    assert due(SEVEN_DAYS, [], NOW, NOW) == Due()


def _template(namespace: str, **meta: Any) -> dict[str, Any]:
    body = {"index_patterns": ["logs"], "data_stream": {}, "_meta": meta}
    return {
        "name": "t",
        "index_template": stamped("index_template", body, Stamp(namespace, "1", "a"), "opensearch"),
    }


def test_only_templates_of_this_installation_say_what_is_removed() -> None:
    retention = {"after": "7d", "rollover": "24h"}
    ours = _template("default", retention=retention)
    others = [
        _template("staging", retention=retention),
        _template("default"),
        {"name": "t", "index_template": {"index_patterns": ["x"], "_meta": {"retention": retention}}},
    ]
    assert policies({"index_templates": [*others, ours]}, "default") == [SEVEN_DAYS]


def test_indices_that_are_not_of_the_data_stream_are_left_alone() -> None:
    created = {"settings": {"index": {"creation_date": "1773144000000"}}}
    answer = {
        ".ds-logs-2026.03.10-000007": {**created, "data_stream": "logs"},
        "logs-000008": created,
    }
    assert backing_indices(answer) == [BackingIndex(".ds-logs-2026.03.10-000007", 7, NOW)]
