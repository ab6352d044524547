"""What is offered on a channel, and therefore what is allowed there.

The greeting, the capability lists and the gates of the commands all ask the same object, so
that nothing is advertised and refused, or hidden and accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from mailroute.sasl.external import External
from mailroute.sasl.mechanism import Mechanism


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator allows on one listener."""

    mechanisms: tuple[Mechanism, ...]
    """In the order in which they are advertised."""
    starttls: bool
    """Whether the listener upgrades a plain connection."""
    cleartext_logins: bool = False
    """Whether secrets may cross a connection without TLS."""
    external: bool = False
    """Whether a client's certificate may log it in."""

    def for_holder(self, names: tuple[str, ...]) -> Policy:
        """What is allowed to a client who has proved by a certificate to be called so."""
        if not self.external:
            return self
        return replace(self, mechanisms=(External(names), *self.mechanisms), external=False)


class Offer:
    """A policy applied to connections with TLS, or to those without."""

    def __init__(self, policy: Policy, secure: bool) -> None:
        self._policy = policy
        self.secure = secure
        self.mechanisms: Sequence[Mechanism] = tuple(filter(self._allows, policy.mechanisms))
        """The mechanisms that may be used now."""

    @property
    def starttls(self) -> bool:
        """Whether the client may upgrade now."""
        return self._policy.starttls and not self.secure

    @cached_property
    def passwords(self) -> bool:
        """Whether the protocol's own password commands (LOGIN, USER and PASS) may be used now."""
        return any(m.name in ("PLAIN", "LOGIN") for m in self.mechanisms)

    @property
    def needs_tls(self) -> bool:
        """Whether an upgrade would allow a way to log in that is refused now."""
        policy = self._policy
        return self.starttls and (policy.external or len(self.mechanisms) < len(policy.mechanisms))

    def mechanism(self, name: str) -> Mechanism | None:
        """The mechanism of this name (in any case of letters), if it may be used now."""
        # Only ASCII has the cases that are meant: upper() makes "I" of a dotless i too.
        folded = name.upper() if name.isascii() else ""
        for mechanism in self.mechanisms:
            if mechanism.name == folded:
                return mechanism
        return None

    def _allows(self, mechanism: Mechanism) -> bool:
        return self.secure or self._policy.cleartext_logins or not mechanism.reveals_secret


@lru_cache(maxsize=256)
def offer(policy: Policy, secure: bool) -> Offer:
    """The offer of a policy; there are two, whatever the number of connections."""
    return Offer(policy, secure)
