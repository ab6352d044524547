"""The laws that every dialogue keeps, for every protocol and both roles.

A protocol's test mixes one of the classes in, says how to make its dialogue and gives the
fragments out of which hypothesis makes conversations.
"""

from __future__ import annotations

from tests.support.client_laws import ClientLaws
from tests.support.conversations import (
    EVERY,
    PROOFS,
    SECRET,
    WORDS,
    Run,
    bounded,
    check_shape,
    conversations,
    every,
    policy,
    recognized,
)
from tests.support.server_laws import ServerLaws

__all__ = [
    "EVERY",
    "PROOFS",
    "SECRET",
    "WORDS",
    "ClientLaws",
    "Run",
    "ServerLaws",
    "bounded",
    "check_shape",
    "conversations",
    "every",
    "policy",
    "recognized",
]
