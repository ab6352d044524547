"""OAUTHBEARER (RFC 7628)."""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.sasl.mechanism import BadMessage
from mailroute.sasl.oauthbearer import OAuthBearer

SAMPLE = base64.b64decode(
    "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9"
    "QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
)
"""The message of RFC 7628 section 4.1."""


class OAuthBearerTests(SynchronousTestCase):
    """The GS2 header names the account; the rest passes unread."""

    def test_rfc_sample(self) -> None:
        """The account is read, the message stays as it is."""
        login = OAuthBearer().login([SAMPLE])
        self.assertEqual(login.identity, Identity("user@example.com"))
        self.assertEqual((login.mechanism, login.initial_response), ("OAUTHBEARER", SAMPLE))

    def test_escapes(self) -> None:
        """A comma and an equals sign in a name are escaped (RFC 5801 section 4)."""
        login = OAuthBearer().login([b"n,a=a=2Cb=3Dc,\x01auth=Bearer x\x01\x01"])
        self.assertEqual(login.identity.account, "a,b=c")

    def test_channel_binding_flags(self) -> None:
        """RFC 5801 section 5: "y" is a client that could bind; "p" demands what we cannot give."""
        self.assertEqual(
            OAuthBearer().login([b"y,a=u,\x01auth=Bearer x\x01\x01"]).identity.account, "u"
        )
        for flag in (b"p=tls-unique", b"", b"N", b"x"):
            message = flag + b",a=u,\x01auth=Bearer x\x01\x01"
            self.assertRaises(BadMessage, OAuthBearer().login, [message])

    def test_malformed(self) -> None:
        """No name, a bad name, a bad header, no end."""
        for message in (
            b"",
            b"\x01",
            b"n,,\x01auth=Bearer x\x01\x01",
            b"n,a=,\x01auth=Bearer x\x01\x01",
            b"n,a=u\x01auth=Bearer x\x01\x01",
            b"n,a=u,x\x01auth=Bearer x\x01\x01",
            b"n,a=u,v,\x01auth=Bearer x\x01\x01",
            b"n,a=u=2,\x01auth=Bearer x\x01\x01",
            b"n,a=\xff,\x01auth=Bearer x\x01\x01",
            b"n,a=u\0v,\x01auth=Bearer x\x01\x01",
            b"n,user=u,\x01auth=Bearer x\x01\x01",
            b"n,a=u,\x01auth=Bearer x",
            b"n,a=u,",
        ):
            self.assertRaises(BadMessage, OAuthBearer().login, [message])

    def test_token_is_a_secret(self) -> None:
        """It is in no repr, and the mechanism wants TLS."""
        login = OAuthBearer().login([b"n,a=u,\x01auth=Bearer hunter2\x01\x01"])
        self.assertNotIn("hunter2", repr(login))
        self.assertTrue(OAuthBearer.reveals_secret)
