"""ID (RFC 2971) as proxies use it."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.events import Login
from mailroute.imap import syntax
from mailroute.imap.client import ImapClient
from mailroute.imap.identity import ARGUMENT_OCTETS, Field, arguments, introduction
from mailroute.imap.server import Greeting, ImapServer
from mailroute.route import Announcement, Introduction, Origin
from mailroute.wire.strings import Command
from tests.imap import test_client
from tests.support.dialogues import TLS, assert_transcript, written
from tests.support.laws import policy
from tests.support.pairs import password

ORIGIN = Origin("s1d", "imap", "203.0.113.9", 4711, "192.0.2.1", 993)
OURS = {
    b"x-session-id": b"s1d",
    b"x-proxy-ttl": b"7",
    b"x-originating-ip": b"203.0.113.9",
    b"x-originating-port": b"4711",
    b"x-connected-ip": b"192.0.2.1",
    b"x-connected-port": b"993",
}
SAID = (
    '("x-session-id" "s1d" "x-proxy-ttl" "7" "x-originating-ip" "203.0.113.9"'
    ' "x-originating-port" "4711" "x-connected-ip" "192.0.2.1" "x-connected-port" "993"'
)
FORGED: tuple[Field, ...] = (
    (b"name", b"Thunder"),
    (b"x-originating-ip", b"198.51.100.1"),
    (b"X-Forward-user", b"admin"),
    (b"X-Session-ID", b"mine"),
    (b"x-proxy-ttl", b"200"),
)
BASE64 = base64.b64encode(b"\0alice\0secret").decode()


def told(*fields: Field, **changes: object) -> dict[bytes, bytes | None]:
    """What the backend reads in the ID that it gets for a client with this ID of its own."""
    origin = replace(ORIGIN, introduction=Introduction(fields), **changes)  # type: ignore[arg-type]
    said = syntax.id_fields(Command(b" " + arguments(Announcement(origin, 7)), []))
    found = dict(said)
    assert len(found) == len(said), "a name stands there twice"
    return found


class ArgumentTests(SynchronousTestCase):
    """The one ID that the backend gets."""

    def test_ours(self) -> None:
        """Dovecot's names: the client, where it connected to, the session, the hops."""
        self.assertEqual(told(), OURS)

    def test_families(self) -> None:
        """IPv6 as it is; IPv4 that came as a part of it is IPv4; no address, no field."""
        found = told(client_ip="2001:db8::9", server_ip="fe80::1%eth0")
        self.assertEqual(found[b"x-originating-ip"], b"2001:db8::9")
        self.assertEqual(found[b"x-connected-ip"], b"fe80::1")
        self.assertEqual(told(client_ip="::ffff:203.0.113.9"), OURS)
        self.assertEqual(set(told(client_ip="unix")), {b"x-session-id", b"x-proxy-ttl"})

    def test_merged(self) -> None:
        """The client's own fields stand behind ours, NIL and all."""
        found = told((b"name", b'The "Bat" \\ 9'), (b"version", None))
        self.assertEqual(found, {**OURS, b"name": b'The "Bat" \\ 9', b"version": None})

    def test_forged(self) -> None:
        """A client cannot say who it is: what begins with x- is ours alone, in any case."""
        self.assertEqual(told(*FORGED), {**OURS, b"name": b"Thunder"})

    def test_trusted(self) -> None:
        """A proxy whose word is believed says who its client is; session and hops stay ours."""
        self.assertEqual(
            told(*FORGED, is_trusted=True),
            {
                b"x-session-id": b"s1d",
                b"x-proxy-ttl": b"7",
                b"name": b"Thunder",
                b"x-originating-ip": b"198.51.100.1",
                b"X-Forward-user": b"admin",
            },
        )

    def test_nothing_to_break_out_with(self) -> None:
        """What a quoted string cannot hold is left out, and the rest stays."""
        for value in (b"a\r\nmr9 LOGOUT", b"\0", b"\xff", b"a\n"):
            found = told((b"name", value), (b"os", b"x"), (b"a\r\nb", b"y"))
            self.assertEqual(found, {**OURS, b"os": b"x"})

    def test_bounds(self) -> None:
        """30 pairs (RFC 2971 section 3.3), and no longer than a server takes a line."""
        many = [(b"n%d" % number, b"v") for number in range(30)]
        self.assertEqual(len(told(*many)), 30)
        long = [(b"n%d" % number, b"v" * 1000) for number in range(30)]
        self.assertEqual(len(told(*long)), len(OURS) + 2)
        origin = replace(ORIGIN, introduction=Introduction(tuple(long)))
        self.assertLess(len(arguments(Announcement(origin, 7))), ARGUMENT_OCTETS + 2)

    def test_twice(self) -> None:
        """A name stands there once (RFC 2971 section 3.3): its first value counts."""
        self.assertEqual(told((b"os", b"a"), (b"OS", b"b")), {**OURS, b"os": b"a"})


class IntroductionTests(SynchronousTestCase):
    """What a client says of itself."""

    def server(self, secure: bool = True) -> ImapServer:
        server = ImapServer(policy(), secure, 3, Greeting())
        server.start()
        return server

    def test_kept(self) -> None:
        """We answer it ourselves, and keep the latest one."""
        server = self.server()
        self.assertEqual(server.introduction, Introduction())
        said = written(server.receive_data(b'a ID ("name" "x")\r\nb ID ("name" {3+}\r\nabc)\r\n'))
        self.assertEqual(said.count(b"* ID NIL\r\n"), 2)
        self.assertEqual(server.introduction.fields, ((b"name", b"abc"),))

    def test_forgotten_with_tls(self) -> None:
        """What stood in the clear is void (RFC 9051 section 11.1)."""
        server = self.server(secure=False)
        server.receive_data(b'a ID ("name" "x")\r\nb STARTTLS\r\n')
        server.tls_established(TLS)
        self.assertEqual(server.introduction, Introduction())

    def test_hops(self) -> None:
        """A proxy's count of hops; what is no count is none."""
        for value, hops in (
            (b"5", 5),
            (b"0", 0),
            (b"007", 7),
            (b"1000", None),
            (b"-1", None),
            (b"", None),
            (None, None),
        ):
            found = introduction(((b"os", b"x"), (b"X-Proxy-TTL", value)))
            self.assertEqual(found.hops_left, hops, value)
        self.assertIsNone(introduction(()).hops_left)


class ConversationTests(SynchronousTestCase):
    """When the backend is told."""

    def check(self, transcript: str, starttls: bool = False) -> None:
        def make() -> ImapClient:
            login: Login = password("alice", b"secret")
            client = ImapClient(login, starttls, not starttls)
            client.announcement = Announcement(ORIGIN, 7)
            return client

        assert_transcript(make, transcript)

    def test_before_the_login(self) -> None:
        """One ID, then the login; the backend's own ID is none of the client's."""
        self.check(
            f"""
            S: * OK [CAPABILITY IMAP4rev1 ID SASL-IR AUTH=PLAIN] ready
            C: mr1 ID {SAID})
            S: * ID ("name" "Dovecot")
            S: mr1 OK ID completed.
            C: mr2 AUTHENTICATE PLAIN {BASE64}
            S: mr2 OK [CAPABILITY IMAP4rev1] Hi
            = Accepted [CAPABILITY IMAP4rev1] Hi
            """
        )

    def test_refused(self) -> None:
        """A backend that makes nothing of it is logged in to all the same."""
        for answer in ("NO what?", "BAD what?"):
            self.check(
                f"""
                S: * OK [CAPABILITY IMAP4rev1 ID SASL-IR AUTH=PLAIN] ready
                C: mr1 ID {SAID})
                S: mr1 {answer}
                C: mr2 AUTHENTICATE PLAIN {BASE64}
                S: mr2 OK [CAPABILITY IMAP4rev1] Hi
                = Accepted [CAPABILITY IMAP4rev1] Hi
                """
            )

    def test_only_if_advertised(self) -> None:
        """RFC 2971 section 3: a server without ID in its list does not know the command."""
        self.check(
            f"""
            S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
            C: mr1 AUTHENTICATE PLAIN {BASE64}
            S: mr1 OK [CAPABILITY IMAP4rev1] Hi
            = Accepted [CAPABILITY IMAP4rev1] Hi
            """
        )

    def test_untold(self) -> None:
        """Somebody can be told that the backend does not know the client."""
        for listed, is_untold in ((b"AUTH=PLAIN", True), (b"ID AUTH=PLAIN", False)):
            dialogue = ImapClient(password("alice", b"secret"), False, True)
            dialogue.announcement = Announcement(ORIGIN, 7)
            dialogue.start()
            self.assertFalse(dialogue.is_untold)
            dialogue.receive_data(b"* OK [CAPABILITY IMAP4rev1 %b] x\r\nmr1 OK\r\n" % listed)
            self.assertEqual((dialogue.is_untold, dialogue.extension), (is_untold, "ID"))

    def test_after_tls(self) -> None:
        """Who the client is does not cross the wire in the clear."""
        self.check(
            f"""
            S: * OK [CAPABILITY IMAP4rev1 ID STARTTLS] ready
            C: mr1 STARTTLS
            S: mr1 OK go
            = StartTLS
            > tls
            C: mr2 CAPABILITY
            S: * CAPABILITY IMAP4rev1 ID SASL-IR AUTH=PLAIN
            S: mr2 OK done
            C: mr3 ID {SAID})
            S: * ID NIL
            S: mr3 OK done
            C: mr4 AUTHENTICATE PLAIN {BASE64}
            S: mr4 OK [CAPABILITY IMAP4rev1] Hi
            = Accepted [CAPABILITY IMAP4rev1] Hi
            """,
            starttls=True,
        )


class AnnouncingLawsTests(test_client.ImapClientLawsTests):
    """The laws of every client dialogue hold for one that tells of its client, too."""

    fragments: ClassVar[list[bytes]] = [
        *test_client.ImapClientLawsTests.fragments,
        b"* OK [CAPABILITY IMAP4rev1 ID AUTH=PLAIN] ready\r\n",
        b"* CAPABILITY IMAP4rev1 ID AUTH=PLAIN\r\n",
        b'* ID ("name" "x")\r\n',
    ]
    greeting: ClassVar[bytes] = b"* OK [CAPABILITY IMAP4rev1 ID SASL-IR AUTH=PLAIN] ready\r\n"

    def make(self, login: Login, starttls: bool, secure: bool) -> ImapClient:
        client = super().make(login, starttls, secure)
        client.announcement = Announcement(ORIGIN, 7)
        return client
