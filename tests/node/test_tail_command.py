"""Guards `httpmon tail` as a process: one line for each trouble, never a traceback, and an end by Ctrl-C."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from tests.node.counting_proxy import CountingProxy
from tests.node.running import ENVIRONMENT, REPOSITORY, Running
from tests.node.tail_indices import make_indices

pytestmark = pytest.mark.node


@pytest.fixture
def proxy(engine_url: str) -> Iterator[CountingProxy]:
    with CountingProxy(engine_url) as running:
        yield running


@pytest.fixture
def indices(engine: Engine, settings: Settings) -> None:
    make_indices(engine, settings.names)


def command(url: str, namespace: str, *arguments: str) -> list[str]:
    return [
        sys.executable, "-m", "httpmon", "--url", url, "--namespace", namespace, "tail", *arguments
    ]  # fmt: skip


def run(url: str, namespace: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(url, namespace, *arguments),
        cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def running(settings: Settings, proxy: CountingProxy) -> Iterator[Running]:
    started = Running(*command(proxy.url, settings.namespace, "--format", "json"))
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait(30)


def test_once_prints_one_screen(settings: Settings, engine_url: str, indices: None) -> None:
    done = run(engine_url, settings.namespace, "--once", "--utc")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("== ") == 1
    assert "\nno line has arrived yet" in done.stdout
    assert "\x1b" not in done.stdout


def test_json_is_one_object_a_line(settings: Settings, engine_url: str, indices: None) -> None:
    done = run(engine_url, settings.namespace, "--at", "2015-05-20T21:05:27Z", "--format", "json")
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["interval"] == {
        "start": "2015-05-20T21:05:10Z",
        "end": "2015-05-20T21:05:20Z",
        "seconds": 10,
    }


def test_a_moment_of_the_past_may_be_said_by_how_long_ago_it_was(
    settings: Settings, engine_url: str, indices: None
) -> None:
    before = datetime.now(UTC)
    done = run(engine_url, settings.namespace, "--at", "2h", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    end = datetime.fromisoformat(json.loads(done.stdout)["interval"]["end"])
    assert before - timedelta(hours=2, seconds=10) < end <= datetime.now(UTC) - timedelta(hours=2)


def test_not_provisioned_is_one_line_that_names_the_command(settings: Settings, engine_url: str) -> None:
    done = run(engine_url, settings.namespace, "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "run httpmon provision" in done.stderr


def test_no_engine_is_exit_code_4(settings: Settings, proxy: CountingProxy) -> None:
    proxy.stop()
    done = run(proxy.url, settings.namespace, "--once")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("httpmon: cannot reach the engine")
    assert done.stderr.count("\n") == 1


def test_an_outage_is_told_and_survived_and_ctrl_c_ends_it(
    settings: Settings, indices: None, proxy: CountingProxy, running: Running
) -> None:
    first = json.loads(running.lines.get(timeout=60))
    proxy.stop()
    assert "cannot reach the engine" in running.errors.get(timeout=60)
    proxy.start()
    assert running.errors.get(timeout=60).startswith("httpmon: reading again after")
    second = json.loads(running.lines.get(timeout=60))
    assert second["interval"]["start"] > first["interval"]["start"]
    assert running.interrupt() == 130
    assert running.errors.empty()


def test_it_starts_when_provisioning_comes_later(
    request: pytest.FixtureRequest, settings: Settings, running: Running
) -> None:
    assert "run httpmon provision" in running.errors.get(timeout=60)
    request.getfixturevalue("indices")
    assert json.loads(running.lines.get(timeout=60))["total"]["hits"] == 0
    assert running.interrupt() == 130
