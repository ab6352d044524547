"""Listening sockets.  They are only bound here, on loopback and in a folder of the test's own."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.trial.unittest import SynchronousTestCase

from mailroute.net import sockets
from mailroute.net.sockets import (
    bind_tcp,
    bind_unix,
    fault_of_source,
    listening,
    passed_by_systemd,
    reserve_tcp,
)


class SocketCase(SynchronousTestCase):
    """Everything that is bound is closed again."""

    def keep(self, bound: socket.socket) -> socket.socket:
        self.addCleanup(bound.close)
        return bound


class TCPTests(SocketCase):
    """TCP."""

    def test_both_families(self) -> None:
        """``0.0.0.0`` and ``[::]`` stand side by side at one port, in either order."""
        for first, second in (("0.0.0.0", "::"), ("::", "0.0.0.0")):
            one = bind_tcp(first, 0)
            port = one.getsockname()[1]
            other = bind_tcp(second, port)
            self.assertEqual(other.getsockname()[1], port)
            one.close()
            other.close()

    def test_listening(self) -> None:
        """It listens already, and never blocks."""
        bound = self.keep(bind_tcp("127.0.0.1", 0))
        self.assertFalse(bound.getblocking())
        self.assertEqual(bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), 1)
        self.assertFalse(bound.get_inheritable())

    def test_taken(self) -> None:
        """Two listeners at one address: the second is an error, not a silent second queue."""
        bound = self.keep(bind_tcp("127.0.0.1", 0))
        with self.assertRaises(OSError):
            bind_tcp("127.0.0.1", bound.getsockname()[1])

    def test_sources(self) -> None:
        """What this machine has can be connected from, whatever else listens there."""
        self.keep(bind_tcp("127.0.0.1", 0))
        for address in ("127.0.0.1", "127.3.2.1", "::1"):
            self.assertIsNone(fault_of_source(address))
        for address in ("192.0.2.77", "2001:db8::77"):
            self.assertEqual(fault_of_source(address), "Cannot assign requested address")

    def test_shared(self) -> None:
        """Several sockets share a port if all of them say so; they take nobody until told."""
        first = self.keep(reserve_tcp("127.0.0.1", 0, is_shared=True))
        port = first.getsockname()[1]
        second = self.keep(reserve_tcp("127.0.0.1", port, is_shared=True))
        with socket.socket() as client, self.assertRaises(ConnectionRefusedError):
            client.connect(("127.0.0.1", port))
        self.assertFalse(listening(second).getblocking())
        with self.assertRaises(OSError):
            reserve_tcp("127.0.0.1", port, is_shared=False)
        with socket.socket() as client:
            client.connect(("127.0.0.1", port))

    def test_no_such_address(self) -> None:
        """An address that is not ours."""
        with self.assertRaises(OSError):
            bind_tcp("192.0.2.1", 0)


class UnixTests(SocketCase):
    """Unix sockets."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, self.folder)
        self.path = str(self.folder / "socket")

    def test_new(self) -> None:
        """A socket in the file system, that can be connected to."""
        self.keep(bind_unix(self.path))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)

    def test_abandoned(self) -> None:
        """What a dead process left behind is replaced."""
        bind_unix(self.path).close()
        self.assertTrue(os.path.exists(self.path))
        self.test_new()

    def test_alive(self) -> None:
        """A socket at which somebody listens is not taken away."""
        self.keep(bind_unix(self.path))
        with self.assertRaises(OSError):
            bind_unix(self.path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)

    def test_busy(self) -> None:
        """Nor one whose queue is full at the moment."""
        busy = self.keep(socket.socket(socket.AF_UNIX))
        busy.bind(self.path)
        busy.listen(0)
        waiting = []
        while True:
            client = self.keep(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            waiting.append(client)
            try:
                client.connect(self.path)
            except BlockingIOError:
                break
        with self.assertRaises(OSError):
            bind_unix(self.path)
        self.assertTrue(os.path.exists(self.path))

    def test_file(self) -> None:
        """A file that is no socket is nobody's to delete."""
        Path(self.path).write_text("precious")
        with self.assertRaises(OSError):
            bind_unix(self.path)
        self.assertEqual(Path(self.path).read_text(), "precious")


class SystemdTests(SocketCase):
    """Sockets that systemd has bound."""

    def setUp(self) -> None:
        self.passed = [self.keep(socket.socket()) for _ in range(2)]
        for each in self.passed:
            each.bind(("127.0.0.1", 0))
            each.listen()
        # The two stand side by side somewhere, as systemd's stand behind descriptor 2.
        first = os.dup(self.passed[0].fileno())
        self.addCleanup(os.close, first)
        os.dup2(self.passed[1].fileno(), first + 1)
        self.addCleanup(os.close, first + 1)
        self.patch(sockets, "_FIRST_PASSED_DESCRIPTOR", first)
        self.environment = {
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": "2",
            "LISTEN_FDNAMES": "imap:imaps",
        }

    def test_by_name(self) -> None:
        """The one of this name, as a copy that may be closed."""
        for number, name in enumerate(("imap", "imaps")):
            bound = passed_by_systemd(name, self.environment)
            self.assertEqual(bound.getsockname(), self.passed[number].getsockname())
            self.assertFalse(bound.getblocking())
            self.assertFalse(bound.get_inheritable())
            bound.close()
        self.keep(passed_by_systemd("imap", self.environment))

    def test_not_passed(self) -> None:
        """Unknown names, another process' sockets, and none at all."""
        for changes in (
            {"LISTEN_FDNAMES": "pop3:pop3s"},
            {"LISTEN_FDS": "0"},
            {"LISTEN_FDS": "many"},
            {"LISTEN_PID": "1"},
        ):
            with self.assertRaises(OSError) as caught:
                passed_by_systemd("imap", {**self.environment, **changes})
            self.assertIn("systemd passed no socket named imap", str(caught.exception))
        with self.assertRaises(OSError):
            passed_by_systemd("imap", {})

    def test_after_twisted(self) -> None:
        """Twisted's plugins take number and process away; the names are what is left."""
        bound = passed_by_systemd("imaps", {"LISTEN_FDNAMES": "imap:imaps"})
        self.assertEqual(self.keep(bound).getsockname(), self.passed[1].getsockname())

    def test_no_listener(self) -> None:
        """A descriptor that is no listening socket was not passed by systemd."""
        there = sockets._FIRST_PASSED_DESCRIPTOR
        with socket.socket() as silent, open(os.devnull) as nothing:
            for other in (silent.fileno(), nothing.fileno()):
                os.dup2(other, there)
                with self.assertRaises(OSError):
                    passed_by_systemd("imap", self.environment)
