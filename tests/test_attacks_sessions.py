"""One regression for each class of attack that is known against mail proxies: whole sessions."""

from __future__ import annotations

import base64
import gc
import io
import json
import sqlite3
from collections.abc import Iterable
from types import ModuleType

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.observers import as_json, as_text
from mailroute.protocols import PROTOCOLS
from mailroute.route import Origin
from mailroute.sasl.plain import password_login
from mailroute.tables.contract import Key, Row
from mailroute.tables.placeholders import translate
from mailroute.tables.sql_lexer import Dialect
from tests.support.attackers import ACCEPTED, ALICE, REJECTED, ROWS, SECRET, converse, login, plain
from tests.support.house import DELAY_SECONDS, House
from tests.tables.contract_tests import INJECTIONS

ORIGIN = Origin("id", "imap", "192.0.2.1", 1, "192.0.2.2", 143)


class Case(SynchronousTestCase):
    """What the classes share."""

    def refusal(self, house: House, name: str, secret: bytes = SECRET) -> tuple[bytes, float]:
        """What a client hears to a login that the backend, if one is asked, rejects; and when."""
        visit = house.visit()
        asked, dialled = house.clock.seconds(), len(house.dialled)
        heard = visit.says(login(house.protocol, name, secret))
        if len(house.dialled) > dialled:
            converse(house, house.dialled[-1], REJECTED[house.protocol])
        while visit.wire.value() == b"" and house.clock.seconds() < asked + 60:
            house.wait(0.25)
        took = house.clock.seconds() - asked
        heard += visit.hears()
        visit.leave()
        return heard, took


class NameTests(Case):
    """Names that are not meant for us but for the next reader: query, backend, log."""

    def test_controls_in_names(self) -> None:
        """CR, LF and the like in a name: refused before the lookup, no backend is dialled."""
        for evil in ("x\r\nDELE 1", "x\ny", "x\ry", "x\x1b[2J", "x\x85y", "x\x7f", "a\tb"):
            for protocol in PROTOCOLS:
                house = House(protocol, {**ROWS, evil: "east"})
                heard, _ = self.refusal(house, evil)
                wrong, _ = self.refusal(House(protocol, ROWS), "nobody@example.org")
                self.assertEqual(heard, wrong, (protocol, evil))
                self.assertEqual(house.table.asked, [], (protocol, evil))
                self.assertEqual(house.dialled, [])
        house = House("imap", ROWS)
        visit = house.visit()
        # Also in the name that is not looked up: it is written to the backend and the log.
        both = base64.b64encode(ALICE.encode() + b"\0ad\r\nmin\0" + SECRET)
        visit.says(b"a AUTHENTICATE PLAIN " + both + b"\r\n")
        self.assertEqual(house.table.asked, [])
        visit = house.visit()
        visit.says(b"a LOGIN {7+}\r\nx\r\ny NO s3cr3t\r\n")
        self.assertEqual(house.table.asked, [])

    def test_log_forging(self) -> None:
        """A name makes neither a line nor a pair of its own in the log, and formats nothing."""
        for evil in (
            "x user=root outcome=joined",
            'x" user="root',
            "x\u2028session: user=root",
            "{log_level} {0.__class__}",
            "%s %(user)s",
            "\\",
            "x" * 500,
        ):
            house = House("imap", ROWS)
            self.refusal(house, evil)
            for event in house.events:
                shown = as_text(event) or ""
                self.assertEqual(len(shown.splitlines()), 1, shown)
                fields = pairs(shown.partition(": ")[2])
                self.assertEqual([key for key, _ in fields], list(event["fields"]), shown)
                self.assertEqual(dict(fields)["user"], evil[:256], shown)
                self.assertEqual(json.loads(as_json(event) or "")["user"], evil[:256])

    def test_sql_injection(self) -> None:
        """A name is data to the database: it finds its own row or none, through the router."""
        table = SqlInMemory()
        house = House("imap", {}, table)
        for evil in INJECTIONS:
            identity = password_login(evil.encode(), SECRET).identity
            routing = Deferred.fromCoroutine(house.router.route(identity, ORIGIN))
            failed = self.failureResultOf(routing, Failure)
            # What begins with a separator of master logins names nobody at all.
            nobody = evil.startswith("%")
            kind = FailureKind.NAME_UNUSABLE if nobody else FailureKind.ACCOUNT_UNKNOWN
            self.assertIs(failed.value.kind, kind, evil)
        identity = password_login(ALICE.encode(), SECRET).identity
        routing = Deferred.fromCoroutine(house.router.route(identity, ORIGIN))
        found = self.successResultOf(routing)
        self.assertEqual(found.destination, "east")

    def test_enumeration(self) -> None:
        """CWE-204: an unknown account and a wrong password sound the same, after the same time."""
        for protocol in PROTOCOLS:
            for hidden in (True, False):
                house = House(protocol, ROWS, hide_auth_errors=hidden)
                unknown, first = self.refusal(house, "nobody@example.org")
                wrong, second = self.refusal(house, ALICE)
                self.assertGreaterEqual(min(first, second), DELAY_SECONDS, protocol)
                self.assertEqual(first, second, protocol)
                if hidden:
                    self.assertEqual(unknown, wrong, protocol)
                else:
                    length = wrong.index(b"wrong")
                    self.assertEqual(unknown[:length], wrong[:length], protocol)

    def test_enumeration_by_user_command(self) -> None:
        """POP3's USER says +OK to everybody, and asks nobody."""
        house = House("pop3", ROWS)
        visit = house.visit()
        heard = {
            visit.says(b"USER " + name + b"\r\n") for name in (b"nobody", ALICE.encode(), b"'")
        }
        self.assertEqual(len(heard), 1)
        self.assertEqual(house.table.asked, [])


class SecretTests(Case):
    """Credentials where they do not belong."""

    def test_not_in_the_log(self) -> None:
        """However a login ends, at debug level too, nothing of the password is logged."""
        for protocol in PROTOCOLS:
            for ending in ("accepted", "rejected", "echoed", "defect", "lost", "malformed"):
                house = House(protocol, ROWS)
                self.play(house, ending)
                self.assertTrue(house.events, ending)
                self.no_secret(house.events, (protocol, ending))
            self.flushLoggedErrors()

    def play(self, house: House, ending: str) -> None:
        """One login with this ending."""
        visit = house.visit()
        if ending == "defect":
            house.connect_fault = RuntimeError("a defect")
        if ending == "malformed":
            visit.says(login(house.protocol, ALICE).replace(b"=", b"!") + SECRET + b"\r\n")
            visit.says(plain(ALICE) + b"?\r\n")
        else:
            visit.says(login(house.protocol, ALICE))
        backend = house.dialled[-1] if house.dialled else None
        if backend is not None and ending == "accepted":
            converse(house, backend, ACCEPTED[house.protocol])
        elif backend is not None and ending == "rejected":
            converse(house, backend, REJECTED[house.protocol])
        elif backend is not None and ending == "echoed":
            converse(house, backend, b"mr1 BAD " + plain(ALICE) + b" " + SECRET + b"\r\n")
        house.wait(60)
        visit.leave()

    def no_secret(self, events: Iterable[LogEvent], why: object) -> None:
        """In no form in which a log could show it."""
        for event in events:
            shown = f"{as_text(event)}{as_json(event)}{event!r}"
            for form in (SECRET, plain(ALICE)[:16], base64.b64encode(SECRET)[:12]):
                self.assertNotIn(form.decode(), shown, why)

    def test_not_kept_after_the_verdict(self) -> None:
        """Core dumps and heap readers: a joined session holds no password any more."""
        for protocol in PROTOCOLS:
            # Made here: a constant of a module could be reached through any function.
            secret = b"-".join([b"made", b"for", protocol.encode()])
            message = plain(ALICE, secret)[28:40]
            house = House(protocol, ROWS)
            visit = house.visit()
            visit.says(login(protocol, ALICE, secret))
            backend = house.dialled[0]
            self.assertTrue(holders(house, (secret,)), "the search finds nothing at all")
            converse(house, backend, ACCEPTED[protocol])
            self.assertIn(b"welcome", visit.hears())
            self.assertEqual(holders(house, (secret, message)), [], protocol)


class SqlInMemory:
    """The query of an operator on SQLite, with our placeholders and parameters, in this thread."""

    varies_on: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._database = sqlite3.connect(":memory:")
        self._database.execute("CREATE TABLE routes (identifier TEXT, destination TEXT)")
        self._database.execute("INSERT INTO routes VALUES (?, 'east')", (ALICE,))
        query = "SELECT destination FROM routes WHERE identifier = $1 OR $1 = identifier"
        self._statement = translate(query, Dialect.SQLITE)

    async def lookup(self, key: Key) -> Row | None:
        """See Table."""
        parameters = self._statement.parameters(key, key.identifier)
        row = self._database.execute(self._statement.sql, parameters).fetchone()
        return Row(row[0]) if row else None


def pairs(text: str) -> list[tuple[str, str]]:
    """Read ``key=value`` pairs as the documentation of the log's format says."""
    found = []
    decoder = json.JSONDecoder()
    text = text.strip()
    while text:
        key, _, text = text.partition("=")
        if text.startswith('"'):
            value, end = decoder.raw_decode(text)
        else:
            value = text.split(" ", 1)[0]
            end = len(value)
        found.append((key, value))
        assert text[end : end + 1] in ("", " "), text
        text = text[end + 1 :]
    return found


def holders(root: object, secrets: tuple[bytes, ...]) -> list[object]:
    """The byte strings and texts that can be reached from an object and hold a secret."""
    gc.collect()
    found: list[object] = []
    seen = {id(root)}
    todo = [root]
    while todo:
        for item in gc.get_referents(todo.pop()):
            if id(item) in seen or isinstance(item, (type, ModuleType)) or item is globals():
                continue
            seen.add(id(item))
            if isinstance(item, (bytes, bytearray, str, io.BytesIO)):
                held = item.getvalue() if isinstance(item, io.BytesIO) else item
                octets = held.encode("utf-8", "replace") if isinstance(held, str) else held
                found += [item] if any(secret in octets for secret in secrets) else []
            else:
                todo.append(item)
    return found
