"""``[listener.NAME]``: where clients connect."""

from __future__ import annotations

from mailroute.config import values
from mailroute.config.document import Document
from mailroute.config.model import Listener
from mailroute.config.schema import REQUIRED, Key, Section, named_tables

PROTOCOLS = ("imap", "pop3", "submission", "managesieve")
PASS_THROUGH = frozenset({"smtp", "lmtp"})
"""Protocols whose streams are passed to ``routing.smtp_passthrough_destination`` unread."""
TLS_MODES = ("implicit", "starttls", "plain")

SECTION = Section(
    "listener.*",
    "A set of addresses where one protocol is served.",
    (
        Key(
            "protocol",
            values.choice(*PROTOCOLS, *sorted(PASS_THROUGH)),
            REQUIRED,
            "imap, pop3, submission or managesieve; smtp or lmtp to pass through.",
        ),
        Key(
            "bind",
            values.list_of(values.bind, least=1),
            REQUIRED,
            'List of "address:port", "[v6]:port", "unix:/path", "systemd:NAME".',
            field="binds",
        ),
        Key("tls", values.choice(*TLS_MODES), REQUIRED, "implicit, starttls or plain."),
        Key(
            "max_connections",
            values.whole_number(1, 10_000_000),
            8192,
            "Connections served at once; further ones get a goodbye.",
        ),
        Key(
            "preauth_timeout",
            values.some_time,
            "30s",
            "Time that a client may spend before its login.",
            field="preauth_timeout_seconds",
        ),
        Key(
            "max_auth_attempts",
            values.whole_number(1, 1000),
            3,
            "Failed logins after which the connection is ended.",
        ),
        Key(
            "proxy_protocol",
            values.choice("off", "optional", "required"),
            "off",
            "Whether connections from proxy_trusted begin with a PROXY header.",
        ),
        Key(
            "proxy_trusted",
            values.list_of(values.network),
            [],
            "Networks of proxies in front of us, whose word about their clients is believed.",
        ),
        Key(
            "client_ca",
            values.readable_file,
            None,
            "PEM file with the authorities of clients' certificates, for EXTERNAL.",
        ),
    ),
    http_only=("forwarded",),
)


def read_listeners(raw: object, document: Document) -> tuple[Listener, ...]:
    """Read ``[listener.*]``; those of HTTP are ignored with the common warning."""
    listeners = []
    given = 0
    for name, path, table in named_tables(raw, ("listener",), document):
        if table.get("protocol") == "http":
            document.ignore_as_http(path)
            continue
        given += 1
        settings = SECTION.read(table, path, document)
        if settings is None:
            continue
        if settings["proxy_protocol"] != "off" and not table.get("proxy_trusted"):
            document.complain(
                (*path, "proxy_trusted"),
                "missing: whoever may send PROXY headers can be any client; name the networks",
            )
        listeners.append(Listener(name=name, **settings))
    if not given:
        document.complain(("listener",), "there is no listener: mailroute would serve nobody")
    return tuple(listeners)
