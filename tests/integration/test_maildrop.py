"""POP3's lock of a maildrop (RFC 1939 section 8), which outlives no client.

A client whose connection broke comes back at once: its mailbox must be free as soon as the backend
has seen the end, and must not read as a wrong password until then.
"""

from __future__ import annotations

import atexit
import socket
from functools import cache

from mailroute.net.joint import HALF_CLOSED_SECONDS
from tests.integration import servers
from tests.integration.clients import Answer, Wire
from tests.integration.dovecot import Dovecot, Options
from tests.integration.matrix import ProxyTestCase, started
from tests.integration.proxy import Destination, Proxy, Settings
from tests.support.ports import poll

SECRET = "locked-secret"
MODES = ("plain", "implicit")
"""In front and behind; the users are named after them."""
SECONDS = 60


@cache
def front() -> Proxy:
    """The mailroute before a Dovecot that gives a mailbox to one session at a time."""
    users = {f"{mode}@example.org": SECRET for mode in MODES}
    extra = "protocol pop3 {\n  pop3_lock_session = yes\n}\n"
    server = Dovecot("locking", users, servers.authority(), Options(extra=extra))
    atexit.register(server.remove)
    server.start()
    ports = {"plain": server.pop3, "implicit": server.pop3s}
    trust = {"tls_ca_file": str(servers.authority().ca_file), "allow_plaintext_auth": True}
    places = tuple(
        Destination(mode, {"pop3": (ports[mode], mode)}, options=trust) for mode in MODES
    )
    # Dovecot waits for its lock for some time before it gives up.
    patience = {"backend_timeout": "60s"}
    return started(
        Settings(places, {f"{mode}@example.org": mode for mode in MODES}, server=patience)
    )


class LockTests(ProxyTestCase):
    """One session has the mailbox, another one wants it."""

    timeout = 600

    def test_free_behind_tls(self) -> None:
        """A client without TLS that is gone leaves none behind at a backend with TLS either."""
        first = self.wire("plain")
        self.assertTrue(self.log_in(first, "implicit").is_accepted)
        first.close()
        ended = front().wait_for("session", client=first.origin, closed_by="client")
        self.assertLess(float(ended["seconds"]), HALF_CLOSED_SECONDS / 2)
        self.assertTrue(self.log_in(self.wire("plain"), "implicit").is_accepted)

    def test_last_reply_from_behind_tls(self) -> None:
        """QUIT and the end of a client's speech at once: the reply still comes."""
        wire = self.wire("plain")
        self.assertTrue(self.log_in(wire, "implicit").is_accepted)
        wire.say("QUIT")
        wire.socket.shutdown(socket.SHUT_WR)
        self.assertTrue(wire.rest().startswith(b"+OK"))

    def wire(self, mode: str) -> Wire:
        """A greeted client."""
        wire = Wire("pop3", self.watch(front()).ports["pop3", mode], mode)
        self.addCleanup(wire.close)
        return wire

    def log_in(self, wire: Wire, mode: str) -> Answer:
        """A login; behind it the mailbox is locked."""
        return wire.log_in(f"{mode}@example.org", SECRET)

    def test_locked(self) -> None:
        """The second login hears the backend's own words, and may try again when QUIT was said."""
        first, second = self.wire("plain"), self.wire("plain")
        self.assertTrue(self.log_in(first, "plain").is_accepted)
        answer = self.log_in(second, "plain")
        self.assertEqual((answer.is_accepted, answer.code), (False, "IN-USE"), answer)
        refused = front().wait_for("login-failed", client=second.origin)
        self.assertEqual(refused["reason"], "backend-busy")
        # The reply to QUIT is the backend's: the lock is gone when it is there.
        self.assertTrue(first.ask("QUIT").startswith("+OK"))
        self.assertTrue(self.log_in(second, "plain").is_accepted)

    def test_free_after_a_departure(self) -> None:
        """A client that is gone without QUIT holds no lock: its backend's connection has ended."""
        for mode in MODES:
            first = self.wire(mode)
            self.assertTrue(self.log_in(first, mode).is_accepted)
            first.close()
            front().wait_for("session", client=first.origin, closed_by="client")
            again = self.wire(mode)
            self.assertTrue(
                poll(lambda a=again, m=mode: self.log_in(a, m).is_accepted, SECONDS), mode
            )
