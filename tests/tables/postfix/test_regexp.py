"""Files of expressions."""

from __future__ import annotations

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.regexp import RegexpMap
from tests.tables.asking import at_once
from tests.tables.postfix.maps import AwaitingCase


class RegexpTests(AwaitingCase):
    """Rules and keys."""

    def table(self, content: str) -> RegexpMap:
        """A table with these lines."""
        return RegexpMap(self.written(content), at_once)

    def get(self, content: str, key: str) -> str | None:
        """The answer to a key."""
        found = self.result(self.table(content).get(key))
        return None if found is None else found[0]

    def test_first(self) -> None:
        """The first rule that matches answers; anywhere in the key, whatever its case."""
        content = "/b@/ 1\n/a/ 2\n"
        for key, expected in (("ab@x", "1"), ("xAx", "2"), ("c", None), ("", None)):
            self.assertEqual(self.get(content, key), expected)

    def test_groups(self) -> None:
        """$1, ${1} and $(1); a group without a part in it is empty; $$ is a dollar sign."""
        content = "/^(.+)@(.+)\\.(org|net)(x)?$/ $1-${2}5-$(3)-$4-$$1\n"
        self.assertEqual(self.get(content, "A@b.org"), "A-b5-org--$1")

    def test_flags(self) -> None:
        """i makes the case count, twice not; another delimiter is allowed."""
        self.assertIsNone(self.get("/a/i 1\n", "A"))
        self.assertEqual(self.get("/a/ii 1\n", "A"), "1")
        self.assertEqual(self.get("!!|a/b| 1\n", "a/b"), "1")
        self.assertEqual(self.get("/a\\/b/ 1\n", "a/b"), "1")

    def test_negation(self) -> None:
        """! turns it round; a second expression has to hold, too."""
        self.assertEqual(self.get("!/a/ 1\n", "b"), "1")
        self.assertIsNone(self.get("!/a/ 1\n", "a"))
        content = "/(a)/!/b/ $1\n"
        self.assertEqual(self.get(content, "ac"), "a")
        self.assertIsNone(self.get(content, "ab"))

    def test_if(self) -> None:
        """Rules between if and endif count only for keys that match, nested, too."""
        content = "if /@x/\nIF !/^a/\n/./ 1\nendif\n/^a/ 2\nendif\n/./ 3\n"
        for key, expected in (("b@x", "1"), ("a@x", "2"), ("a@y", "3")):
            self.assertEqual(self.get(content, key), expected, key)

    def test_if_without_endif(self) -> None:
        """It reaches to the end of the file, with a warning."""
        table = self.table("if /a/\n/./ 1\n")
        self.assertIsNone(self.result(table.get("b")))
        self.assertIn(":1: this if has no endif", table.check()[0])

    def test_skipped(self) -> None:
        """What Postfix skips is skipped with a warning that names the line."""
        content = (
            "/a 1\nendif\nword\n/a/q 2\n/a/ $x\n/(a)/ $2\n!/(b)/ $1\n/a/ $\n! \nif\n/a/ last\n"
        )
        table = self.table(content)
        self.assertEqual(self.result(table.get("a")), ("last",))
        self.assertEqual(len(table.check()), 10)

    def test_without_result(self) -> None:
        """A rule without a text answers with an empty one: found, not absent."""
        self.assertEqual(self.get("/a/\n", "a"), "")

    def test_refused(self) -> None:
        """What Postfix can match and RE2 cannot is a complaint with file and line."""
        for line in ("/(a)\\1/ x", "/a/x y", "if /\\<a/"):
            with self.assertRaises(ConfigurationError) as caught:
                self.table(f"/b/ 1\n{line}\n")
            self.assertIn(":2: ", str(caught.exception))
        self.assertRaises(ConfigurationError, RegexpMap, "/nowhere/at/all", at_once)

    def test_reload(self) -> None:
        """A file that cannot be used leaves the old rules."""
        path = self.written("/a/ 1\n")
        table = RegexpMap(path, at_once)
        with open(path, "w") as file:
            file.write("/(/ 2\n")
        self.result(table.reload())
        self.assertEqual(self.result(table.get("a")), ("1",))
        with open(path, "w") as file:
            file.write("/a/ 2\n")
        self.result(table.reload())
        self.assertEqual(self.result(table.get("a")), ("2",))

    def test_hostile_key(self) -> None:
        """A pattern that makes others try for ever answers at once: the test would not end."""
        self.assertIsNone(self.get("/^(a+)+$/ x\n", "a" * 50_000 + "!"))

    def test_no_text(self) -> None:
        """Keys that are no UTF-8 are absent."""
        self.assertIsNone(self.get("/./ x\n", "\ud800"))
