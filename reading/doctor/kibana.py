"""What is wrong with Kibana, where one is set. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from reading.doctor.facts import Findable
from reading.doctor.finding import Finding
from reading.doctor.remedies import Remedies
from reading.installation import KibanaState
from reading.printable import some_of

Level = Literal["broken", "degraded"]


def kibana_findings(findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    """Findings about Kibana: that it cannot be asked, or which of its objects are not as they should be."""
    kibana = findable.kibana
    if kibana is None:
        return
    # Where Kibana runs the rules, nobody is alerted without it; else only pictures are missing.
    runs_rules = findable.installation is not None and findable.installation.watches_by == "kibana"
    level: Level = "broken" if runs_rules else "degraded"
    if kibana.trouble:
        yield _obstacle(kibana, level, remedies)
        return
    if kibana.missing:
        yield Finding(
            "kibana-missing",
            level,
            f"missing in Kibana: {some_of(kibana.missing)}",
            "kibana.url was set after the last provision, somebody deleted them, or another space was meant",
            (remedies.httpmon("provision"),),
        )
    if kibana.changed:
        yield Finding(
            "kibana-changed",
            "degraded",
            f"not as rendered in Kibana: {some_of(kibana.changed)}",
            "another version of httpmon or other settings made them, or somebody saved them in Kibana",
            (remedies.httpmon("provision", "--check", "--diff"), remedies.httpmon("provision")),
        )


def _obstacle(kibana: KibanaState, level: Level, remedies: Remedies) -> Finding:
    show = remedies.httpmon("config", "show")
    if kibana.obstacle == "not_permitted":
        return Finding(
            "kibana-refused",
            level,
            kibana.trouble,
            "kibana.username and kibana.password, or kibana.api_key, are an account of their own: the "
            "engine's is not used there",
            (show, remedies.ask_kibana("/api/spaces/space")),
        )
    if kibana.obstacle == "misdirected":
        return Finding(
            "kibana-elsewhere",
            level,
            kibana.trouble,
            "kibana.url or kibana.space names something else than it should, or a proxy answers in its place",
            (show, remedies.ask_kibana("/api/spaces/space")),
        )
    return Finding(
        "kibana-unreachable",
        level,
        kibana.trouble,
        "Kibana does not run, still starts, listens elsewhere, or something on the way keeps connections "
        "out; without kibana.url nothing is done there, nor asked",
        (show, remedies.ask_kibana("/api/status")),
    )
