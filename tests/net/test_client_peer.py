"""The client's connection until the join: its time, its handshake, its goodbye."""

from __future__ import annotations

from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Rejected
from mailroute.net.stream import Stream
from tests.support.backends import CAPABILITIES
from tests.support.local_reactor import Script
from tests.support.peers import BACKEND_SECONDS, DELAY_SECONDS, PREAUTH_SECONDS, Settings, World
from tests.support.peers import plain_message as plain
from tests.support.secured import Certificates, SecureScript, server_tls, trusting_client
from tests.test_session import JOINED, SessionCase

ACCEPTED = Accepted(CAPABILITIES)
TIMEOUT_BYE = b"* BYE Disconnected for inactivity.\r\n"
LOGIN = b"a AUTHENTICATE PLAIN " + plain("alice") + b"\r\n"


class TimeTests(SessionCase):
    """The time before the login runs while we wait for the client, and only then."""

    def test_silent_client(self) -> None:
        """A client that sends nothing is told goodbye, and closed."""
        client, _ = self.world.connect()
        self.advance(PREAUTH_SECONDS - 0.1)
        self.assertIsNone(client.lost)
        self.advance(0.1)
        self.assertEqual(client.take(), TIMEOUT_BYE)
        self.assertIsNotNone(client.lost)
        self.assertEqual(self.world.fields("session")["closed_by"], "timeout")
        self.end()

    def test_talking_client(self) -> None:
        """Talk that is no login buys no time."""
        client, _ = self.world.connect()
        for _ in range(3):
            self.advance(PREAUTH_SECONDS / 3)
            client.say(b"x NOOP\r\n")
            self.settle()
        self.assertIsNotNone(client.lost)
        self.end()

    def test_waiting_client(self) -> None:
        """While the client waits for us its time stands still; an answer grants it anew."""
        self.world.east.silent_at = "login"
        client, _ = self.world.connect()
        self.advance(PREAUTH_SECONDS - 1)
        client.say(LOGIN)
        self.advance(BACKEND_SECONDS)
        self.assertIn(b"a NO [UNAVAILABLE]", client.take())
        self.advance(PREAUTH_SECONDS - 1)
        self.assertIsNone(client.lost)
        self.advance(1)
        self.assertEqual(client.take(), TIMEOUT_BYE)
        self.end()

    def test_joined_client(self) -> None:
        """After the join it does not run at all."""
        client, _ = self.world.log_in()
        self.assertEqual(client.take(), JOINED)
        self.advance(PREAUTH_SECONDS * 3)
        self.assertIsNone(client.lost)
        self.end(client)


class HandshakeTests(SessionCase):
    """A client that is to begin with TLS."""

    def setUp(self) -> None:
        super().setUp()
        self.front = server_tls(Certificates(self).issue("front.example"))
        self.world = World(self.reactor, Settings(front=self.front))

    def arrive(self, client: Script) -> Stream:
        _, accepted = self.reactor.join(client, self.world.listener.buildProtocol(None))
        self.settle()
        return accepted

    def test_greeting_after_the_handshake(self) -> None:
        """The greeting comes over TLS, and the log knows of it."""
        client, _ = self.world.connect()
        client.leave()
        self.settle()
        self.assertEqual(self.world.fields("session")["tls"], "TLSv1.3")
        self.end()

    def test_server_name(self) -> None:
        """The name that the client asked for is known when its account is looked up."""
        client = SecureScript(trusting_client("mail.example.org"))
        self.arrive(client)
        client.say(LOGIN)
        self.settle()
        self.assertEqual(self.world.table.asked[0].sni, "mail.example.org")
        self.end(client)

    def test_silent_before_the_handshake(self) -> None:
        """No words are said where none would be understood."""
        client = Script()
        self.arrive(client)
        self.advance(PREAUTH_SECONDS)
        self.assertEqual(client.heard, b"")
        self.assertIsNotNone(client.lost)
        self.assertEqual(self.world.fields("session")["closed_by"], "timeout")
        self.end()

    def test_failed_handshake(self) -> None:
        """One line that says why, and no traceback."""
        client = Script(b"GET / HTTP/1.0\r\n\r\n")
        self.arrive(client)
        self.assertIsNotNone(client.lost)
        self.assertEqual(self.world.lines(), self.world.lines("session"))
        fields = self.world.fields("session")
        self.assertEqual(fields["closed_by"], "tls-failed")
        self.assertEqual(fields["detail"], "TLS handshake failed: http request")
        self.assertEqual(self.flushLoggedErrors(), [])
        self.end()

    def test_lost_in_the_handshake(self) -> None:
        """A client that leaves in the middle."""
        client = Script()
        self.arrive(client)
        client.reset()
        self.settle()
        self.assertEqual(self.world.fields("session")["outcome"], "no-login")
        self.end()

    def test_shut_down_in_the_handshake(self) -> None:
        """Shutting down says nothing in the clear."""
        client = Script()
        self.arrive(client)
        self.world.listener.shut_down()
        self.settle()
        self.assertEqual(client.heard, b"")
        self.assertIsNotNone(client.lost)
        self.end()


class GoodbyeTests(SessionCase):
    """mailroute is being stopped."""

    def test_before_a_login(self) -> None:
        """A client between commands."""
        client, _ = self.world.connect()
        self.world.listener.shut_down()
        self.settle()
        self.assertEqual(client.take(), b"* BYE Server is shutting down.\r\n")
        self.assertEqual(self.world.fields("session")["closed_by"], "shutting-down")
        self.end()

    def test_while_a_login_is_pending(self) -> None:
        """A client whose login is under way; the backend is left, too."""
        self.world.east.silent_at = "login"
        client, _ = self.world.log_in()
        self.world.listener.shut_down()
        self.settle()
        self.assertEqual(client.take(), b"* BYE Server is shutting down.\r\n")
        self.assertIsNotNone(self.world.east.last.lost)
        self.end()

    def test_accepted_after_the_goodbye(self) -> None:
        """A client that was told goodbye and stays is not joined by a late verdict."""
        front = server_tls(Certificates(self).issue("front.example"))
        self.world = World(self.reactor, Settings(front=front))
        self.world.east.silent_at = "login"
        client, _ = self.world.log_in()
        client.transport.pauseProducing()
        self.world.listener.shut_down()
        self.settle()
        self.world.east.secrets["alice"] = b""
        self.world.east.last.answer(ACCEPTED)
        self.settle()
        self.assertIsNotNone(self.world.east.last.lost)
        client.transport.resumeProducing()
        self.settle()
        self.assertEqual(client.take(), b"* BYE Server is shutting down.\r\n")
        self.assertEqual(self.world.fields("session")["closed_by"], "shutting-down")
        self.end()

    def test_joined(self) -> None:
        """Nothing of ours is ever said in a joined stream."""
        client, _ = self.world.log_in()
        client.take()
        self.world.listener.shut_down()
        self.advance(60)
        self.assertEqual((client.heard, client.lost), (b"", None))
        self.end(client)


class LateAnswerTests(SessionCase):
    """What comes for a client that has gone."""

    def test_answer_to_nobody(self) -> None:
        """No time is granted to a connection that is no more: no timer stays."""
        client, transport = self.world.connect()
        peer = transport._protocol
        client.leave()
        self.settle()
        for speak in (
            lambda: peer.answer(Rejected(Failure(FailureKind.INTERNAL, ""))),
            lambda: peer.challenge(b"x"),
            lambda: peer.shut_down(),
        ):
            speak()
            self.assert_quiet()

    def test_held_back_goodbye(self) -> None:
        """A pending answer is not given after a goodbye."""
        client, _ = self.world.log_in("carol")
        self.world.listener.shut_down()
        self.advance(DELAY_SECONDS)
        self.assertEqual(client.take(), b"* BYE Server is shutting down.\r\n")
        self.end()
