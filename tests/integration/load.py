"""Clients that log in without a pause, by the standard library, and what they met with."""

from __future__ import annotations

import contextlib
import imaplib
import itertools
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.integration.sample_backend import PASSWORD
from tests.support.ports import LOOPBACK

PATIENCE_SECONDS = 60
_BREATH_SECONDS = 0.03

HOME = "home"
UNAVAILABLE = "unavailable"
REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Visit:
    """One login: ``kind`` is that of the account; the outcome is one of those above, or words."""

    kind: str
    began: float
    ended: float
    outcome: str

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


def home(user: str) -> str:
    """On which server an account lives: the ones with an odd number live on west."""
    digits = re.sub(r"\D", "", user)
    return "west" if digits and int(digits) % 2 else "east"


def attempt(port: int, user: str) -> str:
    """Log in and out; returns the outcome."""
    try:
        client = imaplib.IMAP4(LOOPBACK, port, timeout=PATIENCE_SECONDS)
    except (OSError, imaplib.IMAP4.error) as error:
        return f"no greeting: {error}"
    with contextlib.closing(client.sock):
        try:
            _, answers = client.login(user, PASSWORD)
            client.logout()
        except imaplib.IMAP4.error as error:
            return _refusal(str(error))
        except OSError as error:
            return f"lost: {error}"
    words = answers[0].decode()
    return HOME if words.endswith(f"{user} is at {home(user)}") else f"elsewhere: {words}"


def _refusal(words: str) -> str:
    if "[UNAVAILABLE]" in words:
        return UNAVAILABLE
    return REJECTED if "[AUTHENTICATIONFAILED]" in words else f"refused: {words}"


class Load:
    """Threads that visit until ``stop``; accounts are told apart by kind."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.visits: list[Visit] = []

    def add(self, kind: str, users: Iterator[str]) -> None:
        """One more thread; it takes the next of ``users`` for each visit."""
        thread = threading.Thread(target=self._visit, args=(kind, users), daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """End all visits."""
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def between(self, kind: str, after: float, before: float) -> list[Visit]:
        """The visits of a kind that began and ended in this time."""
        return [
            visit
            for visit in tuple(self.visits)
            if visit.kind == kind and visit.began >= after and visit.ended <= before
        ]

    def since(self, kind: str, after: float) -> list[Visit]:
        """The visits of a kind that began later."""
        return self.between(kind, after, time.monotonic())

    def _visit(self, kind: str, users: Iterator[str]) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            outcome = attempt(self._port, next(users))
            self.visits.append(Visit(kind, began, time.monotonic(), outcome))
            time.sleep(_BREATH_SECONDS)


def numbered(pattern: str, count: itertools.count[int]) -> Iterator[str]:
    """Names with a number, each once; the counter may be shared by threads."""
    for number in count:
        yield pattern.format(number)
