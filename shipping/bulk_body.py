"""From lines to the body of a bulk request, and from its answer to what became of each line. Pure.

The body is put together as bytes, a block at a time: escaping the block as a whole costs a tenth of
encoding each line (0.8 us a line altogether, where ``json.dumps`` of a document takes 4).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Any

from shipping.formats import NO_HEADER, SEEN_BY_ITSELF, FormatOptions, Header
from shipping.framing import FLAG_TRUNCATED, Block

# A line whose bytes are no UTF-8 is sent with each such byte as \xNN, which is how Apache and nginx
# themselves write bytes that they do not trust; its exact bytes go along in httpmon.original_bytes.
FLAG_NOT_UTF8 = "not_utf8"

# All that the answer is needed for. Statuses are asked for beside the errors because items without any
# field would be left out, and with them the positions of the others.
ANSWER_FIELDS = "errors,took,items.*.error,items.*.status"

# JSON wants these escaped; the newline is not among them, because it separates the lines.
_CONTROL_BYTES = bytes(byte for byte in range(32) if byte != 10)


@dataclass(frozen=True, slots=True)
class Origin:
    """What all lines of one file have in common.

    Attributes:
        key: the file's part of a document id, from ``identity.new_key``.
        path: for ``log.file.path``.
        format: how its lines are to be read.
        header: what the file said of the lines; a file whose header changes has several origins.
    """

    key: str
    path: str
    format: FormatOptions = SEEN_BY_ITSELF
    header: Header = NO_HEADER


def bulk_items(block: Block, origin: Origin) -> list[bytes]:
    """One bulk item a line: the ``create`` action and the document, both with their newline.

    Ids are the file's key and the offset in 12 digits: 24 characters of URL-safe base64, which the engines
    store packed in 18 bytes, in the order of the file.
    """
    if not block.content:
        return []
    content = block.content
    action, event, before_offset = _constant_parts(origin)
    own = _own_fields(origin)
    further = b'"httpmon":%s,' % json.dumps(own).encode() if own else b""
    if block.is_ordinary and _is_plain(content):
        sizes = list(map(len, content.split(b"\n")))
        if b"\r\n" in content:
            content = content.replace(b"\r\n", b"\n")
        escaped = content.replace(b"\\", b"\\\\").replace(b'"', b'\\"').split(b"\n")
        del sizes[-1], escaped[-1]
        template = b'%s%%012d"}}\n{%s"%%s"},%s%%d}}\n' % (
            action.replace(b"%", b"%%"),
            event.replace(b"%", b"%%"),
            (further + before_offset).replace(b"%", b"%%"),
        )
        offsets = accumulate((size + 1 for size in sizes), initial=block.offset)
        return [template % (offset, line, offset) for offset, line in zip(offsets, escaped, strict=False)]
    lines = content.split(b"\n")
    if not block.flags:
        del lines[-1]
    offsets = accumulate((len(line) + 1 for line in lines), initial=block.offset)
    return [
        _odd_item((action, event, before_offset), own, line, offset, block.flags)
        for offset, line in zip(offsets, lines, strict=False)
    ]


def _constant_parts(origin: Origin) -> tuple[bytes, bytes, bytes]:
    """The action up to the offset, the document up to the line, and from behind it up to the offset."""
    chosen, zone = origin.format.pipeline, origin.format.timezone
    pipeline = f'"pipeline":{json.dumps(chosen)},' if chosen else ""
    event = f'"event":{{"timezone":{json.dumps(zone)},"original":' if zone else '"event":{"original":'
    action = f'{{"create":{{{pipeline}"_id":"{origin.key}'
    # A path is bytes to the system; what is no UTF-8 in it is shown, as in a line.
    path = origin.path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return action.encode(), event.encode(), f'"log":{{"file":{{"path":{json.dumps(path)}}},"offset":'.encode()


def _own_fields(origin: Origin) -> dict[str, Any]:
    """What the pipeline is told beside the line; it takes these fields out again."""
    fields: dict[str, Any] = {"format": origin.format.own} if origin.format.own else {}
    if origin.header.fields:
        date = {"date": origin.header.date} if origin.header.date else {}
        fields["header"] = {"fields": origin.header.fields} | date
    return fields


def _is_plain(content: bytes) -> bool:
    """Whether nothing but quotes and backslashes needs care."""
    if len(content.translate(None, _CONTROL_BYTES)) != len(content.replace(b"\r\n", b"\n")):
        return False
    if content.isascii():
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _odd_item(
    parts: tuple[bytes, bytes, bytes],
    own: Mapping[str, Any],
    line: bytes,
    offset: int,
    flags: tuple[str, ...],
) -> bytes:
    action, event, before_offset = parts
    line = line.removesuffix(b"\r")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode(errors="backslashreplace")
        flags = (*flags, FLAG_NOT_UTF8)
        own = {**own, "original_bytes": base64.b64encode(line).decode()}
    flagged = f',"flags":{json.dumps(flags)}' if flags else ""
    extra = f',"httpmon":{json.dumps(own)}' if own else ""
    # In one piece: of a long line, each copy is megabytes.
    text = json.dumps(text, ensure_ascii=False)
    end = f"{offset}{flagged}}}{extra}}}\n".encode()
    return b"".join((action, b'%012d"}}\n{' % offset, event, text.encode(), b"},", before_offset, end))


class Fate(Enum):
    """What became of one line in one bulk request."""

    CREATED = "created"
    DUPLICATE = "duplicate"  # it was there already: an earlier request had reached the engine after all
    RETRY = "retry"  # the engine is overloaded or has lost a shard; sooner or later it takes the line
    SUSPECT = "suspect"  # an error inside the engine; tried again a few times
    BLOCKED = "blocked"  # not this line but the target refuses: no permission, no pipeline, write block
    DEAD = "dead"  # this line will never be taken


def fate_of(status: int, error: Mapping[str, Any] | None) -> Fate:
    """Judge one item of the answer by its status and error.

    Sources: the bulk API's reference for 200/201/409/429; what the engines answer for blocks and missing
    pipelines was seen on Elasticsearch 8.10 and OpenSearch 3.8.
    """
    if status < 300:
        return Fate.CREATED
    if status == 409:
        return Fate.DUPLICATE
    if status in (429, 502, 503, 504):
        return Fate.RETRY
    if status >= 500:
        return Fate.SUSPECT
    if status in (401, 403, 404):
        return Fate.BLOCKED
    reason = str((error or {}).get("reason", ""))
    kind = str((error or {}).get("type", ""))
    if kind == "illegal_argument_exception" and reason.startswith("pipeline with id ["):
        return Fate.BLOCKED
    if kind in ("index_closed_exception", "cluster_block_exception"):
        return Fate.BLOCKED
    return Fate.DEAD


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the engine did not take a line."""

    status: int
    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.status} {self.reason or self.kind}"


def refusal_of(status: int, error: Any) -> Refusal:
    """The engine's words about one item, with the innermost cause, on one line."""
    if not isinstance(error, Mapping):
        return Refusal(status, "", str(error or ""))
    reasons = [str(error.get("reason") or "")]
    cause = error.get("caused_by")
    while isinstance(cause, Mapping):
        reasons.append(str(cause.get("reason") or ""))
        cause = cause.get("caused_by")
    told = ": ".join(dict.fromkeys(" ".join(reason.split()) for reason in reasons if reason))
    return Refusal(status, str(error.get("type") or ""), told[:2000])


def read_answer(answer: Any, count: int) -> list[tuple[Fate, Refusal | None]] | None:
    """The fate of each of ``count`` items, or None where all were created.

    Raises ValueError for an answer that does not speak of every item: then nothing is known.
    """
    items: Sequence[Any] = answer.get("items", ()) if isinstance(answer, dict) else ()
    if len(items) != count:
        raise ValueError(f"an answer about {len(items)} of {count} lines")
    if answer.get("errors") is False:
        return None
    fates: list[tuple[Fate, Refusal | None]] = []
    for item in items:
        ((_, result),) = item.items()
        error = result.get("error")
        fate = fate_of(int(result["status"]), error if isinstance(error, dict) else None)
        fates.append((fate, None if fate is Fate.CREATED else refusal_of(int(result["status"]), error)))
    return fates


def dead_letter(item: bytes, refusal: Refusal, now: str, *, longest: int | None = None) -> bytes:
    """The bulk item that keeps a refused line in the dead-letter data stream, under the same id.

    Args:
        item: the refused item, as ``bulk_items`` made it.
        refusal: why.
        now: ISO time for ``@timestamp``: the line's own time is not known here.
        longest: characters of the line that are kept, where it was refused for its length; it is flagged.
    """
    action_line, source = item.split(b"\n", 1)
    action = json.loads(action_line)["create"]
    document = json.loads(source)
    document["@timestamp"] = now
    document["event"]["kind"] = "pipeline_error"
    if longest is not None and len(document["event"]["original"]) > longest:
        document["event"]["original"] = document["event"]["original"][:longest]
        document["log"]["flags"] = [*document["log"].get("flags", ()), FLAG_TRUNCATED]
        document.get("httpmon", {}).pop("original_bytes", None)
    document["error"] = {"type": refusal.kind, "code": str(refusal.status), "message": refusal.reason}
    # Not through the pipeline that may have refused it.
    head = {"create": {"_id": action["_id"], "pipeline": "_none"}}
    # Written as bulk_items does, because ids are sought in both alike.
    action_bytes = json.dumps(head, separators=(",", ":")).encode()
    return action_bytes + b"\n" + json.dumps(document).encode() + b"\n"
