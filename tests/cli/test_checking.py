"""Everything that a configuration names, tried."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from contextlib import closing
from typing import Any

from twisted.internet.defer import TimeoutError
from twisted.internet.testing import MemoryReactorClock

from mailroute.cli.checking import (
    NOBODY,
    Findings,
    check_files,
    check_names,
    check_tables,
    resolver,
)
from mailroute.config.model import Configuration
from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.sqlite import SqliteTable
from mailroute.tables.static import StaticTable
from mailroute.tables.string_table import StringTable, TableSource
from tests.cli.calling import MAPPING, finished
from tests.config.reading import ConfigurationCase
from tests.support.secured import Certificates
from tests.support.threads import ThreadlessReactor

TABLE = '[mapping]\nsource = "table"\n[mapping.table]\nname = "one"\n'
TABLES = (
    '[table.one]\ntype = "static"\nentries = [["alice", "east"]]\n'
    '[table.lines]\ntype = "file"\nfile = "lines"\n'
)
SQL = (
    '[mapping]\nsource = "sql"\n[mapping.sql]\nurl = "sqlite:routes.db"\n'
    'query = "SELECT destination FROM routes WHERE identifier = $1"\n'
)
HOSTS = (
    '[destination.east]\nhosts = ["a.example.org", "192.0.2.1", "b.example.org"]\n'
    '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'
    '[destination.west]\nhost = "a.example.org"\n'
    '[destination.west.protocol.imap]\nport = 993\ntls = "implicit"\n'
    '[destination."shard-*"]\nhost = "{1}.example.org"\n'
    '[destination."shard-*".protocol.imap]\nport = 993\ntls = "implicit"\n'
)


class FindingsTests(ConfigurationCase):
    """Complaints and warnings, each once."""

    def test_once(self) -> None:
        """The same fault is found in several ways."""
        findings = Findings()
        findings.complain("a", "b")
        findings.complain("b", "c")
        findings.warn("x")
        findings.warn("x")
        self.assertEqual((findings.complaints, findings.warnings), (["a", "b", "c"], ["x"]))

    def test_attempt(self) -> None:
        """Complaints are found, and the rest goes on."""
        findings = Findings()

        def job() -> list[str]:
            raise ConfigurationError(["wrong"])

        self.assertIsNone(findings.attempt(job))
        self.assertFalse(findings.tried(job))
        self.assertTrue(findings.tried(lambda: ["doubtful"]))
        self.assertEqual((findings.complaints, findings.warnings), (["wrong"], ["doubtful"]))


class CheckCase(ConfigurationCase):
    """A configuration, and what is found."""

    def setUp(self) -> None:
        super().setUp()
        self.findings = Findings()
        self.write("routes", "alice east\n")

    def complained(self, *parts: str) -> None:
        """There is one complaint with all these words."""
        self.assertEqual(len(self.findings.complaints), 1, self.findings.complaints)
        for part in parts:
            self.assertIn(part, self.findings.complaints[0])


class FileTests(CheckCase):
    """Certificates, keys, authorities."""

    def certify(self, key_of: str = "main", valid_days: int = 30) -> None:
        """Put a certificate where the configuration says, with the key of this one."""
        certificates = Certificates(self)
        labels = ("main", "other")
        issued = {label: certificates.issue(label, valid_days=valid_days) for label in labels}
        shutil.copy(issued["main"].cert, os.path.join(self.folder, "chain.pem"))
        shutil.copy(issued[key_of].key, os.path.join(self.folder, "key.pem"))

    def test_well(self) -> None:
        """A certificate with its key; the reader's own warnings are found, too."""
        self.certify()
        listener = (
            '[listener.imap]\nprotocol = "imap"\nbind = ["127.0.0.1:143"]\ntls = "plain"\n'
            "[capabilities.imap]\nallow_plain_auth_without_tls = true\n"
        )
        check_files(self.read_sections(listener=listener), self.findings)
        self.assertEqual(self.findings.complaints, [])
        self.assertIn("without encryption", self.findings.warnings[0])

    def test_wrong_key(self) -> None:
        """A key of another certificate."""
        self.certify("other")
        check_files(self.read_sections(), self.findings)
        self.complained("tls.certificate: ", "key.pem", "not the one of")

    def test_expired(self) -> None:
        """A certificate of ours that clients refuse would be served: it is doubtful."""
        self.certify(valid_days=-1)
        check_files(self.read_sections(), self.findings)
        self.assertEqual(self.findings.complaints, [])
        (warning,) = self.findings.warnings
        self.assertRegex(warning, r"main: .*/chain\.pem: certificate 1 of 2 has expired")

    def test_sources(self) -> None:
        """An address to connect from that is not here is doubtful."""
        self.certify()
        destination = (
            '[destination.east]\nhost = "east.example.org"\nsource_ips = ["192.0.2.77"]\n'
            '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'
        )
        check_files(self.read_sections(destination=destination), self.findings)
        self.assertEqual(self.findings.complaints, [])
        self.assertIn("192.0.2.77 is no address of this machine", self.findings.warnings[0])

    def test_all(self) -> None:
        """Every fault at once."""
        destination = (
            '[destination.east]\nhost = "east.example.org"\ntls_ca_file = "chain.pem"\n'
            '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'
        )
        check_files(self.read_sections(destination=destination), self.findings)
        for part in ("tls.certificate: ", "destination.east: "):
            self.assertIn(part, "\n".join(self.findings.complaints))
        self.assertEqual(len(self.findings.complaints), 2)


class TableTests(CheckCase):
    """Tables and the mapping."""

    def check(self, **sections: str) -> None:
        """Check; nothing of this waits."""
        finished(check_tables(self.read_sections(**sections), MemoryReactorClock(), self.findings))

    def test_well(self) -> None:
        """Tables that answer, as the mapping and by themselves."""
        self.write("lines", "a: b\n")
        self.check(mapping=TABLE, capabilities=TABLES)
        self.check(mapping=MAPPING)
        self.assertEqual((self.findings.complaints, self.findings.warnings), ([], []))

    def test_every_table(self) -> None:
        """Those that nobody uses as well."""
        sqlite3.connect(f"{self.folder}/rows.db").close()
        rows = (
            '[table.rows]\ntype = "sql_query"\ndriver = "sqlite3"\ndsn = "rows.db"\n'
            'lookup = "SELECT b FROM roads WHERE a = $1"\n'
        )
        self.write("lines", "a: b\n")
        self.check(mapping=TABLE, capabilities=TABLES + rows)
        self.complained("table.rows.lookup", "no such table: roads")

    def test_mapping_file(self) -> None:
        """Destinations in a mapping file."""
        self.write("routes", "alice nowhere\n")
        self.check(mapping=MAPPING)
        self.complained("'nowhere'")

    def test_query(self) -> None:
        """A query that the database refuses is complained of once."""
        sqlite3.connect(f"{self.folder}/routes.db").close()
        self.check(mapping=SQL)
        self.complained("mapping.sql.query", "no such table")

    def test_statements(self) -> None:
        """The mapping's other statements are prepared as well."""
        with closing(sqlite3.connect(f"{self.folder}/routes.db")) as database:
            database.execute("CREATE TABLE routes (identifier, destination)")

        async def lookup(source: Any, key: Any) -> None:
            self.assertEqual(key.identifier, NOBODY)

        # The engine's own lookup waits for a thread.
        self.patch(SqliteTable, "lookup", lookup)
        self.check(mapping=SQL + 'delete_query = "DELETE FROM roads WHERE identifier = $1"\n')
        self.complained("mapping.sql.delete_query", "no such table: roads")

    def test_failing(self) -> None:
        """A table that opens and cannot be asked, by itself and as the mapping."""
        failing = LookupFailed("away")

        async def get(table: StringTable, key: str) -> None:
            raise failing

        self.patch(StaticTable, "get", get)
        self.write("lines", "")
        self.check(mapping=TABLE, capabilities=TABLES)
        self.assertEqual(
            self.findings.complaints,
            ["table.one: it cannot be asked: away", "mapping: it cannot be asked: away"],
        )

    def test_circumstances(self) -> None:
        """A query that casts addresses gets some."""
        keys: list[Any] = []

        async def lookup(source: Any, key: Any) -> None:
            keys.append(key)

        self.patch(TableSource, "lookup", lookup)
        self.write("lines", "")
        self.check(mapping=TABLE, capabilities=TABLES)
        (key,) = keys
        self.assertEqual(
            (key.protocol, key.client_ip, key.server_ip), ("imap", "192.0.2.1", "192.0.2.2")
        )


class NameTests(CheckCase):
    """Host names of destinations."""

    def check(self, resolve: Any, configuration: Configuration | None = None) -> None:
        """Check the names."""
        configuration = configuration or self.read_sections(destination=HOSTS)
        finished(check_names(configuration, resolve, self.findings))

    def test_asked(self) -> None:
        """Each name once; addresses and patterns are not asked for."""
        asked: list[str] = []

        async def resolve(host: str) -> None:
            asked.append(host)

        self.check(resolve)
        self.assertEqual(
            (asked, self.findings.complaints), (["a.example.org", "b.example.org"], [])
        )

    def test_unknown(self) -> None:
        """Every destination that has the name is complained of."""

        async def resolve(host: str) -> None:
            if host == "a.example.org":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        self.check(resolve)
        self.assertEqual(
            self.findings.complaints,
            [
                f"destination.{name}: the host a.example.org has no address:"
                " Name or service not known"
                for name in ("east", "west")
            ],
        )

    def test_odd(self) -> None:
        """A resolver that does not answer, and a name that is none."""
        for error, words in (
            (TimeoutError(), "no answer within 15 s"),
            (UnicodeError(), "this is no host name"),
        ):

            async def resolve(host: str, error: Exception = error) -> None:
                raise error

            self.findings = Findings()
            self.check(resolve)
            self.assertIn(words, self.findings.complaints[0])

    def test_resolver(self) -> None:
        """The system's, in a thread of the reactor's."""
        found = finished(resolver(ThreadlessReactor())("127.0.0.1"))  # type: ignore[arg-type]
        self.assertEqual(found[0][4][0], "127.0.0.1")
