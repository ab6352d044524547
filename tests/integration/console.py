"""The console script as an administrator runs it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 120
REPOSITORY = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "mailroute.cli")


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it printed."""

    status: int
    stdout: str
    stderr: str

    def data(self) -> Any:
        """The one line of JSON that was printed."""
        return json.loads(self.stdout)

    def __str__(self) -> str:
        return f"status {self.status}\n{self.stdout}\n{self.stderr}"


def environment() -> dict[str, str]:
    """Where the package is; nothing of the caller's own settings."""
    kept = {name: value for name, value in os.environ.items() if name != "MAILROUTE_CONFIG"}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"}


def console(*arguments: str, stdin: str = "", folder: str = "/") -> Said:
    """Run the console script to its end."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
