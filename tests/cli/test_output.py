"""What is printed for people and for programs."""

from __future__ import annotations

import io
import json
import sys

from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli.output import Output, visible


class OutputTests(SynchronousTestCase):
    """Results on standard output, the rest on standard error."""

    def setUp(self) -> None:
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.stdout)
        self.patch(sys, "stderr", self.stderr)

    def test_json(self) -> None:
        """One line of ASCII for each result, however many lines a value has."""
        Output(as_json=True).put({"name": "a\nb\x9b1m é"}, "for people")
        (line,) = self.stdout.getvalue().splitlines()
        self.assertTrue(line.isascii() and line.isprintable())
        self.assertEqual(json.loads(line), {"name": "a\nb\x9b1m é"})

    def test_people(self) -> None:
        """Text as it is: no markup, no folding, and nothing that steers a terminal."""
        text = "[bold]x[/bold] :smile: [::1]:143 " + "long " * 60 + "é\x1b[2J"
        Output(as_json=False).put({}, text)
        self.assertEqual(self.stdout.getvalue(), text.replace("\x1b", "\\x1b") + "\n")

    def test_cells(self) -> None:
        """A line for cut: tabs stand between cells alone."""
        Output(as_json=False).put({}, ("a\tb", "c\nd", 5))
        self.assertEqual(self.stdout.getvalue(), "a\\tb\tc\\nd\t5\n")

    def test_nothing_for_people(self) -> None:
        """Some results are for programs only."""
        Output(as_json=False).put({"a": 1})
        self.assertEqual(self.stdout.getvalue(), "")

    def test_grid(self) -> None:
        """Cells are neither cut, nor markup, nor able to steer."""
        output = Output(as_json=False)
        output.show(output.grid(["key", "value"], [["[red]", "x" * 300], ["\x1b[2J", 5]]))
        said = self.stdout.getvalue()
        for part in ("key", "[red]", "x" * 300, "\\x1b[2J", "5"):
            self.assertIn(part, said)
        self.assertNotIn("\x1b", said)

    def test_note(self) -> None:
        """Not among the results."""
        Output(as_json=True).note("half\x07 done")
        self.assertEqual(self.stdout.getvalue(), "")
        self.assertEqual(self.stderr.getvalue(), "mailroute: half\\x07 done\n")

    def test_visible(self) -> None:
        """Line ends stay; C0, C1, DEL, bidirectional controls and surrogates do not."""
        self.assertEqual(
            visible("a\n\x00\x7f\x9b\u202e\ud800é"), "a\n\\x00\\x7f\\x9b\\u202e\\ud800é"
        )
