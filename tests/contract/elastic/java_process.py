"""What the programs share that have a JVM inside: ``python -m tests.contract.elastic.PROGRAM JARS LIBJVM``.

One request a line comes in, ``{"kind": "transform", "name": "x", "body": {...}}``, and one answer a line goes
out. A JVM loads one version of a class only, and a process one JVM: hence a process for each set of jars.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jpype

Body = dict[str, Any]
# Made for a short life: quick to start rather than quick to run.
_OPTIONS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xmx256m",
    "-XX:-StackTraceInThrowable",
    "--enable-native-access=ALL-UNNAMED",
)


def start_jvm(folder: Path, java_library: str) -> None:
    """Start the JVM in this process with every jar of a folder."""
    jars = sorted(str(jar) for jar in folder.glob("*.jar"))
    jpype.startJVM(java_library, *_OPTIONS, classpath=jars)


def serve(answer: Callable[[str, str, Body], Body]) -> None:
    """Answer requests, of a kind, a name and a body, until there are no more."""
    for line in sys.stdin:
        request = json.loads(line)
        told = answer(request["kind"], request["name"], request["body"])
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def reasons(error: BaseException) -> str:
    """The messages of an exception and of its causes, outermost first; never empty."""
    told = []
    cause: Any = error
    while cause is not None:
        told.append(str(cause.getMessage() if isinstance(cause, jpype.JException) else cause))
        cause = cause.getCause() if isinstance(cause, jpype.JException) else None
    return ": ".join(told) or type(error).__name__
