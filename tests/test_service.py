"""The service: bind, serve, reload, drain.  It listens at Unix sockets in the test's folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from mailroute import privileges
from mailroute import service as composed
from mailroute.config.reader import read
from mailroute.errors import ConfigurationError
from mailroute.net.acceptor import Acceptor
from mailroute.route import Trust
from mailroute.service import MailrouteService
from mailroute.tables.cached import NOT_CACHED
from mailroute.tables.contract import Key, Row
from mailroute.tables.file import FileTable
from mailroute.tables.sql_table import SqlTable
from tests.integration.certificates import Authority
from tests.support.backends import House
from tests.support.local_reactor import LocalCase, open_descriptors
from tests.support.peers import DELAY_SECONDS, EAST, WEST
from tests.support.threads import HeldThreads
from tests.test_session import JOINED, UNKNOWN

CONFIGURATION = """
[server]
hostname = "mail.example.org"
shutdown_grace = "30s"
{server}

[listener.imap]
protocol = "imap"
bind = [{binds}]
tls = "starttls"
max_connections = 100

[destination.east]
host = "192.0.2.1"
allow_plaintext_auth = true
[destination.east.protocol.imap]
port = 143
tls = "plain"

[destination.west]
host = "192.0.2.2"
allow_plaintext_auth = true
{west}
[destination.west.protocol.imap]
port = 143
tls = "plain"

[mapping]
source = "file"
[mapping.file]
path = "routes"

[tls.certificate.main]
cert = "main.pem"
key = "main.key"

[capabilities.imap]
allow_plain_auth_without_tls = true
"""


class Client:
    """A client at a Unix socket, by hand."""

    def __init__(self, reactor: Any, path: str) -> None:
        self._reactor = reactor
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.setblocking(False)

    def say(self, data: bytes) -> None:
        """Send, and let it have its effect."""
        self.sock.sendall(data)
        self._reactor.settle()

    def take(self) -> bytes:
        """What was said since the last time."""
        self._reactor.settle()
        heard = b""
        try:
            while data := self.sock.recv(65536):
                heard += data
        except BlockingIOError:
            return heard
        return heard + b"<end>"


class ServiceCase(LocalCase):
    """A service, its files, and two houses behind it."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.authority = Authority(self.folder)
        self.authority.issue("main")
        (self.folder / "routes").write_text("alice east\n")
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.east, self.west = (House({"alice": b"secret"}) for _ in range(2))
        self.reactor.listening.update({EAST: self.east.accept, WEST: self.west.accept})
        # This process' own limits and signals stay as they are.
        self.patch(privileges, "raise_descriptor_limit", lambda: 1128)
        self.patch(privileges, "forbid_core_dumps", lambda: None)
        for number in (signal.SIGHUP, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def place(self, name: str = "imap") -> str:
        return str(self.folder / name)

    def make(self, *places: str, server: str = "", west: str = "") -> MailrouteService:
        """A service that is to listen at these places."""
        binds = ", ".join(f'"unix:{place}"' for place in places or (self.place(),))
        path = self.folder / "mailroute.toml"
        path.write_text(CONFIGURATION.format(binds=binds, server=server, west=west))
        path.chmod(0o640)
        return MailrouteService(read(str(path), environment={}), self.reactor)

    def start(self, **changes: str) -> MailrouteService:
        """A service that serves; it is stopped with the test."""
        self.service = self.make(**changes)
        self.service.startService()
        self.addCleanup(self.stop_whatever_happens)
        return self.service

    def stop_whatever_happens(self) -> None:
        if self.service.running:
            self.service.stopService()
            self.advance(120)

    def client(self, name: str = "imap") -> Client:
        """A client that was greeted."""
        client = Client(self.reactor, self.place(name))
        self.addCleanup(client.sock.close)
        self.assertTrue(client.take().startswith(b"* OK "))
        return client

    def log_in(self, client: Client, name: bytes = b"alice") -> bytes:
        """The answer to a login."""
        client.say(b"a LOGIN " + name + b" secret\r\n")
        if not (answer := client.take()):
            self.advance(DELAY_SECONDS)
            answer = client.take()
        return answer

    def said(self, level: str) -> list[str]:
        """What the log was told at this level."""
        found = [e for e in self.events if e.get("log_level") and e["log_level"].name == level]
        return [str(event["log_format"]).format(**event) for event in found]


class StartTests(ServiceCase):
    """All sockets or none, then sessions."""

    def test_serves(self) -> None:
        """A login through it reaches the account's server."""
        self.start()
        client = self.client()
        self.assertEqual(self.log_in(client), JOINED)
        client.say(b"b NOOP\r\n")
        self.assertEqual(self.east.last.joined, b"b NOOP\r\n")
        self.assertEqual(self.log_in(self.client(), b"carol"), UNKNOWN)

    def test_addresses(self) -> None:
        """Every address, in the configuration's order; all of them are served."""
        places = [self.place(name) for name in ("b", "a")]
        self.service = service = self.make(*places)
        service.startService()
        self.addCleanup(self.stop_whatever_happens)
        names = [address.name for address in service.addresses]
        self.assertEqual(names, [place.encode() for place in places])
        for name in ("a", "b"):
            self.client(name)

    def test_bound_once(self) -> None:
        """twistd binds before it drops privileges, and starts afterwards."""
        service = self.make()
        service.privilegedStartService()
        service.privilegedStartService()
        service.startService()
        self.service = service
        self.addCleanup(self.stop_whatever_happens)
        self.assertEqual(len(service.addresses), 1)

    def test_all_or_none(self) -> None:
        """One place that cannot be had: it is named, and the others are given up."""
        (self.folder / "taken").write_text("a file")
        service = self.make(self.place(), self.place("taken"))
        before = open_descriptors()
        error = self.assertRaises(OSError, service.privilegedStartService)
        self.assertIn(f"listener.imap: cannot listen at unix:{self.place('taken')}", str(error))
        self.assertEqual(open_descriptors(), before)
        with socket.socket(socket.AF_UNIX) as client:
            self.assertRaises(ConnectionRefusedError, client.connect, self.place())

    def test_rights_are_dropped_after_binding(self) -> None:
        """Low ports are bound with all rights; nothing is served with them, nor with core files."""
        order = []
        self.patch(privileges, "drop", lambda ids: order.append("dropped"))
        self.patch(privileges, "forbid_core_dumps", lambda: order.append("no cores"))
        service = self.make()
        bind, accept = service._bind, Acceptor
        self.patch(service, "_bind", lambda where: order.append("bound") or bind(where))
        self.patch(composed, "Acceptor", lambda *args: order.append("served") or accept(*args))
        self.service = service
        service.startService()
        self.addCleanup(self.stop_whatever_happens)
        self.assertEqual(order, ["bound", "dropped", "no cores", "served"])

    def test_trust_is_read_before_rights_are_dropped(self) -> None:
        """A key for backends may be root's alone, as ours for clients."""
        path = Path(self.authority.issue("client").key)
        self.patch(privileges, "drop", lambda ids: path.unlink())
        files = f'tls_client_cert = "client.pem"\ntls_client_key = "{path.name}"'
        service = self.start(west=files)
        trust = Trust(client_certificate=str(self.folder / "client.pem"), client_key=str(path))
        service._connector.contexts.side(trust, "192.0.2.2")
        self.assertEqual(self.said("error"), [])

    def test_trust_that_has_gone_since_the_check(self) -> None:
        """It is said at once, and costs nobody else anything."""
        self.service = self.make(west='tls_ca_file = "ca.pem"')
        self.authority.ca_file.unlink()
        self.service.startService()
        self.addCleanup(self.stop_whatever_happens)
        (error,) = self.said("error")
        self.assertIn("destination.west: ", error)
        self.assertIn("ca.pem: holds no PEM", error)
        self.assertEqual(self.log_in(self.client()), JOINED)

    def test_crowded(self) -> None:
        """Fewer descriptors than the listeners promise are told at the start."""
        self.patch(privileges, "raise_descriptor_limit", lambda: 148)
        self.start()
        self.assertIn(
            "room for 10 sessions only, while the listeners allow 100", self.said("warn")[0]
        )

    def test_stale_socket_is_replaced(self) -> None:
        """The next start takes the place of a service that was killed."""
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(self.place())
        self.start()
        self.client()

    def test_leaves_no_socket(self) -> None:
        """A service that ends takes its sockets with it."""
        self.start()
        self.service.stopService()
        self.settle()
        self.assertFalse(os.path.exists(self.place()))


class CheckTests(ServiceCase):
    """What is wrong is said before anything is served."""

    def test_warnings(self) -> None:
        """The configuration's own warnings are passed on, and nothing else is said."""
        service = self.make(server='bridge_idle = "1m"')
        warnings = service.check()
        self.assertEqual(warnings, list(service._configuration.warnings))
        self.assertEqual(len([text for text in warnings if "server.bridge_idle" in text]), 1)

    def test_sources(self) -> None:
        """An address to connect from that this machine has not, now."""
        warnings = self.make(west='source_ips = ["192.0.2.77"]').check()
        (warning,) = (text for text in warnings if "source_ips" in text)
        self.assertIn("destination.west.source_ips: 192.0.2.77 is no address", warning)

    def test_trust(self) -> None:
        """A file by which a backend is to be trusted, and that cannot be."""
        (self.folder / "ca.pem").write_text("no certificate")
        service = self.make(west='tls_ca_file = "ca.pem"')
        error = self.assertRaises(ConfigurationError, service.check)
        (complaint,) = error.complaints
        self.assertIn("destination.west: ", complaint)
        self.assertIn("ca.pem: holds no PEM certificates", complaint)

    def test_tables(self) -> None:
        """A table that cannot be made, though no login asks it."""
        service = self.make(server='[table.odd]\ntype = "regexp"\nregexp = "("')
        error = self.assertRaises(ConfigurationError, service.check)
        self.assertIn("table.odd: ", error.complaints[0])

    def test_certificate(self) -> None:
        """A certificate of ours that cannot be used."""
        (self.folder / "main.key").write_text("no key")
        error = self.assertRaises(ConfigurationError, self.make)
        self.assertIn("tls.certificate: ", error.complaints[0])


class ReloadTests(ServiceCase):
    """SIGHUP: files are read again, and what is broken keeps its old content."""

    def move(self, where: str) -> None:
        (self.folder / "routes").write_text(f"alice {where}\n")

    def test_mapping(self) -> None:
        """An account is found where the file now says, and the old answer is forgotten."""
        service = self.start()
        self.assertEqual(self.log_in(self.client()), JOINED)
        self.move("west")
        self.assertEqual(self.log_in(self.client()), JOINED)
        self.assertEqual((len(self.east.visits), len(self.west.visits)), (2, 0))
        service.reload()
        self.assertEqual(self.log_in(self.client()), JOINED)
        self.assertEqual((len(self.east.visits), len(self.west.visits)), (2, 1))
        (words,) = [text for text in self.said("info") if "reloaded" in text]
        self.assertEqual(words, "reloaded: cache expired, mapping file read, certificates read")

    def test_changed_source(self) -> None:
        """What the source says may be another now: nothing that was looked up counts any more."""
        told: list[Callable[[], None]] = []
        self.patch(FileTable, "watch", lambda _table, changed: told.append(changed))
        service = self.start()
        self.assertEqual(self.log_in(self.client()), JOINED)
        self.assertEqual(service._cache.peek(Key("alice")), Row("east"))
        (changed,) = told
        changed()
        self.assertIs(service._cache.peek(Key("alice")), NOT_CACHED)

    def test_long_file(self) -> None:
        """Until the file is read the old content serves, and is forgotten then."""
        service = self.start()
        threads = HeldThreads()
        self.patch(self.reactor, "getThreadPool", lambda: threads)
        self.move("west")
        service.reload()
        self.assertEqual(self.log_in(self.client()), JOINED)
        self.assertEqual((len(self.east.visits), len(self.west.visits)), (1, 0))
        self.assertEqual([text for text in self.said("info") if "reloaded" in text], [])
        threads.begin()
        self.assertEqual(self.log_in(self.client()), JOINED)
        self.assertEqual((len(self.east.visits), len(self.west.visits)), (1, 1))

    def test_database(self) -> None:
        """Where there is no mapping file, none is said to have been read."""
        service = self.start()
        self.patch(service, "_source", SqlTable.__new__(SqlTable))
        renewed = Deferred.fromCoroutine(service.renew())
        self.assertEqual(self.successResultOf(renewed), "cache expired, certificates read")

    def test_broken_mapping(self) -> None:
        """A destination that does not exist: an error in the log, and the old routes."""
        service = self.start()
        self.move("nowhere")
        service.reload()
        self.assertEqual(self.log_in(self.client()), JOINED)
        (error,) = self.said("error")
        self.assertIn("nowhere", error)
        self.assertTrue(error.endswith("the old content stays"))
        self.assertIn("expired, the old mapping stays, certificates read", self.said("info")[-1])

    def test_broken_certificate(self) -> None:
        """The old certificate stays, and the mapping is read all the same."""
        service = self.start()
        (self.folder / "main.key").write_text("no key")
        self.move("west")
        service.reload()
        self.settle()
        (error,) = self.said("error")
        self.assertTrue(error.endswith("the old certificates stay"))
        self.assertIn("mapping file read, the old certificates stay", self.said("info")[-1])
        self.assertEqual(self.log_in(self.client()), JOINED)
        self.assertEqual(len(self.west.visits), 1)

    def test_broken_trust(self) -> None:
        """Backends are trusted by what the file said before."""
        service = self.start(west='tls_ca_file = "ca.pem"')
        self.authority.ca_file.write_text("half written")
        service.reload()
        self.settle()
        (error,) = self.said("error")
        self.assertIn("ca.pem: holds no PEM certificates", error)
        self.assertTrue(error.endswith("the old content stays"))
        self.assertTrue(self.said("info")[-1].endswith("the old trust in backends stays"))
        trust = Trust(ca_file=str(self.authority.ca_file))
        service._connector.contexts.side(trust, "192.0.2.2")

    def test_signal(self) -> None:
        """SIGHUP does it, and ends no session."""
        self.start()
        client = self.client()
        self.assertEqual(self.log_in(client), JOINED)
        self.move("west")
        os.kill(os.getpid(), signal.SIGHUP)
        self.settle()
        self.assertEqual(self.log_in(self.client()), JOINED)
        self.assertEqual(len(self.west.visits), 1)
        client.say(b"still here")
        self.assertEqual(self.east.last.joined, b"still here")

    def test_log(self) -> None:
        """SIGUSR1 has the log reopened; where it cannot be, it goes on, and says so."""
        service = self.start()
        reopened: list[int] = []
        service.reopen_log = lambda: reopened.append(1)
        os.kill(os.getpid(), signal.SIGUSR1)
        self.settle()
        self.assertEqual(reopened, [1])

        def refuse() -> None:
            raise OSError(13, "Permission denied")

        service.reopen_log = refuse
        service.rotate_log()
        self.assertIn("the log cannot be reopened", self.said("error")[0])
