"""What is not measured, and why."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.rounds import obstacle
from benchmarks.scenarios.memory import Idle


class ObstacleTests(SynchronousTestCase):
    """A machine or a peer that cannot do it is told so, in words that help."""

    def why(self, services: tuple[str, ...], open_files: int, mib: float) -> str | None:
        """For 5,000 idle sessions over TLS."""
        peer = SimpleNamespace(services=services, mib_per_session=mib)
        running = SimpleNamespace(peer=peer, ground=SimpleNamespace(open_files=open_files))
        return obstacle(running, Idle("idle-tls", "", tls=True))  # type: ignore[arg-type]

    def test_none(self) -> None:
        """Room enough."""
        self.assertIsNone(self.why(("imaps",), 20_000, 0.001))

    def test_service(self) -> None:
        """A peer without the service."""
        self.assertEqual(self.why(("imap",), 20_000, 0.001), "it has no imaps")

    def test_open_files(self) -> None:
        """A session takes two files of the peer; the limit is told with its command."""
        self.assertIn("ulimit -Hn", self.why(("imaps",), 10_000, 0.001) or "")

    def test_memory(self) -> None:
        """A process for each session would bring a small machine down."""
        self.assertIn("MiB", self.why(("imaps",), 20_000, 1e6) or "")
