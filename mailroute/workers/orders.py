"""What a worker is told before it starts: a memory file that nobody changes any more.

The supervisor may be older than the worker's code: what is missing has a default, and what is
not known is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class LogChoice:
    """Where twistd was told to log; level and format are the configuration's."""

    kind: str = "output"
    """file (inherited), output (the standard one), syslog, factory"""
    value: str = ""
    """The prefix for syslog, or the full name of a factory."""


@dataclass(frozen=True, slots=True)
class Orders:
    """For one worker, or for the check of a configuration (which needs the first two alone)."""

    path: str
    """The configuration's; relative names in it start there."""
    text: str = field(repr=False)
    index: int = 0
    workers: int = 1
    row: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    """Of the tally, by listener."""
    sockets: Sequence[Sequence[int]] = ()
    """The descriptors for each of the configuration's places, in its order."""
    log: LogChoice = LogChoice()

    def seal(self) -> int:
        """Write them to a new memory file; returns its descriptor."""
        descriptor = os.memfd_create("mailroute-orders")
        with open(descriptor, "wb", closefd=False) as file:
            file.write(json.dumps(asdict(self)).encode())
        return descriptor

    @classmethod
    def unseal(cls, descriptor: int) -> Orders:
        """Read what ``seal`` has written; the descriptor stays open."""
        octets = b""
        # The offset is shared with whoever else has the file.
        while chunk := os.pread(descriptor, _CHUNK, len(octets)):
            octets += chunk
        fields = json.loads(octets)
        log = fields.get("log", {})
        fields["log"] = LogChoice(**{n: log[n] for n in LogChoice.__dataclass_fields__ if n in log})
        return cls(**{n: fields[n] for n in cls.__dataclass_fields__ if n in fields})
