"""``mailroute import``, into a mapping that is a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from mailroute.cli import importing
from mailroute.errors import LookupFailed
from mailroute.tables.mapping_file import FileMappingEntries
from tests.cli.calling import CallingCase

HEADER = "identifier,destination\n"
STATIC = '[table.few]\ntype = "static"\nentries = []\n'


class ImportingTests(CallingCase):
    """Alice is there."""

    def load(self, text: str, *arguments: str, **sections: str) -> int:
        """Import a file."""
        path = self.write("accounts.csv", text)
        configured = self.configure(**sections)
        return self.call("--config", configured, "import", *arguments, path)

    @property
    def routes(self) -> str:
        """The mapping's file."""
        return Path(self.folder, "routes").read_text()

    def test_import(self) -> None:
        """Accounts are added, others stay; the counts are told."""
        self.assertEqual(self.load(f"{HEADER}joe,east\nalice,east\n"), 0)
        self.assertEqual(self.routes, "alice east\njoe\teast\n")
        self.assertEqual(self.stdout, "added 1, changed 0, unchanged 1, refused 0\n")
        self.assertEqual(self.stderr, "")

    def test_once(self) -> None:
        """A file is rewritten once, however many accounts there are."""
        before = os.stat(os.path.join(self.folder, "routes")).st_ino
        written: list[Any] = []
        real = FileMappingEntries.write

        async def write(entries: Any, changes: Any) -> None:
            written.append(len(changes))
            await real(entries, changes)

        self.patch(FileMappingEntries, "write", write)
        self.load(HEADER + "".join(f"n{number},east\n" for number in range(3000)))
        self.assertEqual([count for count in written if count], [3000])
        self.assertNotEqual(os.stat(os.path.join(self.folder, "routes")).st_ino, before)

    def test_standard_input(self) -> None:
        """- is standard input."""
        path = self.configure()
        status = self.call("--config", path, "import", "-", stdin=f"{HEADER}joe,east\n")
        self.assertEqual((status, self.routes), (0, "alice east\njoe\teast\n"))

    def test_refused(self) -> None:
        """One line that cannot be used stops everything before anything is written."""
        text = f"{HEADER}joe,east\namy,north\na b,east\n"
        for arguments in ([], ["--dry-run"]):
            self.assertEqual(self.load(text, *arguments), 1)
            self.assertEqual(self.routes, "alice east\n")
            self.assertIn("line 3: there is no destination 'north'", self.stderr)
            self.assertIn("line 4: 'a b' is not one word", self.stderr)
            self.assertIn("--skip-bad", self.stderr)

    def test_skip_bad(self) -> None:
        """Or is left out, where that is wanted."""
        self.assertEqual(self.load(f"{HEADER}joe,east\namy,north\n", "--skip-bad"), 0)
        self.assertEqual(self.routes, "alice east\njoe\teast\n")
        self.assertIn("line 3: ", self.stderr)
        self.assertIn("added 1, changed 0, unchanged 0, refused 1", self.stdout)

    def test_no_csv(self) -> None:
        """A file that is broken is refused whole, even so."""
        for text in (f'{HEADER}joe,east\n"amy,east\n', "joe,east\n", ""):
            self.assertEqual(self.load(text, "--skip-bad"), 1)
            self.assertIn("nothing was written", self.stderr)
            self.assertEqual(self.routes, "alice east\n")

    def test_dry_run(self) -> None:
        """Tells all, writes nothing."""
        self.assertEqual(self.load(f"{HEADER}joe,east\n", "--dry-run", "-v"), 0)
        self.assertEqual(self.routes, "alice east\n")
        self.assertEqual(self.stdout.splitlines()[0], "line 2: added joe: east")
        self.assertIn("would be added 1", self.stdout)

    def test_json(self) -> None:
        """An object for each change that is named, and one at the end."""
        self.load(f"{HEADER}joe,east\n", "--json", "--verbose")
        change, report = self.printed()
        self.assertEqual(change, {"line": 2, "identifier": "joe", "from": None, "to": "east"})
        self.assertEqual((report["added"], report["left"]), (1, 0))

    def test_read_only(self) -> None:
        """A mapping that cannot be changed says what it is."""
        mapping = '[mapping]\nsource = "table"\n[mapping.table]\nname = "few"\n'
        status = self.load(f"{HEADER}joe,east\n", mapping=mapping, routing=STATIC)
        self.assertEqual(status, 78)
        self.assertIn("static is read-only", self.stderr)

    def test_failure(self) -> None:
        """A failure in the middle is 75, and what was done is told all the same."""

        async def write(entries: Any, changes: Any) -> None:
            if changes:
                raise LookupFailed("disk full")

        self.patch(FileMappingEntries, "write", write)
        self.assertEqual(self.load(f"{HEADER}joe,east\n"), 75)
        self.assertIn("added 0", self.stdout)
        self.assertIn("known to be written: nothing", self.stderr)
        self.assertIn("disk full", self.stderr)

    def test_progress(self) -> None:
        """A bar on a terminal only, and not among the names of accounts."""
        with importing._progress(1, False) as advance:
            advance(1)
        self.assertNotIn("rich.progress", vars(importing))
        drawn: list[str] = []

        class Terminal:
            """Standard error."""

            encoding = "utf-8"

            def isatty(self) -> bool:
                return True

            def write(self, text: str) -> int:
                drawn.append(text)
                return len(text)

            def flush(self) -> None:
                pass

        self.patch(sys, "stderr", Terminal())
        with importing._progress(2, True) as advance:
            advance(1)
        self.assertEqual(drawn, [])
        with importing._progress(2, False) as advance:
            advance(2)
        self.assertIn("2/2", "".join(drawn))
