"""From the configuration to the supervisor: what it is told, and what it works with."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from twisted.logger import Logger

from mailroute import privileges
from mailroute.config import model
from mailroute.config.reader import load
from mailroute.errors import ConfigurationError
from mailroute.net import sockets
from mailroute.signals import end_once, handle_signal
from mailroute.workers.orders import LogChoice, Orders
from mailroute.workers.places import Places
from mailroute.workers.plan import Place, Plan, numbered
from mailroute.workers.process import Launcher, Worker
from mailroute.workers.supervisor import Edition, Means, Supervisor
from mailroute.workers.tally import Ledger

_log = Logger(namespace="mailroute")


def count_workers(configuration: model.Configuration) -> int:
    """How many processes are to serve; 0 stands for one for each CPU that we may use."""
    return configuration.server.workers or len(os.sched_getaffinity(0))


def make_plan(configuration: model.Configuration, text: str) -> Plan:
    """What the supervisor has to know of this configuration, whose text this is."""
    places = [
        (Place(bind.kind, bind.address, bind.port), listener.name)
        for listener in configuration.listeners
        for bind in listener.binds
    ]
    return Plan(
        workers=count_workers(configuration),
        places=numbered([place for place, _ in places]),
        listeners=tuple(name for _, name in places),
        grace_seconds=configuration.server.shutdown_grace_seconds,
        fingerprint=_fingerprint(configuration, text),
    )


@dataclass(frozen=True, slots=True)
class NodeLog:
    """The log of all processes of the node."""

    choice: LogChoice
    descriptor: Callable[[], int | None]
    """Of its file, None where it is none of ours."""
    reopen: Callable[[], None]
    """Go on in a new file; raises OSError."""


class NodeService(Supervisor):
    """The supervisor as a service under twistd."""

    def __init__(self, first: Edition, means: Means, reactor: Any) -> None:
        super().__init__(first, means)
        self._reactor = reactor

    def privilegedStartService(self) -> None:
        """See Supervisor."""
        # Each worker brings descriptors: its link, what it says, and a socket for each place.
        privileges.raise_descriptor_limit()
        super().privilegedStartService()

    def startService(self) -> None:
        """See Supervisor."""
        super().startService()
        end_once(self._reactor)
        for number, action in (
            (signal.SIGHUP, self.reload),
            (signal.SIGUSR1, self.rotate_log),
            (signal.SIGUSR2, self.upgrade),
        ):
            handle_signal(self._reactor, number, action)


def make_supervisor(
    configuration: model.Configuration, text: str, log: NodeLog, reactor: Any
) -> NodeService:
    """The supervisor of a checked configuration, whose text this is."""
    ledger = Ledger()
    launcher = Launcher(reactor, os.environ, ledger.descriptor, log.descriptor)
    places = Places(_bind, sockets.listening)
    path = configuration.path

    def launch(edition: Edition, index: int) -> Worker:
        plan = edition.plan
        columns = {name: ledger.column(name) for name in plan.listeners}
        orders = Orders(path, edition.text, index, plan.workers, columns=columns, log=log.choice)
        return _launch(launcher, ledger, orders, places.of_worker(plan, index))

    async def check(text: str) -> Plan:
        return _verdict(*await launcher.check(path, text))

    def reopen_log() -> int | None:
        log.reopen()
        return log.descriptor()

    means = Means(
        clock=reactor,
        places=places,
        read=lambda: load(path),
        check=check,
        launch=launch,
        reopen_log=reopen_log,
        when_running=reactor.callWhenRunning,
    )
    return NodeService(Edition(text, make_plan(configuration, text)), means, reactor)


def _launch(
    launcher: Launcher, ledger: Ledger, orders: Orders, dealt: list[list[socket.socket]]
) -> Worker:
    """Start a worker, which has a row of the ledger for as long as it lives."""
    row = ledger.enter()
    try:
        worker = launcher.launch(replace(orders, row=row), dealt)
    except OSError:
        ledger.leave(row)
        raise

    def left(words: str) -> str:
        ledger.leave(row)
        return words

    worker.ended.addCallback(left)
    return worker


def _verdict(said: str, end: str) -> Plan:
    """What a process that checked a configuration found; raises ConfigurationError."""
    try:
        found: Mapping[str, Any] = json.loads(said)
        complaints = found.get("complaints")
        if complaints:
            raise ConfigurationError([str(each) for each in complaints])
        plan = Plan.from_json(found["plan"])
    except (ValueError, KeyError, TypeError):
        words = f"the configuration could not be checked: {end}"
        raise ConfigurationError([words]) from None
    for warning in found.get("warnings", ()):
        _log.warn("{text}", text=warning)
    return plan


def _bind(place: Place, is_shared: bool) -> socket.socket:
    if place.kind == "tcp":
        return sockets.reserve_tcp(place.address, place.port, is_shared=is_shared)
    if place.kind == "unix":
        return sockets.bind_unix(place.address)
    return sockets.passed_by_systemd(place.address, os.environ)


def _fingerprint(configuration: model.Configuration, text: str) -> str:
    """Of everything but the mapping file: of what workers read while they have their rights."""
    files = [path for each in configuration.certificates for path in (each.cert, each.key)]
    for each in configuration.destinations.values():
        files += [
            path for path in (each.tls_ca_file, each.tls_client_cert, each.tls_client_key) if path
        ]
    digest = hashlib.sha256(text.encode())
    files += [each.client_ca for each in configuration.listeners if each.client_ca]
    url = configuration.mapping.sql.url.reveal() if configuration.mapping.sql else ""
    secrets = [each.password for each in configuration.destinations.values() if each.password]
    words = [url, *(each.reveal() for each in secrets)]
    for octets in (*(word.encode() for word in words), *map(_content, files)):
        digest.update(hashlib.sha256(octets).digest())
    return digest.hexdigest()


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        # The check has found it readable; if it went away since, that is a change as well.
        return b""
