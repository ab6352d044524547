"""Calls the console script in this process; what waits is run without a reactor of the process."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailroute.cli import running
from mailroute.cli.main import main
from tests.config.reading import ConfigurationCase, configuration
from tests.support.threads import ThreadlessReactor

LISTENER = (
    '[listener.imap]\nprotocol = "imap"\nbind = ["127.0.0.1:143"]\ntls = "plain"\n'
    "[capabilities.imap]\nallow_plain_auth_without_tls = true\n"
)
MAPPING = '[mapping]\nsource = "file"\n[mapping.file]\npath = "routes"\n'


class CallingCase(ConfigurationCase):
    """A folder with what a good configuration names, and the console script."""

    def setUp(self) -> None:
        super().setUp()
        self.write("routes", "alice east\n")
        self.reactor = ThreadlessReactor()
        self.patch(running, "tell_log", lambda: None)
        self.patch(running, "run", self._work)

    def configure(self, **sections: str) -> str:
        """Write a configuration without TLS in front; returns its path."""
        sections = {**{"mapping": MAPPING, "listener": LISTENER, "tls": ""}, **sections}
        path = self.write("mailroute.toml", configuration(**sections))
        os.chmod(path, 0o640)
        return path

    def call(self, *arguments: str, stdin: str = "") -> int:
        """Call it; what it prints is in ``stdout`` and ``stderr``."""
        before = sys.stdin, sys.stdout, sys.stderr
        sys.stdin = _stream(stdin)
        sys.stdout, sys.stderr = out, err = _stream(), _stream()
        try:
            main(list(arguments))
        except SystemExit as ended:
            return int(ended.code or 0)
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
            self.stdout, self.stderr = _text(out), _text(err)

    def printed(self) -> list[Any]:
        """The lines of JSON that were printed."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def _work(self, work: Any, reactor: object) -> Any:
        """See ``running.run``."""
        return finished(work(self.reactor))


def finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns or raises; nothing that is tested so may wait."""
    results: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    if not results:
        raise AssertionError("it waits")
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


def _stream(text: str = "") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8", newline="")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()
