"""The mechanisms by name."""

from __future__ import annotations

from mailroute.sasl.login import LoginMechanism
from mailroute.sasl.mechanism import Mechanism
from mailroute.sasl.oauthbearer import OAuthBearer
from mailroute.sasl.plain import Plain
from mailroute.sasl.xoauth2 import XOAuth2

MECHANISMS: tuple[Mechanism, ...] = (Plain(), LoginMechanism(), XOAuth2(), OAuthBearer())
