"""A log that is written to, the shipper that follows it, and what the engine holds of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from engine.client import Engine
from provisioning.names import Names
from provisioning.settings import Settings
from tests.e2e.processes import Httpmon, await_that


class Shipping:
    """One log, the shipper that follows it, and what has arrived of it."""

    def __init__(self, engine: Engine, settings: Settings, url: str, folder: Path) -> None:
        self.engine = engine
        self.names: Names = settings.names
        self.httpmon = Httpmon(url, settings.namespace, folder)
        self.log = folder / "access.log"
        self.registry = folder / "registry.json"
        self.written: list[str] = []

    def start(self, *files: Path | str) -> Any:
        return self.httpmon.start("ship", *(files or (self.log,)), "--registry", self.registry)

    def write(self, count: int, *, to: Path | None = None) -> None:
        """Append lines that are all different."""
        lines = [
            f'192.0.2.1 - - [25/Nov/2025:10:00:00 +0000] "GET /n/{len(self.written) + n} HTTP/1.1" 200 1'
            for n in range(count)
        ]
        self.written += lines
        with (to or self.log).open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def arrived(self) -> Counter[str]:
        """How often each line is there."""
        self.engine.request("POST", f"/{self.names.raw}/_refresh")
        found: Counter[str] = Counter()
        after: list[Any] | None = None
        while True:
            # Ids cannot be sorted by; every line of these tests has a path of its own.
            body: dict[str, Any] = {
                "size": 5000,
                "_source": ["event.original"],
                "sort": ["url.path", "log.offset"],
            }
            if after is not None:
                body["search_after"] = after
            hits = self.engine.request("POST", f"/{self.names.raw}/_search", body=body)["hits"]["hits"]
            if not hits:
                return found
            found.update(hit["_source"]["event"]["original"] for hit in hits)
            after = hits[-1]["sort"]

    def count(self) -> int:
        self.engine.request("POST", f"/{self.names.raw}/_refresh")
        return int(self.engine.request("GET", f"/{self.names.raw}/_count")["count"])

    def await_count(self, lines: int) -> None:
        """Wait until as many documents are there."""
        await_that(lambda: self.count() >= lines, f"{lines} lines arrive")

    def roll_over(self) -> None:
        self.engine.request("POST", f"/{self.names.raw}/_rollover")

    def await_all(self) -> None:
        """Wait until as many documents are there as lines were written; each line must be there once."""
        self.await_count(len(self.written))
        arrived, written = self.arrived(), Counter(self.written)
        missing, too_often = written - arrived, arrived - written
        assert not missing, f"{missing.total()} lines are missing: {_some(missing)}"
        assert not too_often, f"{too_often.total()} documents are too many: {_some(too_often)}"


def _some(lines: Counter[str]) -> list[str]:
    return [*lines][:3]
