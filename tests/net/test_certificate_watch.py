"""Renewed certificates are read by themselves."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.net.certificate_watch import LOOK_SECONDS, CertificateWatch


class _Certificates:
    """Counts how often they are read."""

    def __init__(self, *files: str) -> None:
        self.files = files
        self.reads = 0
        self.fault: Exception | None = None

    def reload(self) -> None:
        """Count, or fail."""
        self.reads += 1
        if self.fault is not None:
            raise self.fault


class CertificateWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.chain, self.key = os.path.join(folder, "chain"), os.path.join(folder, "key")
        self.write(self.chain, "old")
        self.write(self.key, "old")
        self.certificates = _Certificates(self.chain, self.key)
        self.clock = Clock()
        self.events: list[Any] = []
        log = Logger(namespace="test", observer=self.events.append)  # type: ignore[arg-type]
        self.watch = CertificateWatch(self.certificates, self.clock, log)
        self.watch.start()

    def write(self, path: str, text: str) -> None:
        """As certbot and others do: a new file in the place of the old one."""
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)

    def look(self, times: int = 1) -> None:
        """Let some looks be taken."""
        for _ in range(times):
            self.clock.advance(LOOK_SECONDS)

    def test_unchanged(self) -> None:
        """Files that stay as they are are not read again."""
        self.look(5)
        self.assertEqual((self.certificates.reads, self.events), (0, []))

    def test_changed(self) -> None:
        """A new certificate and its key are read once, when nobody writes them any more."""
        self.write(self.chain, "new")
        self.look()
        self.write(self.key, "new")
        self.look()
        self.assertEqual(self.certificates.reads, 0)
        self.look(5)
        self.assertEqual(self.certificates.reads, 1)
        self.assertIn("were read", self.events[0]["log_format"])

    def test_broken(self) -> None:
        """Broken ones are told of once, and read again when they change once more."""
        self.certificates.fault = Failure(FailureKind.INTERNAL, "no key")
        self.write(self.chain, "broken")
        self.look(5)
        self.assertEqual(self.certificates.reads, 1)
        self.assertEqual([event["reason"] for event in self.events], ["no key"])
        self.certificates.fault = None
        self.write(self.chain, "mended")
        self.look(5)
        self.assertEqual(self.certificates.reads, 2)

    def test_defect(self) -> None:
        """Whatever a reading raises, the next change is seen."""
        self.certificates.fault = RuntimeError("a defect of ours")
        self.write(self.chain, "broken")
        self.look()
        self.assertRaises(RuntimeError, self.look)
        self.certificates.fault = None
        self.write(self.chain, "mended")
        self.look(2)
        self.assertEqual(self.certificates.reads, 2)

    def test_gone(self) -> None:
        """A file that is away for a moment is a change like another."""
        os.unlink(self.key)
        self.look(2)
        self.assertEqual(self.certificates.reads, 1)

    def test_stopped(self) -> None:
        """It looks no more, and leaves no call behind."""
        self.write(self.chain, "new")
        self.watch.stop()
        self.look(3)
        self.assertEqual(self.certificates.reads, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
