"""Starting mailroute as an operator does: as a daemon, with faults, with rights to give up."""

from __future__ import annotations

import grp
import json
import os
import pwd
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SkipTest, TestCase

from tests.integration.daemon import (
    PATIENCE_SECONDS,
    VISITS,
    WORKERS,
    Daemon,
    capabilities,
    destinations,
    greeted,
    listener,
    read_until,
    server,
    table,
)
from tests.integration.sample_backend import PASSWORD, SampleBackend
from tests.support.ports import LOOPBACK, ROOTS_PORTS, free_ports, is_open, poll
from tests.support.processes import alive

EX_CONFIG = 78
ALICE = "alice@example.org"
QUERY = "SELECT destination FROM routes WHERE identifier = ?"


def mapping_file(path: str = "routes") -> str:
    """The tables of a mapping file."""
    return table("mapping", source="file") + table("mapping.file", path=path)


def mapping_sql(path: object, query: str = QUERY) -> str:
    """The tables of an SQLite mapping."""
    return table("mapping", source="sql") + table(
        "mapping.sql", url=f"sqlite://{path}", query=query
    )


def write_database(path: Path) -> None:
    """Make the mapping's file."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE routes (identifier TEXT, destination TEXT)")
        database.execute("INSERT INTO routes VALUES (?, 'east')", (ALICE,))


def login(port: int, user: str = ALICE) -> bytes:
    """The answer to a login."""
    connection, _ = greeted(port)
    with connection:
        connection.sendall(f"a LOGIN {user} {PASSWORD}\r\n".encode())
        return read_until(connection, b"\r\n")


class DaemonCase(TestCase):
    """Makes daemons and removes them."""

    timeout = 300

    def setUp(self) -> None:
        self.port = free_ports(1)[0]

    def backend(self) -> SampleBackend:
        """A backend called east."""
        backend = SampleBackend("east")
        self.addCleanup(backend.stop)
        return backend

    def daemon(self, toml: str, routes: str = "") -> Daemon:
        """A daemon with this configuration; ``routes`` is its mapping file."""
        daemon = Daemon(toml)
        self.addCleanup(daemon.remove)
        (daemon.folder / "routes").write_text(routes)
        return daemon

    def usual(self, mapping: str = "", **of_server: object) -> str:
        """A configuration that can be served."""
        return (
            server(**of_server)
            + (mapping or mapping_file())
            + destinations(east=self.backend().port)
            + listener(self.port)
            + capabilities("imap")
        )


class StartTests(DaemonCase):
    """A good configuration."""

    def test_daemonised(self) -> None:
        """Relative paths hold, the pid file names the server, SIGTERM ends it and cleans up."""
        daemon = self.daemon(self.usual(), f"{ALICE} east\n")
        daemon.run()
        self.assertEqual(daemon.status(), 0, daemon.words())
        daemon.await_port(self.port)
        self.assertTrue(all(": warning: " in line for line in daemon.words().splitlines()))
        self.assertNotEqual(daemon.pid, os.getpid())
        self.assertIn(b"at east", login(self.port))
        daemon.await_log("session: ")
        pid = daemon.pid
        daemon.stop()
        self.assertFalse(is_open(self.port))
        self.assertFalse(alive(pid) or daemon.pidfile.exists())
        self.assertEqual(daemon.defects(), [])

    def test_environment_names_the_configuration(self) -> None:
        """MAILROUTE_CONFIG stands for --config, which goes before it."""
        daemon = self.daemon(self.usual(), f"{ALICE} east\n")
        daemon.run(["-n"], [], {"MAILROUTE_CONFIG": "mailroute.toml"})
        daemon.await_port(self.port)
        daemon.stop()
        # twistd ends by the signal that it was sent, which service managers count as success.
        self.assertEqual(daemon.status(), -signal.SIGTERM)
        daemon.run(["-n"], environment={"MAILROUTE_CONFIG": "/nowhere.toml"})
        daemon.await_port(self.port)
        daemon.stop()
        daemon.run(["-n"], [], {"MAILROUTE_CONFIG": "/nowhere.toml"})
        self.assertEqual(daemon.status(), EX_CONFIG)
        self.assertIn("/nowhere.toml", daemon.words())

    def test_both_families(self) -> None:
        """0.0.0.0 and [::] stand in one listener, at the same port."""
        if not Path("/proc/net/if_inet6").exists():
            raise SkipTest("this machine has no IPv6")
        bind = [f"0.0.0.0:{self.port}", f"[::]:{self.port}"]
        toml = self.usual().replace(json.dumps([f"{LOOPBACK}:{self.port}"]), json.dumps(bind))
        daemon = self.daemon(toml)
        daemon.start(self.port)
        for host in (LOOPBACK, "::1"):
            connection, greeting = greeted(self.port, host)
            connection.close()
            self.assertTrue(greeting.startswith(b"* OK "), host)
        daemon.await_log("client=[::1]:")
        daemon.stop()

    def test_taken_port(self) -> None:
        """A port that cannot be had: nothing is served, the place is named, and that is all."""
        other = free_ports(2)[1]
        complaint = f"listener.pop3-{other}: cannot listen at {LOOPBACK}:{other}: Address already"
        daemon = self.daemon(self.usual() + listener(other, "pop3"))
        with socket.create_server((LOOPBACK, other)):
            for options in ([], ["-n"]):
                daemon.run(options)
                self.assertEqual(daemon.status(), 1)
                self.assertIn(f"{LOOPBACK}:{other}", daemon.words())
                daemon.await_log(f" critical {complaint}")
                # The daemon tells its parent before it tidies up.
                self.assertTrue(poll(lambda: not daemon.pidfile.exists(), PATIENCE_SECONDS))
                daemon.log.unlink()
            self.assertIn(f"mailroute: {complaint}", daemon.words())
        self.assertNotIn("Traceback", daemon.words() + daemon.log_text())
        self.assertFalse(is_open(self.port) or daemon.pidfile.exists())


class FaultTests(DaemonCase):
    """What cannot be served is not started: exit status 78, and every complaint at once."""

    def assert_refused(self, daemon: Daemon, *complaints: str) -> None:
        """Both ways of running it: all complaints, no listener, no pid file, no traceback."""
        for options in ([], ["-n"]):
            daemon.run(options)
            self.assertEqual(daemon.status(), EX_CONFIG, daemon.words())
            for complaint in complaints:
                self.assertIn(complaint, daemon.words())
            self.assertIn(f"{len(complaints)} complaint", daemon.words())
            self.assertNotIn("Traceback", daemon.words() + daemon.log_text())
            self.assertFalse(daemon.pidfile.exists())
            self.assertFalse(is_open(self.port))

    def test_configuration(self) -> None:
        """Faults of the file, with key and line."""
        toml = self.usual(shutdown_grace="soon", log_level="loud", hostnam="x")
        self.assert_refused(
            self.daemon(toml), "server.shutdown_grace", "server.log_level", "server.hostname"
        )

    def test_mapping_file(self) -> None:
        """Faults of the mapping file, with file and line."""
        daemon = self.daemon(self.usual(), f"{ALICE} east\nbob@example.org wets\ncarol\n")
        self.assert_refused(daemon, "routes:2: ", "routes:3: ")

    def test_query(self) -> None:
        """SQL that the database refuses, a certificate that is none: told together."""
        daemon = self.daemon("")
        write_database(daemon.folder / "db")
        (daemon.folder / "ca.pem").write_text("no certificate\n")
        toml = self.usual(mapping_sql(daemon.folder / "db", QUERY.replace("routes", "rutes")))
        toml = toml.replace("[destination.east]\n", '[destination.east]\ntls_ca_file = "ca.pem"\n')
        daemon.configuration.write_text(toml)
        self.assert_refused(daemon, "rutes", "ca.pem")

    def test_database_out_of_reach(self) -> None:
        """An absent database is a warning: temporary failures until it is there, by itself."""
        daemon = self.daemon("")
        daemon.configuration.write_text(self.usual(mapping_sql(daemon.folder / "db")))
        daemon.start(self.port)
        self.assertIn("warning: mapping.sql.url: the database cannot be asked", daemon.words())
        self.assertTrue(login(self.port).startswith(b"a NO [UNAVAILABLE]"))
        write_database(daemon.folder / "new")
        (daemon.folder / "new").rename(daemon.folder / "db")
        self.assertTrue(poll(lambda: b"at east" in login(self.port), PATIENCE_SECONDS))
        self.assertIn("reason=lookup-failed", daemon.log_text())
        daemon.stop()


def require_interpreter(uid: int) -> None:
    """Raise SkipTest where this user cannot start the interpreter, as new workers have to."""
    try:
        subprocess.run([sys.executable, "-V"], user=uid, check=True)
    except OSError:
        raise SkipTest("the interpreter is out of the reach of this user") from None


class PrivilegeTests(DaemonCase):
    """Ports are bound as root, clients are served as somebody else."""

    def setUp(self) -> None:
        if os.geteuid() != 0:
            raise SkipTest("only root can give rights up")
        (self.port,) = free_ports(1, ROOTS_PORTS)
        self.nobody = pwd.getpwnam("nobody")

    def assert_dropped(self, daemon: Daemon) -> None:
        """Nothing of root is left, and the daemon serves, reloads and ends."""
        # A supervisor keeps its rights, to bind and to read for the next generation.
        for status in daemon.process_statuses():
            self.assertEqual(status["Uid"], [str(self.nobody.pw_uid)] * 4)
            self.assertEqual(status["Gid"], [str(self.nobody.pw_gid)] * 4)
            self.assertLessEqual(set(status["Groups"]), {str(self.nobody.pw_gid)})
            self.assertEqual(int(status["CapEff"][0], 16), 0)
        self.assertIn(b"at east", login(self.port))
        daemon.reload()
        self.assertIn(b"at east", login(self.port))
        daemon.stop()
        self.assertEqual(daemon.defects(), [])

    def test_configured(self) -> None:
        """[server] user and group; nothing is said to a client before root is gone."""
        daemon = self.daemon(self.usual(user="nobody", group="nogroup"), f"{ALICE} east\n")
        daemon.groups = [grp.getgrnam("adm").gr_gid]
        daemon.start(self.port, [])
        self.assertEqual(daemon.status(), 0, daemon.words())
        greeted(self.port)[0].close()
        self.assert_dropped(daemon)

    def test_twistd(self) -> None:
        """twistd's own --uid and --gid."""
        if WORKERS > 1:
            require_interpreter(self.nobody.pw_uid)
        daemon = self.daemon(self.usual(), f"{ALICE} east\n")
        daemon.groups = [grp.getgrnam("adm").gr_gid]
        ids = [f"--uid={self.nobody.pw_uid}", f"--gid={self.nobody.pw_gid}"]
        daemon.start(self.port, ["-n", *ids])
        greeted(self.port)[0].close()
        self.assert_dropped(daemon)


class LogTests(DaemonCase):
    """What is logged, and how."""

    def test_json(self) -> None:
        """log_format = "json": every line is one object with time, level and event."""
        daemon = self.daemon(self.usual(log_format="json"), f"{ALICE} east\n")
        daemon.start(self.port)
        login(self.port)
        login(self.port, "nobody@example.org")
        connection, _ = greeted(self.port)
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        connection.close()
        daemon.reload()
        daemon.stop()
        records = [json.loads(line) for line in daemon.log_text().splitlines()]
        self.assertTrue(all({"time", "level", "event"} <= set(record) for record in records))
        kinds = [record["event"] for record in records]
        users = [record["user"] for record in records if record["event"] == "session"]
        self.assertIn(ALICE, users)
        self.assertIn("nobody@example.org", users)
        self.assertIn("login-failed", kinds)
        self.assertIn("message", kinds)

    def test_levels(self) -> None:
        """log_level = "error" keeps sessions and refusals out, not what has to be looked at."""
        daemon = self.daemon(self.usual(log_level="error"), f"{ALICE} east\n")
        daemon.start(self.port)
        for _ in range(VISITS):
            login(self.port)
        (daemon.folder / "routes").write_text("broken\n")
        daemon.signal(signal.SIGHUP)
        daemon.await_log("the old content stays")
        daemon.stop()
        lines = daemon.log_text().splitlines()
        self.assertEqual({line.split()[1] for line in lines}, {"error"}, lines)
