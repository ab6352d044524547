"""Who wants to log in, and with what.  A secret is in no ``repr``."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """The names in a login, as RFC 4422 section 3.4.1 calls them."""

    authcid: str
    """The authentication identity: whose password this is."""
    authzid: str = ""
    """The authorization identity: whose mail is wanted; empty where it is the same."""

    @property
    def account(self) -> str:
        """The name that chooses the backend: the authorization identity where there is one."""
        return self.authzid or self.authcid


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login by name and password, out of whichever command or mechanism it came."""

    identity: Identity
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Supplied:
    """Credentials of the configuration or a row, in place of the client's."""

    password: str = field(repr=False)
    master_user: str | None = None
    """Whose password it is, where it is not the account's own."""
    replaces_unchecked: bool = False
    """Also for clients whose own password nobody has checked."""

    def replaces(self, mechanism: str) -> bool:
        """Whether these, not the client's own, are what the backend is shown."""
        return self.replaces_unchecked or mechanism == "EXTERNAL"
