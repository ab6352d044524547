"""No secret in what is shown of a conversation."""

from __future__ import annotations

import base64
import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli.redaction import WITHHELD, Redaction
from mailroute.wire.strings import quoted

bounded = settings(max_examples=100, deadline=None, derandomize=True, database=None)
SECRETS = st.binary(min_size=1, max_size=40).filter(lambda secret: not set(b"\0\r\n") & set(secret))


class ReplyTests(SynchronousTestCase):
    """A backend that repeats what we said."""

    def test_harmless(self) -> None:
        """What does not repeat it is shown."""
        redaction = Redaction(b"correct horse")
        self.assertEqual(redaction.reply(b"* OK ready"), "* OK ready")
        self.assertEqual(redaction.reply(b"\xff \xc3\xa9"), "\\xff é")
        self.assertEqual(Redaction(b"").reply(b"anything"), "anything")

    def test_repeated(self) -> None:
        """The secret as it is, in a quoted string, and in the base64 of any PLAIN message."""

        @bounded
        @given(SECRETS, st.binary(max_size=12), st.binary(max_size=5))
        def law(secret: bytes, before: bytes, behind: bytes) -> None:
            redaction = Redaction(secret)
            self.assertEqual(redaction.reply(before + secret + behind), WITHHELD)
            with contextlib.suppress(ValueError):
                self.assertEqual(redaction.reply(b"LOGIN x " + quoted(secret)), WITHHELD)
            if len(secret) >= 6:
                message = b"\0" + before + b"\0" + secret
                self.assertEqual(redaction.reply(base64.b64encode(message)), WITHHELD)

        law()

    def test_several(self) -> None:
        """A password of ours that replaces the client's is as secret as that."""
        redaction = Redaction(b"correct horse")
        redaction.hide(b"battery staple")
        for secret in (b"correct horse", b"battery staple"):
            self.assertEqual(redaction.reply(b"no: " + secret), WITHHELD)

    def test_parts(self) -> None:
        """A part of it is enough, and case does not hide it."""
        redaction = Redaction(b"correct horse battery")
        self.assertEqual(redaction.reply(b"bad: ...ECT HORSE"), WITHHELD)
        self.assertEqual(redaction.reply(b"bad: horse"), "bad: horse")


class LoginTests(SynchronousTestCase):
    """What we write from the login on."""

    def shown(self, secret: bytes, *lines: bytes) -> list[str]:
        """Lines of ours, as they are shown."""
        redaction = Redaction(secret)
        return [redaction.login(line) for line in lines]

    def test_commands(self) -> None:
        """The command and the mechanism, of all protocols."""
        for line, shown in (
            (b"mr1 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==", "mr1 AUTHENTICATE PLAIN ****"),
            (b"mr12 AUTHENTICATE XOAUTH2", "mr12 AUTHENTICATE XOAUTH2"),
            (b'mr1 LOGIN "alice" "secret"', "mr1 LOGIN ****"),
            (b"mr1 LOGIN {5+}", "mr1 LOGIN ****"),
            (b"AUTH PLAIN AGFsaWNlAHNlY3JldA==", "AUTH PLAIN ****"),
            (b"AUTH LOGIN", "AUTH LOGIN"),
            (b"USER alice", "USER ****"),
            (b"something else", "****"),
        ):
            self.assertEqual(self.shown(b"secret", line), [shown])

    def test_continuations(self) -> None:
        """Nothing of the lines that follow, but PASS behind USER."""
        self.assertEqual(
            self.shown(b"secret", b"USER alice", b"PASS secret"), ["USER ****", "PASS ****"]
        )
        self.assertEqual(
            self.shown(b"secret", b"AUTH LOGIN", b"YWxpY2U=", b"c2VjcmV0"),
            ["AUTH LOGIN", "****", "****"],
        )
        self.assertEqual(
            self.shown(b"secret", b"mr1 AUTHENTICATE PLAIN AA", b"mr2 CAPABILITY"),
            ["mr1 AUTHENTICATE PLAIN ****", "mr2 CAPABILITY"],
        )

    def test_secrets_like_commands(self) -> None:
        """A literal or a response that looks as a command would is not taken for one."""
        self.assertEqual(
            self.shown(b"USER bob", b"mr1 LOGIN {5}", b"alice {8}", b"USER bob"),
            ["mr1 LOGIN ****", "****", "****"],
        )
        self.assertEqual(self.shown(b"PASS", b"USER x", b"PASS PASS"), ["USER ****", "****"])
        self.assertEqual(
            self.shown(b"mr2 CAPABILITY", b"mr1 LOGIN {5}", b"mr2 CAPABILITY")[1], "****"
        )

    def test_never(self) -> None:
        """Whatever the secret, nothing that is shown of any line holds it."""

        @bounded
        @given(SECRETS)
        def law(secret: bytes) -> None:
            lines = (b"mr1 LOGIN " + secret, b"USER " + secret, b"PASS " + secret, secret)
            for text in self.shown(secret, *lines):
                shown = text.replace("****", "").encode()
                self.assertNotIn(secret.lower(), shown.lower())

        law()
