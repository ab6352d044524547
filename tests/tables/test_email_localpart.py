"""Local parts of addresses."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mailroute.tables.email_localpart import (
    LocalPartTable,
    OptionalLocalPartTable,
    unquoted,
)
from mailroute.tables.email_with_domain import quoted
from tests.tables.asking import AskingCase

BOTH = {
    "test@example.org": ("test",),
    "Test@EXAMPLE.org": ("Test",),
    # Unquoted, as the documentation says; the source would keep the quotes.
    '"test @ a"@example.org': ("test @ a",),
    r'"a\"b"@d': ('a"b',),
    '"a@b"@d': ("a@b",),
    "PostMaster": ("PostMaster",),
    "postmaster": ("postmaster",),
}
NO_ADDRESS = ("test", "@example.org", "test@", "", "@")


class LocalPartTests(AskingCase):
    """Tables of type email_localpart and email_localpart_optional."""

    def test_addresses(self) -> None:
        """The part before the last @, its case kept, without its quotes."""
        for table in (LocalPartTable(), OptionalLocalPartTable()):
            self.answers(table, BOTH)

    def test_no_address(self) -> None:
        """Without local part or domain: absent, or in the optional kind the key itself."""
        for key in NO_ADDRESS:
            self.assertIsNone(self.ask(LocalPartTable(), key), repr(key))
            self.assertEqual(self.ask(OptionalLocalPartTable(), key), (key,))

    def test_invalid(self) -> None:
        """A local part that cannot be unquoted: absent, or in the optional kind as it is."""
        for local in ("a@b", '"a', '"', '""', r"a\b", 'a"b', '"a"b', '"a" "b"', '"a\\"'):
            self.assertIsNone(self.ask(LocalPartTable(), f"{local}@c"), local)
            self.assertEqual(self.ask(OptionalLocalPartTable(), f"{local}@c"), (local,))

    def test_odd_keys(self) -> None:
        """Odd keys break nothing."""
        self.survives_odd_keys(LocalPartTable())
        self.survives_odd_keys(OptionalLocalPartTable())

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text(min_size=1))
    def test_round_trip(self, text: str) -> None:
        """What was quoted is unquoted to the same text."""
        self.assertEqual(unquoted(quoted(text)), text)
