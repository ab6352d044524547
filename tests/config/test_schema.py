"""A table of keys reads a table of TOML."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.config import values
from mailroute.config.document import Document, Surroundings
from mailroute.config.schema import REQUIRED, Key, Section, named_tables

SECTION = Section(
    "test",
    "A section.",
    (
        Key("needed", values.port, REQUIRED, "Required."),
        Key("wait", values.duration, "10s", "With a unit.", field="wait_seconds"),
        Key("note", values.text, None, "Optional."),
        Key("workers", values.port, 1, "With an alias.", alias="threads"),
        Key("later", values.port, 7, "Not built.", built=False),
        Key("some_day", values.anything, None, "Not built, unset.", built=False),
    ),
    tables=("inner",),
    http_only=("forwarded",),
)


class SectionTests(SynchronousTestCase):
    """Known, unknown, missing, bad and future keys."""

    def read(self, raw: object) -> dict[str, object] | None:
        self.document = Document("m.toml", {}, Surroundings("/", {}))
        return SECTION.read(raw, ("test",), self.document)

    def complaint(self, raw: object) -> str:
        self.read(raw)
        self.assertEqual(len(self.document.complaints), 1, self.document.complaints)
        return self.document.complaints[0]

    def test_defaults(self) -> None:
        """Defaults are parsed as the file's values are; keys that are not built have no value."""
        self.assertEqual(
            self.read({"needed": 5}),
            {"needed": 5, "wait_seconds": 10.0, "note": None, "workers": 1},
        )
        self.assertEqual(self.document.complaints, [])

    def test_given(self) -> None:
        """Values come under the model's names."""
        found = self.read({"needed": 5, "wait": "1m", "note": "n", "workers": 3, "inner": {}})
        self.assertEqual(found, {"needed": 5, "wait_seconds": 60.0, "note": "n", "workers": 3})
        self.assertEqual(self.document.complaints, [])

    def test_required(self) -> None:
        """Missing and bad required values leave nothing to go on with."""
        self.assertEqual(self.complaint({}), "m.toml: test.needed: missing: this key is required")
        self.assertIn("test.needed: must be", self.complaint({"needed": "x"}))
        self.assertIsNone(self.read({}))
        self.assertIsNone(self.read({"needed": "x"}))

    def test_bad_optional(self) -> None:
        """A bad optional value is complained of; its default stands in for further checks."""
        found = self.read({"needed": 5, "wait": 3})
        assert found is not None
        self.assertEqual(found["wait_seconds"], 10.0)
        self.assertEqual(len(self.document.complaints), 1)

    def test_unknown(self) -> None:
        """An unknown key is told with its nearest known one; a far one without."""
        self.assertEqual(
            self.complaint({"needed": 5, "neded": 5}),
            "m.toml: test.neded: unknown key; did you mean test.needed?",
        )
        self.assertIn("did you mean test.threads?", self.complaint({"needed": 5, "thread": 5}))
        self.assertEqual(self.complaint({"needed": 5, "zzz": 5}), "m.toml: test.zzz: unknown key")

    def test_alias(self) -> None:
        """The other name counts, but not both; complaints name the one that was used."""
        found = self.read({"needed": 5, "threads": 4})
        assert found is not None
        self.assertEqual(found["workers"], 4)
        self.assertIn("test.threads: must be", self.complaint({"needed": 5, "threads": "x"}))
        both = self.complaint({"needed": 5, "threads": 4, "workers": 4})
        self.assertIn("test.threads: the same as workers", both)

    def test_not_built(self) -> None:
        """Only the inert default is accepted of a key whose feature is to come."""
        self.read({"needed": 5, "later": 7})
        self.assertEqual(self.document.complaints, [])
        self.assertIn("test.later: not supported yet", self.complaint({"needed": 5, "later": 8}))
        self.assertIn("not supported yet", self.complaint({"needed": 5, "some_day": 1}))

    def test_http(self) -> None:
        """A key of HTTP is accepted with the common warning."""
        self.read({"needed": 5, "forwarded": "off"})
        self.assertEqual(self.document.complaints, [])
        self.assertIn("HTTP only: ignored: test.forwarded", self.document.warnings[0])

    def test_all_at_once(self) -> None:
        """One reading finds every fault."""
        self.read({"wait": 3, "zzz": 1, "later": 9})
        self.assertEqual(len(self.document.complaints), 4, self.document.complaints)

    def test_no_table(self) -> None:
        """A section that is no table is one complaint beside the missing key."""
        self.assertIsNone(self.read(3))
        self.assertIn("m.toml: test: must be a table", self.document.complaints)

    def test_named_tables(self) -> None:
        """Tables by name; what is no table and what has no name are complaints."""
        document = Document("m.toml", {}, Surroundings("/", {}))
        raw = {"a": {"x": 1}, "b": 3, "": {}}
        found = list(named_tables(raw, ("listener",), document))
        self.assertEqual(found, [("a", ("listener", "a"), {"x": 1})])
        self.assertEqual(
            document.complaints,
            [
                "m.toml: listener.b: must be a table",
                'm.toml: listener."": the name must not be empty',
            ],
        )
