"""Several workers under load: crashes, reloads, upgrades, and what the whole node keeps to."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.integration import matrix, postgresql, test_matrix
from tests.integration.daemon import (
    PATIENCE_SECONDS,
    Daemon,
    children,
    greeted,
    listener,
    read_all,
    read_until,
    table,
)
from tests.integration.matrix import ProxyTestCase, add_test
from tests.integration.proxy import PROTOCOLS, Proxy, Settings
from tests.integration.test_daemon import ALICE, login, require_interpreter
from tests.integration.test_signals import SignalCase, tls_files
from tests.support.ports import LOOPBACK, ROOTS_PORTS, free_ports, is_open, poll
from tests.support.processes import alive

_REPOSITORY = Path(__file__).parents[2]
VISITORS = 4
SESSIONS = 24
"""So many that each of two workers has some of them."""
GRACE_SECONDS = 12
"""Within it the joined streams are looked at, on a machine that may stand still for a moment."""


OWN_LOG = """
import os
from twisted.logger import ILogObserver, formatEvent
from twisted.python.log import textFromEventDict
from zope.interface import provider

def write(style, text):
    with open(f"{style}.log", "a") as file:
        file.write(f"{os.getpid()} {style} {text}\\n")

def new():
    @provider(ILogObserver)
    def observe(event):
        write("new", formatEvent(event))
    return observe

def old():
    return lambda event: write("old", textFromEventDict(event))
"""


def returned(context: ssl.SSLContext, port: int) -> bool:
    """Whether the TLS session of a client that comes back is resumed."""
    session = None
    for _ in range(2):
        connection = socket.create_connection((LOOPBACK, port), PATIENCE_SECONDS)
        with context.wrap_socket(
            connection, server_hostname="localhost", session=session
        ) as client:
            # A ticket may follow the handshake.
            read_until(client, b"\r\n")
            session, is_resumed = client.session, client.session_reused
    return bool(is_resumed)


class Visitors:
    """Threads that log in until they are stopped, and what they met with."""

    def __init__(self, port: int, user: Callable[[], str] = lambda: ALICE) -> None:
        """``user`` names the account of each visit."""
        self._port = port
        self._user = user
        self._over = threading.Event()
        self.answers = 0
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._visit) for _ in range(VISITORS)]
        for thread in self._threads:
            thread.start()

    def more(self, count: int = 40) -> bool:
        """Wait for so many more visits that go well."""
        seen = self.answers
        return poll(lambda: self.answers >= seen + count, PATIENCE_SECONDS)

    def stop(self) -> None:
        """No more visits."""
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _visit(self) -> None:
        while not self._over.is_set():
            try:
                answer = login(self._port, self._user())
            except OSError as error:
                self.faults.append(repr(error))
                continue
            if b"at east" in answer:
                self.answers += 1
            else:
                self.faults.append(repr(answer))


class WorkersCase(SignalCase):
    """A node with several workers."""

    def node(
        self, workers: int = 2, more: str = "", mapping: str = "", **of_server: object
    ) -> Daemon:
        """A started node whose workers all serve."""
        daemon = self.serve(more, mapping=mapping, workers=workers, **of_server)
        # So many that no worker is left out.
        for _ in range(SESSIONS):
            self.assertIn(b"at east", login(self.port))
        return daemon

    def visitors(self, user: Callable[[], str] = lambda: ALICE) -> Visitors:
        """Load until the test's end at the latest."""
        visitors = Visitors(self.port, user)
        self.addCleanup(visitors.stop)
        self.assertTrue(visitors.more())
        return visitors

    def configure(self, daemon: Daemon, old: str, new: str) -> None:
        """Change the configuration's text."""
        text = daemon.configuration.read_text()
        self.assertIn(old, text)
        daemon.configuration.write_text(text.replace(old, new))

    def await_workers(self, daemon: Daemon, count: int, without: list[int]) -> list[int]:
        """Wait until there are exactly so many workers, none of the former ones."""

        def is_so() -> bool:
            found = children(daemon.pid)
            return len(found) == count and not set(found) & set(without)

        self.assertTrue(poll(is_so, PATIENCE_SECONDS), daemon.log_text()[-3000:])
        return children(daemon.pid)

    def changed(self, daemon: Daemon, number: signal.Signals, count: int = 2) -> list[int]:
        """Send the signal and wait for the next generation; returns its workers."""
        before, times = children(daemon.pid), daemon.log_text().count("new workers serve")
        daemon.signal(number)
        daemon.await_log("new workers serve", times + 1)
        return self.await_workers(daemon, count, before)


class ServingTests(WorkersCase):
    """What a node is."""

    def test_all_serve(self) -> None:
        """Each worker has sessions; the pid file names the supervisor, ps tells slots."""
        daemon = self.node(workers=2)
        connections = [greeted(self.port)[0] for _ in range(SESSIONS)]
        for connection in connections:
            connection.close()
        daemon.await_log(" outcome=no-login ", SESSIONS)
        # Every process has its own beginning of session numbers.
        lines = [line for line in daemon.log_text().splitlines() if "=no-login " in line]
        self.assertEqual(len({line.partition("id=")[2][:12] for line in lines}), 2)
        words = {Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(daemon.pid)}
        self.assertEqual({w.split(b"\0")[-2] for w in words}, {b"1/2", b"2/2"})
        daemon.stop()
        self.assertEqual(daemon.defects(), [])

    def test_daemonised(self) -> None:
        """In the background: relative paths hold, and all ends with SIGTERM."""
        daemon = self.node(workers=2)
        daemon.stop()
        daemon.run()
        self.assertEqual(daemon.status(), 0, daemon.words())
        daemon.await_port(self.port)
        self.assertIn(b"at east", login(self.port))
        workers = self.await_workers(daemon, 2, [])
        daemon.await_log("session: ")
        daemon.stop()
        self.assertFalse(any(map(alive, workers)))
        self.assertFalse(daemon.pidfile.exists())

    def test_limit(self) -> None:
        """max_connections is the node's: whoever is one too many is refused politely."""
        port, limit = free_ports(1)[0], 7
        self.node(more=listener(port, max_connections=limit))
        heard = [greeted(port) for _ in range(SESSIONS)]
        welcome = [connection for connection, words in heard if words.startswith(b"* OK ")]
        refused = [connection for connection, words in heard if words.startswith(b"* BYE ")]
        self.assertEqual((len(welcome), len(refused)), (limit, SESSIONS - limit))
        for connection, _ in heard:
            connection.close()
        self.assertTrue(poll(lambda: greeted(port)[1].startswith(b"* OK "), PATIENCE_SECONDS))

    def test_unix_socket(self) -> None:
        """It cannot be had several times: all workers share one, and it goes with the node."""
        folder = tempfile.mkdtemp(prefix="mailroute-unix-")
        self.addCleanup(shutil.rmtree, folder)
        place = f"{folder}/imap"
        more = table("listener.local", protocol="imap", bind=[f"unix:{place}"], tls="plain")
        daemon = self.node(more=more)
        for _ in range(3):
            for _ in range(4):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(place)
                    client.settimeout(PATIENCE_SECONDS)
                    self.assertTrue(read_until(client, b"\r\n").startswith(b"* OK "))
            self.changed(daemon, signal.SIGUSR2)
        daemon.stop()
        self.assertFalse(os.path.exists(place))

    def test_systemd(self) -> None:
        """Sockets of systemd are shared as well, by the next generation too; it keeps them."""
        passed = socket.create_server((LOOPBACK, 0))
        self.addCleanup(passed.close)
        place = passed.getsockname()[1]
        more = table("listener.passed", protocol="imap", bind=["systemd:front"], tls="plain")
        for workers in (1, 2):
            daemon = self.prepared(more, workers=workers)
            daemon.passed = {"other": passed, "front": passed}
            daemon.start(self.port)
            for _ in range(SESSIONS):
                self.assertIn(b"at east", login(place))
            if workers > 1:
                self.configure(daemon, "[server]\n", "# changed\n[server]\n")
                self.changed(daemon, signal.SIGHUP)
                self.assertIn(b"at east", login(place))
            daemon.stop()
            self.assertEqual(daemon.defects(), [])
            # A connection that comes meanwhile waits for the next start.
            waiting = socket.create_connection((LOOPBACK, place))
            self.addCleanup(waiting.close)

    def test_resumption(self) -> None:
        """A worker resumes its own TLS sessions alone: half of them with two workers.

        Whoever changes that changes docs/workers.md, too.
        """
        port, certificate = free_ports(1)[0], self.certificate()
        more = listener(port, tls="implicit") + tls_files(certificate)
        for workers, share in ((1, (1.0, 1.0)), (2, (0.2, 0.8))):
            daemon = self.prepared(more, workers=workers)
            daemon.start(self.port)
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = ssl.create_default_context(cafile=str(certificate.cert.parent / "ca.pem"))
                context.minimum_version = context.maximum_version = version
                returns = [returned(context, port) for _ in range(SESSIONS * 2)]
                self.assertTrue(share[0] <= sum(returns) / len(returns) <= share[1], returns)
            daemon.stop()

    def test_logger(self) -> None:
        """twistd's --logger is every worker's, in the new style and in the old one."""
        daemon = self.prepared(workers=2)
        (daemon.folder / "own_log.py").write_text(OWN_LOG)
        path = {"PYTHONPATH": f"{_REPOSITORY}:{daemon.folder}"}
        for style in ("new", "old"):
            daemon.run(["-n", f"--logger=own_log.{style}"], environment=path)
            daemon.await_port(self.port)
            for _ in range(SESSIONS):
                self.assertIn(b"at east", login(self.port))
            log = daemon.folder / f"{style}.log"
            sessions = f" {style} session: "
            workers = set(children(daemon.pid))
            self.assertTrue(poll(lambda: self.writers(log, sessions) == workers, PATIENCE_SECONDS))  # noqa: B023
            daemon.stop()

    def writers(self, log: Path, word: str) -> set[int]:
        """Which processes have written lines with this word; their number stands first."""
        text = log.read_text() if log.exists() else ""
        return {int(line.split()[0]) for line in text.splitlines() if word in line}


class CrashTests(WorkersCase):
    """A worker that dies."""

    def test_killed(self) -> None:
        """Nobody is refused, its neighbour's sessions live, and it has a successor."""
        daemon = self.node()
        clients = [greeted(self.port)[0] for _ in range(SESSIONS)]
        streams = [self.joined(client) for client in clients]
        visitors = self.visitors()
        victim, neighbour = children(daemon.pid)
        os.kill(victim, signal.SIGKILL)
        self.assertTrue(visitors.more())
        self.assertTrue(poll(lambda: len(children(daemon.pid)) == 2, PATIENCE_SECONDS))
        self.assertIn(neighbour, children(daemon.pid))
        self.assertTrue(visitors.more())
        visitors.stop()
        # Only what was open in the dead worker is lost: at most one visit of each visitor.
        self.assertLessEqual(len(visitors.faults), VISITORS, visitors.faults)
        self.assertEqual([f for f in visitors.faults if "Refused" in f or "timed" in f], [])
        lost = [stream for stream in streams if stream.ended.is_set()]
        self.assertTrue(0 < len(lost) < SESSIONS, len(lost))
        for client, stream in zip(clients, streams, strict=True):
            if not stream.ended.is_set():
                self.still_joined(client, stream)
        daemon.await_log(f"(pid {victim}) died: signal SIGKILL")
        daemon.stop()

    def test_counters(self) -> None:
        """What a dead worker had counted is forgotten."""
        port, limit = free_ports(1)[0], 8
        daemon = self.node(more=listener(port, max_connections=limit))
        held = [greeted(port)[0] for _ in range(limit)]
        self.assertTrue(greeted(port)[1].startswith(b"* BYE "))
        former = children(daemon.pid)
        for pid in former:
            os.kill(pid, signal.SIGKILL)
        self.await_workers(daemon, 2, former)
        self.assertEqual([read_all(connection) for connection in held], [b""] * limit)
        again = [greeted(port)[1] for _ in range(limit)]
        self.assertTrue(all(words.startswith(b"* OK ") for words in again), again)

    def test_broken_mapping(self) -> None:
        """A successor that cannot read the mapping file says why, and comes when it can.

        Until then its neighbour has the slot as well: nobody waits.
        """
        daemon = self.node()
        victim, neighbour = children(daemon.pid)
        (daemon.folder / "routes").write_text("broken\n")
        os.kill(victim, signal.SIGKILL)
        daemon.await_log("'broken' has no destination", 3)
        daemon.await_log("no worker gets ready")
        self.assertIn(neighbour, children(daemon.pid))
        self.assertIn(f"worker (pid {neighbour}) stands in", daemon.log_text())
        for _ in range(SESSIONS):
            self.assertIn(b"at east", login(self.port))
        (daemon.folder / "routes").write_text(f"{ALICE} east\n")
        daemon.await_log(") serves", 3)
        (successor,) = set(children(daemon.pid)) - {neighbour}
        # Both accept again: each has sessions, by its own beginning of their numbers.
        before = len(daemon.log_text())
        for _ in range(SESSIONS):
            self.assertIn(b"at east", login(self.port))

        def beginnings() -> set[str]:
            lines = daemon.log_text()[before:].splitlines()
            return {line.partition("id=")[2][:12] for line in lines if "session: id=" in line}

        # A session is logged behind its client's end.
        self.assertTrue(poll(lambda: len(beginnings()) == 2, PATIENCE_SECONDS), beginnings())
        os.kill(neighbour, signal.SIGKILL)
        daemon.await_log(f"worker (pid {successor}) stands in")
        for _ in range(SESSIONS):
            self.assertIn(b"at east", login(self.port))
        daemon.stop()
        self.assertEqual(daemon.defects(), [])

    def test_supervisor(self) -> None:
        """Workers whose supervisor is gone serve their sessions to the end, and go."""
        daemon = self.node()
        client = greeted(self.port)[0]
        stream = self.joined(client)
        workers = children(daemon.pid)
        os.kill(daemon.pid, signal.SIGKILL)
        self.assertTrue(poll(lambda: not is_open(self.port), PATIENCE_SECONDS))
        self.still_joined(client, stream)
        self.assertTrue(poll(lambda: sum(map(alive, workers)) == 1, PATIENCE_SECONDS))
        client.close()
        self.assertTrue(poll(lambda: not any(map(alive, workers)), PATIENCE_SECONDS))


class ReloadTests(WorkersCase):
    """SIGHUP and SIGUSR2: nobody notices."""

    def unnoticed(self, number: signal.Signals, counts: list[int]) -> Daemon:
        """Change several times under load; every visit goes well, a joined session lives on."""
        daemon = self.node()
        client = greeted(self.port)[0]
        stream = self.joined(client)
        idle = greeted(self.port)[0]
        visitors = self.visitors()
        present = 2
        for time_, count in enumerate(counts):
            before = children(daemon.pid)
            self.configure(daemon, f"workers = {present}\n", f"workers = {count}\n")
            if number == signal.SIGHUP:
                self.configure(daemon, "[server]\n", f"# change {time_}\n[server]\n")
            daemon.signal(number)
            daemon.await_log("new workers serve", time_ + 1)
            present = count
            self.assertTrue(visitors.more())
            if time_ == 0:
                # Who was there before the change may still log in.
                idle.sendall(f"a LOGIN {ALICE} secret\r\n".encode())
                self.assertIn(b"at east", read_until(idle, b"\r\n"))
                idle.close()
                self.still_joined(client, stream)
                kept = [pid for pid in before if alive(pid)]
        visitors.stop()
        self.assertEqual(visitors.faults, [])
        self.still_joined(client, stream)
        # One worker of the first generation stays for its session's sake, and goes with it.
        self.await_workers_of(daemon, present + 1)
        client.close()
        self.await_workers_of(daemon, present)
        self.assertFalse(any(map(alive, kept)))
        daemon.stop()
        self.assertEqual(daemon.defects(), [])
        return daemon

    def await_workers_of(self, daemon: Daemon, count: int) -> None:
        """Wait for a number of workers."""
        is_so = poll(lambda: len(children(daemon.pid)) == count, PATIENCE_SECONDS)
        self.assertTrue(is_so, (children(daemon.pid), daemon.log_text()[-3000:]))

    def test_configuration(self) -> None:
        """A new configuration, several times."""
        self.unnoticed(signal.SIGHUP, [2, 2, 2])

    def test_code(self) -> None:
        """SIGUSR2 needs no new configuration."""
        self.unnoticed(signal.SIGUSR2, [2, 2, 2])

    def test_number(self) -> None:
        """Fewer workers take over the slots of those that go; more get slots of their own."""
        self.unnoticed(signal.SIGHUP, [1, 3, 2])

    def test_mapping(self) -> None:
        """Where only the mapping has changed the same workers go on, all with the new one."""
        daemon = self.node()
        before = children(daemon.pid)
        answers = {login(self.port).rpartition(b" ")[2] for _ in range(SESSIONS)}
        self.assertEqual(answers, {b"east\r\n"})
        (daemon.folder / "routes").write_text(f"{ALICE} west\n")
        daemon.reload()
        answers = {login(self.port).rpartition(b" ")[2] for _ in range(SESSIONS)}
        self.assertEqual(answers, {b"west\r\n"})
        self.assertEqual(children(daemon.pid), before)
        daemon.stop()

    def test_broken(self) -> None:
        """Every complaint is an error in the log; the same workers serve on."""
        daemon = self.node()
        before = children(daemon.pid)
        good = daemon.configuration.read_text()
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        for broken, words in (
            ("nonsense = 1\n" + good, "nonsense"),
            ("= =\n", "not valid TOML"),
            (good + listener(taken.getsockname()[1], "pop3"), "cannot listen at"),
        ):
            daemon.configuration.write_text(broken)
            daemon.signal(signal.SIGHUP)
            daemon.await_log(words)
            self.assertIn(b"at east", login(self.port))
        (daemon.folder / "routes").write_text("alice nowhere\n")
        daemon.configuration.write_text(good)
        daemon.signal(signal.SIGHUP)
        daemon.await_log("there is no destination 'nowhere'")
        self.assertEqual(children(daemon.pid), before)
        daemon.stop()
        self.assertEqual(daemon.defects(), [])

    def test_places(self) -> None:
        """New listeners are bound, and removed ones closed; the others lose nobody."""
        other = free_ports(1)[0]
        daemon = self.node()
        visitors = self.visitors()
        text = daemon.configuration.read_text()
        daemon.configuration.write_text(text + listener(other, "pop3"))
        self.changed(daemon, signal.SIGHUP)
        self.assertTrue(greeted(other)[1].startswith(b"+OK "))
        daemon.configuration.write_text(text)
        daemon.signal(signal.SIGHUP)
        self.assertTrue(poll(lambda: not is_open(other), PATIENCE_SECONDS))
        visitors.stop()
        self.assertEqual(visitors.faults, [])
        daemon.stop()


class DatabaseTests(WorkersCase):
    """What the database sees of a node."""

    def test_pool(self) -> None:
        """pool_size is the node's, while generations change under load as well."""
        size, workers, changes = 4, 2, 3
        server = postgresql.shared_server()
        url = server.url(application_name="node")
        # Slow, so that every connection of the pool is wanted.
        query = "SELECT 'east' AS destination, pg_sleep(0.02)::text AS ttl WHERE $1 <> ''"
        sql = table("mapping.sql", url=url, query=query, pool_size=size)
        mapping = table("mapping", source="sql", lookup_timeout="30s") + sql
        daemon = self.node(workers, mapping=mapping)
        # One question answers all who ask the same: everybody asks another.
        numbers = itertools.count()
        visitors = [self.visitors(lambda: f"user{next(numbers)}") for _ in range(3)]
        seen: list[int] = []
        over = threading.Event()
        watching = threading.Thread(target=self.watch, args=(server, seen, over))
        watching.start()
        self.addCleanup(over.set)
        self.assertTrue(poll(lambda: size in seen, PATIENCE_SECONDS), seen)
        for number in range(changes):
            daemon.signal(signal.SIGUSR2)
            daemon.await_log("new workers serve", number + 1)
            self.assertTrue(all(each.more() for each in visitors))
        over.set()
        watching.join()
        for each in visitors:
            each.stop()
            self.assertEqual(each.faults, [])
        # Those who leave have one each at most, and the check has one.
        self.assertLessEqual(max(seen), size + workers + 1, seen)
        daemon.stop()

    def watch(
        self, server: postgresql.PostgresServer, seen: list[int], over: threading.Event
    ) -> None:
        """Count the node's connections all the time."""
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'node'"
        while not over.is_set():
            seen.append(int(server.execute(count)[0][0]))


class UpgradeTests(WorkersCase):
    """SIGUSR2 and a copy of the code that changes."""

    def test_upgrade(self) -> None:
        """New workers are of the code that is there now; code that cannot start is refused."""
        code = Path(tempfile.mkdtemp(prefix="mailroute-code-"))
        self.addCleanup(shutil.rmtree, code)
        for name in ("mailroute", "twisted"):
            shutil.copytree(_REPOSITORY / name, code / name)
        daemon = self.node()
        daemon.stop()
        daemon.run(["-n"], environment={"PYTHONPATH": str(code)})
        daemon.await_port(self.port)
        client = greeted(self.port)[0]
        stream = self.joined(client)
        replies = code / "mailroute" / "imap" / "server.py"
        good = replies.read_text()
        replies.write_text(good + "\nraise RuntimeError('the wrong version')\n")
        daemon.signal(signal.SIGUSR2)
        daemon.await_log("could not be checked: exit status 1 RuntimeError: the wrong version")
        self.assertIn(b"at east", login(self.port))
        replies.write_text(good + "\nprint('the new version', file=__import__('sys').stderr)\n")
        self.changed_but_one(daemon)
        daemon.await_log("the new version", 2)
        self.still_joined(client, stream)
        client.close()
        daemon.stop()

    def changed_but_one(self, daemon: Daemon) -> None:
        """Upgrade while one worker stays for its session."""
        daemon.signal(signal.SIGUSR2)
        daemon.await_log("2 new workers serve")
        self.assertIn(b"at east", login(self.port))


class StopTests(WorkersCase):
    """SIGTERM."""

    def test_drains(self) -> None:
        """Goodbyes before the join, the grace after it, for every generation; then nobody."""
        daemon = self.node(shutdown_grace=f"{GRACE_SECONDS}s")
        former = greeted(self.port)[0]
        streams = [self.joined(former)]
        self.changed_with(daemon)
        later = greeted(self.port)[0]
        streams.append(self.joined(later))
        waiting = [greeted(self.port)[0] for _ in range(6)]
        pid, workers, began = daemon.pid, children(daemon.pid), time.monotonic()
        self.assertEqual(len(workers), 3)
        daemon.signal(signal.SIGTERM)
        self.assertTrue(poll(lambda: not is_open(self.port), PATIENCE_SECONDS))
        for connection in waiting:
            self.assertTrue(read_all(connection).startswith(b"* BYE "))
        for client, stream in zip((former, later), streams, strict=True):
            self.still_joined(client, stream)
        self.assertEqual([read_all(client) for client in (former, later)], [b"", b""])
        self.assertGreater(time.monotonic() - began, GRACE_SECONDS - 1)
        self.assertTrue(poll(lambda: not any(map(alive, [pid, *workers])), PATIENCE_SECONDS))
        self.assertEqual(daemon.defects(), [])

    def changed_with(self, daemon: Daemon) -> None:
        """A second generation beside the first, which has a session."""
        daemon.signal(signal.SIGUSR2)
        daemon.await_log("new workers serve")
        is_so = poll(lambda: len(children(daemon.pid)) == 3, PATIENCE_SECONDS)
        self.assertTrue(is_so, children(daemon.pid))


class RightsTests(WorkersCase):
    """Started as root, with a user to become."""

    def test_rights(self) -> None:
        """Workers have none; the log is reopened in a folder that only root may write to."""
        if os.geteuid() != 0:
            raise SkipTest("only root can give rights up")
        nobody = pwd.getpwnam("nobody")
        daemon = self.node(user="nobody", group="nogroup")
        before = daemon.log_text().count("session: ")
        self.assertGreater(before, 0)
        for pid in children(daemon.pid):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            status = {line.partition(":")[0]: line.partition(":")[2].split() for line in lines}
            self.assertEqual(status["Uid"], [str(nobody.pw_uid)] * 4)
            self.assertLessEqual(set(status["Groups"]), {str(nobody.pw_gid)})
            self.assertEqual(int(status["CapEff"][0], 16), 0)
        # Whoever sends the signal may read what workers may not: nothing is claimed for them.
        routes = daemon.folder / "routes"
        routes.chmod(0o600)
        daemon.reload()
        self.assertIn("reloaded: cache expired, the old mapping stays\n", daemon.log_text())
        self.assertIn(b"at east", login(self.port))
        routes.chmod(0o644)
        old = daemon.log.rename(daemon.folder / "log.1")
        daemon.signal(signal.SIGUSR1)
        self.assertTrue(poll(daemon.log.exists, PATIENCE_SECONDS))
        self.assertTrue(poll(lambda: not daemon.has_open(old), PATIENCE_SECONDS))
        size = old.stat().st_size
        for _ in range(SESSIONS):
            login(self.port)
        daemon.await_log("session: ", SESSIONS)
        self.assertEqual(old.stat().st_size, size)
        # A low port, long after the start.
        (low,) = free_ports(1, ROOTS_PORTS)
        text = daemon.configuration.read_text()
        daemon.configuration.write_text(text + listener(low, "pop3"))
        self.changed(daemon, signal.SIGHUP)
        self.assertTrue(greeted(low)[1].startswith(b"+OK "))
        daemon.stop()
        self.assertEqual(daemon.defects(), [])

    def test_twistd(self) -> None:
        """twistd's own --uid: the supervisor has no rights either, and the log is root's."""
        if os.geteuid() != 0:
            raise SkipTest("only root can give rights up")
        nobody = pwd.getpwnam("nobody")
        require_interpreter(nobody.pw_uid)
        daemon = self.node()
        daemon.stop()
        daemon.start(self.port, ["-n", f"--uid={nobody.pw_uid}", f"--gid={nobody.pw_gid}"])
        self.assertIn(b"at east", login(self.port))
        for pid in [daemon.pid, *children(daemon.pid)]:
            self.assertEqual(os.stat(f"/proc/{pid}").st_uid, nobody.pw_uid)
        before = children(daemon.pid)
        self.configure(daemon, "[server]\n", "# changed\n[server]\n")
        self.assertEqual(set(self.changed(daemon, signal.SIGHUP)) & set(before), set())
        daemon.stop()
        self.assertEqual(daemon.defects(), [])


@cache
def two_workers(behind: str) -> Proxy:
    """As ``matrix.proxy``, with two workers."""
    routes = {matrix.ODD: "east", **{user: name for user, (name, _) in matrix.USERS.items()}}
    destinations = tuple(matrix.destination(name, behind) for name in matrix.HOSTS)
    return matrix.started(Settings(destinations, routes, server={"workers": 2}))


class MatrixTests(ProxyTestCase):
    """A row of the matrix against the real servers."""

    put = test_matrix.MatrixTests.put
    imap = test_matrix.MatrixTests.imap
    pop3 = test_matrix.MatrixTests.pop3
    submission = test_matrix.MatrixTests.submission
    managesieve = test_matrix.MatrixTests.managesieve


def cell(self: MatrixTests, protocol: str, mode: str, behind: str) -> None:
    """Two users of one listener reach different servers, whichever worker serves them."""
    self.patch(test_matrix, "proxy", two_workers)
    for _ in range(4):
        test_matrix.cell(self, protocol, mode, behind)


for _protocol in PROTOCOLS:
    add_test(MatrixTests, f"{_protocol}_starttls", cell, _protocol, "starttls", "implicit")
    add_test(MatrixTests, f"{_protocol}_plain", cell, _protocol, "plain", "plain")
