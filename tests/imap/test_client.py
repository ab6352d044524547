"""The client's side of IMAP: the laws, and conversations with all sorts of backends."""

from __future__ import annotations

import base64
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.client_dialogue import REPLY_LIMIT, ClientDialogue
from mailroute.credentials import Identity
from mailroute.errors import FailureKind
from mailroute.events import Accepted, Event, Login, Rejected, StartTLS
from mailroute.imap.client import INITIAL_RESPONSE_ROOM, ImapClient
from tests.support.dialogues import TLS, assert_transcript, written
from tests.support.laws import SECRET, ClientLaws
from tests.support.pairs import oauthbearer, password

PLAIN_READY = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\n"
LOGIN_READY = "S: * OK [CAPABILITY IMAP4rev1] ready\n"
ALICE = password("alice", b"secret")
BASE64 = base64.b64encode(b"\0alice\0secret").decode()
SENT = f"C: mr1 AUTHENTICATE PLAIN {BASE64}\n"
DONE = "S: mr1 OK [CAPABILITY IMAP4rev1 IDLE] Logged in\n"
ACCEPTED = "= Accepted [CAPABILITY IMAP4rev1 IDLE] Logged in\n"


def make(login: Login = ALICE, starttls: bool = False, secure: bool = True) -> ImapClient:
    return ImapClient(login, starttls, secure)


class ImapClientLawsTests(ClientLaws, SynchronousTestCase):
    """The laws of every client dialogue."""

    fragments: ClassVar[list[bytes]] = [
        b"* OK ", b"* NO ", b"* BAD ", b"* BYE ", b"* PREAUTH ", b"mr1 OK ", b"mr1 NO ",
        b"mr1 BAD ",
        b"mr2 OK ", b"mr2 NO ", b"mr3 OK ", b"mr2 OK\r\n", b"mr1 OK\r\n", b"+ \r\n", b"+\r\n",
        b"+ eA==\r\n", b"+ go on\r\n", b"\r\n", b"\n", b"* CAPABILITY ", b"[CAPABILITY ",
        b"AUTH=PLAIN ", b"IMAP4rev1 ", b"SASL-IR ", b"LITERAL+ ", b"LITERAL- ", b"LOGINDISABLED ",
        b"] ", b"[UNAVAILABLE] ", b"[ALERT] ", b"{3}\r\n", b"{99999}\r\n", b"abc", b"* LIST ",
        b'"x" ', b"\0", b"\xff", b"OK ",
    ]  # fmt: skip
    greeting: ClassVar[bytes] = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n"
    offering: ClassVar[bytes] = (
        b"* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256] ready\r\n"
    )
    challenge: ClassVar[bytes] = b"+ eA==\r\n"

    def make(self, login: Login, starttls: bool, secure: bool) -> ImapClient:
        return make(login, starttls, secure)

    def consent(self, dialogue: ClientDialogue) -> bytes:
        return b"mr1 OK Begin TLS negotiation now.\r\n"

    def refusal(self, dialogue: ClientDialogue) -> bytes:
        return b"mr1 BAD Unknown command.\r\n"


class Case(SynchronousTestCase):
    """What the tests below say often."""

    def check(self, transcript: str, login: Login = ALICE, trailing: bytes = b"") -> None:
        assert_transcript(lambda: make(login), transcript, trailing)

    def talk(self, *received: bytes, login: Login = ALICE) -> list[Event]:
        """All that comes of these pieces of a backend's speech."""
        dialogue = make(login)
        events = dialogue.start()
        for piece in received:
            events += dialogue.receive_data(piece)
        return events

    def verdict(self, *received: bytes, login: Login = ALICE) -> Rejected:
        """The rejection in which these pieces end."""
        last = self.talk(*received, login=login)[-1]
        assert isinstance(last, Rejected), last
        return last


class GreetingTests(Case):
    """The backend speaks first (RFC 9051 section 7.1)."""

    def test_capabilities_in_the_greeting(self) -> None:
        """They need not be asked for."""
        self.check(PLAIN_READY + SENT + DONE + ACCEPTED)

    def test_capabilities_asked(self) -> None:
        """A greeting without a list is followed by CAPABILITY."""
        self.check(
            f"""
            S: * OK ready
            C: mr1 CAPABILITY
            S: * CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN
            S: mr1 OK done
            C: mr2 AUTHENTICATE PLAIN {BASE64}
            S: mr2 OK [CAPABILITY IMAP4rev1] Hi
            = Accepted [CAPABILITY IMAP4rev1] Hi
            """
        )

    def test_capability_refused(self) -> None:
        """A backend that lists nothing has LOGIN at least (RFC 1730)."""
        self.check(
            """
            S: * OK ready
            C: mr1 CAPABILITY
            S: mr1 BAD what?
            C: mr2 LOGIN "alice" "secret"
            S: mr2 OK [CAPABILITY IMAP4rev1] Hi
            = Accepted [CAPABILITY IMAP4rev1] Hi
            """
        )

    def test_preauth(self) -> None:
        """We would be whoever the backend takes us for; it also forbids STARTTLS (7.1.4)."""
        verdict = self.verdict(b"* PREAUTH hi\r\n")
        self.assertEqual(verdict.failure.reason, "backend greeted with PREAUTH")
        for starttls in (True, False):
            assert_transcript(
                lambda starttls=starttls: make(ALICE, starttls, not starttls),  # type: ignore[misc]
                "S: * PREAUTH [CAPABILITY IMAP4rev1] welcome\n= Rejected backend-misbehaved\n",
            )

    def test_bye(self) -> None:
        """A backend that serves nobody is down, not the account wrong."""
        self.check("S: * BYE Too many connections\n= Rejected backend-unreachable\n")

    def test_no_greeting(self) -> None:
        """Something else answers at that port."""
        for greeting in ("+OK POP3", "220 mail ESMTP", "* NO", "* OKAY", "mr0 OK", "", "+ x"):
            self.check(f"S: {greeting}\n= Rejected backend-misbehaved\n")


class StartTlsTests(Case):
    """The upgrade (RFC 9051 section 6.2.1)."""

    def upgrade(self, transcript: str) -> None:
        assert_transcript(lambda: make(ALICE, True, False), transcript)

    def test_capabilities_are_asked_again(self) -> None:
        """The list of before the handshake is void, wherever it stood."""
        self.upgrade(
            """
            S: * OK [CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=PLAIN LITERAL+] ready
            C: mr1 STARTTLS
            S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR
            S: mr1 OK Begin
            = StartTLS
            > tls
            C: mr2 CAPABILITY
            S: * CAPABILITY IMAP4rev1
            S: mr2 OK done
            C: mr3 LOGIN "alice" "secret"
            S: mr3 OK [CAPABILITY IMAP4rev1] Hi
            = Accepted [CAPABILITY IMAP4rev1] Hi
            """
        )

    def test_untagged_lines_of_before(self) -> None:
        """What was said in the clear is not shown to the client either."""
        dialogue = make(ALICE, True, False)
        dialogue.start()
        dialogue.receive_data(b"* OK hi\r\n* OK [ALERT] go to evil.example\r\nmr1 OK\r\n")
        dialogue.tls_established(TLS)
        dialogue.receive_data(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\nmr2 OK\r\n")
        events = dialogue.receive_data(b"mr3 OK [CAPABILITY IMAP4rev1] Hi\r\n")
        self.assertEqual(events, [Accepted((b"[CAPABILITY IMAP4rev1] Hi",), ())])

    def test_stripped(self) -> None:
        """A refusal ends it: nothing falls back to clear text, and no secret is written."""
        for answer in ("mr1 NO not now", "mr1 BAD Unknown command", "* BYE"):
            kind = "backend-unreachable" if "BYE" in answer else "backend-untrusted"
            self.upgrade(f"S: * OK hi\nC: mr1 STARTTLS\nS: {answer}\n= Rejected {kind}\n")

    def test_injected(self) -> None:
        """Bytes behind the consent are an attack, a whole reply or half a line."""
        for injected in (b"* CAPABILITY AUTH=PLAIN\r\n", b"mr2 OK\r\n", b"\r\n", b"x"):
            dialogue = make(ALICE, True, False)
            dialogue.start()
            dialogue.receive_data(b"* OK hi\r\n")
            events = dialogue.receive_data(b"mr1 OK Begin\r\n" + injected)
            assert isinstance(events[-1], Rejected)
            self.assertIs(events[-1].failure.kind, FailureKind.BACKEND_UNTRUSTED)
            self.assertFalse(any(isinstance(event, StartTLS) for event in events))

    def test_list_of_before_is_void(self) -> None:
        """A backend that lists nothing after the handshake is not held to what came before it."""
        dialogue = make(ALICE, True, False)
        dialogue.start()
        dialogue.receive_data(b"* OK hi\r\n* CAPABILITY AUTH=PLAIN LOGINDISABLED\r\nmr1 OK\r\n")
        self.assertEqual(written(dialogue.tls_established(TLS)), b"mr2 CAPABILITY\r\n")
        said = written(dialogue.receive_data(b"mr2 NO\r\n"))
        self.assertEqual(said, b'mr3 LOGIN "alice" "secret"\r\n')

    def test_without_leave(self) -> None:
        """Without TLS and without leave for it the list is looked at, and nothing is sent."""
        assert_transcript(
            lambda: make(ALICE, False, False), LOGIN_READY + "= Rejected backend-untrusted\n"
        )


class WayTests(Case):
    """The way is chosen by what the backend advertises."""

    def test_login(self) -> None:
        """LOGIN where there is no AUTH=PLAIN."""
        self.check(
            LOGIN_READY + 'C: mr1 LOGIN "alice" "secret"\n' + DONE + ACCEPTED,
            trailing=b"* 3 EXISTS\r\n",
        )

    def test_logindisabled(self) -> None:
        """LOGIN is not sent where it is disabled (RFC 3501 6.2.3)."""
        self.check("S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] x\n= Rejected backend-incapable\n")
        ready = "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN SASL-IR] x\n"
        self.check(ready + SENT + DONE + ACCEPTED)

    def test_without_initial_response(self) -> None:
        """Without SASL-IR the response waits for the continuation (RFC 4959)."""
        for asked in ("+\\x20", "+", "+ go ahead"):
            self.check(
                f"""
                S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x
                C: mr1 AUTHENTICATE PLAIN
                S: {asked}
                C: {BASE64}
                """
                + DONE
                + ACCEPTED
            )

    def test_long_initial_response(self) -> None:
        """A token that may not fit a command's line waits for the continuation too."""
        login = oauthbearer("alice", b"t" * INITIAL_RESPONSE_ROOM)
        ready = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER] x\r\n"
        self.assertEqual(
            written(self.talk(ready, login=login)), b"mr1 AUTHENTICATE OAUTHBEARER\r\n"
        )
        said = written(self.talk(ready, b"+ \r\n", login=login))
        self.assertTrue(said.endswith(base64.b64encode(login.initial_response or b"") + b"\r\n"))

    def test_mechanism_not_offered(self) -> None:
        """A token cannot become a password, nor a name to act for be left out."""
        for login in (oauthbearer("alice"), password("master", b"x", "alice")):
            self.check(LOGIN_READY + "= Rejected backend-incapable\n", login)

    def test_translated_to_auth_login(self) -> None:
        """Where neither PLAIN nor LOGIN is there, AUTH=LOGIN carries name and password."""
        self.check(
            """
            S: * OK [CAPABILITY IMAP4rev1 SASL-IR LOGINDISABLED AUTH=LOGIN] x
            C: mr1 AUTHENTICATE LOGIN
            S: + VXNlcm5hbWU6
            C: YWxpY2U=
            S: + UGFzc3dvcmQ6
            C: c2VjcmV0
            """
            + DONE
            + ACCEPTED
        )

    def test_command_goes_before_auth_login(self) -> None:
        """The LOGIN command says the same in one line."""
        self.check(
            "S: * OK [CAPABILITY IMAP4rev1 AUTH=LOGIN] x\n"
            + 'C: mr1 LOGIN "alice" "secret"\n'
            + DONE
            + ACCEPTED
        )

    def test_one_mechanism(self) -> None:
        """Where one is insisted on, it is neither the command nor another mechanism."""

        def insisting(mechanism: str) -> ImapClient:
            dialogue = make(ALICE)
            dialogue.insist(mechanism)
            return dialogue

        ready = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2] x\n"
        by_login = "C: mr1 AUTHENTICATE LOGIN\nS: + VXNlcm5hbWU6\nC: YWxpY2U=\nS: + \n"
        assert_transcript(
            lambda: insisting("LOGIN"), ready + by_login + "C: c2VjcmV0\n" + DONE + ACCEPTED
        )
        assert_transcript(lambda: insisting("PLAIN"), ready + SENT + DONE + ACCEPTED)
        for mechanism, offered, reason in (
            ("LOGIN", b"AUTH=PLAIN", "the row's mech is LOGIN, which the backend does not offer"),
            ("PLAIN", b"AUTH=LOGIN", "the row's mech is PLAIN, which the backend does not offer"),
            ("XOAUTH2", b"AUTH=XOAUTH2", "cannot be made of a login by PLAIN"),
        ):
            dialogue = insisting(mechanism)
            dialogue.start()
            events = dialogue.receive_data(b"* OK [CAPABILITY IMAP4rev1 %b] x\r\n" % offered)
            assert isinstance(events[-1], Rejected), events
            self.assertIs(events[-1].failure.kind, FailureKind.BACKEND_INCAPABLE)
            self.assertIn(reason, events[-1].failure.reason)
            self.assertEqual(written(events), b"")

    def test_channel_binding(self) -> None:
        """A client that could bind the channel would take a backend's -PLUS for an attack."""
        login = Login(Identity("alice"), "SCRAM-SHA-1", b"y,,n=alice,r=x")
        ready = b"* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-1-PLUS] x\r\n"
        verdict = self.talk(ready, login=login)[-1]
        assert isinstance(verdict, Rejected)
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_INCAPABLE)
        self.assertIn("SCRAM-SHA-1-PLUS", verdict.failure.reason)

    def test_acting_for_another(self) -> None:
        """PLAIN carries both names."""
        login = password("master", b"x", "alice")
        encoded = base64.b64encode(b"alice\0master\0x").decode()
        self.check(PLAIN_READY + f"C: mr1 AUTHENTICATE PLAIN {encoded}\n" + DONE + ACCEPTED, login)


class LiteralTests(Case):
    """Names and passwords that quotes cannot hold (RFC 9051 4.3, RFC 7888)."""

    def said(self, extension: str, login: Login, *continuations: bytes) -> bytes:
        ready = f"* OK [CAPABILITY IMAP4rev1 {extension}] x\r\n".encode()
        return written(self.talk(ready, *continuations, login=login))

    def test_synchronizing(self) -> None:
        """Each literal waits for its continuation; the rest of the command stands behind it."""
        self.check(
            """
            S: * OK [CAPABILITY IMAP4rev1] x
            C: mr1 LOGIN {3}
            S: + go
            C~ a"b {4}\\x0d\\x0a
            S: + go
            C~ \\xff\\x0d\\x0ax\\x0d\\x0a
            """
            + DONE
            + ACCEPTED,
            password('a"b', b"\xff\r\nx"),
        )

    def test_non_synchronizing(self) -> None:
        """With LITERAL+ or LITERAL- nothing is waited for."""
        login = password("a\\b", b"x\ny")
        expected = b"mr1 LOGIN {3+}\r\na\\b {3+}\r\nx\ny\r\n"
        for extension in ("LITERAL+", "LITERAL-"):
            self.assertEqual(self.said(extension, login), expected)

    def test_literal_minus_is_bounded(self) -> None:
        """LITERAL- allows 4096 octets and no more (RFC 7888 section 5)."""
        for octets in (4096, 4097):
            secret = b"\xff" * octets
            login = password("alice", secret)
            whole = b'mr1 LOGIN "alice" {%d+}\r\n' % octets + secret + b"\r\n"
            head = b'mr1 LOGIN "alice" {%d}\r\n' % octets
            self.assertEqual(self.said("LITERAL+", login), whole)
            self.assertEqual(self.said("LITERAL-", login), whole if octets == 4096 else head)
            if octets > 4096:
                said = self.said("LITERAL-", login, b"+ go\r\n")
                self.assertEqual(said, head + secret + b"\r\n")

    def test_what_goes_as_a_literal(self) -> None:
        """CR, LF, quotes, backslashes, controls and 8-bit octets: never between quotes."""
        for octet in b'\r\n"\\\x01\x7f\x80\xff':
            login = password("alice", b"p" + bytes([octet]))
            said = self.said("LITERAL+", login)
            self.assertEqual(said, b'mr1 LOGIN "alice" {2+}\r\np' + bytes([octet]) + b"\r\n")
        self.assertIn(b'"p {3}*%(]"', self.said("LITERAL+", password("a", b"p {3}*%(]")))

    def test_literal_refused(self) -> None:
        """NO instead of the continuation: the rest of the command is never written."""
        self.check(
            """
            S: * OK [CAPABILITY IMAP4rev1] x
            C: mr1 LOGIN "alice" {2}
            S: mr1 NO [LIMIT] not now
            = Rejected backend-busy
            """,
            password("alice", b"\xff\xff"),
        )

    def test_ok_to_half_a_command(self) -> None:
        """Nobody's password was seen: it is no login."""
        self.check(
            """
            S: * OK [CAPABILITY IMAP4rev1] x
            C: mr1 LOGIN "alice" {2}
            S: mr1 OK welcome
            = Rejected backend-misbehaved
            """,
            password("alice", b"\xff\xff"),
        )
        self.check(
            """
            S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x
            C: mr1 AUTHENTICATE PLAIN
            S: mr1 OK welcome
            = Rejected backend-misbehaved
            """
        )

    def test_continuation_without_a_reason(self) -> None:
        """One continuation a literal: another one is nonsense, and is not answered."""
        self.check(
            LOGIN_READY + 'C: mr1 LOGIN "alice" "secret"\nS: +\n= Rejected backend-misbehaved'
        )
        self.check("S: * OK x\nC: mr1 CAPABILITY\nS: + x\n= Rejected backend-misbehaved\n")

    def test_waiting_secret_is_not_shown(self) -> None:
        """What waits for a continuation is in no repr."""
        dialogue = make(password("alice", b"\xff" + SECRET))
        dialogue.start()
        dialogue.receive_data(b"* OK [CAPABILITY IMAP4rev1] x\r\n")
        self.assertNotIn(SECRET.decode(), repr(vars(dialogue)))
        self.assertEqual(len(dialogue._segments), 1)
        dialogue.timed_out()
        self.assertEqual(dialogue._segments, [])


class AcceptedTests(Case):
    """The login succeeded."""

    def accepted(self, *received: bytes) -> Accepted:
        last = self.talk(*received)[-1]
        assert isinstance(last, Accepted), last
        return last

    READY: ClassVar[bytes] = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n"

    def test_capabilities_asked_after_the_login(self) -> None:
        """Where the OK lists none we ask: the client may rely on our greeting's for ever."""
        self.check(
            PLAIN_READY
            + SENT
            + """
            S: mr1 OK Logged in
            C: mr2 CAPABILITY
            S: * CAPABILITY IMAP4rev1 IDLE
            S: mr2 OK done
            = Accepted Logged in
            """,
            trailing=b"* 3 EXISTS\r\n",
        )

    def test_list_reaches_the_client(self) -> None:
        """What we asked for comes as the untagged line that it is; our tag does not come."""
        said = (b"mr1 OK Hi\r\n", b"* CAPABILITY IMAP4rev1 IDLE\r\nmr2 OK done\r\n")
        accepted = self.accepted(self.READY, *said)
        self.assertEqual(accepted.untagged, (b"* CAPABILITY IMAP4rev1 IDLE",))
        self.assertEqual(accepted.words, (b"Hi",))
        self.assertNotIn("mr", repr(accepted))

    def test_unauthenticate_is_left_out(self) -> None:
        """RFC 8437: behind it another account would be looked for at this one's backend."""
        listed = b"CAPABILITY IMAP4rev1 unauthenticate IDLE UNAUTHENTICATE"
        accepted = self.accepted(self.READY, b"mr1 OK [" + listed + b"] Hi\r\n")
        self.assertEqual(accepted.words, (b"[CAPABILITY IMAP4rev1 IDLE] Hi",))
        accepted = self.accepted(
            self.READY, b"* " + listed + b"\r\n* OK no UNAUTHENTICATE here\r\nmr1 OK Hi\r\n"
        )
        self.assertEqual(
            accepted.untagged, (b"* CAPABILITY IMAP4rev1 IDLE", b"* OK no UNAUTHENTICATE here")
        )

    def test_list_refused_after_the_login(self) -> None:
        """The login stands, whatever the backend says to CAPABILITY."""
        accepted = self.accepted(self.READY, b"mr1 OK Hi\r\n", b"mr2 BAD what?\r\n")
        self.assertEqual(accepted, Accepted((b"Hi",), ()))

    def test_list_before_the_ok(self) -> None:
        """An untagged list during the login serves as well: nothing is asked."""
        self.check(PLAIN_READY + SENT + "S: * CAPABILITY IDLE\nS: mr1 OK Hi\n= Accepted Hi\n")

    def test_untagged_lines(self) -> None:
        """All that comes before the OK reaches the client, an ALERT and literals included."""
        accepted = self.accepted(
            self.READY,
            b"* OK [ALERT] Disk full {9}\r\n* NO warning\r\n* X {5}\r\nab\r\nc y\r\n"
            b"mr1 OK [CAPABILITY IMAP4rev1] Hi\r\n",
        )
        expected = (b"* OK [ALERT] Disk full {9}", b"* NO warning", b"* X {5}\r\nab\r\nc y")
        self.assertEqual(accepted.untagged, expected)

    def test_bytes_behind_the_ok(self) -> None:
        """They belong to the client, half a line and all, and are not looked at."""
        for behind in (b"* OK [ALERT] x\r\n* BYE\r\n", b"* LIST {3", b"\xff\0"):
            dialogue = make()
            dialogue.start()
            said = b"mr1 OK [CAPABILITY X] Hi\r\n" + behind
            events = dialogue.receive_data(self.READY) + dialogue.receive_data(said)
            self.assertIsInstance(events[-1], Accepted)
            self.assertEqual(dialogue.trailing_data, behind)

    def test_ok_without_words(self) -> None:
        """The client is told something."""
        said = (b"mr1 OK\r\n", b"* CAPABILITY X\r\nmr2 OK\r\n")
        self.assertEqual(self.accepted(self.READY, *said).words, (b"Logged in",))


class RejectedTests(Case):
    """The login failed."""

    READY: ClassVar[bytes] = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n"

    def test_codes(self) -> None:
        """The code tells what is at fault (RFC 5530); without one it is the credentials."""
        for code, kind in (
            (b"", FailureKind.CREDENTIALS_REJECTED),
            (b"[AUTHENTICATIONFAILED] ", FailureKind.CREDENTIALS_REJECTED),
            (b"[ALERT] ", FailureKind.CREDENTIALS_REJECTED),
            (b"[UNAVAILABLE] ", FailureKind.BACKEND_BUSY),
            (b"[unavailable] ", FailureKind.BACKEND_BUSY),
            (b"[LIMIT] ", FailureKind.BACKEND_BUSY),
            (b"[INUSE] ", FailureKind.BACKEND_BUSY),
            (b"[SERVERBUG] ", FailureKind.BACKEND_BUSY),
            (b"[CONTACTADMIN] ", FailureKind.BACKEND_BUSY),
            (b"[EXPIRED] ", FailureKind.BACKEND_REFUSED),
            (b"[AUTHORIZATIONFAILED] ", FailureKind.BACKEND_REFUSED),
            (b"[PRIVACYREQUIRED] ", FailureKind.BACKEND_REFUSED),
            (b"not [UNAVAILABLE] ", FailureKind.CREDENTIALS_REJECTED),
        ):
            said = b"* OK [ALERT] a\r\nmr1 NO " + code + b"Sorry\r\n"
            verdict = self.verdict(self.READY, said)
            self.assertIs(verdict.failure.kind, kind, code)
            self.assertEqual(verdict.words, (code + b"Sorry",))
            self.assertEqual(verdict.untagged, (b"* OK [ALERT] a",))

    def test_referral(self) -> None:
        """RFC 2221: neither followed nor passed on, and no wrong password."""
        referral = "[REFERRAL imap://joe@inside.example/] Elsewhere"
        self.check(PLAIN_READY + SENT + f"S: mr1 NO {referral}\n= Rejected backend-refused\n")
        self.check(
            PLAIN_READY + SENT + f"S: mr1 OK {referral}\nC: mr2 CAPABILITY\n"
            "S: mr2 OK\n= Accepted Logged in\n"
        )

    def test_no_words(self) -> None:
        """A bare NO brings no words, not empty ones: ours are said then."""
        self.assertEqual(self.verdict(self.READY, b"mr1 NO\r\n").words, ())

    def test_bad(self) -> None:
        """BAD is about us: the user's password is not to blame, and the words are not for it."""
        verdict = self.verdict(self.READY, b"mr1 BAD [CLIENTBUG] Huh?\r\n")
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)
        self.assertEqual(verdict.words, ())
        self.assertIn("Huh?", verdict.failure.reason)

    def test_bye_during_the_login(self) -> None:
        """The backend went away; it said nothing about the password."""
        for line in (b"* BYE Shutting down\r\n", b"* bye\r\n"):
            verdict = self.verdict(self.READY, line + b"mr1 NO\r\n")
            self.assertIs(verdict.failure.kind, FailureKind.BACKEND_UNREACHABLE)

    def test_silence_behind_an_untagged_no(self) -> None:
        """An untagged NO is no verdict: a backend that says no more has timed out."""
        self.check(PLAIN_READY + SENT + "S: * NO Wrong\n> timeout\n= Rejected backend-timed-out\n")

    def test_loss(self) -> None:
        """At any moment it is temporary, and the log says what was waited for."""
        dialogue = make()
        dialogue.start()
        dialogue.receive_data(self.READY)
        (verdict,) = dialogue.timed_out()
        assert isinstance(verdict, Rejected)
        self.assertEqual(
            verdict.failure.reason, "no answer while waiting for the answer to AUTHENTICATE"
        )

    def test_other_tags(self) -> None:
        """A reply to nothing that we asked is nonsense, and never a verdict."""
        for line in (
            b"mr2 OK\r\n",
            b"mr0 OK\r\n",
            b"MR1 OK\r\n",
            b"a OK\r\n",
            b"mr1 OKAY\r\n",
            b"\r\n",
        ):
            verdict = self.verdict(self.READY, line)
            self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)

    def test_endless(self) -> None:
        """Untagged lines and literals are bounded, also where nobody would see them."""
        flood = b"* OK x\r\n" * (REPLY_LIMIT // 5)
        for ready in (self.READY, b"* OK hi\r\n"):
            for said in (flood, b"* X {65536}\r\n", b"* X {99999999999999999999}\r\n"):
                kind = self.verdict(ready, said).failure.kind
                self.assertIs(kind, FailureKind.BACKEND_MISBEHAVED)

    def test_text_that_looks_like_a_literal(self) -> None:
        """A user's name at the end of a reply cannot make us wait for octets."""
        verdict = self.verdict(self.READY, b"mr1 NO no such user x{500}\r\n")
        self.assertEqual(verdict.words, (b"no such user x{500}",))

    def test_repeated_command(self) -> None:
        """A backend that repeats our command does not bring the password into the log."""
        for line in (b"mr1 BAD AUTHENTICATE PLAIN ", b"* BYE ", b"mr1 AUTHENTICATE PLAIN "):
            verdict = self.verdict(self.READY, line + BASE64.encode() + b"\r\n")
            self.assertNotIn(BASE64[:16], repr(verdict))
            self.assertIn("withheld", verdict.failure.reason)


class ChallengeTests(Case):
    """Relayed challenges."""

    READY = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER] ready\n"
    LOGIN = oauthbearer("alice", b"x")
    SENT = f"C: mr1 AUTHENTICATE OAUTHBEARER {base64.b64encode(LOGIN.initial_response or b'').decode()}\n"  # noqa: E501

    def test_failed_token(self) -> None:
        """RFC 7628 3.2.3: the error passes to the client, its answer back, then comes the NO."""
        self.check(
            self.READY
            + self.SENT
            + """
            S: + eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=
            = Challenge {"status":"invalid_token"}
            > respond \\x01
            C: AQ==
            S: mr1 NO [AUTHENTICATIONFAILED] Bad token
            = Rejected credentials-rejected
            """,
            self.LOGIN,
        )

    def test_cancelled(self) -> None:
        """The client's "*" passes; the backend's BAD is no fault of the backend's."""
        self.check(
            self.READY
            + self.SENT
            + """
            S: +
            = Challenge
            > respond *
            C: *
            S: mr1 BAD cancelled
            = Rejected credentials-rejected
            """,
            self.LOGIN,
        )

    def test_not_base64(self) -> None:
        """Text where a challenge is due is nonsense."""
        self.check(self.READY + self.SENT + "S: + go on\n= Rejected backend-misbehaved", self.LOGIN)
