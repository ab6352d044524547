"""The peers' configurations, written for a site that nobody starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import accounts
from benchmarks.peers.contract import SERVICES, Site
from benchmarks.peers.haproxy import Haproxy
from benchmarks.peers.mailroute import Mailroute, configuration
from benchmarks.peers.nginx import Nginx
from benchmarks.peers.perdition import map_lines
from mailroute.config.reader import read

PROTOCOLS = ("imap", "pop3", "smtp")


class ConfigurationTests(SynchronousTestCase):
    """What is written is what is meant."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for name in ("certificate.pem", "key.pem", "both.pem"):
            (folder / name).touch()
        accounts.write_database(folder / "accounts.db", 10)
        self.site = Site(
            folder=folder,
            ports={service: 21_000 + i for i, service in enumerate(SERVICES)},
            stores={
                f"store{store}": {name: 22_000 + 10 * store + i for i, name in enumerate(PROTOCOLS)}
                for store in (0, 1, 2)
            },
            certificate=folder / "certificate.pem",
            key=folder / "key.pem",
            both=folder / "both.pem",
            database=folder / "accounts.db",
        )

    def test_mailroute(self) -> None:
        """mailroute accepts it: both stores, all services, one worker."""
        path = self.site.write("mailroute.toml", configuration(self.site, 1, None))
        settings = read(str(path), environment={})
        self.assertEqual(len(settings.listeners), len(SERVICES))
        self.assertEqual(settings.server.workers, 1)

    def test_mailroute_as_root(self) -> None:
        """Whom mailroute becomes is said only if we may become somebody else."""
        self.assertNotIn("user", configuration(self.site, 1, None).split("[listener")[0])
        self.assertIn('user = "nobody"', configuration(self.site, 1, "nobody"))

    def test_names(self) -> None:
        """Variants of a peer have names of their own, and the first one the plain name."""
        made = (Mailroute("p"), Mailroute("p", workers=2), Mailroute("p", accounts=10_000))
        self.assertEqual(
            [peer.name for peer in made], ["mailroute", "mailroute-2", "mailroute-10000"]
        )

    def test_nginx(self) -> None:
        """Even accounts go to the first store's port, the others to the second's."""
        Nginx().prepare(replace(self.site, ports={**self.site.ports, "asked": 21_100}))
        text = (self.site.folder / "nginx.conf").read_text()
        for protocol, port in self.site.stores["store2"].items():
            self.assertIn(f"{protocol}:2 {port};", text)
        for service in SERVICES:
            tls = " ssl" if service.endswith("s") else ""
            self.assertIn(f"listen 127.0.0.1:{self.site.ports[service]}{tls} backlog", text)

    def test_haproxy(self) -> None:
        """It knows no accounts: every service goes to the store that takes all."""
        Haproxy().prepare(self.site)
        text = (self.site.folder / "haproxy.cfg").read_text()
        for port in self.site.stores["store0"].values():
            self.assertEqual(text.count(f"server store 127.0.0.1:{port}\n"), 2)
        self.assertNotIn(str(self.site.stores["store1"]["imap"]), text)

    def test_perdition(self) -> None:
        """Its map has every account with the port of its own store."""
        lines = list(map_lines(self.site, "pop3"))
        self.assertEqual(len(lines), 10)
        self.assertIn("u0000003@example.org:127.0.0.1:22021\n", lines)
        self.assertIn("u0000004@example.org:127.0.0.1:22011\n", lines)


class AccountsTests(SynchronousTestCase):
    """The same rule as in ``native/wire.h`` and ``native/store.c``."""

    def test_stores(self) -> None:
        """Even numbers live at store 1, odd ones at store 2."""
        self.assertEqual(
            list(accounts.rows(2)),
            [("u0000000@example.org", "store1"), ("u0000001@example.org", "store2")],
        )
