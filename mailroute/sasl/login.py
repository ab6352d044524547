"""LOGIN (draft-murchison-sasl-login): name and password, each asked for by a prompt.

The account is known after the first answer, but nothing is gained by routing before the
password is there; both are collected and become PLAIN, which any backend can be given.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailroute.events import Login
from mailroute.sasl.plain import password_login


class LoginMechanism:
    """The mechanism LOGIN."""

    name = "LOGIN"
    prompts: tuple[bytes, ...] = (b"Username:", b"Password:")
    reveals_secret = True

    def login(self, answers: Sequence[bytes]) -> Login:
        """See Mechanism."""
        return password_login(answers[0], answers[1])
