"""Worker processes: how they are started, and what the supervisor has in its hand of each."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import Logger

from mailroute.workers.link import (
    FIRST_SOCKET_DESCRIPTOR,
    LINK_DESCRIPTOR,
    LOG_DESCRIPTOR,
    ORDERS_DESCRIPTOR,
    TALLY_DESCRIPTOR,
    Cover,
    GiveBack,
    Renew,
    Reopen,
    Retire,
    Serve,
    Stop,
    SupervisorEnd,
)
from mailroute.workers.orders import Orders

MODULE = "mailroute.worker"
CHECK_WORD = "check"
CHECK_SECONDS = 60.0
_WORDS_LIMIT = 4096
_NOT_FOR_CHILDREN = (
    *("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"),
    *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"),
)

_log = Logger(namespace="mailroute.workers")


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what systemd has said to the supervisor alone."""
    return {name: v for name, v in environment.items() if name not in _NOT_FOR_CHILDREN}


class Worker(ProcessProtocol):
    """One worker process, seen from the supervisor."""

    def __init__(self, slot: str) -> None:
        self._slot = slot
        self._link = SupervisorEnd()
        self.pid = 0
        self.ready = self._link.ready
        """Fires when it could serve."""
        self.ended: Deferred[str] = Deferred()
        """Fires with the reason in words."""

    def serve(self) -> None:
        """Have it accept connections."""
        self._link.order(Serve)

    def cover(self, slot: int, listener: str, lent: socket.socket) -> None:
        """Have it accept at this socket of another slot, too."""
        # A copy: ours may be closed before it has been sent.
        copy = os.dup(lent.fileno())
        given = self._link.order(Cover, slot=slot, listener=listener, lent=copy)
        given.addCallback(lambda _: os.close(copy))

    def give_back(self, slot: int) -> None:
        """Have it leave that slot alone."""
        self._link.order(GiveBack, slot=slot)

    def retire(self) -> Deferred[None]:
        """Have it accept no more and end with its last session; fires when it holds nothing."""
        return self._link.order(Retire)

    def stop(self) -> None:
        """Have it end within the grace."""
        self._link.order(Stop)

    def renew(self) -> Deferred[str]:
        """Have it read its files anew; fires with what was done, empty if it does not say."""
        return self._link.ask(Renew).addCallback(lambda answer: answer.get("done") or "")

    def reopen(self, descriptor: int) -> None:
        """Have it log to this file."""
        self._link.order(Reopen, log=descriptor)

    def kill(self) -> None:
        """End it at once."""
        _kill(self)

    def connect(self, near: socket.socket, reactor: Any) -> None:
        """Take our end of the link."""
        factory = Factory.forProtocol(lambda: self._link)
        factory.noisy = False
        reactor.adoptStreamConnection(near.fileno(), socket.AF_UNIX, factory)

    # -- the reactor's side --------------------------------------------------------------

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """What was written past the log: an import that failed, a crash of the interpreter."""
        text = data[:_WORDS_LIMIT].decode(errors="replace").strip()
        if text:
            _log.error(
                "worker {slot} (pid {pid}): {text}", slot=self._slot, pid=self.pid, text=text
            )

    def processEnded(self, reason: Any) -> None:
        self.ended.callback(words_of_end(reason.value))


def words_of_end(end: Any) -> str:
    """How a process ended, e.g. ``signal SIGKILL``."""
    number = getattr(end, "signal", None)
    if number is not None:
        return f"signal {signal.Signals(number).name}"
    return f"exit status {end.exitCode}"


class Launcher:
    """Starts processes of the code that is on the disk now."""

    def __init__(
        self,
        reactor: Any,
        environment: Mapping[str, str],
        tally: int,
        log: Callable[[], int | None],
    ) -> None:
        """``tally`` and ``log``: descriptors of the shared counters and of the log file."""
        self._reactor = reactor
        self._environment = child_environment(environment)
        self._tally = tally
        self._log = log

    def launch(self, orders: Orders, sockets: Sequence[Sequence[socket.socket]]) -> Worker:
        """Start a worker with these sockets for its places.  Raises OSError."""
        slot = f"{orders.index + 1}/{orders.workers}"
        worker = Worker(slot)
        with ExitStack() as stack:
            near, far = (stack.enter_context(each) for each in socket.socketpair())
            near.setblocking(False)
            numbers, inherited = _numbered(sockets)
            sealed = _with_sockets(orders, numbers).seal()
            stack.callback(os.close, sealed)
            descriptors = {
                LINK_DESCRIPTOR: far.fileno(),
                ORDERS_DESCRIPTOR: sealed,
                TALLY_DESCRIPTOR: self._tally,
                **inherited,
            }
            log = self._log()
            if log is not None:
                descriptors[LOG_DESCRIPTOR] = log
            self._spawn(worker, ["slot", slot], descriptors)
            worker.connect(near, self._reactor)
        return worker

    def check(self, path: str, text: str) -> Deferred[tuple[str, str]]:
        """Have a fresh process check a configuration; fires with its words and its end."""
        checking = _Check(self._reactor)
        sealed = Orders(path, text).seal()
        try:
            self._spawn(checking, [CHECK_WORD], {1: "r", ORDERS_DESCRIPTOR: sealed})
        finally:
            os.close(sealed)
        return checking.done

    def _spawn(
        self, protocol: Any, words: Sequence[str], descriptors: Mapping[int, int | str]
    ) -> None:
        # -P: a module in the folder where we happen to run must not be taken for one of ours.
        argv = [sys.executable, "-P", "-m", MODULE, *words]
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            transport = self._reactor.spawnProcess(
                protocol,
                sys.executable,
                argv,
                env=self._environment,
                childFDs={0: nothing, 1: 1, 2: "r", **descriptors},
            )
        finally:
            os.close(nothing)
        protocol.pid = transport.pid


class _Check(ProcessProtocol):
    """A process that says what it thinks of a configuration."""

    def __init__(self, reactor: Any) -> None:
        self.pid = 0
        self.done: Deferred[tuple[str, str]] = Deferred()
        self._said = {1: b"", 2: b""}
        self._limit = reactor.callLater(CHECK_SECONDS, _kill, self)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._said[childFD] += data

    def processEnded(self, reason: Any) -> None:
        end = words_of_end(reason.value)
        if self._limit.active():
            self._limit.cancel()
        else:
            end = (
                f"it took longer than {CHECK_SECONDS:g} s: does a file system, a name server or"
                " a database not answer?"
            )
        last = self._said[2].decode(errors="replace").strip().rpartition("\n")[2]
        self.done.callback((self._said[1].decode(errors="replace"), f"{end} {last}".strip()))


def _kill(protocol: ProcessProtocol) -> None:
    transport: Any = protocol.transport
    with suppress(ProcessExitedAlready):
        transport.signalProcess("KILL")


def _numbered(
    sockets: Sequence[Sequence[socket.socket]],
) -> tuple[list[list[int]], dict[int, int]]:
    """The numbers that the sockets get in the child, by place, and from which of ours."""
    inherited: dict[int, int] = {}
    numbers: list[list[int]] = []
    for place in sockets:
        numbers.append([])
        for each in place:
            number = FIRST_SOCKET_DESCRIPTOR + len(inherited)
            inherited[number] = each.fileno()
            numbers[-1].append(number)
    return numbers, inherited


def _with_sockets(orders: Orders, numbers: list[list[int]]) -> Orders:
    fields = {name: getattr(orders, name) for name in Orders.__dataclass_fields__}
    return Orders(**{**fields, "sockets": numbers})
