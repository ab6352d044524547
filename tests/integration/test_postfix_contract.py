"""Postfix's tables as a mapping's source keep the contract of every table."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from mailroute.tables.postfix.opening import open_map
from mailroute.tables.sql_url import MysqlTarget, PostgresTarget, SqliteTarget, parse_url
from mailroute.tables.string_table import TableSource
from tests.integration import engines
from tests.integration.engines import Engine
from tests.tables.contract_tests import TableContract

COLUMN = {
    "mysql": "VARCHAR(10000) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
    "pgsql": "TEXT",
    "sqlite": "TEXT",
}


def access(url: str) -> tuple[str, dict[str, str]]:
    """The kind of table, and the parameters that lead to the database."""
    target = parse_url(url)
    if isinstance(target, SqliteTarget):
        return "sqlite", {"dbpath": target.path}
    if isinstance(target, PostgresTarget):
        return "pgsql", {"hosts": url}
    assert isinstance(target, MysqlTarget)
    login = {"user": target.user, "password": target.password, "dbname": target.database}
    return "mysql", {"hosts": f"inet:{target.host}:{target.port}", **login}


class PostfixContract(TableContract):
    """A mixin: a parameter file for the engine."""

    def setUp(self: Any) -> None:
        """An empty table."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-postfix-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.engine = self.make_engine()
        self.kind, self.parameters = access(self.engine.url)
        self.engine.execute(
            "DROP TABLE IF EXISTS postfix_routes",
            f"CREATE TABLE postfix_routes (account {COLUMN[self.kind]}, host VARCHAR(100))",
        )

    async def serve(self: Any, seconds: float = 20.0) -> TableSource:
        """A started table; keys are not folded, so that each stays what it is."""
        query = "SELECT host FROM postfix_routes WHERE account = '%s'"
        lines = {**self.parameters, "query": query}.items()
        path = self.folder / f"{seconds}.cf"
        path.write_text("".join(f"{name} = {value}\n" for name, value in lines), "utf-8")
        table = open_map(f"{self.kind}:{path}", str(self.folder), reactor, False, seconds)
        await table.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(table.close()))
        return TableSource(table)

    async def provide(self: Any, rows: Mapping[str, str]) -> None:
        """Write beside the open table."""
        self.engine.execute("DELETE FROM postfix_routes")
        for key, value in rows.items():
            quoted = key.replace("'", "''")
            if self.kind == "mysql":
                quoted = quoted.replace("\\", "\\\\")
            # PyMySQL formats nothing where there are no parameters.
            self.engine.execute(f"INSERT INTO postfix_routes VALUES ('{quoted}', '{value}')")
        if not hasattr(self, "table"):
            self.table = await self.serve()

    async def damage(self: Any) -> None:
        """A query that was good turns bad."""
        self.engine.execute("ALTER TABLE postfix_routes RENAME TO postfix_gone")

    async def mend(self: Any) -> None:
        """Undo it."""
        self.engine.execute("ALTER TABLE postfix_gone RENAME TO postfix_routes")

    async def stall(self: Any) -> None:
        """The database hangs."""
        self.table = await self.serve(0.4)
        self.engine.hang()
        self.addCleanup(self.engine.release)


class SqliteContractTests(PostfixContract, TestCase):
    """sqlite:"""

    timeout = 120

    def make_engine(self) -> Engine:
        """A file."""
        return engines.sqlite()


class PgsqlContractTests(PostfixContract, TestCase):
    """pgsql:"""

    timeout = 120

    def make_engine(self) -> Engine:
        """A server."""
        return engines.postgresql()


class MysqlContractTests(PostfixContract, TestCase):
    """mysql:"""

    timeout = 120

    def make_engine(self) -> Engine:
        """A server."""
        return engines.mariadb()
