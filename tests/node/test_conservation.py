"""Guards conservation under every interleaving: whatever is shipped, seen late, repeated or killed midway,
the summaries are in the end what an independent count of the same lines gives, for every built-in transform.
"""

from __future__ import annotations

import functools
import itertools
import os
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
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


RETENTION = RetentionSettings(raw="4h", summaries="6h", alerts="1d")


class Crash(BaseException):
    """The process was killed."""


def _nothing() -> None:
    return None


class CountingEngine(Engine):
    """Tells of each request, by whichever thread it is made, which one it is."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._numbers = itertools.count()

    def at(self, number: int, call: Callable[[], Any], half: Callable[[], Any]) -> Any:
        """Carry a request out by ``call``; ``half`` of it is what there is to do of half a bulk."""
        raise NotImplementedError

    def request(self, *arguments: Any, **named: Any) -> Any:
        made = super().request
        return self.at(next(self._numbers), lambda: made(*arguments, **named), _nothing)

    def bulk(self, body: bytes, *arguments: Any, **named: Any) -> Any:
        lines = body.splitlines(keepends=True)
        pairs = [b"".join(lines[at : at + 2]) for at in range(0, len(lines), 2)]
        half = b"".join(pairs[: (len(pairs) + 1) // 2])
        made = super().bulk
        return self.at(
            next(self._numbers),
            lambda: made(body, *arguments, **named),
            lambda: made(half, *arguments, **named),
        )

    def msearch(self, *arguments: Any, **named: Any) -> Any:
        made = super().msearch
        return self.at(next(self._numbers), lambda: made(*arguments, **named), _nothing)


class CrashingEngine(CountingEngine):
    """Kills its user at a given request: before the cluster does it, when it has done half, or all of it."""

    def __init__(self, connection: Connection, number: int, moment: str) -> None:
        super().__init__(connection)
        self._number = number
        self._moment = moment

    def at(self, number: int, call: Callable[[], Any], half: Callable[[], Any]) -> Any:
        if number < self._number:
            return call()
        if number == self._number:
            {"before": _nothing, "midway": half, "afterwards": call}[self._moment]()
        raise Crash


class StoppingEngine(Engine):
    """Lets its user stand still before a given bulk, while ``meanwhile`` happens; then it goes on."""

    def __init__(self, connection: Connection, number: int, meanwhile: Callable[[], None]) -> None:
        super().__init__(connection)
        self._numbers = itertools.count()
        self._number = number
        self._meanwhile = meanwhile

    def bulk(self, *arguments: Any, **named: Any) -> Any:
        if next(self._numbers) == self._number:
            self._meanwhile()
        return super().bulk(*arguments, **named)


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
    alerts: list[datetime] = field(default_factory=list)

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

    def alert(self, hours: int) -> None:
        """Write an alert document of some hours ago, as a watch does; none where they are kept for ever."""
        if self.settings.retention.alerts is None:
            return
        time = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours)
        document = {"@timestamp": time.isoformat(), "event": {"kind": "alert"}, "rule": {"id": "some"}}
        self.engine.request("POST", f"/{self.settings.names.alerts}/_doc", body=document)
        self.alerts.append(time)

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
        for index in (settings.names.raw, f"{settings.names.prefix}-*"):
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
    """Keeps raw documents for four hours, so that lines more than three hours old are late; alerts for a day.

    Each of its checkpoints is taken for one with many new documents, which reads whole stretches of time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "MANY_DOCUMENTS", 0)
        yield from installed(
            engine, engine_url, retention=RetentionSettings(raw="4h", summaries="6h", alerts="1d")
        )


SINGLE_LINES = st.lists(
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
# Many lines of one second.
BURSTS = st.builds(
    lambda count, age, section: [Line(age, section, n % 9 + 1, 200, n) for n in range(count)],
    st.integers(50, 200),
    st.integers(0, 3600),
    st.sampled_from(["/a", "/burst"]),
)
LINES = st.one_of(SINGLE_LINES, SINGLE_LINES, SINGLE_LINES, BURSTS)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ship"), LINES),
        st.tuples(st.just("again"), st.integers(1, 20)),
        st.tuples(st.just("refresh"), st.none()),
        st.tuples(st.just("alert"), st.sampled_from([0, 20, 30, 1000])),
        # Which of two schedulers.
        st.tuples(st.just("tick"), st.integers(0, 1)),
        # ... and at which of its requests it is killed.
        st.tuples(
            st.just("kill"),
            st.tuples(
                st.integers(0, 1), st.integers(0, 60), st.sampled_from(["before", "midway", "afterwards"])
            ),
        ),
        # ... and before which of its bulks it stands still, while lines come and the other one goes on.
        st.tuples(st.just("stand"), st.tuples(st.integers(0, 1), st.integers(0, 8), LINES)),
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
            services[details].tick()
        elif action == "alert":
            world.alert(details)
        elif action == "kill":
            place, number, moment = details
            with CrashingEngine(Connection(world.settings.engine.url), number, moment) as engine:
                tick_with(world, engine)
            services[place] = world.service()
        else:
            place, number, lines = details
            other = services[1 - place]
            meanwhile = functools.partial(go_on, world, other, lines)
            with StoppingEngine(Connection(world.settings.engine.url), number, meanwhile) as engine:
                tick_with(world, engine)
            services[place] = world.service()
    for _ in range(2):  # the buckets, then the hours made of them
        world.refresh()
        settle(world.engine, world.service())
    world.refresh()


def tick_with(world: Installation, engine: Engine) -> None:
    service = world.service(engine)
    try:
        for _ in range(4):
            service.tick()
    except Crash:
        note("killed")
    finally:
        service.close()


def go_on(world: Installation, service: TransformService, lines: list[Line]) -> None:
    world.ship(lines)
    world.refresh()
    settle(world.engine, service)


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


def added_up(documents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Hits, bytes and status classes of several summaries."""
    total = counted([])
    for one in documents:
        total["hits"] += one["hits"]
        total["bytes"] += one["bytes"]
        for name in total["status"]:
            total["status"][name] += one["status"][name]
    return total


def assert_hours(world: Installation, boundary: datetime | None = None) -> None:
    """The hours hold every line; those of lines from before ``boundary``, which came late, stand apart."""
    parts = (
        (False, [(time, line) for time, line in world.sent if boundary is None or time > boundary]),
        (True, [(time, line) for time, line in world.sent if boundary is not None and time <= boundary]),
    )
    for stem in ("sections", "traffic"):
        found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for document in summaries(world.engine, world.settings.names.of(f"{stem}_hourly")):
            summary = document["httpmon"]
            came_late = summary.pop("arrived", None) is not None
            found[came_late, document["@timestamp"], summary.pop("section", None)].append(summary)
        expected = {
            (came_late, *key): lines
            for came_late, sent in parts
            for key, lines in grouped(
                sent,
                lambda time, line: (floor(time, 3600), line.section if stem == "sections" else None),  # noqa: B023
            ).items()
        }
        assert {key: added_up(several) for key, several in found.items()} == {
            key: counted(lines) for key, lines in expected.items()
        }
    buckets = Counter(floor(time, 10) for time, _ in parts[0][1])
    peaks = {
        document["@timestamp"]: document["httpmon"]["peak"]
        for document in summaries(world.engine, world.settings.names.of("traffic_hourly"))
        if "arrived" not in document["httpmon"]
    }
    assert peaks == {
        hour: max(hits for bucket, hits in buckets.items() if bucket[:13] == hour[:13])
        for hour in {floor(time, 3600) for time, _ in parts[0][1]}
    }


def assert_alerts(world: Installation) -> None:
    """Alert documents are there for a day."""
    found = summaries(world.engine, world.settings.names.alerts)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    left = sorted(time.isoformat() for time in world.alerts if time > yesterday)
    assert [document["@timestamp"] for document in found] == left


UNHURRIED = hypothesis_settings(
    # So many in every run; HTTPMON_TEST_EXAMPLES=3000 now and then.
    max_examples=int(os.environ.get("HTTPMON_TEST_EXAMPLES", "10")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@UNHURRIED
@given(steps=STEPS)
@example(steps=[("ship", BURST), ("tick", 0), ("refresh", None), ("tick", 0)])
@example(steps=[("ship", BURST), ("refresh", None), ("kill", (0, 9, "afterwards")), ("tick", 1)])
@example(
    steps=[("ship", BURST), ("refresh", None), ("kill", (0, 14, "midway")), ("ship", BURST), ("again", 20)]
)
@example(steps=[("ship", BURST), ("refresh", None), ("stand", (0, 0, BURST)), ("again", 20)])
def test_summaries_are_the_count_of_the_lines(keeping: Installation, steps: list[tuple[str, Any]]) -> None:
    # Each example has days of its own; the installation and its checkpoints go on.
    keeping.moment += timedelta(days=1)

    play(keeping, steps)

    assert_buckets(keeping, keeping.sent)
    assert_hours(keeping)


@UNHURRIED
@given(steps=STEPS, hours=st.sampled_from([0, 0.5, 4, 100]))
@example(steps=[("ship", BURST), ("alert", 30), ("refresh", None), ("kill", (0, 30, "afterwards"))], hours=4)
def test_late_lines_are_counted_in_the_hours_alone(
    expiring: Installation, steps: list[tuple[str, Any]], hours: float
) -> None:
    expiring.moment = datetime.now(UTC) - timedelta(hours=hours)

    play(expiring, steps)

    # The oldest line of the first two ages is 2:27 h old when it is sent, the youngest of the others 4 h.
    boundary = datetime.now(UTC) - timedelta(hours=3)
    assert_buckets(expiring, [(time, line) for time, line in expiring.sent if time > boundary])
    assert_hours(expiring, boundary)
    assert_alerts(expiring)
