"""Guards the page about rules: its example is a rule, and its tables name every parameter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.capabilities import assumed_capabilities
from provisioning.rendering import Rendered, render_all
from provisioning.settings import Settings
from scheduler.watches.definition import ChainInput, parse_watch

PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")


def rendered_watches(settings: Settings) -> dict[str, Rendered]:
    rendered = render_all(settings, assumed_capabilities("opensearch"))
    return {one.stem: one for one in rendered if one.kind == "watch"}


def test_the_example_of_an_own_rule_is_one(tmp_path: Path) -> None:
    found = re.search(r"```jinja\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    (tmp_path / "watchers").mkdir()
    (tmp_path / "watchers" / "busy_api.json.j2").write_text(found[1], encoding="utf-8")
    parameters = {"busy_api": {"threshold": 7, "renotify": "1h"}}
    one = rendered_watches(Settings(packs=(tmp_path,), parameters=parameters))["busy_api"]
    watch = parse_watch(one.name, one.body)
    assert (watch.metadata["threshold"], watch.metadata["renotify"]) == (7, 3600)
    assert isinstance(watch.input, ChainInput)
    assert [name for name, _ in watch.input.inputs] == ["api", "silences", "last"]


@pytest.mark.parametrize("stem", sorted(rendered_watches(Settings())))
def test_each_parameter_of_a_rule_stands_on_its_page(stem: str) -> None:
    common, _, rest = PAGE.partition("## High traffic")
    section = next(part for part in ("## High traffic" + rest).split("\n## ") if f"`{stem}`\n" in part)
    for parameter in rendered_watches(Settings())[stem].parameters:
        assert f"| `{parameter.name}` |" in section + common, parameter.name
