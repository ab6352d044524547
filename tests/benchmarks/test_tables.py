"""The outcome as Markdown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.figures import Spread
from benchmarks.layout import SECTIONS
from benchmarks.results import Results, Sample
from benchmarks.tables import markdown, ratio_table, section_table, table, verdict


def results(*problems: str) -> Results:
    """Two rounds of IMAP logins with three peers."""
    figures = {"nginx": (100.0, 200.0), "mailroute": (80.0, 180.0), "dovecot": (200.0, 500.0)}
    samples = [
        Sample("login-imap", peer, number + 1, {"cpu_us": value}, list(problems))
        for peer, values in figures.items()
        for number, value in enumerate(values)
    ]
    return Results({"kernel": "6"}, {"nginx": "1.22; one worker"}, {"perdition": "gone"}, samples)


class TableTests(SynchronousTestCase):
    """Markdown that is legible in a terminal."""

    def test_even_columns(self) -> None:
        """Columns have one width; numbers stand to the right."""
        text = table(["", "a"], [["x", "1,000"], ["long", "2"]])
        self.assertEqual(
            text.splitlines(),
            ["|      |     a |", "| ---- | ----: |", "| x    | 1,000 |", "| long |     2 |"],
        )

    def test_verdict(self) -> None:
        """The median decides; a limit that is met exactly is met."""
        found = Spread(1.0, 0.5, 2.0, 3)
        self.assertEqual(verdict(found, 1.0), "reached")
        self.assertEqual(verdict(found, 0.99), "missed")
        self.assertEqual(verdict(found, None, at_least=1.0), "reached")
        self.assertEqual(verdict(found, None, at_least=1.1), "missed")
        self.assertEqual(verdict(found, None), "")
        self.assertEqual(verdict(None, 1.0), "")


class ReportTests(SynchronousTestCase):
    """Everything that has to be told is told."""

    def test_ratios(self) -> None:
        """Pair by pair, with target and verdict; scenarios without figures have no line."""
        head, _, *rows = ratio_table(results()).splitlines()
        self.assertEqual(head.split("|")[6].strip(), "dovecot")
        self.assertEqual(len(rows), 1)
        cells = [cell.strip() for cell in rows[0].split("|")[1:-1]]
        self.assertEqual(
            cells,
            [
                "IMAP login: CPU",
                "0.85 (0.80-0.90)",
                "at most 1.00",
                "0.80",
                "reached",
                "2.25 (2.00-2.50)",
            ],
        )

    def test_section(self) -> None:
        """Only peers and lines that have figures."""
        text = section_table(results(), SECTIONS[0])
        self.assertEqual(text.count("\n"), 2)
        self.assertIn("150 (100-200)", text)
        self.assertNotIn("haproxy", text)
        self.assertEqual(section_table(results(), SECTIONS[1]), "")

    def test_circumstances(self) -> None:
        """Machine, versions and what was left out are part of the report."""
        text = markdown(results())
        for words in ("- kernel: 6", "- nginx: 1.22", "- left out: perdition: gone", "2 rounds"):
            self.assertIn(words, text)
        self.assertIn("every octet was the right one", text)

    def test_problems(self) -> None:
        """Runs that do not count are named and leave no figures."""
        text = markdown(results("2 logins were lost"))
        self.assertIn("**not counted**: login-imap with nginx, round 1: 2 logins were lost", text)
        self.assertNotIn("every octet was the right one", text)
        self.assertNotIn("Ratios", text)
