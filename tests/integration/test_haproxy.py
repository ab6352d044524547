"""A real HAProxy in front of mailroute: whose address the log has."""

from __future__ import annotations

import atexit
import shutil
import socket
import tempfile
from functools import cache
from pathlib import Path

from tests.integration.clients import connected, trust
from tests.integration.matrix import ProxyTestCase, destination, started
from tests.integration.proxy import Proxy, Settings, front_certificate
from tests.support.installed import require
from tests.support.ports import LOOPBACK, free_ports
from tests.support.processes import ServerProcess

CLIENT = "127.0.0.5"
"""Another address of this machine's than HAProxy's own."""

_SETTINGS = """
global
  maxconn 100
defaults
  mode tcp
  timeout connect 10s
  timeout client 60s
  timeout server 60s
"""
_WAYS = {
    "v1": "send-proxy",
    "v2": "send-proxy-v2 proxy-v2-options crc32c",
    "v2-ssl": "send-proxy-v2-ssl-cn proxy-v2-options unique-id,authority,ssl,cert-cn",
    "checked": "send-proxy-v2 check check-send-proxy inter 1s",
}
_LISTEN = """
listen {name}
  bind {host}:{port} {secure}
  bind [::1]:{port} {secure}
  unique-id-format haproxy-%rt
  server mailroute {host}:{target} {way}
"""


class HAProxy:
    """One HAProxy with a port for each way to tell who the client is."""

    def __init__(self, front: Proxy) -> None:
        require("haproxy", ("/usr/sbin/haproxy",), "haproxy")
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-haproxy-"))
        self.ports = dict(zip(_WAYS, free_ports(len(_WAYS)), strict=True))
        issued = front_certificate()
        pem = self.folder / "front.pem"
        pem.write_bytes(issued.cert.read_bytes() + issued.key.read_bytes())
        text = _SETTINGS
        for name, way in _WAYS.items():
            # Where HAProxy ends the client's TLS its header tells of it.
            secure = f"ssl crt {pem}" if name == "v2-ssl" else ""
            mode = "implicit" if name == "v2" else "plain"
            text += _LISTEN.format(
                name=name,
                host=LOOPBACK,
                port=self.ports[name],
                secure=secure,
                target=front.ports["imap", mode],
                way=way,
            )
        (self.folder / "haproxy.cfg").write_text(text)
        command = ["/usr/sbin/haproxy", "-db", "-f", str(self.folder / "haproxy.cfg")]
        log = self.folder / "log"
        self._process = ServerProcess(command, list(self.ports.values()), log)
        self._process.start()

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self._process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def front() -> Proxy:
    """The mailroute behind it."""
    listener = {"proxy_protocol": "required", "proxy_trusted": [f"{LOOPBACK}/32"]}
    return started(Settings((destination("east", "implicit"),), listener=listener))


@cache
def haproxy() -> HAProxy:
    """The running HAProxy."""
    made = HAProxy(front())
    atexit.register(made.remove)
    return made


class HAProxyTests(ProxyTestCase):
    """Connections from 127.0.0.5 and ::1, through HAProxy at 127.0.0.1."""

    def setUp(self) -> None:
        self.ports = haproxy().ports
        self.front = self.watch(front())

    def visit(self, way: str, client: str, is_secure: bool = False) -> dict[str, object]:
        """Greeted, and gone again; returns the session's fields in mailroute's log."""
        sock = connected(self.ports[way], LOOPBACK if client == CLIENT else client, client)
        if is_secure:
            sock = trust().wrap_socket(sock, server_hostname="localhost")
        with sock, sock.makefile("rb") as stream:
            address = sock.getsockname()
            greeting = stream.readline()
            self.assertTrue(greeting.startswith(b"* OK "), greeting)
            sock.sendall(b"a LOGOUT\r\n")
            self.assertIn(b"a OK Logout", stream.read())
        shown = f"[{address[0]}]:{address[1]}" if ":" in client else f"{client}:{address[1]}"
        return self.front.wait_for("session", client=shown)

    def test_version_1(self) -> None:
        """Both families."""
        for client in (CLIENT, "::1"):
            self.assertEqual(self.visit("v1", client)["closed_by"], "logout")

    def test_version_2(self) -> None:
        """Both families, with a checksum, and mailroute's own TLS behind the header."""
        for client in (CLIENT, "::1"):
            record = self.visit("v2", client, is_secure=True)
            self.assertEqual(record["tls"], "TLSv1.3")

    def test_tlvs(self) -> None:
        """What HAProxy tells of the TLS that it ends, of names and ids, is skipped."""
        self.visit("v2-ssl", CLIENT, is_secure=True)

    def test_health_checks(self) -> None:
        """HAProxy's own connections (LOCAL) are served under its own address, and no others."""

        def checks() -> list[object]:
            records = self.front.events("session")
            own = [each for each in records if str(each["client"]).startswith(f"{LOOPBACK}:")]
            return [each for each in own if each["closed_by"] != "proxy-header"]

        self.front.wait_until(lambda: len(checks()) >= 3)
        # It is still taken for alive.
        self.visit("checked", CLIENT)

    def test_past_it(self) -> None:
        """Whoever comes from elsewhere is not served, whatever header he sends."""
        with connected(self.front.ports["imap", "plain"], source=CLIENT) as sock:
            sock.sendall(b"PROXY TCP4 192.0.2.66 127.0.0.1 1 143\r\n")
            self.assertEqual(self._rest(sock), b"")
            address = f"{CLIENT}:{sock.getsockname()[1]}"
        record = self.front.wait_for("session", client=address)
        self.assertEqual(record["closed_by"], "proxy-header")
        self.assertEqual(self.front.events("session", client="192.0.2.66:1"), [])

    @staticmethod
    def _rest(sock: socket.socket) -> bytes:
        try:
            return sock.recv(1000)
        except ConnectionError:
            return b""
