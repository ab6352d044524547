"""Pass-through: two dialogues that say nothing, and sessions made of them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailroute.dialogue import PAUSED_LIMIT
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Close, Login, Rejected, Write
from mailroute.opaque import OpaqueClient, OpaqueServer
from mailroute.smtp.replies import NO_BACKEND
from tests.support.dialogues import TLS

UNREACHABLE = Rejected(Failure(FailureKind.BACKEND_UNREACHABLE, "away"))


def asked() -> tuple[OpaqueServer, Login]:
    """A server dialogue whose client has connected, and what it wants."""
    server = OpaqueServer(NO_BACKEND)
    (login,) = server.start()
    assert isinstance(login, Login)
    return server, login


class ServerTests(SynchronousTestCase):
    """Towards the client."""

    def test_silence(self) -> None:
        """Nobody is greeted by us; what the client says is kept for the backend."""
        server, login = asked()
        self.assertEqual(login.identity.account, "")
        self.assertEqual(server.receive_data(b"EHLO x\r\n") + server.receive_data(b"\0\xff"), [])
        self.assertEqual(server.answer(Accepted()), [])
        self.assertEqual(server.trailing_data, b"EHLO x\r\n\0\xff")
        self.assertEqual(server.tls_established(TLS), [])

    def test_bound(self) -> None:
        """A client that talks on is not read beyond the bound."""
        server, _ = asked()
        server.receive_data(bytes(PAUSED_LIMIT - 1))
        self.assertFalse(server.full)
        server.receive_data(b"x")
        self.assertTrue(server.full)

    def ends(self, events: list[Any], why: str) -> None:
        self.assertEqual(events, [Write(NO_BACKEND), Close(why)])
        self.assertTrue(NO_BACKEND.startswith(b"421 ") and NO_BACKEND.endswith(b"\r\n"))

    def test_no_backend(self) -> None:
        """RFC 5321 section 3.8: 421, and the connection is closed; the client comes again."""
        server, _ = asked()
        self.ends(server.answer(UNREACHABLE), "no-backend")

    def test_shut_down(self) -> None:
        """A client that is not joined yet hears so."""
        self.ends(asked()[0].shut_down(), "shutting-down")
        self.ends(asked()[0].timed_out(), "timeout")


class ClientTests(SynchronousTestCase):
    """Towards the backend."""

    def test_content(self) -> None:
        """A connection is enough; what the backend says is the client's."""
        client = OpaqueClient(asked()[1], False, True)
        self.assertEqual(client.start(), [Accepted()])
        self.assertEqual(client.receive_data(b"220 mx\r\n"), [])
        self.assertEqual(client.trailing_data, b"220 mx\r\n")

    def test_failure(self) -> None:
        """A connection or a handshake that fails is a rejection like any other."""
        client = OpaqueClient(asked()[1], False, True)
        (verdict,) = client.ended(Failure(FailureKind.BACKEND_UNTRUSTED, "expired"))
        assert isinstance(verdict, Rejected)
        self.assertEqual(verdict.failure.reason, "expired while connecting")
        (verdict,) = OpaqueClient(asked()[1], False, True).timed_out()
        assert isinstance(verdict, Rejected)
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_TIMED_OUT)
