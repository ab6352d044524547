"""``[capabilities.PROTO]``"""

from __future__ import annotations

from mailroute.config.model import Capabilities
from tests.config.reading import ConfigurationCase

MECHANISMS = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")
SIEVE = (
    "fileinto", "envelope", "vacation", "imap4flags", "subaddress", "relational", "copy", "body",
    "variables",
)  # fmt: skip


class CapabilityTests(ConfigurationCase):
    """What clients are offered before their login."""

    def test_defaults(self) -> None:
        """Every protocol has its offer without a word in the file."""
        found = self.read_sections().capabilities
        imap = ("IMAP4rev1", "SASL-IR", "LITERAL-", "ID")
        submission = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE")
        self.assertEqual(
            found,
            {
                "imap": Capabilities(MECHANISMS, False, None, imap),
                "pop3": Capabilities(MECHANISMS, False, None, None),
                "submission": Capabilities(MECHANISMS, False, None, submission),
                "managesieve": Capabilities(MECHANISMS, False, None, SIEVE, "mailroute"),
            },
        )

    def test_all(self) -> None:
        """Every key reaches its field; mechanisms in any case."""
        found = self.read_sections(
            capabilities='[capabilities.imap]\nsasl = ["plain"]\nbanner = "Hello there"\n'
            'advertise = ["IMAP4rev1", "IMAP4rev2"]\nlearn = false\nlearn_interval = "600s"\n'
            '[capabilities.pop3]\nsasl = ["XOAUTH2", "PLAIN"]\nbanner = "Hi"\n'
            '[capabilities.submission]\nehlo = ["SIZE 1000", "8BITMIME"]\nbanner = "Ho"\n'
            '[capabilities.managesieve]\nsieve = ["fileinto"]\nimplementation = "Ours 1"\n'
        ).capabilities
        self.assertEqual(
            found,
            {
                "imap": Capabilities(("PLAIN",), False, "Hello there", ("IMAP4rev1", "IMAP4rev2")),
                "pop3": Capabilities(("XOAUTH2", "PLAIN"), False, "Hi", None),
                "submission": Capabilities(MECHANISMS, False, "Ho", ("SIZE 1000", "8BITMIME")),
                "managesieve": Capabilities(MECHANISMS, False, None, ("fileinto",), "Ours 1"),
            },
        )

    def test_mechanisms(self) -> None:
        """Unknown ones, those to come, and none at all."""
        for value, part in (
            ('["PLAIN", "CRAM-MD5"]', "item 2 unknown mechanism 'CRAM-MD5'"),
            ('["SCRAM-SHA-256-PLUS"]', "unknown mechanism"),
            ("[]", "empty"),
        ):
            self.complains(
                "capabilities.pop3.sasl",
                part,
                capabilities=f"[capabilities.pop3]\nsasl = {value}\n",
            )

    def test_scram(self) -> None:
        """SCRAM is offered where it is asked for: the backends have to offer it themselves."""
        found = self.read_sections(
            capabilities='[capabilities.pop3]\nsasl = ["scram-sha-256", "SCRAM-SHA-1"]\n'
        ).capabilities
        self.assertEqual(found["pop3"].sasl, ("SCRAM-SHA-256", "SCRAM-SHA-1"))

    def test_learn(self) -> None:
        """What is offered may be learnt from the destinations, every so often."""
        text = '[capabilities.imap]\nlearn = true\nlearn_interval = "1h"\n'
        found = self.read_sections(capabilities=text).capabilities
        self.assertEqual((found["imap"].learn, found["imap"].learn_interval_seconds), (True, 3600))
        self.assertEqual((found["pop3"].learn, found["pop3"].learn_interval_seconds), (False, 600))

    def test_computed_capabilities(self) -> None:
        """What depends on the channel cannot be promised; LITERAL+ has no bound (RFC 7888)."""
        for name in ("STARTTLS", "logindisabled", "AUTH=PLAIN", "LITERAL+", "A B", "A]", "é", ""):
            self.complains(
                "capabilities.imap.advertise",
                capabilities=f'[capabilities.imap]\nadvertise = ["{name}"]\n',
            )

    def test_computed_keywords(self) -> None:
        """STARTTLS and AUTH likewise; nothing that ends the line (RFC 5321 section 4.1.1.1)."""
        for name in ("STARTTLS", "auth", "AUTH PLAIN", "SIZE\\r\\nX", "-X", "SIZE  1", ""):
            self.complains(
                "capabilities.submission.ehlo",
                capabilities=f'[capabilities.submission]\nehlo = ["{name}"]\n',
            )

    def test_sieve_extensions(self) -> None:
        """One word each, for they are told in one string with spaces between."""
        for name in ("", "a b", r"\"", "é", r"a\nb", r"\\"):
            self.complains(
                "capabilities.managesieve.sieve",
                capabilities=f'[capabilities.managesieve]\nsieve = ["{name}"]\n',
            )

    def test_nothing(self) -> None:
        """An empty list is no list of ours."""
        for protocol, key in (
            ("imap", "advertise"),
            ("submission", "ehlo"),
            ("managesieve", "sieve"),
        ):
            text = f"[capabilities.{protocol}]\n{key} = []\n"
            found = self.read_sections(capabilities=text).capabilities
            self.assertEqual(found[protocol].advertise, ())
            self.assertIsNone(found["pop3"].advertise)

    def test_banner(self) -> None:
        """One printable line; in POP3 nothing that offers APOP (RFC 1939 section 7)."""
        for protocol, banner in (
            ("imap", "a\\r\\nb"),
            ("submission", "é"),
            ("managesieve", "a\\nb"),
            ("pop3", "<1.2@mail.example.org>"),
        ):
            self.complains(
                f"capabilities.{protocol}.banner",
                capabilities=f'[capabilities.{protocol}]\nbanner = "{banner}"\n',
            )

    def test_protocols(self) -> None:
        """Keys of other protocols are not taken; HTTP is ignored."""
        for text, key, part in (
            (
                "[capabilities.imap]\nimplementation = 'x'\n",
                "capabilities.imap.implementation",
                "unknown key",
            ),
            ("[capabilities.imaps]\n", "capabilities.imaps", "capabilities.imap?"),
            ("[capabilities.pop3]\nehlo = []\n", "capabilities.pop3.ehlo", "unknown key"),
            ("[capabilities.imap]\nlearn = 1\n", "capabilities.imap.learn", "true or false"),
        ):
            self.complains(key, part, capabilities=text)
        self.assertIn(
            "ignored: capabilities.http",
            self.read_sections(capabilities="[capabilities.http]\n").warnings[0],
        )
