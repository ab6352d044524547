"""XOAUTH2."""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.sasl.mechanism import BadMessage
from mailroute.sasl.xoauth2 import XOAuth2

SAMPLE = base64.b64decode(
    "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52"
    "YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
)
"""The initial response of the protocol's own documentation."""


class XOAuth2Tests(SynchronousTestCase):
    """The user, and a token that is not looked at."""

    def test_documented_sample(self) -> None:
        """The account is read, the message stays as it is."""
        login = XOAuth2().login([SAMPLE])
        self.assertEqual(login.identity, Identity("someuser@example.com"))
        self.assertEqual((login.mechanism, login.initial_response), ("XOAUTH2", SAMPLE))

    def test_malformed(self) -> None:
        """A message has its user first and ends in two separators."""
        for message in (
            b"",
            b"\x01\x01",
            b"user=\x01auth=Bearer x\x01\x01",
            b"user=a",
            b"user=a\x01",
            b"user=a\x01auth=Bearer x\x01",
            b"auth=Bearer x\x01user=a\x01\x01",
            b"user=\xff\x01auth=Bearer x\x01\x01",
            b"user=a\0b\x01auth=Bearer x\x01\x01",
        ):
            self.assertRaises(BadMessage, XOAuth2().login, [message])

    def test_one_user(self) -> None:
        """A second user, whom the backend might take, is nobody who was looked up."""
        for message in (
            b"user=a\x01user=b\x01auth=Bearer x\x01\x01",
            b"user=a\x01auth=Bearer x\x01User=b\x01\x01",
            b"user=\x01user=b\x01auth=Bearer x\x01\x01",
        ):
            self.assertRaises(BadMessage, XOAuth2("sub").login, [message])

    def test_token_is_a_secret(self) -> None:
        """It is in no repr, and the mechanism wants TLS."""
        login = XOAuth2().login([b"user=a\x01auth=Bearer hunter2\x01\x01"])
        self.assertNotIn("hunter2", repr(login))
        self.assertTrue(XOAuth2.reveals_secret)
