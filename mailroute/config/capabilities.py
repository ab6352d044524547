"""``[capabilities.PROTO]``: what clients are offered before their login."""

from __future__ import annotations

import re

from mailroute.config import values
from mailroute.config.document import Document, Surroundings
from mailroute.config.listeners import PROTOCOLS
from mailroute.config.model import Capabilities
from mailroute.config.schema import Key, Section, as_table, complain_unknown

MECHANISMS = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")
_ON_REQUEST = ("SCRAM-SHA-1", "SCRAM-SHA-256", "EXTERNAL")
_SIEVE = (
    "fileinto",
    "envelope",
    "vacation",
    "imap4flags",
    "subaddress",
    "relational",
    "copy",
    "body",
    "variables",
)

# What depends on the channel is computed, never configured; LITERAL+ would let a client send
# any length before its login (RFC 7888 section 5 has LITERAL- for that).
_COMPUTED_IMAP = re.compile(r"STARTTLS|LOGINDISABLED|AUTH=.*|LITERAL\+", re.IGNORECASE)
_COMPUTED_EHLO = re.compile(r"STARTTLS|AUTH([ =].*)?", re.IGNORECASE)
_IMAP_ATOM = re.compile(r'[^\x00-\x20\x7f-\U0010ffff(){%*"\\\]]+')
_SIEVE_EXTENSION = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_EHLO_LINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*( [\x21-\x7e]+)*")


def _mechanism(raw: object, surroundings: Surroundings) -> str:
    name = values.name(raw, surroundings).upper()
    known = (*MECHANISMS, *_ON_REQUEST)
    if name not in known:
        raise ValueError(f"unknown mechanism {name!r}; known are {', '.join(known)}")
    return name


def _usable_capability(capability: str) -> str | None:
    if _COMPUTED_IMAP.fullmatch(capability):
        return f"{capability} is not to be configured: mailroute offers what it can keep"
    if not _IMAP_ATOM.fullmatch(capability):
        return f"{capability!r} is not an IMAP capability: one atom (RFC 3501 section 9)"
    return None


def _usable_keyword(keyword: str) -> str | None:
    if _COMPUTED_EHLO.fullmatch(keyword):
        return f"{keyword} is not to be configured: mailroute offers what it can keep"
    if not _EHLO_LINE.fullmatch(keyword):
        return f"{keyword!r} is not an EHLO keyword with its parameters (RFC 5321 section 4.1.1.1)"
    return None


def _usable_extension(extension: str) -> str | None:
    if not _SIEVE_EXTENSION.fullmatch(extension):
        return f"{extension!r} is not the name of a Sieve extension (RFC 5228 section 6.1)"
    return None


def _no_timestamp(banner: str) -> str | None:
    # RFC 1939 section 7: <...> in a greeting offers APOP, which cannot be relayed.
    return "must not contain < in POP3: it would offer APOP" if "<" in banner else None


_COMMON_KEYS = (
    Key(
        "sasl",
        values.list_of(_mechanism, least=1),
        list(MECHANISMS),
        "SASL mechanisms, in the order of the offer.",
    ),
    Key(
        "allow_plain_auth_without_tls",
        values.boolean,
        False,
        "Whether clients may send passwords without TLS: dangerous.",
    ),
)
_BANNER_DOC = "Text of the greeting; unset: mailroute's own."
_LEARN_KEYS = (
    Key(
        "learn",
        values.boolean,
        False,
        "Whether to ask the destinations, and to offer only what all of them offer.",
    ),
    Key(
        "learn_interval",
        values.some_time,
        "10m",
        "How often they are asked.",
        field="learn_interval_seconds",
    ),
)

SECTIONS = {
    "imap": Section(
        "capabilities.imap",
        "What IMAP clients are offered before their login.",
        (
            *_COMMON_KEYS,
            Key("banner", values.printable_ascii, None, _BANNER_DOC),
            Key(
                "advertise",
                values.list_of(values.checked(values.text, _usable_capability)),
                ["IMAP4rev1", "SASL-IR", "LITERAL-", "ID"],
                "Capabilities; IMAP4rev1, STARTTLS, LOGINDISABLED, AUTH= are added as they apply.",
            ),
            *_LEARN_KEYS,
        ),
    ),
    "pop3": Section(
        "capabilities.pop3",
        "What POP3 clients are offered before their login.",
        (
            *_COMMON_KEYS,
            Key("banner", values.checked(values.printable_ascii, _no_timestamp), None, _BANNER_DOC),
            *_LEARN_KEYS,
        ),
    ),
    "submission": Section(
        "capabilities.submission",
        "What submission clients are offered before their login.",
        (
            *_COMMON_KEYS,
            Key("banner", values.printable_ascii, None, _BANNER_DOC),
            Key(
                "ehlo",
                values.list_of(values.checked(values.text, _usable_keyword)),
                ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE"],
                "EHLO keywords that every backend keeps; STARTTLS and AUTH are added.",
                field="advertise",
            ),
            *_LEARN_KEYS,
        ),
    ),
    "managesieve": Section(
        "capabilities.managesieve",
        "What ManageSieve clients are offered before their login.",
        (
            *_COMMON_KEYS,
            Key("banner", values.printable_ascii, None, _BANNER_DOC),
            Key(
                "implementation",
                values.printable_ascii,
                "mailroute",
                "What we call ourselves; some clients go by it.",
            ),
            Key(
                "sieve",
                values.list_of(values.checked(values.text, _usable_extension)),
                list(_SIEVE),
                "Extensions of Sieve that every backend has.",
                field="advertise",
            ),
            *_LEARN_KEYS,
        ),
    ),
}


def read_capabilities(raw: object, document: Document) -> dict[str, Capabilities]:
    """Read ``[capabilities.*]``; every protocol gets its entry, given or not."""
    tables = as_table(raw, ("capabilities",), document)
    for protocol in tables:
        place = ("capabilities", protocol)
        if protocol == "http":
            document.ignore_as_http(place)
        elif protocol not in PROTOCOLS:
            complain_unknown(place, list(PROTOCOLS), document)
    capabilities = {}
    for protocol, section in SECTIONS.items():
        place = ("capabilities", protocol)
        settings = section.read(tables.get(protocol, {}), place, document)
        if settings is not None:
            settings.setdefault("advertise", None)
            capabilities[protocol] = Capabilities(**settings)
    return capabilities
