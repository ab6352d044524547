"""Bearer tokens: who one is for, where the message around it does not say.

What a token claims is read and not verified.  It chooses the backend and nothing more: the
backend verifies the token, and knows by itself whose it is.
"""

from __future__ import annotations

import base64
import binascii
import json

from mailroute.credentials import Identity
from mailroute.sasl.mechanism import BadMessage, identity

_SCHEME = b"auth=bearer "


def claimed_identity(message: bytes, claim: str | None) -> Identity:
    """The account in a claim of the JSON web token (RFC 7519) in a message that names nobody.

    Raises BadMessage where no claim may be used, or it is not there, or there are two tokens:
    the backend might verify the one whose claim we have not read.
    """
    tokens = [field for field in message.split(b"\x01") if field[:5].lower() == b"auth="]
    if claim is not None and len(tokens) == 1 and tokens[0].lower().startswith(_SCHEME):
        name = _claims(tokens[0][len(_SCHEME) :].strip(b" ")).get(claim)
        if isinstance(name, str) and name:
            return identity(name.encode("utf-8", "surrogatepass"))
    raise BadMessage("The message names no user")


def _claims(token: bytes) -> dict[str, object]:
    pieces = token.split(b".")
    if len(pieces) != 3:
        return {}
    padded = pieces[1] + b"=" * (-len(pieces[1]) % 4)
    try:
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
