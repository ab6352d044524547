"""How the figures are shown: what is divided by what, in which lines, under which headings."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.catalogue import OURS, REFERENCE


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of one scenario with one peer."""

    scenario: str
    peer: str
    figure: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure divided by another one of the same round."""

    title: str
    above: Cell
    below: Cell
    at_most: float | None = None
    """What mailroute must reach."""
    aim: float | None = None
    at_least: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of figures: a scenario with every peer."""

    title: str
    scenario: str
    figure: str
    unit: str
    at_most: float | None = None
    """As a ratio to the reference; what mailroute must reach."""
    aim: float | None = None

    def cell(self, peer: str) -> Cell:
        """The figure of this peer."""
        return Cell(self.scenario, peer, self.figure)

    def comparison(self, peer: str) -> Comparison:
        """The peer beside the reference; only mailroute has something to reach."""
        limits = (self.at_most, self.aim) if peer == OURS else (None, None)
        return Comparison(self.title, self.cell(peer), self.cell(REFERENCE), *limits)


@dataclass(frozen=True, slots=True)
class Section:
    """Some lines under a heading; each section has a plot of its own."""

    name: str
    title: str
    measure: str
    """What the figures are, in a word."""
    lines: tuple[Line, ...]


SECTIONS = (
    Section(
        "logins",
        "CPU time of a login and logout",
        "CPU",
        (
            Line("IMAP login", "login-imap", "cpu_us", "\u00b5s", 1.00, 0.80),
            Line("POP3 login", "login-pop3", "cpu_us", "\u00b5s", 1.00, 0.80),
            Line("SMTP login", "login-smtp", "cpu_us", "\u00b5s", 1.00, 0.80),
            Line("IMAP login, TLS, full handshake", "login-tls", "cpu_us", "\u00b5s", 0.95, 0.80),
            Line("IMAP login, TLS, resumed", "login-tls-resumed", "cpu_us", "\u00b5s"),
        ),
    ),
    Section(
        "streams",
        "CPU time of a joined session",
        "CPU",
        (
            Line("download", "down", "cpu_ms_gb", "ms/GB", 0.40, 0.30),
            Line("upload", "up", "cpu_ms_gb", "ms/GB", 0.40, 0.30),
            Line("download, TLS", "down-tls", "cpu_ms_gb", "ms/GB", 0.75, 0.60),
            Line("upload, TLS", "up-tls", "cpu_ms_gb", "ms/GB", 0.75, 0.60),
            Line("NOOP round trip", "chat", "cpu_us", "\u00b5s", 1.80, 1.40),
            Line("NOOP round trip, TLS", "chat-tls", "cpu_us", "\u00b5s", 1.50, 1.20),
        ),
    ),
    Section(
        "memory",
        "Memory of an idle session",
        "memory",
        (
            Line("1,000 idle sessions", "idle", "kib_at_1000", "KiB"),
            Line("5,000 idle sessions", "idle", "kib_at_5000", "KiB", 0.25, 0.10),
            Line("1,000 idle sessions, TLS", "idle-tls", "kib_at_1000", "KiB"),
            Line("5,000 idle sessions, TLS", "idle-tls", "kib_at_5000", "KiB", 1.00, 0.90),
        ),
    ),
    Section(
        "latency",
        "Time from connect to logged in",
        "time",
        (
            Line("IMAP login, p50", "login-imap", "p50_ms", "ms"),
            Line("IMAP login, p99", "login-imap", "p99_ms", "ms", 1.00, 0.70),
            Line("IMAP login, TLS, 256 in flight, p50", "login-tls", "p50_ms", "ms"),
            Line("IMAP login, TLS, 256 in flight, p99", "login-tls", "p99_ms", "ms", 1.00, 0.70),
        ),
    ),
    Section(
        "fairness",
        "A small exchange beside a download of 10 GB",
        "time",
        (
            Line("NOOP, p50", "fairness", "p50_ms", "ms"),
            Line("NOOP, p99", "fairness", "p99_ms", "ms"),
            Line("NOOP, p99, without the download", "fairness", "p99_alone_ms", "ms"),
            Line("download", "fairness", "gb_per_second", "GB/s"),
            Line("NOOP, TLS, p50", "fairness-tls", "p50_ms", "ms"),
            Line("NOOP, TLS, p99", "fairness-tls", "p99_ms", "ms"),
            Line("NOOP, TLS, p99, without the download", "fairness-tls", "p99_alone_ms", "ms"),
        ),
    ),
    Section(
        "growth",
        "How cost grows",
        "cost",
        (
            *(
                Line(f"login beside {idle:,} idle sessions", f"beside-{idle}", "cpu_us", "\u00b5s")
                for idle in (10, 1000, 9000)
            ),
            *(
                Line(
                    f"download, {sessions} sessions at once",
                    f"crowd-{sessions}",
                    "cpu_ms_gb",
                    "ms/GB",
                )
                for sessions in (4, 100, 400)
            ),
            Line("memory after 10,000 logins", "longevity", "mib_first", "MiB"),
            Line("memory after 100,000 logins", "longevity", "mib_last", "MiB"),
            Line("memory after 10,000 logins, TLS", "longevity-tls", "mib_first", "MiB"),
            Line("memory after 100,000 logins, TLS", "longevity-tls", "mib_last", "MiB"),
        ),
    ),
)
RATES = Section(
    "rates",
    "What went through (clients, peer and stores share the processors)",
    "rate",
    (
        Line("IMAP logins", "login-imap", "per_second", "/s"),
        Line("POP3 logins", "login-pop3", "per_second", "/s"),
        Line("SMTP logins", "login-smtp", "per_second", "/s"),
        Line("IMAP logins, TLS", "login-tls", "per_second", "/s"),
        Line("TLS sessions resumed", "login-tls-resumed", "resumed_percent", "%"),
        Line("download", "down", "mb_per_second", "MB/s"),
        Line("download, TLS", "down-tls", "mb_per_second", "MB/s"),
        Line("NOOP round trips", "chat", "per_second", "/s"),
        Line("NOOP round trips, TLS", "chat-tls", "per_second", "/s"),
    ),
)


def _growth(title: str, above: tuple[str, str], below: tuple[str, str]) -> Comparison:
    """CPU time of (scenario, peer) by that of another one; flat means within 15 %."""
    return Comparison(title, Cell(*above, "cpu_us"), Cell(*below, "cpu_us"), at_most=1.15)


_FEW, _MANY = "mailroute-10000", "mailroute-1000000"
COMPARISONS = (
    _growth("login: beside 1,000 idle sessions / 10", ("beside-1000", OURS), ("beside-10", OURS)),
    _growth("login: beside 9,000 idle sessions / 10", ("beside-9000", OURS), ("beside-10", OURS)),
    _growth(
        "first login: 1 million accounts / 10,000", ("first-login", _MANY), ("first-login", _FEW)
    ),
    _growth("next login: 1 million accounts / 10,000", ("next-login", _MANY), ("next-login", _FEW)),
    *(
        Comparison(
            f"memory{words}: after 100,000 logins / 10,000",
            Cell(scenario, OURS, "mib_last"),
            Cell(scenario, OURS, "mib_first"),
            at_most=1.05,
        )
        for words, scenario in (("", "longevity"), (", TLS", "longevity-tls"))
    ),
    *(
        Comparison(
            f"download: {sessions} sessions at once / 4",
            Cell(f"crowd-{sessions}", OURS, "cpu_ms_gb"),
            Cell("crowd-4", OURS, "cpu_ms_gb"),
        )
        for sessions in (100, 400)
    ),
    Comparison(
        "logins a second: two workers / one",
        Cell("workers", "mailroute-2", "per_second"),
        Cell("workers", OURS, "per_second"),
        at_least=1.8,
    ),
    Comparison(
        "logins a second: nginx, two workers / one",
        Cell("workers", "nginx-2", "per_second"),
        Cell("workers", REFERENCE, "per_second"),
    ),
)


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure that must stay below a limit of its own."""

    title: str
    cell: Cell
    at_most: float


BOUNDS = tuple(
    Bound(
        f"NOOP{words}: p99 beside a download of 10 GB, less p99 without, ms",
        Cell(scenario, OURS, "added_p99_ms"),
        5.0,
    )
    for words, scenario in (("", "fairness"), (", TLS", "fairness-tls"))
)
