"""The mapping, opened for one command."""

from __future__ import annotations

import io
import sqlite3
import sys
from typing import Any

from twisted.internet.task import Clock

from mailroute.cli.asking import opened
from mailroute.cli.output import Output
from mailroute.composition import make_source
from mailroute.errors import ConfigurationError
from mailroute.tables.string_table import TableSource
from tests.cli.calling import finished
from tests.config.reading import ConfigurationCase


class Source:
    """A table that tells its life."""

    def __init__(self, warnings: list[str]) -> None:
        self.life: list[str] = []
        self._warnings = warnings

    def check(self) -> list[str]:
        self.life.append("checked")
        return self._warnings

    async def start(self) -> None:
        self.life.append("started")

    async def close(self) -> None:
        self.life.append("closed")


class OpenedTests(ConfigurationCase):
    """Checked, started and closed whatever happens."""

    def open(self, source: Any, raising: Exception | None = None) -> None:
        """Open and leave."""

        async def work() -> None:
            async with opened(source, Output(as_json=False).note):
                if raising is not None:
                    raise raising

        finished(work())

    def test_life(self) -> None:
        """It is closed after an error, too."""
        source = Source(["it is away"])
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        with self.assertRaises(ValueError):
            self.open(TableSource(None, source), ValueError())  # type: ignore[arg-type]
        self.assertEqual(source.life, ["checked", "started", "closed"])
        self.assertEqual(stderr.getvalue(), "mailroute: warning: it is away\n")

    def test_refused(self) -> None:
        """A query that the database refuses is the configuration's fault."""
        sqlite3.connect(f"{self.folder}/routes.db").close()
        with self.assertRaises(ConfigurationError):
            self.open(make_source(self.read_sections(), Clock()))
