"""PLAIN (RFC 4616)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Credentials, Identity
from mailroute.sasl.mechanism import BadMessage
from mailroute.sasl.plain import Plain, decode, encode, password_login

bounded = settings(max_examples=80, deadline=None, derandomize=True)


class PlainTests(SynchronousTestCase):
    """Two NULs, three parts."""

    def test_rfc_samples(self) -> None:
        """RFC 4616 section 4: one name, and a name that acts for another."""
        login = Plain().login([b"\0tim\0tanstaaftanstaaf"])
        self.assertEqual(login.identity, Identity("tim"))
        self.assertEqual((login.identity.account, login.mechanism), ("tim", "PLAIN"))
        self.assertEqual(login.initial_response, b"\0tim\0tanstaaftanstaaf")
        login = Plain().login([b"Ursel\0Kurt\0xipj3plmq"])
        self.assertEqual(login.identity, Identity("Kurt", "Ursel"))
        self.assertEqual(login.identity.account, "Ursel")

    def test_exactly_two_nuls(self) -> None:
        """Any other number is no PLAIN message: a NUL cannot hide in a name or a password."""
        for message in (b"", b"alice", b"alice\0x", b"\0alice\0x\0", b"\0alice\0x\0y", b"\0\0\0"):
            self.assertRaises(BadMessage, decode, message)

    def test_parts(self) -> None:
        """Name and password are there; names are UTF-8; a password is any octets."""
        for message in (b"\0\0x", b"\0alice\0", b"a\0\0x", b"\0\xff\0x", b"\xff\0alice\0x"):
            self.assertRaises(BadMessage, decode, message)
        self.assertEqual(decode(b"\0alice\0\xff \r\n").secret, b"\xff \r\n")

    def test_acting_for_oneself(self) -> None:
        """An authzid that repeats the authcid says nothing; the message itself stays as it was."""
        login = Plain().login([b"tim\0tim\0x"])
        self.assertEqual(login.identity, Identity("tim"))
        self.assertEqual(login.initial_response, b"tim\0tim\0x")
        self.assertEqual(decode(b"Tim\0tim\0x").identity, Identity("tim", "Tim"))

    def test_round_trip(self) -> None:
        """What is written is read again."""
        name = st.text(
            st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9
        )
        secret = st.binary(min_size=1, max_size=9).map(lambda octets: octets.replace(b"\0", b"0"))

        @bounded
        @given(name, st.one_of(st.just(""), name), secret)
        def law(authcid: str, authzid: str, octets: bytes) -> None:
            credentials = Credentials(
                Identity(authcid, "" if authzid == authcid else authzid), octets
            )
            self.assertEqual(decode(encode(credentials)), credentials)

        law()

    def test_nul_is_never_written(self) -> None:
        """RFC 4616 section 2: no part holds a NUL."""
        for identity, secret in (
            (Identity("a\0b"), b"x"),
            (Identity("a", "b\0"), b"x"),
            (Identity("a"), b"x\0y"),
        ):
            self.assertRaises(ValueError, encode, Credentials(identity, secret))

    def test_password_login(self) -> None:
        """A name and a password become PLAIN; a NUL cannot make a third part of them."""
        login = password_login(b"alice", b"se\xffcret ")
        self.assertEqual(login.initial_response, b"\0alice\0se\xffcret ")
        self.assertEqual((login.mechanism, login.identity), ("PLAIN", Identity("alice")))
        for name, secret in (
            (b"root\0alice", b"x"),
            (b"alice\0guess", b""),
            (b"alice", b"x\0y"),
            (b"", b"x"),
            (b"alice", b""),
            (b"\xff", b"x"),
        ):
            self.assertRaises(BadMessage, password_login, name, secret)

    def test_secret_is_not_shown(self) -> None:
        """No repr holds the password."""
        self.assertNotIn("hunter2", repr(Plain().login([b"\0alice\0hunter2"])))
        self.assertNotIn("hunter2", repr(decode(b"\0alice\0hunter2")))
