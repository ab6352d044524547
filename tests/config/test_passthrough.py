"""Listeners of mail transfer, whose streams are passed through."""

from __future__ import annotations

from mailroute.config.model import Configuration
from tests.config.reading import SECTIONS, ConfigurationCase

LISTENER = '[listener.mx]\nprotocol = "smtp"\nbind = ["127.0.0.1:25"]\ntls = "plain"\n'
ENDPOINT = '[destination.east.protocol.smtp]\nport = 25\ntls = "plain"\n'
ROUTING = '[routing]\nsmtp_passthrough_destination = "east"\n'
PLACE = "routing.smtp_passthrough_destination"


class PassThroughTests(ConfigurationCase):
    """What such a listener needs."""

    def given(
        self, listener: str = LISTENER, endpoint: str = ENDPOINT, routing: str = ROUTING
    ) -> dict[str, str]:
        return {
            "listener": SECTIONS["listener"] + listener,
            "destination": SECTIONS["destination"] + endpoint,
            "routing": routing,
        }

    def read_given(self, **changes: str) -> Configuration:
        return self.read_sections(**self.given(**changes))

    def test_good(self) -> None:
        """A destination that serves the protocol; no password is feared for."""
        found = self.read_given()
        self.assertEqual(found.listeners[1].protocol, "smtp")
        self.assertEqual(found.routing.smtp_passthrough_destination, "east")
        self.assertEqual(found.destinations["east"].endpoints["smtp"].port, 25)
        self.assertEqual(found.warnings, ())
        self.read_given(
            listener=LISTENER.replace("plain", "implicit").replace('"smtp"', '"lmtp"'),
            endpoint=ENDPOINT.replace("plain", "implicit").replace(".smtp]", ".lmtp]"),
        )

    def test_no_destination(self) -> None:
        """Nothing could be passed anywhere."""
        self.complains("listener.mx.protocol", PLACE, **self.given(routing="[routing]\n"))
        self.complains(PLACE, "there is no destination 'west'; declared: east",
                       **self.given(routing=ROUTING.replace("east", "west")))  # fmt: skip
        self.complains(PLACE, "'east' does not serve smtp", **self.given(endpoint=""))

    def test_starttls(self) -> None:
        """In a stream that nobody reads STARTTLS is not ours, in front or behind."""
        self.complains(
            "listener.mx.tls",
            "STARTTLS",
            **self.given(listener=LISTENER.replace("plain", "starttls")),
        )
        self.complains(
            "destination.east.protocol.smtp.tls",
            "STARTTLS",
            **self.given(endpoint=ENDPOINT.replace("plain", "starttls")),
        )

    def test_xclient(self) -> None:
        """Nor can XCLIENT be said in it."""
        self.warns(
            "destination.east.protocol.smtp.forwarding",
            "PROXY header",
            **self.given(endpoint=ENDPOINT + 'forwarding = "xclient"\n'),
        )
        self.read_given(endpoint=ENDPOINT + 'forwarding = "proxy"\n')
