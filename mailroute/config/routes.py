"""``[routing]``: what to do with what a lookup returns."""

from __future__ import annotations

from mailroute.config import values
from mailroute.config.document import Document
from mailroute.config.model import Routing
from mailroute.config.schema import Key, Section


def _usable_separator(separator: str) -> str | None:
    return None if separator else "must not be empty"


SECTION = Section(
    "routing",
    "What to do with what a lookup returns.",
    (
        Key(
            "default_destination",
            values.text,
            None,
            "Destination of accounts that the table does not know.",
        ),
        Key(
            "master_user_separators",
            values.list_of(values.checked(values.text, _usable_separator)),
            ["%"],
            "The account ends before the earliest of these.",
        ),
        Key(
            "not_found",
            values.choice("default", "reject", "tempfail", later=("assign",)),
            None,
            "Unknown account; unset: default with a default_destination, else reject.",
        ),
        Key(
            "undeclared",
            values.choice("tempfail", "default"),
            "tempfail",
            "The table names a destination that is not declared.",
        ),
        Key(
            "extension_delimiter",
            values.text,
            "",
            "Separates user and extension (user+ext) for {user} and {local}; empty: none.",
        ),
        Key(
            "smtp_passthrough_destination",
            values.text,
            None,
            "Destination to which smtp and lmtp listeners pass everything through.",
        ),
        Key(
            "address_destination",
            values.text,
            None,
            "Destination whose ports, TLS and policies serve looked-up addresses.",
        ),
    ),
)


def read_routing(raw: object, document: Document) -> Routing | None:
    """Read ``[routing]``; a file without it gets the defaults."""
    settings = SECTION.read(raw, ("routing",), document)
    if settings is None:
        return None
    if settings["not_found"] is None:
        has_default = settings["default_destination"] is not None
        settings["not_found"] = "default" if has_default else "reject"
    return Routing(**settings)
