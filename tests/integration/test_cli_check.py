"""``mailroute check`` with real backends and databases."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import TestCase

from tests.integration import servers
from tests.integration.console import SECONDS, mailroute
from tests.integration.postgresql import shared_server
from tests.integration.postmap import Ended
from tests.integration.proxy import Destination, Proxy, Settings, table
from tests.support.ports import free_ports

ALICE = "alice@example.org"


class CheckCase(TestCase):
    """A configuration, checked."""

    timeout = 2 * SECONDS

    def setUp(self) -> None:
        self.server = servers.dovecot("east")
        self.trust = {"tls_ca_file": str(servers.authority().ca_file)}

    def check(self, settings: Settings, *options: str) -> Ended:
        """Run the command on a configuration; nothing is served."""
        proxy = Proxy(settings)
        self.addCleanup(proxy.remove)
        return mailroute("check", "--config", str(proxy.configuration), *options)

    def east(self, hosts: tuple[str, ...] = ("localhost",), **options: object) -> Destination:
        """The Dovecot called east."""
        endpoints = {
            "imap": (self.server.imaps, "implicit"),
            "pop3": (self.server.pop3, "starttls"),
            "submission": (servers.postfix("east").submission, "starttls"),
            "managesieve": (self.server.sieve, "starttls"),
        }
        return Destination("east", endpoints, hosts, {**self.trust, **options})


class ConnectTests(CheckCase):
    """Every backend is dialled."""

    def found(self, said: Ended) -> dict[str, Any]:
        """The endpoints by protocol."""
        return {each["protocol"]: each for each in json.loads(said.stdout)["endpoints"]}

    def test_well(self) -> None:
        """TLS, the certificate's subject and what is offered, for each protocol."""
        shards = Destination("shard-*", {"imap": (993, "implicit")}, ("{1}.example.org",))
        settings = Settings((self.east(), shards), {ALICE: "east"})
        said = self.check(settings, "--connect", "--json")
        self.assertEqual(said.status, 0, said)
        data = json.loads(said.stdout)
        self.assertTrue(any("shard-*: a pattern cannot" in each for each in data["warnings"]))
        found = self.found(said)
        self.assertEqual(set(found), {"imap", "pop3", "submission", "managesieve"})
        for each in found.values():
            self.assertRegex(each["tls"]["version"], r"^TLSv1\.[23]$")
            self.assertTrue(each["tls"]["cipher"])
        self.assertEqual(found["imap"]["tls"]["certificate"], "CN=east")
        self.assertIn("AUTH=PLAIN", found["imap"]["capabilities"])
        self.assertTrue(any("SASL PLAIN" in line for line in found["pop3"]["capabilities"]))
        self.assertIn("SASL PLAIN LOGIN", found["managesieve"]["capabilities"])
        self.assertTrue(
            any(line.startswith("AUTH ") for line in found["submission"]["capabilities"])
        )

    def test_words(self) -> None:
        """For people: a line for each endpoint, and the verdict."""
        said = self.check(Settings((self.east(),), {ALICE: "east"}), "--connect")
        self.assertEqual(said.status, 0, said)
        self.assertIn(
            f"destination.east.protocol.imap: localhost:{self.server.imaps}:", said.stdout
        )
        self.assertTrue(said.stdout.endswith(": all is well\n"))

    def test_faults(self) -> None:
        """All at once: nobody there, and a certificate for another name."""
        (port,) = free_ports(1)
        away = Destination("away", {"imap": (port, "implicit")}, options=self.trust)
        settings = Settings((self.east(tls_server_name="x.example.org"), away), {ALICE: "east"})
        said = self.check(settings, "--connect")
        self.assertEqual(said.status, 78, said)
        self.assertRegex(said.stderr, rf"destination\.away\.protocol\.imap: .*:{port}: ")
        self.assertIn("certificate is not for x.example.org", said.stderr)
        self.assertIn("certificate CN=east", said.stderr)
        self.assertEqual(said.stdout, "")

    def test_unresolved(self) -> None:
        """A host name that nobody knows (RFC 2606), without dialling."""
        settings = Settings((self.east(("east.mailroute.invalid",)),), {ALICE: "east"})
        said = self.check(settings)
        self.assertEqual(said.status, 78, said)
        self.assertIn("destination.east: the host east.mailroute.invalid has no", said.stderr)


class TableTests(CheckCase):
    """Tables and mappings in a real database."""

    def mapping(self, query: str, **more: str) -> str:
        """A mapping in PostgreSQL."""
        server = shared_server()
        server.execute("CREATE TABLE IF NOT EXISTS checked (identifier text, destination text)")
        return '[mapping]\nsource = "sql"\n' + table(
            "mapping.sql", {"url": server.url(), "query": query, **more}
        )

    def test_prepared(self) -> None:
        """The query and the other statements; one that is wrong is named."""
        good = "SELECT destination FROM checked WHERE identifier = $1"
        delete = "DELETE FROM checked WHERE identifier = $1"
        mapping = self.mapping(good, delete_query=delete)
        said = self.check(Settings((self.east(),), mapping=mapping))
        self.assertEqual(said.status, 0, said)
        mapping = self.mapping(good, delete_query=delete.replace("identifier", "id"))
        said = self.check(Settings((self.east(),), mapping=mapping))
        self.assertEqual(said.status, 78, said)
        self.assertIn("mapping.sql.delete_query", said.stderr)

    def test_needs_addresses(self) -> None:
        """A query that makes an address of a text is asked with one."""
        query = (
            "SELECT destination FROM checked"
            " WHERE identifier = $1 AND CAST(:client_ip AS inet) IS NOT NULL"
        )
        said = self.check(Settings((self.east(),), mapping=self.mapping(query)))
        self.assertEqual(said.status, 0, said)

    def test_away(self) -> None:
        """A database that is away: the service would start, the check complains."""
        (port,) = free_ports(1)
        mapping = '[mapping]\nsource = "sql"\n' + table(
            "mapping.sql",
            {"url": f"postgres://x@127.0.0.1:{port}/x", "query": "SELECT 1 WHERE 'a' = $1"},
        )
        said = self.check(Settings((self.east(),), mapping=mapping))
        self.assertEqual(said.status, 78, said)
        self.assertIn("mapping: it cannot be asked: ", said.stderr)
