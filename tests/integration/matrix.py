"""Two real servers for each protocol behind one mailroute: what the matrix is made of."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeVar

from twisted.trial.unittest import TestCase

from tests.integration import servers
from tests.integration.proxy import MODES, PROTOCOLS, Destination, Proxy, Settings

ALICE, ALICE_SECRET = "alice@example.org", servers.USERS["east"]["alice@example.org"]
BOB, BOB_SECRET = "bob@example.org", servers.USERS["west"]["bob@example.org"]
ODD, ODD_SECRET = "odd@example.org", servers.USERS["east"]["odd@example.org"]
WITNESS, WITNESS_SECRET = "witness@example.org", servers.USERS["east"]["witness@example.org"]
# Nobody logs in by this name: a server that has heard of it was told what it should not be.
UNHEARD, UNHEARD_SECRET = "unheard@example.org", servers.USERS["east"]["unheard@example.org"]
USERS = {ALICE: ("east", ALICE_SECRET), BOB: ("west", BOB_SECRET)}
# A name in one place, an address in the other: the certificates are for both.
HOSTS = {"east": "localhost", "west": "127.0.0.1"}


def endpoints(name: str, mode: str) -> dict[str, tuple[int, str]]:
    """Where the servers called ``east`` or ``west`` are reached in this mode."""
    dovecot, postfix = servers.dovecot(name), servers.postfix(name)
    if mode == "implicit":
        ports = (dovecot.imaps, dovecot.pop3s, postfix.submissions, dovecot.sieves)
    else:
        ports = (dovecot.imap, dovecot.pop3, postfix.submission, dovecot.sieve)
    return {protocol: (port, mode) for protocol, port in zip(PROTOCOLS, ports, strict=True)}


def destination(name: str, mode: str, options: Mapping[str, object] | None = None) -> Destination:
    """The destination ``east`` or ``west``; passwords go without TLS only where it is plain."""
    settings: dict[str, object] = {"tls_ca_file": str(servers.authority().ca_file)}
    if mode == "plain":
        settings["allow_plaintext_auth"] = True
    return Destination(name, endpoints(name, mode), (HOSTS[name],), {**settings, **(options or {})})


def started(settings: Settings) -> Proxy:
    """A running mailroute that lives until the tests end."""
    proxy = Proxy(settings)
    atexit.register(proxy.remove)
    proxy.start()
    return proxy


@cache
def proxy(behind: str) -> Proxy:
    """The mailroute whose backends are all reached in this mode."""
    routes = {user: name for user, (name, _secret) in USERS.items()}
    routes |= {ODD: "east", UNHEARD: "east", WITNESS: "east"}
    return started(Settings(tuple(destination(name, behind) for name in HOSTS), routes))


class ProxyTestCase(TestCase):
    """Tests of a mailroute: whatever they do to it, it must not log a defect of its own."""

    def watch(self, watched: Proxy) -> Proxy:
        """Fail the test if this mailroute reports a defect until its end."""
        known = len(watched.defects())
        self.addCleanup(lambda: self.assertEqual(watched.defects()[known:], []))
        return watched


CaseType = TypeVar("CaseType", bound=ProxyTestCase)


def add_test(case: type[CaseType], name: str, check: Callable[..., None], *arguments: str) -> None:
    """Give the case the test ``test_NAME``, which makes this check with these arguments."""

    def test(self: CaseType) -> None:
        check(self, *arguments)

    test.__doc__ = check.__doc__
    test.__name__ = f"test_{name}"
    test.__qualname__ = f"{case.__name__}.{test.__name__}"
    setattr(case, test.__name__, test)


def every_mode(check: Callable[..., None], case: type[ProxyTestCase]) -> None:
    """Give the case one test for each protocol, mode in front and mode behind."""
    for protocol in PROTOCOLS:
        for front in MODES:
            for behind in MODES:
                name = f"{protocol}_{front}_in_front_{behind}_behind"
                add_test(case, name, check, protocol, front, behind)
