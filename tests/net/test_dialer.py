"""Dialling: addresses at once, names when they resolve, each for a bounded time.

What takes a listening socket takes one of the loopback's; silence and refusals need none.
"""

from __future__ import annotations

import errno
import gc
import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure as Caught
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.net import dialer
from mailroute.net.dialer import PATIENCE_SECONDS, Attempt, Dialer
from mailroute.net.own_places import OwnPlaces
from tests.support.local_reactor import open_descriptors
from tests.support.loop import Loop, Recorder

SECONDS = 10.0
NAME = "mail.example"


class Resolver:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.receivers: list[Any] = []

    def resolveHostName(self, receiver: Any, host: str) -> None:
        """See IHostnameResolver."""
        self.asked.append(host)
        receiver.resolutionBegan(self)
        self.receivers.append(receiver)

    def answer(self, *hosts: str) -> None:
        """The addresses of the name asked for last."""
        for host in hosts:
            kind = IPv6Address if ":" in host else IPv4Address
            self.receivers[-1].addressResolved(kind("TCP", host, 0))
        self.receivers[-1].resolutionComplete()


class Unanswered:
    """A socket whose connection is never made: one side of a pair that has no room left."""

    def __init__(self, places: list[str], silent: dict[str, int], at_once: dict[str, int]) -> None:
        """``silent``: why an address fails, 0 never; ``at_once``: what it answers immediately."""
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._places = places
        self._silent = silent
        self._at_once = at_once
        self._code = 0

    def connect_ex(self, place: Any) -> int:
        """Begin."""
        self._places.append(place[0])
        if place[0] in self._at_once:
            return self._at_once[place[0]]
        self._code = self._silent[place[0]]
        while not self._code:
            try:
                self._near.send(bytes(1 << 16))
            except BlockingIOError:
                break
        return errno.EINPROGRESS

    def getsockopt(self, level: int, option: int) -> int:
        """Why it failed."""
        return self._code

    def fileno(self) -> int:
        """The descriptor."""
        return self._near.fileno()

    def close(self) -> None:
        """Give the descriptors back."""
        self._near.close()
        self._far.close()


class DialerCase(SynchronousTestCase):
    """A dialer driven by hand; every descriptor is to come back."""

    def setUp(self) -> None:
        # An earlier test's sockets must not leave the books of this one.
        gc.collect()
        self.before = open_descriptors()
        self.loop = Loop()
        self.addCleanup(self.loop.close)
        self.resolver = Resolver()
        self.loop.reactor.nameResolver = self.resolver  # type: ignore[attr-defined]
        self.dialer = Dialer(self.loop.reactor, self.loop.reactor, self.loop.poller)
        self.opened = open_descriptors() - self.before
        self.made: list[Recorder] = []

    def dial(
        self, host: str, port: int = 143, seconds: float = SECONDS, sources: tuple[str, ...] = ()
    ) -> Deferred[Recorder]:
        return Deferred.fromCoroutine(self.dialer.dial(host, port, self.make, seconds, sources))

    def make(self) -> Recorder:
        self.made.append(Recorder())
        return self.made[-1]

    def advance(self, seconds: float) -> None:
        self.loop.reactor.advance(seconds)
        self.loop.turn()

    def failed(self, asked: Deferred[Recorder]) -> str:
        """It is unreachable: nothing is left; returns why."""
        caught: Caught = self.failureResultOf(asked, Failure)
        assert isinstance(caught.value, Failure)
        self.assertIs(caught.value.kind, FailureKind.BACKEND_UNREACHABLE)
        self.assertEqual(self.made, [])
        self.assert_quiet()
        return caught.value.reason

    def assert_quiet(self) -> None:
        """No call is planned, nothing is watched, every descriptor is back."""
        self.assertEqual(self.loop.reactor.getDelayedCalls(), [])
        self.assertEqual(self.loop.poller.watched, [])
        self.assertEqual(open_descriptors() - self.before, self.opened)


class LoopTests(DialerCase):
    """Listeners of our own are no backends."""

    def setUp(self) -> None:
        super().setUp()
        own = OwnPlaces([("0.0.0.0", 143), ("::1", 993)], self.loop.reactor)
        self.dialer = Dialer(self.loop.reactor, self.loop.reactor, self.loop.poller, own)

    def loops(self, asked: Deferred[Recorder], place: str) -> None:
        caught: Caught = self.failureResultOf(asked, Failure)
        assert isinstance(caught.value, Failure)
        self.assertIs(caught.value.kind, FailureKind.DESTINATION_UNKNOWN)
        self.assertIn(f"{place}: this is a listener of ours", caught.value.reason)
        self.assertEqual(self.made, [])
        self.assert_quiet()

    def test_refused(self) -> None:
        """Not a byte is sent there: it would come back as a client of ours."""
        self.loops(self.dial("127.0.0.1"), "127.0.0.1:143")
        self.loops(self.dial("::1", 993), "[::1]:993")

    def test_name(self) -> None:
        """A name that leads to us is no better."""
        asked = self.dial(NAME)
        self.resolver.answer("127.0.0.1")
        self.loops(asked, "127.0.0.1:143")


class ListeningCase(DialerCase):
    """Somebody listens."""

    def setUp(self) -> None:
        super().setUp()
        self.listening = self.listen(socket.AF_INET, "127.0.0.1")
        self.port: int = self.listening.getsockname()[1]

    def listen(self, family: int, address: str, port: int = 0) -> socket.socket:
        sock = socket.socket(family)
        self.addCleanup(sock.close)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen()
        sock.setblocking(False)
        self.opened.add(sock.fileno())
        return sock

    def accept(self, listening: socket.socket | None = None) -> socket.socket:
        sock, _ = (listening or self.listening).accept()
        self.addCleanup(sock.close)
        return sock

    def connected(self, asked: Deferred[Recorder]) -> Recorder:
        """It stands, and carries bytes both ways."""
        self.loop.until(lambda: bool(self.made))
        protocol = self.successResultOf(asked)
        self.assertEqual(self.made, [protocol])
        return protocol


class ListeningTests(ListeningCase):
    """Connections that are made, and those that are not."""

    def test_address(self) -> None:
        """An address is dialled without asking anybody, and carries bytes both ways."""
        asked = self.dial("127.0.0.1", self.port)
        protocol = self.connected(asked)
        self.assertEqual(self.resolver.asked, [])
        other = self.accept()
        other.send(b"* OK\r\n")
        self.loop.until(lambda: protocol.heard == b"* OK\r\n")
        protocol.transport.write(b"a LOGIN\r\n")
        self.assertEqual(other.recv(100), b"a LOGIN\r\n")
        self.assertEqual(self.loop.reactor.getDelayedCalls(), [])

    def test_greeting_before_we_look(self) -> None:
        """A greeting that came with the connection itself is read, though no edge follows."""
        asked = self.dial("127.0.0.1", self.port)
        self.accept().send(b"* OK\r\n")
        protocol = self.connected(asked)
        self.loop.until(lambda: protocol.heard == b"* OK\r\n")

    def test_manners(self) -> None:
        """Small writes leave at once, and a silent connection is probed."""
        sock = self.connected(self.dial("127.0.0.1", self.port)).transport.getHandle()
        self.assertTrue(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        self.assertFalse(sock.get_inheritable())

    def test_name(self) -> None:
        """A name is dialled where it resolves to."""
        asked = self.dial(NAME, self.port)
        self.loop.turn()
        self.assertNoResult(asked)
        self.assertEqual(self.resolver.asked, [NAME])
        self.resolver.answer("127.0.0.1")
        self.connected(asked)

    def test_both_families(self) -> None:
        """An IPv6 address that refuses is followed by the IPv4 address behind it."""
        asked = self.dial(NAME, self.port)
        self.resolver.answer("::1", "127.0.0.1")
        self.connected(asked)
        self.accept()

    def test_no_socket_for_a_family(self) -> None:
        """Where the kernel has no IPv6, an address of it is one that cannot be reached."""
        make = dialer._new_socket

        def without_v6(is_v6: bool) -> socket.socket:
            if is_v6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            return make(is_v6)

        self.patch(dialer, "_new_socket", without_v6)
        asked = self.dial(NAME, self.port)
        self.resolver.answer("::1", "127.0.0.1")
        self.connected(asked)
        self.accept()

    def test_no_descriptor_left(self) -> None:
        """It is a backend that cannot be reached for now, and no defect of ours."""

        def exhausted(is_v6: bool) -> socket.socket:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        self.patch(dialer, "_new_socket", exhausted)
        asked = self.dial("127.0.0.1", self.port)
        self.assertEqual(self.failed(asked), f"127.0.0.1:{self.port}: Too many open files")

    def test_interface_that_is_not_there(self) -> None:
        """A link-local address names its interface, which only the kernel knows."""
        asked = self.dial("fe80::1%nowhere", self.port)
        self.assertIn(f"[fe80::1%nowhere]:{self.port}: ", self.failed(asked))

    def test_resolvers_order(self) -> None:
        """The resolver's first address is taken, whatever its family."""
        sixth = self.listen(socket.AF_INET6, "::1", self.port)
        asked = self.dial(NAME, self.port)
        self.resolver.answer("::1", "127.0.0.1")
        self.connected(asked)
        self.accept(sixth)
        self.assertRaises(BlockingIOError, self.listening.accept)

    def test_refused(self) -> None:
        """The reason names the address and the kernel's words."""
        self.listening.close()
        self.opened = open_descriptors() - self.before
        asked = self.dial("127.0.0.1", self.port)
        self.loop.turn()
        self.assertEqual(self.failed(asked), f"127.0.0.1:{self.port}: Connection refused")

    def test_protocol_that_cannot_be_made(self) -> None:
        """The connection is given back, and the defect is told."""

        def fail() -> Recorder:
            raise ZeroDivisionError

        asked = Deferred.fromCoroutine(self.dialer.dial("127.0.0.1", self.port, fail, SECONDS))
        self.loop.turn()
        self.failureResultOf(asked, ZeroDivisionError)
        self.assert_quiet()

    def test_cancelled(self) -> None:
        """Whoever leaves before the connection stands gives the descriptor back."""
        asked = self.dial("127.0.0.1", self.port)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.loop.turn()
        self.assertEqual(self.made, [])
        self.assert_quiet()


class SourceTests(ListeningCase):
    """The addresses of ours to connect from."""

    def come_from(self, *sources: str, host: str = "127.0.0.1") -> str:
        """The address from which a connection comes."""
        self.made.clear()
        listening = self.listening if host == "127.0.0.1" else self.sixth
        self.connected(self.dial(host, self.port, sources=sources))
        address: str = self.accept(listening).getpeername()[0]
        return address

    def setUp(self) -> None:
        super().setUp()
        self.sixth = self.listen(socket.AF_INET6, "::1", self.port)

    def test_in_turn(self) -> None:
        """RFC 6056's ports are shared by many: each connection leaves from the next address."""
        sources = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
        found = [self.come_from(*sources) for _ in range(4)]
        self.assertEqual(found, ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.2"])
        # Another list has turns of its own, so that two lists in turn use all of both.
        self.assertEqual(self.come_from("127.0.0.8", "127.0.0.9"), "127.0.0.8")
        self.assertEqual(self.come_from(*sources), "127.0.0.3")

    def test_families(self) -> None:
        """Those of the backend's family; where there is none the kernel chooses."""
        sources = ("::1", "127.0.0.2", "127.0.0.3")
        self.assertEqual(self.come_from(*sources), "127.0.0.2")
        self.assertEqual(self.come_from(*sources, host="::1"), "::1")
        self.assertEqual(self.come_from(*sources), "127.0.0.3")
        self.assertEqual(self.come_from("::1"), "127.0.0.1")
        self.assertEqual(self.come_from("127.0.0.2", host="::1"), "::1")

    def test_ports_are_the_connection_s(self) -> None:
        """The port is chosen with the backend known: ip(7), IP_BIND_ADDRESS_NO_PORT."""
        self.made.clear()
        asked = self.dial("127.0.0.1", self.port, sources=("127.0.0.2",))
        sock = self.connected(asked).transport.getHandle()
        self.assertEqual(sock.getsockopt(socket.IPPROTO_IP, 24), 1)

    def test_not_ours(self) -> None:
        """The reason names both addresses and the key; the next connection has the next one."""
        sources = ("192.0.2.77", "127.0.0.2")
        asked = self.dial("127.0.0.1", self.port, sources=sources)
        reason = self.failed(asked)
        where = f"127.0.0.1:{self.port}: cannot connect from 192.0.2.77: "
        self.assertTrue(reason.startswith(where + "Cannot assign requested address"), reason)
        self.assertIn("source_ips", reason)
        self.assertEqual(self.come_from(*sources), "127.0.0.2")


class UnansweredTests(DialerCase):
    """Nobody answers, or with a refusal alone."""

    def setUp(self) -> None:
        super().setUp()
        self.places: list[str] = []
        self.codes: dict[str, int] = {}
        self.at_once: dict[str, int] = {}
        self.patch(
            dialer,
            "_new_socket",
            lambda is_v6: Unanswered(self.places, self.codes, self.at_once),
        )

    def named(self, **codes: int) -> Deferred[Recorder]:
        """Dial a name of three addresses; 0 is silence."""
        hosts = ("2001:db8::1", "192.0.2.1", "192.0.2.2")
        self.codes = dict(zip(hosts, codes.values(), strict=True))
        asked = self.dial(NAME)
        self.resolver.answer(*hosts)
        return asked

    def test_address(self) -> None:
        """One address has all the time there is."""
        self.codes = {"192.0.2.1": 0}
        asked = self.dial("192.0.2.1")
        self.advance(SECONDS - 0.01)
        self.assertNoResult(asked)
        self.advance(0.01)
        self.assertEqual(self.failed(asked), "192.0.2.1:143: no connection within 10.0 s")

    def test_patience(self) -> None:
        """A silent address costs a moment, the last one has what is left."""
        asked = self.named(first=0, second=0, third=0)
        self.advance(PATIENCE_SECONDS - 0.01)
        self.assertEqual(self.places, ["2001:db8::1"])
        self.advance(0.01)
        self.assertEqual(self.places, ["2001:db8::1", "192.0.2.1"])
        self.advance(PATIENCE_SECONDS)
        self.assertEqual(self.places, ["2001:db8::1", "192.0.2.1", "192.0.2.2"])
        self.advance(SECONDS - 2 * PATIENCE_SECONDS - 0.01)
        self.assertNoResult(asked)
        self.advance(0.01)
        self.assertEqual(self.failed(asked), "192.0.2.2:143: no connection within 6.0 s")

    def test_all_refuse(self) -> None:
        """Refusals cost no time; the last one is told."""
        asked = self.named(
            first=errno.ENETUNREACH, second=errno.ECONNREFUSED, third=errno.EHOSTUNREACH
        )
        self.loop.turn(10)
        self.assertEqual(len(self.places), 3)
        self.assertEqual(self.failed(asked), "192.0.2.2:143: No route to host")

    def test_sixth_protocol(self) -> None:
        """An IPv6 address is told apart from its port."""
        self.codes = {"2001:db8::1": errno.ECONNREFUSED}
        asked = self.dial("2001:db8::1")
        self.loop.turn()
        self.assertEqual(self.failed(asked), "[2001:db8::1]:143: Connection refused")

    def test_answer_at_once(self) -> None:
        """The kernel may know at once that there is no way, or that the connection stands."""
        self.at_once = {"2001:db8::1": errno.ENETUNREACH, "192.0.2.1": 0}
        asked = self.dial(NAME)
        self.resolver.answer("2001:db8::1")
        self.assertEqual(self.failed(asked), "[2001:db8::1]:143: Network is unreachable")
        asked = self.dial(NAME)
        self.resolver.answer("2001:db8::1", "192.0.2.1")
        protocol = self.successResultOf(asked)
        self.assertEqual(protocol.story, ["made"])
        self.assertEqual(self.loop.reactor.getDelayedCalls(), [])
        protocol.transport.loseConnection()
        self.loop.turn()
        self.assertEqual(protocol.story, ["made", "lost"])
        self.assert_quiet()

    def test_no_address(self) -> None:
        """A name without an address."""
        asked = self.dial(NAME)
        self.resolver.answer()
        self.assertEqual(self.failed(asked), f"{NAME}:143: the name does not resolve")

    def test_no_name(self) -> None:
        """What can be no name is not asked for: the resolver would fail where nobody hears it."""
        for name in ("a..b", "x" * 64 + ".example"):
            reason = self.failed(self.dial(name))
            self.assertEqual(reason, f"{name}:143: this is no host name")
        self.assertEqual(self.resolver.asked, [])

    def test_silent_resolver(self) -> None:
        """It costs no more than the time; its late answer dials nobody."""
        asked = self.dial(NAME)
        self.advance(SECONDS)
        reason = self.failed(asked)
        self.assertEqual(reason, f"{NAME}:143: the name was not resolved within 10.0 s")
        self.resolver.answer("192.0.2.1")
        self.loop.turn()
        self.assertEqual(self.places, [])

    def test_many_wait_for_a_name(self) -> None:
        """It is asked for once: the resolver's threads are few, and those of all other names."""
        self.at_once = {"192.0.2.1": errno.ENETUNREACH}
        asking = [self.dial(NAME) for _ in range(20)]
        self.assertEqual(self.resolver.asked, [NAME])
        self.resolver.answer("192.0.2.1")
        for asked in asking:
            self.failureResultOf(asked, Failure)

    def test_slow_resolver(self) -> None:
        """What the name took is missing for the connection."""
        asked = self.dial(NAME)
        self.codes = {"192.0.2.1": 0}
        self.advance(SECONDS - 1)
        self.resolver.answer("192.0.2.1")
        self.advance(0.99)
        self.assertNoResult(asked)
        self.advance(0.01)
        self.failed(asked)

    def test_cancelled(self) -> None:
        """Whoever leaves is followed by no other attempt, whatever was under way."""

        def nothing() -> None:
            """Leave at once."""

        def answered() -> None:
            self.resolver.answer("2001:db8::1", "192.0.2.1")

        def patience_over() -> None:
            answered()
            self.advance(PATIENCE_SECONDS)

        self.codes = {"2001:db8::1": 0, "192.0.2.1": 0}
        steps: tuple[tuple[Callable[[], None], int], ...] = (
            (nothing, 0),
            (answered, 1),
            (patience_over, 2),
        )
        for step, attempts in steps:
            self.places.clear()
            asked = self.dial(NAME)
            step()
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
            self.advance(SECONDS)
            self.assertEqual((len(self.places), self.made), (attempts, []))
            self.assert_quiet()

    def test_given_up_twice(self) -> None:
        """An attempt that was given up neither closes nor answers again."""
        self.codes = {"192.0.2.1": 0}
        attempt = Attempt(self.loop.poller, "192.0.2.1", 143)
        attempt.give_up()
        attempt.give_up()
        attempt.ready(0)
        self.assertRaises(Failure, attempt.open, Recorder())
        self.assert_quiet()
