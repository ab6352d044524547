"""From a route to a backend that has answered: which addresses, how often, for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure as Caught

from mailroute.client_dialogue import ClientDialogue
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Login, Rejected
from mailroute.imap.client import ImapClient
from mailroute.net import connector
from mailroute.net.connector import JITTER_SECONDS, Connector, Limits
from mailroute.net.dialer import PATIENCE_SECONDS
from mailroute.net.proxyheader import header_for
from mailroute.route import Announcement, Backend, Forwarding, Origin, Route, TLSMode
from tests.support.backends import House
from tests.support.local_reactor import LocalCase, Script
from tests.support.pairs import password

ORIGIN = Origin("x", "imap", "203.0.113.9", 1, "192.0.2.10", 993)
FIRST, SECOND, THIRD = ((f"192.0.2.{number}", 143) for number in (1, 2, 3))
SECONDS = 10.0


class ConnectorCase(LocalCase):
    """A connector, and houses at addresses."""

    def setUp(self) -> None:
        super().setUp()
        self.house = House({"alice": b"secret"})
        self.dialogues = 0

    def connect(self, *hosts: str, retries: int = 0) -> Deferred[Any]:
        """Try to log in at these hosts."""
        return self.connect_to(Backend(hosts, 143, TLSMode.PLAIN), retries)

    def connect_to(self, backend: Backend, retries: int = 0) -> Deferred[Any]:
        """Try to log in at this backend."""
        dial, limits = self.reactor.dialer().dial, Limits(SECONDS, retries)
        self.asked: Deferred[Any] = Deferred.fromCoroutine(
            Connector(self.reactor, dial, self._make_dialogue, limits).connect(
                Route("alice", "east", backend),
                password("alice", b"secret"),
                ORIGIN,
            )
        )
        self.settle()
        return self.asked

    def _make_dialogue(self, route: Route, login: Login, origin: Origin) -> ClientDialogue:
        self.dialogues += 1
        return ImapClient(login, starttls=False, secure=True)

    def listen(self, place: tuple[str, int]) -> None:
        self.reactor.listening[place] = self.house.accept

    def accepted(self) -> None:
        """It has worked; then everything is left again."""
        peer, milestone = self.successResultOf(self.asked)
        self.assertIsInstance(milestone, Accepted)
        peer.abandon()
        self.assert_quiet()

    def failed(self, kind: FailureKind) -> str:
        """It has failed in this way; nothing is left; returns the reason."""
        caught: Caught = self.failureResultOf(self.asked, Failure)
        assert isinstance(caught.value, Failure)
        self.assertIs(caught.value.kind, kind)
        self.assert_quiet()
        return caught.value.reason


class AddressTests(ConnectorCase):
    """Which addresses are tried."""

    def test_first(self) -> None:
        """The first host, if it answers, and no other."""
        self.listen(FIRST)
        self.listen(SECOND)
        self.connect(FIRST[0], SECOND[0])
        self.assertEqual(self.reactor.attempts, [FIRST])
        self.accepted()

    def test_in_order(self) -> None:
        """The next ones when it refuses, in their order; each has a dialogue of its own."""
        self.listen(THIRD)
        self.connect(FIRST[0], SECOND[0], THIRD[0])
        self.assertEqual(self.reactor.attempts, [FIRST, SECOND, THIRD])
        self.assertEqual(self.dialogues, 3)
        self.accepted()

    def test_hung_up_before_the_greeting(self) -> None:
        """A host that accepts and leaves is as good as none."""
        broken = House(leaves_at="greeting")
        self.reactor.listening[FIRST] = broken.accept
        self.listen(SECOND)
        self.connect(FIRST[0], SECOND[0])
        self.assertEqual(self.reactor.attempts, [FIRST, SECOND])
        self.accepted()

    def test_families(self) -> None:
        """A name's addresses of both families; one that is silent costs a moment (RFC 8305)."""
        self.reactor.names["mail.example"] = ["2001:db8::1", FIRST[0]]
        self.reactor.silent.add(("2001:db8::1", 143))
        self.listen(FIRST)
        self.connect("mail.example")
        self.assertEqual(self.reactor.attempts, [("2001:db8::1", 143)])
        self.advance(PATIENCE_SECONDS)
        self.assertEqual(self.reactor.attempts, [("2001:db8::1", 143), FIRST])
        self.accepted()

    def test_name_that_does_not_resolve(self) -> None:
        """Is unreachable, and says so."""
        self.connect("nowhere.example")
        reason = self.failed(FailureKind.BACKEND_UNREACHABLE)
        self.assertEqual(reason, "nowhere.example:143: the name does not resolve")

    def test_name_that_is_none(self) -> None:
        """What cannot be a name is unreachable too, and no defect."""
        self.connect("a..b")
        self.assertIn("no host name", self.failed(FailureKind.BACKEND_UNREACHABLE))

    def test_refused(self) -> None:
        """The reason names the address and what the kernel said."""
        self.connect(FIRST[0])
        self.assertEqual(self.failed(UNREACHABLE), "192.0.2.1:143: Connection refused")


class ForwardingTests(ConnectorCase):
    """Who the client is, before anything is said."""

    def heard(self, forwarding: Forwarding, version: int = 2) -> list[bytes]:
        """What the first two of three hosts hear before they leave without a greeting."""
        servers = [Script(), Script()]
        for place, server in zip((FIRST, SECOND), servers, strict=True):
            self.reactor.listening[place] = lambda server=server: server
        backend = Backend((FIRST[0], SECOND[0]), 143, TLSMode.PLAIN)
        self.connect_to(replace(backend, forwarding=forwarding, proxy_version=version))
        for server in servers:
            server.leave()
            self.settle()
        self.failed(UNREACHABLE)
        return [server.heard for server in servers]

    def test_header(self) -> None:
        """A PROXY header of the version that is wanted, to each address that is tried."""
        for version in (1, 2):
            header = header_for(ORIGIN, version)
            self.assertEqual(self.heard(Forwarding.PROXY, version), [header, header])

    def test_nothing(self) -> None:
        """A server that expects none gets none."""
        for forwarding in (Forwarding.NONE, Forwarding.XCLIENT):
            self.assertEqual(self.heard(forwarding), [b"", b""])


class UntoldTests(ConnectorCase):
    """Backends that do not offer to be told who the client is."""

    def logged(self, is_announced: bool, *lines: bytes) -> list[str]:
        """What the log is told of two logins at a server that says these lines."""

        def make_dialogue(route: Route, login: Login, origin: Origin) -> ClientDialogue:
            dialogue = ImapClient(login, starttls=False, secure=True)
            if is_announced:
                dialogue.announcement = Announcement(origin, 7)
            return dialogue

        said: list[str] = []
        connects = Connector(
            self.reactor, self.reactor.dialer().dial, make_dialogue, Limits(SECONDS, 0)
        )
        self.patch(connects._untold, "_log", Noted(said))
        route = Route("alice", "east", Backend((FIRST[0],), 143, TLSMode.PLAIN))
        for _ in range(2):
            server = Script()
            self.reactor.listening[FIRST] = lambda server=server: server
            login = password("alice", b"secret")
            asked = Deferred.fromCoroutine(connects.connect(route, login, ORIGIN))
            self.settle()
            for line in lines:
                server.transport.write(line)
                self.settle()
            peer, _milestone = self.successResultOf(asked)
            peer.abandon()
            self.settle()
        return said

    def test_told_once(self) -> None:
        """The log names the destination, once for all logins; a login that says no more is one."""
        offers = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x\r\n"
        done = b"mr1 OK [CAPABILITY IMAP4rev1] in\r\n"
        self.assertEqual(self.logged(True, offers, done), ["east imap ID"])
        self.assertEqual(self.logged(True, offers, b"mr1 NO\r\n"), ["east imap ID"])
        # Nobody is to be told anything.
        self.assertEqual(self.logged(False, offers, done), [])

    def test_offered(self) -> None:
        """A server that was told is not named, nor is one that refuses to talk."""
        offers = b"* OK [CAPABILITY IMAP4rev1 SASL-IR ID AUTH=PLAIN] x\r\n"
        done = b"mr1 OK\r\nmr2 OK [CAPABILITY IMAP4rev1] in\r\n"
        self.assertEqual(self.logged(True, offers, done), [])
        self.assertEqual(self.logged(True, b"* PREAUTH x\r\n"), [])


class Noted:
    """A log that keeps the values of its events."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    def warn(self, words: str, **values: str) -> None:
        """See Logger."""
        self._said.append(" ".join(values.values()))


class SourceTests(ConnectorCase):
    """Where connections come from."""

    def test_told(self) -> None:
        """Every attempt is made from the backend's own list."""
        told: list[object] = []

        async def dial(host: str, port: int, make: Any, seconds: float, sources: Any) -> Any:
            told.append(sources)
            raise Failure(UNREACHABLE, "away")

        backend = Backend(("a", "b"), 143, TLSMode.PLAIN, source_ips=("192.0.2.7",))
        asked = Connector(self.reactor, dial, self._make_dialogue, Limits(SECONDS, 0)).connect(
            Route("alice", "east", backend), password("alice", b"secret"), ORIGIN
        )
        self.failureResultOf(Deferred.fromCoroutine(asked), Failure)
        self.assertEqual(told, [("192.0.2.7",)] * 2)


class RetryTests(ConnectorCase):
    """What is tried again, and when."""

    def test_again(self) -> None:
        """All addresses again, after a short pause that is not the same for everybody."""
        self.connect(FIRST[0], SECOND[0], retries=1)
        self.assertEqual(self.reactor.attempts, [FIRST, SECOND])
        self.assertNoResult(self.asked)
        self.advance(JITTER_SECONDS[0] - 0.01)
        self.assertEqual(len(self.reactor.attempts), 2)
        self.listen(FIRST)
        self.advance(JITTER_SECONDS[1])
        self.assertEqual(self.reactor.attempts, [FIRST, SECOND, FIRST])
        self.accepted()

    def test_jitter(self) -> None:
        """The pause is drawn from its whole range."""
        drawn = []
        self.patch(connector.random, "uniform", lambda *bounds: drawn.append(bounds) or 0.2)
        self.connect(FIRST[0], retries=2)
        self.advance(2)
        self.assertEqual(drawn, [JITTER_SECONDS, JITTER_SECONDS])
        self.failed(UNREACHABLE)

    def test_no_more(self) -> None:
        """Not more often than configured."""
        self.connect(FIRST[0], retries=2)
        self.advance(5)
        self.assertEqual(self.reactor.attempts, [FIRST] * 3)
        self.failed(UNREACHABLE)

    def test_verdict(self) -> None:
        """A verdict is no reason to try again, nor another address."""
        self.house.secrets.clear()
        self.listen(FIRST)
        self.listen(SECOND)
        self.connect(FIRST[0], SECOND[0], retries=3)
        peer, milestone = self.successResultOf(self.asked)
        assert isinstance(milestone, Rejected)
        self.assertTrue(milestone.failure.reason.startswith("192.0.2.1:143: backend answered NO"))
        self.assertEqual(milestone.words, (b"[AUTHENTICATIONFAILED] Not you.",))
        peer.abandon()
        self.advance(5)
        self.assertEqual(self.reactor.attempts, [FIRST])
        self.assert_quiet()

    def test_misbehaviour(self) -> None:
        """A server that is no IMAP server will not be one in a moment."""
        self.reactor.listening[FIRST] = _no_imap
        self.listen(SECOND)
        self.connect(FIRST[0], SECOND[0], retries=3)
        peer, milestone = self.successResultOf(self.asked)
        self.assertIs(milestone.failure.kind, FailureKind.BACKEND_MISBEHAVED)
        peer.abandon()
        self.assert_quiet()
        self.assertEqual(self.reactor.attempts, [FIRST])

    def test_dialogue_that_cannot_be_made(self) -> None:
        """A login that no dialogue can carry dials nobody."""

        def refuse(*_: object) -> ClientDialogue:
            raise Failure(FailureKind.BACKEND_INCAPABLE, "no way")

        self.patch(self, "_make_dialogue", refuse)
        self.connect(FIRST[0], retries=3)
        self.assertEqual(self.failed(FailureKind.BACKEND_INCAPABLE), "no way")
        self.assertEqual(self.reactor.attempts, [])


class TimeTests(ConnectorCase):
    """Connecting and logging in share one allowance of time, however many tries it takes."""

    def test_share(self) -> None:
        """A host that does not answer leaves their share to the others."""
        self.reactor.silent.update((FIRST, SECOND))
        self.listen(THIRD)
        self.connect(FIRST[0], SECOND[0], THIRD[0])
        self.advance(SECONDS / 3 - 0.01)
        self.assertEqual(self.reactor.attempts, [FIRST])
        self.advance(0.02)
        self.assertEqual(self.reactor.attempts, [FIRST, SECOND])
        self.advance(SECONDS / 3)
        self.assertEqual(self.reactor.attempts, [FIRST, SECOND, THIRD])
        self.accepted()

    def test_all_silent(self) -> None:
        """At the end of the time it has failed, retries or not."""
        self.reactor.silent.update((FIRST, SECOND))
        self.connect(FIRST[0], SECOND[0], retries=5)
        self.advance(SECONDS - 0.01)
        self.assertNoResult(self.asked)
        self.advance(JITTER_SECONDS[1] + 0.01)
        self.failed(UNREACHABLE)

    def test_two_silent_addresses_of_one_name(self) -> None:
        """The second address has what the first has left of the time."""
        self.reactor.names["mail.example"] = ["2001:db8::1", FIRST[0]]
        self.reactor.silent.update((("2001:db8::1", 143), FIRST))
        self.connect("mail.example")
        self.advance(SECONDS)
        reason = self.failed(UNREACHABLE)
        left = SECONDS - PATIENCE_SECONDS
        self.assertEqual(reason, f"192.0.2.1:143: no connection within {left:.1f} s")

    def test_name_that_never_resolves(self) -> None:
        """A resolver that is silent costs no more than the time."""
        self.reactor.resolves_at_once = False
        self.reactor.names["mail.example"] = [FIRST[0]]
        self.connect("mail.example")
        self.advance(SECONDS)
        self.failed(UNREACHABLE)
        self.reactor.resolutions[0]()
        self.assert_quiet()
        self.assertEqual(self.reactor.attempts, [])

    def test_login_has_what_is_left(self) -> None:
        """What the dialling took is missing for the login: the whole keeps its limit."""
        self.reactor.silent.add(FIRST)
        self.house.silent_at = "greeting"
        self.listen(SECOND)
        self.connect(FIRST[0], SECOND[0])
        self.advance(SECONDS - 0.01)
        self.assertNoResult(self.asked)
        self.advance(0.01)
        self.failed(FailureKind.BACKEND_TIMED_OUT)

    def test_slow_connection(self) -> None:
        """The same for one host whose connection took its time."""
        self.reactor.resolves_at_once = False
        self.reactor.names["mail.example"] = [FIRST[0]]
        self.house.silent_at = "greeting"
        self.listen(FIRST)
        self.connect("mail.example")
        self.advance(SECONDS - 1)
        self.reactor.resolutions[0]()
        self.settle()
        self.assertNoResult(self.asked)
        self.advance(1)
        self.failed(FailureKind.BACKEND_TIMED_OUT)

    def test_slow_name_and_silent_address(self) -> None:
        """What the resolver took is missing for the connection."""
        self.reactor.resolves_at_once = False
        self.reactor.names["mail.example"] = [FIRST[0]]
        self.reactor.silent.add(FIRST)
        self.connect("mail.example")
        self.advance(SECONDS - 1)
        self.reactor.resolutions[0]()
        self.settle()
        self.advance(1)
        self.failed(UNREACHABLE)

    def test_silent_behind_the_connection(self) -> None:
        """A host that accepts and says nothing leaves their share to the others, too."""
        silent = House(silent_at="greeting")
        self.reactor.listening[FIRST] = silent.accept
        self.listen(SECOND)
        self.connect(FIRST[0], SECOND[0])
        self.advance(SECONDS / 2 - 0.01)
        self.assertEqual(self.reactor.attempts, [FIRST])
        self.advance(0.01)
        self.assertEqual(self.reactor.attempts, [FIRST, SECOND])
        self.accepted()

    def test_silent_behind_the_login(self) -> None:
        """Once the login was sent it is not sent again: that would be another attempt."""
        self.house.silent_at = "login"
        self.listen(FIRST)
        self.listen(SECOND)
        self.connect(FIRST[0], SECOND[0], retries=3)
        self.advance(SECONDS / 2)
        self.failed(FailureKind.BACKEND_TIMED_OUT)
        self.assertEqual(self.reactor.attempts, [FIRST])


class CancelledTests(ConnectorCase):
    """Whoever asked may leave at any moment."""

    def cancelled(self) -> None:
        attempts = len(self.reactor.attempts)
        self.asked.cancel()
        self.failureResultOf(self.asked, CancelledError)
        self.assert_quiet()
        self.advance(SECONDS)
        self.assertEqual(len(self.reactor.attempts), attempts)

    def test_resolving(self) -> None:
        """A name that is being resolved."""
        self.reactor.resolves_at_once = False
        self.connect("mail.example", retries=3)
        self.cancelled()
        self.reactor.resolutions[0]()
        self.assert_quiet()

    def test_dialling(self) -> None:
        """A connection that is being made: no other host is tried instead."""
        self.reactor.silent.add(FIRST)
        self.connect(FIRST[0], SECOND[0], retries=3)
        self.cancelled()

    def test_between_tries(self) -> None:
        """The pause before the next round."""
        self.connect(FIRST[0], retries=3)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.cancelled()

    def test_greeting(self) -> None:
        """A connection that stands."""
        self.house.silent_at = "greeting"
        self.listen(FIRST)
        self.connect(FIRST[0], retries=3)
        self.cancelled()
        self.assertIsNotNone(self.house.last.lost)


UNREACHABLE = FailureKind.BACKEND_UNREACHABLE


def _no_imap() -> Script:

    return Script(b"220 mail.example ESMTP\r\n")
