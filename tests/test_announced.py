"""What the service manager is told of mailroute in one process."""

from __future__ import annotations

from twisted.internet.defer import Deferred

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
        self.reload()
        self.assertEqual(self.announced, ["reloading", "ready"])
        (self.folder / "routes").unlink()
        self.reload()
        self.assertEqual(self.announced, ["reloading", "ready"] * 2)

    def test_changed_configuration(self) -> None:
        """It is not read, and whoever has changed it is told so; out of reach it is no matter."""
        path = self.folder / "mailroute.toml"
        self.service.text = path.read_text()
        self.reload()
        self.assertEqual(self.said("warn"), [])
        path.write_text("other words")
        self.reload()
        (warning,) = self.said("warn")
        self.assertIn("mailroute.toml has changed: with one worker it takes a restart", warning)
        path.unlink()
        self.reload()
        self.assertEqual(len(self.said("warn")), 1)

    def reload(self) -> None:
        """Read the files, whose contents come from a thread."""
        reloaded = self.service.reload()
        self.settle()
        self.successResultOf(reloaded)

    def test_reload_fails(self) -> None:
        """Whatever goes wrong, the service manager does not wait for ever."""
        self.announced.clear()

        async def fail() -> str:
            raise ZeroDivisionError

        self.patch(self.service, "renew", fail)
        self.service.reload()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.announced, ["reloading", "ready"])

    def test_stopped_meanwhile(self) -> None:
        """A service that was told to stop while it reads its files does not say ready again."""
        reading: Deferred[str] = Deferred()

        async def renew() -> str:
            return await reading

        self.announced.clear()
        self.patch(self.service, "renew", renew)
        self.service.reload()
        self.service.stopService()
        reading.callback("")
        self.assertEqual(self.announced, ["reloading", "stopping"])
        self.advance(120)

    def test_stop(self) -> None:
        """Stopping is told at once, not after the grace."""
        self.announced.clear()
        self.service.stopService()
        self.assertEqual(self.announced, ["stopping"])
        self.advance(120)
