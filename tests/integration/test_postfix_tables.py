"""Postfix's tables, asked by mailroute and by the real postmap: the same answers."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.postfix.opening import open_map
from mailroute.tables.string_table import StringTable
from tests.integration import mariadb, postgresql
from tests.integration.postfix_corpus import (
    BEYOND_ASCII,
    CHOSEN,
    FAULTY,
    FEW,
    KEYS,
    KEYS_BEYOND_ASCII,
    ROWS,
    Parameters,
    generated,
)
from tests.integration.postmap import ABSENT, FAILED, Outcome, Postmap, found, write_old

GENERATED = 20
CREATE = "CREATE TABLE routes (addr {text}, dest {text}, extra {text})"


class PostfixCase(TestCase):
    """A folder with a main.cf, and mailroute beside postmap."""

    timeout = 300
    main_cf = ""

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-postfix-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.postmap = Postmap(self.folder / "etc", self.main_cf)
        self.asked = 0

    def write(self, name: str, content: str) -> str:
        """Write a file; return its path."""
        path = self.folder / name
        write_old(path, content)
        return str(path)

    def parameter_file(self, name: str, parameters: Parameters) -> str:
        """Write a parameter file; return its path."""
        lines = (f"{parameter} = {value}\n" for parameter, value in parameters.items())
        return self.write(name, "".join(lines))

    async def outcomes(
        self, name: str, keys: Sequence[str], fold: bool = True
    ) -> dict[str, Outcome]:
        """What mailroute answers."""
        try:
            table = open_map(name, str(self.postmap.folder), reactor, fold, 20.0)
        except ConfigurationError:
            return dict.fromkeys(keys, (FAILED, ""))
        await table.start()
        try:
            return {key: await self._one(table, key) for key in keys}
        finally:
            await table.close()

    async def _one(self, table: StringTable, key: str) -> Outcome:
        self.asked += 1
        try:
            values = await table.get(key)
        except LookupFailed:
            return FAILED, ""
        return (ABSENT, "") if values is None else found(values[0])

    async def same(self, name: str, keys: Sequence[str], *options: str) -> None:
        """Both answer the same."""
        ours = await self.outcomes(name, keys, "-f" not in options)
        failing = [key for key in keys if ours[key] == (FAILED, "")]
        theirs = await deferToThread(self.postmap.ask, name, keys, *options, failing=failing)
        wrong = {key: (theirs[key], ours[key]) for key in keys if theirs[key] != ours[key]}
        self.assertEqual(wrong, {}, f"{name}: postmap's and mailroute's")


class Engine(PostfixCase):
    """The corpus on one engine."""

    kind = "sqlite"
    keys = KEYS + KEYS_BEYOND_ASCII

    def access(self) -> Parameters:
        """The parameters that lead to the database; fill it first."""
        self.path = self.folder / "routes.db"
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(CREATE.format(text="TEXT"))
            database.executemany("INSERT INTO routes VALUES (?, ?, ?)", ROWS + BEYOND_ASCII)
        return {"dbpath": str(self.path)}

    def names(self, chosen: Sequence[Parameters]) -> list[str]:
        """The names of tables with these parameters, over a fresh database."""
        access = self.access()
        paths = (
            self.parameter_file(f"{number}.cf", {**access, **parameters})
            for number, parameters in enumerate(chosen)
        )
        return [f"{self.kind}:{path}" for path in paths]

    async def compare(self, chosen: Sequence[Parameters]) -> None:
        """Each of the tables, each key."""
        for name in self.names(chosen):
            await self.same(name, self.keys)
        self.assertGreaterEqual(self.asked, len(self.keys) * len(chosen))

    def test_chosen(self) -> Deferred[None]:
        """Every expansion, suppression, format, limit and domain."""
        return Deferred.fromCoroutine(self.compare(CHOSEN))

    def test_faulty(self) -> Deferred[object]:
        """What cannot be asked fails; it is not absent."""
        # At once, because postmap pauses for a second.
        return gatherResults(
            [Deferred.fromCoroutine(self.same(name, FEW)) for name in self.names(FAULTY)],
            consumeErrors=True,
        )

    def test_generated(self) -> Deferred[None]:
        """Literals and formats put together at random."""
        return Deferred.fromCoroutine(self.compare(list(generated(GENERATED))))

    def test_unfolded(self) -> Deferred[None]:
        """With -f the key keeps its case."""

        async def test() -> None:
            query = {"query": "SELECT dest FROM routes WHERE addr = '%s'"}
            for name in self.names([query]):
                await self.same(name, self.keys, "-f")
            self.assertEqual(self.asked, len(self.keys))

        return Deferred.fromCoroutine(test())


class MysqlEngine(Engine):
    """The corpus on MariaDB."""

    kind = "mysql"

    def access(self) -> Parameters:
        """See Engine."""
        server = mariadb.shared_server()
        text = "VARCHAR(200) COLLATE utf8mb4_nopad_bin"
        connection = server.connect()
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS routes")
            cursor.execute(CREATE.format(text=text))
            cursor.executemany("INSERT INTO routes VALUES (%s, %s, %s)", ROWS + BEYOND_ASCII)
        return {
            "hosts": f"inet:127.0.0.1:{server.port}",
            "user": "mailroute",
            "password": "päss@",
            "dbname": "mailroute",
        }


class PgsqlEngine(Engine):
    """The corpus on PostgreSQL, in ASCII: Debian 12's Postfix asks it in LATIN1."""

    kind = "pgsql"
    keys = KEYS

    def access(self) -> Parameters:
        """See Engine."""
        server = postgresql.shared_server()
        connection = server.connect()
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS routes")
            cursor.execute(CREATE.format(text="TEXT"))
            cursor.executemany("INSERT INTO routes VALUES (%s, %s, %s)", ROWS)
        return {"hosts": f"127.0.0.1:{server.port}", "user": "postgres", "dbname": "mailroute"}
