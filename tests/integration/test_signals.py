"""What signals do to a mailroute that serves: SIGTERM drains, SIGHUP renews, SIGUSR1 rotates."""

from __future__ import annotations

import hashlib
import shutil
import signal
import socket
import ssl
import tempfile
import threading
import time
from pathlib import Path

from tests.integration import engines
from tests.integration.certificates import Authority, Issued
from tests.integration.daemon import (
    PATIENCE_SECONDS,
    VISITS,
    WORKERS,
    Daemon,
    capabilities,
    destinations,
    greeted,
    listener,
    read_all,
    read_until,
    server,
    table,
)
from tests.integration.sample_backend import PASSWORD, SampleBackend, Stream
from tests.integration.test_daemon import (
    ALICE,
    DaemonCase,
    login,
    mapping_file,
)
from tests.support.ports import LOOPBACK, free_ports, is_open, poll
from tests.support.processes import alive

GRACE_SECONDS = 10
"""Long enough for all that a test does meanwhile, on a machine that hesitates."""
STOP_SECONDS = 25
"""Generous: two noisy cores."""
ROUTES = f"{ALICE} east\n"


def tls_files(issued: Issued) -> str:
    """The table of a certificate."""
    return table("tls.certificate.front", cert=str(issued.cert), key=str(issued.key))


def tls_client(port: int, issued: Issued) -> ssl.SSLSocket:
    """A connection to somebody who has exactly this certificate."""
    context = ssl.create_default_context(cafile=str(issued.cert.parent / "ca.pem"))
    connection = socket.create_connection((LOOPBACK, port), PATIENCE_SECONDS)
    client = context.wrap_socket(
        connection, server_hostname="localhost", suppress_ragged_eofs=False
    )
    presented = client.getpeercert(binary_form=True)
    assert presented is not None
    assert hashlib.sha256(presented).digest() == issued.sha256, "another certificate"
    return client


class SignalCase(DaemonCase):
    """A mailroute with a mapping file and the backends east and west."""

    def setUp(self) -> None:
        super().setUp()
        self.east, self.west = SampleBackend("east"), SampleBackend("west")
        self.addCleanup(self.east.stop)
        self.addCleanup(self.west.stop)

    def serve(
        self, more: str = "", routes: str = ROUTES, mapping: str = "", **of_server: object
    ) -> Daemon:
        """A started daemon."""
        daemon = self.prepared(more, routes, mapping, **of_server)
        daemon.start(self.port)
        return daemon

    def prepared(
        self, more: str = "", routes: str = ROUTES, mapping: str = "", **of_server: object
    ) -> Daemon:
        """A daemon that is to be started."""
        toml = (
            server(**of_server)
            + (mapping or mapping_file())
            + destinations(east=self.east.port, west=self.west.port)
            + listener(self.port)
            + capabilities("imap", "pop3", "submission")
            + more
        )
        return self.daemon(toml, routes)

    def joined(self, connection: socket.socket) -> Stream:
        """Log in and have the backend hand its end of the stream over."""
        connection.sendall(f"a LOGIN {ALICE} {PASSWORD}\r\nb X-RAW\r\n".encode())
        heard = read_until(connection, b"b OK raw\r\n")
        self.assertIn(b"b OK raw", heard)
        return [*self.east.streams, *self.west.streams][-1]

    def certificate(self) -> Issued:
        """A certificate of an authority of its own."""
        folder = Path(tempfile.mkdtemp(prefix="mailroute-tls-"))
        self.addCleanup(shutil.rmtree, folder)
        return Authority(folder).issue("front")

    def still_joined(self, connection: socket.socket, stream: Stream) -> None:
        """Bytes still go both ways."""
        self.assertFalse(stream.ended.is_set())
        stream.send(b"down")
        self.assertEqual(read_until(connection, b"down"), b"down")
        before = stream.arrived
        connection.sendall(b"up")
        self.assertTrue(poll(lambda: stream.arrived == before + b"up", PATIENCE_SECONDS))


class TermTests(SignalCase):
    """SIGTERM."""

    def test_goodbyes(self) -> None:
        """Who is not joined hears a goodbye, also while a login is under way."""
        pop3, submission = free_ports(2)
        with socket.create_server((LOOPBACK, 0)) as silent:
            silent.settimeout(PATIENCE_SECONDS)
            more = listener(pop3, "pop3") + listener(submission, "submission")
            more += destinations(silent=silent.getsockname()[1])
            daemon = self.serve(more, f"{ALICE} silent\n", shutdown_grace="10m")
            clients = {port: greeted(port)[0] for port in (self.port, pop3, submission)}
            waiting = greeted(self.port)[0]
            waiting.sendall(f"a LOGIN {ALICE} {PASSWORD}\r\n".encode())
            # The backend has been reached: the login is under way.
            backend = silent.accept()[0]
            self.addCleanup(backend.close)
            # There is nobody to wait for: it ends long before the grace does.
            daemon.stop()
        for port, word in ((self.port, b"* BYE "), (pop3, b"-ERR "), (submission, b"421 ")):
            heard = read_all(clients[port])
            self.assertTrue(heard.startswith(word), heard)
            self.assertEqual(heard.count(b"\r\n"), 1, heard)
        self.assertIn(b"* BYE ", read_all(waiting))
        self.assertEqual(daemon.defects(), [])

    def test_grace(self) -> None:
        """Listeners close at once, a joined stream goes on, then ends without a word of ours."""
        daemon = self.serve(shutdown_grace=f"{GRACE_SECONDS}s")
        client = greeted(self.port)[0]
        stream = self.joined(client)
        pid, began = daemon.pid, time.monotonic()
        daemon.signal(signal.SIGTERM)
        self.assertTrue(poll(lambda: not is_open(self.port), PATIENCE_SECONDS))
        # In the middle of a literal: whatever we said now would become part of a message.
        stream.send(b"* 1 FETCH (BODY[] {1000}\r\npart")
        self.assertIn(b"part", read_until(client, b"part"))
        client.sendall(b"c APPEND x {500}\r\npart")
        daemon.signal(signal.SIGHUP)
        self.assertEqual(read_all(client), b"")
        self.assertTrue(stream.ended.wait(PATIENCE_SECONDS))
        self.assertEqual(stream.arrived, b"c APPEND x {500}\r\npart")
        self.assertGreaterEqual(time.monotonic() - began, GRACE_SECONDS - 0.5)
        self.assertTrue(poll(lambda: not alive(pid), STOP_SECONDS))
        self.assertIn(" closed_by=shutdown ", daemon.log_text())
        self.assertEqual(daemon.defects(), [])

    def test_again(self) -> None:
        """Asked once more to end, it goes on ending: the grace holds, and nothing is broken."""
        daemon = self.serve(shutdown_grace=f"{GRACE_SECONDS}s")
        client = greeted(self.port)[0]
        stream = self.joined(client)
        # Two at once, and more of them later.
        for number in (signal.SIGTERM, signal.SIGTERM):
            daemon.signal(number)
        self.assertTrue(poll(lambda: not is_open(self.port), PATIENCE_SECONDS))
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon.signal(number)
        daemon.await_log("asked to end again")
        self.still_joined(client, stream)
        self.assertEqual(read_all(client), b"")
        self.assertEqual(daemon.status(), -signal.SIGTERM)
        self.assertEqual(daemon.defects(), [])
        self.assertNotIn("ReactorNotRunning", daemon.log_text() + daemon.words())

    def test_grace_is_an_upper_bound(self) -> None:
        """When the last joined session ends by itself, so does the process."""
        daemon = self.serve(shutdown_grace="10m")
        client = greeted(self.port)[0]
        self.joined(client)
        pid = daemon.pid
        daemon.signal(signal.SIGTERM)
        self.assertTrue(poll(lambda: not is_open(self.port), PATIENCE_SECONDS))
        self.assertTrue(alive(pid))
        client.close()
        self.assertTrue(poll(lambda: not alive(pid), STOP_SECONDS))

    def test_tls(self) -> None:
        """A joined TLS stream ends by close_notify: its client knows that nothing was cut off."""
        port, certificate = free_ports(1)[0], self.certificate()
        more = listener(port, tls="implicit") + tls_files(certificate)
        daemon = self.serve(more, shutdown_grace="500ms")
        client = tls_client(port, certificate)
        read_until(client, b"\r\n")
        stream = self.joined(client)
        daemon.signal(signal.SIGTERM)
        # With suppress_ragged_eofs off, an end without close_notify raises.
        self.assertEqual(read_all(client), b"")
        self.assertTrue(stream.ended.wait(PATIENCE_SECONDS))
        self.assertEqual(stream.arrived, b"")


class HupTests(SignalCase):
    """SIGHUP."""

    def test_mapping_file(self) -> None:
        """It is read anew; a broken one is named, file and line, and the old content stays."""
        daemon = self.serve()
        client = greeted(self.port)[0]
        stream = self.joined(client)
        routes = daemon.folder / "routes"
        self.assertIn(b"at east", login(self.port))
        routes.write_text(f"{ALICE} west\n")
        self.assertIn(b"at east", login(self.port), "only a signal has it read")
        daemon.reload()
        self.assertIn(b"at west", login(self.port))
        routes.write_text(f"bob@example.org east\n{ALICE} nowhere\n")
        daemon.reload()
        self.assertIn("routes:2: ", daemon.log_text())
        self.assertIn(b"at west", login(self.port))
        self.assertNotIn(b" OK ", login(self.port, "bob@example.org"))
        routes.unlink()
        daemon.reload()
        self.assertIn(b"at west", login(self.port))
        self.still_joined(client, stream)
        daemon.stop()
        self.assertEqual(daemon.defects(), [])

    def test_cache(self) -> None:
        """Remembered rows and absences expire; such rows serve on while the database fails."""
        engine = engines.postgresql()
        engine.fill({ALICE: "east"})
        mapping = table("mapping", source="sql")
        mapping += table("mapping.sql", url=engine.url, query=engines.QUERY)
        daemon = self.serve(mapping=mapping)
        # Each process remembers for itself.
        for _ in range(VISITS):
            self.assertIn(b"at east", login(self.port))
            self.assertIn(b"a NO [AUTH", login(self.port, "bob@example.org"))
        engine.execute(
            "UPDATE outage_routes SET destination = 'west'",
            "INSERT INTO outage_routes VALUES ('bob@example.org', 'east')",
        )
        self.assertIn(b"at east", login(self.port), "it is remembered")
        daemon.reload()
        for _ in range(VISITS):
            self.assertIn(b"at west", login(self.port))
            self.assertIn(b"at east", login(self.port, "bob@example.org"))
        engine.stop()
        self.addCleanup(engine.start)
        daemon.reload()
        for _ in range(VISITS):
            self.assertIn(b"at west", login(self.port))
        daemon.stop()

    def test_certificates(self) -> None:
        """New handshakes see the new one; a broken one is named and the old one stays."""
        port, first, second = free_ports(1)[0], self.certificate(), self.certificate()
        daemon = self.serve(listener(port, tls="implicit") + tls_files(first))
        client = tls_client(port, first)
        read_until(client, b"\r\n")
        stream = self.joined(client)
        shutil.copy(second.key, first.key)
        daemon.reload()
        self.assertIn(f"{first.key}: holds no PEM key, or not the one of", daemon.log_text())
        self.assertRegex(daemon.log_text(), "; the old (certificates stay|content stays)")
        self.assertNotIn("certificates read", daemon.log_text())
        tls_client(port, first).close()
        shutil.copy(second.cert, first.cert)
        daemon.reload()
        tls_client(port, second).close()
        self.still_joined(client, stream)
        daemon.stop()

    def test_under_load(self) -> None:
        """Nobody notices: every login gets its own server, no session ends."""
        daemon = self.serve()
        over = threading.Event()
        answers: list[bytes] = []
        faults: list[Exception] = []

        def visit() -> None:
            try:
                while not over.is_set():
                    answers.append(login(self.port))
            except Exception as error:
                faults.append(error)

        idle = greeted(self.port)[0]
        client = greeted(self.port)[0]
        stream = self.joined(client)
        visitors = [threading.Thread(target=visit) for _ in range(4)]
        for visitor in visitors:
            visitor.start()
        # A supervisor starts a process each time.
        for _ in range(10 if WORKERS == 1 else 3):
            seen = len(answers)
            daemon.reload()
            poll(lambda seen=seen: len(answers) > seen + 4, PATIENCE_SECONDS)  # type: ignore[misc]
        over.set()
        for visitor in visitors:
            visitor.join(PATIENCE_SECONDS)
        self.assertEqual(faults, [])
        self.assertGreater(len(answers), 10)
        self.assertEqual([answer for answer in answers if b"at east" not in answer], [])
        self.still_joined(client, stream)
        idle.sendall(f"a LOGIN {ALICE} {PASSWORD}\r\n".encode())
        self.assertIn(b"at east", read_until(idle, b"\r\n"))
        daemon.stop()
        self.assertEqual(daemon.defects(), [])


class LogRotationTests(SignalCase):
    """What logrotate does."""

    def test_moved_away(self) -> None:
        """SIGHUP and SIGUSR1 alike: the log goes on in a new file, and no line is lost."""
        daemon = self.serve()
        for number in (signal.SIGHUP, signal.SIGUSR1):
            old = daemon.log.rename(daemon.folder / f"log.{number}")
            login(self.port)
            self.assertTrue(poll(lambda old=old: ALICE in old.read_text(), PATIENCE_SECONDS))  # type: ignore[misc]
            daemon.signal(number)
            self.assertTrue(poll(daemon.log.exists, PATIENCE_SECONDS))
            # A supervisor passes the new file on to its workers.
            left = poll(lambda old=old: not daemon.has_open(old), PATIENCE_SECONDS)  # type: ignore[misc]
            self.assertTrue(left)
            size = old.stat().st_size
            login(self.port, "nobody@example.org")
            daemon.await_log("user=nobody@example.org")
            self.assertEqual(old.stat().st_size, size)
            self.assertEqual(daemon.log.stat().st_mode & 0o777, 0o640)
        daemon.stop()
        self.assertNotIn("cannot be reopened", daemon.log_text())

    def test_no_new_file(self) -> None:
        """Where no new file can be had, the old one is written on, and it says so."""
        daemon = self.serve()
        # Whoever is answered is so by a process that heeds signals.
        login(self.port)
        old = daemon.log.rename(daemon.folder / "log.1")
        daemon.log.mkdir()
        daemon.signal(signal.SIGUSR1)
        reopening = "the log cannot be reopened"
        self.assertTrue(poll(lambda: reopening in old.read_text(), PATIENCE_SECONDS))
        login(self.port, "bob@example.org")
        self.assertTrue(poll(lambda: "user=bob@example.org" in old.read_text(), PATIENCE_SECONDS))
