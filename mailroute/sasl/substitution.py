"""What a backend is told instead of what the client has said: another name, or other credentials.

A name is replaced where it is not part of a proof.  A password of ours goes out for a client who
has proved by a certificate who it is; for one who has only said a password it does so where the
operator has allowed that, since then nobody checks what the client said.
"""

from __future__ import annotations

from dataclasses import replace

from mailroute.credentials import Credentials, Identity, Supplied
from mailroute.errors import Failure, FailureKind
from mailroute.events import Login
from mailroute.sasl import plain


def substituted(login: Login, name: str | None, supplied: Supplied | None) -> Login:
    """The login as the backend is to see it.  Raises Failure where that cannot be.

    ``name`` replaces the account's; ``supplied`` replaces the credentials.
    """
    if supplied is not None and supplied.replaces(login.mechanism):
        return _supplied(login, name, supplied)
    if login.mechanism == "EXTERNAL":
        raise _incapable("no password is configured to log in with for EXTERNAL")
    return login if name is None else _renamed(login, name)


def _supplied(login: Login, name: str | None, supplied: Supplied) -> Login:
    if login.mechanism.startswith("SCRAM-"):
        raise _incapable(f"{login.mechanism} is a proof: no other password can replace it")
    account = name or login.identity.account
    identity = Identity(account)
    if supplied.master_user is not None:
        identity = Identity(supplied.master_user, account)
    return _plain(Credentials(identity, supplied.password.encode()))


def _renamed(login: Login, name: str) -> Login:
    """The login under the name that the row gives the account at its backend."""
    if login.mechanism != "PLAIN" or login.initial_response is None:
        if name == login.identity.account:
            return login
        raise _incapable(f"a username cannot replace the name inside {login.mechanism}")
    given = plain.decode(login.initial_response)
    # A master login keeps its own name and acts for the renamed account.
    authcid = given.identity.authcid
    identity = Identity(authcid, name) if given.identity.authzid else Identity(name)
    return _plain(replace(given, identity=identity))


def _plain(credentials: Credentials) -> Login:
    return Login(credentials.identity, "PLAIN", plain.encode(credentials))


def _incapable(reason: str) -> Failure:
    return Failure(FailureKind.BACKEND_INCAPABLE, reason)
