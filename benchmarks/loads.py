"""The clients of one run: their command line and their outcome."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HARD_LIMIT_SECONDS = 600


class LoadFailed(Exception):
    """The clients could not do their work at all."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients do; the options are those of ``native/load.c`` without their dashes."""

    work: str
    """login, chat, fetch, append or hold."""
    protocol: str
    tls: bool
    options: Mapping[str, float | bool]

    @property
    def service(self) -> str:
        """The name of the port: imap, imaps, and so on."""
        return self.protocol + ("s" if self.tls else "")

    def command(self, program: Path, port: int) -> list[str]:
        """The command line."""
        words = [str(program), self.work, self.protocol, str(port)]
        options = dict(self.options) | ({"tls": True} if self.tls else {})
        for name, value in options.items():
            if value is True:
                words.append(f"--{name}")
            elif value is not False:
                words += [f"--{name}", f"{value:.15g}"]
        return words


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clients say they saw."""

    done: int
    """Sessions of ``login`` and ``hold``, otherwise rounds."""
    started: int
    seconds: float
    octets: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    held: int
    pinged: int
    resumed: int
    cpu_seconds: float
    first_fault: str
    faults: Mapping[str, int]

    def complaints(self) -> list[str]:
        """The faults in words; none if all is well."""
        if not self.faults:
            return []
        counts = ", ".join(f"{count} {name}" for name, count in self.faults.items())
        return [f"clients saw {counts}; the first: {self.first_fault}"]


def parse_outcome(output: str) -> Outcome:
    """Read the last line that the clients printed.  Raises LoadFailed."""
    lines = output.strip().splitlines()
    try:
        return Outcome(**json.loads(lines[-1].removeprefix("READY ")))
    except (IndexError, TypeError, ValueError) as fault:
        raise LoadFailed(f"the clients said nothing sensible: {output[-300:]!r}") from fault


def run_load(program: Path, load: Load, port: int) -> Outcome:
    """Run the clients to their end.  Raises LoadFailed."""
    try:
        ended = subprocess.run(
            load.command(program, port),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_HARD_LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as fault:
        raise LoadFailed(f"the clients did not end in {_HARD_LIMIT_SECONDS} s") from fault
    if ended.returncode not in (0, 1):
        raise LoadFailed(f"the clients ended with {ended.returncode}: {ended.stderr[-300:]}")
    return parse_outcome(ended.stdout)


class RunningLoad:
    """Clients that work while something else is measured; a context manager."""

    def __init__(self, program: Path, load: Load, port: int) -> None:
        self._process = subprocess.Popen(
            load.command(program, port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> RunningLoad:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """The clients' process."""
        return self._process.pid

    def ready(self) -> Outcome:
        """Wait until all sessions of ``hold`` are logged in.  Raises LoadFailed."""
        output = self._process.stdout
        return parse_outcome(output.readline() if output is not None else "")

    def is_running(self) -> bool:
        """Whether they have not ended yet."""
        return self._process.poll() is None

    def finish(self) -> Outcome:
        """Let held sessions go, and wait for the end of all.  Raises LoadFailed."""
        try:
            output, _ = self._process.communicate(timeout=_HARD_LIMIT_SECONDS)
        except subprocess.TimeoutExpired as fault:
            raise LoadFailed(f"the clients did not end in {_HARD_LIMIT_SECONDS} s") from fault
        return parse_outcome(output)
