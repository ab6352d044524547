"""The exchange of base64 lines, on both sides."""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.events import Login, Response
from mailroute.sasl.exchange import (
    Cancelled,
    ClientExchange,
    ServerExchange,
    decode,
    encode,
    initial_argument,
    traces,
)
from mailroute.sasl.login import LoginMechanism
from mailroute.sasl.mechanism import BadMessage
from mailroute.sasl.oauthbearer import OAuthBearer
from mailroute.sasl.plain import Plain, password_login

MESSAGE = b"\0tim\0tanstaaftanstaaf"
ENCODED = b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm"


class Base64Tests(SynchronousTestCase):
    """Strict base64."""

    def test_strict(self) -> None:
        """What is no base64 is an error and never a guess (RFC 4648 section 3.3)."""
        self.assertEqual(decode(ENCODED), MESSAGE)
        self.assertEqual(decode(b""), b"")
        for bad in (b"=", b"A", b"AHR", b"AHRp bQ==", b"AHRp\r", b"AH*p", b"AHRpbQ", b"AHRpbQ=",
                    b"bQ==bQ==", b"bQ===", b"AHRp-_bQ", b"\xff\xfe\xfd\xfc", b"bQ==x"):  # fmt: skip
            self.assertRaises(BadMessage, decode, bad)

    def test_error_shows_nothing(self) -> None:
        """The error's text is fit for the client and holds no octet of what it sent."""
        with self.assertRaises(BadMessage) as caught:
            decode(b"hunter2")
        self.assertEqual(str(caught.exception), "Invalid base64 data")

    def test_empty_initial_response(self) -> None:
        """In a command an empty response is written "=" (RFC 4959 section 3)."""
        self.assertEqual(initial_argument(b""), b"=")
        self.assertEqual(initial_argument(MESSAGE), ENCODED)


class ServerExchangeTests(SynchronousTestCase):
    """We are the server."""

    def test_initial_response(self) -> None:
        """With it the login is known at once."""
        exchange = ServerExchange(Plain())
        self.assertFalse(exchange.relaying)
        self.assertEqual(exchange.begin(ENCODED), Login(Identity("tim"), "PLAIN", MESSAGE))
        self.assertTrue(exchange.relaying)

    def test_without_initial_response(self) -> None:
        """The client is asked by an empty challenge."""
        exchange = ServerExchange(Plain())
        self.assertEqual(exchange.begin(None), b"")
        self.assertEqual(exchange.receive(ENCODED), Login(Identity("tim"), "PLAIN", MESSAGE))

    def test_empty_is_not_absent(self) -> None:
        """ "=" answers the first prompt with nothing; it is "=" in the command alone."""
        exchange = ServerExchange(LoginMechanism())
        self.assertEqual(exchange.begin(b"="), encode(b"Password:"))
        self.assertRaises(BadMessage, ServerExchange(Plain()).begin, b"=")
        exchange = ServerExchange(Plain())
        exchange.begin(None)
        with self.assertRaises(BadMessage) as caught:
            exchange.receive(b"=")
        self.assertEqual(str(caught.exception), "Invalid base64 data")

    def test_prompts(self) -> None:
        """LOGIN asks twice, or once where the name came with the command."""
        exchange = ServerExchange(LoginMechanism())
        self.assertEqual(exchange.begin(None), b"VXNlcm5hbWU6")
        self.assertEqual(exchange.receive(encode(b"tim")), b"UGFzc3dvcmQ6")
        self.assertEqual(exchange.receive(encode(b"x")), password_login(b"tim", b"x"))
        exchange = ServerExchange(LoginMechanism())
        self.assertEqual(exchange.begin(encode(b"tim")), b"UGFzc3dvcmQ6")
        self.assertEqual(exchange.receive(encode(b"x")), password_login(b"tim", b"x"))

    def test_cancelled_before_the_login(self) -> None:
        """ "*" ends it here; nobody else has heard of it."""
        exchange = ServerExchange(LoginMechanism())
        exchange.begin(encode(b"tim"))
        self.assertRaises(Cancelled, exchange.receive, b"*")
        self.assertFalse(exchange.relaying)
        self.assertFalse(exchange.cancelled)

    def test_relaying(self) -> None:
        """After the login lines are responses, whatever is in them, and "*" is passed on."""
        exchange = ServerExchange(OAuthBearer())
        exchange.begin(encode(b"n,a=u,\x01auth=Bearer x\x01\x01"))
        self.assertEqual(exchange.receive(b"AQ=="), Response(b"\x01"))
        self.assertEqual(exchange.receive(b""), Response(b""))
        self.assertFalse(exchange.cancelled)
        self.assertEqual(exchange.receive(b"*"), Response(None))
        self.assertTrue(exchange.cancelled)
        self.assertRaises(BadMessage, exchange.receive, b"!")

    def test_no_login_is_no_relay(self) -> None:
        """A message that asks for no login is nobody's but ours to answer."""
        for mechanism, first in ((Plain(), b""), (LoginMechanism(), encode(b"tim"))):
            exchange = ServerExchange(mechanism)
            exchange.begin(first or None)
            self.assertRaises(BadMessage, exchange.receive, b"")
            self.assertFalse(exchange.relaying)

    def test_secret_is_dropped(self) -> None:
        """Once the login is known the exchange holds nothing of it."""
        exchange = ServerExchange(LoginMechanism())
        exchange.begin(encode(b"tim"))
        exchange.receive(encode(b"hunter2"))
        self.assertNotIn("hunter2", repr(vars(exchange)))
        self.assertNotIn("tim", repr(vars(exchange)))


class ClientExchangeTests(SynchronousTestCase):
    """We are the client."""

    def setUp(self) -> None:
        self.exchange = ClientExchange(Login(Identity("tim"), "PLAIN", MESSAGE))

    def test_initial_response(self) -> None:
        """It goes with the command, and the next challenge is not ours to answer."""
        self.assertFalse(self.exchange.complete)
        self.assertEqual(self.exchange.initial(100), ENCODED)
        self.assertTrue(self.exchange.complete)
        self.assertIsNone(self.exchange.challenged(b""))

    def test_room(self) -> None:
        """It waits where the command's line has no room for it."""
        self.assertIsNone(self.exchange.initial(len(ENCODED) - 1))
        self.assertFalse(self.exchange.complete)
        self.assertEqual(self.exchange.challenged(b"ignored"), ENCODED)
        self.assertTrue(self.exchange.complete)
        self.assertIsNone(self.exchange.challenged(b""))

    def test_just_enough_room(self) -> None:
        """The room is counted in octets of base64."""
        self.assertEqual(self.exchange.initial(len(ENCODED)), ENCODED)

    def test_empty_first_message(self) -> None:
        """It is "=" in a command and an empty line in the exchange."""
        login = Login(Identity("tim"), "EXTERNAL", b"")
        self.assertEqual(ClientExchange(login).initial(1), b"=")
        self.assertEqual(ClientExchange(login).challenged(b""), b"")

    def test_server_speaks_first(self) -> None:
        """Without a first message every challenge is the client's to answer."""
        exchange = ClientExchange(Login(Identity("tim"), "X", None))
        self.assertIsNone(exchange.initial(100))
        self.assertIsNone(exchange.challenged(b""))
        self.assertTrue(exchange.complete)

    def test_octets(self) -> None:
        """The length in base64, which is what servers limit."""
        for length in range(10):
            login = Login(Identity("tim"), "X", b"x" * length)
            self.assertEqual(ClientExchange(login).octets, len(encode(b"x" * length)))
        self.assertEqual(ClientExchange(Login(Identity("tim"), "X", None)).octets, 0)

    def test_own_mechanism(self) -> None:
        """What the client speaks goes first, whatever else the backend offers."""
        self.assertEqual(self.exchange.choose({"PLAIN", "LOGIN"}.__contains__), "PLAIN")
        self.assertEqual(self.exchange.initial(100), ENCODED)

    def test_translation(self) -> None:
        """Name and password are said in two answers where the backend has LOGIN alone."""
        self.assertEqual(self.exchange.choose({"LOGIN", "X"}.__contains__), "LOGIN")
        self.assertIsNone(self.exchange.initial(100))
        self.assertEqual(self.exchange.challenged(b"whatever"), encode(b"tim"))
        self.assertFalse(self.exchange.complete)
        self.assertEqual(self.exchange.challenged(b"it is called"), encode(b"tanstaaftanstaaf"))
        self.assertTrue(self.exchange.complete)
        self.assertIsNone(self.exchange.challenged(b"a third prompt"))
        self.exchange.forget()
        self.assertNotIn("tanstaaf", repr(vars(self.exchange)))

    def test_only(self) -> None:
        """The one mechanism that is wanted, and no other, whatever is offered."""
        every = {"PLAIN", "LOGIN", "XOAUTH2"}
        for only, offered, way in (
            ("PLAIN", every, "PLAIN"),
            ("LOGIN", every, "LOGIN"),
            ("LOGIN", {"PLAIN"}, None),
            ("PLAIN", {"LOGIN"}, None),
            ("XOAUTH2", every, None),
        ):
            exchange = ClientExchange(Login(Identity("tim"), "PLAIN", MESSAGE))
            exchange.only = only
            self.assertEqual(exchange.choose(offered.__contains__), way, only)
        token = ClientExchange(Login(Identity("tim"), "XOAUTH2", b"user=tim\x01\x01"))
        token.only = "XOAUTH2"
        self.assertEqual(token.choose(every.__contains__), "XOAUTH2")
        token.only = "PLAIN"
        self.assertIsNone(token.choose(every.__contains__))

    def test_no_translation(self) -> None:
        """LOGIN has no place for a second name, and other mechanisms hold no password."""
        master = b"alice\0tim\0tanstaaftanstaaf"
        for login in (
            Login(Identity("tim", "alice"), "PLAIN", master),
            Login(Identity("tim"), "XOAUTH2", b"user=tim\x01auth=Bearer x\x01\x01"),
            Login(Identity("tim"), "SCRAM-SHA-1", b"n,,n=tim,r=x"),
        ):
            self.assertIsNone(ClientExchange(login).choose({"LOGIN"}.__contains__))
            self.assertIsNone(ClientExchange(login).choose(frozenset[str]().__contains__))

    def test_downgrade(self) -> None:
        """RFC 5802 section 6: "y" fails at a backend that does offer channel binding."""
        offered = {"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}
        for flag, plus, way in (
            (b"y", True, None),
            (b"n", True, "SCRAM-SHA-1"),
            (b"y", False, "SCRAM-SHA-1"),
        ):
            login = Login(Identity("tim"), "SCRAM-SHA-1", flag + b",,n=tim,r=x")
            offers = (offered if plus else {"SCRAM-SHA-1"}).__contains__
            self.assertEqual(ClientExchange(login).choose(offers), way)
            self.assertEqual(ClientExchange(login).is_downgraded(offers), way is None)

    def test_forget(self) -> None:
        """The secret is dropped with the verdict."""
        self.exchange.forget()
        self.assertIsNone(self.exchange.initial(100))
        self.assertEqual(self.exchange.traces(), [])


class TraceTests(SynchronousTestCase):
    """What betrays that a backend repeats a first message."""

    def repeats(self, message: bytes, said: bytes) -> bool:
        return any(trace in said for trace in traces(message))

    def test_repetitions(self) -> None:
        """The message or its secret, plain or in base64, whole or cut off."""
        bearer = b"n,a=tim,\x01host=h\x01auth=Bearer tanstaaftanstaaf\x01\x01"
        for message in (MESSAGE, bearer):
            secret = b"tanstaaftanstaaf"
            for said in (secret, secret[:9], base64.b64encode(secret), base64.b64encode(message),
                         base64.b64encode(message)[:20]):  # fmt: skip
                self.assertTrue(self.repeats(message, b"NO not " + said), said)

    def test_names_are_no_secret(self) -> None:
        """A text that names the user may be quoted."""
        self.assertFalse(self.repeats(MESSAGE, b"NO tim is locked out"))
        self.assertFalse(self.repeats(b"user=tim\x01auth=Bearer x1y2z3\x01\x01", b"NO tim, Bearer"))

    def test_without_a_message(self) -> None:
        """Nothing cannot be repeated."""
        self.assertEqual(traces(b""), [])
