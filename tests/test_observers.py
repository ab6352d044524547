"""The log's output: one line an event in both formats, filtered by level, reopened when moved."""

from __future__ import annotations

import json
import os
from pathlib import Path

from twisted.logger import Logger
from twisted.python.failure import Failure as Caught
from twisted.trial.unittest import SynchronousTestCase

from mailroute.observers import LOG_MODE, InheritedOutput, Output, as_json, as_text, observer


class FormatTests(SynchronousTestCase):
    """Events as lines."""

    def setUp(self) -> None:
        self.text: list[str] = []
        self.json: list[str] = []
        self.log = Logger(namespace="test", observer=self.take)  # type: ignore[arg-type]

    def take(self, event: dict[str, object]) -> None:
        """Format an event both ways."""
        self.text.append(as_text(event) or "")
        self.json.append(as_json(event) or "")

    def test_message(self) -> None:
        """Time in UTC, level and words; the namespace is nobody's concern."""
        self.log.warn("{what} is gone", what="it")
        self.assertRegex(self.text[0], r"\A\d{4}-\d\d-\d\dT[\d:.]{12}\+00:00 warn it is gone\n\Z")
        record = json.loads(self.json[0])
        self.assertRegex(record.pop("time"), r"\+00:00\Z")
        self.assertEqual(record, {"level": "warn", "event": "message", "text": "it is gone"})

    def test_fields(self) -> None:
        """The journal's fields are the JSON object's own; its line is the text."""
        fields = {"user": "a", "seconds": 0.5}
        self.log.info("{line}", line="session: user=a", event="session", fields=fields)
        self.assertTrue(self.text[0].endswith(" info session: user=a\n"))
        record = json.loads(self.json[0])
        del record["time"]
        self.assertEqual(record, {"level": "info", "event": "session", **fields})

    def test_traceback(self) -> None:
        """A defect's traceback is in both, in JSON inside the one line, without local values."""
        local = "x" * 20
        try:
            raise RuntimeError(f"a defect of length {len(local)}")
        except RuntimeError:
            self.log.failure("it broke", failure=Caught(captureVars=True))
        self.assertIn("RuntimeError: a defect", self.text[0])
        self.assertIn("RuntimeError: a defect", json.loads(self.json[0])["text"])
        self.assertEqual(self.json[0].count("\n"), 1)
        self.assertNotIn(local, self.text[0] + self.json[0])

    def test_nothing_to_say(self) -> None:
        """An event without words makes no line."""
        self.log.info("")
        self.assertEqual((self.text, self.json), ([""], [""]))


class OutputTests(SynchronousTestCase):
    """Files."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.output = Output(str(self.path))
        self.addCleanup(lambda: self.output.stream().close())
        receiver = observer(self.output, "info", "text")
        self.log = Logger(namespace="test", observer=receiver)

    def test_level(self) -> None:
        """What is below the level is not written."""
        self.log.debug("too much")
        self.log.info("enough")
        self.assertRegex(self.path.read_text(), r"\A\S+ info enough\n\Z")

    def test_several_writers(self) -> None:
        """Processes that write to one file do not overwrite each other's lines."""
        other = Output(str(self.path))
        self.addCleanup(lambda: other.stream().close())
        another = Logger(namespace="test", observer=observer(other, "info", "text"))
        for number in range(3):
            self.log.info("mine {number}", number=number)
            another.info("theirs {number}", number=number)
        lines = [line.split()[2:] for line in self.path.read_text().splitlines()]
        expected = [[who, str(n)] for n in range(3) for who in ("mine", "theirs")]
        self.assertEqual(lines, expected)

    def test_inherited(self) -> None:
        """A process that could not open the file writes to it, and to the next one."""
        first, second = self.output.descriptor, os.open(f"{self.path}.2", os.O_CREAT | os.O_WRONLY)
        assert first is not None
        inherited = InheritedOutput(os.dup(first))
        self.addCleanup(lambda: inherited.stream().close())
        log = Logger(namespace="test", observer=observer(inherited, "info", "text"))
        log.info("one")
        inherited.adopt(second)
        os.close(second)
        log.info("two")
        self.assertTrue(self.path.read_text().endswith(" one\n"))
        self.assertTrue(Path(f"{self.path}.2").read_text().endswith(" two\n"))
        self.assertIsNone(Output(None).descriptor)

    def test_full_disk(self) -> None:
        """Where the old file takes no more, the next one is taken all the same."""
        inherited = InheritedOutput(os.open("/dev/full", os.O_WRONLY))
        self.addCleanup(lambda: inherited.stream().close())
        write = observer(inherited, "info", "text")
        log = Logger(namespace="test", observer=write)
        self.assertRaises(OSError, log.info, "lost or late")
        assert self.output.descriptor is not None
        inherited.adopt(self.output.descriptor)
        log.info("here again")
        self.assertTrue(self.path.read_text().endswith(" here again\n"))

    def test_mode(self) -> None:
        """The file names users: others may not read it."""
        self.assertEqual(self.path.stat().st_mode & 0o777, LOG_MODE)

    def test_reopened(self) -> None:
        """After the file was moved away the lines go to a new one, with the same mode."""
        self.log.info("first")
        old = self.path.rename(self.path.with_suffix(".1"))
        self.log.info("second")
        self.output.reopen()
        self.log.info("third")
        self.assertEqual([line.split()[-1] for line in old.open()], ["first", "second"])
        self.assertEqual([line.split()[-1] for line in self.path.open()], ["third"])
        self.assertEqual(self.path.stat().st_mode & 0o777, LOG_MODE)

    def test_in_place(self) -> None:
        """A file that is still there is not opened again: its folder may be out of reach now."""
        self.patch(os, "open", lambda *_: self.fail("opened"))
        self.output.reopen()
        self.log.info("on")
        self.assertIn("on", self.path.read_text())

    def test_no_new_file(self) -> None:
        """Where no new file can be had the old one goes on."""
        old = self.path.rename(self.path.with_suffix(".1"))
        self.path.mkdir()
        self.assertRaises(OSError, self.output.reopen)
        self.log.info("on")
        self.assertIn("on", old.read_text())

    def test_standard_output(self) -> None:
        """There is nothing to reopen."""
        for path in ("-", None):
            Output(path).reopen()
