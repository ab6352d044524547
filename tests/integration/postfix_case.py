"""What the tests of Postfix's tables share: mailroute and postmap side by side."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.postfix.opening import open_map
from mailroute.tables.string_table import StringTable
from tests.integration.postfix_corpus import Parameters
from tests.integration.postmap import ABSENT, FAILED, Outcome, Postmap, found, write_old


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
