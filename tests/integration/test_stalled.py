"""A reader that stalls: the other side is made to wait, and mailroute holds next to nothing.

No real server sends without an end, so the backend is one of the tests' own.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from functools import cache

from tests.integration import servers
from tests.integration.clients import Wire
from tests.integration.matrix import ProxyTestCase, add_test, started
from tests.integration.proxy import Destination, Proxy, Settings
from tests.integration.scripted import ScriptedBackend, Talk, accept_login

BLOCK_OCTETS = 65536
BLOCKS = 200 * 1024 * 1024 // BLOCK_OCTETS
GROWTH_LIMIT_KIB = 8 * 1024
STALL_SECONDS = 1.0
# Mode in front and mode behind: the kernel's engine, and the pump with one and two TLS legs.
KINDS = (("plain", "plain"), ("implicit", "implicit"), ("implicit", "plain"))


def blocks() -> Iterator[bytes]:
    """200 MB, no two blocks alike."""
    noise = os.urandom(BLOCK_OCTETS - 8) if not _NOISE else _NOISE[0]
    _NOISE[:] = [noise]
    for number in range(BLOCKS):
        yield number.to_bytes(8, "big") + noise


_NOISE: list[bytes] = []


@cache
def checksum() -> str:
    """Of all blocks."""
    digest = hashlib.blake2b()
    for block in blocks():
        digest.update(block)
    return digest.hexdigest()


class Sender:
    """Sends all blocks, and tells how far it has come."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, connection: socket.socket) -> None:
        """Send."""
        for block in blocks():
            connection.sendall(block)
            self.sent += len(block)

    def wait_until_stalled(self) -> None:
        """Return when nothing has moved for a while."""
        before = -1
        while before != self.sent or not self.sent:
            before = self.sent
            time.sleep(STALL_SECONDS)


def receive(connection: socket.socket) -> str:
    """Read as many octets as were sent; return their checksum."""
    digest = hashlib.blake2b()
    buffer = memoryview(bytearray(BLOCK_OCTETS))
    left = BLOCKS * BLOCK_OCTETS
    while left:
        count = connection.recv_into(buffer[: min(left, len(buffer))])
        if not count:
            raise EOFError(f"{left} octets are missing")
        digest.update(buffer[:count])
        left -= count
    return digest.hexdigest()


@cache
def backends() -> dict[str, ScriptedBackend]:
    """One backend for each mode behind."""
    certificate = servers.authority().issue("scripted")
    return {
        "plain": ScriptedBackend(accept_login),
        "implicit": ScriptedBackend(accept_login, certificate),
    }


@cache
def front() -> Proxy:
    """The mailroute before them; the users are named after the mode behind."""
    options = {"allow_plaintext_auth": True, "tls_ca_file": str(servers.authority().ca_file)}
    places = tuple(
        Destination(mode, {"imap": (backend.port, mode)}, options=options)
        for mode, backend in backends().items()
    )
    return started(Settings(places, {mode: mode for mode in backends()}))


class StalledTests(ProxyTestCase):
    """Memory grows by less than 8 MB while 200 MB wait; then every octet arrives."""

    def join(self, ahead: str, behind: str) -> Wire:
        """A client that has logged in."""
        proxy = self.watch(front())
        wire = Wire("imap", proxy.ports["imap", ahead], ahead)
        self.addCleanup(wire.close)
        self.assertTrue(wire.log_in(behind, "secret").is_accepted)
        return wire

    def check_growth(self, before_kib: int) -> None:
        """The peak since then is below the limit."""
        growth = front().reading().peak_kib - before_kib
        self.assertLess(growth, GROWTH_LIMIT_KIB)


def to_client(self: StalledTests, ahead: str, behind: str) -> None:
    """The client does not read what the backend sends."""
    sender, done = Sender(), threading.Event()

    def script(talk: Talk) -> None:
        accept_login(talk)
        talk.line()
        sender.send(talk.socket)
        done.wait()

    backends()[behind].script = script
    self.addCleanup(done.set)
    wire = self.join(ahead, behind)
    before = front().forget_peak().peak_kib
    wire.say("a FETCH")
    sender.wait_until_stalled()
    self.assertLess(sender.sent, BLOCKS * BLOCK_OCTETS)
    self.check_growth(before)
    self.assertEqual(receive(wire.socket), checksum())
    self.check_growth(before)


def from_client(self: StalledTests, ahead: str, behind: str) -> None:
    """The backend does not read what the client sends."""
    go_on, received = threading.Event(), list[str]()

    def script(talk: Talk) -> None:
        accept_login(talk)
        go_on.wait()
        received.append(receive(talk.socket))
        talk.say(b"a OK received\r\n")

    backends()[behind].script = script
    self.addCleanup(go_on.set)
    wire = self.join(ahead, behind)
    before = front().forget_peak().peak_kib
    sender = Sender()
    sending = threading.Thread(target=sender.send, args=(wire.socket,), daemon=True)
    sending.start()
    sender.wait_until_stalled()
    self.assertLess(sender.sent, BLOCKS * BLOCK_OCTETS)
    self.check_growth(before)
    go_on.set()
    sending.join()
    self.assertEqual(wire.line(), "a OK received")
    self.assertEqual(received, [checksum()])
    self.check_growth(before)


for _ahead, _behind in KINDS:
    add_test(StalledTests, f"to_client_{_ahead}_{_behind}", to_client, _ahead, _behind)
    add_test(StalledTests, f"from_client_{_ahead}_{_behind}", from_client, _ahead, _behind)
