"""Promise: however the bytes of a log arrive, each line comes out once, whole, at its offset."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shipping.framing import Block, LineFramer

LIMIT = 8

logs = st.lists(
    st.sampled_from(
        [
            b"",
            b"a",
            b"ab\r",
            b"12345678",
            b"123456789",
            b"x" * 30,
            b"\x00\xff",
            b"\x00" * 20 + b"a",
            b"q\xc3\xa4",
        ]
    )
).map(b"\n".join)


def cut_into_chunks(content: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    return [content[start:end] for start, end in pairwise(edges)]


def lines_of(blocks: list[Block]) -> list[tuple[int, bytes, tuple[str, ...]]]:
    """Offset, content and flags of each line in blocks."""
    lines = []
    for block in blocks:
        if block.flags:
            lines.append((block.offset, block.content, block.flags))
            continue
        offset = block.offset
        for line in block.content.split(b"\n")[:-1]:
            lines.append((offset, line, ()))
            offset += len(line) + 1
    return lines


def expected_lines(content: bytes) -> list[tuple[int, bytes, tuple[str, ...]]]:
    """The plain definition: split at newlines, leave out NULs, cut what is too long, flag what has no end."""
    lines, offset = [], 0
    parts = content.split(b"\n")
    for number, line in enumerate(parts):
        last = number == len(parts) - 1
        written = line.lstrip(b"\0")
        offset, line = offset + len(line) - len(written), written
        if len(line) > LIMIT:
            lines.append((offset, line[:LIMIT], ("truncated",)))
        elif not last:
            lines.append((offset, line, ()))
        elif line:
            lines.append((offset, line, ("partial",)))
        offset += len(line) + 1
    return lines


@given(content=logs, cuts=st.lists(st.integers(0, 1000)))
def test_lines_do_not_depend_on_how_the_bytes_arrive(content: bytes, cuts: list[int]) -> None:
    framer = LineFramer(max_line_bytes=LIMIT)
    blocks = [block for chunk in cut_into_chunks(content, cuts) for block in framer.feed(chunk)]
    blocks += framer.flush()
    assert lines_of(blocks) == expected_lines(content)
    assert framer.position == len(content)


@given(content=logs, cuts=st.lists(st.integers(0, 1000)), stop=st.integers(0, 1000))
def test_reading_on_from_any_block_gives_the_same_lines(content: bytes, cuts: list[int], stop: int) -> None:
    framer = LineFramer(max_line_bytes=LIMIT)
    blocks = [block for chunk in cut_into_chunks(content, cuts) for block in framer.feed(chunk)]
    kept = blocks[: stop % (len(blocks) + 1)]
    offset, state = (kept[-1].end, kept[-1].state) if kept else (0, "start")
    later = LineFramer(offset, state, max_line_bytes=LIMIT)
    again = kept + later.feed(content[offset:]) + later.flush()
    assert lines_of(again) == lines_of(blocks + framer.flush())


@given(content=logs, cuts=st.lists(st.integers(0, 1000)))
def test_blocks_lie_side_by_side(content: bytes, cuts: list[int]) -> None:
    framer = LineFramer(max_line_bytes=LIMIT)
    blocks = [block for chunk in cut_into_chunks(content, cuts) for block in framer.feed(chunk)]
    blocks += framer.flush()
    for before, after in pairwise(blocks):
        assert before.end == after.offset


def test_what_follows_a_partial_line_is_flagged() -> None:
    framer = LineFramer()
    framer.feed(b"GET /half")
    assert framer.flush() == [Block(0, b"GET /half", 9, ("partial",), "continued")]
    assert framer.feed(b" of it\nnext\n") == [
        Block(9, b" of it", 16, ("continuation",), "start"),
        Block(16, b"next\n", 21),
    ]


def test_a_partial_line_that_only_lacked_its_newline_has_no_rest() -> None:
    framer = LineFramer()
    framer.feed(b"whole")
    framer.flush()
    assert [block.content for block in framer.feed(b"\r\nnext\n")] == [b"", b"next\n"]
