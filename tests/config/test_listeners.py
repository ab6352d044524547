"""``[listener.NAME]``"""

from __future__ import annotations

from mailroute.config.model import Bind, Listener
from tests.config.reading import SECTIONS, ConfigurationCase

IMAP = SECTIONS["listener"]


class ListenerTests(ConfigurationCase):
    """Where clients connect."""

    def test_all(self) -> None:
        """Every key reaches its field, in the file's order, with defaults beside."""
        listeners = self.read_sections(
            listener='[listener."imap s"]\nprotocol = "imap"\ntls = "implicit"\n'
            'bind = ["0.0.0.0:993", "[::]:993", "unix:/run/i", "systemd:imaps"]\n'
            'max_connections = 5\npreauth_timeout = "7s"\nmax_auth_attempts = 9\n'
            'proxy_protocol = "off"\nproxy_trusted = []\n' + IMAP
        ).listeners
        binds = (
            Bind("tcp", "0.0.0.0", 993),
            Bind("tcp", "::", 993),
            Bind("unix", "/run/i"),
            Bind("systemd", "imaps"),
        )
        self.assertEqual(
            listeners,
            (
                Listener("imap s", "imap", binds, "implicit", 5, 7.0, 9),
                Listener(
                    "imap", "imap", (Bind("tcp", "127.0.0.1", 143),), "starttls", 8192, 30.0, 3
                ),
            ),
        )

    def test_required(self) -> None:
        """Protocol, addresses and TLS are never guessed."""
        found = self.complaints(
            "[listener.x]\n"
            + "".join(text for name, text in SECTIONS.items() if name != "listener")
        )
        self.assertEqual(
            found,
            [
                "1: listener.x.protocol: missing: this key is required",
                "1: listener.x.bind: missing: this key is required",
                "1: listener.x.tls: missing: this key is required",
            ],
        )

    def test_no_listener(self) -> None:
        """Without a listener nobody is served; those of HTTP do not count."""
        http = '[listener.web]\nprotocol = "http"\nbind = ["[::]:443"]\ntls = "implicit"\n'
        for text in ("", "[listener]\n", http):
            self.complains("listener", "no listener", listener=text)

    def test_http(self) -> None:
        """A listener of HTTP is ignored whole, whatever it holds."""
        web = '[listener.web]\nprotocol = "http"\nforwarded = "off"\nwhat = 3\n'
        found = self.read_sections(listener=IMAP + web)
        self.assertEqual([listener.name for listener in found.listeners], ["imap"])
        self.assertEqual(len(found.warnings), 1)
        self.assertTrue(found.warnings[0].endswith("HTTP only: ignored: listener.web"))

    def test_proxies(self) -> None:
        """Networks in their canonical form; an address is a network of its own."""
        trusted = 'proxy_trusted = ["192.0.2.0/24", "2001:DB8::/32", "198.51.100.7"]\n'
        for mode in ("off", "optional", "required"):
            text = IMAP + f'proxy_protocol = "{mode}"\n' + trusted
            (listener,) = self.read_sections(listener=text).listeners
            self.assertEqual(listener.proxy_protocol, mode)
            self.assertEqual(
                listener.proxy_trusted, ("192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32")
            )

    def test_proxies_are_named(self) -> None:
        """Without a list anybody could say who he is."""
        for mode in ("optional", "required"):
            for trusted in ("", "proxy_trusted = []\n"):
                text = IMAP + f'proxy_protocol = "{mode}"\n' + trusted
                self.complains("listener.imap.proxy_trusted", "name the networks", listener=text)

    def test_bad_values(self) -> None:
        """A wrong word, a wrong address and a time that ends at once."""
        for key, value in (
            ("protocol", '"ftp"'),
            ("tls", '"on"'),
            ("bind", '["localhost:143"]'),
            ("bind", '"127.0.0.1:143"'),
            ("max_connections", "0"),
            ("preauth_timeout", '"0s"'),
            ("max_auth_attempts", "0"),
        ):
            lines = [line for line in IMAP.splitlines() if not line.startswith(f"{key} ")]
            text = "\n".join([*lines, f"{key} = {value}\n"])
            self.complains(f"listener.imap.{key}", listener=text)
