"""Which table a name asks for."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.opening import open_map
from mailroute.tables.string_table import StringTable
from tests.tables.postfix.maps import AwaitingCase


class OpeningTests(AwaitingCase):
    """Names and tables."""

    def open(self, name: str, fold: bool = True, directory: str = "/nowhere") -> StringTable:
        """Open a table."""
        return open_map(name, directory, Clock(), fold)  # type: ignore[arg-type]

    def get(self, name: str, key: str, fold: bool = True) -> str | None:
        """The value of a key."""
        found = self.result(self.open(name, fold).get(key))
        return None if found is None else found[0]

    def complaint(self, name: str) -> str:
        """Why it cannot be opened."""
        return str(self.assertRaises(ConfigurationError, self.open, name))

    def test_types(self) -> None:
        """Every type in memory; proxy: in front changes nothing."""
        texthash = self.written("a b\n")
        regexp = self.written("/^a/ r\n")
        for name, expected in {
            f"texthash:{texthash}": "b",
            f"proxy:texthash:{texthash}": "b",
            f"regexp:{regexp}": "r",
            "inline:{a=i}": "i",
            "static:s": "s",
            "pipemap:{inline:{a=b},inline:{b=c}}": "c",
            "unionmap:{inline:{a=b} proxy:static:x}": "b,x",
        }.items():
            self.assertEqual(self.get(name, "a"), expected, name)

    def test_folding(self) -> None:
        """Keys are folded, expressions see the key as it is; without folding nothing is."""
        regexp = f"regexp:{self.written('/A/i r')}"
        self.assertEqual(self.get("inline:{A=1}", "a"), "1")
        self.assertIsNone(self.get("inline:{A=1}", "a", fold=False))
        self.assertEqual(self.get("pipemap:{inline:{A=B},inline:{b=2}}", "a"), "2")
        self.assertIsNone(self.get("pipemap:{inline:{A=B},inline:{b=2}}", "A", fold=False))
        self.assertEqual(self.get(f"pipemap:{{{regexp}}}", "A"), "r")
        self.assertIsNone(self.get(f"unionmap:{{inline:{{b=c}} {regexp}}}", "A"))

    def test_indexed(self) -> None:
        """Indexed files are refused by name, with advice; no type means hash, as in Postfix."""
        for kind in ("hash", "btree", "lmdb", "cdb", "dbm"):
            complaint = self.complaint(f"{kind}:/etc/x")
            self.assertIn(f"{kind}:/etc/x: ", complaint)
            self.assertIn("write texthash:/etc/x", complaint)
        self.assertIn("write texthash:/etc/x", self.complaint("/etc/x"))

    def test_unknown(self) -> None:
        """Other types are refused with those that there are."""
        for name in ("pcre:/x", "ldap:x", "proxywrite:sqlite:/x", ":x", "static:", "proxy:x:y"):
            self.assertIn("texthash", self.complaint(name))

    def test_sql(self) -> None:
        """SQL tables are made without connecting; each engine has its own parameters."""
        content = "query = SELECT '%s'\nhosts = 127.0.0.1:1\ndbname = d\ndbpath = /nowhere/d\n"
        path = Path(self.written(content)).absolute()
        for kind in ("sqlite", "mysql", "pgsql"):
            self.assertEqual(self.open(f"{kind}:{path}").kind, f"{kind}:{path}")
        self.assertIn("dbpath", self.complaint(f"sqlite:{self.absolute('query = SELECT 1')}"))
        self.assertIn("dbname", self.complaint(f"mysql:{self.absolute('query = SELECT 1')}"))
        self.assertIn("dbname", self.complaint(f"pgsql:{self.absolute('query = SELECT 1')}"))
        bad = self.absolute("query=x\nhosts=a:b\n")
        self.assertIn("hosts", self.complaint(f"pgsql:{bad}"))

    def absolute(self, content: str) -> Path:
        """The absolute path of a new file."""
        return Path(self.written(content)).absolute()

    def test_domain_tables(self) -> None:
        """Tables of domains are opened without folding: the domain is folded already."""
        path = self.absolute("dbpath=/nowhere/d\nquery=SELECT '%s'\ndomain = inline:{X.org=1}\n")
        self.assertIsNone(self.result(self.open(f"sqlite:{path}").get("u@X.org")))

    def test_main_cf(self) -> None:
        """Other names are parameters of main.cf."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "main.cf").write_text("r_dbpath = /nowhere/d\nr_query = SELECT '%s'\n")
        self.assertEqual(self.open("sqlite:r", directory=str(folder)).kind, "sqlite:r")
        self.assertIn("main.cf", self.complaint("sqlite:r"))
