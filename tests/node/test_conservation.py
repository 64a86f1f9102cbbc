"""Guards conservation under every interleaving: whatever is shipped, seen late, repeated or killed midway,
the summaries are in the end what an independent count of the same lines gives, for every built-in transform.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.client import Engine
from engine.connection import Connection
from provisioning.settings import EngineSettings, RetentionSettings, Settings
from scheduler.transforms import checkpoint
from scheduler.transforms.service import TransformService
from tests.conftest import remove_namespace
from tests.node.summaries import QuickClock, install_summaries, log_line, send_lines, settle, summaries

pytestmark = pytest.mark.node

# A page of ten groups, so that few lines make many pages; hours looked at as often as buckets.
SMALL_PAGES = {"settings": {"max_page_search_size": 10, "align_checkpoints": False}, "frequency": "1s"}


class Crash(BaseException):
    """The process was killed."""


class CrashingEngine(Engine):
    """Kills its user at a given request, before or after the cluster has carried it out."""

    def __init__(self, connection: Connection, requests: int, *, afterwards: bool) -> None:
        super().__init__(connection)
        self._left = requests
        self._afterwards = afterwards

    def _counted(self, call: Callable[[], Any]) -> Any:
        self._left -= 1
        if self._left < 0 and not self._afterwards:
            raise Crash
        answer = call()
        if self._left < 0:
            raise Crash
        return answer

    def request(self, *arguments: Any, **named: Any) -> Any:
        return self._counted(lambda: super(CrashingEngine, self).request(*arguments, **named))

    def bulk(self, *arguments: Any, **named: Any) -> Any:
        return self._counted(lambda: super(CrashingEngine, self).bulk(*arguments, **named))

    def msearch(self, *arguments: Any, **named: Any) -> Any:
        return self._counted(lambda: super(CrashingEngine, self).msearch(*arguments, **named))


@dataclass(frozen=True)
class Line:
    """A hit: seconds before the example's moment, section, client, status, size."""

    age: int
    section: str
    client: int
    status: int
    size: int


@dataclass
class Installation:
    """An installation that lives through all examples, and what was sent into it."""

    engine: Engine
    settings: Settings
    moment: datetime
    sent: list[tuple[datetime, Line]] = field(default_factory=list)

    def ship(self, lines: list[Line]) -> None:
        """Send lines; nobody sees them before the next refresh."""
        times = [self.moment - timedelta(seconds=line.age) for line in lines]
        texts = [
            log_line(
                time,
                line.section,
                client=f"192.0.2.{line.client}",
                status=line.status,
                size=line.size,
            )
            for time, line in zip(times, lines, strict=True)
        ]
        send_lines(self.engine, self.settings, texts, first=len(self.sent), refresh=False)
        self.sent += zip(times, lines, strict=True)

    def ship_again(self, count: int) -> None:
        """Send the last lines once more, as a shipper does that was killed before it noted them."""
        sent, self.sent = self.sent, self.sent[: max(0, len(self.sent) - count)]
        moment = self.moment
        for time, line in sent[len(self.sent) :]:
            self.moment = time + timedelta(seconds=line.age)
            self.ship([line])
        self.moment = moment

    def refresh(self) -> None:
        self.engine.request("POST", f"/{self.settings.names.raw}/_refresh")
        self.engine.request("POST", f"/{self.settings.names.prefix}-*/_refresh")

    def service(self, engine: Engine | None = None) -> TransformService:
        return TransformService(engine or self.engine, self.settings.names, monotonic=QuickClock())


def installed(engine: Engine, url: str, **more: Any) -> Iterator[Installation]:
    namespace = f"t{uuid.uuid4().hex[:10]}"
    settings = Settings(namespace=namespace, engine=EngineSettings(url=url), **more)
    try:
        install_summaries(engine, settings, changes=SMALL_PAGES)
        # Only the test makes documents visible, and as late as it likes.
        for index in (settings.names.raw, settings.names.sections, settings.names.traffic):
            engine.request("PUT", f"/{index}/_settings", body={"index": {"refresh_interval": "-1"}})
        yield Installation(engine, settings, datetime(2020, 1, 1, 12, 30, tzinfo=UTC))
    finally:
        remove_namespace(engine, namespace)


@pytest.fixture(scope="module")
def keeping(engine: Engine, engine_url: str) -> Iterator[Installation]:
    """Keeps everything, so that no line is late."""
    yield from installed(engine, engine_url)


@pytest.fixture(scope="module")
def expiring(engine: Engine, engine_url: str) -> Iterator[Installation]:
    """Keeps raw documents for four hours, so that lines more than three hours old are late.

    Each of its checkpoints is taken for one with many new documents, which reads whole stretches of time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "MANY_DOCUMENTS", 0)
        yield from installed(engine, engine_url, retention=RetentionSettings(raw="4h", summaries="6h"))


LINES = st.lists(
    st.builds(
        Line,
        age=st.one_of(st.integers(0, 60), st.integers(0, 3600), st.sampled_from([0, 3599, 7000])),
        section=st.one_of(st.sampled_from(["/", "/a", "/b"]), st.integers(0, 99).map(lambda n: f"/new{n}")),
        client=st.integers(1, 9),
        status=st.sampled_from([200, 304, 404, 500]),
        size=st.integers(0, 10**9),
    ),
    min_size=1,
    max_size=40,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ship"), LINES),
        st.tuples(st.just("again"), st.integers(1, 20)),
        st.tuples(st.just("refresh"), st.none()),
        # Which of two schedulers, and at which of its requests it is killed, before or after it is done.
        st.tuples(st.just("tick"), st.tuples(st.integers(0, 1), st.none())),
        st.tuples(st.just("kill"), st.tuples(st.integers(0, 1), st.integers(0, 40), st.booleans())),
    ),
    min_size=1,
    max_size=15,
)
BURST = [Line(age, f"/new{age % 7}", age % 9 + 1, 200, age) for age in range(0, 400, 5)]


def play(world: Installation, steps: list[tuple[str, Any]]) -> None:
    services = [world.service(), world.service()]
    for action, details in steps:
        note(action)
        if action == "ship":
            world.ship(details)
        elif action == "again":
            world.ship_again(details)
        elif action == "refresh":
            world.refresh()
        elif action == "tick":
            services[details[0]].tick()
        else:
            place, requests, afterwards = details
            connection = Connection(world.settings.engine.url)
            with CrashingEngine(connection, requests, afterwards=afterwards) as engine:
                service = world.service(engine)
                try:
                    for _ in range(4):
                        service.tick()
                except Crash:
                    note("killed")
                finally:
                    service.close()
            services[place] = world.service()
    for _ in range(2):  # the buckets, then the hours made of them
        world.refresh()
        settle(world.engine, world.service())
    world.refresh()


# -- the independent count -------------------------------------------------------------------------------


def floor(time: datetime, seconds: int) -> str:
    stamp = int(time.timestamp())
    return datetime.fromtimestamp(stamp - stamp % seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def counted(lines: list[Line]) -> dict[str, Any]:
    classes = Counter(f"{line.status // 100}xx" for line in lines)
    return {
        "hits": len(lines),
        "bytes": sum(line.size for line in lines),
        "status": {name: classes[name] for name in ("1xx", "2xx", "3xx", "4xx", "5xx")},
    }


def grouped(sent: list[tuple[datetime, Line]], key: Callable[[datetime, Line], Any]) -> dict[Any, list[Line]]:
    groups: dict[Any, list[Line]] = defaultdict(list)
    for time, line in sent:
        groups[key(time, line)].append(line)
    return groups


def section_key(document: dict[str, Any]) -> tuple[str, str]:
    return document["@timestamp"], document["httpmon"].pop("section")


def assert_buckets(world: Installation, sent: list[tuple[datetime, Line]]) -> None:
    """The 10 s summaries are the count of ``sent``."""
    found = summaries(world.engine, world.settings.names.sections)
    by_section = grouped(sent, lambda time, line: (floor(time, 10), line.section))
    assert len(found) == len(by_section)
    assert {section_key(one): one["httpmon"] for one in found} == {
        key: counted(lines) for key, lines in by_section.items()
    }
    found = summaries(world.engine, world.settings.names.traffic)
    by_bucket = grouped(sent, lambda time, _: floor(time, 10))
    assert len(found) == len(by_bucket)
    for document in found:
        lines = by_bucket[document["@timestamp"]]
        summary = document["httpmon"]
        clients = Counter(f"192.0.2.{line.client}" for line in lines)
        paths = Counter(line.section for line in lines)
        top = summary.pop("top")
        assert summary.pop("clients") == len(clients)
        assert top["clients"] == clients
        assert top["agents"] == {"test": len(lines)}
        assert len(top["paths"]) == min(len(paths), 20)
        assert top["paths"].items() <= paths.items()
        assert summary == counted(lines)


def assert_hours(world: Installation, sent: list[tuple[datetime, Line]]) -> None:
    """The hours hold every line that was sent, late or not."""
    hours: Counter[tuple[str, str]] = Counter()
    for document in summaries(world.engine, world.settings.names.of("sections_hourly")):
        hours[section_key(document)] += document["httpmon"]["hits"]
    assert hours == Counter((floor(time, 3600), line.section) for time, line in sent)
    totals: Counter[str] = Counter()
    for document in summaries(world.engine, world.settings.names.of("traffic_hourly")):
        totals[document["@timestamp"]] += document["httpmon"]["bytes"]
    expected: Counter[str] = Counter()
    for time, line in sent:
        expected[floor(time, 3600)] += line.size
    assert +totals == +expected


UNHURRIED = hypothesis_settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@UNHURRIED
@given(steps=STEPS)
@example(steps=[("ship", BURST), ("tick", (0, None)), ("refresh", None), ("tick", (0, None))])
@example(steps=[("ship", BURST), ("refresh", None), ("kill", (0, 9, True)), ("tick", (1, None))])
@example(steps=[("ship", BURST), ("refresh", None), ("kill", (0, 14, False)), ("ship", BURST), ("again", 20)])
def test_summaries_are_the_count_of_the_lines(keeping: Installation, steps: list[tuple[str, Any]]) -> None:
    # Each example has days of its own; the installation and its checkpoints go on.
    keeping.moment += timedelta(days=1)

    play(keeping, steps)

    assert_buckets(keeping, keeping.sent)
    assert_hours(keeping, keeping.sent)


@UNHURRIED
@given(steps=STEPS, hours=st.sampled_from([0, 0.5, 4, 100]))
@example(steps=[("ship", BURST), ("refresh", None), ("kill", (0, 30, True))], hours=4)
def test_late_lines_are_counted_in_the_hours_alone(
    expiring: Installation, steps: list[tuple[str, Any]], hours: float
) -> None:
    expiring.moment = datetime.now(UTC) - timedelta(hours=hours)

    play(expiring, steps)

    # The oldest line of the first two ages is 2:27 h old when it is sent, the youngest of the others 4 h.
    boundary = datetime.now(UTC) - timedelta(hours=3)
    assert_buckets(expiring, [(time, line) for time, line in expiring.sent if time > boundary])
    assert_hours(expiring, expiring.sent)
