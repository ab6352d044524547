"""SCRAM-SHA-1 (RFC 5802) and SCRAM-SHA-256 (RFC 7677)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.sasl.mechanism import BadMessage
from mailroute.sasl.scram import Scram

SAMPLE = b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
"""The first message of RFC 5802 section 5."""


class ScramTests(SynchronousTestCase):
    """The first message names the account; the rest passes unread."""

    def names(self, message: bytes) -> Identity:
        """The identity in a first message."""
        return Scram("SCRAM-SHA-1").login([message]).identity

    def test_rfc_sample(self) -> None:
        """The account is read, the message stays as it is."""
        for name in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
            login = Scram(name).login([SAMPLE])
            self.assertEqual(login.identity, Identity("user"))
            self.assertEqual((login.mechanism, login.initial_response), (name, SAMPLE))

    def test_reveals_nothing(self) -> None:
        """Who reads the exchange cannot log in with what was read."""
        self.assertFalse(Scram("SCRAM-SHA-1").reveals_secret)

    def test_escapes(self) -> None:
        """RFC 5802 section 5.1: "=2C" is a comma, "=3D" an equals sign, another "=" an error."""
        self.assertEqual(self.names(b"n,,n=a=2Cb=3Dc=3D2C,r=x"), Identity("a,b=c=2C"))
        for bad in (b"a=2cb", b"a=", b"a=3", b"a=41", b"=="):
            self.assertRaises(BadMessage, self.names, b"n,,n=" + bad + b",r=x")

    def test_channel_binding_flags(self) -> None:
        """RFC 5802 section 6: "y" could bind and was not offered to; "p=" demands what we cannot.

        The flag of the message is part of the proof: it is passed on as it is.
        """
        login = Scram("SCRAM-SHA-256").login([b"y,,n=u,r=x"])
        self.assertEqual((login.identity.account, login.initial_response), ("u", b"y,,n=u,r=x"))
        for flag in (b"p=tls-unique", b"p=tls-exporter", b"p", b"", b"N", b"ny"):
            with self.assertRaises(BadMessage) as caught:
                self.names(flag + b",,n=u,r=x")
            self.assertEqual(str(caught.exception), "Channel binding is not supported")

    def test_authzid(self) -> None:
        """The account is the authorization identity where there is another one."""
        self.assertEqual(self.names(b"n,a=alice=2C,n=admin,r=x"), Identity("admin", "alice,"))
        self.assertEqual(self.names(b"n,a=u,n=u,r=x"), Identity("u"))
        self.assertEqual(self.names(b"n,a=,n=u,r=x"), Identity("u"))

    def test_extensions(self) -> None:
        """RFC 5802 section 5.1: an unknown mandatory extension fails, others pass."""
        self.assertEqual(self.names(b"n,,n=u,r=x,e=more"), Identity("u"))
        with self.assertRaises(BadMessage) as caught:
            self.names(b"n,,m=new,n=u,r=x")
        self.assertEqual(str(caught.exception), "SCRAM extension is not supported")

    def test_malformed(self) -> None:
        """Anything else names nobody."""
        for bad in (b"", b"n", b"n,,", b"n,,n=u", b"n,,r=x,n=u", b"n,,n=,r=x", b"n,,n=u,r=",
                    b"n,,n=u,r=\xc3\xa9", b"n,,u,r=x", b"n,b=x,n=u,r=x", b"n,,n=\xff,r=x",
                    b"n,,n=u\0,r=x", b"n=u,r=x", b"n,,n=u,r=a b"):  # fmt: skip
            self.assertRaises(BadMessage, self.names, bad)
