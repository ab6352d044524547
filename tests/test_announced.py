"""What the service manager is told of mailroute in one process."""

from __future__ import annotations

from mailroute.announced import AnnouncedService
from mailroute.config.reader import read
from tests.test_service import ServiceCase


class AnnounceTests(ServiceCase):
    """At each of the moments that sd_notify(3) has a word for."""

    def setUp(self) -> None:
        """A service that serves."""
        super().setUp()
        self.make()
        configuration = read(str(self.folder / "mailroute.toml"), environment={})
        self.service = service = AnnouncedService(configuration, self.reactor)
        self.announced: list[str] = []
        service.announce = self.announce
        self.addCleanup(self.stop_whatever_happens)
        service.startService()

    def announce(self, state: str) -> None:
        self.announced.append(state)
        if state == "ready":
            # Told before it is true, it would be of no use.
            self.client()

    def test_ready(self) -> None:
        """Ready means that a client is greeted."""
        self.assertEqual(self.announced, ["ready"])

    def test_reload(self) -> None:
        """Reloading, then ready again, also where what was read is broken."""
        self.announced.clear()
        self.service.reload()
        self.assertEqual(self.announced, ["reloading", "ready"])
        (self.folder / "routes").unlink()
        self.service.reload()
        self.assertEqual(self.announced, ["reloading", "ready"] * 2)

    def test_reload_fails(self) -> None:
        """Whatever goes wrong, the service manager does not wait for ever."""
        self.announced.clear()
        self.patch(self.service, "renew", lambda: 1 / 0)
        self.assertRaises(ZeroDivisionError, self.service.reload)
        self.assertEqual(self.announced, ["reloading", "ready"])

    def test_stop(self) -> None:
        """Stopping is told at once, not after the grace."""
        self.announced.clear()
        self.service.stopService()
        self.assertEqual(self.announced, ["stopping"])
        self.advance(120)
