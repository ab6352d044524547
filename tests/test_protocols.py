"""The only list of protocols: each is complete, and looks as the operator says."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.config.listeners import PASS_THROUGH as CONFIGURED_PASS_THROUGH
from mailroute.config.listeners import PROTOCOLS as CONFIGURED
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Close, Event, Login, Rejected
from mailroute.offer import Policy
from mailroute.protocols import PASS_THROUGH, PROTOCOLS, SERVED, Appearance, MakeServer
from mailroute.sasl.registry import MECHANISMS
from tests.support.dialogues import written
from tests.support.pairs import Pair, password

POLICY = Policy(MECHANISMS, starttls=True)
REJECTED = Rejected(Failure(FailureKind.CREDENTIALS_REJECTED, "wrong"))
PLAIN_LOOKS = Appearance("mail.example.org")


class ListTests(SynchronousTestCase):
    """Every protocol of the configuration, and no other."""

    def test_names(self) -> None:
        """A listener may be of every protocol that there is; each knows its own name."""
        self.assertEqual(set(PROTOCOLS), set(CONFIGURED))
        for name, protocol in PROTOCOLS.items():
            self.assertEqual(protocol.name, name)

    def test_passed_through(self) -> None:
        """What is not spoken is passed through; both together can be served."""
        self.assertEqual(set(PASS_THROUGH), CONFIGURED_PASS_THROUGH)
        self.assertEqual(SERVED, {**PROTOCOLS, **PASS_THROUGH})
        for name, protocol in PASS_THROUGH.items():
            server = protocol.make_server(PLAIN_LOOKS)(POLICY, False, 3)
            (login,) = server.start()
            assert isinstance(login, Login)
            client = protocol.make_client(login, False, False, "proxy.example.org")
            self.assertEqual(protocol.name, name)
            self.assertEqual(client.start(), [Accepted()])
            self.assertTrue(protocol.full.startswith(b"421 "))

    def test_servers(self) -> None:
        """A fresh server dialogue a connection, that greets and obeys its policy."""
        for name, protocol in PROTOCOLS.items():
            make = protocol.make_server(PLAIN_LOOKS)
            one, other = make(POLICY, False, 3), make(POLICY, False, 3)
            self.assertIsNot(one, other)
            self.assertTrue(written(one.start()).endswith(b"\r\n"), name)

    def test_pairs(self) -> None:
        """Our client logs in at our server, over implicit TLS and by STARTTLS."""
        login = password("alice", b"secret")
        for name, protocol in PROTOCOLS.items():
            for starttls in (False, True):
                server = protocol.make_server(PLAIN_LOOKS)(POLICY, not starttls, 3)
                client = protocol.make_client(login, starttls, not starttls, "proxy.example.org")
                pair = Pair(client, server)
                (asked,) = pair.start()
                self.assertEqual(asked, login, name)
                self.assertEqual(pair.upgraded, starttls)

    def test_no_leave(self) -> None:
        """A client dialogue that may not send the password in the clear does not."""
        login = password("alice", b"secret")
        open_policy = Policy(MECHANISMS, starttls=False, cleartext_logins=True)
        for name, protocol in PROTOCOLS.items():
            server = protocol.make_server(PLAIN_LOOKS)(open_policy, False, 3)
            pair = Pair(protocol.make_client(login, False, False, "proxy.example.org"), server)
            (verdict,) = pair.start()
            self.assertEqual(type(verdict).__name__, "Rejected", name)
            self.assertNotIn(b"c2VjcmV0", pair.client_said)
            self.assertNotIn(b"secret", pair.client_said)

    def test_full(self) -> None:
        """What a client hears when there is no room is one whole line that means: later."""
        for name, start in (
            ("imap", b"* BYE [UNAVAILABLE] "),
            ("pop3", b"-ERR [SYS/TEMP] "),
            ("submission", b"421 "),
            ("managesieve", b"BYE (TRYLATER) "),
        ):
            words = PROTOCOLS[name].full
            self.assertTrue(words.startswith(start), words)
            self.assertEqual(words.count(b"\r\n"), 1)
            self.assertTrue(words.endswith(b"\r\n"))


class AppearanceTests(SynchronousTestCase):
    """What an operator says about how we look."""

    def greeting(self, name: str, looks: Appearance) -> bytes:
        return written(PROTOCOLS[name].make_server(looks)(POLICY, True, 3).start())

    def talk(self, make: MakeServer, command: bytes) -> bytes:
        server = make(POLICY, True, 3)
        server.start()
        events: list[Event] = server.receive_data(command)
        self.assertFalse([event for event in events if isinstance(event, Close)])
        return written(events)

    def test_banners(self) -> None:
        """A banner of the operator's own is in the greeting, and the default one is not."""
        for name in PROTOCOLS:
            default = self.greeting(name, PLAIN_LOOKS)
            looks = Appearance("mail.example.org", "Hello there", implementation="Ours")
            own = self.greeting(name, looks)
            self.assertIn(b"Hello there", own)
            self.assertNotIn(b"mailroute", own)
            self.assertNotEqual(default, own)

    def test_implementation(self) -> None:
        """ManageSieve's greeting names the software; without a word, ours."""
        for looks, name in (
            (PLAIN_LOOKS, b"mailroute"),
            (Appearance("mail.example.org", implementation="Ours 1"), b"Ours 1"),
        ):
            said = self.greeting("managesieve", looks)
            self.assertIn(b'"IMPLEMENTATION" "' + name + b'"\r\n', said)

    def test_host_name(self) -> None:
        """Submission greets with the host's name (RFC 5321 section 4.2), as an A-label."""
        self.assertTrue(
            self.greeting("submission", PLAIN_LOOKS).startswith(b"220 mail.example.org")
        )
        looks = Appearance("bücher.example")
        self.assertTrue(self.greeting("submission", looks).startswith(b"220 xn--bcher-kva.example"))

    def test_keywords(self) -> None:
        """Capabilities, submission's keywords, Sieve's extensions; else the default ones."""
        looks = Appearance("mail.example.org", keywords=("IMAP4rev1", "X-OURS"))
        answer = self.talk(PROTOCOLS["imap"].make_server(looks), b"a CAPABILITY\r\n")
        self.assertIn(b"IMAP4rev1 X-OURS AUTH=", answer)
        self.assertNotIn(b"SASL-IR", answer)
        looks = Appearance("mail.example.org", keywords=("X-OURS",))
        answer = self.talk(PROTOCOLS["submission"].make_server(looks), b"EHLO client.example\r\n")
        self.assertIn(b"250-X-OURS\r\n", answer)
        self.assertNotIn(b"8BITMIME", answer)
        answer = self.talk(PROTOCOLS["imap"].make_server(PLAIN_LOOKS), b"a CAPABILITY\r\n")
        self.assertIn(b"SASL-IR", answer)
        looks = Appearance("mail.example.org", keywords=("fileinto", "x-ours"))
        self.assertIn(b'"SIEVE" "fileinto x-ours"\r\n', self.greeting("managesieve", looks))
        self.assertIn(b'"SIEVE" "fileinto envelope', self.greeting("managesieve", PLAIN_LOOKS))

    def test_no_keywords(self) -> None:
        """Nothing but what follows from the policy, and IMAP's own name (RFC 3501 7.2.1)."""
        looks = Appearance("mail.example.org", keywords=())
        answer = self.talk(PROTOCOLS["imap"].make_server(looks), b"a CAPABILITY\r\n")
        self.assertTrue(answer.startswith(b"* CAPABILITY IMAP4rev1 AUTH="), answer)
        both = Appearance("mail.example.org", keywords=("IMAP4rev2",))
        answer = self.talk(PROTOCOLS["imap"].make_server(both), b"a CAPABILITY\r\n")
        self.assertTrue(answer.startswith(b"* CAPABILITY IMAP4rev2 AUTH="), answer)
        answer = self.talk(PROTOCOLS["submission"].make_server(looks), b"EHLO client.example\r\n")
        self.assertRegex(answer, rb"\A250-mail\.example\.org\r\n250 AUTH [^\r]+\r\n\Z")
        self.assertIn(b'"SIEVE" ""\r\n', self.greeting("managesieve", looks))

    def test_attempts(self) -> None:
        """The number of attempts reaches the dialogue: after the last one it closes."""
        for name, line in (
            ("imap", b"a LOGIN alice secret\r\n"),
            ("pop3", b"USER alice\r\nPASS secret\r\n"),
            ("submission", b"EHLO x\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"),
            ("managesieve", b'AUTHENTICATE "PLAIN" "AGFsaWNlAHNlY3JldA=="\r\n'),
        ):
            server = PROTOCOLS[name].make_server(PLAIN_LOOKS)(POLICY, True, 1)
            server.start()
            events = server.receive_data(line)
            self.assertEqual(events[-1], password("alice", b"secret"), name)
            closing = server.answer(REJECTED)
            self.assertIsInstance(closing[-1], Close, name)

    def test_starttls(self) -> None:
        """A policy without STARTTLS offers none; TLS before the greeting neither."""
        for name, command in (
            ("imap", b"a CAPABILITY\r\n"),
            ("pop3", b"CAPA\r\n"),
            ("submission", b"EHLO client.example\r\n"),
            ("managesieve", b"CAPABILITY\r\n"),
        ):
            for secure in (False, True):
                server = PROTOCOLS[name].make_server(PLAIN_LOOKS)(POLICY, secure, 3)
                server.start()
                offered = written(server.receive_data(command))
                keyword = b"STLS" if name == "pop3" else b"STARTTLS"
                self.assertEqual(keyword in offered, not secure, (name, offered))
