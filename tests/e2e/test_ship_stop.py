"""Guards that SIGTERM ends the shipper with 0 whatever the engine does, and that nothing is lost.

No test waits for a time to pass, or measures one (docs/performance.md tells how long it takes): the engine is
away, or held, until the shipper has ended; and a request may take so long that one which waits for its answer
does not end.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from tests.e2e.processes import Httpmon, await_that
from tests.e2e.shipped import Shipping
from tests.node.counting_proxy import Answer, CountingProxy, Sent

pytestmark = pytest.mark.e2e

REQUEST_TIMEOUT = "1h"
STOP_SECONDS = 120


class HoldingProxy(CountingProxy):
    """A proxy that can keep whoever asks waiting.

    Attributes:
        hold: which paths get no answer until ``let_go``; None holds nothing.
        forward_when: when the engine gets what is held: at once, though nobody hears of it; then; or never.
        held: how many requests were kept waiting.
    """

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.hold: Callable[[str], bool] | None = None
        self.forward_when: Literal["at once", "then", "never"] = "never"
        self.held = 0
        self._gone_on = threading.Event()

    def let_go(self) -> None:
        """Answer what is held, and hold nothing more."""
        self.hold = None
        self._gone_on.set()

    def exchange(self, sent: Sent) -> Answer | None:
        if self.hold is None or not self.hold(sent.path):
            return super().exchange(sent)
        answer = super().exchange(sent) if self.forward_when == "at once" else None
        self.held += 1
        self._gone_on.wait()
        return super().exchange(sent) if self.forward_when == "then" else answer

    def stop(self) -> None:
        self._gone_on.set()
        super().stop()


@pytest.fixture
def proxy(engine_url: str) -> Iterator[HoldingProxy]:
    with HoldingProxy(engine_url) as one:
        yield one


@pytest.fixture
def shipping(
    engine: Engine, proxy: HoldingProxy, provisioned: Settings, tmp_path: Path
) -> Iterator[Shipping]:
    one = Shipping(engine, provisioned, proxy.url, tmp_path)
    further = {"HTTPMON_ENGINE_REQUEST_TIMEOUT": REQUEST_TIMEOUT}
    one.httpmon = Httpmon(proxy.url, provisioned.namespace, tmp_path, further)
    yield one
    one.httpmon.stop_all()


def bulk(path: str) -> bool:
    return "/_bulk" in path


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=STOP_SECONDS) == 0


def test_while_lines_flow_the_engine_goes_away(shipping: Shipping, proxy: HoldingProxy) -> None:
    shipping.write(100)
    process = shipping.start()
    await_that(lambda: shipping.count() == 100, "the first lines arrive")
    proxy.stop()
    shipping.write(200)
    output = shipping.log.with_name("ship-0.out")
    await_that(lambda: "waiting, nothing is lost" in output.read_text(), "the shipper waits")
    stop(process)
    proxy.start()
    shipping.start()
    shipping.await_all()


@pytest.mark.parametrize("forward_when", ["never", "at once"])
def test_while_lines_flow_the_engine_answers_no_more(
    shipping: Shipping, proxy: HoldingProxy, forward_when: Literal["never", "at once"]
) -> None:
    """Whether it had the lines or not: the next run sends what it must, and doubles nothing."""
    shipping.write(100)
    process = shipping.start()
    await_that(lambda: shipping.count() == 100, "the first lines arrive")
    # Everything: the shipper's report of itself, too.
    proxy.hold, proxy.forward_when = (lambda _: True), forward_when
    shipping.write(200)
    await_that(lambda: proxy.held > 0, "a request is not answered")
    stop(process)
    proxy.let_go()
    shipping.start()
    shipping.await_all()


def test_while_the_engine_is_slow_its_answer_is_waited_for(shipping: Shipping, proxy: HoldingProxy) -> None:
    shipping.write(100)
    process = shipping.start()
    await_that(lambda: shipping.count() == 100, "the first lines arrive")
    proxy.hold, proxy.forward_when = bulk, "then"
    shipping.write(200)
    await_that(lambda: proxy.held > 0, "a request is under way")
    process.send_signal(signal.SIGTERM)
    await_that(lambda: not pending(process), "the shipper has the signal")
    proxy.let_go()
    assert process.wait(timeout=STOP_SECONDS) == 0
    # Nothing was left for the next run: the registry knows of the late answer.
    told = shipping.httpmon.run("ship", shipping.log, "--once", "--registry", shipping.registry)
    assert told == "0 lines read, 0 sent, 0 already there, 0 dead\n"
    shipping.await_all()


def pending(process: subprocess.Popen[bytes]) -> bool:
    """Whether a signal still waits to be taken by the process."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    masks = [line.split()[1] for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return any(int(mask, 16) for mask in masks)


def test_before_the_first_line_the_engine_is_away(
    shipping: Shipping, proxy: HoldingProxy, provisioned: Settings, tmp_path: Path
) -> None:
    shipping.write(100)
    proxy.stop()
    process = shipping.start()
    output = tmp_path / "ship-0.out"
    await_that(lambda: "; waiting" in output.read_text(), "the shipper waits for the engine")
    stop(process)
    proxy.start()
    shipping.start()
    shipping.await_all()


def test_before_the_first_line_the_engine_never_answers(shipping: Shipping, proxy: HoldingProxy) -> None:
    shipping.write(100)
    proxy.hold = lambda _: True
    process = shipping.start()
    await_that(lambda: proxy.held > 0, "the engine is asked what it is")
    stop(process)
    proxy.let_go()
    shipping.start()
    shipping.await_all()
