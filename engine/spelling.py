"""The closest name to one that is not known, for the errors that refuse it. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# A ratio of difflib: half of the letters, in their order. Names that are less close explain nothing.
_CLOSE = 0.5


def closest_hint(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """``; did you mean X?``, to be put behind what is wrong; ``otherwise`` where nothing is close."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_CLOSE)
    return f"; did you mean {close[0]}?" if close else otherwise
