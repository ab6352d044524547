"""From the configuration to the supervisor."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailroute import supervision
from mailroute.config.model import Configuration
from mailroute.errors import ConfigurationError
from mailroute.supervision import NodeLog, make_plan, make_supervisor
from mailroute.workers.orders import LogChoice, Orders
from mailroute.workers.plan import Place
from tests.config.reading import ConfigurationCase

LISTENERS = """
[listener.imap]
protocol = "imap"
bind = ["127.0.0.1:0", "127.0.0.1:0", "unix:/run/imap"]
tls = "starttls"
[listener.pop3]
protocol = "pop3"
bind = ["[::1]:110"]
tls = "starttls"
"""


class SupervisionCase(ConfigurationCase):
    """A configuration with several listeners."""

    def configured(self, server: str = "workers = 3\n", **sections: str) -> Configuration:
        sections = {"listener": LISTENERS, **sections}
        return self.read_sections(server=f'[server]\nhostname = "x"\n{server}', **sections)


class PlanTests(SupervisionCase):
    """What the supervisor is told."""

    def test_places(self) -> None:
        """In the configuration's order; any free port is another one each time."""
        plan = make_plan(self.configured('workers = 3\nshutdown_grace = "7s"'), "text")
        self.assertEqual((plan.workers, plan.grace_seconds), (3, 7.0))
        expected = [
            Place("tcp", "127.0.0.1", 0, 0),
            Place("tcp", "127.0.0.1", 0, 1),
            Place("unix", "/run/imap"),
            Place("tcp", "::1", 110),
        ]
        self.assertEqual(list(plan.places), expected)
        self.assertEqual(plan.listeners, ("imap", "imap", "imap", "pop3"))

    def test_count(self) -> None:
        """0: one for each CPU that we may use."""
        self.patch(os, "sched_getaffinity", lambda pid: {0, 3, 4, 5})
        self.assertEqual(make_plan(self.configured("workers = 0"), "").workers, 4)

    def test_fingerprint(self) -> None:
        """What needs new workers: another text, certificate, key, trust; not the mapping."""
        trust = (
            '[destination.east]\nhost = "east.example.org"\ntls_ca_file = "ca.pem"\n'
            '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'
        )
        self.write("ca.pem", "authority")
        configuration = self.configured(destination=trust)
        seen = [make_plan(configuration, "text").fingerprint]
        self.assertEqual(make_plan(configuration, "text").fingerprint, seen[0])
        self.write("routes.db", "another mapping")
        self.assertEqual(make_plan(configuration, "text").fingerprint, seen[0])
        seen.append(make_plan(configuration, "another text").fingerprint)
        for name in ("chain.pem", "key.pem", "ca.pem"):
            self.write(name, "new")
            seen.append(make_plan(configuration, "text").fingerprint)
        os.unlink(os.path.join(self.folder, "key.pem"))
        seen.append(make_plan(configuration, "text").fingerprint)
        self.assertEqual(len(set(seen)), len(seen))


class RunningClock(Clock):
    """A reactor's clock."""

    def callWhenRunning(self, call: Any) -> None:
        call()


class FakeLauncher:
    """Starts nothing; remembers orders."""

    def __init__(self, *args: object) -> None:
        self.orders: list[Orders] = []
        self.workers: list[Any] = []
        self.is_short = False
        self.said = ("", "exit status 0")

    def launch(self, orders: Orders, sockets: list[list[socket.socket]]) -> Any:
        if self.is_short:
            raise OSError(11, "Resource temporarily unavailable")
        self.orders.append(orders)
        self.workers.append(
            type("Worker", (), {"pid": 1, "ready": Deferred(), "ended": Deferred()})
        )
        self.sockets = sockets
        return self.workers[-1]

    def check(self, path: str, text: str) -> Deferred[tuple[str, str]]:
        self.checked = (path, text)
        return succeed(self.said)


class SupervisorTests(SupervisionCase):
    """What the supervisor works with."""

    def setUp(self) -> None:
        super().setUp()
        self.launcher = FakeLauncher()
        self.patch(supervision, "Launcher", lambda *args: self.launcher)
        listener = LISTENERS.partition("[listener.pop3]")[0]
        listener = listener.replace("/run/imap", os.path.join(self.folder, "imap"))
        self.configuration = self.configured("workers = 2", listener=listener)
        log = NodeLog(LogChoice("syslog", "front"), lambda: 9, lambda: None)
        self.service = make_supervisor(self.configuration, "the text", log, RunningClock())
        self.means = self.service._means
        self.edition = self.service._present.edition
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def test_launched(self) -> None:
        """Each worker has a row of its own, for as long as it lives, and the whole text."""
        self.service._places.reserve(self.edition.plan)
        self.addCleanup(self.service._places.close)
        for index in (0, 1):
            self.means.launch(self.edition, index)
        first, second = self.launcher.orders
        self.assertEqual((first.path, first.text), (self.configuration.path, "the text"))
        self.assertEqual(
            [(o.index, o.workers, o.row) for o in (first, second)], [(0, 2, 0), (1, 2, 1)]
        )
        self.assertEqual(first.columns, {"imap": 0})
        self.assertEqual(first.log, LogChoice("syslog", "front"))
        self.assertEqual([len(place) for place in self.launcher.sockets], [1, 1, 1])
        ended = self.launcher.workers[0].ended
        ended.callback("signal SIGKILL")
        self.assertEqual(self.successResultOf(ended), "signal SIGKILL")
        self.means.launch(self.edition, 0)
        self.assertEqual(self.launcher.orders[-1].row, 0)

    def test_not_launched(self) -> None:
        """Where no process can be had, its row is given back."""
        self.launcher.is_short = True
        self.assertRaises(OSError, self.means.launch, self.edition, 0)
        self.launcher.is_short = False
        self.means.launch(self.edition, 0)
        self.assertEqual(self.launcher.orders[-1].row, 0)

    def test_log(self) -> None:
        """Workers are given the file that was opened anew."""
        self.assertEqual(self.means.reopen_log(), 9)

    def verdict(self, said: str, end: str = "exit status 0") -> Any:
        self.launcher.said = (said, end)
        return Deferred.fromCoroutine(self.means.check("new text"))  # type: ignore[arg-type]

    def test_checked(self) -> None:
        """A good configuration is a plan; its warnings are logged."""
        said = json.dumps({"plan": self.edition.plan.to_json(), "warnings": ["mind the gap"]})
        self.assertEqual(self.successResultOf(self.verdict(said)), self.edition.plan)
        self.assertEqual(self.launcher.checked, (self.configuration.path, "new text"))
        self.assertEqual([e["text"] for e in self.events if "text" in e], ["mind the gap"])

    def test_complaints(self) -> None:
        """A bad one is its complaints; code that cannot run says how it ended."""
        failure = self.failureResultOf(self.verdict('{"complaints": ["a", "b"]}'))
        failure.trap(ConfigurationError)
        self.assertEqual(failure.value.complaints, ["a", "b"])
        for said in ("", "nonsense", "{}", '{"plan": "{}"}'):
            failure = self.failureResultOf(self.verdict(said, "exit status 1 ImportError"))
            failure.trap(ConfigurationError)
            self.assertIn("exit status 1 ImportError", failure.value.complaints[0])
