"""A folder with a configuration file, and what the reader says of it."""

from __future__ import annotations

import os
import shutil
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from mailroute.config.model import Configuration
from mailroute.config.reader import read
from mailroute.errors import ConfigurationError

SECTIONS = {
    "server": '[server]\nhostname = "mail.example.org"\n',
    "listener": '[listener.imap]\nprotocol = "imap"\nbind = ["127.0.0.1:143"]\ntls = "starttls"\n',
    "destination": (
        '[destination.east]\nhost = "east.example.org"\n'
        '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'
    ),
    "routing": "[routing]\n",
    "mapping": (
        '[mapping]\nsource = "sql"\n[mapping.sql]\nurl = "sqlite:routes.db"\n'
        'query = "SELECT destination FROM routes WHERE identifier = $1"\n'
    ),
    "tls": '[tls.certificate.main]\ncert = "chain.pem"\nkey = "key.pem"\n',
    "capabilities": "",
}
"""A configuration without complaints or warnings, by section."""


def configuration(**sections: str) -> str:
    """Return a good configuration in which some sections are replaced."""
    return "".join({**SECTIONS, **sections}.values())


class ConfigurationCase(SynchronousTestCase):
    """A test with a folder that holds what the good configuration names."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="mailroute-config-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.write("chain.pem", "chain")
        self.write("key.pem", "key")

    def write(self, name: str, content: str) -> str:
        """Write a file in the configuration's folder; return its path."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        return path

    def read(self, text: str, **environment: str) -> Configuration:
        """Read ``text`` as a configuration file."""
        path = self.write("mailroute.toml", text)
        os.chmod(path, 0o640)
        return read(path, environment=environment)

    def read_sections(self, **sections: str) -> Configuration:
        """Read the good configuration with some sections replaced."""
        return self.read(configuration(**sections))

    def complaints(self, text: str, **environment: str) -> list[str]:
        """Return what is said against ``text``, without the file's name."""
        error = self.assertRaises(ConfigurationError, self.read, text, **environment)
        prefix = os.path.join(self.folder, "mailroute.toml") + ":"
        for complaint in error.complaints:
            self.assertTrue(complaint.startswith(prefix), complaint)
        return [complaint.removeprefix(prefix) for complaint in error.complaints]

    def complains(self, key: str, *parts: str, **sections: str) -> None:
        """There is one complaint, about ``key``, that contains each of ``parts``."""
        found = self.complaints(configuration(**sections))
        self.assertEqual(len(found), 1, found)
        self.assertIn(f" {key}: ", found[0])
        for part in parts:
            self.assertIn(part, found[0])

    def warns(self, key: str, *parts: str, **sections: str) -> None:
        """There is one warning, about ``key``, that contains each of ``parts``."""
        found = self.read_sections(**sections).warnings
        self.assertEqual(len(found), 1, found)
        self.assertIn(f" {key}: ", found[0])
        for part in parts:
            self.assertIn(part, found[0])
