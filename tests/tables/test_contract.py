"""The parts of a key."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.contract import Key


class KeyTests(SynchronousTestCase):
    """An identifier is cut at its last at sign, the local part at the first delimiter."""

    def parts(self, identifier: str, delimiter: str = "") -> tuple[str, str, str, str]:
        """user, local, ext and domain of an identifier."""
        key = Key(identifier, extension_delimiter=delimiter)
        return key.user, key.local, key.ext, key.domain

    def test_parts(self) -> None:
        """Without a delimiter there is no extension; the last at sign counts."""
        self.assertEqual(self.parts("a+b@c.d"), ("a+b@c.d", "a+b", "", "c.d"))
        self.assertEqual(self.parts("a@b@c"), ("a@b@c", "a@b", "", "c"))
        self.assertEqual(self.parts("joe"), ("joe", "joe", "", ""))
        self.assertEqual(self.parts("@c"), ("@c", "", "", "c"))
        self.assertEqual(self.parts("a@"), ("a@", "a", "", ""))

    def test_extension(self) -> None:
        """The extension belongs to the local part; a leading delimiter to the name."""
        self.assertEqual(self.parts("a+b+c@d", "+"), ("a@d", "a", "b+c", "d"))
        self.assertEqual(self.parts("a+b", "+"), ("a", "a", "b", ""))
        self.assertEqual(self.parts("+b@d", "+"), ("+b@d", "+b", "", "d"))
        self.assertEqual(self.parts("a@d+e", "+"), ("a@d+e", "a", "", "d+e"))

    @given(st.text())
    @settings(max_examples=100, deadline=None, derandomize=True)
    def test_user_is_the_identifier(self, identifier: str) -> None:
        """Without a delimiter the user is the whole identifier, whatever it looks like."""
        self.assertEqual(Key(identifier).user, identifier)
