"""Whom a bearer token is for."""

from __future__ import annotations

import base64
import json

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.sasl.mechanism import BadMessage
from mailroute.sasl.oauthbearer import OAuthBearer
from mailroute.sasl.tokens import claimed_identity
from mailroute.sasl.xoauth2 import XOAuth2


def message(claims: object, head: bytes = b"n,,") -> bytes:
    """A message with a token that claims this; the signature is nobody's."""
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return raw(b"e30." + middle + b".c2ln", head)


def raw(token: bytes, head: bytes = b"n,,") -> bytes:
    """A message with this token."""
    return head + b"\x01auth=Bearer " + token + b"\x01\x01"


class TokenTests(SynchronousTestCase):
    """A claim names the account where nothing else does, if the operator names the claim."""

    def test_claim(self) -> None:
        """The claim's text; names beyond ASCII and any padding of base64 too."""
        for name in ("alice@example.org", "ä", "ab", "abc", "a?>"):
            found = claimed_identity(message({"email": name, "sub": "7"}), "email")
            self.assertEqual(found, Identity(name))

    def test_scheme(self) -> None:
        """RFC 6750 section 2.1: the scheme is read in any case of letters (RFC 9110 11.1)."""
        text = message({"email": "alice"}).replace(b"auth=Bearer", b"auth=bearer")
        self.assertEqual(claimed_identity(text, "email"), Identity("alice"))

    def test_not_allowed(self) -> None:
        """Without a configured claim a message that names nobody is refused."""
        for mechanism, head in ((OAuthBearer(), b"n,,"), (XOAuth2(), b"user=")):
            with self.assertRaises(BadMessage):
                mechanism.login([message({"email": "alice"}, head)])

    def test_name_of_the_message_goes_first(self) -> None:
        """What the client says is what the backend will compare with the token."""
        for mechanism, head in (
            (OAuthBearer("email"), b"n,a=bob,"),
            (XOAuth2("email"), b"user=bob"),
        ):
            text = message({"email": "alice"}, head)
            login = mechanism.login([text])
            self.assertEqual((login.identity, login.initial_response), (Identity("bob"), text))

    def test_mechanisms(self) -> None:
        """Both mechanisms use the claim, and pass the message on as it is."""
        for mechanism, head in (
            (OAuthBearer("email"), b"n,,"),
            (OAuthBearer("email"), b"n,a=,"),
            (XOAuth2("email"), b"user="),
        ):
            text = message({"email": "alice"}, head)
            login = mechanism.login([text])
            self.assertEqual((login.identity, login.initial_response), (Identity("alice"), text))

    def test_unusable_tokens(self) -> None:
        """A token that is none, or claims no text there, names nobody; nothing breaks."""
        deep = base64.urlsafe_b64encode(b"[" * 30000)
        tokens = [b"", b"x", b"a.b", b"a.b.c", b"..", b"a.!.c", b"a." + deep + b".c", b"a.e30.c.d"]
        messages = [raw(token) for token in tokens]
        odd: tuple[object, ...] = ({}, [], 7, None, {"email": 7}, {"email": ""}, {"email": ["a"]})
        messages += [message(claims) for claims in (*odd, {"email": "a\0b"})]
        messages += [b"n,,\x01\x01", b""]
        for text in messages:
            self.assertRaises(BadMessage, claimed_identity, text, "email")

    def test_one_token(self) -> None:
        """Of two tokens the backend might verify the other one: then nobody is named."""
        first, second = message({"email": "alice"}), message({"email": "bob"}, b"")
        for text in (first[:-1] + second[1:], first[:-1] + b"AUTH=other\x01\x01"):
            self.assertRaises(BadMessage, claimed_identity, text, "email")

    def test_lone_surrogate(self) -> None:
        """JSON can write what is no text: it names nobody."""
        text = raw(b"a." + base64.urlsafe_b64encode(b'{"email": "\\ud800"}').rstrip(b"=") + b".c")
        self.assertRaises(BadMessage, claimed_identity, text, "email")
