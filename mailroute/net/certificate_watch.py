"""Certificates that are renewed in their files are shown without anybody's saying so."""

from __future__ import annotations

import os
from typing import Protocol

from twisted.logger import Logger

from mailroute.errors import Failure
from mailroute.net.transport import Clock, DelayedCall

LOOK_SECONDS = 30.0

Stamp = tuple[int, int, int] | None


class Certificates(Protocol):
    """What shows them."""

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that was read."""

    def reload(self) -> None:
        """Read them all again; raises Failure and keeps the old ones if one is broken."""


class CertificateWatch:
    """Looks at the files from time to time.

    A certificate and its key are two files: they are read when a look finds them as the look
    before did, so that nobody is writing them any more.
    """

    def __init__(self, certificates: Certificates, clock: Clock, log: Logger) -> None:
        self._certificates = certificates
        self._clock = clock
        self._log = log
        self._read = self._seen = self._stamps()
        self._next: DelayedCall | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._next is None:
            self._next = self._clock.callLater(LOOK_SECONDS, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        # First: whatever goes wrong below, the next look comes.
        self._next = None
        self.start()
        before, self._seen = self._seen, self._stamps()
        if self._seen != self._read and self._seen == before:
            self._read = self._seen
            self._reload()

    def _reload(self) -> None:
        try:
            self._certificates.reload()
        except Failure as failure:
            text = "certificates have changed: {reason}; the old ones stay"
            self._log.error(text, reason=failure.reason)
        else:
            self._log.info("certificates have changed and were read")

    def _stamps(self) -> tuple[Stamp, ...]:
        return tuple(_stamp(path) for path in self._certificates.files)


def _stamp(path: str) -> Stamp:
    """What tells one state of a file from another; None if it cannot be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
