"""Fixtures of the tests that run on a real engine."""

from __future__ import annotations

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from tests.node.summaries import install_summaries


@pytest.fixture
def installed(engine: Engine, settings: Settings) -> Settings:
    """The raw data stream, the summaries and their transforms, without the rest of the pack."""
    install_summaries(engine, settings)
    return settings
