"""Guards: what a user's own pattern names is kept apart from the document's fields; mistakes are told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from provisioning.own_formats import FormatSettings
from provisioning.settings import Settings


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("%{a} %{b_c}", "%{x.a} %{x.b_c}"),
        (
            "%{+a} %{+a/2} %{b->} %{c-d->}|%{}|%{?skipped}",
            "%{+x.a} %{+x.a/2} %{x.b->} %{x.c-d->}|%{}|%{?skipped}",
        ),
    ],
)
def test_keys_of_dissect(pattern: str, expected: str) -> None:
    assert FormatSettings(dissect=pattern).processor("line", "x")["dissect"]["pattern"] == expected


def test_keys_of_grok() -> None:
    made = FormatSettings(grok="^%{IP:ip} %{INT:status:int} %{NOTSPACE}$", patterns={"P": "x"})
    assert made.processor("line", "x") == {
        "grok": {
            "field": "line",
            "patterns": ["^%{IP:x.ip} %{INT:x.status:int} %{NOTSPACE}$"],
            "pattern_definitions": {"P": "x"},
        }
    }


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"dissect": "%{a}", "grok": "%{IP:a}"},
        {"dissect": "nothing"},
        {"grok": "%{IP}"},
        {"dissect": "%{a} %{b"},
    ],
)
def test_one_pattern_that_names_something_is_wanted(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        FormatSettings(**given)  # type: ignore[arg-type]


def test_a_name_is_a_plain_word() -> None:
    with pytest.raises(ValidationError, match="a format's name"):
        Settings(formats={"x' || true": FormatSettings(dissect="%{a}")})
