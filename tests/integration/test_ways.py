"""How mailroute leaves for a backend: from which of its addresses, and by which mechanism.

The logs of real servers are the witnesses.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tests.integration import servers
from tests.integration.clients import Wire, xoauth2
from tests.integration.matrix import ALICE, ALICE_SECRET, ProxyTestCase, destination
from tests.integration.proxy import PROTOCOLS, Proxy, Settings, table
from tests.support.ports import poll

SOURCES = ("127.0.0.2", "127.0.0.3")
"""From which only these tests come to the servers, which others use as well."""
NOT_OURS = "192.0.2.77"
"""For documentation (RFC 5737): no machine has it."""
SECONDS = 60
QUERY = "SELECT destination, mech FROM routes WHERE identifier = $1"
_LOGIN = "{}-login: Info: Login: user=<" + re.escape(ALICE) + ">, method=([A-Z-]+), rip=([0-9.]+),"


class WayCase(ProxyTestCase):
    """A mailroute of the test's own, whose rows are in SQLite."""

    timeout = 300

    def front(self, mechanism: str, **options: object) -> Proxy:
        """Alice's row wants this mechanism; ``options`` are those of her destination."""
        folder = Path(tempfile.mkdtemp(prefix="mailroute-ways-"))
        self.addCleanup(shutil.rmtree, folder)
        with closing(sqlite3.connect(folder / "routes.db")) as database, database:
            database.execute("CREATE TABLE routes (identifier, destination, mech)")
            database.execute("INSERT INTO routes VALUES (?, 'east', ?)", (ALICE, mechanism))
        mapping = '[mapping]\nsource = "sql"\n' + table(
            "mapping.sql", {"url": f"sqlite://{folder}/routes.db", "query": QUERY}
        )
        settings = Settings((destination("east", "implicit", options),), mapping=mapping)
        # Each worker has turns of its own.
        proxy = Proxy(replace(settings, server={"workers": 1}))
        self.addCleanup(proxy.remove)
        proxy.start()
        return self.watch(proxy)

    def log_in(self, front: Proxy, protocol: str) -> None:
        """Alice logs in, and the streams are joined."""
        with Wire(protocol, front.ports[protocol, "plain"]) as wire:
            answer = wire.log_in(ALICE, ALICE_SECRET)
            self.assertTrue(answer.is_accepted, answer)
            if protocol == "submission":
                self.assertTrue(wire.ask(f"MAIL FROM:<{ALICE}>").startswith("250"))
                self.assertTrue(wire.ask(f"RCPT TO:<{ALICE}>").startswith("250"))

    def logins(self, protocol: str) -> list[tuple[str, str]]:
        """Method and address of every login from SOURCES that the backend's log tells of."""
        if protocol == "submission":
            pattern = r"client=[^\[]*\[([0-9.]+)\], sasl_method=([A-Z-]+)"
            found = re.findall(pattern, servers.postfix("east").log())
            logins = [(way, source) for source, way in found]
        else:
            logins = re.findall(_LOGIN.format(protocol), servers.dovecot("east").log())
        return [(way, source) for way, source in logins if source in SOURCES]

    def new_logins(self, protocol: str, known: int, count: int) -> list[tuple[str, str]]:
        """So many behind those that are known; waits for them."""
        poll(lambda: len(self.logins(protocol)) >= known + count, SECONDS)
        return self.logins(protocol)[known:]


class WayTests(WayCase):
    """What the backends see."""

    def test_sources_and_mechanism(self) -> None:
        """Each connection leaves from the next address, each login by the row's mechanism."""
        known = {protocol: len(self.logins(protocol)) for protocol in PROTOCOLS}
        front = self.front("LOGIN", source_ips=["::1", *SOURCES])
        for protocol in PROTOCOLS:
            for _ in SOURCES:
                self.log_in(front, protocol)
            found = self.new_logins(protocol, known[protocol], len(SOURCES))
            self.assertEqual(sorted(found), [("LOGIN", source) for source in SOURCES], protocol)

    def test_not_ours(self) -> None:
        """It is told at the start; a login goes on from the next address when it is tried again."""
        front = self.front("PLAIN", source_ips=[NOT_OURS, SOURCES[0]])
        self.assertIn(f"source_ips: {NOT_OURS} is no address of this machine", front.text())
        known = len(self.logins("imap"))
        self.log_in(front, "imap")
        self.assertEqual(self.new_logins("imap", known, 1), [("PLAIN", SOURCES[0])])

    def test_untold(self) -> None:
        """A server that does not offer XCLIENT to us is named in the log once, with the cure."""
        front = self.front("PLAIN", forwarding="xclient")
        for protocol in PROTOCOLS:
            for _ in range(2):
                self.log_in(front, protocol)
        marks = [str(r["text"]) for r in front.records() if "is not told" in str(r.get("text"))]
        # ID is offered to everybody, and believed of few.
        self.assertEqual(len(marks), len(PROTOCOLS) - 1, marks)
        for protocol, mark in zip(PROTOCOLS[1:], marks, strict=True):
            self.assertIn(
                f"destination east is not told who its clients are: its {protocol} ", mark
            )
            self.assertIn("smtpd_authorized_xclient_hosts", mark)

    def test_other_mechanism(self) -> None:
        """What cannot be said in the row's mechanism is a temporary failure with its reason."""
        front = self.front("SCRAM-SHA-256")
        with Wire("imap", front.ports["imap", "plain"]) as wire:
            self.assertEqual(wire.log_in(ALICE, ALICE_SECRET).code, "UNAVAILABLE")
            refused = front.wait_for("login-failed", client=wire.origin)
        self.assertIn("the row's mech is SCRAM-SHA-256", str(refused))
        front = self.front("PLAIN")
        with Wire("imap", front.ports["imap", "plain"]) as wire:
            answer = wire.ask(f"a AUTHENTICATE XOAUTH2 {xoauth2(ALICE, 'x')}")
            self.assertTrue(answer.startswith("a NO [UNAVAILABLE]"), answer)
            refused = front.wait_for("login-failed", client=wire.origin)
        self.assertIn("which cannot be made of a login by XOAUTH2", str(refused))
