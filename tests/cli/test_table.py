"""Asking and changing tables from the command line."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mailroute.cli import opened
from mailroute.cli.completion import VARIABLE
from mailroute.cli.main import mailroute
from mailroute.cli.table import command, complete_names
from mailroute.errors import LookupFailed
from mailroute.tables.static import StaticTable
from tests.cli.calling import CallingCase

TABLES = """
[table.homes]
type = "static"
entries = [["joe", "east", "west"], ["odd", "\\u202e[red]"], ["empty", ""]]
"""


class TableTests(CallingCase):
    """The mapping is a file here."""

    def table(self, *arguments: str, as_json: bool = False) -> int:
        """Call the command."""
        path = self.configure(capabilities=TABLES)
        return self.call(*["--json"][:as_json], "--config", path, "table", *arguments)

    @property
    def routes(self) -> str:
        """The mapping's file."""
        return Path(self.folder, "routes").read_text()

    def test_get(self) -> None:
        """Each value on a line; several keys are told apart; absent is 1."""
        self.assertEqual(self.table("homes", "get", "joe"), 0)
        self.assertEqual(self.stdout, "east\nwest\n")
        self.assertEqual(self.table("homes", "get", "joe", "amy", "empty"), 1)
        self.assertEqual(self.stdout, "joe\teast\twest\nempty\t\n")
        self.assertEqual(self.stderr, "mailroute: amy: absent\n")

    def test_json(self) -> None:
        """One object for each key."""
        self.assertEqual(self.table("homes", "get", "joe", "amy", as_json=True), 1)
        wanted = [{"key": "joe", "values": ["east", "west"]}, {"key": "amy", "values": None}]
        self.assertEqual(self.printed(), wanted)
        self.assertEqual(self.table("mapping", "list", as_json=True), 0)
        self.assertEqual(self.printed(), [{"key": "alice", "values": ["east"]}])
        self.assertEqual(self.table("mapping", "delete", "alice", as_json=True), 0)
        self.assertEqual(self.printed(), [{"key": "alice", "deleted": True}])

    def test_list(self) -> None:
        """Every entry; nothing in it steers a terminal."""
        self.assertEqual(self.table("homes", "list"), 0)
        self.assertEqual(self.stdout, "joe\teast\twest\nodd\t\\u202e[red]\nempty\t\n")

    def test_mapping(self) -> None:
        """Set, get, delete."""
        self.assertEqual(self.table("mapping", "set", "joe", "east"), 0)
        self.assertEqual((self.stdout, self.stderr), ("", ""))
        self.assertEqual(self.routes, "alice east\njoe\teast\n")
        self.assertEqual(self.table("mapping", "get", "joe"), 0)
        self.assertEqual(self.stdout, "east\n")
        self.assertEqual(self.table("mapping", "delete", "joe", "amy"), 1)
        self.assertEqual(self.stderr, "mailroute: amy: absent\n")
        self.assertEqual(self.routes, "alice east\n")

    def test_undeclared(self) -> None:
        """A destination that nobody declared is refused."""
        self.assertEqual(self.table("mapping", "set", "joe", "north"), 1)
        self.assertIn("there is no destination 'north'", self.stderr)
        self.assertEqual(self.routes, "alice east\n")

    def test_options_are_keys(self) -> None:
        """A key may begin with a dash."""
        self.assertEqual(self.table("mapping", "set", "-joe", "east"), 0)
        self.assertEqual(self.routes, "alice east\n-joe\teast\n")
        self.assertEqual(self.table("mapping", "get", "-joe", "-hugh"), 1)
        self.assertEqual((self.stdout, self.stderr), ("-joe\teast\n", "mailroute: -hugh: absent\n"))

    def test_read_only(self) -> None:
        """What a table lacks is named, and is the configuration's fault."""
        self.assertEqual(self.table("homes", "set", "joe", "east"), 78)
        self.assertIn("a table of type static is read-only: it cannot set", self.stderr)

    def test_unknown(self) -> None:
        """A table that is not there."""
        self.assertEqual(self.table("home", "get", "joe"), 78)
        self.assertIn("there is no [table.home]; what there is: mapping, homes", self.stderr)

    def test_failed(self) -> None:
        """Failed is not absent."""

        async def fail(self: StaticTable, key: str) -> None:
            raise LookupFailed("out of order")

        self.patch(StaticTable, "get", fail)
        self.assertEqual(self.table("homes", "get", "joe"), 75)
        self.assertIn("out of order", self.stderr)

    def test_completion(self) -> None:
        """Names of tables are completed, from the configuration as far as it can be read."""
        path = self.configure(capabilities=TABLES)
        for config, words, wanted in (
            (path, "h", ["plain,homes"]),
            (path, "", ["plain,mapping", "plain,homes"]),
            ("/nowhere", "", ["plain,mapping"]),
            (self.write("broken.toml", "["), "m", ["plain,mapping"]),
            (self.write("odd.toml", "table = 7"), "m", ["plain,mapping"]),
        ):
            line = f"mailroute --config {config} table {words}"
            asked = {VARIABLE: "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "4"}
            self.patch(os, "environ", {**os.environ, **asked})
            self.assertEqual(self.call(), 0)
            self.assertEqual(self.stdout.split(), wanted)
        del asked[VARIABLE]
        self.patch(os, "environ", {**asked, "MAILROUTE_CONFIG": path})
        context = click.Context(command, parent=click.Context(mailroute))
        self.assertEqual(complete_names(context, command.params[0], "ho"), ["homes"])

    def test_usage(self) -> None:
        """Too few words, too many, and an action that there is not."""
        self.patch(opened, "opened_table", None)
        for words in (["get"], ["delete"], ["set", "k"], ["list", "k"], ["move", "k"], []):
            self.assertEqual(self.table("homes", *words), 2, words)
