"""How many files the system lets a shipper have open."""

from __future__ import annotations

import resource

# For what is no log: connections, the registry, folders while they are listed, libraries.
_RESERVED = 64
_FEWEST = 8
# The log, and the pipe that holds its last page.
_FOR_EACH_LOG = 2
# macOS allows a process no more than OPEN_MAX, whatever its limit says.
_MOST = 10_240


def open_files_allowed(connections: int) -> int:
    """Raise this process's limit as far as it may, and say how many logs may be open at once then.

    ``connections``: how many it needs beside them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft not in (resource.RLIM_INFINITY, wanted) and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            wanted = soft
    return max(_FEWEST, (wanted - _RESERVED - connections) // _FOR_EACH_LOG)
