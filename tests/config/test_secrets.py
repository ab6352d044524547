"""Secrets: read from anywhere, shown nowhere."""

from __future__ import annotations

import os
import shutil
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from mailroute.config.document import Surroundings
from mailroute.config.secrets import is_inline, secret


class SecretTests(SynchronousTestCase):
    """The four places of a secret."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name: str, octets: bytes) -> None:
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(octets)

    def value(self, raw: object, **environment: str) -> str:
        return secret(raw, Surroundings(self.folder, environment)).reveal()

    def fault(self, raw: object, **environment: str) -> str:
        return str(self.assertRaises(ValueError, self.value, raw, **environment))

    def test_inline(self) -> None:
        """A plain text is the secret itself."""
        self.assertEqual(self.value("s3cret"), "s3cret")
        self.assertTrue(is_inline("s3cret"))
        self.assertFalse(is_inline({"env": "X"}))

    def test_file(self) -> None:
        """One line end at the end is not part of it; other white space is."""
        for octets in (b" s3cret ", b" s3cret \n", b" s3cret \r\n"):
            self.write("secret", octets)
            self.assertEqual(self.value({"file": "secret"}), " s3cret ")

    def test_environment(self) -> None:
        """The variable is looked up in the environment that the reader was given."""
        self.assertEqual(self.value({"env": "DB"}, DB="s3cret"), "s3cret")
        self.assertIn("no environment variable DB", self.fault({"env": "DB"}))

    def test_credential(self) -> None:
        """systemd's folder of credentials, and nothing outside of it."""
        self.write("db", b"s3cret\n")
        value = self.value({"credential": "db"}, CREDENTIALS_DIRECTORY=self.folder)
        self.assertEqual(value, "s3cret")
        self.assertIn("not set", self.fault({"credential": "db"}))
        for name in ("../db", "a/b", "..", "/etc/passwd"):
            fault = self.fault({"credential": name}, CREDENTIALS_DIRECTORY=self.folder)
            self.assertIn("no slash", fault)

    def test_refused(self) -> None:
        """Anything else, empty secrets and NUL are refused."""
        self.write("empty", b"\n")
        bad: list[object] = ["", "a\0b", 1, [], {}, {"file": ""}, {"file": 1}, {"what": "x"}]
        for raw in bad:
            self.fault(raw)
        self.fault({"file": "x", "env": "y"})
        self.fault({"file": "empty"})
        self.fault({"file": "missing"})

    def test_no_fault_shows_the_secret(self) -> None:
        """Neither a complaint nor the chain of errors behind it holds the secret."""
        self.write("binary", b"s3cret\xff")
        self.write("long", b"s3cret" * 20000)
        for raw in ("s3cret\0", {"file": "binary"}, {"file": "long"}, {"s3cret": "x"}):
            error = self.assertRaises(ValueError, self.value, raw)
            self.assertNotIn("s3cret", str(error))
            # UnicodeDecodeError has all of the content as an attribute.
            self.assertIsNone(error.__cause__)
            self.assertTrue(error.__context__ is None or error.__suppress_context__)
