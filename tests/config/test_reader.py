"""The file as a whole."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from mailroute.config.positions import lines_of_keys
from mailroute.config.reader import SECTIONS as DESCRIBED
from mailroute.config.reader import read
from mailroute.config.schema import REQUIRED
from mailroute.errors import ConfigurationError
from tests.config.reading import SECTIONS, ConfigurationCase, configuration

SAMPLE = Path(__file__).parents[2] / "etc" / "mailroute.toml"

MIGRATION = """
[server]
threads = 0
hostname = "proxy.example.com"
shutdown_grace = "30s"
log_level = "info"
[tls.certificate.default]
cert = "chain.pem"
key = "key.pem"
default = true
[tls.protocols]
min_version = "1.2"
[routing]
default_destination = "legacy"
[mapping]
source = "sql"
normalize = "lowercase"
negative_ttl = "30s"
positive_ttl = "10m"
[mapping.sql]
url = "postgres://proxy:[email protected]/maildb"
query = "SELECT destination FROM mailbox_routes WHERE identifier = $1"
pool_size = 16
[destination.legacy]
host = "10.0.1.10"
tls_server_name = "mail.legacy.example.com"
forwarded = true
[destination.legacy.protocol.imap]
port = 993
tls = "implicit"
[destination.legacy.protocol.pop3]
port = 995
tls = "implicit"
[destination.legacy.protocol.submission]
port = 587
tls = "starttls"
[destination.legacy.protocol.http]
port = 443
tls = "implicit"
[listener.imap]
protocol = "imap"
bind = ["0.0.0.0:993", "[::]:993"]
tls = "implicit"
[listener.pop3-starttls]
protocol = "pop3"
bind = ["0.0.0.0:110", "[::]:110"]
tls = "starttls"
[listener.submission]
protocol = "submission"
bind = ["0.0.0.0:587", "[::]:587"]
tls = "starttls"
[listener.https]
protocol = "http"
bind = ["0.0.0.0:443", "[::]:443"]
tls = "implicit"
forwarded = "off"
[[http.route]]
match = "/.well-known/**"
destination = "legacy"
[[http.route]]
match = "/**"
extract = { from = "authorization" }
"""


class ReaderTests(ConfigurationCase):
    """One reading, one answer."""

    def test_good_file(self) -> None:
        """A configuration without faults has nothing to say."""
        self.assertEqual(self.read(configuration()).warnings, ())

    def test_every_complaint_at_once(self) -> None:
        """Faults of all sections come together, with their lines, in the file's order."""
        text = configuration(
            server='[server]\nlog_levl = "info"\nbridge_idle = "soon"\n',
            routing='[routing]\ndefault_destination = "nowhere"\n',
            tls="",
        )
        lines = text.splitlines()
        found = self.complaints(text + "[listner.x]\n")
        expected = [
            (2, "server.log_levl: unknown key; did you mean server.log_level?"),
            (3, "server.bridge_idle: must be a duration"),
            (lines.index('tls = "starttls"') + 1, "listener.imap.tls: starttls needs"),
            (lines.index('default_destination = "nowhere"') + 1, "routing.default_destination: "),
            (len(lines) + 1, "listner: unknown key; did you mean listener?"),
        ]
        self.assertEqual(len(found), len(expected), found)
        for complaint, (line, beginning) in zip(found, expected, strict=True):
            self.assertTrue(complaint.startswith(f"{line}: {beginning}"), complaint)

    def test_complaints_name_the_file(self) -> None:
        """The file's absolute path stands before the line."""
        path = self.write("broken.toml", "[server]\nx = 1\n")
        error = self.assertRaises(ConfigurationError, read, os.path.relpath(path), environment={})
        self.assertIn(f"{path}:2: server.x: unknown key", error.complaints)

    def test_unreadable(self) -> None:
        """Missing, a folder, no TOML, no UTF-8: each with the file, and the line if any."""
        with open(os.path.join(self.folder, "latin"), "wb") as file:
            file.write(b"# one\n# two \xe9\n")
        self.write("broken", '[server]\nhostname = "s3cret\n')
        for name, parts in (
            ("missing", ["No such file"]),
            (".", ["Is a directory"]),
            ("latin", [":2: ", "not UTF-8"]),
            ("broken", ["not valid TOML", "line 2"]),
        ):
            path = os.path.normpath(os.path.join(self.folder, name))
            error = self.assertRaises(ConfigurationError, read, path, environment={})
            self.assertEqual(len(error.complaints), 1)
            for part in [path, *parts]:
                self.assertIn(part, error.complaints[0])
            self.assertNotIn("s3cret", error.complaints[0])

    def test_sections_that_are_no_tables(self) -> None:
        """Nothing at the top level can make the reader stumble."""
        names = ("server", "listener", "destination", "routing", "mapping", "tls", "capabilities")
        for name in names:
            for value in ("1", "[]", '"x"', "{ x = 1 }", "[{ x = 1 }]"):
                rest = "".join(text for section, text in SECTIONS.items() if section != name)
                found = self.complaints(f"{name} = {value}\n{rest}")
                self.assertTrue(any(f" {name}" in complaint for complaint in found), found)

    def test_sections_to_come(self) -> None:
        """Empty they are accepted; with anything in them they are not."""
        for name in ("limits", "admin", "serve"):
            self.read(configuration(capabilities=f"[{name}]\n"))
            self.complains(name, "not supported yet", capabilities=f"[{name}.x]\ny = 1\n")

    def test_oauth(self) -> None:
        """The claim of a token that names the account; left out, none does."""
        self.assertIsNone(self.read(configuration()).jwt_username_claim)
        found = self.read(configuration(capabilities='[oauth]\njwt_username_claim = "email"\n'))
        self.assertEqual(found.jwt_username_claim, "email")
        for text in ('jwt_username_claim = ""', "jwt_username_claim = 1", "claim = 'x'"):
            self.complains(f"oauth.{text.split()[0]}", capabilities=f"[oauth]\n{text}\n")

    def test_migration_proxy_sample(self) -> None:
        """The published style of the Stalwart migration proxy is accepted as it is."""
        found = self.read(MIGRATION)
        self.assertEqual(
            sorted(found.destinations["legacy"].endpoints), ["imap", "pop3", "submission"]
        )
        self.assertEqual([x.name for x in found.listeners], ["imap", "pop3-starttls", "submission"])
        self.assertEqual(found.routing.not_found, "default")
        self.assertEqual(
            [warning.partition("ignored: ")[2] for warning in found.warnings],
            [
                "http, listener.https, destination.legacy.forwarded, "
                "destination.legacy.protocol.http"
            ],
        )


ODD_VALUES = (
    "0",
    "-1",
    "1.5",
    "nan",
    "true",
    '""',
    '"\\u0000"',
    "[]",
    "[[]]",
    "[{}]",
    "{}",
    "{ a = {} }",
    "1979-05-27",
    "07:32:00",
    "[1, 'a']",
    "'x'",
    "{ file = 1 }",
    "9223372036854775807",
)


class OddValueTests(ConfigurationCase):
    """No value of any kind, anywhere, makes the reader fail in another way than by complaints."""

    def test_every_key(self) -> None:
        """Each line of a good file is given each odd value in turn."""
        lines = MIGRATION.splitlines()
        for number, line in enumerate(lines):
            name, sign, _ = line.partition(" = ")
            for value in ODD_VALUES if sign else ():
                changed = [*lines[:number], f"{name} = {value}", *lines[number + 1 :]]
                try:
                    self.read("\n".join(changed))
                except ConfigurationError as error:
                    self.assertTrue(error.complaints, changed[number])
                    for complaint in error.complaints:
                        self.assertTrue(complaint.isprintable(), complaint)


class SampleTests(ConfigurationCase):
    """The tables of keys are fit to be printed, and the sample cannot drift from them."""

    def setUp(self) -> None:
        super().setUp()
        self.lines = SAMPLE.read_text("utf-8").splitlines()
        # A "#" directly before a key or table: what could stand there.
        self.whole = "\n".join(re.sub(r"\A#(?=[a-z\[])", "", line) for line in self.lines)

    def here(self, text: str) -> str:
        """Point the sample's files at the test's folder."""
        for folder in ("/etc/mailroute/tls/", "/var/lib/mailroute/"):
            self.assertIn(folder, text)
            text = text.replace(folder, "")
        for file in ("fullchain.pem", "privkey.pem", "ca.pem", "client.pem", "client.key",
                     "clients.pem"):  # fmt: skip
            self.write(file, "")
        self.write("routes", "")
        return text

    def test_documented(self) -> None:
        """Every section and key has a line of documentation that ends as a sentence."""
        for section in DESCRIBED:
            for text in (section.doc, *(key.doc for key in section.keys)):
                self.assertRegex(text, r"\A[^\n]+\.\Z")

    def test_sample(self) -> None:
        """The sample is accepted as it is delivered, once its files are there."""
        self.assertEqual(self.read(self.here("\n".join(self.lines))).warnings, ())

    def test_sample_with_everything(self) -> None:
        """It is accepted, too, when every key and table that it mentions is switched on."""
        found = self.read(self.here(self.whole).replace('= "mailroute"', '= "root"'))
        self.assertIn("listener.imaps.client_ca: no use without EXTERNAL", found.warnings[0])
        for warning, idle in zip(found.warnings[1:], ("file", "redis", "table"), strict=True):
            self.assertIn(f"mapping.{idle}: not used", warning)

    def test_sample_is_complete(self) -> None:
        """It shows every key that is built and no other, and a commented one with its default."""
        lines = lines_of_keys(self.whole)
        tree = tomllib.loads(self.whole)
        for section in DESCRIBED:
            pattern = section.path.split(".")
            for key in section.keys:
                shown = [p for p in lines if p[-1] == key.name and matches(p[:-1], pattern)]
                self.assertEqual(bool(shown), key.built, f"{section.path}.{key.name}")
                for path in shown:
                    commented = self.lines[lines[path] - 1].startswith("#")
                    if commented and key.default is not None and key.default is not REQUIRED:
                        self.assertEqual(value_at(tree, path), key.default, path)


def matches(path: tuple[str, ...], pattern: list[str]) -> bool:
    """Whether a table's path is one of a section's, where ``*`` is any name."""
    return len(path) == len(pattern) and all(
        expected in ("*", part) for part, expected in zip(path, pattern, strict=True)
    )


def value_at(tree: Any, path: tuple[str, ...]) -> object:
    """The value at a path of the parsed file."""
    for part in path:
        tree = tree[part]
    return tree
