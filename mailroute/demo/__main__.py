"""Start the demo: ``python -m mailroute.demo``."""

from __future__ import annotations

import datetime
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from twisted.application.service import MultiService
from twisted.internet.error import CannotListenError
from twisted.logger import globalLogBeginner

from mailroute.demo.backend import SampleBackend
from mailroute.demo.configuration import Folder, FrontPorts, write_files
from mailroute.demo.instructions import Accounts, instructions
from mailroute.observers import Output, observer

PASSWORD = "secret"
ROUTES = {"alice@example.org": "east", "bob@example.org": "west"}


MakeService = Callable[[dict[str, str]], Any]


def program() -> str:
    """The console script beside this Python, as a shell wants it."""
    return shlex.quote(str(Path(sys.executable).with_name("mailroute")))


def start(
    reactor: Any, folder: Folder, ports: FrontPorts, make_service: MakeService
) -> MultiService:
    """Start the sample servers and mailroute; return the service that holds them all.

    ``make_service`` makes mailroute's service out of the command line's options.  Raises
    OSError or CannotListenError where a port is taken.
    """
    # Both servers know both accounts, as after a copy of the mailboxes: the table alone decides.
    names = ROUTES.values()
    backends = {name: SampleBackend(reactor, name, ROUTES, PASSWORD) for name in names}
    whole = MultiService()
    for backend in backends.values():
        backend.setServiceParent(whole)
    whole.startService()
    destinations = {name: backend.ports for name, backend in backends.items()}
    now = datetime.datetime.now(datetime.UTC)
    write_files(folder, ROUTES, destinations, ports, now)
    front = make_service({"config": str(folder.configuration)})
    front.privilegedStartService()
    front.setServiceParent(whole)
    return whole


def run(reactor: Any, make_service: MakeService, ports: FrontPorts, output: TextIO) -> int:
    """Run the demo until a signal ends it; return the exit status."""
    early: list[int] = []

    def end(number: int, frame: object) -> None:
        # Not an exception: it could end in a Deferred.  The reactor replaces SIGTERM's handler by
        # its own, and leaves SIGINT to us.
        early.append(number)
        if reactor.running and len(early) == 1:
            reactor.callFromThread(reactor.stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with tempfile.TemporaryDirectory(prefix="mailroute-demo-") as path:
        folder = Folder(Path(path))
        try:
            whole = start(reactor, folder, ports, make_service)
        except (OSError, CannotListenError) as error:
            print(f"mailroute: {error}\nIs another demo running?", file=sys.stderr)
            return 1
        reactor.addSystemEventTrigger("before", "shutdown", whole.stopService)
        accounts = Accounts(ROUTES, PASSWORD)
        print(instructions(folder, ports, accounts, program()), file=output, flush=True)
        # What was logged until now is kept, and follows the instructions.
        log = observer(Output(None), "info", "text")
        globalLogBeginner.beginLoggingTo([log], redirectStandardIO=False)
        reactor.callLater(0, lambda: reactor.stop() if early else None)
        reactor.run()
    return 0


if __name__ == "__main__":
    from twisted.internet import reactor

    from mailroute.tap import makeService

    sys.exit(run(reactor, makeService, FrontPorts(), sys.stdout))
