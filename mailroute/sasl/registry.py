"""The mechanisms by name."""

from __future__ import annotations

from collections.abc import Iterable

from mailroute.sasl.login import LoginMechanism
from mailroute.sasl.mechanism import Mechanism
from mailroute.sasl.oauthbearer import OAuthBearer
from mailroute.sasl.plain import Plain
from mailroute.sasl.scram import Scram
from mailroute.sasl.xoauth2 import XOAuth2

MECHANISMS: tuple[Mechanism, ...] = (Plain(), LoginMechanism(), XOAuth2(), OAuthBearer())
"""What is offered where nothing else is configured: any backend can be given these."""

ON_REQUEST: tuple[Mechanism, ...] = (Scram("SCRAM-SHA-1"), Scram("SCRAM-SHA-256"))
"""What is offered where it is asked for: the backends have to offer it themselves."""


def mechanisms(names: Iterable[str], claim: str | None = None) -> tuple[Mechanism, ...]:
    """The mechanisms of these names (upper case), in this order.

    ``claim``: the token's claim that names the account where a message does not.
    """
    configured = (XOAuth2(claim), OAuthBearer(claim)) if claim is not None else ()
    known = {mechanism.name: mechanism for mechanism in (*MECHANISMS, *ON_REQUEST, *configured)}
    return tuple(known[name] for name in names)
