"""The stacks in containers are well-formed, closed and complete; their scripts do what they say."""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import os
import re
import runpy
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.contract.compose_files import (
    FOLDER,
    STACKS,
    problems,
    problems_of_variables,
    stack,
    texts,
    variables,
)

ROOT = FOLDER.parent
SCRIPTS = FOLDER / "scripts"
SHELL_SCRIPTS = sorted(SCRIPTS.glob("*.sh"))
TOOLS = Path(sys.executable).parent


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_is_closed_and_complete(name: str) -> None:
    assert problems(stack(texts(), STACKS[name])) == []


@pytest.mark.parametrize("file", sorted(texts()))
def test_variables_have_the_default_that_the_example_says(file: str) -> None:
    assert problems_of_variables(texts()[file], variables()) == []


def test_no_variable_of_the_example_is_idle() -> None:
    everything = "".join(texts().values())
    assert [name for name in variables() if f"${{{name}:" not in everything] == []


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_follows_the_schema_of_compose(name: str, tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(stack(texts(), STACKS[name])), encoding="utf-8")
    assert schema(file) == ""


def test_the_schema_notices_an_unknown_key(tmp_path: Path) -> None:
    content = stack(texts(), STACKS["elasticsearch"])
    content["services"]["kibana"]["memory_limit"] = "1g"
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    assert "memory_limit" in schema(file)


def schema(file: Path) -> str:
    command = [TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def compose_itself() -> list[str]:
    """Compose, as a plugin or by itself; it needs no engine to read files. Skips where it is not."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            asked = [*command, "version", "--short"]
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip()[:2] != "1.":
                return command
    pytest.skip("neither `docker compose` nor docker-compose (2 or newer) is here")


@pytest.mark.parametrize("profile", ["", "tail", "*"])
@pytest.mark.parametrize("files", [*STACKS.values(), ("common.yml",)], ids=lambda files: "+".join(files))
def test_compose_itself_takes_each_combination(files: tuple[str, ...], profile: str, tmp_path: Path) -> None:
    command = [*compose_itself(), "--profile", profile] if profile else compose_itself()
    named = [part for file in files for part in ("-f", str(FOLDER / file))]
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    asked = [*command, *named, "config", "--format", "json"]
    done = subprocess.run(asked, capture_output=True, text=True, env=clean, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    services = json.loads(done.stdout)["services"]
    ours = stack(texts(), files)["services"]
    assert set(services) == {name for name in ours if profile or "profiles" not in ours[name]}
    for name, service in services.items():
        for key in ("image", "user", "read_only", "cap_drop", "mem_limit", "restart", "init"):
            assert (key in service) == (key in ours[name]), (name, key)
        assert set(service.get("environment") or {}) == set(ours[name].get("environment") or {}), name
        assert len(service.get("volumes", [])) == len(ours[name].get("volumes", [])), name


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("docker-compose.yml", '"127.0.0.1:${KIBANA_PORT', '"${KIBANA_PORT', "kibana is published"),
        ("docker-compose.yml", '"127.0.0.1:${KIBANA_PORT', '"0.0.0.0:${KIBANA_PORT', "kibana is published"),
        ("docker-compose.yml", "      accounts: {", "      account: {", "waits for account,"),
        ("docker-compose.yml", "  kibana-data:\n", "", "kibana-data, which is not declared"),
        ("docker-compose.yml", "kibana:${ELASTIC_VERSION:-8.19.5}", "kibana:latest", "of no version"),
        ("docker-compose.yml", "./config/kibana.yml", "./config/kibanas.yml", "mounts ./config/kibanas.yml"),
        ("docker-compose.yml", "    mem_limit: ${KIBANA_MEMORY:-1g}\n", "", "kibana may take all memory"),
        ("docker-compose.yml", "    restart: on-failure\n", "    privileged: true\n", "scheduler leaves"),
        (
            "docker-compose.yml",
            "TERM: ",
            "HTTPMON_ENGINE_PASSWORD: changeme\n      TERM: ",
            "tail has a secret",
        ),
        ("common.yml", "cap_drop: [ALL]", "cap_drop: []", "keeps rights"),
        ("common.yml", 'user: "1000:0"', 'user: "0:0"', "runs as root"),
        (
            "common.yml",
            "    healthcheck:\n      test: [CMD, wget",
            "    x-off:\n      test: [CMD, wget",
            "has none",
        ),
        ("common.yml", 'restart: "no"', "restart: unless-stopped", "started again for ever"),
    ],
)
def test_a_mistake_in_a_stack_is_noticed(file: str, old: str, new: str, problem: str) -> None:
    changed = texts()
    assert old in changed[file]
    changed[file] = changed[file].replace(old, new)
    assert problem in "; ".join(problems(stack(changed, STACKS["elasticsearch"])))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: ${NEW}", "neither default nor refusal"),
        ("a: ${NEW:-1}", "None in .env.example"),
        ("a: ${NGINX_VERSION:-1}", "NGINX_VERSION is 1 here"),
        ("a: exit $?", "a lone $"),
    ],
)
def test_a_mistake_in_a_variable_is_noticed(text: str, problem: str) -> None:
    assert problem in "; ".join(problems_of_variables(text, variables()))
    assert problems_of_variables("a: ${NEW:?set it} $$HOME", variables()) == []


def test_names_of_hosts_are_in_the_certificates_that_are_made_for_them() -> None:
    script = (SCRIPTS / "secrets.sh").read_text(encoding="utf-8")
    certified = set(" ".join(re.findall(r"^certificate \S+ (.*)$", script, re.MULTILINE)).split())
    addressed = {host for text in texts().values() for host in re.findall(r"https://([a-z0-9]+):", text)}
    assert addressed - {"localhost"} <= certified
    assert {"elasticsearch", "elasticsearch2", "elasticsearch3"} <= certified


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_are_clean(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    done = subprocess.run([TOOLS / "shellcheck", script], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_shellcheck_notices_a_missing_quote(tmp_path: Path) -> None:
    script = tmp_path / "bad.sh"
    script.write_text("#!/bin/sh\nrm -r $1\n", encoding="utf-8")
    assert subprocess.run([TOOLS / "shellcheck", script], capture_output=True, check=False).returncode == 1


def test_the_dockerfile_is_clean_and_runs_without_root() -> None:
    done = subprocess.run(
        [TOOLS / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["1000:0"]
    assert text.count("\nFROM ") == 2
    assert f"ARG PYTHON_VERSION={variables()['PYTHON_VERSION']}\n" in text


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("USER 1000:0", "USER 1000:0\nRUN cd /tmp && make", "DL3003"),
        ("python:${PYTHON_VERSION}-slim-bookworm AS build", "python:latest AS build", "DL3007"),
        ("RUN openssl version", "RUN sudo openssl version", "DL3004"),
        ("WORKDIR /state", "WORKDIR state", "DL3000"),
    ],
)
def test_a_careless_dockerfile_is_noticed(tmp_path: Path, old: str, new: str, rule: str) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "Dockerfile").write_text(text.replace(old, new), encoding="utf-8")
    done = subprocess.run(
        [TOOLS / "hadolint", tmp_path / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert rule in done.stdout


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REPORT = {"host": "web1", "state": "running", "reported_at": "2026-03-01T11:59:30Z"}


@pytest.mark.parametrize(
    ("part", "status", "expected"),
    [
        ("scheduler", {"schedulers": None}, ""),
        ("scheduler", {"schedulers": {"leader": {"silent_seconds": 2.0}}}, ""),
        ("scheduler", {"schedulers": {"leader": {"silent_seconds": 61.0}}}, "no scheduler executes"),
        ("scheduler", {"schedulers": {"leader": None}}, "no scheduler executes"),
        ("ship", {"shippers": [REPORT]}, ""),
        ("ship", {"shippers": []}, "no shipper on web1 reports"),
        ("ship", {"shippers": [REPORT | {"host": "web2"}]}, "no shipper on web1 reports"),
        ("ship", {"shippers": [REPORT | {"state": "stopped"}]}, "no shipper on web1 reports"),
        (
            "ship",
            {"shippers": [REPORT | {"reported_at": "2026-03-01T11:58:00Z"}]},
            "the shipper was heard of 120 s ago",
        ),
    ],
)
def test_a_health_check_reads_the_status(part: str, status: dict[str, Any], expected: str) -> None:
    trouble = runpy.run_path(str(SCRIPTS / "health.py"))["trouble"]
    assert trouble(part, status, "web1", NOW) == expected


def test_a_health_check_fails_where_nobody_answers() -> None:
    environment = {
        **os.environ,
        "HTTPMON_ENGINE_URL": "http://127.0.0.1:1",
        "HTTPMON_ENGINE_MAX_RETRIES": "0",
    }
    command = [sys.executable, str(SCRIPTS / "health.py"), "scheduler"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "cannot reach the engine" in done.stderr) == (1, True)
    done = subprocess.run([*command, "more"], capture_output=True, text=True, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("name", "part"),
    [("elasticsearch", "scheduler"), ("opensearch", "scheduler"), ("opensearch", "ship")],
)
def test_what_works_in_a_stack_says_how_it_is(name: str, part: str) -> None:
    check = stack(texts(), STACKS[name])["services"][part]["healthcheck"]["test"]
    assert check[-2:] == ["/scripts/health.py", part]


def test_the_image_gets_every_package_of_the_wheel() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert [package for package in packages if f"!{package}" not in ignored] == []


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    folder = tmp_path_factory.mktemp("secrets")
    make_secrets(folder)
    return folder


def make_secrets(folder: Path) -> None:
    subprocess.run(["sh", SCRIPTS / "secrets.sh", folder], check=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_secrets_are_made_once_for_their_owner_only(secrets: Path) -> None:
    first = contents(secrets)
    make_secrets(secrets)
    assert contents(secrets) == first
    passwords = [first[name] for name in first if name.endswith(("password", "encryption"))]
    assert len(set(passwords)) == len(passwords) == 5
    assert all(re.fullmatch(rb"[0-9a-f]{48}", password) for password in passwords)
    assert {oct(path.stat().st_mode & 0o777) for path in secrets.rglob("*") if path.is_file()} == {"0o600"}
    # Only the folder that no other container mounts holds the authority's key.
    assert [name for name in first if name.endswith("ca.key")] == ["authority/ca.key"]


def test_what_is_lost_is_made_anew_and_the_rest_kept(secrets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(secrets, folder)
    (folder / "logstash" / "password").unlink()
    make_secrets(folder)
    before, after = contents(secrets), contents(folder)
    assert [name for name in before if before[name] != after[name]] == ["logstash/password"]


@contextmanager
def server(
    secrets: Path | None, answer: int = 200, first: int | None = None
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A web server that keeps what it was asked; with TLS where it has secrets. It may begin otherwise."""
    seen: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = dict(self.headers.items())
            seen.append(
                {
                    "path": self.path,
                    "method": self.command,
                    "headers": headers,
                    "body": self.rfile.read(length),
                }
            )
            self.send_response(first if first is not None and len(seen) == 1 else answer)
            self.send_header("Content-Length", "2")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"{}")

        do_GET = do_POST = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = do_PUT  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if secrets is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(secrets / "engine" / "cert.pem", secrets / "engine" / "key.pem")
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield listening.server_address[1], seen
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def test_certificates_stand_the_strictest_check(secrets: Path) -> None:
    trust = ssl.create_default_context(cafile=str(secrets / "httpmon" / "ca.pem"))
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    with server(secrets) as (port, _):
        connection = http.client.HTTPSConnection("localhost", port, context=trust)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()


def make_accounts(secrets: Path, port: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SECRETS": str(secrets), "HTTPMON_ENGINE_URL": f"https://localhost:{port}"}
    command = [sys.executable, SCRIPTS / "accounts.py"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_accounts_are_made_over_tls_with_the_passwords_of_their_services(secrets: Path) -> None:
    with server(secrets) as (port, seen):
        done = make_accounts(secrets, port)
    assert (done.returncode, done.stderr) == (0, "")
    bodies = {request["path"]: json.loads(request["body"]) for request in seen}
    assert list(bodies) == [
        "/_security/role/httpmon_logstash",
        "/_security/role/httpmon",
        "/_security/user/httpmon_logstash",
        "/_security/user/httpmon",
        "/_security/user/kibana_system/_password",
    ]
    expected = (secrets / "logstash" / "password").read_text(encoding="ascii")
    assert bodies["/_security/user/httpmon_logstash"] == {"password": expected, "roles": ["httpmon_logstash"]}
    login = base64.b64decode(seen[0]["headers"]["Authorization"].removeprefix("Basic ")).decode()
    assert login == "elastic:" + (secrets / "engine" / "password").read_text(encoding="ascii")


def test_accounts_wait_for_a_cluster_that_is_starting(secrets: Path) -> None:
    with server(secrets, first=503) as (port, seen):
        done = make_accounts(secrets, port)
    assert (done.returncode, done.stderr) == (0, "")
    assert [request["path"] for request in seen][:2] == ["/_security/role/httpmon_logstash"] * 2
    assert json.loads(seen[4]["body"])["roles"] == ["httpmon", "kibana_admin"]


def test_accounts_without_secrets_say_so(tmp_path: Path) -> None:
    done = make_accounts(tmp_path, 1)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "No such file" in done.stderr


def test_accounts_that_are_refused_are_an_error_without_a_secret(secrets: Path) -> None:
    with server(secrets, answer=403) as (port, _):
        done = make_accounts(secrets, port)
    assert done.returncode == 1
    assert "/_security/role/httpmon_logstash: 403" in done.stderr
    assert (secrets / "engine" / "password").read_text(encoding="ascii") not in done.stderr


def run_with_secrets(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["sh", SCRIPTS / "with-secrets.sh", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_command_gets_its_secrets_and_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("s3 cret", encoding="utf-8")
    done = run_with_secrets(f"ONE={tmp_path}/one", "--", "sh", "-c", 'echo "$ONE|$1"', "sh", "a b")
    assert (done.returncode, done.stdout) == (0, "s3 cret|a b\n")


def test_a_missing_secret_or_command_is_refused(tmp_path: Path) -> None:
    done = run_with_secrets(f"ONE={tmp_path}/none", "--", "true")
    assert (done.returncode, "cannot be read" in done.stderr) == (1, True)
    assert run_with_secrets("--").returncode == 2


def opensearch(tmp_path: Path, secrets: Path, hashing: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    home = tmp_path / "opensearch"
    tool = home / "plugins" / "opensearch-security" / "tools" / "hash.sh"
    entry = home / "opensearch-docker-entrypoint.sh"
    users = home / "config" / "opensearch-security" / "internal_users.yml"
    for path, text in ((tool, hashing), (entry, '#!/bin/sh\necho "started $1"\n'), (users, "")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    environment = {**os.environ, "SECRETS": str(secrets)}
    command = ["sh", str(SCRIPTS / "opensearch.sh"), str(home)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False), users


def test_opensearch_gets_users_with_hashes_and_starts(tmp_path: Path, secrets: Path) -> None:
    import yaml

    hashing = (
        '#!/bin/sh\n[ "$1" = -env ] && eval "plain=\\$$2" && echo "a note" && echo "\\$2y\\$12\\$$plain"\n'
    )
    done, users = opensearch(tmp_path, secrets, hashing)
    assert (done.returncode, done.stdout) == (0, "started opensearch\n")
    written = yaml.safe_load(users.read_text(encoding="utf-8"))
    assert set(written) == {"_meta", "admin", "httpmon", "kibanaserver"}
    password = (secrets / "httpmon" / "password").read_text(encoding="ascii")
    assert written["httpmon"] == {"hash": f"$2y$12${password}", "reserved": True, "backend_roles": ["admin"]}
    assert written["kibanaserver"]["backend_roles"] == []


def test_opensearch_does_not_start_without_hashes(tmp_path: Path, secrets: Path) -> None:
    done, _ = opensearch(tmp_path, secrets, "#!/bin/sh\necho usage\n")
    assert done.returncode == 1
    assert "gave no hash for admin" in done.stderr


def test_traffic_asks_for_what_the_lines_tell() -> None:
    lines = (
        '192.0.2.7 - - [25/Nov/2026:06:00:00 +0000] "GET /pages/create?x=1 HTTP/1.1" 404 12 "-" "Firefox"\n'
        "no line\n"
        '192.0.2.8 - amy [25/Nov/2026:06:00:00 +0000] "POST /api HTTP/1.1" 200 12 "http://a/" "curl"\n'
    )
    with server(None) as (port, seen):
        command = [sys.executable, SCRIPTS / "traffic.py", f"http://127.0.0.1:{port}"]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    asked = [(request["method"], request["path"]) for request in seen]
    assert asked == [("GET", "/pages/create?x=1"), ("POST", "/api")]
    assert seen[0]["headers"]["X-Forwarded-For"] == "192.0.2.7"
    assert seen[0]["headers"]["X-Wanted"] == "404"
    assert seen[1]["headers"]["User-Agent"] == "curl"


def test_generated_traffic_is_understood_line_by_line() -> None:
    command = [sys.executable, "-m", "httpmon", "generate", "-", "--no-wait", "--lines", "200"]
    generated = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    with server(None) as (port, seen):
        command = [sys.executable, str(SCRIPTS / "traffic.py"), f"http://127.0.0.1:{port}"]
        done = subprocess.run(command, input=generated, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len(seen) == 200
