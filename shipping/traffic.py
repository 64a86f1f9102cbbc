"""Lines of made-up traffic in the Combined Log Format, quickly. Pure.

Lines are not made one by one: a few thousand are prepared, in two halves with a gap for the time, and drawn
from.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime

from shipping.formats import MONTHS
from shipping.scenario import Phase, Tick

_POOL_LINES = 8192
_SPECIAL_LINES = 512

# Paths with how often they are asked for; {n} is some number.
_PATHS = (
    ("/", 14),
    ("/pages/{n}", 16),
    ("/pages/create", 2),
    ("/blog/post-{n}", 12),
    ("/api/v1/users/{n}", 14),
    ("/api/v1/orders?page={n}", 10),
    ("/api/v1/search?q=item{n}&sort=date", 6),
    ("/images/photo-{n}.jpg", 9),
    ("/static/app.js", 5),
    ("/static/style.css", 5),
    ("/report", 2),
    ("/login", 2),
    ("/favicon.ico", 2),
    ("/robots.txt", 1),
)
_METHODS = {
    "/api/v1/orders?page={n}": ("GET", "GET", "POST"),
    "/login": ("POST",),
    "/pages/create": ("POST",),
}
_STATUSES = ((200, 900), (304, 45), (404, 25), (301, 15), (206, 5), (403, 4), (400, 3), (500, 2), (503, 1))
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "curl/8.5.0",
    "python-requests/2.32.3",
    "-",
)
_REFERRERS = (
    "-",
    "-",
    "https://www.example.com/",
    "https://search.example.net/?q=report",
    "https://news.example.org/a",
)
_USERS = ("-",) * 20 + ("mary", "james", "jill", "frank")
_GARBAGE = (
    b"\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xFC\\x03\n",
    b"segfault at 0 ip 00007f3a sp 00007ffc error 4 in libc.so.6\n",
    b'10.0.0.9 - - ["GET / HTTP\n',
)

Halves = tuple[bytes, bytes]


class TrafficGenerator:
    """Draws lines; the same seed draws the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - traffic, no secrets
        clients = [self._address() for _ in range(400)]
        # A few clients send most requests, as everywhere (Zipf).
        weights = [1 / (rank + 3) for rank in range(len(clients))]
        self._pool = [
            self._halves(client, None) for client in self._random.choices(clients, weights, k=_POOL_LINES)
        ]
        self._errors = [
            self._halves(client, self._random.choice((500, 502, 503, 503, 504)))
            for client in self._random.choices(clients, weights, k=_SPECIAL_LINES)
        ]
        flooder = self._address()
        self._flood = [self._halves(flooder, 200, path="/login") for _ in range(_SPECIAL_LINES)]
        self._carried: dict[str, float] = {}

    def lines(self, tick: Tick, start_epoch: float) -> bytes:
        """The lines of one tick, when the whole began at ``start_epoch``."""
        phase, count = tick.phase, tick.count
        stamp = _stamp(start_epoch + tick.second)
        if phase.is_plain:
            drawn = self._random.choices(self._pool, k=count)
            return b"".join([before + stamp + after for before, after in drawn])
        return self._mixed(phase, count, stamp, _stamp(start_epoch + tick.second - phase.late_by))

    def _mixed(self, phase: Phase, count: int, stamp: bytes, late_stamp: bytes) -> bytes:
        draw = self._random.choices
        left = count
        left -= (errors := self._share("errors", phase.errors, count, left))
        left -= (flood := self._share("flood", phase.flood, count, left))
        left -= (late := self._share("late", phase.late, count, left))
        left -= (garbage := self._share("garbage", phase.garbage, count, left))
        now = draw(self._pool, k=left) + draw(self._errors, k=errors) + draw(self._flood, k=flood)
        lines = [before + stamp + after for before, after in now]
        lines += [before + late_stamp + after for before, after in draw(self._pool, k=late)]
        lines += draw(_GARBAGE, k=garbage)
        self._random.shuffle(lines)
        return b"".join(lines)

    def _share(self, name: str, share: float, count: int, room: int) -> int:
        """How many of ``count`` lines are of a share; what finds no room in a small tick comes in a later."""
        # Sums of shares like 0.1 fall a little short of the whole numbers that they stand for.
        due = self._carried.get(name, 0.0) + share * count + 1e-9
        taken = min(int(due), room)
        self._carried[name] = due - taken
        return taken

    def _address(self) -> str:
        # Documentation and private addresses, so that no made-up line speaks of anyone.
        if self._random.random() < 0.08:
            return f"2001:db8::{self._random.randrange(1 << 16):x}:{self._random.randrange(1 << 16):x}"
        network = self._random.choice(("10.{}.{}.{}", "172.16.{1}.{2}", "192.168.{1}.{2}"))
        return network.format(*(self._random.randrange(1, 255) for _ in range(3)))

    def _halves(self, client: str, status: int | None, path: str | None = None) -> Halves:
        choose = self._random.choices
        names, weights = zip(*_PATHS, strict=True)
        template = path or choose(names, weights)[0]
        method = self._random.choice(_METHODS.get(template, ("GET",) * 19 + ("HEAD",)))
        if status is None:
            statuses, shares = zip(*_STATUSES, strict=True)
            status = choose(statuses, shares)[0]
        size = "-" if status == 304 or method == "HEAD" else str(int(self._random.lognormvariate(8, 1.6)))
        target = template.format(n=self._random.randrange(1, 500))
        referrer, agent = self._random.choice(_REFERRERS), self._random.choice(_AGENTS)
        after = f'] "{method} {target} HTTP/1.1" {status} {size} "{referrer}" "{agent}"\n'
        return f"{client} - {self._random.choice(_USERS)} [".encode(), after.encode()


def _stamp(epoch: float) -> bytes:
    at = datetime.fromtimestamp(int(epoch), UTC)
    text = (
        f"{at.day:02d}/{MONTHS[at.month - 1]}/{at.year}:{at.hour:02d}:{at.minute:02d}:{at.second:02d} +0000"
    )
    return text.encode()
