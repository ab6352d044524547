"""What a login brings beside its name."""

from __future__ import annotations

import click

from mailroute.cli.circumstances import Circumstances
from mailroute.protocols import PROTOCOLS
from tests.config.reading import ConfigurationCase

POP3 = '[listener.pop]\nprotocol = "pop3"\nbind = ["127.0.0.1:110"]\ntls = "starttls"\n'
DESTINATION = (
    '[destination.east]\nhost = "east.example.org"\n'
    '[destination.east.protocol.pop3]\nport = 995\ntls = "implicit"\n'
)


class OriginTests(ConfigurationCase):
    """As if a client had come."""

    def test_given(self) -> None:
        """What the options say."""
        given = Circumstances("pop3", "192.0.2.1", "192.0.2.2", "mail.example.org")
        origin = given.origin(self.read_sections())
        self.assertEqual(
            (origin.protocol, origin.client_ip, origin.server_ip, origin.sni),
            ("pop3", "192.0.2.1", "192.0.2.2", "mail.example.org"),
        )

    def test_protocol(self) -> None:
        """IMAP where it is served, else what the first listener speaks."""
        self.assertEqual(Circumstances(None).origin(self.read_sections()).protocol, "imap")
        configuration = self.read_sections(listener=POP3, destination=DESTINATION)
        self.assertEqual(Circumstances(None).origin(configuration).protocol, "pop3")

    def test_passed_through(self) -> None:
        """Protocols without logins are not what accounts are looked up for."""
        listener = POP3.replace("pop3", "smtp").replace("starttls", "plain")
        destination = DESTINATION.replace("pop3", "smtp")
        routing = '[routing]\nsmtp_passthrough_destination = "east"\n'
        configuration = self.read_sections(
            listener=listener, destination=destination, routing=routing, tls=""
        )
        self.assertEqual(Circumstances(None).origin(configuration).protocol, "imap")

    def test_unknown(self) -> None:
        """A protocol that there is not is named with those that there are."""
        with self.assertRaises(click.UsageError) as caught:
            Circumstances("gopher").origin(self.read_sections())
        for part in ("gopher", *PROTOCOLS):
            self.assertIn(part, str(caught.exception))
