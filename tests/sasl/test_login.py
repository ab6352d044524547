"""LOGIN: two prompts, and PLAIN behind them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.sasl.login import LoginMechanism
from mailroute.sasl.mechanism import BadMessage


class LoginMechanismTests(SynchronousTestCase):
    """Name and password, each asked for."""

    def test_prompts(self) -> None:
        """The texts that clients look for (draft-murchison-sasl-login section 2)."""
        self.assertEqual(LoginMechanism.prompts, (b"Username:", b"Password:"))
        self.assertTrue(LoginMechanism.reveals_secret)

    def test_becomes_plain(self) -> None:
        """Any backend can be given it as PLAIN."""
        login = LoginMechanism().login([b"tim", b"tanstaaf tanstaaf"])
        self.assertEqual((login.mechanism, login.identity), ("PLAIN", Identity("tim")))
        self.assertEqual(login.initial_response, b"\0tim\0tanstaaf tanstaaf")

    def test_nul(self) -> None:
        """A NUL in an answer cannot shift the parts of PLAIN."""
        for answers in ([b"a\0b", b"x"], [b"a", b"x\0y"], [b"", b"x"], [b"a", b""]):
            self.assertRaises(BadMessage, LoginMechanism().login, answers)
