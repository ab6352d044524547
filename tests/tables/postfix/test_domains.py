"""Which domains are asked for."""

from __future__ import annotations

import os

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.domains import DomainList
from tests.tables.postfix.maps import AwaitingCase, SmallMap


class DomainTests(AwaitingCase):
    """Lists and keys."""

    def setUp(self) -> None:
        """A table that the lists may name."""
        self.table = SmallMap({"listed.org": "x", "broken.org": None})
        self.opened: list[str] = []

    def list(self, text: str) -> DomainList:
        """Read a list."""

        def open_map(name: str) -> SmallMap:
            self.opened.append(name)
            return self.table

        return DomainList(text, open_map)

    def passes(self, text: str, key: str) -> bool:
        """Whether the key is asked for."""
        return self.result(self.list(text).lets_through(key))

    def test_no_list(self) -> None:
        """Without a list every key is asked for."""
        for key in ("user", "@x.org", "user@"):
            self.assertTrue(self.passes(" ", key))

    def test_incomplete_keys(self) -> None:
        """With a list only a local part with a domain is, whatever is listed."""
        for key in ("user", "@x.org", "user@", "@"):
            self.assertFalse(self.passes("x.org user type:table", key), key)
        self.assertEqual(self.table.asked, [])

    def test_exact(self) -> None:
        """Without regard to case, behind the last @, and not for subdomains."""
        self.assertTrue(self.passes("a.org, X.org", "u@x.org"))
        self.assertTrue(self.passes("x.ORG", "u@v@x.org"))
        for key in ("u@sub.x.org", "u@org", "u@y.org"):
            self.assertFalse(self.passes("a.org X.org", key), key)

    def test_negation(self) -> None:
        """The first item that matches decides; two ! are none."""
        self.assertFalse(self.passes("!x.org x.org", "u@x.org"))
        self.assertTrue(self.passes("x.org !x.org", "u@x.org"))
        self.assertTrue(self.passes("!!x.org", "u@x.org"))
        self.assertFalse(self.passes("!x.org", "u@y.org"))

    def test_tables(self) -> None:
        """type:table looks up the domain; a table that fails fails the lookup."""
        self.assertTrue(self.passes("type:name", "u@listed.org"))
        self.assertFalse(self.passes("!type:name", "u@listed.org"))
        self.assertFalse(self.passes("type:name", "u@x.org"))
        self.assertEqual(self.opened, ["type:name"] * 3)
        failing = self.list("type:name broken.org").lets_through("u@broken.org")
        self.assertIn("out of order", self.failure(failing))

    def test_literal(self) -> None:
        """An address literal with colons is no table."""
        self.assertTrue(self.passes("[ipv6:::1]", "u@[IPv6:::1]"))
        self.assertEqual(self.opened, [])

    def test_file(self) -> None:
        """/path stands for the items in the file, ! for all of them."""
        path = os.path.abspath(self.written("# no.org\nx.org y.org\n!z.org\n"))
        self.assertTrue(self.passes(path, "u@y.org"))
        self.assertFalse(self.passes(f"!{path}", "u@y.org"))
        self.assertTrue(self.passes(f"!{path}", "u@z.org"))
        self.assertFalse(self.passes(path, "u@no.org"))

    def test_missing_file(self) -> None:
        """A file that cannot be read is no empty one: lookups that need it fail."""
        domains = self.list("x.org /nowhere/at/all")
        self.assertTrue(self.result(domains.lets_through("u@x.org")))
        self.assertIn("/nowhere/at/all", self.failure(domains.lets_through("u@y.org")))
        self.assertEqual(len(domains.warnings), 1)

    def test_nothing_behind(self) -> None:
        """A ! alone is a slip of the pen."""
        self.assertRaises(ConfigurationError, self.list, "x.org !")

    def test_comment(self) -> None:
        """As in Postfix a # ends the list."""
        self.assertFalse(self.passes("x.org # y.org", "u@y.org"))
