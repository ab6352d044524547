"""Backends that are to be told who the client is, and do not offer to be told.

The login goes on: such a backend takes our address for the client's.  That is worth a word in the
log, once for each destination, since nothing else shows it here.
"""

from __future__ import annotations

from twisted.logger import Logger

REMEMBERED = 4096
"""Destinations of which it was told: a pattern can stand for any number."""


class Untold:
    """What the log has been told."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._known: set[tuple[str, str]] = set()

    def note(self, destination: str, protocol: str, extension: str) -> None:
        """A login went on without ``extension``, which the backend does not offer."""
        place = (destination, protocol)
        if place in self._known:
            return
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known.add(place)
        self._log.warn(
            "destination {destination} is not told who its clients are: its {protocol} server does"
            " not offer us {extension}; have it trust this machine (login_trusted_networks in"
            " Dovecot, smtpd_authorized_xclient_hosts in Postfix), or set forwarding to proxy or"
            " none",
            destination=destination,
            protocol=protocol,
            extension=extension,
        )
