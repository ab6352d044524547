"""mailroute as a Twisted service: start, reload, drain.

``check`` runs before the reactor and before daemonising: what it complains about is never
served.  Sockets are bound in ``privilegedStartService`` and privileges dropped afterwards.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailroute import composition, privileges
from mailroute.config import model
from mailroute.errors import ConfigurationError, Failure
from mailroute.net import sockets
from mailroute.net.acceptor import Acceptor
from mailroute.net.dialer import Dialer
from mailroute.net.joint import FLUSH_SECONDS
from mailroute.net.listener import Listener, Room, Terms
from mailroute.net.poller import Poller
from mailroute.net.splice import Splicer
from mailroute.net.ticks import CoarseClock
from mailroute.protocols import PROTOCOLS
from mailroute.route import TLSMode
from mailroute.tables.file import FileTable
from mailroute.tables.sql_table import SqlTable

GOODBYE_SECONDS = 1.0
"""For goodbyes to reach clients that are not joined."""
DRAIN_STEP_SECONDS = 0.1


class MailrouteService(Service):
    """Everything that serves one configuration in one process."""

    def __init__(self, configuration: model.Configuration, reactor: Any) -> None:
        """Raises ConfigurationError."""
        self.setName("mailroute")
        self._configuration = configuration
        self._reactor = reactor
        self._log = Logger(namespace="mailroute")
        self._source = composition.make_source(configuration, reactor)
        self._cache = composition.make_cache(configuration, self._source, reactor)
        self._tls = composition.make_server_tls(configuration)
        self._clock = CoarseClock(reactor)
        self._poller = Poller(reactor)
        dialer = Dialer(reactor, self._clock, self._poller)
        self._connector = composition.make_connector(configuration, dialer.dial, self._clock)
        self._splicer = Splicer(self._clock, configuration.server.bridge_idle_seconds)
        self._ids = privileges.look_up(configuration.server.user, configuration.server.group)
        self._bound: list[tuple[model.Listener, socket.socket]] = []
        self._listeners: list[Listener] = []
        self._acceptors: list[Acceptor] = []
        self.reopen_log: Callable[[], None] = lambda: None
        """What SIGUSR1 calls, and SIGHUP before anything else; raises OSError."""

    def check(self) -> list[str]:
        """Try the table and the files; returns warnings, raises ConfigurationError."""
        warnings = list(self._configuration.warnings)
        complaints = composition.check_trust(self._configuration)
        try:
            warning = self._source.check() if isinstance(self._source, SqlTable) else None
            warnings += [warning] if warning else []
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
        """Bind every socket, all of them or none; raises OSError naming the place."""
        if self._bound:
            return
        for listener in self._configuration.listeners:
            for bind in listener.binds:
                try:
                    self._bound.append((listener, self._bind(bind)))
                except OSError as error:
                    self._unbind()
                    place = f"listener.{listener.name}: cannot listen at {bind}"
                    raise OSError(error.errno, f"{place}: {error.strerror}") from None

    def startService(self) -> None:
        """Drop privileges and serve."""
        super().startService()
        self.privilegedStartService()
        room = Room(privileges.sessions_within(privileges.raise_descriptor_limit()))
        self._warn_if_crowded(room)
        privileges.drop(self._ids)
        self._poller.start()
        privileges.forbid_core_dumps()
        Deferred.fromCoroutine(self._start_table())
        router = composition.make_router(self._configuration, self._cache, self._reactor)
        around = composition.make_surroundings(
            self._configuration, router, self._connector, self._splicer, self._reactor
        )
        for listener, bound in self._bound:
            factory = Listener(self._terms(listener), around, self._clock, room, self._log)
            self._listeners.append(factory)
            self._acceptors.append(Acceptor(self._poller, self._reactor, bound, factory))
        self._bound = []
        self._on_signal(signal.SIGHUP, self.reload)
        self._on_signal(signal.SIGUSR1, self.rotate_log)

    def stopService(self) -> Deferred[None]:
        """Close the listeners, say goodbye, let joined sessions end, close what is left."""
        super().stopService()
        return Deferred.fromCoroutine(self._drain())

    def reload(self) -> None:
        """Read the mapping file and the certificates anew and forget what was looked up.

        What is broken keeps its old content and is named in the log.
        """
        self.rotate_log()
        if isinstance(self._source, FileTable):
            try:
                self._source.reload()
            except ConfigurationError as error:
                for complaint in error.complaints:
                    self._log.error("reload: {text}; the old content stays", text=complaint)
        if self._tls is not None:
            try:
                self._tls.reload()
            except Failure as failure:
                self._log.error("reload: {text}; the old certificates stay", text=failure.reason)
        self._connector.contexts.clear()
        self._cache.drop()
        self._log.info("reloaded: cache dropped, mapping file and certificates read")

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

    def _terms(self, listener: model.Listener) -> Terms:
        return Terms(
            protocol=listener.protocol,
            tls_mode=TLSMode(listener.tls),
            tls=self._tls,
            make_dialogue=composition.server_dialogue_maker(self._configuration, listener),
            full=PROTOCOLS[listener.protocol].full,
            max_connections=listener.max_connections,
            preauth_seconds=listener.preauth_timeout_seconds,
            is_verbose=self._configuration.server.log_level == "debug",
        )

    async def _start_table(self) -> None:
        try:
            await self._source.start()
        except Exception:  # The tables recover by themselves: serving goes on without them.
            self._log.failure("the mapping's table could not be started")

    def _warn_if_crowded(self, room: Room) -> None:
        wanted = sum(listener.max_connections for listener in self._configuration.listeners)
        if wanted > room.left:
            self._log.warn(
                "room for {room} sessions only, while the listeners allow {wanted}:"
                " raise LimitNOFILE, or lower max_connections",
                room=room.left,
                wanted=wanted,
            )

    def _on_signal(self, number: int, action: Any) -> None:
        try:
            signal.signal(number, lambda *_: self._reactor.callFromThread(action))
        except ValueError:
            self._log.debug("not in the main thread: signal {number} is not handled", number=number)

    # -- ending --------------------------------------------------------------------------

    async def _drain(self) -> None:
        for acceptor in self._acceptors:
            acceptor.stop()
        self._acceptors = []
        self._remove_unix_sockets()
        for listener in self._listeners:
            listener.shut_down()
        await self._wait_for_sessions(self._configuration.server.shutdown_grace_seconds)
        for joint in list(self._splicer.joints):
            joint.end("shutdown")
        await self._wait_for_sessions(min(FLUSH_SECONDS, GOODBYE_SECONDS))
        await self._close_table()
        self._splicer.close()
        self._poller.close()

    def _remove_unix_sockets(self) -> None:
        """Those that we made; systemd keeps its own."""
        for listener in self._configuration.listeners:
            for bind in listener.binds:
                if bind.kind == "unix":
                    with contextlib.suppress(OSError):
                        os.unlink(bind.address)

    async def _wait_for_sessions(self, seconds: float) -> None:
        until = self._reactor.seconds() + seconds
        while any(map(len, self._listeners)) and self._reactor.seconds() < until:
            await deferLater(self._reactor, DRAIN_STEP_SECONDS)

    async def _close_table(self) -> None:
        closing = Deferred.fromCoroutine(self._source.close())
        try:
            await closing.addTimeout(GOODBYE_SECONDS * 5, self._reactor)
        except TimeoutError:
            self._log.warn("the mapping's table did not close in time")
