"""What is measured, and with whom."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.scenarios.contract import Scenario
from benchmarks.scenarios.fairness import Fairness
from benchmarks.scenarios.logins import Logins
from benchmarks.scenarios.memory import Idle, Longevity
from benchmarks.scenarios.scaling import Scaling
from benchmarks.scenarios.streams import Chat, Messages

PEERS = ("nginx", "mailroute", "dovecot", "perdition", "haproxy")
OURS = "mailroute"
REFERENCE = "nginx"
_TWO = (REFERENCE, OURS)
_GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Group:
    """Scenarios that share started peers; a round is all of them with each peer."""

    name: str
    peers: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    fresh: bool = False
    """Peers are started for each run, since it is their memory or their start that counts."""
    most_rounds: int = 1000
    """For what takes long and varies little."""


GROUPS = (
    Group(
        "sessions",
        PEERS,
        (
            Logins("login-imap", "IMAP login", "imap", 16_000),
            Logins("login-pop3", "POP3 login", "pop3", 16_000, first_account=10_000),
            Logins("login-smtp", "SMTP login", "smtp", 16_000, first_account=20_000),
            Logins(
                "login-tls",
                "IMAP login, TLS, full handshake, 256 in flight",
                "imap",
                6000,
                at_once=256,
                tls=True,
                first_account=30_000,
            ),
            Logins(
                "login-tls-resumed",
                "IMAP login, TLS, resumed, 256 in flight",
                "imap",
                6000,
                at_once=256,
                tls=True,
                resume=True,
                first_account=40_000,
            ),
            Messages("down", "download", "fetch", _GB),
            Messages("up", "upload", "append", _GB),
            Messages("down-tls", "download, TLS", "fetch", _GB, tls=True),
            Messages("up-tls", "upload, TLS", "append", _GB, tls=True),
            Chat("chat", "NOOP round trip"),
            Chat("chat-tls", "NOOP round trip, TLS", tls=True),
        ),
    ),
    Group("idle", PEERS, (Idle("idle", "idle session"),), fresh=True),
    Group("idle-tls", PEERS, (Idle("idle-tls", "idle session, TLS", tls=True),), fresh=True),
    Group(
        "workers",
        (REFERENCE, "nginx-2", OURS, "mailroute-2"),
        (Scaling("workers", "logins a second, a quarter of a processor for each process"),),
        fresh=True,
    ),
    Group(
        "neighbours",
        _TWO,
        tuple(
            Logins(
                f"beside-{idle}",
                f"IMAP login beside {idle:,} idle sessions",
                "imap",
                12_000,
                warm=True,
                beside=idle,
            )
            for idle in (10, 1000, 9000)
        ),
    ),
    Group(
        "accounts",
        ("mailroute-10000", "mailroute-1000000"),
        (
            Logins("first-login", "first IMAP login", "imap", 9000, visits=1, spread=True),
            Logins("next-login", "next IMAP login", "imap", 9000, warm=True, spread=True),
        ),
        fresh=True,
    ),
    Group(
        "longevity", _TWO, (Longevity("longevity", "100,000 logins"),), fresh=True, most_rounds=2
    ),
    Group(
        "longevity-tls",
        _TWO,
        (Longevity("longevity-tls", "100,000 logins, TLS", tls=True),),
        fresh=True,
        most_rounds=2,
    ),
    Group(
        "fairness",
        _TWO,
        (
            Fairness("fairness", "NOOP beside a download of 10 GB"),
            Fairness("fairness-tls", "NOOP beside a download of 10 GB, TLS", tls=True),
        ),
    ),
    Group(
        "crowd",
        _TWO,
        tuple(
            Messages(
                f"crowd-{sessions}",
                f"download, {sessions} sessions at once",
                "fetch",
                2 * _GB,
                at_once=sessions,
                rounds=5,
            )
            for sessions in (4, 100, 400)
        ),
    ),
)
