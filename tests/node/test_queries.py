"""Guards the saved queries: each gives, on a real engine, what plain Python counts in the same lines."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from provisioning.queries import SavedQuery, Value, parse_query, stored_script
from provisioning.rendering import render_queries
from provisioning.settings import EngineSettings, Settings
from reading.alerts import parse_time
from reading.console import search_rows
from reading.queries import bound_search, find_query, given_arguments
from scheduler.transforms.service import TransformService
from tests.conftest import remove_namespace
from tests.node.summaries import QuickClock, install_summaries, send_lines, settle
from tests.node.tail_indices import alert_operations, make_indices, send

pytestmark = pytest.mark.node

LINE = re.compile(
    r'(\S+) \S+ \S+ \[([^\]]+)\] "(\S+) (\S+) HTTP/[\d.]+" (\d+) (\d+|-) "([^"]*)" "([^"]*)"(?: rt=([\d.]+))?'
)
# The made-up lines are younger than the real ones; each query is asked about a span of its own.
START = datetime(2015, 5, 25, tzinfo=UTC)
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Hit:
    client: str
    time: datetime
    method: str
    target: str
    status: int
    size: int
    referrer: str
    agent: str
    seconds: float | None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def section(self) -> str:
        return "/" + self.path.lstrip("/").split("/")[0]


def parse(line: str) -> Hit | None:
    match = LINE.fullmatch(line)
    if match is None:
        return None
    client, stamp, method, target, status, size, referrer, agent, seconds = match.groups()
    return Hit(
        client, datetime.strptime(stamp, "%d/%b/%Y:%H:%M:%S %z"), method, target, int(status),
        0 if size == "-" else int(size), referrer, agent, None if seconds is None else float(seconds),
    )  # fmt: skip


def made_up_lines() -> list[str]:
    """Eight days of a log in which every query finds something."""
    chance = random.Random(7)
    lines = []
    agents = ["Mozilla/5.0", "ExampleBot/1.0", "curl/8.5", "FeedFetcher"]
    for number in range(4000):
        time = START + timedelta(seconds=chance.randrange(8 * 86_400))
        section = chance.choice(
            ["/", "/api/x", "/api/y?q=1", "/blog/1", "/img/a.png", "/.env", "/wp-login.php"]
        )
        status = chance.choice([200, 200, 200, 304, 404, 500])
        if number % 40 == 0:
            section, status = f"/old/{number % 7}/{number}", 404
        lines.append(line(time, section, status, chance.randrange(10**6), f"192.0.2.{number % 23}",
                          chance.choice(agents), number / 1000))  # fmt: skip
    storm = START + WEEK
    lines += [
        line(storm + timedelta(seconds=index / 2), "/api/storm", 503, index, "198.51.100.7", "curl/8.5", 0.5)
        for index in range(200)
    ]
    return lines


def line(time: datetime, target: str, status: int, size: int, client: str, agent: str, seconds: float) -> str:
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000")
    request = f'"GET {target} HTTP/1.1" {status} {size}'
    return f'{client} - - [{stamp}] {request} "http://x.test/" "{agent}" rt={seconds:.3f}'


@dataclass(frozen=True)
class Log:
    settings: Settings
    hits: list[Hit]
    unparsed: list[str]

    def between(self, start: datetime, end: datetime) -> list[Hit]:
        return [hit for hit in self.hits if start <= hit.time < end]


@pytest.fixture(scope="module")
def log(engine: Engine, engine_url: str, request: pytest.FixtureRequest) -> Iterator[Log]:
    """Made-up lines, and the real log where it is at hand, sent and summarised."""
    lines = [*made_up_lines(), "this is no access log", "neither \x1b[31mis this"]
    try:
        folder = request.getfixturevalue("shared_folder")
    except pytest.skip.Exception:
        pass
    else:
        real = (folder / "corpus/apache-combined-10k.log").read_bytes()
        lines += [one.decode("utf-8", "replace") for one in real.split(b"\n")[:-1]]
    settings = Settings(namespace=f"t{uuid.uuid4().hex[:10]}", engine=EngineSettings(url=engine_url))
    try:
        install_summaries(engine, settings)
        make_indices(engine, settings.names, ["alerts", "operations"])
        send_lines(engine, settings, lines)
        service = TransformService(engine, settings.names, monotonic=QuickClock())
        for _ in range(2):  # the hours are made of the buckets
            settle(engine, service)
            engine.request("POST", f"/{settings.names.prefix}-*/_refresh")
        service.close()
        parsed = [(one, parse(one)) for one in lines]
        yield Log(
            settings,
            [hit for _, hit in parsed if hit is not None],
            [one for one, hit in parsed if hit is None],
        )
    finally:
        remove_namespace(engine, settings.namespace)


def saved(log: Log, name: str) -> SavedQuery:
    queries = [parse_query(one.stem, one.body, str(one.source)) for one in render_queries(log.settings)]
    return find_query(queries, name)


def ask(
    engine: Engine, log: Log, name: str, start: datetime, end: datetime, *params: str
) -> list[list[Value]]:
    query = saved(log, name)
    return search_rows(engine, query, bound_search(query, given_arguments(query, params), start, end))


Rows = list[list[Any]]


def grouped(hits: list[Hit], key: Callable[[Hit], Any]) -> dict[Any, list[Hit]]:
    groups: dict[Any, list[Hit]] = defaultdict(list)
    for hit in hits:
        groups[key(hit)].append(hit)
    return groups


def terms(hits: list[Hit], key: Callable[[Hit], Any]) -> Rows:
    """Key, hits, clients and bytes of each group, the largest first."""
    rows = [
        [name, len(part), len({hit.client for hit in part}), sum(hit.size for hit in part)]
        for name, part in grouped(hits, key).items()
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def errors(part: list[Hit], low: int) -> int:
    return sum(low <= hit.status < low + 100 for hit in part)


def millis(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def top_sections(hits: list[Hit]) -> Rows:
    rows = [
        [
            name,
            len(part),
            errors(part, 300),
            errors(part, 400),
            errors(part, 500),
            sum(hit.size for hit in part),
        ]
        for name, part in grouped(hits, lambda hit: hit.section).items()
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def errors_by_section(hits: list[Hit]) -> Rows:
    rows = [
        [name, errors(part, 500), len(part), errors(part, 500) / len(part)]
        for name, part in grouped(hits, lambda hit: hit.section).items()
        if errors(part, 500)
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def hourly_totals(hits: list[Hit]) -> Rows:
    rows = []
    for hour, part in sorted(grouped(hits, lambda hit: hit.time.replace(minute=0, second=0)).items()):
        buckets = Counter(hit.time.timestamp() // 10 for hit in part)
        rows.append(
            [millis(hour), len(part), max(buckets.values()), errors(part, 400), errors(part, 500),
             sum(hit.size for hit in part)]
        )  # fmt: skip
    return rows


def error_storms(hits: list[Hit]) -> Rows:
    rows = []
    for minute, part in sorted(grouped(hits, lambda hit: hit.time.replace(second=0)).items()):
        failed = errors(part, 400) + errors(part, 500)
        if failed and failed / len(part) >= 0.05:
            rows.append([millis(minute), len(part), errors(part, 400), errors(part, 500), failed / len(part)])
    return rows


def busiest_moments(hits: list[Hit]) -> Rows:
    buckets = grouped(hits, lambda hit: hit.time.timestamp() // 10 * 10)
    rows = [
        [iso(datetime.fromtimestamp(bucket, UTC)), len(part), len({hit.client for hit in part}),
         errors(part, 500), sum(hit.size for hit in part)]
        for bucket, part in buckets.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def bots(hits: list[Hit]) -> Rows:
    marks = ("bot", "crawl", "spider", "slurp", "fetch", "feed", "curl", "wget", "python", "java/", "go-http",
             "monitor")  # fmt: skip
    return terms(
        [hit for hit in hits if any(mark in hit.agent.lower() for mark in marks)], lambda hit: hit.agent
    )


def suspicious(hits: list[Hit]) -> Rows:
    marks = ("../", "..%2f", "/.env", "/.git", "/.aws", "wp-login", "wp-admin", "xmlrpc.php", "phpmyadmin",
             "/cgi-bin/", "/etc/passwd", "eval-stdin", "<script", "%3cscript", "union+select",
             "union%20select", "/actuator", "/setup.php", "w00tw00t", "jndi:")  # fmt: skip
    found = [hit for hit in hits if any(mark in hit.target.lower() for mark in marks)]
    rows = [
        [name, len(part), sum(200 <= hit.status < 400 for hit in part), len({hit.client for hit in part}),
         millis(max(hit.time for hit in part))]
        for name, part in grouped(found, lambda hit: hit.target).items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def busy_clients(hits: list[Hit]) -> Rows:
    rows = []
    for client, part in grouped(hits, lambda hit: hit.client).items():
        peak = max(Counter(hit.time.replace(second=0) for hit in part).values())
        if peak > 20:
            rows.append([client, len(part), peak])
    return sorted(rows, key=lambda row: -row[2])


COUNTED: dict[str, Callable[[list[Hit]], Rows]] = {
    "top-sections": top_sections,
    "errors-by-section": errors_by_section,
    "hourly-totals": hourly_totals,
    "error-storms": error_storms,
    "busiest-moments": busiest_moments,
    "bots": bots,
    "suspicious-paths": suspicious,
    "top-paths": lambda hits: terms(hits, lambda hit: hit.path),
    "status-codes": lambda hits: terms(hits, lambda hit: hit.status),
    "referrers": lambda hits: terms([hit for hit in hits if hit.referrer != "-"], lambda hit: hit.referrer),
    "failing-paths": lambda hits: terms([hit for hit in hits if hit.status >= 500], lambda hit: hit.path),
}
EVERYTHING = (datetime(2015, 5, 1, tzinfo=UTC), datetime(2015, 7, 1, tzinfo=UTC))
A_DAY = (datetime(2015, 5, 18, tzinfo=UTC), datetime(2015, 5, 19, tzinfo=UTC))
MADE_UP = (START, START + WEEK + timedelta(days=1))


@pytest.mark.parametrize("span", [EVERYTHING, A_DAY, MADE_UP], ids=["everything", "a day", "made up"])
@pytest.mark.parametrize("name", COUNTED)
def test_rows_are_those_of_plain_counting(
    engine: Engine, log: Log, name: str, span: tuple[datetime, datetime]
) -> None:
    takes_size = any(argument.name == "size" for argument in saved(log, name).arguments)
    rows = ask(engine, log, name, *span, *(["size=15"] if takes_size else []))
    expected = COUNTED[name](log.between(*span))
    assert rows == (expected[:15] if takes_size else expected)


def test_clients_above_a_rate(engine: Engine, log: Log) -> None:
    rows = ask(engine, log, "busy-clients", *EVERYTHING, "per_minute=20", "size=1000")
    assert sorted(rows) == sorted(busy_clients(log.between(*EVERYTHING)))
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)
    assert rows


def test_slowest_sections(engine: Engine, log: Log) -> None:
    rows = ask(engine, log, "slowest-sections", *MADE_UP, "size=100")
    parts = grouped(
        [hit for hit in log.between(*MADE_UP) if hit.seconds is not None], lambda hit: hit.section
    )
    assert {row[0] for row in rows} == set(parts)
    for name, mean, percentile, slowest, hits in rows:
        seconds = [hit.seconds or 0.0 for hit in parts[name]]
        assert mean == pytest.approx(sum(seconds) / len(seconds) * 1e9)
        assert slowest == pytest.approx(max(seconds) * 1e9)
        assert hits == len(seconds)
        assert sum(second * 1e9 <= percentile for second in seconds) / len(seconds) == pytest.approx(
            0.95, abs=0.06
        )
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)


def test_new_not_found(engine: Engine, log: Log) -> None:
    start, end = START + WEEK, START + WEEK + timedelta(days=1)
    rows = ask(engine, log, "new-not-found", start, end, "size=1000")
    missing = [hit for hit in log.between(start - WEEK, end) if hit.status == 404]
    known = {hit.path for hit in missing if hit.time < start}
    new = grouped(
        [hit for hit in missing if hit.time >= start and hit.path not in known], lambda hit: hit.path
    )
    assert sorted(rows) == sorted(
        [path, len(part), len({hit.client for hit in part}), millis(min(hit.time for hit in part)),
         millis(max(hit.time for hit in part))]
        for path, part in new.items()
    )  # fmt: skip
    assert rows


def test_client_trail(engine: Engine, log: Log) -> None:
    rows = ask(engine, log, "client-trail", *EVERYTHING, "client=198.51.100.7", "size=1000")
    mine = sorted((hit for hit in log.hits if hit.client == "198.51.100.7"), key=lambda hit: hit.time)
    assert [parse_time(str(row[0])) for row in rows] == [hit.time for hit in mine]
    assert Counter((row[1], row[2], row[3], row[4], row[5]) for row in rows) == Counter(
        (hit.method, hit.target, hit.status, hit.size, hit.agent) for hit in mine
    )


def test_biggest_responses(engine: Engine, log: Log) -> None:
    rows = ask(engine, log, "biggest-responses", *EVERYTHING, "size=30")
    assert [row[0] for row in rows] == sorted((hit.size for hit in log.hits), reverse=True)[:30]


def test_against_last_week(engine: Engine, log: Log) -> None:
    start, end = START + WEEK, START + WEEK + timedelta(days=1)
    now = Counter(hit.section for hit in log.between(start, end))
    before = Counter(hit.section for hit in log.between(start - WEEK, end - WEEK))
    rows = ask(engine, log, "against-last-week", start, end, "size=1000")
    assert sorted(rows) == sorted(
        [name, now[name], before[name], now[name] - before[name]] for name in now.keys() | before.keys()
    )
    assert [row[3] for row in rows] == sorted(row[3] for row in rows)


def test_unparsed_lines(engine: Engine, log: Log) -> None:
    now = datetime.now(UTC)
    rows = ask(engine, log, "unparsed-lines", now - timedelta(hours=1), now + timedelta(hours=1))
    assert sorted(str(row[4]) for row in rows) == sorted(log.unparsed)


@pytest.fixture(scope="module")
def alerts(engine: Engine, log: Log) -> None:
    names = log.settings.names
    second = START + timedelta(hours=1)
    send(
        engine,
        [
            *alert_operations(names, 1, "triggered", START, START),
            *alert_operations(names, 2, "recovered", START + timedelta(seconds=90), START),
            *alert_operations(names, 3, "triggered", second, second),
            *alert_operations(names, 4, "recovered", second + timedelta(seconds=30), second),
        ],
    )


def test_alert_history(engine: Engine, log: Log, alerts: None) -> None:
    rows = ask(engine, log, "alert-history", *MADE_UP)
    assert [(row[1], row[2], row[5]) for row in rows] == [
        ("high-traffic", "recovered", "message 4"),
        ("high-traffic", "triggered", "message 3"),
        ("high-traffic", "recovered", "message 2"),
        ("high-traffic", "triggered", "message 1"),
    ]


def test_time_to_recover(engine: Engine, log: Log, alerts: None) -> None:
    last = START + timedelta(hours=1, seconds=30)
    assert ask(engine, log, "time-to-recover", *MADE_UP) == [["high-traffic", 2, 60.0, 90.0, millis(last)]]


def test_every_query_is_checked_here(log: Log) -> None:
    names = {one.stem.replace("_", "-") for one in render_queries(log.settings)}
    checked = set(COUNTED) | {
        "busy-clients", "slowest-sections", "new-not-found", "client-trail", "biggest-responses",
        "against-last-week", "unparsed-lines", "alert-history", "time-to-recover",
    }  # fmt: skip
    assert names == checked


@pytest.mark.parametrize(
    "name", [*COUNTED, "new-not-found", "client-trail", "against-last-week", "busy-clients"]
)
def test_a_stored_search_template_gives_the_same(engine: Engine, log: Log, name: str) -> None:
    query = saved(log, name)
    start, end = START + WEEK, START + WEEK + timedelta(days=1)
    given = ["client=198.51.100.7"] if name == "client-trail" else []
    values = given_arguments(query, given)
    identity = f"{log.settings.names.prefix}-{query.name}"
    engine.request("PUT", f"/_scripts/{identity}", body=stored_script(query))
    try:
        params = {"from": start.isoformat(), "to": end.isoformat()} | dict(one.split("=") for one in given)
        searched = [{"id": identity, "params": params}]
        # Every argument spelled out, and every default left to the template.
        searched.append({"id": identity, "params": params | values})
        answers = [engine.request("POST", f"/{query.index}/_search/template", body=body) for body in searched]
    finally:
        engine.request("DELETE", f"/_scripts/{identity}")
    direct = engine.request("POST", f"/{query.index}/_search", body=bound_search(query, values, start, end))
    for answer in answers:
        assert answer.get("aggregations") == direct.get("aggregations")
        assert answer["hits"]["hits"] == direct["hits"]["hits"]


def run(log: Log, *arguments: str) -> Any:
    settings = log.settings
    options = ["--url", settings.engine.url, "--namespace", settings.namespace]
    result = CliRunner().invoke(app, [*options, "query", "run", *arguments])
    assert "\x1b" not in result.output
    return result


def test_the_command_prints_tables_json_and_csv(log: Log) -> None:
    span = ["--from", "2015-06-01T00:00:00Z", "--to", "2015-06-01T00:01:40Z"]
    storm = ["error-storms", *span, "--utc"]
    assert run(log, *storm).output.splitlines()[0].split() == ["minute", "hits", "4xx", "5xx", "share"]
    (first, *_) = map(json.loads, run(log, *storm, "--format", "json").output.splitlines())
    assert first["minute"] == "2015-06-01T00:00:00Z"
    assert first["5xx"] >= 120
    table = run(log, *storm, "--format", "csv").output.splitlines()
    assert table[0] == "minute,hits,4xx,5xx,share"
    assert table[1].startswith("2015-06-01T00:00:00Z,")
    assert run(log, "top-sections", "--from", "2001-01-01", "--to", "2001-01-02").output == "nothing found\n"


def test_text_of_the_log_is_made_safe(log: Log) -> None:
    for format_ in ("table", "csv"):
        assert r"neither \x1b[31mis this" in run(log, "unparsed-lines", "--format", format_).output
