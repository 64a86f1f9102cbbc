"""Guards that a group's document has the id that Elasticsearch gives it: changing executors doubles
nothing."""

from __future__ import annotations

import pytest

from scheduler.transforms.identifiers import document_id, murmur3_128

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


@pytest.mark.parametrize("value", ["", 0, 0.5, True, "é", -1])
def test_every_kind_of_key_has_an_id(value: object) -> None:
    assert len(document_id({"key": value})) == 32


def test_the_hash_is_murmur3() -> None:
    """The reference implementation's answers for nothing and for a text longer than a block."""
    assert murmur3_128(b"", 0).hex() == "0" * 32
    assert (
        murmur3_128(b"The quick brown fox jumps over the lazy dog", 0).hex()
        == "e34bbc7bbc071b6c7a433ca9c49a9347"
    )
