"""Expansions and suppression, row by row as documented."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.postfix.template import (
    format_result,
    labels,
    of_address,
    parse_template,
    requirements,
)

SUPPRESSED = None

# Key; what a query with only %s, %u, %d, both %u and %d, and %2 has in their place.
KEYS = (
    ("user@mail.example.com", True, "user", "mail.example.com", True, "example"),
    ("user@example.com", True, "user", "example.com", True, "example"),
    ("user", True, "user", SUPPRESSED, False, SUPPRESSED),
    ("@example.com", True, SUPPRESSED, "example.com", False, "example"),
    ("user@", True, "user", SUPPRESSED, False, SUPPRESSED),
    ("@", True, SUPPRESSED, SUPPRESSED, False, SUPPRESSED),
    ("a@b@c.d", True, "a@b", "c.d", True, "c"),
    ("user@com", True, "user", "com", True, SUPPRESSED),
    ("user@a..com", True, "user", "a..com", True, "a"),
    ("user@.com", True, "user", ".com", True, SUPPRESSED),
    ("user@com.", True, "user", "com.", True, SUPPRESSED),
    ("user@[10.0.0.1]", True, "user", "[10.0.0.1]", True, "0"),
)

# Value, result_format, key, result.
RESULTS = (
    ("10.0.0.1", "%s", "k", "10.0.0.1"),
    ("mx.example.org", "smtp:[%s]:25", "k", "smtp:[mx.example.org]:25"),
    ("bob@x.org", "%d", "k", "x.org"),
    ("eve", "%d", "k", None),
    ("bob@x.org", "%u", "k", "bob"),
    ("eve", "%u", "k", "eve"),
    ("@x.org", "%u", "k", None),
    ("d@", "%d", "k", None),
    ("", "%s", "k", None),
    ("", "const", "k", None),
    ("ok", "%U-%D-%1", "k@d.net", "k-d.net-net"),
    ("x", "100%%", "k", "100%"),
    ("1", "const", "k", "const"),
    ("v", "%S=%s", "k@d", "k@d=v"),
)


class TemplateTests(SynchronousTestCase):
    """Queries' and results' templates."""

    def test_refused(self) -> None:
        """Only % s S u U d D and 1 to 9 may follow a %."""
        for text in ("%", "%0", "%n", "a%%%", "%ä", "% s"):
            self.assertRaises(ValueError, parse_template, text)

    def test_percent(self) -> None:
        """%% is a percent sign."""
        template = parse_template("%%%s%%d")
        self.assertEqual((template.texts, template.codes), (("%", "%d"), ("s",)))

    def test_keys(self) -> None:
        """Which keys are asked for, and with what."""
        plain = parse_template("%s")
        for key, whole, local, domain, both, second in KEYS:
            for code, expected in (("u", local), ("d", domain), ("2", second)):
                needed = requirements(parse_template(f"%{code}"), plain)
                self.assertEqual(needed.met_by(key), expected is not SUPPRESSED, (key, code))
                if expected is not SUPPRESSED:
                    self.assertEqual(of_address(code, key), expected, (key, code))
            needed = requirements(parse_template("%u%d"), plain)
            self.assertEqual(needed.met_by(key), both, key)
            self.assertEqual(requirements(plain, plain).met_by(key), whole, key)
            self.assertEqual(of_address("s", key), key)

    def test_digits(self) -> None:
        """Digits count from the right; the highest one asks for so many labels."""
        self.assertEqual(of_address("1", "user@[10.0.0.1]"), "1]")
        key = "user@mail.example.com"
        self.assertEqual([of_address(digit, key) for digit in "123"], ["com", "example", "mail"])
        for digit, asked in (("3", True), ("4", False)):
            needed = requirements(parse_template(f"%{digit}"), parse_template("%s"))
            self.assertEqual(needed.met_by(key), asked)

    def test_result_suppresses(self) -> None:
        """What result_format needs of the key suppresses the query, too; small letters do not."""
        plain = parse_template("%s")
        for text, asked in (("%U", True), ("%D", False), ("%1", False), ("%u%d", True)):
            self.assertEqual(requirements(plain, parse_template(text)).met_by("k"), asked, text)
        self.assertFalse(requirements(plain, parse_template("%U")).met_by("@d"))
        self.assertFalse(requirements(plain, parse_template("%2")).met_by("k@d"))

    def test_results(self) -> None:
        """What becomes of a value; None is a value that is skipped."""
        for value, text, key, expected in RESULTS:
            self.assertEqual(format_result(parse_template(text), value, key), expected, text)

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text("ab.@", max_size=12))
    def test_parts_are_there(self, key: str) -> None:
        """A key that meets the requirements has every part of the template."""
        for code in "sudSUD123456789":
            if requirements(parse_template(f"%{code}"), parse_template("%s")).met_by(key):
                part = of_address(code, key)
                self.assertIn(part, key)
                self.assertTrue(part or not key)

    def test_labels(self) -> None:
        """Dots at the ends and side by side make no labels."""
        self.assertEqual(labels(".a..b."), ["b", "a"])
        self.assertEqual(labels("..."), [])
