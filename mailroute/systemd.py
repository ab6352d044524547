"""What systemd is told: sd_notify(3) and the watchdog, for the node as a whole.

Each message is one datagram to the socket that ``NOTIFY_SOCKET`` names; without it nothing is
sent.  The watchdog is fed by the reactor itself, so that a reactor that no longer turns is
noticed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

_FEEDS_PER_TIMEOUT = 3

_log = Logger(namespace="mailroute")


class ServiceManager:
    """The service manager that has started us, if there is one."""

    def __init__(self, environment: Mapping[str, str], reactor: Any) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._feeding = LoopingCall(self._send, "WATCHDOG=1")
        self._feeding.clock = reactor
        self._timeout_seconds = _watchdog_seconds(environment)
        self._messages = {
            "ready": self._ready,
            "reloading": self._reloading,
            "stopping": self._stopping,
        }

    def announce(self, state: str) -> None:
        """Tell that the node is now ``ready``, ``reloading`` or ``stopping``."""
        self._messages[state]()

    def _ready(self) -> None:
        """The node serves, for the first time or again."""
        self._send("READY=1")
        if self._address and self._timeout_seconds and not self._feeding.running:
            self._feeding.start(self._timeout_seconds / _FEEDS_PER_TIMEOUT)

    def _reloading(self) -> None:
        """The configuration is read anew; "ready" follows, whatever comes of it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def _stopping(self) -> None:
        """The node ends.  The watchdog is fed on: sessions may have a long grace."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messenger:
                # A service manager that does not read must not stop us.
                messenger.setblocking(False)
                messenger.sendto(message.encode("ascii"), self._address)
        except OSError as error:
            _log.warn("systemd cannot be told {words!r}: {error}", words=message, error=error)


def _address(name: str) -> str:
    """The address of the socket; empty where there is none."""
    # An abstract address begins with NUL, which no environment can hold.
    return f"\0{name[1:]}" if name.startswith("@") else name


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """How long silence is tolerated; 0: for ever (sd_watchdog_enabled(3))."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0
