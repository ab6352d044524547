"""The law of replies, for every protocol's server."""

from __future__ import annotations

import base64
import re
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.imap import server as imap
from mailroute.managesieve import server as managesieve
from mailroute.offer import Policy
from mailroute.pop3 import server as pop3
from mailroute.server_dialogue import ServerDialogue
from mailroute.smtp import server as smtp
from tests.support.answer_laws import AnswerLaws

PLAIN = base64.b64encode(b"\0alice\0secret")
ODD = [b"FOO", b"\xff", b"", b"  ", b"\0", b"x" * 300]
"""What is no command of any protocol."""


class ImapAnswerTests(AnswerLaws, SynchronousTestCase):
    """IMAP: each tag has its one tagged reply."""

    commands: ClassVar[list[bytes]] = [
        *(b"t " + text + b"\r\n" for text in [
            b"CAPABILITY", b"CAPABILITY x", b"NOOP", b"noop", b"NOOP x", b"LOGOUT x", b"ID NIL",
            b"ID", b'ID ("a" "b")', b"ID (a b)", b"STARTTLS x", b"LOGIN", b"LOGIN alice",
            b"LOGIN alice x y", b'LOGIN "alice', b'LOGIN "" ""', b"LOGIN \xff x", b"AUTHENTICATE",
            b"AUTHENTICATE NTLM", b"AUTHENTICATE PLAIN !", b"AUTHENTICATE PLAIN =", b"SELECT INBOX",
            b"AUTHENTICATE PLAIN x y", b"LOGIN {0+}\r\n x", b"LOGIN {3+}\r\na\0b x", *ODD,
            b"FOO {7+}\r\nt NOOP\n", b"SELECT {3}", b"NOOP {3}", b"LOGIN alice {9000}",
        ])
    ]  # fmt: skip
    starttls = b"t STARTTLS\r\n"
    login = b"t LOGIN alice {6+}\r\nsecret\r\n"
    cancelled = b"t AUTHENTICATE PLAIN\r\n*\r\n"
    authenticate = b"t AUTHENTICATE %b %b\r\n"

    def make(self, policy: Policy, secure: bool) -> ServerDialogue:
        return imap.ImapServer(policy, secure, 3, imap.Greeting())

    def numbered(self, number: int, command: bytes) -> bytes:
        return b"t%d" % number + command[1:]

    def finals(self, said: bytes) -> list[bytes]:
        return re.findall(rb"^t[0-9]* (?:OK|NO|BAD) .+\r\n", said, re.MULTILINE)

    def number(self, final: bytes) -> int:
        return int(final[1:].split()[0])


class Pop3AnswerTests(AnswerLaws, SynchronousTestCase):
    """POP3: a status indicator each; a list ends in its own line."""

    commands: ClassVar[list[bytes]] = [
        text + b"\r\n" for text in [
            b"CAPA", b"capa", b"CAPA x", b"NOOP", b"NOOP x", b"QUIT x", b"STLS x", b"USER",
            b"USER alice", b"PASS", b"PASS ", b"AUTH", b"AUTH NTLM", b"AUTH PLAIN !",
            b"AUTH PLAIN =", b"AUTH PLAIN a b", b"AUTH \xff", b"STAT", b"APOP a b", b"UTF8", *ODD,
        ]
    ]  # fmt: skip
    starttls = b"STLS\r\n"
    login = b"AUTH PLAIN " + PLAIN + b"\r\n"
    cancelled = b"AUTH PLAIN\r\n*\r\n"
    authenticate = b"AUTH %b %b\r\n"

    def make(self, policy: Policy, secure: bool) -> ServerDialogue:
        return pop3.Pop3Server(policy, secure, 3, pop3.Greeting())

    def finals(self, said: bytes) -> list[bytes]:
        return re.findall(rb"^(?:\+OK|-ERR) .+\r\n", said, re.MULTILINE)


class SmtpAnswerTests(AnswerLaws, SynchronousTestCase):
    """Submission: the last line of each reply has a space behind its code."""

    commands: ClassVar[list[bytes]] = [
        *(text + b"\r\n" for text in [
            b"EHLO x", b"EHLO", b"HELO x", b"HELO", b"NOOP", b"noop x", b"RSET", b"RSET x",
            b"VRFY a", b"VRFY", b"HELP", b"QUIT x", b"STARTTLS x", b"AUTH", b"AUTH NTLM",
            b"AUTH \xff", b"AUTH PLAIN !", b"AUTH PLAIN =", b"AUTH PLAIN a b", b"MAIL FROM:<>",
            b"RCPT TO:<a@x>", b"DATA", b"BDAT 0 LAST", b"EXPN x", b"ETRN x", b"BURL x", *ODD,
        ]),
        b"BDAT 6 LAST\r\nQUIT\r\n",
    ]  # fmt: skip
    opening = b"EHLO x\r\n"
    starttls = b"STARTTLS\r\n"
    login = b"AUTH PLAIN " + PLAIN + b"\r\n"
    cancelled = b"AUTH PLAIN\r\n*\r\n"
    authenticate = b"AUTH %b %b\r\n"

    def make(self, policy: Policy, secure: bool) -> ServerDialogue:
        return smtp.SmtpServer(policy, secure, 3, smtp.Greeting(b"mail.example"))

    def finals(self, said: bytes) -> list[bytes]:
        return re.findall(rb"^(?!334)[2-5][0-9][0-9] .+\r\n", said, re.MULTILINE)


class ManageSieveAnswerTests(AnswerLaws, SynchronousTestCase):
    """ManageSieve: OK, NO or BYE; what stands before it begins with a quote."""

    commands: ClassVar[list[bytes]] = [
        *(text + b"\r\n" for text in [
            b"CAPABILITY", b"capability", b"CAPABILITY x", b"NOOP", b'NOOP "x"',
            b"NOOP {3+}\r\na\0b", b"NOOP x", b"noop ", b"LOGOUT x", b"STARTTLS x",
            b"AUTHENTICATE", b"AUTHENTICATE PLAIN", b'AUTHENTICATE "NTLM"',
            b'AUTHENTICATE "PLAIN" "!"', b'AUTHENTICATE "PLAIN" ""',
            b'AUTHENTICATE "PLAIN" "a" "b"', b'AUTHENTICATE {5+}\r\nPLAIN {1+}\r\n!',
            b'AUTHENTICATE "\xff"', b'AUTHENTICATE "PLAIN', b"LISTSCRIPTS", b'HAVESPACE "x" 1',
            b'PUTSCRIPT "x" {6+}\r\nNOOP\r\n', b'XCLIENT "a"', *ODD,
        ]),
    ]  # fmt: skip
    starttls = b"STARTTLS\r\n"
    login = b'AUTHENTICATE "PLAIN" {20+}\r\n' + PLAIN + b"\r\n"
    cancelled = b'AUTHENTICATE "PLAIN"\r\n"*"\r\n'
    authenticate = b'AUTHENTICATE "%b" "%b"\r\n'

    def make(self, policy: Policy, secure: bool) -> ServerDialogue:
        return managesieve.ManageSieveServer(policy, secure, 3, managesieve.Greeting())

    def finals(self, said: bytes) -> list[bytes]:
        return re.findall(rb"^(?:OK|NO|BYE) .+\r\n", said, re.MULTILINE)
