"""Guards that a proxy's limit for the size of a request neither stops shipping nor loses a line."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from engine.errors import RequestRefused
from shipping.bulk_body import Origin, Refusal, bulk_items, dead_letter
from shipping.delivery import Batch, Delivery, DeliveryOptions
from shipping.doubt import stored_earlier
from shipping.framing import Block


class LimitedEngine:
    """Takes bodies up to so many bytes, as a proxy in front of an engine would let through."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken: dict[str, list[dict[str, Any]]] = {}
        self.refused = 0
        self._mutex = threading.Lock()

    def request(self, method: str, path: str, *, body: Any = None) -> Any:  # noqa: ARG002
        """Nothing is stored."""
        return {"data_streams": []}

    def bulk(
        self,
        body: bytes,
        *,
        target: str | None = None,
        params: Mapping[str, str | int | float | bool] | None = None,  # noqa: ARG002
        timeout_seconds: float | None = None,  # noqa: ARG002
    ) -> Any:
        """Refuse for size, or take."""
        with self._mutex:
            if len(body) > self.limit:
                self.refused += 1
                raise RequestRefused("POST /_bulk: 413 too large", status=413, reason="too large")
            documents = [json.loads(line) for line in body.splitlines()[1::2]]
            self.taken.setdefault(target or "", []).extend(documents)
            return {"errors": False, "items": [{"create": {"status": 201}}] * len(documents)}


def test_lines_and_dead_letters_are_looked_for_by_their_ids() -> None:
    asked: list[Any] = []

    class Asked:
        def request(self, method: str, path: str, *, body: Any = None) -> Any:
            asked.append((method, path, body))
            if method == "GET":
                return {"data_streams": [{"indices": [{"index_name": ".ds-raw-000001"}]}]}
            return {"docs": [{"_id": one, "found": one.endswith("0")} for one in body["ids"]]}

    items = bulk_items(Block(0, b"one\ntwo\n", 8), Origin("abcdefghijkl", "/access.log"))
    letters = [dead_letter(item, Refusal(400, "mapping", "no"), "2025-11-25T10:00:00Z") for item in items]
    for sent in (items, letters):
        assert stored_earlier(Asked(), "raw", sent) == {0}
        assert asked[-1][2] == {"ids": ["abcdefghijkl000000000000", "abcdefghijkl000000000004"]}


@pytest.mark.parametrize("limit", [100_000, 20_000])
def test_what_is_too_large_together_is_sent_in_parts_and_what_is_too_large_alone_is_dead(limit: int) -> None:
    lines = [b"line %d" % number for number in range(2000)]
    lines[700] = b"x" * 200_000
    content = b"".join(line + b"\n" for line in lines)
    items = bulk_items(Block(0, content, len(content)), Origin("abcdefghijkl", "/access.log"))
    engine = LimitedEngine(limit)
    acknowledged = threading.Event()
    delivery = Delivery(
        engine,
        DeliveryOptions("raw", "dead", connections=1),
        acknowledged=lambda _: acknowledged.set(),
        notify=lambda _: None,
    )
    try:
        assert delivery.submit(Batch(items, []))
        assert acknowledged.wait(30)
    finally:
        delivery.close()
    expected = [line.decode() for line in lines if len(line) < 1000]
    assert [document["event"]["original"] for document in engine.taken["raw"]] == expected
    (letter,) = engine.taken["dead"]
    assert letter["event"]["original"] == "x" * 8192
    assert letter["log"]["flags"] == ["truncated"]
    assert letter["error"]["code"] == "413"
    assert "refused for its size" in letter["error"]["message"]
    assert (delivery.counts.sent, delivery.counts.dead) == (1999, 1)
