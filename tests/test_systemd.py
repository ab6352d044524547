"""What systemd is told, at a socket that stands for it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailroute.systemd import ServiceManager


class Notifications:
    """The socket of a service manager."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.setblocking(False)

    def read(self) -> list[str]:
        """What has arrived since the last time."""
        messages = []
        while True:
            try:
                messages.append(self.sock.recv(4096).decode())
            except BlockingIOError:
                return messages


class ServiceManagerTests(SynchronousTestCase):
    """Every message is one datagram."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.address = os.path.join(self.folder, "notify")
        self.clock = Clock()

    def listen(self, address: str = "") -> Notifications:
        notifications = Notifications(address or self.address)
        self.addCleanup(notifications.sock.close)
        return notifications

    def make(self, **environment: str) -> ServiceManager:
        return ServiceManager({"NOTIFY_SOCKET": self.address, **environment}, self.clock)

    def test_words(self) -> None:
        """READY=1, RELOADING=1 with the monotonic time, STOPPING=1 (sd_notify(3))."""
        notifications, manager = self.listen(), self.make()
        manager.announce("ready")
        self.assertEqual(notifications.read(), ["READY=1"])
        manager.announce("reloading")
        (message,) = notifications.read()
        self.assertRegex(message, r"\ARELOADING=1\nMONOTONIC_USEC=\d+\Z")
        manager.announce("stopping")
        self.assertEqual(notifications.read(), ["STOPPING=1"])

    def test_abstract(self) -> None:
        """A name that begins with @ is an abstract address."""
        name = f"mailroute-test-{os.getpid()}"
        notifications = self.listen(f"\0{name}")
        self.make(NOTIFY_SOCKET=f"@{name}").announce("ready")
        self.assertEqual(notifications.read(), ["READY=1"])

    def test_watchdog(self) -> None:
        """Once ready, it is fed well within the time; a second ``ready`` feeds it no faster."""
        notifications = self.listen()
        manager = self.make(WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))
        self.clock.advance(60)
        self.assertEqual(notifications.read(), [])
        manager.announce("ready")
        manager.announce("ready")
        self.assertEqual(notifications.read(), ["READY=1", "WATCHDOG=1", "READY=1"])
        self.clock.pump([10, 10])
        self.assertEqual(notifications.read(), ["WATCHDOG=1"] * 2)
        manager.announce("stopping")
        self.clock.advance(10)
        self.assertEqual(notifications.read(), ["STOPPING=1", "WATCHDOG=1"])

    def test_no_watchdog(self) -> None:
        """Not without a time, and not with one that is meant for another process."""
        notifications = self.listen()
        for environment in (
            {},
            {"WATCHDOG_USEC": "nonsense"},
            {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        ):
            self.make(**environment).announce("ready")
            self.clock.advance(100)
            self.assertEqual(notifications.read(), ["READY=1"])

    def test_nobody(self) -> None:
        """Without systemd nothing is sent, nothing is started."""
        manager = ServiceManager({"WATCHDOG_USEC": "30000000"}, self.clock)
        manager.announce("ready")
        manager.announce("reloading")
        manager.announce("stopping")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_away(self) -> None:
        """A socket that is gone is told in the log, and nothing ends for it."""
        events: list[str] = []

        def observe(event: object) -> None:
            events.append(str(event["log_format"]).format(**event))  # type: ignore[index, call-overload]

        globalLogPublisher.addObserver(observe)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.make().announce("ready")
        self.assertEqual(len(events), 1, events)
        self.assertIn("systemd cannot be told 'READY=1'", events[0])

    def test_full(self) -> None:
        """A service manager that does not read does not stop us."""
        notifications, manager = self.listen(), self.make()
        for _ in range(2000):
            manager.announce("ready")
        self.assertIn("READY=1", notifications.read())
