"""What the sections demand of each other."""

from __future__ import annotations

from tests.config.reading import SECTIONS, ConfigurationCase, configuration

LISTENER = SECTIONS["listener"]
POP3 = '[listener.pop]\nprotocol = "pop3"\nbind = ["127.0.0.1:110"]\ntls = "starttls"\n'


class ListenerCheckTests(ConfigurationCase):
    """Listeners against certificates, each other and the offer."""

    def test_certificate(self) -> None:
        """TLS needs a certificate; a plain listener does not."""
        for mode in ("starttls", "implicit"):
            text = LISTENER.replace("starttls", mode)
            self.complains("listener.imap.tls", "certificate", listener=text, tls="")
        self.read_sections(listener=LISTENER.replace("starttls", "plain"), tls="")

    def test_bad_certificate_is_one_complaint(self) -> None:
        """A certificate with a fault is not also complained of as missing."""
        self.complains("tls.certificate.main.key", tls=SECTIONS["tls"].replace("key.pem", "none"))

    def test_duplicate_binds(self) -> None:
        """One address, one listener, once, however it is written."""
        again = LISTENER.replace(".imap]", ".again]")
        self.complains("listener.again.bind", "by listener imap already", listener=LISTENER + again)
        twice = LISTENER.replace('"127.0.0.1:143"', '"[::1]:143", "[0::1]:143"')
        found = self.complaints(configuration(listener=twice))
        self.assertTrue(all("[::1]:143 is bound" in complaint for complaint in found), found)
        self.assertEqual(len(found), 1, found)

    def test_distinct_binds(self) -> None:
        """Both families of one port, and any number of free ports."""
        self.read_sections(
            listener=LISTENER.replace('"127.0.0.1:143"', '"0.0.0.0:143", "[::]:143", "[::1]:0"')
            + LISTENER.replace(".imap]", ".free]").replace(":143", ":0")
            + LISTENER.replace(".imap]", ".any]").replace(":143", ":0")
        )

    def test_listener_without_logins(self) -> None:
        """Nobody can log in where neither TLS nor a password in the clear is possible."""
        plain = LISTENER.replace("starttls", "plain")
        self.warns("listener.imap.tls", "nobody can log in", listener=plain)

    def test_plain_passwords(self) -> None:
        """Allowing them is worth a word, and silences the other warning."""
        self.warns(
            "capabilities.imap.allow_plain_auth_without_tls",
            "without encryption",
            listener=LISTENER.replace("starttls", "plain"),
            capabilities="[capabilities.imap]\nallow_plain_auth_without_tls = true\n",
        )

    def test_protocol_without_backend(self) -> None:
        """A protocol that no backend serves is served in vain."""
        self.warns("listener.pop.protocol", "no destination serves pop3", listener=LISTENER + POP3)

    def test_default_destination_without_protocol(self) -> None:
        """Unknown accounts would fail where the default lacks the protocol."""
        west = (
            '[destination.west]\nhost = "west.example.org"\n'
            '[destination.west.protocol.pop3]\nport = 995\ntls = "implicit"\n'
        )
        self.warns(
            "listener.pop.protocol",
            "default destination 'east' does not serve pop3",
            listener=LISTENER + POP3,
            destination=SECTIONS["destination"] + west,
            routing='[routing]\ndefault_destination = "east"\n',
        )


class RoutingCheckTests(ConfigurationCase):
    """Routing against destinations and mapping."""

    def test_default_destination(self) -> None:
        """It has to be declared; a destination with faults of its own is."""
        text = '[routing]\ndefault_destination = "west"\n'
        self.complains("routing.default_destination", "declared: east", routing=text)
        found = self.complaints(
            configuration(
                routing=text.replace("west", "east"),
                destination=SECTIONS["destination"].replace("993", "0"),
            )
        )
        self.assertEqual(len(found), 1, found)

    def test_no_destination(self) -> None:
        """Without any destination no login could succeed."""
        found = self.complaints(configuration(destination=""))
        self.assertEqual(len(found), 1, found)
        self.assertIn("there is no destination", found[0])

    def test_default_needs_one(self) -> None:
        """Whoever says default has to name it."""
        for key in ("not_found", "undeclared"):
            self.complains(
                f"routing.{key}",
                "needs routing.default_destination",
                routing=f'[routing]\n{key} = "default"\n',
            )
        self.complains(
            "mapping.on_error",
            "needs routing.default_destination",
            mapping=SECTIONS["mapping"].replace("[mapping]\n", '[mapping]\non_error = "default"\n'),
        )
