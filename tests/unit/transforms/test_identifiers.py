"""Guards that a group's document has the id that Elasticsearch gives it: changing executors doubles
nothing."""

from __future__ import annotations

import pytest

from scheduler.transforms.identifiers import document_id

# Ids that Elasticsearch 8.10.4 wrote for the bucket 2026-11-25T02:05:40Z.
BUCKET = 1795572340000
NATIVE = {
    None: "AF_oKF2MFkcAtmeYETwHJPHpAAAAAAAA",
    "/api": "AC-80ySXzMXyFYnu8c8c0RHlAAAAAAAA",
    "/nobytes": "AC-1-cSqRV1BytlO-bzF4MNoAAAAAAAA",
}


@pytest.mark.parametrize("section", NATIVE)
def test_the_id_is_the_native_one(section: str | None) -> None:
    assert document_id({"httpmon.section": section, "@timestamp": BUCKET}) == NATIVE[section]


def test_keys_are_taken_in_the_order_of_their_names() -> None:
    assert document_id({"a": "x", "b": "y"}) == document_id({"b": "y", "a": "x"})
    assert document_id({"a": "x", "b": "y"}) != document_id({"a": "y", "b": "x"})


@pytest.mark.parametrize(
    ("value", "native"),
    [
        ("", "XzdWI9l_uAKr8gPeenBUZYAAAAAAAAAA"),
        (None, "Xy_cEPawfBodqd3xVPy9vEgAAAAAAAAA"),
        (False, "AK9OSNR-h07QlBaIAYsfClEAAAAAAAAA"),
        (True, "Abb8gkhhoMEbfmWA9lU9LIMAAAAAAAAA"),
    ],
)
def test_nothing_an_empty_text_and_truth_values_have_the_native_ids(value: object, native: str) -> None:
    """As Elasticsearch 8.10.4 wrote them; an empty text beside null must not share its document."""
    assert document_id({"key": value}) == native


@pytest.mark.parametrize("value", [0, 0.5, "é", -1, 2**63 - 1])
def test_every_kind_of_key_has_an_id(value: object) -> None:
    assert len(document_id({"key": value})) == 32


def test_a_key_greater_than_any_long_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than any long"):
        document_id({"key": 2**64 - 1})
