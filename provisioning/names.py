"""What every object of one installation is called.

The namespace ``default`` has the plain names; any other stands in each name, so that several installations
live side by side in one cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one installation, by its namespace."""

    namespace: str = DEFAULT_NAMESPACE

    @property
    def prefix(self) -> str:
        """What the name of each object starts with: ``httpmon`` or ``httpmon-<namespace>``."""
        return "httpmon" if self.namespace == DEFAULT_NAMESPACE else f"httpmon-{self.namespace}"

    def of(self, stem: str) -> str:
        """The full name of an object: ``of("high_traffic")`` is ``httpmon-high-traffic``."""
        return f"{self.prefix}-{stem.replace('_', '-')}"

    def role(self, stem: str) -> str:
        """The full name of a role: ``role("writer")`` is ``httpmon_writer``."""
        return f"{self.prefix}_{stem}"

    @property
    def raw(self) -> str:
        """The data stream of raw access-log documents."""
        return f"logs-httpmon.access-{self.namespace}"

    @property
    def dead(self) -> str:
        """The data stream of lines that the engine refused for good."""
        return f"logs-httpmon.dead-{self.namespace}"

    @property
    def access_pipeline(self) -> str:
        """The ingest pipeline that turns a line into a document."""
        return self.of("access")

    @property
    def sections(self) -> str:
        """The alias of the summaries by bucket and section."""
        return self.of("sections")

    @property
    def traffic(self) -> str:
        """The alias of the summaries by bucket."""
        return self.of("traffic")

    @property
    def alerts(self) -> str:
        """The alias of the alert documents."""
        return self.of("alerts")

    @property
    def operations(self) -> str:
        """The alias of what operators did about alerts: acknowledgements and silences."""
        return self.of("operations")

    @property
    def transform_store(self) -> str:
        """The scheduler's index of transform definitions and their checkpoints."""
        return f".{self.of('transforms')}"

    @property
    def watch_store(self) -> str:
        """The scheduler's index of watch definitions and their status."""
        return f".{self.of('watches')}"

    @property
    def watch_history(self) -> str:
        """The scheduler's index of what each watch run did."""
        return self.of("watch-history")
