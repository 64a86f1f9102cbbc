"""Guards conservation on the way in: every line once, through rotation, faults, kills and refusals.

The shipper runs in a process of its own; what the engine then holds is compared with what was written.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from engine.client import Engine
from provisioning.names import Names
from provisioning.settings import Settings
from tests.e2e.processes import Httpmon, await_that
from tests.e2e.shipped import Shipping
from tests.node.counting_proxy import CountingProxy

pytestmark = pytest.mark.e2e


@pytest.fixture
def shipping(engine: Engine, engine_url: str, provisioned: Settings, tmp_path: Path) -> Iterator[Shipping]:
    one = Shipping(engine, provisioned, engine_url, tmp_path)
    yield one
    one.httpmon.stop_all()


def test_lines_are_followed_and_a_stop_loses_nothing(shipping: Shipping) -> None:
    shipping.write(100)
    process = shipping.start()
    await_that(lambda: shipping.count() == 100, "the first lines arrive")
    with shipping.log.open("a") as file:
        file.write("half a line")
        file.flush()
        shipping.write(0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        file.write(" and its end\n")
    shipping.written.append("half a line and its end")
    shipping.start()
    shipping.write(50)
    shipping.await_all()


@pytest.mark.parametrize("way", ["rename", "copytruncate"])
def test_rotation_while_lines_are_written(shipping: Shipping, way: str) -> None:
    shipping.write(10)
    shipping.start()
    await_that(lambda: shipping.count() == 10, "the first lines arrive")
    for rotation in range(1, 5):
        shipping.write(500)
        rotated = shipping.log.with_name(f"access.log.{rotation}")
        if way == "rename":
            with shipping.log.open("a") as old:
                shipping.log.rename(rotated)
                shipping.write(100)
                # A server writes to its old file until it is told to open the new one.
                late = f'192.0.2.9 - - [25/Nov/2025:10:00:00 +0000] "GET /late/{rotation} HTTP/1.1" 200 1'
                shipping.written.append(late)
                old.write(f"{late}\n")
        else:
            shutil.copyfile(shipping.log, rotated)
            os.truncate(shipping.log, 0)
        shipping.write(200)
    shipping.await_all()


def test_rotations_while_the_shipper_was_away(shipping: Shipping) -> None:
    shipping.write(300)
    process = shipping.start()
    await_that(lambda: shipping.count() == 300, "the first lines arrive")
    shipping.httpmon.kill(process)
    shipping.write(200)
    shipping.log.rename(shipping.log.with_name("access.log.1"))
    shipping.write(200)
    with shipping.log.with_name("access.log.1").open("rb") as plain:
        packed = gzip.compress(plain.read())
    shipping.log.with_name("access.log.2.gz").write_bytes(packed)
    shipping.log.with_name("access.log.1").unlink()
    shipping.log.rename(shipping.log.with_name("access.log.1"))
    shipping.write(200)
    shipping.start()
    shipping.await_all()


def test_a_log_that_is_deleted_and_made_anew(shipping: Shipping) -> None:
    shipping.write(100)
    shipping.start()
    await_that(lambda: shipping.count() == 100, "the first lines arrive")
    shipping.log.unlink()
    shipping.write(100)
    shipping.await_all()


def test_faults_on_the_way_and_kills_change_no_number(
    shipping: Shipping, engine_url: str, provisioned: Settings, tmp_path: Path
) -> None:
    dice = random.Random(5)
    lock = threading.Lock()

    def fault(path: str) -> tuple[int, bool] | None:
        with lock:
            if path.endswith("_bulk") and dice.random() < 0.4:
                return dice.choice((429, 503)), dice.random() < 0.5
            return None

    with CountingProxy(engine_url, fault) as proxy:
        shipping.httpmon = Httpmon(proxy.url, provisioned.namespace, tmp_path)
        try:
            for _ in range(4):
                shipping.write(5000)
                process = shipping.start()
                before = shipping.count()
                await_that(lambda before=before: shipping.count() > before, "some lines arrive")  # type: ignore[misc]
                if dice.random() < 0.5:
                    proxy.stop()
                    shipping.write(500)
                    proxy.start()
                shipping.httpmon.kill(process)
            shipping.start()
            shipping.await_all()
        finally:
            shipping.httpmon.stop_all()


def test_an_engine_that_does_not_know_itself_yet_is_waited_for(
    shipping: Shipping, engine_url: str, provisioned: Settings, tmp_path: Path
) -> None:
    """What stands before an engine that is starting, or is away, answers by whatever of the 5xx."""
    asked: list[str] = []

    def fault(path: str) -> tuple[int, bool] | None:
        asked.append(path)
        return (500, False) if len(asked) <= 3 else None

    shipping.write(30)
    with CountingProxy(engine_url, fault) as proxy:
        shipping.httpmon = Httpmon(proxy.url, provisioned.namespace, tmp_path)
        told = shipping.httpmon.run("ship", shipping.log, "--once", "--registry", shipping.registry)
    assert "30 lines read, 30 sent" in told
    shipping.await_all()


def test_a_rollover_between_two_attempts_doubles_nothing(
    shipping: Shipping, engine_url: str, provisioned: Settings, tmp_path: Path
) -> None:
    """An id is unique within a backing index only."""
    unheard: list[str] = []

    def fault(path: str) -> tuple[int, bool] | None:
        if not unheard and path.endswith("_bulk"):
            unheard.append(path)
            return 503, True
        if len(unheard) == 1:
            unheard.append(path)
            shipping.roll_over()
        return None

    shipping.write(300)
    with CountingProxy(engine_url, fault) as proxy:
        shipping.httpmon = Httpmon(proxy.url, provisioned.namespace, tmp_path)
        told = shipping.httpmon.run("ship", shipping.log, "--once", "--registry", shipping.registry)
    assert "300 lines read, 0 sent, 300 already there" in told
    shipping.await_all()


@pytest.mark.parametrize("registry", ["kept", "lost"])
def test_a_rollover_while_the_shipper_was_away_doubles_nothing(
    shipping: Shipping, engine_url: str, provisioned: Settings, tmp_path: Path, registry: str
) -> None:
    shipping.write(300)
    direct = shipping.httpmon
    with CountingProxy(engine_url, lambda path: (503, True) if path.endswith("_bulk") else None) as unheard:
        shipping.httpmon = Httpmon(unheard.url, provisioned.namespace, tmp_path)
        process = shipping.start()
        await_that(lambda: shipping.count() == 300, "the lines arrive")
        shipping.httpmon.kill(process)
    for _ in range(2):
        shipping.roll_over()
    if registry == "lost":
        shipping.registry.unlink()
    shipping.httpmon = direct
    shipping.write(100)
    shipping.start()
    shipping.await_all()


def test_lines_after_a_hole_arrive(shipping: Shipping) -> None:
    """A server that does not append goes on where it was after its log was emptied: NULs fill the gap."""
    with shipping.log.open("w") as file:
        line = '192.0.2.1 - - [25/Nov/2025:10:00:00 +0000] "GET /n/{} HTTP/1.1" 200 1'
        for number in range(20_000):
            shipping.written.append(line.format(number))
            file.write(shipping.written[-1] + "\n")
        file.flush()
        shipping.start()
        await_that(lambda: shipping.count() == 20_000, "the first lines arrive")
        os.truncate(shipping.log, 0)
        shipping.written.append(line.format("after the hole"))
        file.write(shipping.written[-1] + "\n")
    assert shipping.log.stat().st_size > 1 << 20
    shipping.await_all()


def test_globs_links_and_packed_files(shipping: Shipping, tmp_path: Path) -> None:
    """Everything that a path may be is read: what comes later, what a link leads to, packed files."""
    logs = tmp_path / "logs"
    logs.mkdir()
    shipping.write(50, to=logs / "a.log")
    shipping.start(f"{logs}/*.log*")
    shipping.write(50, to=logs / "b.log")
    shipping.write(50, to=tmp_path / "real")
    (logs / "link.log").symlink_to(tmp_path / "real")
    for name, pack in (
        ("c.log.gz", gzip.compress),
        ("d.log.zst", zstandard.compress),
        ("e.log.bz2", bz2.compress),
        ("f.log.xz", lzma.compress),
    ):
        shipping.write(50, to=tmp_path / name)
        new = logs / f".{name}"
        new.write_bytes(pack((tmp_path / name).read_bytes()))
        new.rename(logs / name)
    shipping.await_all()


def test_a_packed_file_whose_end_is_missing_is_told(shipping: Shipping, tmp_path: Path) -> None:
    shipping.write(5000)
    for name, pack in (("a.zst", zstandard.compress), ("b.gz", gzip.compress)):
        packed = pack(shipping.log.read_bytes())
        (tmp_path / name).write_bytes(packed[: len(packed) * 2 // 3])
        process = shipping.start(tmp_path / name)
        output = tmp_path / f"ship-{0 if name == 'a.zst' else 1}.out"
        await_that(lambda output=output: "the end of this packed file is missing" in output.read_text(), name)  # type: ignore[misc]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_a_fifo_and_standard_input(shipping: Shipping, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    shipping.start(fifo)
    for _ in range(2):  # one writer after the other
        shipping.write(100, to=fifo)
    await_that(lambda: shipping.count() == 200, "the lines of the FIFO arrive")
    shipping.write(100)
    with shipping.log.open("rb") as log:
        told = shipping.httpmon.run(
            "ship", "--once", "--registry", tmp_path / "other.json", "-", standard_input=log
        )
    assert told.startswith("100 lines read, 100 sent")
    shipping.await_all()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of memory")
def test_a_backlog_stays_on_the_disk(
    shipping: Shipping, engine_url: str, provisioned: Settings, tmp_path: Path
) -> None:
    """While the engine is away, the shipper waits: it neither grows nor has to be killed."""
    with shipping.log.open("wb") as log:
        ordinary = b'192.0.2.1 - - [25/Nov/2025:10:00:00 +0000] "GET /n HTTP/1.1" 200 1 "-" "agent"\n'
        for _ in range(60):
            log.write(ordinary * 10_000)
            log.write(b"x" * (1 << 20) + b"\n")
    with CountingProxy(engine_url, lambda path: (503, False) if path.endswith("_bulk") else None) as proxy:
        shipping.httpmon = Httpmon(proxy.url, provisioned.namespace, tmp_path)
        process = shipping.start()
        output = tmp_path / "ship-0.out"
        await_that(lambda: "waiting, nothing is lost" in output.read_text(), "the shipper waits")
        refused = len(proxy.requests)
        await_that(lambda: len(proxy.requests) > refused + 8, "it has tried again")
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        assert peak * 1024 < 150e6
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert shipping.count() == 0


def test_what_the_engine_refuses_for_good_is_kept_with_the_reason(
    shipping: Shipping, engine: Engine, provisioned: Settings
) -> None:
    names = provisioned.names
    pipeline = engine.request("GET", f"/_ingest/pipeline/{names.access_pipeline}")[names.access_pipeline]
    refusing = {
        "script": {
            "source": "if (ctx.event.original.contains('/n/3 ')) throw new RuntimeException('not this one')"
        }
    }
    pipeline["processors"].append(refusing)
    engine.request("PUT", f"/_ingest/pipeline/{names.access_pipeline}", body=pipeline)
    shipping.write(10)
    told = shipping.httpmon.run("ship", shipping.log, "--once", "--registry", shipping.registry)
    assert told == "10 lines read, 9 sent, 0 already there, 1 dead\n"
    engine.request("POST", f"/{names.dead}/_refresh")
    (dead,) = engine.request("POST", f"/{names.dead}/_search", body={})["hits"]["hits"]
    assert dead["_source"]["event"]["original"] == shipping.written[3]
    assert "not this one" in dead["_source"]["error"]["message"]
    again = shipping.httpmon.run("ship", shipping.log, "--once", "--registry", shipping.registry)
    assert again == "0 lines read, 0 sent, 0 already there, 0 dead\n"


def test_two_shippers_of_one_registry_are_refused(shipping: Shipping) -> None:
    shipping.write(10)
    shipping.start()
    await_that(lambda: shipping.count() == 10, "the lines arrive")
    shipping.httpmon.run("ship", shipping.log, "--registry", shipping.registry, expect=1)


def test_without_provisioning_nothing_is_sent(
    engine_url: str, engine: Engine, namespace: str, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    log.write_text("a line\n")
    Httpmon(engine_url, namespace, tmp_path).run("ship", log, "--once", expect=1)
    assert (
        engine.request("GET", f"/{Names(namespace).raw}/_count", params={"ignore_unavailable": True})["count"]
        == 0
    )
