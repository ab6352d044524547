"""What clients are offered is learnt: from a real server and one that changes its mind."""

from __future__ import annotations

from tests.integration import clients, servers
from tests.integration.clients import Wire
from tests.integration.matrix import ALICE, ALICE_SECRET, HOSTS, ProxyTestCase
from tests.integration.proxy import Destination, Proxy, Settings
from tests.integration.scripted import ScriptedBackend, Talk
from tests.support.ports import LOOPBACK


class Modest:
    """A submission server, and an IMAP server, with few capabilities."""

    def __init__(self) -> None:
        self.keywords = [b"SIZE 1000", b"PIPELINING", b"STARTTLS", b"AUTH PLAIN"]
        self.capabilities = b"IMAP4rev1 SASL-IR AUTH=PLAIN"

    def submission(self, talk: Talk) -> None:
        """Answer EHLO."""
        talk.say(b"220 modest ESMTP\r\n")
        talk.line()
        lines = [b"modest", *self.keywords]
        talk.say(b"".join(b"250-" + line + b"\r\n" for line in lines[:-1]))
        talk.say(b"250 " + lines[-1] + b"\r\n")
        talk.until_left()

    def imap(self, talk: Talk) -> None:
        """Greet."""
        talk.say(b"* OK [CAPABILITY " + self.capabilities + b"] modest\r\n")
        talk.until_left()


class LearningTests(ProxyTestCase):
    """Two destinations, one of them real."""

    def setUp(self) -> None:
        self.modest = Modest()
        self.doubles = {
            "imap": ScriptedBackend(self.modest.imap),
            "submission": ScriptedBackend(self.modest.submission),
        }
        for double in self.doubles.values():
            self.addCleanup(double.close)

    def front(self) -> Proxy:
        """The mailroute before them."""
        east, mx = servers.dovecot("east"), servers.postfix("east")
        real = {"imap": (east.imaps, "implicit"), "submission": (mx.submission, "starttls")}
        modest = {name: (double.port, "plain") for name, double in self.doubles.items()}
        trust = {"tls_ca_file": str(servers.authority().ca_file)}
        destinations = (
            Destination("east", real, (HOSTS["east"],), trust),
            Destination("modest", modest, (LOOPBACK,), {"allow_plaintext_auth": True}),
        )
        learn = {"learn": True, "learn_interval": "1s"}
        # Each worker asks for itself, and a connection comes to any of them.
        alone = {"workers": 1}
        proxy = Proxy(Settings(destinations, {ALICE: "east"}, capabilities=learn, server=alone))
        self.addCleanup(proxy.remove)
        proxy.start()
        return self.watch(proxy)

    def keywords(self, proxy: Proxy) -> dict[str, str]:
        """What submission clients are offered."""
        client = clients.submission(proxy.ports["submission", "implicit"], "implicit")
        self.addCleanup(client.close)
        return dict(client.esmtp_features)

    def greeting(self, proxy: Proxy) -> str:
        """What IMAP clients are greeted with."""
        with Wire("imap", proxy.ports["imap", "implicit"], "implicit") as wire:
            return wire.greeting

    def test_submission(self) -> None:
        """Only what all have, with the least size; a change is heard of; logins go on."""
        proxy = self.front()
        # Both have been asked: one that was slow at first counts from the next round on.
        proxy.wait_until(lambda: "destination modest differs" in proxy.text())
        proxy.wait_until(lambda: "8bitmime" not in self.keywords(proxy))
        offered = self.keywords(proxy)
        self.assertEqual(offered["size"], "1000")
        self.assertIn("pipelining", offered)
        self.assertNotIn("starttls", offered)
        self.assertIn("PLAIN", offered["auth"])
        # Postfix has them too: what all offer is promised beyond our own list.
        self.modest.keywords = [b"SIZE", b"8BITMIME", b"DSN", b"CHUNKING", b"AUTH PLAIN"]
        proxy.wait_until(lambda: "dsn" in self.keywords(proxy))
        self.assertIn("8bitmime", self.keywords(proxy))
        self.assertNotIn("pipelining", self.keywords(proxy))
        with Wire("submission", proxy.ports["submission", "implicit"], "implicit") as wire:
            self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)

    def test_imap(self) -> None:
        """ID and literals are promised where all destinations know them."""
        proxy = self.front()
        proxy.wait_until(lambda: " ID" not in self.greeting(proxy))
        self.assertIn("[CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN", self.greeting(proxy))
        self.modest.capabilities += b" ID LITERAL+"
        proxy.wait_until(lambda: "LITERAL- ID" in self.greeting(proxy))
        # A destination that goes away takes nothing with it.
        self.doubles["imap"].close()
        proxy.wait_until(lambda: "destination modest cannot be asked" in proxy.text())
        self.assertIn("LITERAL- ID", self.greeting(proxy))
