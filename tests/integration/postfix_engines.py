"""The corpus in the three databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.integration import mariadb, postgresql
from tests.integration.postfix_corpus import BEYOND_ASCII, ROWS, Parameters

_CREATE = "CREATE TABLE routes (addr {text}, dest {text}, extra {text})"
_DROP = "DROP TABLE IF EXISTS routes"


def sqlite(folder: Path) -> Parameters:
    """Fill SQLite's table; return the parameters that lead to it."""
    path = folder / "routes.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_DROP)
        database.execute(_CREATE.format(text="TEXT"))
        database.executemany("INSERT INTO routes VALUES (?, ?, ?)", ROWS + BEYOND_ASCII)
    return {"dbpath": str(path)}


def mysql(_: Path) -> Parameters:
    """Fill MariaDB's table; return the parameters that lead to it."""
    server = mariadb.shared_server()
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(_DROP)
        cursor.execute(_CREATE.format(text="VARCHAR(200) COLLATE utf8mb4_nopad_bin"))
        cursor.executemany("INSERT INTO routes VALUES (%s, %s, %s)", ROWS + BEYOND_ASCII)
    return {
        "hosts": f"inet:127.0.0.1:{server.port}",
        "user": "mailroute",
        "password": "päss@",
        "dbname": "mailroute",
    }


def pgsql(_: Path) -> Parameters:
    """Fill PostgreSQL's table; return the parameters that lead to it."""
    server = postgresql.shared_server()
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(_DROP)
        cursor.execute(_CREATE.format(text="TEXT"))
        cursor.executemany("INSERT INTO routes VALUES (%s, %s, %s)", ROWS)
    return {"hosts": f"127.0.0.1:{server.port}", "user": "postgres", "dbname": "mailroute"}


ENGINES: dict[str, Callable[[Path], Parameters]] = {
    "sqlite": sqlite,
    "mysql": mysql,
    "pgsql": pgsql,
}
