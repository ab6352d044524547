"""Parameter files, and parameters in main.cf."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.parameters import Parameters, in_own_file, read_parameters


class ParameterCase(SynchronousTestCase):
    """A folder for files."""

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def write(self, name: str, content: str) -> str:
        """Write a file; return its absolute path."""
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        return str(path.absolute())

    def complaint(self, *arguments: str) -> str:
        """The complaint of reading."""
        return str(self.assertRaises(ConfigurationError, read_parameters, *arguments))


class OwnFileTests(ParameterCase):
    """A table with a file of its own."""

    def test_where(self) -> None:
        """A name that begins with / or . is a file."""
        self.assertTrue(in_own_file("/etc/x") and in_own_file("./x"))
        self.assertFalse(in_own_file("x/y"))

    def test_read(self) -> None:
        """Nothing is expanded, quotes are data, the last of a name counts, with a warning."""
        path = self.write("p", "query = '$a' #1\n  more\nuser = x\nuser = y\nuser = y\n")
        parameters = read_parameters("sqlite", path, "/nowhere")
        self.assertEqual(parameters.text("query"), "'$a' #1  more")
        self.assertEqual(parameters.text("user"), "y")
        self.assertEqual(parameters.warnings, [f"{path}:4: user is set again: the last one counts"])

    def test_faults(self) -> None:
        """A line without = is a complaint with file and line; so is a missing file."""
        path = self.write("p", "# c\nquery\n")
        self.assertIn(f"{path}:2: ", self.complaint("mysql", path, ""))
        self.assertIn("cannot be read", self.complaint("mysql", f"{path}.no", ""))


class MainTests(ParameterCase):
    """A table whose parameters are in main.cf."""

    def read(self, content: str, name: str = "route") -> Parameters:
        """Read the parameters of a table from such a main.cf."""
        self.write("main.cf", content)
        return read_parameters("sqlite", name, str(self.folder))

    def test_read(self) -> None:
        """``sqlite:route`` has route_dbpath and so on; $names are expanded."""
        parameters = self.read(
            "base = $config_directory/db\nroute_dbpath = $base/routes\n"
            "route_query = SELECT '$$1'\nother_query = $missing\n"
        )
        self.assertEqual(parameters.text("dbpath"), f"{self.folder}/db/routes")
        self.assertEqual(parameters.text("query"), "SELECT '$1'")
        self.assertEqual(parameters.place, "sqlite:route")

    def test_unknown_name(self) -> None:
        """A $name that main.cf does not set could be a default of Postfix: refused by name."""
        complaint = str(
            self.assertRaises(ConfigurationError, self.read, "route_dbpath = $mydomain/x")
        )
        self.assertIn("sqlite:route: route_dbpath: $mydomain is not set in main.cf", complaint)

    def test_no_parameters(self) -> None:
        """A name without any parameter is more likely a slip of the pen."""
        complaint = str(self.assertRaises(ConfigurationError, self.read, "a = b", "routes"))
        self.assertIn("no parameter that begins with routes_", complaint)


class ValueTests(SynchronousTestCase):
    """Typed values."""

    def setUp(self) -> None:
        """Some parameters."""
        values = {"n": "3", "bad": "-1", "yes": "YES", "maybe": "1", "empty": "", "dbpth": "x"}
        self.parameters = Parameters("mysql:/x", values, [])

    def test_values(self) -> None:
        """Numbers from 0 on, yes and no, texts that are required."""
        self.assertEqual(self.parameters.number("n", 0), 3)
        self.assertEqual(self.parameters.number("absent", 7), 7)
        self.assertTrue(self.parameters.boolean("yes", False))
        self.assertFalse(self.parameters.boolean("absent", False))
        self.assertEqual(self.parameters.required("absent", "%s"), "%s")

    def test_complaints(self) -> None:
        """Each complaint names table and parameter."""
        for function, name in (
            (lambda name: self.parameters.number(name, 0), "bad"),
            (lambda name: self.parameters.number(name, 0), "empty"),
            (lambda name: self.parameters.boolean(name, True), "maybe"),
            (self.parameters.required, "empty"),
        ):
            complaint = self.assertRaises(ConfigurationError, function, name)
            self.assertIn(f"mysql:/x: {name}: ", str(complaint))

    def test_unknown(self) -> None:
        """Unknown parameters, which Postfix ignores silently, are warned about."""
        self.parameters.warn_unknown({"n", "bad", "yes", "maybe", "empty", "dbpath"})
        self.assertEqual(
            self.parameters.warnings,
            ["mysql:/x: dbpth is no parameter here: ignored; do you mean dbpath?"],
        )
