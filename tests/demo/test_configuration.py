"""The demo's files."""

from __future__ import annotations

import datetime
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailroute.demo.configuration import Folder, FrontPorts, write_files

ROUTES = {"alice@example.org": "east", "bob@example.org": "west"}
DESTINATIONS = {"east": {"imap": 4001, "pop3": 4002}, "west": {"imap": 4003}}


class ConfigurationTests(SynchronousTestCase):
    """What is written is what was asked for."""

    def setUp(self) -> None:
        path = Path(self.mktemp()).absolute()
        path.mkdir()
        self.folder = Folder(path)
        now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        write_files(self.folder, ROUTES, DESTINATIONS, FrontPorts(imaps=5001), now)
        self.settings = tomllib.loads(self.folder.configuration.read_text())

    def test_table(self) -> None:
        """The configured query finds each account in the configured database."""
        sql = self.settings["mapping"]["sql"]
        path = sql["url"].removeprefix("sqlite://")
        with closing(sqlite3.connect(path)) as database:
            for account, server in ROUTES.items():
                row = database.execute(sql["query"], (account,)).fetchone()
                self.assertEqual(row, (server,))

    def test_change(self) -> None:
        """What the commands that change the table need is there, and a change is seen soon."""
        sql = self.settings["mapping"]["sql"]
        self.assertLessEqual({"upsert_query", "delete_query", "list_query"}, set(sql))
        self.assertEqual(self.settings["mapping"]["positive_ttl"], "1s")

    def test_listeners(self) -> None:
        """Six listeners on loopback: each protocol with STARTTLS and with implicit TLS."""
        listeners = self.settings["listener"]
        found = {(entry["protocol"], entry["tls"]) for entry in listeners.values()}
        self.assertEqual(
            found,
            {
                (protocol, tls)
                for protocol in ("imap", "pop3", "submission")
                for tls in ("starttls", "implicit")
            },
        )
        self.assertEqual(listeners["imaps"]["bind"], ["127.0.0.1:5001"])
        self.assertEqual(listeners["imap"]["bind"], ["127.0.0.1:1143"])

    def test_destinations(self) -> None:
        """Each destination has its ports."""
        for name, ports in DESTINATIONS.items():
            protocols = self.settings["destination"][name]["protocol"]
            self.assertEqual({key: value["port"] for key, value in protocols.items()}, ports)

    def test_certificate(self) -> None:
        """The configured certificate is there."""
        entry = self.settings["tls"]["certificate"]["demo"]
        self.assertIn("BEGIN CERTIFICATE", Path(entry["cert"]).read_text())
        self.assertIn("PRIVATE KEY", Path(entry["key"]).read_text())
