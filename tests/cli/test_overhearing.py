"""What is noted of a conversation, which is itself left alone."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli.overhearing import Overheard, Recorder, WitnessedContexts
from mailroute.cli.redaction import WITHHELD, Redaction
from mailroute.cli.story import Story
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Rejected, StartTLS, TLSInfo, Write
from mailroute.net.connector import Connector, Limits
from mailroute.protocols import PROTOCOLS
from mailroute.route import Backend, Origin, Route, TLSMode, Trust
from mailroute.sasl.plain import password_login
from tests.support.backends import House
from tests.support.local_reactor import LocalCase
from tests.support.secured import Certificates, server_tls

SECRET = b"open sesame"
LITERAL = b"pass\xc3\xa9 word"


class OverheardCase(SynchronousTestCase):
    """A dialogue, overheard."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.story = Story(self.clock.seconds)

    def begin(self, protocol: str, secret: bytes = SECRET, starttls: bool = False) -> Overheard:
        """A fresh dialogue that has been started."""
        self.recorder = Recorder(self.story, Redaction(secret))
        login = password_login(b"alice@example.org", secret)
        make = PROTOCOLS[protocol].make_client
        dialogue = make(login, starttls, not starttls, "front.example.org")
        overheard = Overheard(dialogue, self.recorder)
        overheard.start()
        return overheard

    def said(self) -> list[str]:
        """The transcript."""
        return [str(heard) for heard in self.recorder.transcript]

    def stages(self) -> list[tuple[str, float | None]]:
        """The stages and their times."""
        return [(step.name, step.milliseconds) for step in self.story.steps]


class TranscriptTests(OverheardCase):
    """Both sides, without the secret."""

    def test_imap(self) -> None:
        """AUTHENTICATE with an initial response; each stage with its time."""
        dialogue = self.begin("imap")
        self.clock.advance(0.001)
        dialogue.receive_data(b"* OK ready\r\n")
        self.clock.advance(0.002)
        dialogue.receive_data(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nmr1 OK don")
        dialogue.receive_data(b"e\r\n")
        self.clock.advance(0.003)
        events = dialogue.receive_data(b"mr2 OK [CAPABILITY IMAP4rev1] in\r\n")
        self.assertIsInstance(events[-1], Accepted)
        self.assertEqual(
            self.said(),
            [
                "S: * OK ready",
                "C: mr1 CAPABILITY",
                "S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR",
                "S: mr1 OK done",
                "C: mr2 AUTHENTICATE PLAIN ****",
                "S: mr2 OK [CAPABILITY IMAP4rev1] in",
            ],
        )
        self.assertEqual(self.stages(), [("greeting", 1), ("negotiation", 2), ("login", 3)])

    def test_literals(self) -> None:
        """LOGIN with a literal that the backend asks for."""
        dialogue = self.begin("imap", LITERAL)
        dialogue.receive_data(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
        dialogue.receive_data(b"+ go on\r\n")
        dialogue.receive_data(b"mr1 NO " + LITERAL + b" is wrong\r\n")
        self.assertEqual(
            self.said()[1:],
            ["C: mr1 LOGIN ****", "S: + go on", "C: ****", f"S: {WITHHELD}"],
        )

    def test_pop3(self) -> None:
        """USER and PASS."""
        dialogue = self.begin("pop3")
        for line in (b"+OK ready\r\n", b"+OK\r\nUSER\r\n.\r\n", b"+OK\r\n", b"+OK in\r\n"):
            dialogue.receive_data(line)
        ours = [line for line in self.said() if line.startswith("C: ")]
        self.assertEqual(ours, ["C: CAPA", "C: USER ****", "C: PASS ****"])

    def test_submission(self) -> None:
        """AUTH LOGIN, whose prompts are answered one by one."""
        dialogue = self.begin("submission")
        for line in (
            b"220 ready\r\n",
            b"250-x\r\n250 AUTH LOGIN\r\n",
            b"334 VXNlcm5hbWU6\r\n",
            b"334 UGFzc3dvcmQ6\r\n",
            b"535 bad: " + base64.b64encode(SECRET) + b"\r\n",
        ):
            dialogue.receive_data(line)
        ours = [line for line in self.said() if line.startswith("C: ")]
        self.assertEqual(ours, ["C: EHLO front.example.org", "C: AUTH LOGIN", "C: ****", "C: ****"])
        self.assertEqual(self.said()[-1], f"S: {WITHHELD}")

    def test_managesieve(self) -> None:
        """A mechanism in quotes, and the credentials in quotes or in a literal."""
        for login, ours in ((SECRET, 'AUTHENTICATE "PLAIN" ****'), (b"x" * 1000, "****")):
            dialogue = self.begin("managesieve", login)
            dialogue.receive_data(b'"SASL" "PLAIN"\r\nOK "ready"\r\n')
            dialogue.receive_data(b'NO "' + login + b' is wrong"\r\n')
            said = [line for line in self.said() if line.startswith("C: ")]
            self.assertEqual(said[0], 'C: AUTHENTICATE "PLAIN" ****')
            self.assertEqual(said[-1], f"C: {ours}")
            self.assertEqual(self.said()[-1], f"S: {WITHHELD}")

    def test_managesieve_unasked(self) -> None:
        """Credentials that nobody has asked for are withheld as well."""
        dialogue = self.begin("managesieve")
        dialogue.receive_data(b'"IMPLEMENTATION" "Pigeonhole"\r\n"SASL" "PLAIN"\r\nOK\r\n')
        self.assertEqual(len(dialogue.reminded()), 1)
        self.assertEqual(self.said()[-2:], ['C: AUTHENTICATE "PLAIN"', "C: ****"])

    def test_replies(self) -> None:
        """What was said before TLS counts no more after it."""
        dialogue = self.begin("imap", starttls=True)
        dialogue.receive_data(b"* OK [CAPABILITY X-FORGED] ready\r\n")
        events = dialogue.receive_data(b"mr1 OK go\r\n")
        self.assertIsInstance(events[-1], StartTLS)
        self.recorder.handshake({"version": "TLSv1.3"})
        events = dialogue.tls_established(TLSInfo("TLSv1.3"))
        self.assertIsInstance(events[-1], Write)
        dialogue.receive_data(b"* CAPABILITY IMAP4rev1\r\n")
        self.assertEqual(self.recorder.replies, [b"* CAPABILITY IMAP4rev1"])
        self.assertIn("*: TLSv1.3", self.said())

    def test_ends(self) -> None:
        """Time-outs and losses are the dialogue's; half a line is shown."""
        dialogue = self.begin("imap")
        dialogue.receive_data(b"* OK rea")
        events = dialogue.ended(Failure(FailureKind.BACKEND_UNREACHABLE, "lost"))
        self.assertIsInstance(events[-1], Rejected)
        self.assertEqual(self.said(), ["S: * OK rea"])
        self.assertIsInstance(self.begin("imap").timed_out()[-1], Rejected)

    def test_state(self) -> None:
        """What a peer and a connector ask of a dialogue."""
        dialogue = self.begin("pop3")
        self.assertFalse(dialogue.login_is_used or dialogue.full or dialogue.is_untold)
        self.assertEqual(dialogue.extension, "XCLIENT")
        for line in (b"+OK ready\r\n", b"+OK\r\nUSER\r\n.\r\n", b"+OK\r\n", b"+OK in\r\n+OK"):
            dialogue.receive_data(line)
        self.assertTrue(dialogue.login_is_used)
        self.assertEqual(dialogue.trailing_data, b"+OK")
        self.assertEqual(dialogue.respond(b"late"), [])


class DialTests(OverheardCase):
    """The connection."""

    def test_dialled(self) -> None:
        """Each attempt begins anew and is noted where it succeeds."""
        recorder = self.recorder = Recorder(self.story, Redaction(b""))
        made: list[object] = []

        async def dial(host: str, port: int, make: Any, seconds: float, sources: Any) -> Any:
            self.assertEqual(sources, ("192.0.2.8",))
            self.clock.advance(seconds)
            return make()

        recorder.received(b"old\r\nrest")
        self.clock.advance(5)
        noted: Any = recorder.dialled(dial)
        waiting = noted("h.example.org", 993, lambda: made.append(1), 0.5, ("192.0.2.8",))
        with self.assertRaises(StopIteration):
            waiting.send(None)
        self.assertEqual((made, recorder.replies), ([1], []))
        self.assertEqual(self.stages(), [("connect", 500)])
        self.assertEqual(self.story.steps[0].facts, {"to": "h.example.org:993"})


class HandshakeTests(LocalCase):
    """The other side's certificate, with the real OpenSSL."""

    def handshake(self, name: str) -> tuple[Recorder, Story]:
        """Log in at a house whose certificate is for mail.example."""
        certificates = Certificates(self)
        house = House({"alice": b"secret"}, tls=server_tls(certificates.issue("mail.example")))
        self.reactor.listening[("192.0.2.1", 993)] = house.accept
        story = Story(self.reactor.seconds)
        recorder = Recorder(story, Redaction(b"secret"))
        make = PROTOCOLS["imap"].make_client
        connector = Connector(
            self.reactor,
            recorder.dialled(self.reactor.dialer().dial),
            lambda route, login, origin: make(login, False, True, "x"),
            Limits(10.0, 0),
        )
        connector.contexts = WitnessedContexts(recorder)
        trust = Trust(name, certificates.ca_file)
        backend = Backend(("192.0.2.1",), 993, TLSMode.IMPLICIT, trust)
        login = password_login(b"alice", b"secret")
        origin = Origin("x", "imap", "", 0, "", 0)
        connected = Deferred.fromCoroutine(
            connector.connect(Route("alice", "east", backend), login, origin)
        )
        connected.addCallbacks(lambda found: found[0].abandon(), lambda failed: None)
        self.settle()
        self.assertTrue(connected.called)
        self.assert_quiet()
        return recorder, story

    def test_trusted(self) -> None:
        """Version, cipher and whose certificate it is."""
        recorder, story = self.handshake("mail.example")
        self.assertEqual(recorder.tls["version"], "TLSv1.3")
        self.assertEqual(recorder.tls["certificate"], "CN=mail.example")
        self.assertEqual(recorder.tls["issuer"], "CN=mailroute tests")
        self.assertRegex(str(recorder.tls["valid until"]), "^20[0-9]{2}-")
        self.assertEqual([step.name for step in story.steps], ["connect", "tls"])

    def test_refused(self) -> None:
        """A certificate for another name is described all the same, and stays refused."""
        recorder, _story = self.handshake("other.example")
        self.assertEqual(recorder.tls["certificate"], "CN=mail.example")
        self.assertIn("other.example", str(recorder.tls["refused"]))
        self.assertEqual(recorder.replies, [])
