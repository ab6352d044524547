"""The standard library's mail clients, and programs, as users of mailroute.

Every Python client verifies mailroute's certificate, name included, and gives up after a time.
"""

from __future__ import annotations

import base64
import imaplib
import os
import poplib
import re
import smtplib
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tests.integration import servers
from tests.support.installed import require
from tests.support.ports import LOOPBACK

PATIENCE_SECONDS = 60
"""For one answer.  Two noisy cores: no test asserts speed."""


@cache
def trust() -> ssl.SSLContext:
    """A context that trusts the tests' own authority."""
    return ssl.create_default_context(cafile=str(servers.authority().ca_file))


def imap(port: int, mode: str) -> imaplib.IMAP4:
    """An IMAP client, greeted, in one of the three modes."""
    if mode == "implicit":
        return imaplib.IMAP4_SSL("localhost", port, ssl_context=trust(), timeout=PATIENCE_SECONDS)
    client = imaplib.IMAP4("localhost", port, timeout=PATIENCE_SECONDS)
    if mode == "starttls":
        client.starttls(trust())
    return client


def pop3(port: int, mode: str) -> poplib.POP3:
    """A POP3 client, greeted, in one of the three modes."""
    if mode == "implicit":
        return poplib.POP3_SSL("localhost", port, timeout=PATIENCE_SECONDS, context=trust())
    client = poplib.POP3("localhost", port, timeout=PATIENCE_SECONDS)
    if mode == "starttls":
        client.stls(trust())
    return client


def submission(port: int, mode: str) -> smtplib.SMTP:
    """A submission client, EHLO said, in one of the three modes."""
    client: smtplib.SMTP
    if mode == "implicit":
        client = smtplib.SMTP_SSL("localhost", port, timeout=PATIENCE_SECONDS, context=trust())
    else:
        client = smtplib.SMTP("localhost", port, timeout=PATIENCE_SECONDS)
    client.ehlo("client.example")
    if mode == "starttls":
        client.starttls(context=trust())
        client.ehlo("client.example")
    return client


def plain(user: str, password: str, authzid: str = "") -> str:
    """The message of SASL PLAIN (RFC 4616), in base64."""
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()


def xoauth2(user: str, token: str) -> str:
    """The message of SASL XOAUTH2, in base64."""
    return base64.b64encode(f"user={user}\1auth=Bearer {token}\1\1".encode()).decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """How a login was answered: the code that a client acts on, and all the words."""

    is_accepted: bool
    code: str
    words: str


_CODES = {
    "imap": re.compile(r"NO \[([A-Z]+)"),
    "pop3": re.compile(r"-ERR \[([A-Z/-]+)"),
    "submission": re.compile(r"([0-9]{3} [0-9.]+)"),
    "managesieve": re.compile(r"NO \(([A-Z-]+)\)"),
}
_GOOD = {"imap": "OK", "pop3": "+OK", "submission": "235", "managesieve": "OK"}


_used_ports: set[int] = set()


def connected(port: int, host: str = LOOPBACK, source: str = LOOPBACK) -> socket.socket:
    """Connect from a port that no connection of this process had before; ``source`` is an address.

    Sessions are found in the log by it, and the kernel gives ports of loopback again very soon.
    """
    while True:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.bind((source, 0))
        own = sock.getsockname()[1]
        if own not in _used_ports:
            break
        sock.close()
    _used_ports.add(own)
    sock.settimeout(PATIENCE_SECONDS)
    sock.connect((host, port))
    return sock


class Wire:
    """A connection on which the test itself says every line, for what no library does."""

    def __init__(
        self, protocol: str, port: int, mode: str = "plain", preamble: bytes = b""
    ) -> None:
        """Connect and read the greeting; only ``plain`` and ``implicit``.

        ``preamble`` is sent before anything else, TLS included.
        """
        self.protocol = protocol
        self.socket = connected(port)
        self.socket.sendall(preamble)
        if mode == "implicit":
            self.socket = self.context().wrap_socket(self.socket, server_hostname="localhost")
        self.origin = "{}:{}".format(*self.socket.getsockname())
        """The client's address as the log has it."""
        self._file = self.socket.makefile("rb")
        self.greeting = self.reply() if protocol == "managesieve" else self.line()
        if protocol == "submission":
            self.ask("EHLO client.example")

    def secure(self) -> None:
        """Shake hands, after the server's consent."""
        self._file.close()
        self.socket = self.context().wrap_socket(self.socket, server_hostname="localhost")
        self._file = self.socket.makefile("rb")

    def context(self) -> ssl.SSLContext:
        """Whom the client trusts, and what it shows."""
        return trust()

    def say(self, text: str | bytes) -> None:
        """Send a line, or octets as they are."""
        self.socket.sendall(text if isinstance(text, bytes) else text.encode() + b"\r\n")

    def line(self) -> str:
        """The next line, without its end; empty at the end of the stream."""
        return self._file.readline().decode("utf-8", "replace").rstrip("\r\n")

    def take(self, count: int) -> bytes:
        """So many octets."""
        return self._file.read(count)

    def rest(self) -> bytes:
        """Everything until the end of the stream."""
        return self._file.read()

    def rest_or_reset(self) -> bytes:
        """Everything until the end of the stream, or nothing if the connection was reset."""
        try:
            return self.rest()
        except ConnectionError:
            return b""

    def reply(self) -> str:
        """The next complete reply: IMAP's tagged line, POP3's, SMTP's last, ManageSieve's final."""
        while line := self.line():
            untagged = self.protocol == "imap" and line.startswith("* ")
            continued = self.protocol == "submission" and line[3:4] == "-"
            listed = self.protocol == "managesieve" and line.startswith('"')
            if not (untagged or continued or listed):
                return line
        raise EOFError("the connection was closed instead of a reply")

    def ask(self, command: str) -> str:
        """Send a command, return its reply."""
        self.say(command)
        return self.reply()

    def log_in(self, user: str, password: str) -> Answer:
        """Try a login by the protocol's simplest command."""
        if self.protocol == "imap":
            # A string of RFC 3501: quoted, with its specials escaped.
            quoted = (re.sub(r'(["\\])', r"\\\1", word) for word in (user, password))
            words = self.ask('a LOGIN "{}" "{}"'.format(*quoted)).removeprefix("a ")
        elif self.protocol == "pop3":
            self.ask(f"USER {user}")
            words = self.ask(f"PASS {password}")
        elif self.protocol == "managesieve":
            words = self.ask(f'AUTHENTICATE "PLAIN" "{plain(user, password)}"')
        else:
            words = self.ask(f"AUTH PLAIN {plain(user, password)}")
        code = _CODES[self.protocol].search(words)
        return Answer(words.startswith(_GOOD[self.protocol]), code.group(1) if code else "", words)

    def close(self) -> None:
        """Close without a word."""
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended."""

    status: int
    output: str
    complaints: str


def sieve(port: int, account: tuple[str, str], mode: str, commands: Sequence[str]) -> Outcome:
    """Have sieve-connect log in with a name and a password, and carry out these commands.

    It verifies mailroute's certificate, name included; it knows STARTTLS and no TLS before the
    greeting.
    """
    arguments = ["--nosrv", "--4", "--server", "localhost", "--port", str(port)]
    arguments += ["--tlscafile", str(servers.authority().ca_file), "--user", account[0]]
    arguments += ["--clearchan" if mode == "plain" else "--noclearchan", "--passwordfd", "0"]
    with tempfile.NamedTemporaryFile("w", suffix=".commands") as script:
        script.write("".join(f"{command}\n" for command in commands))
        script.flush()
        arguments += ["--exec", script.name]
        return run("sieve-connect", "sieve-connect", arguments, account[1] + "\n")


def run(program: str, package: str, arguments: Sequence[str], stdin: str = "") -> Outcome:
    """Run a client program to its end.  Raises SkipTest where it is not installed."""
    require(program, (program,), package)
    done = subprocess.run(
        [program, *arguments],
        input=stdin.encode(),
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    return Outcome(
        done.returncode,
        done.stdout.decode("utf-8", "replace"),
        done.stderr.decode("utf-8", "replace"),
    )
