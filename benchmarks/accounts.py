"""The mapped accounts: even numbers at the first store, odd ones at the second."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path


def name(number: int) -> str:
    """The account's name, as ``native/wire.h`` has it."""
    return f"u{number:07d}@example.org"


def store(number: int) -> str:
    """The destination that holds the account."""
    return f"store{number % 2 + 1}"


def rows(count: int) -> Iterator[tuple[str, str]]:
    """Names and destinations."""
    return ((name(number), store(number)) for number in range(count))


def write_database(path: Path, count: int) -> None:
    """A SQLite database with the table ``accounts (name, destination)``."""
    connection = sqlite3.connect(path)
    try:
        connection.execute(
            "CREATE TABLE accounts (name TEXT PRIMARY KEY, destination TEXT) WITHOUT ROWID"
        )
        connection.executemany("INSERT INTO accounts VALUES (?, ?)", rows(count))
        connection.commit()
    finally:
        connection.close()
    path.chmod(0o644)
