"""How long the oldest byte that is not acknowledged has been waiting. Pure; it is given the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Of a file that grows during a long outage, so many looks are kept; then every other one, so the oldest
# stays and the later ones are known more coarsely.
_MOST_LOOKS = 1000


@dataclass(slots=True)
class Lag:
    """Remembers when each file was seen to have grown.

    Under steady traffic there is always something on its way. So it is not asked when nothing was, but since
    when the first byte that still is has been there.
    """

    _grown: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def look(self, now: float, files: Mapping[str, tuple[int, int]]) -> float:
        """Seconds since the oldest byte that is not acknowledged was first seen; 0 where there is none.

        Args:
            now: in seconds, of a clock that never goes back.
            files: by file, how many bytes it has and how many of them are acknowledged.
        """
        for gone in self._grown.keys() - files.keys():
            del self._grown[gone]
        oldest = now
        for name, (size, acknowledged) in files.items():
            seen = [look for look in self._grown.get(name, ()) if acknowledged < look[1] <= size]
            if size > (seen[-1][1] if seen else acknowledged):
                seen.append((now, size))
            self._grown[name] = seen if len(seen) <= _MOST_LOOKS else [*seen[:-1:2], seen[-1]]
            if seen:
                oldest = min(oldest, seen[0][0])
        return now - oldest
