"""``[routing]``"""

from __future__ import annotations

from mailroute.config.model import Routing
from tests.config.reading import ConfigurationCase


class RoutingTests(ConfigurationCase):
    """What to do with what a lookup returns."""

    def test_defaults(self) -> None:
        """Without a default destination unknown accounts are rejected."""
        expected = Routing(None, ("%",), "reject", "tempfail", "")
        self.assertEqual(self.read_sections(routing="").routing, expected)

    def test_default_destination(self) -> None:
        """With one, unknown accounts go there, unless the file says otherwise."""
        text = '[routing]\ndefault_destination = "east"\n'
        self.assertEqual(self.read_sections(routing=text).routing.not_found, "default")
        text += 'not_found = "tempfail"\n'
        self.assertEqual(self.read_sections(routing=text).routing.not_found, "tempfail")

    def test_all(self) -> None:
        """Every key reaches its field."""
        routing = self.read_sections(
            routing='[routing]\ndefault_destination = "east"\n'
            'master_user_separators = ["*", "%%"]\n'
            'not_found = "reject"\nundeclared = "default"\nextension_delimiter = "+"\n'
        ).routing
        self.assertEqual(routing, Routing("east", ("*", "%%"), "reject", "default", "+"))

    def test_no_separators(self) -> None:
        """An empty list turns the cut off; an empty separator would cut everything away."""
        text = "[routing]\nmaster_user_separators = []\n"
        self.assertEqual(self.read_sections(routing=text).routing.master_user_separators, ())
        self.complains(
            "routing.master_user_separators",
            "item 2 must not be empty",
            routing='[routing]\nmaster_user_separators = ["%", ""]\n',
        )

    def test_refused(self) -> None:
        """Wrong words and words to come."""
        for text, part in (
            ('not_found = "assign"', "not supported yet"),
            ('not_found = "drop"', "default, reject, tempfail"),
            ('undeclared = "reject"', "tempfail, default"),
            ('address_destination = "west"', "there is no destination 'west'; declared: east"),
        ):
            self.complains(
                f"routing.{text.partition(' ')[0]}", part, routing=f"[routing]\n{text}\n"
            )
