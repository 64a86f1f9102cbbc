"""Gives Kibana, Logstash and httpmon accounts of their own in Elasticsearch, as often as it is run.

Reads the passwords that secrets.sh made below ``SECRETS``; speaks to ``HTTPMON_ENGINE_URL`` as ``elastic``.
"""

import base64
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

RAW = "logs-httpmon.*"
ROLES = {
    # Only adds lines: neither reads nor changes any.
    "httpmon_logstash": {
        "cluster": ["monitor"],
        "indices": [{"names": [RAW], "privileges": ["create_doc", "auto_configure", "view_index_metadata"]}],
    },
    # `manage` is for stored queries, pipelines and templates together; other people's data stay out of reach.
    "httpmon": {
        "cluster": ["manage", "manage_transform", "manage_watcher"],
        "indices": [
            {
                "names": [RAW, "httpmon*", ".httpmon*"],
                "privileges": ["all"],
                "allow_restricted_indices": False,
            }
        ],
    },
}
# The folder of each user's password, and its roles. The last one is Elastic's own: Kibana's objects, no data.
USERS = {
    "httpmon_logstash": ("logstash", ["httpmon_logstash"]),
    "httpmon": ("httpmon", ["httpmon", "kibana_admin"]),
}


# A cluster that has just started answers before it can store users.
PATIENCE_SECONDS = 120.0
STARTING = (429, 502, 503, 504)


def main() -> int:
    """Writes roles, users and the password of ``kibana_system``; 0 when all is there."""
    secrets = Path(os.environ.get("SECRETS", "/secrets"))
    url = os.environ["HTTPMON_ENGINE_URL"].rstrip("/")
    try:
        write_all(url, secrets, time.monotonic() + PATIENCE_SECONDS)
    except urllib.error.HTTPError as error:
        sys.stderr.write(
            f"accounts.py: {error.url}: {error.code} {error.read(500).decode(errors='replace')}\n"
        )
        return 1
    except OSError as error:
        sys.stderr.write(f"accounts.py: {url}: {error}\n")
        return 1
    return 0


def write_all(url: str, secrets: Path, until: float) -> None:
    """Puts each role and user, again while the cluster is starting."""
    trust = ssl.create_default_context(cafile=str(secrets / "engine" / "ca.pem"))
    login = base64.b64encode(f"elastic:{read(secrets, 'engine')}".encode()).decode()

    def put(path: str, body: dict[str, object]) -> None:
        request = urllib.request.Request(  # noqa: S310
            f"{url}/_security/{path}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
            method="PUT",
        )
        while True:
            try:
                with urllib.request.urlopen(request, context=trust, timeout=60):  # noqa: S310
                    return
            except urllib.error.HTTPError as error:
                if error.code not in STARTING or time.monotonic() > until:
                    raise
            time.sleep(1.0)

    for name, role in ROLES.items():
        put(f"role/{name}", role)
    for name, (folder, roles) in USERS.items():
        put(f"user/{name}", {"password": read(secrets, folder), "roles": roles})
    put("user/kibana_system/_password", {"password": read(secrets, "kibana")})


def read(secrets: Path, folder: str) -> str:
    """The password in a service's folder of secrets."""
    return (secrets / folder / "password").read_text(encoding="ascii")


if __name__ == "__main__":
    sys.exit(main())
