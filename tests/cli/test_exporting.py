"""``mailroute export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mailroute.errors import LookupFailed
from mailroute.tables.mapping_store import MappingStore
from tests.cli.calling import CallingCase


class ExportingTests(CallingCase):
    """From a mapping that is a file."""

    def export(self, *arguments: str) -> int:
        """Call it."""
        return self.call("--config", self.configure(), "export", *arguments)

    def test_export(self) -> None:
        """Sorted, as import reads it."""
        self.write("routes", "joe east\n# c\namy east\nö,x east\n")
        self.assertEqual(self.export(), 0)
        wanted = 'identifier,destination\r\namy,east\r\njoe,east\r\n"ö,x",east\r\n'
        self.assertEqual(self.stdout, wanted)
        self.write("routes", "old east\n")
        status = self.call("--config", self.configure(), "import", "-", stdin=wanted)
        self.assertEqual(status, 0)
        lines = Path(self.folder, "routes").read_text().splitlines()
        self.assertEqual(lines, ["old east", "amy\teast", "joe\teast", "ö,x\teast"])

    def test_json(self) -> None:
        """An object for each account."""
        self.assertEqual(self.export("--json"), 0)
        self.assertEqual(self.printed(), [{"identifier": "alice", "destination": "east"}])

    def test_homeless(self) -> None:
        """What could not be imported again is left out, and told."""

        async def rows(store: Any) -> Any:
            return [("joe", ""), ("amy", " east ")]

        self.patch(MappingStore, "list", rows)
        self.assertEqual(self.export(), 0)
        self.assertEqual(self.stdout, "identifier,destination\r\namy,east\r\n")
        self.assertIn("left out: 1 without a destination", self.stderr)

    def test_failure(self) -> None:
        """Nothing is printed of a mapping that cannot be listed now."""

        async def fail(store: Any) -> Any:
            raise LookupFailed("away")

        self.patch(MappingStore, "list", fail)
        self.assertEqual((self.export(), self.stdout), (75, ""))

    def test_read_only(self) -> None:
        """A mapping without the statement says which."""
        sql = '[mapping]\nsource = "sql"\n[mapping.sql]\nurl = "sqlite:r.db"\nquery = "SELECT $1"\n'
        path = self.configure(mapping=sql)
        self.assertEqual(self.call("--config", path, "export"), 78)
        self.assertIn("mapping.sql.list_query is not configured", self.stderr)
