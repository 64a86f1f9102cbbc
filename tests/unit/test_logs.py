"""Guards what httpmon says about itself: to standard error, one line each, in the form that was asked for."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.logs import configure_logging, tell

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


def test_text_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    tell("the engine\nis away \x1b[2J")
    assert capsys.readouterr() == ("", "httpmon: the engine is away \\x1b[2J\n")


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(format="json")
    tell("a \x1b[31mline", logging.WARNING)
    line = json.loads(capsys.readouterr().err)
    assert (line["log.level"], line["log.logger"], line["message"]) == (
        "warning", "httpmon", "a \x1b[31mline"
    )  # fmt: skip
    assert line["@timestamp"].endswith("+00:00")


def test_the_level_decides(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error")
    tell("not this")
    tell("this", logging.ERROR)
    assert capsys.readouterr().err == "httpmon: this\n"


def test_attempts_of_the_client_are_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    logging.getLogger("elastic_transport.transport").warning("retrying")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--log-format", "json", "--config", "nowhere.toml"], '"log.level": "error"'),
        (["--log-level", "loud"], "httpmon: --log-level loud: it is debug, info, warning, error"),
        (["--log-format", "xml"], "httpmon: --log-format xml: it is text or json"),
    ],
)
def test_errors_are_told_in_that_form_too(options: list[str], error: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "httpmon", *options, "config", "show"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert error in done.stderr
    assert done.stderr.count("\n") == 1
