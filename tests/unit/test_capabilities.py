"""Guards: what an engine can run is deduced from its own answers, licence included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.capabilities import (
    assumed_capabilities,
    deduce_capabilities,
    features_of_licence,
    flavour_and_version,
)
from engine.errors import UsageError


def _root(number: str, distribution: str | None = None) -> dict[str, Any]:
    return {"version": {"number": number} | ({"distribution": distribution} if distribution else {})}


def _xpack(licence: str, **features: bool) -> dict[str, Any]:
    return {
        "license": {"type": licence},
        "features": {name: {"available": available, "enabled": True} for name, available in features.items()},
    }


def test_opensearch_runs_neither_transforms_nor_watches() -> None:
    found = deduce_capabilities(_root("3.8.0", "opensearch"), None)
    assert (found.flavour, found.version, found.version_text) == ("opensearch", (3, 8, 0), "3.8.0")
    assert not (found.transforms or found.watcher or found.index_lifecycle or found.security)
    assert found.licence is None


@pytest.mark.parametrize(("licence", "watcher"), [("basic", False), ("trial", True), ("platinum", True)])
def test_a_licence_decides_about_watches_alone(licence: str, watcher: bool) -> None:
    found = deduce_capabilities(
        _root("8.10.4"), _xpack(licence, transform=True, watcher=watcher, ilm=True, security=True)
    )
    assert (found.licence, found.transforms, found.watcher) == (licence, True, watcher)
    assert found.index_lifecycle
    assert not found.data_stream_lifecycle


def test_a_feature_that_is_switched_off_cannot_be_used() -> None:
    xpack = _xpack("trial", transform=True, watcher=True)
    xpack["features"]["watcher"]["enabled"] = False
    assert not deduce_capabilities(_root("8.15.0"), xpack).watcher


@pytest.mark.parametrize(
    ("number", "lifecycle"), [("8.13.4", False), ("8.14.0", True), ("9.0.0-beta1", True), ("9.2.0", True)]
)
def test_data_stream_lifecycle_comes_with_its_version(number: str, lifecycle: bool) -> None:
    assert deduce_capabilities(_root(number), _xpack("basic")).data_stream_lifecycle is lifecycle


@pytest.mark.parametrize("root", [{}, {"version": {}}, {"version": {"number": 8}}, {"version": "8"}])
def test_an_answer_that_is_no_clusters_is_refused(root: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="version number"):
        flavour_and_version(root)


def test_a_version_without_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="'latest' is no version number"):
        flavour_and_version(_root("latest"))


def test_assumed_capabilities_for_rendering_without_a_cluster() -> None:
    assert assumed_capabilities("elasticsearch").watcher
    assert assumed_capabilities("elasticsearch:8.10.4").version == (8, 10, 4)
    assert not assumed_capabilities("opensearch:2.19").transforms
    for nonsense in ("solr", "", "opensearch:new"):
        with pytest.raises(UsageError):
            assumed_capabilities(nonsense)


@pytest.mark.parametrize(
    ("licence", "status", "transforms", "watcher"),
    [
        ("basic", "active", True, False),
        ("trial", "active", True, True),
        ("platinum", "active", True, True),
        ("standard", "active", True, False),
        ("platinum", "expired", False, False),
    ],
)
def test_what_follows_from_the_licence_alone(
    licence: str, status: str, transforms: bool, watcher: bool
) -> None:
    answer = {"license": {"type": licence, "status": status}}
    found = deduce_capabilities(_root("8.10.4"), features_of_licence(answer))
    assert (found.licence, found.transforms, found.watcher) == (licence, transforms, watcher)


def test_what_a_real_elasticsearch_says_of_itself(shared_folder: Path) -> None:
    answers = shared_folder / "recordings" / "elasticsearch-8.10" / "licence"
    root = json.loads((answers / "root.json").read_text())
    basic = deduce_capabilities(root, json.loads((answers / "basic_xpack.json").read_text()))
    trial = deduce_capabilities(root, json.loads((answers / "trial_xpack.json").read_text()))
    assert (basic.licence, basic.transforms, basic.watcher) == ("basic", True, False)
    assert (trial.licence, trial.transforms, trial.watcher) == ("trial", True, True)
    by_licence = deduce_capabilities(
        root, features_of_licence(json.loads((answers / "basic_license.json").read_text()))
    )
    assert (by_licence.transforms, by_licence.watcher) == (basic.transforms, basic.watcher)
