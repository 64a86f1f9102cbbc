"""Requests what the log lines on standard input tell of: ``httpmon generate - | python traffic.py http://nginx:8080``."""

import http.client
import re
import sys
import urllib.parse

LINE = re.compile(r'^(\S+) \S+ .*?\] "(\S+) (\S+) [^"]*" (\d{3}) \S+(?: "([^"]*)" "([^"]*)")?')


def main() -> int:
    """Sends a request for each line, in order, until the input ends."""
    host = urllib.parse.urlsplit(sys.argv[1]).netloc
    connection = http.client.HTTPConnection(host, timeout=10)
    for line in sys.stdin:
        match = LINE.match(line)
        if not match:
            continue
        client, method, path, status, referrer, agent = match.groups(default="-")
        headers = {"X-Forwarded-For": client, "X-Wanted": status, "User-Agent": agent, "Referer": referrer}
        try:
            connection.request(method, path, headers=headers)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            sys.stderr.write(f"traffic.py: {method} {path}: {error}\n")
            connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
