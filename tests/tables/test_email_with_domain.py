"""Addresses made of keys."""

from __future__ import annotations

from mailroute.tables.email_with_domain import WithDomainTable
from tests.tables.asking import AskingCase


class WithDomainTests(AskingCase):
    """A table of type email_with_domain."""

    def test_one_domain(self) -> None:
        """The key gets the domain, and quotes where its signs need them."""
        self.answers(
            WithDomainTable(["D"]),
            {
                "bob": ("bob@D",),
                "a b": ('"a b"@D',),
                'a"b': (r'"a\"b"@D',),
                "a\\b": (r'"a\\b"@D',),
                # A whole address is not seen as one.
                "bob@x": ('"bob@x"@D',),
            },
        )

    def test_every_special(self) -> None:
        """Each of the signs that an atom cannot have leads to quotes; others do not."""
        for sign in "()<>[]:;@, ":
            self.assertEqual(self.ask(WithDomainTable(["D"]), f"a{sign}b"), (f'"a{sign}b"@D',))
        for sign in "+-_.!#$%&'*/=?^`{|}~":
            self.assertEqual(self.ask(WithDomainTable(["D"]), f"a{sign}b"), (f"a{sign}b@D",))

    def test_several_domains(self) -> None:
        """One address for each domain, in their order."""
        table = WithDomainTable(["example.org", "[10.0.0.1]"])
        self.assertEqual(self.ask(table, "bob"), ("bob@example.org", "bob@[10.0.0.1]"))
        self.survives_odd_keys(table)

    def test_no_domain(self) -> None:
        """At least one domain is needed, and each has to be one."""
        self.assertRaises(ValueError, WithDomainTable, [])
        for domain in ("", "a b", "a@b", "a\n"):
            self.assertRaises(ValueError, WithDomainTable, [domain])
