"""``twistd mailroute``: options, the check before anything is served, and the service."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from mailroute import collector
from mailroute.announced import AnnouncedService
from mailroute.config.model import Configuration
from mailroute.config.reader import load, read
from mailroute.configured import EX_CONFIG, complain, default_config
from mailroute.errors import CannotListen, ConfigurationError
from mailroute.observers import Output, observer
from mailroute.steady import keep_time
from mailroute.supervision import NodeLog, NodeService, count_workers, make_supervisor
from mailroute.systemd import ServiceManager
from mailroute.workers.orders import LogChoice

_LEVELS = ("debug", "info", "warn", "error", "critical")

_log = Logger(namespace="mailroute")


class Options(usage.Options):
    """The options of ``twistd mailroute``."""

    optParameters = [  # noqa: RUF012
        [
            "config",
            "c",
            default_config(os.environ),
            "The configuration file.",
        ],
    ]
    longdesc = (
        "Routes IMAP, POP3, submission and ManageSieve logins to the servers that hold "
        "the accounts."
    )

    def postOptions(self) -> None:
        """Read the configuration while complaints still reach the terminal."""
        # A relative path is resolved before twistd changes the folder.
        self["config"] = os.path.abspath(self["config"])
        self["text"], self["configuration"] = _read_or_exit(self["config"])
        parent = getattr(self, "parent", None)
        if parent is not None:
            _choose_log(parent, self["configuration"])


def makeService(options: Mapping[str, Any]) -> AnnouncedService | NodeService:
    """Make the checked service; ends the process with status 78 when it cannot be served."""
    from twisted.internet import reactor

    keep_time(reactor)

    # Nothing is there to reload yet, and the default would be to end.
    with contextlib.suppress(ValueError):
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
    if "configuration" in options:
        text, configuration = options["text"], options["configuration"]
    else:
        text, configuration = _read_or_exit(options["config"])
    try:
        service = AnnouncedService(configuration, reactor)
        warnings = service.check()
    except ConfigurationError as error:
        _exit(configuration.path, error)
    for warning in warnings:
        if not _is_log_seen("warn"):
            print(f"mailroute: warning: {warning}", file=sys.stderr)
        _log.warn("{text}", text=warning)
    # twistd lets an exception of its start through, for Python to print.
    sys.excepthook = partial(_say_plainly, sys.excepthook)
    manager = ServiceManager(os.environ, reactor)
    if count_workers(configuration) > 1:
        node = make_supervisor(configuration, text, _log_of_workers(), reactor)
        node.announce = manager.announce
        return node
    service.text = text
    service.reopen_log = _reopen_log
    service.announce = partial(_announce, manager)
    return service


def _announce(manager: ServiceManager, state: str) -> None:
    """Say it to who started us; at rest there is time to tidy up."""
    manager.announce(state)
    if state == "ready":
        collector.settle()


def _read_or_exit(path: str) -> tuple[str, Configuration]:
    """The file's text, and what it says."""
    try:
        text = load(path)
        return text, read(path, environment=os.environ, text=text)
    except ConfigurationError as error:
        _exit(path, error)


def _exit(path: str, error: ConfigurationError) -> NoReturn:
    complain(path, error, sys.stderr)
    raise SystemExit(EX_CONFIG)


def _say_plainly(otherwise: Callable[..., object], *caught: Any) -> None:
    """What Python calls for an exception that nobody has caught; no traceback for our complaint."""
    error = caught[1]
    if not isinstance(error, CannotListen):
        otherwise(*caught)
        return
    _log.critical("{text}", text=str(error))
    if not _is_log_seen("critical") and sys.__stderr__ is not None:
        # By now sys.stderr may be the log.
        print(f"mailroute: {error}", file=sys.__stderr__)


def _is_log_seen(level: str) -> bool:
    """Whether what is logged at this level appears on the terminal."""
    if _told_otherwise or not _log_choice:
        return False
    path, least, _ = _log_choice[-1]
    return path == "-" and _LEVELS.index(level) >= _LEVELS.index(least)


def _choose_log(parent: Any, configuration: Configuration) -> None:
    """Log in our format, unless twistd was told something else."""
    if parent.get("logger"):
        _told_otherwise.append(LogChoice("factory", parent["logger"]))
        return
    if parent.get("syslog"):
        _told_otherwise.append(LogChoice("syslog", parent["prefix"]))
        return
    path = parent.get("logfile") or ("-" if parent.get("nodaemon") else "twistd.log")
    server = configuration.server
    _log_choice.append((path, server.log_level, server.log_format))
    # twistd wants the name of a factory, and calls it without arguments.
    parent["logger"] = "mailroute.tap.chosen_observer"


_log_choice: list[tuple[str, str, str]] = []
_told_otherwise: list[LogChoice] = []


def _log_of_workers() -> NodeLog:
    """Workers log to the same file, or however twistd was told."""
    choice = LogChoice("output")
    if _told_otherwise:
        choice = _told_otherwise[-1]
    elif _log_choice and _log_choice[-1][0] != "-":
        choice = LogChoice("file")
    return NodeLog(choice, lambda: _outputs[-1].descriptor if _outputs else None, _reopen_log)


def chosen_observer() -> ILogObserver:
    """The observer that the configuration asks for; twistd calls this.

    Ends the process with status 1 where the log cannot be written.
    """
    path, level, log_format = _log_choice[-1]
    try:
        output = Output(path)
    except OSError as error:
        raise SystemExit(f"mailroute: cannot write the log: {error}") from None
    _outputs.append(output)
    return observer(output, level, log_format)


_outputs: list[Output] = []


def _reopen_log() -> None:
    """Have the chosen observer go on in a new file; raises OSError."""
    for output in _outputs:
        output.reopen()
