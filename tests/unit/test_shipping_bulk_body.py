"""Promise: what the engine is sent holds every byte of a line, and its answer is understood item by item."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipping.bulk_body import (
    Fate,
    Origin,
    Refusal,
    bulk_items,
    dead_letter,
    fate_of,
    read_answer,
    refusal_of,
)
from shipping.formats import FormatOptions, Header
from shipping.framing import Block

ORIGIN = Origin("AbCdEfGhIjKl", '/var/log/100% "odd"\\.log')


def documents(block: Block, origin: Origin = ORIGIN) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    pairs = []
    for item in bulk_items(block, origin):
        action, source, end = item.split(b"\n")
        assert end == b""
        pairs.append((json.loads(action)["create"], json.loads(source)))
    return pairs


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=8))
def test_every_line_can_be_got_back_from_its_document(lines: list[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    sent = documents(Block(1000, content, 1000 + len(content)))
    assert len(sent) == len(lines)
    offset = 1000
    for line, (action, source) in zip(lines, sent, strict=True):
        assert action["_id"] == f"AbCdEfGhIjKl{offset:012d}"
        assert source["log"]["offset"] == offset
        assert source["log"]["file"]["path"] == ORIGIN.path
        exact = source.get("httpmon", {}).get("original_bytes")
        got = base64.b64decode(exact) if exact else source["event"]["original"].encode()
        assert got == line.removesuffix(b"\r")
        assert ("not_utf8" in source["log"].get("flags", [])) == (exact is not None)
        offset += len(line) + 1


def test_bytes_that_are_no_utf8_are_shown_as_servers_write_them() -> None:
    (_, source), (_, other) = documents(Block(0, b"caf\xe9\ncaf\xc3\xa9\n", 11))
    assert source["event"]["original"] == "caf\\xe9"
    assert other["event"]["original"] == "café"
    assert "flags" not in other["log"]


def test_flags_of_a_cut_line_are_sent() -> None:
    ((_, source),) = documents(Block(7, b"GET /ha", 14, ("partial",), "continued"))
    assert source["log"]["flags"] == ["partial"]
    assert source["event"]["original"] == "GET /ha"


def test_a_block_without_lines_is_nothing_to_send() -> None:
    assert bulk_items(Block(7, b"", 9), ORIGIN) == []


def test_a_pipeline_is_named_in_the_action() -> None:
    ((action, _),) = documents(Block(0, b"a\n", 2), Origin("AbCdEfGhIjKl", "/x", FormatOptions("100%-json")))
    assert action["pipeline"] == "100%-json"


@pytest.mark.parametrize(
    ("status", "error", "fate"),
    [
        (201, None, Fate.CREATED),
        (409, {"type": "version_conflict_engine_exception"}, Fate.DUPLICATE),
        (429, {"type": "rejected_execution_exception"}, Fate.RETRY),
        (503, {"type": "unavailable_shards_exception"}, Fate.RETRY),
        (500, {"type": "null_pointer_exception"}, Fate.SUSPECT),
        (403, {"type": "cluster_block_exception"}, Fate.BLOCKED),
        (404, {"type": "index_not_found_exception"}, Fate.BLOCKED),
        (
            400,
            {"type": "illegal_argument_exception", "reason": "pipeline with id [x] does not exist"},
            Fate.BLOCKED,
        ),
        (400, {"type": "mapper_parsing_exception", "reason": "failed to parse"}, Fate.DEAD),
    ],
)
def test_each_answer_has_one_meaning(status: int, error: dict[str, str] | None, fate: Fate) -> None:
    assert fate_of(status, error) is fate


def test_an_answer_about_other_lines_is_not_believed() -> None:
    with pytest.raises(ValueError, match="1 of 2 lines"):
        read_answer({"errors": False, "items": [{"create": {"status": 201}}]}, 2)


def test_the_fates_stand_in_the_order_of_the_items() -> None:
    answer = {
        "errors": True,
        "items": [
            {"create": {"status": 201}},
            {
                "create": {
                    "status": 409,
                    "error": {"type": "version_conflict_engine_exception", "reason": "r"},
                }
            },
        ],
    }
    fates = read_answer(answer, 2)
    assert fates is not None
    assert [fate for fate, _ in fates] == [Fate.CREATED, Fate.DUPLICATE]


def test_a_dead_letter_keeps_line_place_and_reason_under_the_same_id() -> None:
    (item,) = bulk_items(Block(5, b"bad\n", 9), ORIGIN)
    refusal = refusal_of(
        400, {"type": "mapper_parsing_exception", "reason": "failed", "caused_by": {"reason": "no\nnumber"}}
    )
    assert refusal == Refusal(400, "mapper_parsing_exception", "failed: no number")
    action, source, _ = dead_letter(item, refusal, "2024-01-31T00:00:00Z").split(b"\n")
    assert json.loads(action)["create"]["_id"] == "AbCdEfGhIjKl000000000005"
    document = json.loads(source)
    assert document["event"] == {"original": "bad", "kind": "pipeline_error"}
    assert document["error"]["message"] == "failed: no number"
    assert document["log"]["offset"] == 5


def test_what_the_pipeline_must_know_goes_along_with_every_line() -> None:
    origin = Origin(
        "AbCdEfGhIjKl", "/x%d", FormatOptions(None, "mine", "+02:00"), Header('date "%s"', "2015-05-17")
    )
    told = {"format": "mine", "header": {"fields": 'date "%s"', "date": "2015-05-17"}}
    for content in (b"a\nb\n", b"a\nb\xff\n"):
        for _, source in documents(Block(0, content, len(content)), origin):
            exact = source["httpmon"].pop("original_bytes", None)
            assert (exact is None) == (not source["event"]["original"].startswith("b\\"))
            assert source["httpmon"] == told
            assert source["event"]["timezone"] == "+02:00"
            assert source["log"]["file"]["path"] == "/x%d"
