"""Guards that the Kubernetes example is what Kubernetes takes, and gives httpmon what it needs only."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from cli.app import app
from provisioning.settings import environment_variable, known_names

MANIFEST = Path(__file__).parents[2] / "docs" / "kubernetes.yml"
RELEASE = "1.32"
OBJECTS = {
    f"{one['kind']}/{one['metadata']['name']}": one
    for one in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
}
WORKLOADS = ["Job/provision", "Deployment/scheduler", "DaemonSet/ship"]


def problems(objects: dict[str, Any]) -> list[str]:
    """What is wrong with the objects beside their form."""
    found = []
    variables = {environment_variable(name) for name in known_names()}
    held = {name for name, one in objects.items() if one["kind"] == "ConfigMap"}
    for name, one in objects.items():
        if one["kind"] == "ConfigMap":
            found += [f"{name}: {key} is no setting" for key in one["data"].keys() - variables]
            found += [
                f"{name} holds a secret" for key in one["data"] if "PASSWORD" in key or "API_KEY" in key
            ]
            continue
        if name not in WORKLOADS:
            continue
        template = one["spec"]["template"]
        selector = one["spec"].get("selector", {}).get("matchLabels", template["metadata"]["labels"])
        if not selector.items() <= template["metadata"]["labels"].items():
            found.append(f"{name} does not find its pods")
        volumes = {volume["name"] for volume in template["spec"]["volumes"]}
        if template["spec"].get("automountServiceAccountToken") is not False:
            found.append(f"{name} gets a token for Kubernetes")
        for container in template["spec"]["containers"]:
            for source in container["envFrom"]:
                if f"ConfigMap/{source['configMapRef']['name']}" not in held:
                    found.append(f"{name} takes settings from nowhere")
            found += [
                f"{name}: {v['name']} is no setting" for v in container["env"] if v["name"] not in variables
            ]
            found += [f"{name}: {v['name']} is written down" for v in container["env"] if "value" in v]
            found += [
                f"{name} mounts {v['name']}" for v in container["volumeMounts"] if v["name"] not in volumes
            ]
            closed = container.get("securityContext", {})
            if closed.get("capabilities", {}).get("drop") != ["ALL"] or closed.get(
                "allowPrivilegeEscalation"
            ):
                found.append(f"{name} keeps rights that it does not need")
            if not closed.get("readOnlyRootFilesystem"):
                found.append(f"{name} can write its own files")
            if "memory" not in container["resources"]["limits"]:
                found.append(f"{name} may take all memory")
            if CliRunner().invoke(app, [*container["args"], "--help"]).exit_code:
                found.append(f"{name} runs no command of httpmon's")
    return found


@pytest.mark.parametrize("name", OBJECTS)
def test_kubernetes_takes_each_object(name: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], RELEASE, strict=True)


def test_a_key_that_kubernetes_does_not_know_is_noticed() -> None:
    wrong = copy.deepcopy(OBJECTS["Deployment/scheduler"])
    wrong["spec"]["template"]["spec"]["container"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="container"):
        kubernetes_validate.validate(wrong, RELEASE, strict=True)


def test_it_gives_what_is_needed_and_no_more() -> None:
    assert set(WORKLOADS) < set(OBJECTS)
    assert problems(OBJECTS) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("HTTPMON_ENGINE_URL:", "HTTPMON_ENGINE_URI:", "HTTPMON_ENGINE_URI is no setting"),
        ("HTTPMON_NAMESPACE: default", "HTTPMON_ENGINE_PASSWORD: x", "holds a secret"),
        ("matchLabels: {app: ship}", "matchLabels: {app: shipper}", "does not find its pods"),
        ("automountServiceAccountToken: false", "automountServiceAccountToken: true", "token for Kubernetes"),
        ("configMapRef: {name: httpmon}", "configMapRef: {name: other}", "settings from nowhere"),
        ("- {name: state, hostPath", "- {name: states, hostPath", "ship mounts state"),
        ("drop: [ALL]", "drop: []", "keeps rights"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "can write its own files"),
        ("limits: {memory: 512Mi}", "limits: {cpu: 1}", "may take all memory"),
        ("args: [scheduler]", "args: [schedule]", "runs no command"),
    ],
)
def test_a_mistake_is_noticed(old: str, new: str, problem: str) -> None:
    text = MANIFEST.read_text(encoding="utf-8")
    assert old in text
    objects = {
        f"{one['kind']}/{one['metadata']['name']}": one for one in yaml.safe_load_all(text.replace(old, new))
    }
    assert problem in "; ".join(problems(objects))
