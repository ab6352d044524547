"""The configurations of the guides for those who come from other proxies, over their own tables."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from tests.integration.console import SECONDS, mailroute
from tests.integration.daemon import listener, server
from tests.integration.proxy import front_certificate
from tests.test_docs import DOCS, blocks

# What is in the database that they have: the schema as it is with the other program.
NGINX = """
CREATE TABLE mailboxes (address VARCHAR(320) PRIMARY KEY, host VARCHAR(255), port INTEGER);
INSERT INTO mailboxes VALUES ('alice@example.org', '192.0.2.7', 1993);
"""
PERDITION = """
CREATE TABLE tblPerdition (user VARCHAR(128), servername VARCHAR(255), port VARCHAR(8));
INSERT INTO tblPerdition VALUES ('alice@example.org', 'one.internal.example.org', '1993');
INSERT INTO tblPerdition VALUES ('bob', 'two.internal.example.org', '');
INSERT INTO tblPerdition VALUES ('carol', '192.0.2.9:994', NULL);
"""
DOVECOT = """
CREATE TABLE users (userid VARCHAR(320) PRIMARY KEY, host VARCHAR(255));
INSERT INTO users VALUES ('alice@example.org', 'one.internal.example.org');
"""
STALWART = """
CREATE TABLE mailbox_routes (identifier VARCHAR(320) PRIMARY KEY, destination VARCHAR(64));
INSERT INTO mailbox_routes VALUES ('alice@example.org', 'east');
"""


class GuideTests(TestCase):
    """What ``mailroute explain`` finds; nothing is dialled."""

    timeout = 5 * SECONDS

    def setUp(self) -> None:
        """A folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-guide-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def configure(self, guide: str, tables: str) -> Path:
        """The guide's configuration, with a database of such tables."""
        with closing(sqlite3.connect(self.folder / "routes.db")) as database:
            database.executescript(tables)
        (self.folder / "url").write_text("sqlite:routes.db\n")
        (self.folder / "url").chmod(0o600)
        certificate = front_certificate()
        ((_, text),) = blocks(DOCS / "guides" / f"{guide}.md", "toml")
        text = text.replace("/etc/mailroute/database-url", "url")
        text = text.replace("/etc/mailroute/internal-ca.pem", str(certificate.cert))
        if "[listener." not in text:
            text += listener(10143)
        if "plain" not in text:
            text += f'[tls.certificate.main]\ncert = "{certificate.cert}"\n'
            text += f'key = "{certificate.key}"\n'
        path = self.folder / "mailroute.toml"
        path.write_text(server() + text)
        path.chmod(0o600)
        return path

    def route(self, path: Path, account: str) -> dict[str, Any]:
        """The last step."""
        more = {"MAILROUTE_CONFIG": str(path), "DATABASE_URL": "sqlite:routes.db"}
        ended = mailroute("--json", "explain", account, more=more)
        self.assertEqual(ended.status, 0, ended)
        step: dict[str, Any] = json.loads(ended.stdout)["steps"][-1]
        self.assertEqual(step["step"], "route", ended.stdout)
        return step

    def leads(self, step: dict[str, Any], host: str, port: int, name: str) -> None:
        """It is dialled there, and the certificate is for this name."""
        self.assertEqual((step["hosts"], step["port"]), ([host], port))
        self.assertEqual(re.findall(r"for ([\w.-]+),", step["certificate"]), [name])

    def test_nginx(self) -> None:
        """A row's address is dialled, the destination's name is what is trusted."""
        step = self.route(self.configure("nginx", NGINX), "Alice@example.org")
        self.leads(step, "192.0.2.7", 1993, "east.internal.example.org")

    def test_perdition(self) -> None:
        """Its own table: with a port, with an empty one, and with one in the name."""
        path = self.configure("perdition", PERDITION)
        name = "mail.internal.example.org"
        for account, host, port in (
            ("alice@example.org", "one.internal.example.org", 1993),
            ("bob", "two.internal.example.org", 993),
            ("carol", "192.0.2.9", 994),
        ):
            self.leads(self.route(path, account), host, port, name)

    def test_dovecot(self) -> None:
        """Each host's certificate is for its own name."""
        step = self.route(self.configure("dovecot", DOVECOT), "alice@example.org")
        self.leads(step, "one.internal.example.org", 993, "one.internal.example.org")

    def test_stalwart(self) -> None:
        """A name of a destination."""
        step = self.route(self.configure("stalwart", STALWART), "alice@example.org")
        self.leads(step, "east.internal.example.org", 993, "east.internal.example.org")
