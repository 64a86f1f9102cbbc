"""Guards that an engine on which numbers could be wrong is refused with the reason."""

from __future__ import annotations

import pytest

from engine.capabilities import assumed_capabilities
from engine.errors import EngineTooOld
from provisioning.minimum import refuse_old


@pytest.mark.parametrize(
    "engine", ["elasticsearch:8.10.0", "elasticsearch:9.2", "opensearch:2.19", "opensearch:3.8.0"]
)
def test_supported_engines_pass(engine: str) -> None:
    refuse_old(assumed_capabilities(engine))


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("elasticsearch:8.9.2", "elasticsearch 8.9.2 is older than 8.10: transforms of earlier versions"),
        ("elasticsearch:7.17", "elasticsearch 7.17 is older than 8.10"),
        ("opensearch:2.18.0", "opensearch 2.18.0 is older than 2.19"),
    ],
)
def test_older_ones_are_refused_with_the_reason_and_the_way_out(engine: str, message: str) -> None:
    with pytest.raises(EngineTooOld) as caught:
        refuse_old(assumed_capabilities(engine))
    assert str(caught.value).startswith(message)
    assert "--allow-old" in str(caught.value)
