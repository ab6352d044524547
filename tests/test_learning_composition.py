"""The promises of listeners, learnt from the destinations."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailroute.credentials import Identity
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Login, Rejected
from mailroute.learning import RETRY_SECONDS
from mailroute.learning_composition import Learning
from mailroute.net.proxyheader import SIGNATURE
from mailroute.net.tls import BackendContexts
from mailroute.offer import Policy
from mailroute.route import Backend, Origin, Route, TLSMode
from tests.config.reading import SECTIONS, ConfigurationCase
from tests.support.dialogues import written

WEST = SECTIONS["destination"].replace("east", "west")
PATTERN = (
    '[destination."shard-*"]\nhost = "{1}.example.org"\n'
    '[destination."shard-*".protocol.imap]\nport = 993\ntls = "implicit"\n'
)
LEARN = "[capabilities.imap]\nlearn = true\n"
LOGIN = Login(Identity("alice"), "PLAIN", b"\0alice\0secret")
ORIGIN = Origin("s", "imap", "192.0.2.1", 1, "192.0.2.2", 143)
ROUTE = Route("alice", "east", Backend(("east.example.org",), 993, TLSMode.IMPLICIT))


class Peer:
    """A backend that has answered."""

    def __init__(self, verdict: Accepted | Rejected) -> None:
        self._verdict = verdict
        self.left = False

    async def milestone(self) -> Accepted | Rejected:
        """The verdict."""
        return self._verdict

    def abandon(self) -> None:
        """Leave."""
        self.left = True


class LearningTests(ConfigurationCase):
    """Destinations that say what the test says."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.says = {
            "east.example.org": Accepted((b"ID", b"LITERAL+")),
            "west.example.org": Accepted((b"ID",)),
        }
        self.peers: list[Peer] = []
        self.preambles: list[bytes] = []
        self.answer: object = None
        self.contexts = BackendContexts()

    async def dial(self, host: str, port: int, make: object, *_: object) -> Peer:
        """A peer at this host."""
        self.preambles.append(cast(Any, make)().preamble)
        self.peers.append(Peer(self.says[host]))
        return self.peers[-1]

    async def connect(self, *_: object) -> object:
        """How a session's login ends."""
        if isinstance(self.answer, Failure):
            raise self.answer
        return "peer", self.answer

    def learning(self, capabilities: str = LEARN) -> Learning:
        """The learning of a configuration with two destinations and a pattern."""
        configuration = self.read_sections(
            destination=SECTIONS["destination"] + WEST + PATTERN, capabilities=capabilities
        )
        learning = Learning(
            configuration, cast(Any, self), cast(Any, self.dial), cast(Any, self.clock)
        )
        self.addCleanup(learning.stop)
        return learning

    def greeting(self, learning: Learning) -> bytes:
        """What a client is told."""
        make = learning.make_server("imap")
        assert make is not None
        return written(make(Policy((), starttls=True), False, 3).start())

    def test_switched_off(self) -> None:
        """Nobody is asked, and a session's way to its backend is the connector itself."""
        learning = self.learning("")
        learning.start()
        self.assertEqual((self.peers, self.clock.getDelayedCalls()), ([], []))
        self.assertEqual(learning.connect, self.connect)
        self.assertIsNone(learning.make_server("imap"))

    def test_learnt(self) -> None:
        """From then on new clients are promised what all destinations have."""
        learning = self.learning()
        self.assertIn(b"SASL-IR LITERAL- ID STARTTLS", self.greeting(learning))
        learning.start()
        self.assertIn(b"[CAPABILITY IMAP4rev1 SASL-IR ID STARTTLS LOGIN", self.greeting(learning))
        self.assertEqual([peer.left for peer in self.peers], [True, True])
        self.says["west.example.org"] = Accepted((b"LITERAL-",))
        self.clock.advance(600)
        self.assertIn(b"[CAPABILITY IMAP4rev1 SASL-IR LITERAL- STARTTLS", self.greeting(learning))

    def test_proxy_header(self) -> None:
        """A server that waits for a PROXY header is told that nobody else is there (LOCAL)."""
        east = SECTIONS["destination"].replace(
            'host = "east.example.org"\n', 'host = "east.example.org"\nproxy_protocol = true\n'
        )
        configuration = self.read_sections(destination=east + WEST, capabilities=LEARN)
        learning = Learning(
            configuration, cast(Any, self), cast(Any, self.dial), cast(Any, self.clock)
        )
        self.addCleanup(learning.stop)
        learning.start()
        self.assertEqual(self.preambles, [SIGNATURE + b"\x20\0\0\0", b""])

    def test_refused(self) -> None:
        """A destination that says no has said nothing."""
        down = Rejected(Failure(FailureKind.BACKEND_UNTRUSTED, "certificate"))
        self.says["west.example.org"] = cast(Any, down)
        learning = self.learning()
        learning.start()
        self.assertIn(b"SASL-IR LITERAL- ID STARTTLS", self.greeting(learning))

    def outcome(self, learning: Learning, answer: object) -> int:
        """How many questions follow soon on a login that ends so."""
        before, self.answer = len(self.peers), answer
        connecting = Deferred.fromCoroutine(cast(Any, learning.connect(ROUTE, LOGIN, ORIGIN)))
        if isinstance(answer, Failure):
            self.failureResultOf(connecting, Failure)
        else:
            self.assertEqual(self.successResultOf(connecting), ("peer", answer))
        self.clock.advance(RETRY_SECONDS)
        return len(self.peers) - before

    def test_failures(self) -> None:
        """Trouble with a backend has them asked; a wrong password, or none, does not."""
        learning = self.learning()
        learning.start()
        self.assertEqual(self.outcome(learning, Accepted()), 0)
        wrong = Failure(FailureKind.CREDENTIALS_REJECTED, "no")
        self.assertEqual(self.outcome(learning, Rejected(wrong)), 0)
        busy = Failure(FailureKind.BACKEND_INCAPABLE, "no way in")
        self.assertEqual(self.outcome(learning, Rejected(busy)), 2)
        self.assertEqual(self.outcome(learning, busy), 2)
