"""mailroute as a Twisted service: start, reload, drain.

``check`` runs before the reactor and before daemonising: what it complains about is never
served.  Sockets are bound in ``privilegedStartService`` and privileges dropped afterwards.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from collections.abc import Mapping as ByName
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailroute import composition, listener_composition, privileges
from mailroute.config import model
from mailroute.destination_composition import check_sources, check_trust
from mailroute.errors import CannotListen, ConfigurationError, Failure
from mailroute.learning_composition import Learning
from mailroute.net import sockets
from mailroute.net.acceptor import Acceptor
from mailroute.net.certificate_watch import CertificateWatch
from mailroute.net.dialer import Dialer
from mailroute.net.joint import FLUSH_SECONDS
from mailroute.net.listener import Listener, Room
from mailroute.net.poller import Poller
from mailroute.net.splice import Splicer
from mailroute.net.ticks import CoarseClock
from mailroute.signals import end_once, handle_signal
from mailroute.table_composition import check_tables
from mailroute.tables.exchangeable import ExchangeableTable
from mailroute.tables.file import FileTable
from mailroute.tables.sql_table import SqlTable

GOODBYE_SECONDS = 1.0
"""For goodbyes to reach clients that are not joined."""
DRAIN_STEP_SECONDS = 0.1
RETIREMENT_STEP_SECONDS = 1.0


class MailrouteService(Service):
    """Everything that serves one configuration in one process."""

    def __init__(self, configuration: model.Configuration, reactor: Any) -> None:
        """Raises ConfigurationError."""
        self.setName("mailroute")
        self._configuration = configuration
        self._reactor = reactor
        self._log = Logger(namespace="mailroute")
        self._source = composition.make_source(configuration, reactor)
        self._mapping = ExchangeableTable(self._source)
        self._cache = composition.make_cache(configuration, self._mapping, reactor)
        self._source.watch(self._cache.expire)
        self._tls = composition.make_server_tls(configuration)
        self._clock = CoarseClock(reactor)
        self._poller = Poller(reactor)
        own = listener_composition.own_places(configuration, self._clock)
        dialer = Dialer(reactor, self._clock, self._poller, own)
        self._connector = composition.make_connector(configuration, dialer.dial, self._clock)
        self._learning = Learning(configuration, self._connector, dialer.dial, self._clock)
        self._splicer = Splicer(self._clock, configuration.server.bridge_idle_seconds)
        self._watch: CertificateWatch | None = None
        self._ids = privileges.look_up(configuration.server.user, configuration.server.group)
        self._bound: list[tuple[model.Listener, socket.socket]] = []
        self._listeners: dict[str, Listener] = {}
        self._acceptors: list[Acceptor] = []
        self._lent: dict[int, list[Acceptor]] = {}
        """At sockets of other workers' slots, by slot."""
        self._rooms: dict[str, Room] = {}
        self._owns_sockets = True
        self.reopen_log: Callable[[], None] = lambda: None
        """What SIGUSR1 calls, and SIGHUP before anything else; raises OSError."""

    def check(self) -> list[str]:
        """Try the table and the files; returns warnings, raises ConfigurationError."""
        warnings = list(self._configuration.warnings)
        warnings += check_sources(self._configuration)
        complaints = check_trust(self._configuration, self._connector.contexts)
        complaints += check_tables(self._configuration, self._reactor)
        try:
            warnings += self._source.check()
        except ConfigurationError as error:
            complaints += error.complaints
        if complaints:
            raise ConfigurationError(complaints)
        return warnings

    @property
    def addresses(self) -> list[Any]:
        """The addresses that are listened at, in the configuration's order."""
        return [acceptor.getHost() for acceptor in self._acceptors]

    def privilegedStartService(self) -> None:
        """Bind every socket, all of them or none; raises CannotListen naming the place."""
        if self._bound:
            return
        for listener in self._configuration.listeners:
            for bind in listener.binds:
                try:
                    self._bound.append((listener, self._bind(bind)))
                except OSError as error:
                    self._unbind()
                    raise CannotListen(listener.name, bind, error) from None

    def startService(self) -> None:
        """Drop privileges and serve."""
        super().startService()
        self.privilegedStartService()
        room = Room(privileges.sessions_within(privileges.raise_descriptor_limit()))
        self.warn_if_crowded(room.left)
        self.prepare(room)
        self.accept()
        self._on_signals()

    def adopt(self, sockets: Sequence[Sequence[socket.socket]], rooms: ByName[str, Room]) -> None:
        """Serve at sockets that belong to somebody else, who has bound them.

        ``sockets``: for each place in the configuration's order; ``rooms``: by listener.
        """
        self._owns_sockets = False
        self._rooms = dict(rooms)
        places = [each for each in self._configuration.listeners for _ in each.binds]
        for listener, dealt in zip(places, sockets, strict=True):
            self._bound += [(listener, each) for each in dealt]

    def prepare(self, room: Room) -> None:
        """Do everything but accept."""
        self._room = room
        # While every file may be read.
        for text in check_trust(self._configuration, self._connector.contexts):
            self._log.error("{text}", text=text)
        privileges.drop(self._ids)
        self._poller.start()
        privileges.forbid_core_dumps()
        Deferred.fromCoroutine(self._start_table())

    def accept(self) -> None:
        """Accept connections."""
        router = composition.make_router(self._configuration, self._cache, self._reactor)
        around = composition.make_surroundings(
            self._configuration, router, self._learning.connect, self._splicer, self._reactor
        )
        self._learning.start()
        for listener in self._configuration.listeners:
            room = self._rooms.get(listener.name, self._room)
            mine = listener_composition.surroundings_for(self._configuration, listener, around)
            terms = listener_composition.make_terms(
                self._configuration,
                listener,
                self._tls,
                self._learning.make_server(listener.protocol),
            )
            made = Listener(terms, mine, self._clock, room, self._log)
            self._listeners[listener.name] = made
        self._acceptors = [self._acceptor(bound, each.name) for each, bound in self._bound]
        self._bound = []
        if self._tls is not None:
            self._watch = CertificateWatch(self._tls, self._reactor, self._log)
            self._watch.start()

    def cover(self, slot: int, name: str, lent: socket.socket) -> None:
        """Accept at a socket of another slot for this listener, too; it is ours to close."""
        self._lent.setdefault(slot, []).append(self._acceptor(lent, name))

    def give_back(self, slot: int) -> None:
        """The slot has a worker of its own again."""
        for acceptor in self._lent.pop(slot, ()):
            acceptor.stop()

    async def retire(self) -> Deferred[None]:
        """Accept no more, and leave the database to the successors.

        Clients who are there may still log in, within the time that they had anyway; joined
        sessions live to their end.  Returns with that to wait for.
        """
        self._close_acceptors()
        if isinstance(self._source, SqlTable):
            # Logins under way go on with a single connection, made only if it is needed; or with
            # those that there are, where a file of TLS has gone or may be read no more.
            with contextlib.suppress(ConfigurationError):
                await self._change_source()
        return Deferred.fromCoroutine(self._fade())

    def stopService(self) -> Deferred[None]:
        """Close the listeners, say goodbye, let joined sessions end, close what is left."""
        super().stopService()
        return Deferred.fromCoroutine(self._drain())

    def reload(self) -> Deferred[None]:
        """SIGHUP: see ``renew``; and go on in a new log file.  Fires when it is done."""
        self.rotate_log()
        return Deferred.fromCoroutine(self.renew()).addCallbacks(
            lambda words: self._log.info("reloaded: {words}", words=words),
            lambda failure: self._log.failure("not reloaded", failure),
        )

    async def renew(self) -> str:
        """Read the mapping file and the certificates anew; whatever was looked up is asked again.

        What is broken keeps its old content and is named in the log.  Returns what was done.
        """
        done = ["cache expired"]
        try:
            await self._source.reload()
            # Tables that may have several files say themselves what became of them.
            done += ["mapping file read"] * isinstance(self._source, FileTable)
        except ConfigurationError as error:
            done.append("the old mapping stays")
            self._complain(error.complaints)
        if self._tls is not None:
            try:
                self._tls.reload()
                done.append("certificates read")
            except Failure as failure:
                done.append("the old certificates stay")
                self._log.error("reload: {text}; the old certificates stay", text=failure.reason)
        if complaints := self._connector.contexts.renew():
            done.append("the old trust in backends stays")
            self._complain(complaints)
        # Not before: until a file is read, logins get and remember what the old one says.
        self._cache.expire()
        return ", ".join(done)

    def _complain(self, complaints: Sequence[str]) -> None:
        for text in complaints:
            self._log.error("reload: {text}; the old content stays", text=text)

    def rotate_log(self) -> None:
        """Go on in a new log file, for whoever moved the old one away."""
        try:
            self.reopen_log()
        except OSError as error:
            self._log.error("the log cannot be reopened: {error}; it goes on", error=error)

    # -- starting ------------------------------------------------------------------------

    def _bind(self, bind: model.Bind) -> socket.socket:
        if bind.kind == "tcp":
            return sockets.bind_tcp(bind.address, bind.port)
        if bind.kind == "unix":
            return sockets.bind_unix(bind.address)
        return sockets.passed_by_systemd(bind.address, os.environ)

    def _unbind(self) -> None:
        """Close what was bound: not everything could be."""
        for _listener, bound in self._bound:
            bound.close()
        self._bound = []

    def _acceptor(self, bound: socket.socket, name: str) -> Acceptor:
        return Acceptor(self._poller, self._reactor, bound, self._listeners[name])

    async def _start_table(self) -> None:
        try:
            await self._source.start()
        except Exception:  # The tables recover by themselves: serving goes on without them.
            self._log.failure("the mapping's table could not be started")

    def warn_if_crowded(self, room: int) -> None:
        """``room``: for how many sessions, on the whole node."""
        wanted = sum(listener.max_connections for listener in self._configuration.listeners)
        if wanted > room:
            self._log.warn(
                "room for {room} sessions only, while the listeners allow {wanted}:"
                " raise LimitNOFILE, or lower max_connections",
                room=room,
                wanted=wanted,
            )

    def _on_signals(self) -> None:
        end_once(self._reactor)
        handle_signal(self._reactor, signal.SIGHUP, self.reload)
        handle_signal(self._reactor, signal.SIGUSR1, self.rotate_log)
        handle_signal(self._reactor, signal.SIGUSR2, self._cannot_upgrade)

    def _cannot_upgrade(self) -> None:
        self._log.warn("SIGUSR2 needs several workers: restart for new code")

    # -- ending --------------------------------------------------------------------------

    async def _drain(self) -> None:
        self._close_acceptors()
        if self._owns_sockets:
            self._remove_unix_sockets()
        for listener in self._listeners.values():
            listener.shut_down()
        await self._wait_for_sessions(self._configuration.server.shutdown_grace_seconds)
        for joint in list(self._splicer.joints):
            joint.end("shutdown")
        await self._wait_for_sessions(min(FLUSH_SECONDS, GOODBYE_SECONDS))
        await self._close_table(self._source)
        self._splicer.close()
        self._poller.close()

    def _remove_unix_sockets(self) -> None:
        """Those that we made; systemd keeps its own."""
        for listener in self._configuration.listeners:
            for bind in listener.binds:
                if bind.kind == "unix":
                    with contextlib.suppress(OSError):
                        os.unlink(bind.address)

    def _close_acceptors(self) -> None:
        self._learning.stop()
        if self._watch is not None:
            self._watch.stop()
        for slot in list(self._lent):
            self.give_back(slot)
        for acceptor in self._acceptors:
            acceptor.stop()
        self._acceptors = []
        self._unbind()

    async def _change_source(self) -> None:
        narrow = composition.make_source(composition.share_of(self._configuration), self._reactor)
        former, self._source = self._source, narrow
        await self._start_table()
        self._mapping.source = narrow
        until = self._reactor.seconds() + self._configuration.mapping.lookup_timeout_seconds
        # Whoever waits for the former one gets an answer from it.
        while self._mapping.asked and self._reactor.seconds() < until:
            await deferLater(self._reactor, DRAIN_STEP_SECONDS)
        await self._close_table(former)

    async def _fade(self) -> None:
        """Wait for the end of every session."""
        while any(listener.has_strangers for listener in self._listeners.values()):
            await deferLater(self._reactor, RETIREMENT_STEP_SECONDS)
        await self._close_table(self._source)
        while any(map(len, self._listeners.values())):
            await deferLater(self._reactor, RETIREMENT_STEP_SECONDS)

    async def _wait_for_sessions(self, seconds: float) -> None:
        until = self._reactor.seconds() + seconds
        while any(map(len, self._listeners.values())) and self._reactor.seconds() < until:
            await deferLater(self._reactor, DRAIN_STEP_SECONDS)

    async def _close_table(self, source: composition.Source) -> None:
        closing = Deferred.fromCoroutine(source.close())
        try:
            await closing.addTimeout(GOODBYE_SECONDS * 5, self._reactor)
        except TimeoutError:
            self._log.warn("the mapping's table did not close in time")
