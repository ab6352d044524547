"""How the demo is put together."""

from __future__ import annotations

import shlex
import sys
import tomllib
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.demo.__main__ import ROUTES, program, start
from mailroute.demo.configuration import Folder, FrontPorts


class Front(Service):
    """Stands where mailroute's own service will stand, and records what is asked of it."""

    def __init__(self, options: dict[str, str]) -> None:
        self.settings = tomllib.loads(Path(options["config"]).read_text())
        self.privileged = False

    def privilegedStartService(self) -> None:
        """Twisted's name for: bind the ports."""
        self.privileged = True


class ProgramTests(SynchronousTestCase):
    """What the demo's user can type."""

    def test_program(self) -> None:
        """The console script stands beside the Python that runs the demo."""
        self.assertEqual(shlex.split(program()), [str(Path(sys.executable).parent / "mailroute")])


class StartTests(SynchronousTestCase):
    """Sample servers first, then mailroute with a configuration that names their ports."""

    def test_start(self) -> None:
        """mailroute's service is started after its ports are bound, and stops with the rest."""
        made: list[Front] = []

        def make_service(options: dict[str, str]) -> Front:
            made.append(Front(options))
            return made[0]

        path = Path(self.mktemp()).absolute()
        path.mkdir()
        reactor = MemoryReactorClock()
        whole = start(reactor, Folder(path), FrontPorts(), make_service)
        (front,) = made
        self.assertTrue(front.privileged)
        self.assertTrue(front.running)
        self.assertEqual(set(front.settings["destination"]), set(ROUTES.values()))
        self.assertEqual(len(reactor.tcpServers), 6)
        self.successResultOf(whole.stopService())
        self.assertFalse(front.running)
