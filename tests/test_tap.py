"""``twistd mailroute``: complaints with their places and status 78, before anything is served."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from typing import Any

from twisted.internet import reactor
from twisted.logger import Logger

from mailroute import collector, tap
from mailroute.announced import AnnouncedService
from mailroute.errors import CannotListen
from mailroute.service import MailrouteService
from mailroute.supervision import NodeService
from mailroute.systemd import ServiceManager
from mailroute.tap import EX_CONFIG, Options, chosen_observer, makeService
from mailroute.workers.orders import LogChoice
from tests.config.reading import ConfigurationCase, configuration

MAPPING = '[mapping]\nsource = "file"\n[mapping.file]\npath = "routes"\n'


class TapCase(ConfigurationCase):
    """A folder with everything that a good configuration names."""

    def setUp(self) -> None:
        super().setUp()
        self.stderr = io.StringIO()
        self.patch(sys, "stderr", self.stderr)
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        # The tests' own time-outs follow the time of day.
        self.patch(reactor, "seconds", reactor.seconds)
        self.hooked: list[Any] = []
        self.patch(sys, "excepthook", lambda *caught: self.hooked.append(caught[0]))
        self.write("routes", "alice east\n")

    def configure(self, **sections: str) -> str:
        """Write a configuration without TLS in front; returns its path."""
        listener = (
            '[listener.imap]\nprotocol = "imap"\nbind = ["127.0.0.1:143"]\ntls = "plain"\n'
            "[capabilities.imap]\nallow_plain_auth_without_tls = true\n"
        )
        server = "[server]\nworkers = 1\n"
        sections = {
            **{"mapping": MAPPING, "listener": listener, "tls": "", "server": server},
            **sections,
        }
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
        """A service, which knows the text that was checked, and not a word."""
        options = self.options(self.configure())
        service = makeService(options)
        assert isinstance(service, AnnouncedService)
        self.assertEqual(service.text, options["text"])
        self.assertEqual(self.stderr.getvalue(), self.told(service))

    def test_warnings(self) -> None:
        """Warnings do not keep it from serving, and are seen."""
        path = self.configure(server='[server]\nworkers = 1\nbridge_idle = "1m"\n')
        makeService(self.options(path))
        self.assertIn("mailroute: warning: ", self.stderr.getvalue())
        self.assertIn("bridge_idle", self.stderr.getvalue())

    def test_once(self) -> None:
        """A warning that the log shows on the same terminal is not printed as well."""
        self.addCleanup(tap._log_choice.clear)
        parent = {"logger": None, "syslog": 0, "nodaemon": 1, "logfile": None, "prefix": "front"}
        for level, is_printed in (("info", False), ("error", True)):
            server = f'[server]\nworkers = 1\nbridge_idle = "1m"\nlog_level = "{level}"\n'
            makeService(self.options(self.configure(server=server), dict(parent)))
            self.assertEqual("bridge_idle" in self.stderr.getvalue(), is_printed, level)

    def test_taken_place(self) -> None:
        """One line without a traceback; whatever else goes wrong is Python's to print."""
        makeService(self.options(self.configure()))
        self.patch(sys, "__stderr__", self.stderr)
        self.stderr.truncate(0)
        error = CannotListen("imap", "192.0.2.1:143", OSError(98, "Address already in use"))
        sys.excepthook(CannotListen, error, None)
        words = "listener.imap: cannot listen at 192.0.2.1:143: Address already in use"
        self.assertEqual(self.stderr.getvalue().strip("\0"), f"mailroute: {words}\n")
        sys.excepthook(ZeroDivisionError, ZeroDivisionError(), None)
        self.assertEqual(self.hooked, [ZeroDivisionError])

    def test_early_signals(self) -> None:
        """A signal that comes before anybody can heed it does not end the process."""
        numbers = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        makeService(self.options(self.configure()))
        self.assertEqual([signal.getsignal(number) for number in numbers], [signal.SIG_IGN] * 3)

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

    def test_time(self) -> None:
        """Delayed calls follow a clock that nobody sets, from the first one on."""
        makeService(self.options(self.configure()))
        self.assertIs(reactor.seconds, time.monotonic)

    def test_announced(self) -> None:
        """systemd is told of one process and of many; a plain start has nobody to tell."""
        told: list[str] = []
        self.patch(ServiceManager, "announce", lambda _, state: told.append(state))
        self.patch(collector, "settle", lambda: told.append("settled"))
        for workers, is_settled in ((1, True), (2, False)):
            path = self.configure(server=f"[server]\nworkers = {workers}\n")
            service = makeService(self.options(path))
            told.clear()
            service.announce("reloading")
            service.announce("ready")
            # A supervisor serves nobody: its workers see to themselves.
            self.assertEqual(told, ["reloading", "ready", "settled"][: 2 + is_settled])

    def test_workers(self) -> None:
        """Several workers have a supervisor, which is made of the text that was checked."""
        path = self.configure(server="[server]\nworkers = 2\n")
        options = self.options(path)
        self.write("mailroute.toml", "changed since")
        service = makeService(options)
        self.assertIsInstance(service, NodeService)
        edition = service._present.edition  # type: ignore[union-attr]
        self.assertEqual((edition.text, edition.plan.workers), (options["text"], 2))

    def test_workers_by_default(self) -> None:
        """One for each CPU that we may use; where there is one, it needs no supervisor."""
        path = self.configure(server="[server]\n")
        for count, kind in ((1, MailrouteService), (3, NodeService)):
            self.patch(os, "sched_getaffinity", lambda pid, count=count: set(range(count)))
            self.assertIsInstance(makeService(self.options(path)), kind)

    def told(self, service: MailrouteService) -> str:
        warnings = service.check()
        return "".join(f"mailroute: warning: {warning}\n" for warning in warnings)


class LogTests(TapCase):
    """The log's output is chosen by the configuration, unless twistd was told something else."""

    def chosen(self, server: str = "", **parent: Any) -> dict[str, Any]:
        self.addCleanup(tap._told_otherwise.clear)
        self.addCleanup(tap._log_choice.clear)
        usual = {"logger": None, "syslog": 0, "nodaemon": 0, "logfile": None, "prefix": "front"}
        options = {**usual, **parent}
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

    def test_no_folder(self) -> None:
        """A log that cannot be had is a line about it, and no traceback."""
        path = os.path.join(self.folder, "gone", "mailroute.log")
        self.chosen(logfile=path)
        ended = self.assertRaises(SystemExit, chosen_observer)
        self.assertRegex(str(ended.code), rf"\Amailroute: cannot write the log: .*{path}'\Z")

    def test_nodaemon(self) -> None:
        """In the foreground it is standard output."""
        self.chosen(nodaemon=1)
        self.assertEqual(tap._log_choice[-1][0], "-")

    def test_daemon(self) -> None:
        """In the background it is twistd's own file."""
        self.chosen()
        self.assertEqual(tap._log_choice[-1][0], "twistd.log")

    def test_told_otherwise(self) -> None:
        """A logger or syslog that was asked for stays, and workers have it as well."""
        self.assertEqual(self.chosen(logger="some.thing")["logger"], "some.thing")
        self.assertEqual(tap._log_of_workers().choice, LogChoice("factory", "some.thing"))
        self.assertIsNone(self.chosen(syslog=1)["logger"])
        self.assertEqual(tap._log_of_workers().choice, LogChoice("syslog", "front"))

    def test_workers(self) -> None:
        """They have the file that is open, which they might not be allowed to open."""
        self.assertEqual(tap._log_of_workers().choice, LogChoice("output"))
        self.chosen(logfile=os.path.join(self.folder, "mailroute.log"))
        log = tap._log_of_workers()
        self.assertEqual((log.choice, log.descriptor()), (LogChoice("file"), None))
        chosen_observer()
        self.addCleanup(tap._outputs.clear)
        descriptor = log.descriptor()
        assert descriptor is not None
        self.assertTrue(os.readlink(f"/proc/self/fd/{descriptor}").endswith("/mailroute.log"))

    def test_reopened(self) -> None:
        """The service reopens what was chosen."""
        path = os.path.join(self.folder, "mailroute.log")
        self.chosen(logfile=path)
        self.addCleanup(tap._outputs.clear)
        log = Logger(namespace="test", observer=chosen_observer())
        os.rename(path, path + ".1")
        service = makeService(self.options(self.configure()))
        assert isinstance(service, MailrouteService)
        service.reopen_log()
        log.info("here")
        with open(path, encoding="utf-8") as file:
            self.assertIn("here", file.read())
