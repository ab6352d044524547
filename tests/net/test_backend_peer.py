"""The backend's connection until the join: its time, its trust, and leaving it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mailroute.errors import FailureKind
from mailroute.events import Accepted, Challenge, Login, Rejected, Remind
from mailroute.imap.client import ImapClient
from mailroute.managesieve.client import OVERLOOKED_SECONDS, ManageSieveClient
from mailroute.net.backend_peer import BackendPeer
from mailroute.net.stream import Stream
from mailroute.net.tls import BackendContexts, TLSSide
from mailroute.route import Trust
from tests.support.local_reactor import LocalCase, Script, is_read
from tests.support.pairs import password
from tests.support.secured import Certificates, SecureScript, server_tls
from tests.support.toy import toy_login

SECONDS = 10.0
GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=X-TOY SASL-IR] Ready\r\n"


class PeerCase(LocalCase):
    """One backend, by hand."""

    def join(
        self,
        server: Script,
        login: Login | None = None,
        tls: TLSSide | None = None,
        starttls: bool = False,
        preamble: bytes = b"",
    ) -> BackendPeer:
        """A peer whose connection to this server stands."""
        secure = tls is None or not starttls
        dialogue = ImapClient(login or password("alice", b"hush-hush"), starttls, secure)
        peer = BackendPeer(dialogue, tls, tls is not None and not starttls, self.reactor, SECONDS)
        peer.preamble = preamble
        self.transport: Stream = self.reactor.join(peer, server)[0]
        self.asked: Deferred[Any] = Deferred.fromCoroutine(peer.milestone())
        self.settle()
        return peer

    def rejected(self) -> Rejected:
        """The milestone, which is a rejection."""
        milestone = self.successResultOf(self.asked)
        assert isinstance(milestone, Rejected), milestone
        return milestone


class PreambleTests(PeerCase):
    """What comes before everything else."""

    def test_before_the_greeting(self) -> None:
        """At once: a server that waits for it says nothing before."""
        server = Script()
        peer = self.join(server, preamble=b"PROXY UNKNOWN\r\n")
        self.assertEqual(server.take(), b"PROXY UNKNOWN\r\n")
        server.say(GREETING)
        self.settle()
        self.assertIn(b"AUTHENTICATE PLAIN", server.take())
        peer.abandon()
        self.settle()

    def test_before_tls(self) -> None:
        """In the clear, and the handshake's first record right behind it."""
        server = Script()
        side = BackendContexts().side(Trust(allow_invalid=True), "east.example")
        peer = self.join(server, tls=side, preamble=b"PROXY UNKNOWN\r\n")
        self.assertTrue(server.take().startswith(b"PROXY UNKNOWN\r\n\x16\x03\x01"))
        peer.abandon()
        self.settle()


class TimeTests(PeerCase):
    """The backend's time."""

    def test_silent(self) -> None:
        """A rejection when the time is over, and the connection is broken off."""
        server = Script()
        self.join(server)
        self.advance(SECONDS)
        self.assertIs(self.rejected().failure.kind, FailureKind.BACKEND_TIMED_OUT)
        self.assertIsNotNone(server.lost)
        self.assert_quiet()

    def test_dripping(self) -> None:
        """Talk that is no answer buys no time."""
        server = Script(GREETING)
        self.join(server)
        for _ in range(int(SECONDS)):
            self.advance(1)
            server.say(b"* OK still here\r\n")
            self.settle()
        self.assertIs(self.rejected().failure.kind, FailureKind.BACKEND_TIMED_OUT)
        self.assert_quiet()

    def test_stands_still(self) -> None:
        """It stands still while the client thinks, and goes on with what was left."""
        server = Script(GREETING)
        peer = self.join(server, toy_login("alice"))
        self.advance(4)
        server.say(b"+ YQ==\r\n")
        self.settle()
        self.assertEqual(self.successResultOf(self.asked), Challenge(b"a"))
        self.advance(100)
        peer.respond(b"b")
        self.asked = Deferred.fromCoroutine(peer.milestone())
        self.advance(5.9)
        self.assertNoResult(self.asked)
        self.advance(0.1)
        self.assertIs(self.rejected().failure.kind, FailureKind.BACKEND_TIMED_OUT)
        self.assert_quiet()

    def test_response_to_nobody(self) -> None:
        """A response for a connection that is gone starts no timer."""
        server = Script(GREETING)
        peer = self.join(server, toy_login("alice"))
        server.say(b"+ YQ==\r\n")
        self.settle()
        server.leave()
        self.settle()
        peer.respond(b"b")
        self.assert_quiet()
        self.asked = Deferred.fromCoroutine(peer.milestone())
        self.assertIs(self.rejected().failure.kind, FailureKind.BACKEND_UNREACHABLE)


class ReadingTests(PeerCase):
    """A backend that talks while we wait for the client."""

    def test_bound(self) -> None:
        """Reading stops at the bound, and goes on when the client has responded."""
        server = Script(GREETING)
        peer = self.join(server, toy_login("alice"))
        server.say(b"+ YQ==\r\n" + b"* OK x\r\n" * 10_000 + b"mr1 OK [CAPABILITY IMAP4rev1] in\r\n")
        self.settle()
        self.assertFalse(is_read(self.transport))
        assert peer._dialogue is not None
        self.assertLess(len(peer._dialogue._buffer), 75_000)
        peer.respond(b"b")
        self.asked = Deferred.fromCoroutine(peer.milestone())
        self.settle()
        self.assertIsInstance(self.successResultOf(self.asked), Accepted)
        peer.abandon()
        self.assert_quiet()


class LeavingTests(PeerCase):
    """A backend that nobody waits for any more."""

    def test_abandoned(self) -> None:
        """It is left in an orderly way, and nothing of it is looked at."""
        server = Script(GREETING)
        peer = self.join(server)
        peer.abandon()
        server.say(b"mr1 OK too late\r\n")
        self.settle()
        self.assertNoResult(self.asked)
        self.assertIsNotNone(server.lost)
        self.assert_quiet()

    def test_abandoned_and_clinging(self) -> None:
        """One that never closes its TLS keeps neither descriptor nor timer: nobody waits."""
        certificates = Certificates(self)
        server = SecureScript(server_tls(certificates.issue("mail.example")), GREETING)
        trust = Trust(ca_file=certificates.ca_file)
        peer = self.join(server, tls=BackendContexts().side(trust, "mail.example"))
        server.transport.pauseProducing()
        peer.abandon()
        self.settle()
        self.assertEqual(self.transport.fileno(), -1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        server.transport.abortConnection()
        self.assert_quiet()

    def test_abandoned_twice(self) -> None:
        """Leaving what is left already changes nothing."""
        server = Script(GREETING)
        peer = self.join(server)
        peer.abandon()
        self.settle()
        peer.abandon()
        self.assert_quiet()


class TrustTests(PeerCase):
    """A backend that is not the right one hears no password, whatever it says."""

    def setUp(self) -> None:
        super().setUp()
        certificates = Certificates(self)
        self.server = server_tls(certificates.issue("other.example"))
        trust = Trust(ca_file=certificates.ca_file)
        self.side = BackendContexts().side(trust, "mail.example")

    def distrusted(self, server: Script) -> None:
        failure = self.rejected().failure
        self.assertIs(failure.kind, FailureKind.BACKEND_UNTRUSTED)
        self.assertIn("certificate is not for mail.example", failure.reason)
        self.assertNotIn(b"AUTHENTICATE", server.heard)
        self.assertIsNotNone(server.lost)
        self.assert_quiet()

    def test_greeting_with_the_handshake(self) -> None:
        """A greeting in the same flight as the handshake's end is answered by nobody."""
        server = SecureScript(self.server, GREETING)
        self.join(server, tls=self.side)
        self.distrusted(server)

    def test_verification_that_breaks(self) -> None:
        """A defect in looking at the certificate is no consent: the connection ends there."""

        def fail(connection: object) -> tuple[str, ...]:
            raise ZeroDivisionError

        self.patch(self.side, "verify", fail)
        server = SecureScript(self.server, GREETING)
        self.join(server, tls=self.side)
        self.rejected()
        self.assertNotIn(b"AUTHENTICATE", server.heard)
        self.assertIsNotNone(server.lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_after_starttls(self) -> None:
        """The same behind STARTTLS: it is not mistaken for words in the clear."""
        server = _Upgrading(self.server)
        self.join(server, tls=self.side, starttls=True)
        self.distrusted(server)

    def test_handshake_refused(self) -> None:
        """A port that speaks no TLS: the reason has OpenSSL's words."""
        server = Script(GREETING)
        self.join(server, tls=self.side)
        failure = self.rejected().failure
        self.assertIs(failure.kind, FailureKind.BACKEND_UNTRUSTED)
        # OpenSSL's own word for it depends on its version.
        words = "TLS handshake failed: (wrong version number|packet length too long)"
        self.assertRegex(failure.reason, words)
        self.assert_quiet()

    def test_cut_off_in_the_handshake(self) -> None:
        """A connection that ends within the handshake was lost: no certificate is to blame."""
        server = Script()
        self.join(server, tls=self.side)
        server.reset()
        self.settle()
        self.assertIs(self.rejected().failure.kind, FailureKind.BACKEND_UNREACHABLE)
        self.assert_quiet()


class ReminderTests(PeerCase):
    """A dialogue that asked to be called when nothing comes."""

    def greeted(self, server: Script) -> BackendPeer:
        """A peer whose backend has greeted and may have overlooked what it was told."""
        dialogue = ManageSieveClient(password("a", b"b"), False, True)
        peer = BackendPeer(dialogue, None, False, self.reactor, SECONDS)
        self.reactor.join(peer, server)
        self.asked = Deferred.fromCoroutine(peer.milestone())
        server.say(b'"IMPLEMENTATION" "Pigeonhole"\r\n"SASL" "PLAIN"\r\nOK\r\n')
        self.settle()
        self.assertEqual(server.take(), b'AUTHENTICATE "PLAIN"\r\n')
        return peer

    def test_in_time(self) -> None:
        """What the dialogue says then is sent; neither before nor twice."""
        server = Script()
        peer = self.greeted(server)
        self.advance(OVERLOOKED_SECONDS - 0.01)
        self.assertEqual(server.take(), b"")
        self.advance(0.01)
        self.assertEqual(server.take(), b'"AGEAYg=="\r\n')
        self.advance(2 * OVERLOOKED_SECONDS)
        self.assertEqual(server.take(), b"")
        server.say(b'""\r\nOK\r\n')
        self.settle()
        self.assertEqual(self.successResultOf(self.asked), Accepted())
        peer.abandon()
        self.assert_quiet()

    def test_asked_again(self) -> None:
        """What was asked for first is forgotten for what is asked for next."""
        server = Script()
        peer = self.greeted(server)
        peer.perform([Remind(SECONDS / 2)])
        self.advance(OVERLOOKED_SECONDS)
        self.assertEqual(server.take(), b"")
        self.advance(SECONDS / 2)
        self.assertEqual(server.take(), b'"AGEAYg=="\r\n')

    def test_handed_over(self) -> None:
        """Nothing of ours is planned any more for a connection that is somebody else's."""
        server = Script()
        peer = self.greeted(server)
        server.say(b'""\r\nOK\r\n')
        self.settle()
        peer.hand_over(Script())
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.advance(2 * OVERLOOKED_SECONDS)
        self.assertEqual(server.take(), b'"AGEAYg=="\r\n')

    def test_lost_or_left(self) -> None:
        """Neither a connection that ended nor one that we leave is reminded."""
        server = Script()
        self.greeted(server)
        server.reset()
        self.assert_quiet()
        server = Script()
        self.greeted(server).abandon()
        self.advance(OVERLOOKED_SECONDS)
        self.assertEqual(server.take(), b"")
        self.assert_quiet()


class _Upgrading(SecureScript):
    """Offers STARTTLS, and talks as soon as the handshake is done."""

    def connectionMade(self) -> None:
        self.say(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] Ready\r\n")

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if data.endswith(b" STARTTLS\r\n"):
            self.say(data.split(b" ")[0] + b" OK Go\r\n")
            self.transport.startTLS(self._tls)

    def handshakeCompleted(self) -> None:
        super().handshakeCompleted()
        self.say(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nmr2 OK\r\n")
