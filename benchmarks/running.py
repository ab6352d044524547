"""A peer that has been started."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.ground import Ground, await_greeting
from benchmarks.loads import Load, Outcome, RunningLoad, run_load
from benchmarks.peers.contract import Peer, Site
from benchmarks.processes import ProcessGroup, settle

_START_SECONDS = 60.0


class NotStarted(Exception):
    """A peer did not come up; the text has what it said."""


class RunningPeer:
    """A context manager: the peer serves inside."""

    def __init__(self, ground: Ground, peer: Peer) -> None:
        self.ground = ground
        self.peer = peer
        self.ports: Mapping[str, int] = {}
        self.folder = _folder(ground, peer)
        self.group = ProcessGroup(peer.name)

    def __enter__(self) -> RunningPeer:
        try:
            self._start()
        except BaseException:
            self.group.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.group.stop()

    def _start(self) -> None:
        ground, peer = self.ground, self.peer
        self.ports = {name: ground.port() for name in (*peer.services, *peer.more_ports)}
        listened = {name: self.ports[name] for name in peer.services}
        site = Site(
            folder=self.folder,
            ports=self.ports if peer.more_ports else listened,
            stores=ground.stores,
            certificate=ground.certificate,
            key=ground.folder / "key.pem",
            both=ground.folder / "both.pem",
            database=ground.database(peer.accounts),
        )
        for command in peer.prepare(site):
            self.group.start(command, self.folder, peer.open_files)
        for service, port in listened.items():
            self._await(service, port)
        settle([self.group])

    def _await(self, service: str, port: int) -> None:
        """Wait until it serves; a peer that has ended is not waited for."""
        deadline = time.monotonic() + _START_SECONDS
        while not self.group.ended() and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                await_greeting(port, service.endswith("s"), 1)
                return
        raise NotStarted(f"{service} does not answer: {self._words()}")

    def _words(self) -> str:
        """The end of what it printed and logged."""
        texts = [path.read_text(errors="replace")[-400:] for path in self._logs()]
        return " ".join(" ".join(texts).split()) or "it said nothing"

    def _logs(self) -> list[Path]:
        return [path for path in (self.folder / "output", self.folder / "log") if path.exists()]

    def tracebacks(self) -> int:
        """How often the log tells of a defect; of interest for mailroute alone."""
        return sum(path.read_text(errors="replace").count("Traceback") for path in self._logs())

    def serves(self, load: Load) -> bool:
        """Whether it has a port for this."""
        return load.service in self.ports

    def run(self, load: Load) -> Outcome:
        """Let clients work to their end.  Raises LoadFailed."""
        return run_load(self.ground.load_program, self._adapted(load), self.ports[load.service])

    def begin(self, load: Load) -> RunningLoad:
        """Let clients work meanwhile."""
        return RunningLoad(self.ground.load_program, self._adapted(load), self.ports[load.service])

    def _adapted(self, load: Load) -> Load:
        if self.peer.routes:
            return load
        return Load(load.work, load.protocol, load.tls, {**load.options, "any-store": True})


def _folder(ground: Ground, peer: Peer) -> Path:
    for number in range(1, 10_000):
        folder = ground.folder / f"{peer.name}-{number}"
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o755)
            return folder
    raise NotStarted("too many folders")
