"""Which httpmon this is."""

from __future__ import annotations

import importlib.metadata


def httpmon_version() -> str:
    """This httpmon's version; ``0`` in a checkout that was never installed."""
    try:
        return importlib.metadata.version("httpmon")
    except importlib.metadata.PackageNotFoundError:
        return "0"
