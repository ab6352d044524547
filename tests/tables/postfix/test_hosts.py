"""The hosts of a parameter file."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.postfix.hosts import Host, Way, mysql_hosts, pgsql_hosts


class HostTests(SynchronousTestCase):
    """Hosts as they are written."""

    def test_mysql(self) -> None:
        """Sockets, hosts, ports; localhost is the usual socket, as for MySQL's own clients."""
        text = "unix:/run/s, inet:a.org:3307 b.org inet:LOCALHOST:3306"
        self.assertEqual(
            mysql_hosts(text),
            [
                Host(Way.UNIX, "/run/s"),
                Host(Way.INET, "a.org", 3307),
                Host(Way.INET, "b.org"),
                Host(Way.UNIX, "", 3306),
            ],
        )
        self.assertEqual(mysql_hosts(" "), [Host(Way.UNIX, "")])

    def test_pgsql(self) -> None:
        """Folders of sockets, hosts, ports, URIs; localhost is the host."""
        text = "unix:/run/pg /run/pg2 inet:a.org:5433 b.org postgresql://u:p@c.org/db"
        self.assertEqual(
            pgsql_hosts(text),
            [
                Host(Way.UNIX, "/run/pg"),
                Host(Way.UNIX, "/run/pg2"),
                Host(Way.INET, "a.org", 5433),
                Host(Way.INET, "b.org"),
                Host(Way.URI, "postgresql://u:p@c.org/db"),
            ],
        )
        self.assertEqual(pgsql_hosts(""), [Host(Way.INET, "localhost")])

    def test_order(self) -> None:
        """Sockets come before hosts, hosts before URIs."""
        self.assertLess(Way.UNIX, Way.INET)
        self.assertLess(Way.INET, Way.URI)

    def test_no_port(self) -> None:
        """A bad port is a complaint."""
        for text in ("a:b", "a:0", "a:65536", "inet:a:"):
            self.assertRaises(ValueError, mysql_hosts, text)
            self.assertRaises(ValueError, pgsql_hosts, text)

    def test_secret(self) -> None:
        """A password in a URI is in neither the place nor the repr."""
        (host,) = pgsql_hosts("postgresql://u:hunter2@c.org/db")
        self.assertEqual(host.place, "postgresql://c.org/db")
        self.assertNotIn("hunter2", repr(host))
