"""Every configuration in the documentation and every example of ``etc`` is one that can be read."""

from __future__ import annotations

import os
import re
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mailroute.config.reader import SECTIONS as DECLARED
from mailroute.tables.placeholders import NAMES
from mailroute.tables.rows import RECOGNISED
from tests.config.reading import SECTIONS, ConfigurationCase

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "etc"
ELSEWHERE = frozenset({"tables.md"})
"""Documents whose examples have tests of their own."""

_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^):#]+)(?:#[^)]*)?\)")
_PATH = re.compile(r'"(/(?:etc|var/lib)/[\w./-]+)"')
_BASE = {name: text for name, text in SECTIONS.items() if name not in ("routing", "capabilities")}


def documents() -> list[Path]:
    """The documents, and the README."""
    written = [path for path in DOCS.rglob("*.md") if "generated" not in path.parts]
    return [ROOT / "README.md", *sorted(each for each in written if "_build" not in each.parts)]


def blocks(path: Path, kind: str) -> Iterator[tuple[str, str]]:
    """The names and texts of the blocks of one kind."""
    for found, name, text in _BLOCK.findall(path.read_text(encoding="utf-8")):
        if found == kind:
            yield name, text


class ReadingCase(ConfigurationCase):
    """Whatever a configuration names is there."""

    def adapted(self, text: str) -> str:
        """The text, with files that exist in the place of those that it names."""

        def replace(match: re.Match[str]) -> str:
            name = match[1].replace("/", "_")
            url = "sqlite:routes.db"
            return f'"{self.write(name, url)}"'

        text = re.sub(r'(\nuser|\ngroup) = "mailroute"', r'\1 = "root"', text)
        return _PATH.sub(replace, text)

    def whole(self, text: str) -> str:
        """The text, with those sections of a good configuration that it leaves out."""
        given = tomllib.loads(text)
        missing = [each for name, each in _BASE.items() if name not in given]
        if "certificate" not in given.get("tls", {}) and "tls" in given:
            missing.append(_BASE["tls"])
        return "".join([text, *missing])

    def reads(self, text: str) -> None:
        """The reader has no complaint."""
        variables = {"DATABASE_URL": "postgres://mailroute@127.0.0.1/mail"}
        self.read(self.adapted(self.whole(text)), **variables)


class DocumentTests(ReadingCase):
    """The documentation."""

    def test_configurations(self) -> None:
        """Each block of TOML can be read, alone or with what it leaves out."""
        read = 0
        for path in documents():
            if path.name not in ELSEWHERE:
                for _, text in blocks(path, "toml"):
                    self.reads(text)
                    read += 1
        self.assertGreater(read, 12)

    def test_links(self) -> None:
        """Each link between documents leads somewhere."""
        for path in documents():
            for target in _LINK.findall(path.read_text(encoding="utf-8")):
                self.assertTrue((path.parent / target).exists(), f"{path.name}: {target}")

    def test_every_document(self) -> None:
        """Each document stands in the table of contents."""
        contents = (DOCS / "index.md").read_text(encoding="utf-8")
        for path in documents()[1:]:
            name = str(path.relative_to(DOCS).with_suffix(""))
            if name != "index":
                self.assertRegex(contents, f"(?m)^{re.escape(name)}$", "enter it in docs/index.md")

    def test_keys(self) -> None:
        """The mappings of other programs' settings name no key that mailroute lacks."""
        known = {key.name for section in DECLARED for key in section.keys}
        for name in ("nginx", "perdition", "dovecot", "stalwart"):
            text = (DOCS / "guides" / f"{name}.md").read_text(encoding="utf-8")
            cells = "".join(line.split("|")[2] for line in text.splitlines() if line[:1] == "|")
            dotted = re.findall(
                r"`((?:server|routing|mapping|capabilities|listener|tls)(?:\.\w+)+)", cells
            )
            self.assertGreater(len(dotted), 2 if name != "stalwart" else -1, name)
            for each in dotted:
                self.assertIn(each.rpartition(".")[2], known, f"{name}: {each}")

    def test_columns(self) -> None:
        """The guide names every column that a row may have, every parameter, and no other."""
        text = (DOCS / "guides" / "databases.md").read_text(encoding="utf-8")
        for title, known in (
            ("Columns of a row", RECOGNISED),
            ("Parameters of a query", {f":{name}" for name in NAMES}),
        ):
            (section,) = re.findall(rf"^## {title}\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
            cells = "".join(line.split("|")[1] for line in section.splitlines() if line[:1] == "|")
            self.assertEqual(set(re.findall(r"`(:?[a-z_]+)`", cells)), known)

    def test_sqlite(self) -> None:
        """The schema and the statements of the guide do on SQLite what they say."""
        path = DOCS / "guides" / "databases.md"
        ((_, schema),) = blocks(path, "sql")
        (settings,) = [
            tomllib.loads(text) for name, text in blocks(path, "toml") if name == "sqlite"
        ]
        sql = settings["mapping"]["sql"]

        def ask(database: sqlite3.Connection, statement: str, *values: str) -> list[object]:
            return database.execute(re.sub(r"\$(\d)", r"?\1", statement), values).fetchall()

        with closing(sqlite3.connect(":memory:")) as database:
            database.executescript(schema)
            self.assertEqual(ask(database, sql["query"], "alice@example.org"), [("east",)])
            ask(database, sql["upsert_query"], "alice@example.org", "west")
            self.assertEqual(ask(database, sql["query"], "alice@example.org"), [("west",)])
            ask(database, sql["delete_query"], "alice@example.org")
            self.assertEqual(ask(database, sql["list_query"]), [("bob@example.org", "west")])


class ExampleTests(ReadingCase):
    """The files of ``etc``."""

    def test_examples(self) -> None:
        """Each configuration can be read as it is."""
        found = [EXAMPLES / "mailroute.toml", *sorted((EXAMPLES / "examples").glob("*.toml"))]
        self.assertGreater(len(found), 3)
        for path in found:
            text = self.adapted(path.read_text(encoding="utf-8"))
            variables = {"DATABASE_URL": "postgres://mailroute@127.0.0.1/mail"}
            self.read(text, **variables)

    def test_sql(self) -> None:
        """The SQL beside an example makes the tables that its query asks."""
        for path in sorted((EXAMPLES / "examples").glob("*.sql")):
            settings = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
            with closing(sqlite3.connect(":memory:")) as database:
                database.executescript(path.read_text(encoding="utf-8"))
                query = settings["mapping"]["sql"]["query"].replace("$1", "?1")
                (row,) = database.execute(query, ["alice@example.org"]).fetchall()
                names = settings["destination"]
                self.assertTrue(row[0] in names or any("*" in name for name in names), row)

    def test_migration(self) -> None:
        """Who is being moved has the name of no destination, and that is a temporary failure."""
        path = EXAMPLES / "examples" / "migration.toml"
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
        with closing(sqlite3.connect(":memory:")) as database:
            database.executescript(path.with_suffix(".sql").read_text(encoding="utf-8"))
            query = settings["mapping"]["sql"]["query"].replace("$1", "?1")
            ((name,),) = database.execute(query, ["bob@example.org"]).fetchall()
        self.assertNotIn(name, settings["destination"])
        self.assertEqual(settings["routing"]["undeclared"], "tempfail")

    def test_bases(self) -> None:
        """What this test adds to a fragment is a good configuration by itself."""
        self.reads("")
        self.assertTrue(os.path.exists(self.folder))
