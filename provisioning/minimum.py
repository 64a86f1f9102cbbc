"""The oldest engines on which the numbers are right. Pure."""

from __future__ import annotations

from engine.capabilities import Capabilities, Flavour, Version
from engine.errors import EngineTooOld

# Elasticsearch: 8.10.4 was measured exact with late documents; transforms of earlier versions could miscount
# a bucket after one. OpenSearch: 2.19 is the oldest with all that the templates use.
_MINIMUM: dict[Flavour, tuple[Version, str]] = {
    "elasticsearch": ((8, 10, 0), "transforms of earlier versions can miscount a bucket after a late line"),
    "opensearch": ((2, 19, 0), "earlier versions lack what the templates use"),
}


def refuse_old(engine: Capabilities) -> None:
    """Raise EngineTooOld for an engine below the minimum."""
    minimum, why = _MINIMUM[engine.flavour]
    if engine.version < minimum:
        needed = ".".join(str(number) for number in minimum[:2])
        raise EngineTooOld(
            f"{engine.flavour} {engine.version_text} is older than {needed}: {why}; --allow-old goes on"
        )
