"""``twistd mailroute``: complaints with their places and status 78, before anything is served."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from twisted.logger import Logger

from mailroute import tap
from mailroute.service import MailrouteService
from mailroute.tap import EX_CONFIG, Options, chosen_observer, makeService
from tests.config.reading import ConfigurationCase, configuration

MAPPING = '[mapping]\nsource = "file"\n[mapping.file]\npath = "routes"\n'


class TapCase(ConfigurationCase):
    """A folder with everything that a good configuration names."""

    def setUp(self) -> None:
        super().setUp()
        self.stderr = io.StringIO()
        self.patch(sys, "stderr", self.stderr)
        self.write("routes", "alice east\n")

    def configure(self, **sections: str) -> str:
        """Write a configuration without TLS in front; returns its path."""
        listener = (
            '[listener.imap]\nprotocol = "imap"\nbind = ["127.0.0.1:143"]\ntls = "plain"\n'
            "[capabilities.imap]\nallow_plain_auth_without_tls = true\n"
        )
        sections = {"mapping": MAPPING, "listener": listener, "tls": "", **sections}
        path = self.write("mailroute.toml", configuration(**sections))
        os.chmod(path, 0o640)
        return path

    def options(self, path: str, parent: dict[str, Any] | None = None) -> Options:
        """Parse as twistd does."""
        options = Options()
        options.parent = parent  # type: ignore[assignment]
        options.parseOptions(["--config", path])
        return options

    def exits(self, *parts: str, path: str) -> str:
        """The process ends with status 78 and all of these words on stderr."""
        with self.assertRaises(SystemExit) as caught:
            makeService(self.options(path))
        self.assertEqual((caught.exception.code, EX_CONFIG), (78, 78))
        said = self.stderr.getvalue()
        for part in parts:
            self.assertIn(part, said)
        return said


class ComplaintTests(TapCase):
    """What is never served."""

    def test_all_at_once(self) -> None:
        """Every complaint on a line of its own, behind the file's name and their number."""
        path = self.configure(server='[server]\nhostnam = "x"\nshutdown_grace = "soon"\n')
        said = self.exits("server.hostnam", "server.shutdown_grace", path=path)
        self.assertTrue(said.startswith(f"mailroute: {path}: 2 complaints:\n  "), said)
        self.assertEqual(len(said.splitlines()), 3)

    def test_one(self) -> None:
        """One is no plural."""
        said = self.exits("server.hostnam", path=self.configure(server='[server]\nhostnam = "x"\n'))
        self.assertIn(": 1 complaint:\n", said)

    def test_no_file(self) -> None:
        """A file that is not there."""
        path = os.path.join(self.folder, "nowhere.toml")
        self.exits(path, "1 complaint:", path=path)

    def test_mapping(self) -> None:
        """The mapping file's destinations are validated at the start."""
        self.write("routes", "alice nowhere\nbob elsewhere\n")
        said = self.exits("'nowhere'", "'elsewhere'", path=self.configure())
        self.assertIn("2 complaints:", said)

    def test_query(self) -> None:
        """A query that the database refuses."""
        url = f"sqlite://{self.folder}/routes.db"
        mapping = f'[mapping]\nsource = "sql"\n[mapping.sql]\nurl = "{url}"\n'
        mapping += 'query = "SELEKT destination WHERE x = $1"\n'
        self.write("routes.db", "")
        self.exits(
            "mapping.sql.query: the database refuses the query",
            path=self.configure(mapping=mapping),
        )

    def test_trust(self) -> None:
        """A file by which backends are to be trusted."""
        destination = (
            '[destination.east]\nhost = "east.example.org"\ntls_ca_file = "chain.pem"\n'
            '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'
        )
        said = self.exits(path=self.configure(destination=destination))
        self.assertIn("destination.east: ", said)
        self.assertIn("chain.pem: holds no PEM certificates", said)


class ServiceTests(TapCase):
    """What is served."""

    def test_made(self) -> None:
        """A service, and not a word."""
        service = makeService(self.options(self.configure()))
        self.assertIsInstance(service, MailrouteService)
        self.assertEqual(self.stderr.getvalue(), self.told(service))

    def test_warnings(self) -> None:
        """Warnings do not keep it from serving, and are seen."""
        path = self.configure(server='[server]\nbridge_idle = "1m"\n')
        makeService(self.options(path))
        self.assertIn("mailroute: warning: ", self.stderr.getvalue())
        self.assertIn("bridge_idle", self.stderr.getvalue())

    def test_relative_path(self) -> None:
        """A relative path is one of the folder in which twistd was called."""
        path = self.configure()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        options = self.options("mailroute.toml")
        os.chdir("/")
        self.assertEqual(options["config"], os.path.realpath(path))
        self.assertIsInstance(makeService(options), MailrouteService)

    def test_options_without_reading(self) -> None:
        """Options that somebody else has made have only the path."""
        self.assertIsInstance(makeService({"config": self.configure()}), MailrouteService)

    def told(self, service: MailrouteService) -> str:
        warnings = service.check()
        return "".join(f"mailroute: warning: {warning}\n" for warning in warnings)


class LogTests(TapCase):
    """The log's output is chosen by the configuration, unless twistd was told something else."""

    def chosen(self, server: str = "", **parent: Any) -> dict[str, Any]:
        options = {"logger": None, "syslog": 0, "nodaemon": 0, "logfile": None, **parent}
        self.options(self.configure(server=f"[server]\n{server}"), options)
        return options

    def test_ours(self) -> None:
        """twistd is given the name of the factory, which writes as configured."""
        path = os.path.join(self.folder, "mailroute.log")
        parent = self.chosen('log_format = "json"\nlog_level = "warn"\n', logfile=path)
        self.assertEqual(parent["logger"], f"{tap.__name__}.{chosen_observer.__name__}")
        log = Logger(namespace="test", observer=chosen_observer())
        self.addCleanup(tap._outputs.clear)
        log.info("not this")
        log.warn("but this")
        with open(path, encoding="utf-8") as file:
            (line,) = file.readlines()
        self.assertIn('"text": "but this"', line)

    def test_nodaemon(self) -> None:
        """In the foreground it is standard output."""
        self.chosen(nodaemon=1)
        self.assertEqual(tap._log_choice[-1][0], "-")

    def test_daemon(self) -> None:
        """In the background it is twistd's own file."""
        self.chosen()
        self.assertEqual(tap._log_choice[-1][0], "twistd.log")

    def test_told_otherwise(self) -> None:
        """A logger or syslog that was asked for stays."""
        self.assertEqual(self.chosen(logger="some.thing")["logger"], "some.thing")
        self.assertIsNone(self.chosen(syslog=1)["logger"])

    def test_reopened(self) -> None:
        """The service reopens what was chosen."""
        path = os.path.join(self.folder, "mailroute.log")
        self.chosen(logfile=path)
        self.addCleanup(tap._outputs.clear)
        log = Logger(namespace="test", observer=chosen_observer())
        os.rename(path, path + ".1")
        makeService(self.options(self.configure())).reopen_log()
        log.info("here")
        with open(path, encoding="utf-8") as file:
            self.assertIn("here", file.read())
