"""Reading the URLs of databases."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.sql_url import (
    MysqlTarget,
    PostgresHost,
    PostgresTarget,
    SqliteTarget,
    parse_url,
    read_dsn,
)


class UrlCase(SynchronousTestCase):
    """What all URLs have in common."""

    def refused(self, url: str, *parts: str) -> None:
        """The URL is a complaint that does not show its password."""
        error = self.assertRaises(ConfigurationError, parse_url, url)
        self.assertTrue(str(error).startswith("mapping.sql.url: "))
        self.assertNotIn("s3cret", str(error))
        self.assertNotIn("s3cret", repr(error))
        for part in parts:
            self.assertIn(part, str(error))


class UrlTests(UrlCase):
    """The scheme chooses the engine."""

    def test_schemes(self) -> None:
        """Known ones in any case, others are complaints."""
        self.assertIsInstance(parse_url("SQLite:a"), SqliteTarget)
        self.assertEqual(parse_url("postgres://h/d"), parse_url("postgresql://h/d"))
        for url in ("", "oracle://u:s3cret@h/d", "/etc/routes", "s3cret"):
            self.refused(url, "postgres://")

    def test_no_password_in_a_repr(self) -> None:
        """Targets hide it."""
        for scheme in ("mysql", "postgres"):
            target = parse_url(f"{scheme}://u:s3cret@h/d")
            self.assertNotIn("s3cret", repr(target))


class SqliteUrlTests(UrlCase):
    """Files."""

    def test_paths(self) -> None:
        """Absolute, relative (to where we are now), percent-encoded."""
        self.assertEqual(parse_url("sqlite:///var/a.db"), SqliteTarget("/var/a.db"))
        self.assertEqual(parse_url("sqlite:/var/a.db"), SqliteTarget("/var/a.db"))
        self.assertEqual(parse_url("sqlite:///a%3Fb%20c?mode=ro"), SqliteTarget("/a?b c"))
        here = os.path.join(os.getcwd(), "d/a.db")
        self.assertEqual(parse_url("sqlite:d/a.db"), SqliteTarget(here))
        self.assertEqual(parse_url("sqlite://d/a.db"), SqliteTarget(here))

    def test_faults(self) -> None:
        """No file, no memory, no options."""
        for url in (
            "sqlite:",
            "sqlite://",
            "sqlite::memory:",
            "sqlite:a?cache=shared",
            "sqlite:%00",
        ):
            self.refused(url)


class MysqlUrlTests(UrlCase):
    """MySQL and MariaDB."""

    def test_parts(self) -> None:
        """Percent-encoded parts, and the defaults."""
        self.assertEqual(
            parse_url("mysql://u%40x:p%3A%C3%A4@[::1]:3307/d%2Fb"),
            MysqlTarget("::1", 3307, "u@x", "p:ä", "d/b"),
        )
        self.assertEqual(parse_url("mysql:///d"), MysqlTarget("localhost", 3306, "", "", "d"))

    def test_options(self) -> None:
        """TLS options in both spellings; other programs' names for them."""
        target = parse_url("mysql://h/d?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca&ssl_key=/k&charset=x")
        self.assertEqual(
            target,
            MysqlTarget(
                "h", 3306, "", "", "d", ssl="verify", ssl_files=(("ca", "/ca"), ("key", "/k"))
            ),
        )
        self.assertEqual(
            parse_url("mysql://h/d?socket=/s"),
            MysqlTarget("h", 3306, "", "", "d", socket="/s", ssl="disabled"),
        )

    def test_faults(self) -> None:
        """Each with its reason."""
        self.refused("mysql://u:s3cret@h/d?sslx=1", "sslx")
        self.refused("mysql://u:s3cret@h/d?ssl=maybe", "verify_ca")
        self.refused("mysql://u:s3cret@h", "database")
        self.refused("mysql://u:s3cret@h1,h2/d", "one host")
        self.refused("mysql://u:s3cret@h:port/d", "percent-encoded")
        self.refused("mysql://u:[s3cret@h/d", "percent-encoded")
        self.refused("mysql://u:12/s3cret@h/d", "percent-encoded")
        self.refused("mysql://u:12@s3cret@h/d", "percent-encoded")
        self.refused("mysql://u:12?s3cret=1@h/d", "percent-encoded")


class PostgresUrlTests(UrlCase):
    """libpq's form."""

    def test_hosts(self) -> None:
        """Several hosts, with their own ports or one for all."""
        target = parse_url("postgres://u:p%40w@a:1,b/d?sslmode=verify-full")
        self.assertEqual(
            target,
            PostgresTarget(
                (PostgresHost("a", "", "1"), PostgresHost("b", "", "")),
                {"user": "u", "password": "p@w", "dbname": "d", "sslmode": "verify-full"},
            ),
        )
        target = parse_url("postgres:///d?host=a,b&port=7&hostaddr=192.0.2.1,")
        assert isinstance(target, PostgresTarget)
        self.assertEqual(
            target.hosts, (PostgresHost("a", "192.0.2.1", "7"), PostgresHost("b", "", "7"))
        )
        target = parse_url("postgres:///d?host=@abstract")
        assert isinstance(target, PostgresTarget)
        self.assertEqual(target.hosts, (PostgresHost("@abstract", "", ""),))

    def test_sockets(self) -> None:
        """A folder as host, in both spellings, or libpq's own."""
        for url in ("postgres://%2Frun%2Fpg/d", "postgres:///d?host=/run/pg"):
            target = parse_url(url)
            assert isinstance(target, PostgresTarget)
            self.assertEqual(target.hosts, (PostgresHost("/run/pg", "", ""),))
        target = parse_url("postgres:///d")
        assert isinstance(target, PostgresTarget)
        self.assertEqual(target.hosts, (PostgresHost("", "", ""),))

    def test_messages(self) -> None:
        """A server is named once, as the configuration has it, then where it was found."""
        for host, words in (
            (PostgresHost("db.example", "192.0.2.1", "7"), "db.example (192.0.2.1) port 7"),
            (PostgresHost("192.0.2.1", "192.0.2.1", ""), "192.0.2.1"),
            (PostgresHost("", "192.0.2.1", ""), "192.0.2.1"),
            (PostgresHost("/run/pg", "", "7"), "/run/pg port 7"),
            (PostgresHost("", "", ""), "the default socket"),
        ):
            self.assertEqual(str(host), words)

    def test_faults(self) -> None:
        """libpq's own words could quote the password."""
        self.refused("postgres://u:s3cret@h/d?sslmod=require", "sslmod")
        self.refused("postgres://u:s3cret%zz@h/d", "percent-encoded")
        self.refused("postgres://u:a@s3cret@h/d", "percent-encoded")
        self.refused("postgres://u:a@b/s3cret@h/d", "percent-encoded")
        self.refused("postgres://u:12/s3cret@h/d", "percent-encoded")
        self.refused("postgres://u:12?s3cret=1@h/d", "percent-encoded")
        self.refused("postgres://u:s3cret/d", "percent-encoded")
        self.refused("postgres://u:s3cret@h/d?service=x", "service")
        self.refused("postgres://a,b,c/d?port=1,2", "ports")


class DsnTests(SynchronousTestCase):
    """What a driver is given in a table."""

    def test_drivers(self) -> None:
        """A file as it is, libpq's parameters, URLs."""
        self.assertEqual(read_dsn("sqlite3", "/var/a b%20.db", "p"), SqliteTarget("/var/a b%20.db"))
        found = read_dsn("postgres", "dbname=maddy user=u host=h port=5433", "p")
        assert isinstance(found, PostgresTarget)
        self.assertEqual(found.hosts, (PostgresHost("h", "", "5433"),))
        self.assertEqual(found.parameters, {"dbname": "maddy", "user": "u"})
        self.assertEqual(read_dsn("postgres", "postgres://h/d", "p"), parse_url("postgres://h/d"))
        self.assertEqual(read_dsn("mysql", "mysql://u@h/d", "p"), parse_url("mysql://u@h/d"))

    def test_refused(self) -> None:
        """The complaint names the table's key, and does not show the password."""
        for driver, dsn in (
            ("postgres", "user=u password=s3cret port"),
            ("mysql", "u:s3cret@tcp(h)/d"),
            ("mysql", "mysql://u:s3cret@h"),
        ):
            error = self.assertRaises(ConfigurationError, read_dsn, driver, dsn, "table.t.dsn")
            self.assertTrue(str(error).startswith("table.t.dsn: "), str(error))
            self.assertNotIn("s3cret", f"{error}{error!r}")
