"""The real ``postmap`` with a main.cf of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from twisted.trial.unittest import SkipTest

PACKAGES = ("postfix", "postfix-sqlite", "postfix-mysql", "postfix-pgsql")
KINDS = frozenset({"sqlite", "mysql", "pgsql", "texthash", "inline", "regexp", "pipemap"})

ABSENT = "absent"
FAILED = "failed"
Outcome = tuple[str, str]
"""``found`` and the value, or ABSENT or FAILED and nothing."""

_PROCESSES = 80
_SECONDS = 60


def found(value: str) -> Outcome:
    """The outcome of a key that is there."""
    return "found", value


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended."""

    status: int
    stdout: str
    stderr: str


class Postmap:
    """Runs postmap; main.cf is in ``folder``."""

    def __init__(self, folder: Path, main_cf: str = "") -> None:
        self._program = shutil.which("postmap", path="/usr/sbin:/usr/bin:/sbin") or ""
        self.folder = folder
        folder.mkdir(exist_ok=True)
        write_old(folder / "main.cf", f"compatibility_level = 3.6\n{main_cf}")
        if not self._program or not self._kinds() >= KINDS:
            raise SkipTest(f"missing postmap: apt-get install {' '.join(PACKAGES)}")

    def _kinds(self) -> set[str]:
        postconf = Path(self._program).with_name("postconf")
        done = subprocess.run(
            [str(postconf), "-c", str(self.folder), "-m"], capture_output=True, check=False
        )
        return set(done.stdout.decode().split())

    def run(self, *arguments: str, stdin: str = "") -> Ended:
        """Run it with these arguments."""
        done = subprocess.run(
            [self._program, "-c", str(self.folder), *arguments],
            input=_octets(stdin),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        return Ended(done.returncode, _text(done.stdout), _text(done.stderr))

    def ask(
        self, name: str, keys: Sequence[str], *options: str, failing: Collection[str] = ()
    ) -> Mapping[str, Outcome]:
        """The outcome of each key, which may not hold a line break.

        ``failing`` are keys that are expected to fail: they are asked apart, because one error
        ends the whole, and pauses for a second.
        """
        others = [key for key in keys if key not in failing]
        done = self.run(*options, "-q", "-", name, stdin="".join(f"{key}\n" for key in others))
        if "fatal" in done.stderr:
            others, failing = [], keys
        with ThreadPoolExecutor(_PROCESSES) as threads:
            outcomes = threads.map(lambda key: self.ask_one(name, key, *options), failing)
            apart = dict(zip(failing, outcomes, strict=True))
        if not others:
            return apart
        lines = done.stdout.split("\n")
        answers = {}
        for key in others:
            if lines[0].startswith(f"{key}\t"):
                answers[key] = found(lines.pop(0).removeprefix(f"{key}\t"))
        if lines != [""]:
            raise AssertionError(f"{name}: not understood: {lines}")
        return {key: answers.get(key, (ABSENT, "")) for key in others} | apart

    def ask_one(self, name: str, key: str, *options: str) -> Outcome:
        """The outcome of one key."""
        done = self.run(*options, "-q", key, name)
        if "fatal" in done.stderr or done.status not in (0, 1):
            return FAILED, ""
        return (ABSENT, "") if done.status else found(done.stdout.removesuffix("\n"))


def write_old(path: Path, content: str) -> None:
    """Write a file that is an hour old: Postfix reads fresh ones again for two seconds."""
    path.write_bytes(_octets(content))
    os.utime(path, (time.time() - 3600,) * 2)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
