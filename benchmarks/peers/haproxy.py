"""HAProxy relaying TCP: it knows nothing of mail and sends every session to one store.

What it costs is a floor for a relay without kernel tricks, not for a mail proxy.
"""

from __future__ import annotations

from benchmarks.peers.contract import Peer, Site, package_version
from benchmarks.processes import Command

_MAIN = """global
    nbthread 1
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
"""


class Haproxy(Peer):
    """HAProxy with one thread."""

    name = "haproxy"
    note = "1 thread, TCP mode: no login, no routing by account"
    packages = ("haproxy",)
    routes = False

    def version(self) -> str:
        """See Peer."""
        return package_version("haproxy")

    def prepare(self, site: Site) -> list[Command]:
        """See Peer."""
        text = _MAIN
        for service in self.services:
            tls = f" ssl crt {site.both}" if service.endswith("s") else ""
            store = site.store_port(0, service.removesuffix("s"))
            text += f"listen {service}\n    bind 127.0.0.1:{site.ports[service]}{tls}"
            text += f" backlog 4096\n    server store 127.0.0.1:{store}\n"
        path = site.write("haproxy.cfg", text)
        return [["/usr/sbin/haproxy", "-W", "-db", "-f", path]]
