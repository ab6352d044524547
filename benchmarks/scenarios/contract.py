"""What a scenario is."""

from __future__ import annotations

from typing import Protocol

from benchmarks.observing import Measurement
from benchmarks.running import RunningPeer


class Scenario(Protocol):
    """Something that can be measured with any peer that has the service."""

    @property
    def name(self) -> str:
        """As it is chosen on the command line."""

    @property
    def title(self) -> str:
        """As it stands in a table."""

    @property
    def sessions(self) -> int:
        """The most sessions that are open at the same time."""

    def service(self) -> str:
        """The service that a peer must have."""

    def measure(self, running: RunningPeer, effort: float) -> Measurement:
        """Run it once; effort below 1 asks for so much less work.  Raises LoadFailed."""
