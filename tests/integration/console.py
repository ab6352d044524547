"""The console script as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.integration.postmap import Ended

SECONDS = 120
_REPOSITORY = Path(__file__).parents[2]


def command(*arguments: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "mailroute.cli", *arguments]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables: our sources, wherever it is started."""
    return {**os.environ, "PYTHONPATH": str(_REPOSITORY), **(more or {})}


def mailroute(*arguments: str, stdin: str = "", more: Mapping[str, str] | None = None) -> Ended:
    """Run it to its end."""
    done = subprocess.run(
        command(*arguments),
        input=stdin.encode("utf-8", "surrogateescape"),
        capture_output=True,
        timeout=SECONDS,
        env=environment(more),
        check=False,
    )
    return Ended(done.returncode, _text(done.stdout), _text(done.stderr))


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
