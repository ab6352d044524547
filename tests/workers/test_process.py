"""Starting workers: what they inherit, and what they do not."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailroute.workers.link import LOG_DESCRIPTOR, ORDERS_DESCRIPTOR
from mailroute.workers.orders import Orders
from mailroute.workers.process import CHECK_SECONDS, Launcher, words_of_end
from tests.support.local_reactor import open_descriptors


class FakeTransport:
    """A process that was never started."""

    pid = 4711

    def __init__(self) -> None:
        self.signals: list[str] = []

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)


class SpawningReactor(Clock):
    """Remembers what was to be started, and looks at what it would inherit."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted: list[Any] = []

    def spawnProcess(
        self, protocol: Any, executable: str, argv: list[str], env: Any, childFDs: Any
    ) -> Any:
        self.argv, self.env, self.descriptors = argv, env, childFDs
        self.orders = Orders.unseal(childFDs[ORDERS_DESCRIPTOR])
        self.inherited = {
            number: os.fstat(there).st_ino
            for number, there in childFDs.items()
            if isinstance(there, int)
        }
        protocol.transport = FakeTransport()
        return protocol.transport

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Any) -> None:
        self.adopted.append((descriptor, family))


class LauncherCase(SynchronousTestCase):
    """Without a process."""

    def setUp(self) -> None:
        self.reactor = SpawningReactor()
        self.log: int | None = None
        self.tally = os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, self.tally)
        environment = {"PATH": "/bin", "LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "x"}
        environment |= {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_PID": "1", "WATCHDOG_USEC": "9"}
        self.launcher = Launcher(self.reactor, environment, self.tally, lambda: self.log)
        self.sockets = [socket.socket() for _ in range(3)]
        for each in self.sockets:
            self.addCleanup(each.close)
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)


class LauncherTests(LauncherCase):
    """A worker."""

    def launch(self) -> Any:
        orders = Orders("/etc/x.toml", "text", index=1, workers=2)
        return self.launcher.launch(orders, [self.sockets[:2], self.sockets[2:]])

    def test_sockets(self) -> None:
        """Its orders name the descriptors under which it finds the sockets of each place."""
        self.launch()
        self.assertEqual(self.reactor.orders.sockets, [[7, 8], [9]])
        for number, each in zip((7, 8, 9), self.sockets, strict=True):
            self.assertEqual(self.reactor.inherited[number], os.fstat(each.fileno()).st_ino)

    def test_log(self) -> None:
        """The log's file is inherited where there is one."""
        self.launch()
        self.assertNotIn(LOG_DESCRIPTOR, self.reactor.inherited)
        self.log = self.tally
        self.launch()
        self.assertEqual(self.reactor.inherited[LOG_DESCRIPTOR], os.fstat(self.tally).st_ino)

    def test_nothing_is_left(self) -> None:
        """The supervisor keeps none of the descriptors that are the child's."""
        before = open_descriptors()
        self.launch()
        self.assertEqual(open_descriptors(), before)

    def test_command(self) -> None:
        """The interpreter of the supervisor; ``ps`` shows the slot; no module of the folder."""
        self.launch()
        expected = [sys.executable, "-P", "-m", "mailroute.worker", "slot", "2/2"]
        self.assertEqual(self.reactor.argv, expected)

    def test_environment(self) -> None:
        """What systemd said to the supervisor is not for its children."""
        self.launch()
        self.assertEqual(self.reactor.env, {"PATH": "/bin"})

    def test_end(self) -> None:
        """Its end is told in words."""
        worker = self.launch()
        worker.processEnded(Failure(ProcessTerminated(signal=signal.SIGSEGV)))
        self.assertEqual(self.successResultOf(worker.ended), "signal SIGSEGV")
        self.assertEqual(words_of_end(ProcessTerminated(exitCode=3)), "exit status 3")
        self.assertEqual(words_of_end(ProcessDone(0)), "exit status 0")

    def test_words(self) -> None:
        """What it says past the log comes into the supervisor's, bounded."""
        worker = self.launch()
        worker.childDataReceived(2, b"ImportError: no module\n" + b"x" * 100_000)
        worker.childDataReceived(2, b"\n")
        (event,) = [e for e in self.events if e["log_namespace"] == "mailroute.workers"]
        self.assertEqual((event["slot"], event["pid"]), ("2/2", 4711))
        self.assertTrue(event["text"].startswith("ImportError"))
        self.assertLess(len(event["text"]), 10_000)

    def test_cover(self) -> None:
        """A socket is lent as a copy, which is closed when it has arrived."""
        worker, before = self.launch(), open_descriptors()
        sent: list[dict[str, Any]] = []
        arrived: Deferred[None] = Deferred()
        self.patch(worker._link, "order", lambda _, **given: sent.append(given) or arrived)
        worker.cover(1, "imap", self.sockets[0])
        (given,) = sent
        self.assertEqual((given["slot"], given["listener"]), (1, "imap"))
        self.assertNotEqual(given["lent"], self.sockets[0].fileno())
        self.assertTrue(os.path.sameopenfile(given["lent"], self.sockets[0].fileno()))
        arrived.callback(None)
        self.assertEqual(open_descriptors(), before)

    def test_renewed(self) -> None:
        """What was done is passed on; no answer is no words."""
        worker = self.launch()
        answers: list[dict[str, Any]] = [{"done": "cache dropped"}, {"done": None}, {}]
        self.patch(worker._link, "ask", lambda _: succeed(answers.pop(0)))
        told = [self.successResultOf(worker.renew()) for _ in range(3)]
        self.assertEqual(told, ["cache dropped", "", ""])

    def test_kill(self) -> None:
        """For one that does not end."""
        worker = self.launch()
        worker.kill()
        self.assertEqual(worker.transport.signals, ["KILL"])


class CheckTests(LauncherCase):
    """A process that checks a configuration."""

    def check(self) -> tuple[Any, Any]:
        done: list[Any] = []
        protocols: list[Any] = []
        spawn = self.reactor.spawnProcess

        def remember(protocol: Any, *args: Any, **kwargs: Any) -> Any:
            protocols.append(protocol)
            return spawn(protocol, *args, **kwargs)

        self.patch(self.reactor, "spawnProcess", remember)
        done.append(self.launcher.check("/etc/x.toml", "text"))
        return done[0], protocols[0]

    def test_said(self) -> None:
        """Its words, and how it ended with the last line of its complaints."""
        done, process = self.check()
        self.assertEqual(self.reactor.orders, Orders("/etc/x.toml", "text", sockets=[]))
        self.assertEqual(self.reactor.argv[-1], "check")
        for piece in (b'{"a"', b": 1}\n"):
            process.childDataReceived(1, piece)
        process.childDataReceived(2, b"Traceback\n  ...\nImportError: x\n")
        process.processEnded(Failure(ProcessTerminated(exitCode=1)))
        self.assertEqual(self.successResultOf(done), ('{"a": 1}\n', "exit status 1 ImportError: x"))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_too_long(self) -> None:
        """One that takes too long is ended; that it was killed is not the reason to be told."""
        done, process = self.check()
        self.reactor.advance(CHECK_SECONDS)
        self.assertEqual(process.transport.signals, ["KILL"])
        process.processEnded(Failure(ProcessTerminated(signal=9)))
        self.assertIn("longer than 60 s", self.successResultOf(done)[1])
