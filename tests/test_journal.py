"""The log's lines are an interface: fail2ban matches them, so nobody may forge one."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import Logger, eventAsText
from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.errors import Failure, FailureKind
from mailroute.events import Login, TLSInfo
from mailroute.journal import Journal, Line
from mailroute.route import Backend, Origin, Route, TLSMode
from tests.support.local_reactor import LocalCase
from tests.support.peers import DELAY_SECONDS, EAST, SECRET, World, plain_message
from tests.support.toy import Toy

ORIGIN = Origin("s5hb452syxg47zih", "imap", "203.0.113.9", 36590, "192.0.2.10", 993)
ROUTE = Route("alice", "east", Backend(("192.0.2.1",), 143, TLSMode.PLAIN))
START = "id=s5hb452syxg47zih protocol=imap client=203.0.113.9:36590 server=192.0.2.10:993 "


def parse(text: str) -> dict[str, str]:
    """A line's pairs, as any reader of the documented format takes them apart."""
    found, rest = {}, text.partition(": ")[2]
    while rest:
        pair = re.match(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s"=]*)(?: |$)', rest)
        assert pair is not None, rest
        name, value = pair.groups()
        assert name not in found, text
        found[name] = json.loads(value) if value.startswith('"') else value
        rest = rest[pair.end() :]
    return found


class JournalCase(SynchronousTestCase):
    """A journal and what it emits."""

    def setUp(self) -> None:
        self.events: list[Any] = []
        self.clock = Clock()
        self.journal = self.begin(ORIGIN)

    def begin(self, origin: Origin) -> Journal:
        log = Logger(namespace="mailroute", observer=self.events.append)  # type: ignore[arg-type]
        return Journal(origin, self.clock, log)

    def last(self) -> str:
        """The last line."""
        return str(eventAsText(self.events[-1], includeTimestamp=False, includeSystem=False))

    def reject(self, user: str, kind: FailureKind, detail: str = "why") -> str:
        """The line of a rejected login."""
        login = Login(Identity(user), "PLAIN", b"\0" + b"u" + b"\0secret")
        self.journal.rejected(login, None, Failure(kind, detail))
        return self.last()


class VerboseTests(JournalCase):
    """Events of the debug level cost nothing where nobody wants them."""

    def test_quiet(self) -> None:
        """The join is told at the debug level only, its outcome at the end in any case."""
        login = Login(Identity("alice"), "PLAIN", None)
        for is_verbose, told in ((True, ["login", "session"]), (False, ["session"])):
            self.events.clear()
            log = Logger(namespace="mailroute", observer=self.events.append)  # type: ignore[arg-type]
            journal = Journal(ORIGIN, self.clock, log, is_verbose)
            journal.joined(login, ROUTE)
            journal.ended("client")
            self.assertEqual([event["event"] for event in self.events], told)
            self.assertIn("outcome=joined", self.last())


class FormatTests(JournalCase):
    """The lines, letter by letter."""

    def test_joined_session(self) -> None:
        """One line at the end of a session that was joined."""
        login = Login(Identity("alice@example.org"), "PLAIN", None)
        self.journal.encrypted(TLSInfo("TLSv1.3"))
        self.journal.joined(login, ROUTE)
        self.clock.advance(12.0894)
        self.journal.ended("client", 53, 573)
        self.assertEqual(
            self.last(),
            "session: " + START + "tls=TLSv1.3 user=alice@example.org destination=east"
            " outcome=joined closed_by=client failures=0 seconds=12.089 in=53 out=573",
        )
        self.assertEqual(self.events[-1]["log_level"].name, "info")

    def test_session_without_login(self) -> None:
        """Nobody's session."""
        self.journal.ended("timeout")
        self.assertEqual(
            self.last(),
            "session: " + START + "tls=- user=- destination=-"
            " outcome=no-login closed_by=timeout failures=0 seconds=0.000 in=0 out=0",
        )

    def test_detail_of_an_end(self) -> None:
        """More than a word about the end stands last, where there is more."""
        self.journal.ended("tls-failed", detail="TLS handshake failed: no shared cipher")
        self.assertTrue(self.last().endswith(' detail="TLS handshake failed: no shared cipher"'))

    def test_failed_login(self) -> None:
        """One line for each failed login."""
        login = Login(Identity("bob@example.org"), "PLAIN", b"\0bob@example.org\0hush")
        failure = Failure(FailureKind.CREDENTIALS_REJECTED, "192.0.2.1:143: said 'NO'")
        self.journal.rejected(login, ROUTE, failure)
        self.assertEqual(
            self.last(),
            "login-failed: " + START + "user=bob@example.org mechanism=PLAIN destination=east"
            " reason=credentials-rejected detail=\"192.0.2.1:143: said 'NO'\"",
        )
        self.journal.ended("closed-by-peer")
        self.assertIn("outcome=rejected closed_by=closed-by-peer failures=1 ", self.last())

    def test_login(self) -> None:
        """A login that succeeded is told at once, for who wants to know: at level debug."""
        self.journal.joined(Login(Identity("alice"), "X-TOY", None), ROUTE)
        self.assertEqual(
            self.last(), "login: " + START + "user=alice mechanism=X-TOY destination=east"
        )
        self.assertEqual(self.events[-1]["log_level"].name, "debug")

    def test_defect(self) -> None:
        """A defect of ours."""
        self.journal.broke("session")
        self.assertEqual(self.last(), "internal-error: " + START + "where=session")

    def test_addresses(self) -> None:
        """IPv6 stands in brackets before its port."""
        origin = Origin("x", "pop3", "2001:db8::1", 1, "unix", 0)
        self.begin(origin).ended("logout")
        self.assertIn(" client=[2001:db8::1]:1 server=unix:0 ", self.last())

    def test_levels(self) -> None:
        """The user's mistakes are information; what somebody has to look at is louder."""
        for kind, level in (
            (FailureKind.CREDENTIALS_REJECTED, "info"),
            (FailureKind.ACCOUNT_UNKNOWN, "info"),
            (FailureKind.BACKEND_UNREACHABLE, "warn"),
            (FailureKind.LOOKUP_FAILED, "error"),
            (FailureKind.DESTINATION_UNKNOWN, "error"),
        ):
            self.reject("alice", kind)
            self.assertEqual(self.events[-1]["log_level"].name, level, kind)

    def test_every_kind(self) -> None:
        """Every kind of failure is named by its stable word."""
        for kind in FailureKind:
            self.assertEqual(parse(self.reject("alice", kind))["reason"], kind.value)


class ForgeryTests(JournalCase):
    """What a client has chosen is one value, whatever stands in it."""

    forgeries = (
        'a client=1.2.3.4:5 reason="credentials-rejected"',
        'a" client=1.2.3.4:5 x="',
        "a\nlogin-failed: id=x protocol=imap client=1.2.3.4:5 reason=credentials-rejected ",
        "a\r\n\x1b[2J\x00\x7f\x85\u2028",
        "a\\",
        "a\\\\ client=1.2.3.4:5",
        "",
    )

    def test_names(self) -> None:
        """A name with blanks, quotes, line ends and pairs stays a name on one line."""
        for name in self.forgeries:
            text = self.reject(name, FailureKind.CREDENTIALS_REJECTED)
            self.assertEqual(text.splitlines(), [text])
            self.assertTrue(text.isprintable() and text.isascii(), text)
            pairs = parse(text)
            self.assertEqual(pairs["user"], name)
            self.assertEqual(pairs["client"], "203.0.113.9:36590")

    def test_pairs_hide_nowhere(self) -> None:
        """Not even inside a string is there anything that a careless pattern takes for a pair."""
        names = ["id", "protocol", "client", "server", "user", "mechanism", "destination"]
        for name in self.forgeries:
            text = self.reject(name, FailureKind.CREDENTIALS_REJECTED, name)
            found = re.findall(r"([a-z_]+)=", text)
            self.assertEqual(found, [*names, "reason", "detail"])
            self.assertNotRegex(text[1:], r"login-failed: id=")

    def test_documented_pattern(self) -> None:
        """The documented expression for fail2ban finds the client, and only failures of his."""
        pattern = re.compile(
            r"login-failed: id=\S+ protocol=\S+ client=\[?(?P<host>[0-9a-f.:]+?)\]?:\d+ .* "
            r"reason=(credentials-rejected|account-unknown|name-unusable) "
        )
        for name in ("alice", *self.forgeries):
            match = pattern.search(self.reject(name, FailureKind.CREDENTIALS_REJECTED))
            assert match is not None
            self.assertEqual(match["host"], "203.0.113.9")
            self.assertIsNone(pattern.search(self.reject(name, FailureKind.LOOKUP_FAILED)))
        self.journal.joined(Login(Identity(self.forgeries[2]), "PLAIN", None), ROUTE)
        self.journal.ended("client")
        self.assertIsNone(pattern.search(self.last()))

    def test_length(self) -> None:
        """A line is bounded, whatever a client sends."""
        text = self.reject("x" * 100_000, FailureKind.CREDENTIALS_REJECTED, "y" * 100_000)
        self.assertLess(len(text), 2000)
        self.journal.ended("client", detail="z" * 100_000)
        self.assertLess(len(self.last()), 2000)

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text())
    def test_any_value(self, value: str) -> None:
        """Every text can be read back and is on one line."""
        text = str(Line("event", {"a": value, "b": "end"}))
        self.assertEqual(parse(text), {"a": value, "b": "end"})
        self.assertEqual(text.splitlines(), [text])


class SecrecyTests(LocalCase):
    """Whole sessions at level debug, searched for what must not be there."""

    def test_no_secret(self) -> None:
        """Accepted, rejected, moved, unreachable, defect and relayed: never the password."""
        world = World(self.reactor)
        clients = [world.log_in()[0], world.log_in(secret=b"wr0ng-password")[0]]
        relayed, _ = world.connect()
        relayed.say(b"a AUTHENTICATE X-TOY " + b64encode(b"n=alice") + b"\r\n")
        self.settle()
        relayed.say(b64encode(SECRET) + b"\r\n")
        self.advance(DELAY_SECONDS)
        clients.append(relayed)
        world.table.failing = "away"
        clients.append(world.log_in()[0])
        world.table.failing = None
        del self.reactor.listening[EAST]
        clients.append(world.log_in()[0])
        self.patch(world.table, "lookup", _defect)
        clients.append(world.log_in()[0])
        self.advance(DELAY_SECONDS)
        for client in clients:
            client.leave()
        self.settle()
        self.assertEqual(len(world.lines("session")), len(clients))
        self._assert_secret_free(world, (SECRET, b"wr0ng-password"))

    def _assert_secret_free(self, world: World, secrets: tuple[bytes, ...]) -> None:
        said = "\n".join([*world.lines(), *(repr(event) for event in world.events)])
        self.assertIn("login-failed: ", said)
        for secret in secrets:
            for form in (secret, b64encode(secret), plain_message("alice", secret)):
                self.assertNotIn(form.decode(), said)
                self.assertNotIn(form[:12].decode(), said)


async def _defect(key: object) -> None:
    raise RuntimeError(f"a defect met {Toy.name}")
