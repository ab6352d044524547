"""The keys that are tried for an identifier."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.contract import Key
from mailroute.tables.keys import KeyTemplates


class KeyTemplatesTests(SynchronousTestCase):
    """Templates in their order."""

    def tried(self, identifier: str, *templates: str, delimiter: str = "") -> list[str]:
        """The keys for an identifier."""
        key = Key(identifier, extension_delimiter=delimiter)
        return list(KeyTemplates(templates).expand(key))

    def test_parts(self) -> None:
        """Every part, and text around it."""
        templates = ("{user}", "{local}", "{domain}", "{ext}", "u:{local}/{domain}", "*")
        found = self.tried("joe+x@d.org", *templates, delimiter="+")
        self.assertEqual(found, ["joe@d.org", "joe", "d.org", "x", "u:joe/d.org", "*"])

    def test_empty_part(self) -> None:
        """A template with an empty part is skipped."""
        self.assertEqual(
            self.tried("joe", "{user}", "@{domain}", "{local}+{ext}", "*"), ["joe", "*"]
        )
        self.assertEqual(self.tried("", "{user}"), [])

    def test_each_once(self) -> None:
        """Equal keys are tried once."""
        self.assertEqual(self.tried("joe", "{user}", "{local}", "joe"), ["joe"])

    def test_values_are_no_templates(self) -> None:
        """Braces in an identifier stay braces."""
        self.assertEqual(self.tried("{domain}@x", "{user}", "{local}"), ["{domain}@x", "{domain}"])

    @given(st.text(min_size=1))
    @settings(max_examples=100, deadline=None, derandomize=True)
    def test_default(self, identifier: str) -> None:
        """The default template is the whole identifier."""
        self.assertEqual(self.tried(identifier, "{user}"), [identifier])

    def test_faults(self) -> None:
        """Unknown parts, stray braces and emptiness are complaints, all at once."""
        error = self.assertRaises(
            ConfigurationError, KeyTemplates, ["{usr}", "{user", "}", "", "{}", "{user}"]
        )
        self.assertEqual(len(error.complaints), 5)
        self.assertIn("'{usr}'", error.complaints[0])
        self.assertIn("{local}", error.complaints[0])
        self.assertRaises(ConfigurationError, KeyTemplates, [])
