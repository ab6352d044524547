"""A worker process, or the check of a configuration: ``python -m mailroute.worker``.

The supervisor starts it; by hand it is of no use.  What it is told comes as a memory file, its
sockets are inherited, and it obeys the link alone: signals are for the supervisor, so that one
sent to the whole process group (Ctrl-C, a service manager) reaches a worker in its turn.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from twisted.internet.protocol import Factory
from twisted.logger import ILogObserver, LegacyLogObserverWrapper, globalLogBeginner
from twisted.python.reflect import namedAny

from mailroute import collector, composition, privileges
from mailroute.config.model import Configuration
from mailroute.config.reader import read
from mailroute.errors import ConfigurationError
from mailroute.net.listener import Room
from mailroute.observers import InheritedOutput, Output, observer
from mailroute.service import MailrouteService
from mailroute.steady import keep_time
from mailroute.supervision import make_plan
from mailroute.workers.link import (
    LINK_DESCRIPTOR,
    LOG_DESCRIPTOR,
    ORDERS_DESCRIPTOR,
    TALLY_DESCRIPTOR,
    WorkerEnd,
)
from mailroute.workers.orders import Orders
from mailroute.workers.process import CHECK_WORD
from mailroute.workers.tally import Tally

EX_CONFIG = 78
"""sysexits(3): the configuration is at fault."""
_FOR_THE_SUPERVISOR = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class NodeRoom(Room):
    """Room in this process and, by one listener's limit, on the whole node."""

    def __init__(self, process: Room, tally: Tally, cell: tuple[int, int], limit: int) -> None:
        """``cell``: our row, and the listener's column."""
        self._process = process
        self._tally = tally
        self._row, self._column = cell
        self._limit = limit

    @property
    def is_full(self) -> bool:
        """See Room."""
        return self._process.is_full or self._tally.total(self._column) >= self._limit

    def enter(self) -> None:
        """See Room."""
        self._process.enter()
        self._tally.add(self._row, self._column, 1)

    def leave(self) -> None:
        """See Room."""
        self._process.leave()
        self._tally.add(self._row, self._column, -1)


class Worker:
    """What the link drives."""

    def __init__(
        self, service: MailrouteService, output: InheritedOutput | None, reactor: Any
    ) -> None:
        """``output``: the log, where it is a file."""
        self._service = service
        self._output = output
        self._reactor = reactor
        self._is_leaving = False

    def serve(self) -> None:
        """Accept."""
        if not self._is_leaving:
            self._service.accept()

    def cover(self, slot: int, listener: str, descriptor: int) -> None:
        """Accept at this socket of another slot, too; it is ours to close."""
        lent = _taken(descriptor)
        if self._is_leaving:
            lent.close()
        else:
            self._service.cover(slot, listener, lent)

    def give_back(self, slot: int) -> None:
        """Leave that slot alone."""
        self._service.give_back(slot)

    async def retire(self) -> None:
        """Accept no more; returns when the database is left to the successors."""
        if not self._is_leaving:
            self._is_leaving = True
            gone = await self._service.retire()
            gone.addBoth(lambda _: self.stop())

    def stop(self) -> None:
        """End, within the grace."""
        self._is_leaving = True
        if self._reactor.running:
            self._reactor.callLater(0, _stop, self._reactor)

    async def renew(self) -> str:
        """Read files anew; returns what was done."""
        return await self._service.renew()

    def reopen(self, descriptor: int) -> None:
        """Log to this file."""
        if self._output is not None:
            self._output.adopt(descriptor)


def _stop(reactor: Any) -> None:
    if reactor.running and not reactor._stopped:
        reactor.stop()


def check(orders: Orders, environment: Mapping[str, str], reactor: Any) -> str:
    """Try a configuration; returns plan and warnings, or the complaints, as JSON."""
    try:
        configuration = read(orders.path, environment=environment, text=orders.text)
        warnings = MailrouteService(configuration, reactor).check()
    except ConfigurationError as error:
        return json.dumps({"complaints": error.complaints})
    plan = make_plan(configuration, orders.text)
    return json.dumps({"plan": plan.to_json(), "warnings": warnings})


def make_service(
    orders: Orders, configuration: Configuration, tally: Tally, reactor: Any
) -> MailrouteService:
    """The service of this worker, ready to accept; without the rights that it need not have."""
    service = MailrouteService(composition.share_of(configuration, orders.workers), reactor)
    process = Room(privileges.sessions_within(privileges.raise_descriptor_limit()))
    rooms = {
        each.name: NodeRoom(
            process, tally, (orders.row, orders.columns[each.name]), each.max_connections
        )
        for each in configuration.listeners
    }
    service.adopt([[_taken(number) for number in place] for place in orders.sockets], rooms)
    if orders.index == 0:
        # All would say the same.
        service.warn_if_crowded(process.left * orders.workers)
    service.prepare(process)
    return service


def _taken(number: int) -> socket.socket:
    taken = socket.socket(fileno=number)
    os.set_inheritable(number, False)
    return taken


def begin_log(orders: Orders, configuration: Configuration) -> InheritedOutput | None:
    """Log where twistd was told to, as this configuration wants it."""
    choice, inherited = orders.log, None
    server = configuration.server
    if choice.kind == "syslog":
        from twisted.python import syslog

        chosen: Any = LegacyLogObserverWrapper(cast(Any, syslog.SyslogObserver(choice.value).emit))
    elif choice.kind == "factory":
        chosen = namedAny(choice.value)()
        if not ILogObserver.providedBy(chosen):
            # twistd takes observers of the old style as well.
            chosen = LegacyLogObserverWrapper(chosen)
    elif choice.kind == "file":
        inherited = InheritedOutput(LOG_DESCRIPTOR)
        os.set_inheritable(LOG_DESCRIPTOR, False)
        chosen = observer(inherited, server.log_level, server.log_format)
    else:
        chosen = observer(Output(None), server.log_level, server.log_format)
    globalLogBeginner.beginLoggingTo([chosen])
    return inherited


def work(orders: Orders, environment: Mapping[str, str], reactor: Any) -> None:
    """Serve until the supervisor says otherwise, or is gone."""
    configuration = read(orders.path, environment=environment, text=orders.text)
    output = begin_log(orders, configuration)
    service = make_service(orders, configuration, Tally(TALLY_DESCRIPTOR), reactor)
    os.close(TALLY_DESCRIPTOR)
    end = WorkerEnd(Worker(service, output, reactor))
    factory = Factory.forProtocol(lambda: end)
    factory.noisy = False
    os.set_blocking(LINK_DESCRIPTOR, False)
    reactor.adoptStreamConnection(LINK_DESCRIPTOR, socket.AF_UNIX, factory)
    os.close(LINK_DESCRIPTOR)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.callWhenRunning(end.say_ready)
    reactor.callWhenRunning(collector.settle)
    reactor.run(installSignalHandlers=False)


def main(words: Sequence[str]) -> int:
    """``words``: the command line without the program's name."""
    for number in _FOR_THE_SUPERVISOR:
        signal.signal(number, signal.SIG_IGN)
    from twisted.internet import reactor

    keep_time(reactor)
    orders = Orders.unseal(ORDERS_DESCRIPTOR)
    os.close(ORDERS_DESCRIPTOR)
    if words[:1] == [CHECK_WORD]:
        print(check(orders, os.environ, reactor))
        return 0
    try:
        work(orders, os.environ, reactor)
    except ConfigurationError as error:
        # A file that the configuration names has changed since it was checked.
        print("\n".join(error.complaints), file=sys.stderr)
        return EX_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
