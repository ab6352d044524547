"""What the supervisor has to know of a configuration; it reads none itself.

A plan is made by the process that checks a configuration, which may run a newer version of the
code than the supervisor: it travels as JSON, and what one side does not know is left out.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One place to listen at."""

    kind: str
    """tcp, unix, systemd"""
    address: str
    port: int = 0
    number: int = 0
    """Tells places apart that are written alike: "any free port" may be asked for twice."""

    @property
    def is_shared(self) -> bool:
        """Whether there is one socket for all workers: only TCP can have several."""
        return self.kind != "tcp"

    def __str__(self) -> str:
        if self.is_shared:
            return f"{self.kind}:{self.address}"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked configuration, as the supervisor sees it."""

    workers: int
    places: tuple[Place, ...]
    """In the configuration's order."""
    listeners: tuple[str, ...]
    """The name of each place's listener."""
    grace_seconds: float
    """How long sessions may go on when everything is stopped."""
    fingerprint: str
    """Of the text and of the files that workers read before they give up their rights."""

    def to_json(self) -> str:
        """For ``from_json``."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Raises ValueError, KeyError or TypeError for what no ``to_json`` has written."""
        fields = json.loads(text)
        places = (
            Place(each["kind"], each["address"], each["port"], each["number"])
            for each in fields["places"]
        )
        return cls(
            workers=int(fields["workers"]),
            places=tuple(places),
            listeners=tuple(fields["listeners"]),
            grace_seconds=float(fields["grace_seconds"]),
            fingerprint=str(fields["fingerprint"]),
        )


def numbered(places: list[Place]) -> tuple[Place, ...]:
    """The places, told apart where they are written alike."""
    seen: dict[Place, int] = {}
    found = []
    for place in places:
        number = seen[place] = seen.get(place, -1) + 1
        found.append(Place(place.kind, place.address, place.port, number))
    return tuple(found)
