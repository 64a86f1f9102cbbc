"""What is wrong with the data: disks, blocks, lost shards, lines, types, expiry. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

from reading.doctor.facts import Expiry, Findable, LostShard, Uncounted
from reading.doctor.finding import Finding
from reading.doctor.remedies import Remedies
from reading.plain import bytes_text
from reading.printable import some_of

# One line in a hundred that is not understood is usual on the open internet (scanners' garbage).
_UNPARSED_SHARE = 0.01
_UNPARSED_SHARE_BROKEN = 0.5
# An index goes when the one after it is as old as the retention; who deletes looks daily at least.
_EXPIRY_GRACE = timedelta(days=1)
# A lifecycle of the engine's own may take 30 days until it goes on in a new index (what Elasticsearch does
# with retentions over 90 days).
_LONGEST_ROLLOVER = timedelta(days=31)
_LONGEST_EXAMPLE = 120
_EFFECTS = {
    "flood_stage": "the engine makes indices with a shard there read-only: lines are refused",
    "high": "the engine moves shards away from there, if it can",
    "low": "no further copies are placed there",
}


def data_findings(findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    """Findings about disks, indices and lines."""
    yield from _disks(findable, remedies)
    yield from _blocks(findable, remedies)
    for lost in findable.lost:
        yield _lost(lost, remedies)
    if findable.yellow:
        yield Finding(
            "yellow",
            "note",
            f"not every copy is there: {some_of(findable.yellow)}",
            "a node is away, or there are fewer nodes than copies; nothing is lost while the others stay",
            (
                remedies.request("GET", "/_cat/nodes?v"),
                remedies.request("GET", "/_cluster/allocation/explain"),
            ),
        )
    yield from _lines(findable, remedies)
    yield from _conflicts(findable, remedies)
    for expiry in findable.expiries:
        yield from _expiry(expiry, findable, remedies)


def _disks(findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    for disk in findable.disks:
        for mark in findable.watermarks:  # the strictest first
            if disk.free < mark.must_be_free(disk):
                yield Finding(
                    "disk",
                    "broken" if mark.name == "flood_stage" else "degraded",
                    f"node {disk.node} has {bytes_text(disk.free)} of {bytes_text(disk.total)} free, "
                    f"below the watermark {mark.name}",
                    f"{_EFFECTS[mark.name]}; make room, add a node, or keep data for less time",
                    (
                        remedies.request("GET", "/_cat/indices?v&s=store.size:desc&h=index,store.size"),
                        "export HTTPMON_RETENTION_RAW=3d",
                        remedies.httpmon("provision"),
                    ),
                )
                break


def _blocks(findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    by_block: dict[tuple[str, ...], list[str]] = {}
    for index, blocks in findable.blocks.items():
        by_block.setdefault(blocks, []).append(index)
    for blocks, indices in by_block.items():
        if "index.blocks.read_only_allow_delete" in blocks:
            cause = (
                "the disk was too full (watermark flood_stage); the engine lifts it itself once there is room"
            )
        else:
            cause = "somebody set it, or a lifecycle, a snapshot or a clone under way did"
        body = dict.fromkeys(blocks)
        yield Finding(
            "read-only",
            "broken",
            f"{some_of(tuple(indices))} cannot be written: {', '.join(blocks)}",
            cause,
            (
                remedies.request("GET", "/_cat/allocation?v"),
                remedies.request("PUT", f"/{','.join(indices)}/_settings", body),
            ),
        )


def _lost(lost: LostShard, remedies: Remedies) -> Finding:
    said = f": {lost.explanation}" if lost.explanation else ""
    explain = remedies.request(
        "POST", "/_cluster/allocation/explain", {"index": lost.index, "shard": lost.shard, "primary": True}
    )
    commands: tuple[str, ...]
    if lost.decider == "filter" and lost.filters:
        settings = dict.fromkeys(lost.filters)
        commands = (explain, remedies.request("PUT", f"/{lost.index}/_settings", settings))
        cause = f"no node meets its allocation filter{said}"
    elif lost.decider == "disk_threshold":
        cause = f"no node has room for it{said}"
        commands = (explain, remedies.request("GET", "/_cat/allocation?v"))
    else:
        cause = f"the node that has it is away, or its files are damaged{said}"
        commands = (
            explain,
            remedies.request("GET", "/_cat/nodes?v"),
            remedies.request("POST", "/_cluster/reroute?retry_failed=true"),
        )
    return Finding("red", "broken", f"index {lost.index} has lost shard {lost.shard} (red)", cause, commands)


def _lines(findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    lines = findable.lines
    if lines is not None and lines.unparsed:
        share = lines.unparsed / (lines.hits + lines.unparsed)
        if share > _UNPARSED_SHARE:
            why = "; ".join(f"{reason} ({count:,})" for reason, count in lines.reasons)
            where = f" of {lines.path}" if lines.path else ""
            example = f"; the newest{where}: {lines.example[:_LONGEST_EXAMPLE]}" if lines.example else ""
            yield Finding(
                "unparsed",
                "broken" if share > _UNPARSED_SHARE_BROKEN else "degraded",
                f"{lines.unparsed:,} lines of the last hour could not be parsed, {share:.1%} of all",
                f"they are in no format that the ingest pipeline knows: {why}{example}",
                (remedies.httpmon("query", "run", "unparsed_lines"),),
            )
    if findable.refused_lines:
        why = ", ".join(f"{reason} ({count:,})" for reason, count in findable.refused_lines)
        total = sum(count for _, count in findable.refused_lines)
        yield Finding(
            "refused-lines",
            "degraded",
            f"the engine refused {total:,} lines for good within the last day",
            f"its reasons: {why}",
            (
                remedies.request("GET", "/logs-httpmon.dead-*/_search?size=3&sort=@timestamp:desc"),
                remedies.httpmon("provision", "--check"),
            ),
        )
    if findable.uncounted is not None and findable.uncounted.hits:
        yield _uncounted(findable.uncounted, remedies)
    if findable.future_hit is not None:
        yield Finding(
            "future",
            "degraded",
            f"the newest hit is of {findable.future_hit:%Y-%m-%d %H:%M:%S} UTC, which is yet to come",
            "the clock of a web server is wrong, or its log has local time without the offset",
            ("timedatectl status", remedies.httpmon("query", "run", "busiest_moments")),
        )


def _uncounted(uncounted: Uncounted, remedies: Remedies) -> Finding:
    where = f" of {uncounted.path}" if uncounted.path else ""
    line = f"; the newest{where}: {uncounted.example[:_LONGEST_EXAMPLE]}" if uncounted.example else ""
    stream = uncounted.stream
    query = "event.kind:event AND NOT _exists_:httpmon.bucket_middle"
    return Finding(
        "uncounted",
        "degraded",
        f"{uncounted.hits:,} hits of the last day are in no summary: they lack httpmon.bucket_middle",
        "whoever sent them went past httpmon's ingest pipeline, or they were stored before there was that "
        f"field; Elasticsearch's transforms group by it{line}",
        (
            remedies.request("GET", f"/{stream}/_search?size=3&sort=@timestamp:desc&q={quote(query)}"),
            remedies.request("GET", f"/{stream}/_settings/index.default_pipeline"),
            remedies.httpmon("reconcile", "--from", "24h"),
        ),
    )


def _conflicts(findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    for (group, field), types in findable.conflicts.items():
        told = ", ".join(f"{kind} in {some_of(indices, 2)}" for kind, indices in types.items())
        yield Finding(
            "mapping",
            "degraded",
            f"the field {field} of {group} has several types: {told}",
            "an index was made under another template; searches on the field fail or leave some of them out",
            (
                remedies.httpmon("provision", "--check", "--diff"),
                remedies.request("GET", f"/{group}/_mapping/field/{field}"),
                remedies.httpmon("provision"),
            ),
        )


def _expiry(expiry: Expiry, findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    kept = timedelta(seconds=expiry.seconds)
    overdue = [
        one.name
        for one, successor in zip(expiry.indices, expiry.indices[1:], strict=False)
        if successor.created_at + kept + _EXPIRY_GRACE < findable.read_at
    ]
    newest = expiry.indices[-1] if expiry.indices else None
    longest = max(_EXPIRY_GRACE * 2, min(kept, _LONGEST_ROLLOVER)) + _EXPIRY_GRACE
    still = newest is not None and newest.documents > 0 and newest.created_at + longest < findable.read_at
    if not overdue and not still:
        return
    cause, commands = {
        "scheduler": (
            "httpmon scheduler removes them, and it does not run, or a transform has not seen them yet",
            (remedies.httpmon("scheduler"), remedies.httpmon("transform", "list")),
        ),
        "ilm": (
            "index lifecycle management is stopped, or a step of it failed",
            (
                remedies.request("GET", f"/{expiry.stream}/_ilm/explain?only_errors"),
                remedies.request("POST", "/_ilm/start"),
            ),
        ),
        "lifecycle": (
            "the data stream has no lifecycle, or a step of it failed",
            (
                remedies.request("GET", f"/{expiry.stream}/_lifecycle/explain"),
                remedies.httpmon("provision"),
            ),
        ),
    }[expiry.by]
    seen = (
        f"should be gone: {some_of(tuple(overdue))}"
        if overdue
        else f"still goes on in {newest and newest.name}"
    )
    yield Finding(
        "retention",
        "degraded",
        f"{expiry.stream} is kept for {expiry.retention}, and {seen}",
        cause,
        commands,
    )
