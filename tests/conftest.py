"""Fixtures that tests of more than one folder use."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.client import Engine
from engine.connection import Connection
from engine.errors import NotFound
from localnode.node import LocalNode
from provisioning.installation import provision
from provisioning.settings import EngineSettings, Settings

# A shell lets what it runs in the background ignore Ctrl-C, and that is inherited; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _given(name: str) -> str | None:
    """A variable, kept for other processes of this run under a name that httpmon does not see.

    It refuses variables named HTTPMON_* that are no settings of its own.
    """
    value = os.environ.pop(f"HTTPMON_{name}", None) or os.environ.get(name)
    if value:
        os.environ[name] = value
    return value


_ENGINE_URL = _given("TEST_ENGINE_URL")
_SHARED_FOLDER = _given("TEST_SHARED")
# Where the node of this run is, so that all the processes that run tests share it.
_NODE_FOLDER = "FOLDER_OF_THE_NODE_OF_THIS_TEST_RUN"


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder of the node, in the process that starts the others or is the only one."""
    if not _is_worker(config):
        os.environ[_NODE_FOLDER] = tempfile.mkdtemp(prefix="httpmon-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the node when the last test of all processes is over."""
    if not _is_worker(config):
        _node_of_this_run().stop()
        shutil.rmtree(os.environ.pop(_NODE_FOLDER))


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")  # as pytest-xdist's documentation tells them apart


def _node_of_this_run() -> LocalNode:
    # Port 9200 is left to the developer's own node, which need not run yet. Two test files at once, each with
    # installations of its own, are more than the usual heap bears: it answered 429.
    return LocalNode(Path(os.environ[_NODE_FOLDER]) / "node", port=29200, heap="1g")


@pytest.fixture(scope="session")
def engine_url() -> str:
    """The URL of a running engine: HTTPMON_TEST_ENGINE_URL, else a local node of this run, started once."""
    return _ENGINE_URL or _node_of_this_run().start()


@pytest.fixture(scope="session")
def engine(engine_url: str) -> Iterator[Engine]:
    with Engine(Connection(engine_url)) as client:
        yield client


@pytest.fixture
def namespace(engine: Engine) -> Iterator[str]:
    """A namespace of the test's own; whatever bears its name is removed afterwards."""
    name = f"t{uuid.uuid4().hex[:10]}"
    yield name
    remove_namespace(engine, name)


@pytest.fixture
def settings(engine_url: str, namespace: str) -> Settings:
    return Settings(namespace=namespace, engine=EngineSettings(url=engine_url))


@pytest.fixture
def provisioned(engine: Engine, settings: Settings) -> Settings:
    """The built-in pack, installed in the test's namespace."""
    provision(engine, settings)
    return settings


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of shared material beside the checkout; tests that need it are skipped without it."""
    folder = Path(_SHARED_FOLDER or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    return folder


def remove_namespace(engine: Engine, namespace: str) -> None:
    """Remove every object and index of a namespace, in the order in which they depend on each other."""
    prefix = f"httpmon-{namespace}"
    hidden_too = {"ignore_unavailable": True, "expand_wildcards": "open,hidden"}
    engine.request("DELETE", f"/_data_stream/logs-httpmon.*-{namespace}")
    # By their names: Elasticsearch 8 refuses to delete by a pattern.
    for index in engine.request("GET", f"/{prefix}-*,.{prefix}-*/_alias", params=hidden_too):
        engine.request("DELETE", f"/{index}")
    for kind in ("_index_template", "_component_template", "_ingest/pipeline"):
        # OpenSearch answers 404 to a pattern that matches nothing; Elasticsearch does not.
        with contextlib.suppress(NotFound):
            engine.request("DELETE", f"/{kind}/{prefix}-*")
    listed = engine.request(
        "GET", "/_cluster/state/metadata", params={"filter_path": "metadata.stored_scripts"}
    )
    for script in listed.get("metadata", {}).get("stored_scripts") or {}:
        if script.startswith(f"{prefix}-"):
            engine.request("DELETE", f"/_scripts/{script}")
