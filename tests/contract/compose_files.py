"""Reads Compose files as Compose does, as far as ours need it: `extends` and one file on top of another."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "compose"
STACKS = {
    "elasticsearch": ("docker-compose.yml",),
    "cluster": ("docker-compose.yml", "cluster.yml"),
    "opensearch": ("opensearch.yml",),
}

# $$ is an escaped dollar sign; ${NAME}, ${NAME:-default}, ${NAME:?refusal}.
VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<text>[^}]*))?\}|(?P<bad>.?))"
)


def merged(below: Any, above: Any) -> Any:
    """One definition on top of another: mappings merge, lists add up, the rest is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        answer = dict(below)
        for key, value in above.items():
            # A command or entry point is one value, though it is written as a list.
            whole = key in ("command", "entrypoint", "test")
            answer[key] = merged(below[key], value) if key in below and not whole else value
        return answer
    if isinstance(below, list) and isinstance(above, list):
        return below + [item for item in above if item not in below]
    return above


def extended(services: dict[str, Any], name: str, read: Any) -> dict[str, Any]:
    """A service with what it extends."""
    service = dict(services[name])
    base = service.pop("extends", None)
    if base is None:
        return service
    if isinstance(base, str):
        return merged(extended(services, base, read), service)  # type: ignore[no-any-return]
    return merged(extended(read(base["file"])["services"], base["service"], read), service)  # type: ignore[no-any-return]


def stack(texts: dict[str, str], files: tuple[str, ...]) -> dict[str, Any]:
    """The files of one stack as one."""

    def read(name: str) -> Any:
        return yaml.safe_load(texts[name])

    answer: dict[str, Any] = {}
    for file in files:
        content = read(file)
        content["services"] = {
            name: extended(content["services"], name, read) for name in content["services"]
        }
        answer = merged(answer, content)
    return answer


def texts() -> dict[str, str]:
    """All Compose files, by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yml")}


def variables() -> dict[str, str]:
    """What .env.example sets."""
    lines = (FOLDER / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def problems_of_variables(text: str, example: dict[str, str]) -> list[str]:
    """What would make Compose stop or warn, or differ from what .env.example says."""
    found = []
    for match in VARIABLE.finditer(
        "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    ):
        name, operator, default = match["name"], match["operator"], match["text"]
        if match["escaped"]:
            continue
        if name is None:
            found.append(f"a lone $ before {match['bad']!r}")
        elif operator is None:
            found.append(f"{name} has neither default nor refusal")
        elif operator == ":-" and example.get(name) != default:
            found.append(f"{name} is {default} here and {example.get(name)} in .env.example")
    return found


def problems(content: dict[str, Any], folder: Path = FOLDER) -> list[str]:
    """What is wrong with a stack: missing names, doors that stand open, rights that are not needed."""
    found = []
    services, volumes = content["services"], content.get("volumes", {})
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if other not in services:
                found.append(f"{name} waits for {other}, which is not there")
            elif how["condition"] == "service_healthy" and "healthcheck" not in services[other]:
                found.append(f"{name} waits for the health of {other}, which has none")
            elif (
                how["condition"] == "service_completed_successfully"
                and services[other]["restart"] == "unless-stopped"
            ):
                found.append(f"{name} waits for the end of {other}, which is started again for ever")
        closed = r"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+"
        ports = [port for port in service.get("ports", []) if not re.fullmatch(closed, port)]
        found += [f"{name} is published as {port}" for port in ports]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                if not (folder / source).exists():
                    found.append(f"{name} mounts {source}, which is not there")
            elif source not in volumes:
                found.append(f"{name} mounts the volume {source}, which is not declared")
        if not re.search(
            r":\$\{\w+_VERSION:-[^}]+\}$|^\$\{HTTPMON_IMAGE:-[^}]+\}$", service.get("image", "")
        ):
            found.append(f"{name} has the image {service.get('image')}, of no version")
        if service.get("cap_drop") != ["ALL"] or "no-new-privileges:true" not in service.get(
            "security_opt", []
        ):
            found.append(f"{name} keeps rights that it does not need")
        if service.get("user", "0").split(":")[0] in ("0", "root"):
            found.append(f"{name} runs as root")
        if service.get("privileged") or service.get("network_mode") == "host":
            found.append(f"{name} leaves its container")
        if "mem_limit" not in service:
            found.append(f"{name} may take all memory")
        for key, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD$|SECRET|API_KEY|_KEY$", key) and "/" not in str(value):
                found.append(f"{name} has a secret in {key}")
    return found
