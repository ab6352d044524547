"""``[server]``"""

from __future__ import annotations

import socket

from mailroute.config.model import Server
from tests.config.reading import ConfigurationCase


class ServerTests(ConfigurationCase):
    """The process as a whole."""

    def server(self, text: str) -> Server:
        return self.read_sections(server=f"[server]\n{text}\n").server

    def test_defaults(self) -> None:
        """What a file without [server] gets; the name is the machine's."""
        self.patch(socket, "getfqdn", lambda: "machine.example.org")
        expected = Server("machine.example.org", 0, None, None, 30, 1860, 10, 1, 2, "info", "text")
        self.assertEqual(self.read_sections(server="").server, expected)

    def test_all(self) -> None:
        """Every key reaches its field."""
        server = self.server(
            'hostname = "a.example"\nworkers = 1\nuser = "root"\ngroup = "root"\n'
            'shutdown_grace = "1s"\nbridge_idle = "40m"\nbackend_timeout = "3s"\n'
            'backend_connect_retries = 0\nauth_failure_delay = "0s"\n'
            'log_level = "debug"\nlog_format = "json"'
        )
        expected = Server("a.example", 1, "root", "root", 1, 2400, 3, 0, 0, "debug", "json")
        self.assertEqual(server, expected)

    def test_workers(self) -> None:
        """A number of processes; threads is the same key."""
        self.assertEqual(self.server("threads = 1").workers, 1)
        self.assertEqual(self.server("workers = 1024").workers, 1024)
        for number in (-1, 1025):
            text = f"[server]\nworkers = {number}\n"
            self.complains("server.workers", "whole number", server=text)

    def test_inert_defaults(self) -> None:
        """Keys of later features are accepted where they change nothing."""
        self.server(
            'host_down_threshold = 5\nhost_down_min_clients = 2\nhost_down_cooldown = "30000ms"'
        )
        text = "[server]\nhost_down_threshold = 6\n"
        self.complains("server.host_down_threshold", "not supported yet", server=text)

    def test_proxy_ttl(self) -> None:
        """Seven proxies behind us, unless said otherwise; one at least."""
        self.assertEqual(self.server("").proxy_ttl, 7)
        self.assertEqual(self.server("proxy_ttl = 1").proxy_ttl, 1)
        self.complains("server.proxy_ttl", server="[server]\nproxy_ttl = 0\n")

    def test_short_idle(self) -> None:
        """RFC 9051 section 5.4: a client may be silent for 30 minutes."""
        self.assertEqual(self.read_sections(server='[server]\nbridge_idle = "30m"\n').warnings, ())
        self.warns("server.bridge_idle", "30m", server='[server]\nbridge_idle = "1799s"\n')

    def test_unknown_user(self) -> None:
        """Who cannot be become is a complaint before anything is served."""
        absent = "no-such-name-here"
        self.complains("server.user", absent, server=f'[server]\nuser = "{absent}"\n')
        self.complains("server.group", absent, server=f'[server]\ngroup = "{absent}"\n')

    def test_hostname(self) -> None:
        """The name goes into greetings: nothing that could end a line."""
        self.complains("server.hostname", server='[server]\nhostname = "a b"\n')
        self.complains("server.hostname", server='[server]\nhostname = "a\\r\\nb"\n')
