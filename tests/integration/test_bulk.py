"""The joined stream: large messages byte for byte, pipelining, and both kinds of ends.

Everything is done with plain connections on both sides, where the kernel moves the bytes, and
with TLS on both sides.
"""

from __future__ import annotations

import atexit
import base64
import imaplib
import os
import socket
import uuid
import zlib
from functools import cache

from tests.integration import clients, servers
from tests.integration.clients import Wire
from tests.integration.dovecot import Dovecot, Options
from tests.integration.matrix import ALICE, ALICE_SECRET, ProxyTestCase, add_test, proxy, started
from tests.integration.proxy import QUIET_SECONDS, Destination, Proxy, Settings
from tests.support.ports import poll

LINE_OCTETS = 76
SIZE = 30_000_000
FIN_WAIT_2 = 5
"""In tcp(7)'s TCP_INFO."""
HEADER = (
    b"Subject: large\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <x@example.org>\r\n\r\n"
)
# The same mode on both sides.
ENDS = ("plain", "implicit")


def large_body() -> bytes:
    """30 MB of random lines, so that no piece can be taken for another."""
    noise = base64.b64encode(os.urandom(SIZE * 3 // 4))
    lines = (noise[at : at + LINE_OCTETS] for at in range(0, len(noise), LINE_OCTETS))
    return b"\r\n".join(lines) + b"\r\n"


class JoinedTestCase(ProxyTestCase):
    """Alice, whose mailbox starts empty."""

    def setUp(self) -> None:
        self.east = servers.dovecot("east")
        self.east.clear(ALICE)
        self.addCleanup(self.east.clear, ALICE)

    def front(self, mode: str) -> Proxy:
        """The mailroute whose backends are reached in this mode."""
        return self.watch(proxy(mode))

    def wire(self, protocol: str, mode: str) -> Wire:
        """A connection in the same mode in front and behind, closed at the end of the test."""
        wire = Wire(protocol, self.front(mode).ports[protocol, mode], mode)
        self.addCleanup(wire.close)
        return wire


class BulkTests(JoinedTestCase):
    """30 MB both ways."""


def imap_append_and_fetch(self: BulkTests, mode: str) -> None:
    """IMAP APPEND, then FETCH: what comes back is what was sent, octet for octet."""
    text = HEADER + large_body()
    client = clients.imap(self.front(mode).ports["imap", mode], mode)
    client.login(ALICE, ALICE_SECRET)
    # imaplib turns every line end into CRLF, which they are.
    self.assertEqual(client.append("INBOX", "", "", text)[0], "OK")
    client.select("INBOX")
    answer = client.fetch("1", "(BODY.PEEK[])")[1][0]
    assert isinstance(answer, tuple)
    self.assertTrue(answer[1] == text, "the message has changed")
    origin = "{}:{}".format(*client.sock.getsockname())
    client.logout()
    # The log counts the octets of the joined stream.  An earlier client may have had the same port.
    front = self.front(mode)
    front.wait_until(
        lambda: any(
            session["in"] > len(text) and session["out"] > len(text)
            for session in front.events("session", client=origin)
        )
    )


def pop3_retr(self: BulkTests, mode: str) -> None:
    """POP3 RETR: lines that begin with a dot included."""
    text = HEADER + b".\r\n..\r\n" + large_body()
    self.east.deliver(ALICE, text)
    client = clients.pop3(self.front(mode).ports["pop3", mode], mode)
    client.user(ALICE)
    client.pass_(ALICE_SECRET)
    lines = client.retr(1)[1]
    client.quit()
    self.assertTrue(b"\r\n".join(lines) + b"\r\n" == text, "the message has changed")


def submission_data(self: BulkTests, mode: str) -> None:
    """Submission: what the server delivers is what was submitted, behind its own fields."""
    recipient = f"{uuid.uuid4().hex}@elsewhere.example"
    text = HEADER + b".\r\n..\r\n" + large_body()
    client = clients.submission(self.front(mode).ports["submission", mode], mode)
    client.login(ALICE, ALICE_SECRET)
    client.sendmail(ALICE, [recipient], text)
    client.quit()
    (stored,) = servers.postfix("east").wait_for(recipient)
    servers.postfix("east").clear(recipient)
    self.assertTrue(stored.endswith(text[text.index(b"\r\n\r\n") :]), "the message has changed")


class PipelineTests(JoinedTestCase):
    """What stands behind a login in the same segment is the backend's, in order."""


def imap_pipeline(self: PipelineTests, mode: str) -> None:
    """IMAP: commands behind LOGIN, a literal among them, are answered under their own tags."""
    wire = self.wire("imap", mode)
    text = b"Subject: pipelined\r\n\r\nx\r\n"
    wire.say(
        f'a1 NOOP\r\na2 LOGIN "{ALICE}" "{ALICE_SECRET}"\r\n'.encode()
        + b"a3 APPEND INBOX {%d+}\r\n%s\r\na4 SELECT INBOX\r\n" % (len(text), text)
        + b"a5 FETCH 1 BODY[]\r\na6 LOGOUT\r\n"
    )
    said = wire.rest()
    tags = [line[:2] for line in said.split(b"\r\n") if line[:1] == b"a"]
    self.assertEqual(tags, [b"a1", b"a2", b"a3", b"a4", b"a5", b"a6"], said)
    self.assertIn(text, said)


def imap_pipeline_behind_no(self: PipelineTests, mode: str) -> None:
    """IMAP: behind a refused LOGIN the rest is still ours, and the next LOGIN counts."""
    wire = self.wire("imap", mode)
    wire.say(
        f"a1 LOGIN {ALICE} wrong\r\na2 SELECT INBOX\r\na3 LOGIN {ALICE} {ALICE_SECRET}\r\n"
        "a4 SELECT INBOX\r\na5 LOGOUT\r\n".encode()
    )
    lines = wire.rest().decode().split("\r\n")
    answers = [line.split()[:2] for line in lines if line[:1] == "a"]
    expected = [["a1", "NO"], ["a2", "BAD"], ["a3", "OK"], ["a4", "OK"], ["a5", "OK"]]
    self.assertEqual(answers, expected)


def pop3_pipeline(self: PipelineTests, mode: str) -> None:
    """POP3: USER, PASS, STAT and QUIT in one segment."""
    self.east.deliver(ALICE, b"Subject: x\r\n\r\nx\r\n")
    wire = self.wire("pop3", mode)
    wire.say(f"USER {ALICE}\r\nPASS {ALICE_SECRET}\r\nSTAT\r\nRETR 1\r\nQUIT\r\n".encode())
    self.assertTrue(wire.line().startswith("+OK"))
    self.assertTrue(wire.line().startswith("+OK"))
    self.assertTrue(wire.line().startswith("+OK 1 "))
    rest = wire.rest()
    self.assertIn(b"\r\nSubject: x\r\n\r\nx\r\n.\r\n+OK", rest)


def submission_pipeline(self: PipelineTests, mode: str) -> None:
    """Submission: EHLO, AUTH and the envelope in one segment, replies counted and in order."""
    recipient = f"{uuid.uuid4().hex}@elsewhere.example"
    wire = self.wire("submission", mode)
    wire.say(
        f"EHLO again.example\r\nAUTH PLAIN {clients.plain(ALICE, ALICE_SECRET)}\r\n"
        f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
    )
    codes = [wire.reply()[:3] for _ in range(5)]
    self.assertEqual(codes, ["250", "235", "250", "250", "354"])
    wire.say(b"Subject: x\r\n\r\npipelined\r\n.\r\nQUIT\r\n")
    self.assertEqual([wire.reply()[:3], wire.reply()[:3]], ["250", "221"])
    self.assertEqual(wire.rest(), b"")
    (stored,) = servers.postfix("east").wait_for(recipient)
    self.assertTrue(stored.endswith(b"\r\n\r\npipelined\r\n"))


class OpaqueTests(JoinedTestCase):
    """After the login nothing is parsed."""


def idle(self: OpaqueTests, mode: str) -> None:
    """IMAP IDLE (RFC 2177): what another session does is told at once; DONE ends it."""
    wire = self.wire("imap", mode)
    self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)
    wire.ask("b SELECT INBOX")
    wire.say("c IDLE")
    self.assertTrue(wire.line().startswith("+ "))
    other = clients.imap(self.front(mode).ports["imap", mode], mode)
    other.login(ALICE, ALICE_SECRET)
    other.append("INBOX", "", "", b"Subject: news\r\n\r\nx\r\n")
    while (line := wire.line()) != "* 1 EXISTS":
        self.assertTrue(line, "the connection was closed")
    wire.say("DONE")
    self.assertTrue(wire.reply().startswith("c OK"))
    other.logout()


def compress(self: OpaqueTests, mode: str) -> None:
    """IMAP COMPRESS (RFC 4978): offered by the backend only, then a stream of its own."""
    front = self.watch(squeezing())
    wire = Wire("imap", front.ports["imap", mode], mode)
    self.addCleanup(wire.close)
    self.assertNotIn("COMPRESS", wire.greeting)
    answer = wire.log_in(f"{mode}@example.org", ALICE_SECRET)
    self.assertIn("COMPRESS=DEFLATE", answer.words)
    self.assertTrue(wire.ask("b COMPRESS DEFLATE").startswith("b OK"))
    deflate, inflate = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
    text = b"Subject: x\r\n\r\n" + base64.encodebytes(os.urandom(100_000))
    command = b"c APPEND INBOX {%d+}\r\n%s\r\nd LOGOUT\r\n" % (len(text), text)
    wire.say(deflate.compress(command) + deflate.flush(zlib.Z_SYNC_FLUSH))
    said = inflate.decompress(wire.rest())
    self.assertIn(b"c OK", said)
    self.assertIn(b"d OK", said)


@cache
def squeezing() -> Proxy:
    """A mailroute before a Dovecot that can compress; the users are named after the modes."""
    users = {f"{mode}@example.org": ALICE_SECRET for mode in ENDS}
    extra = "protocol imap {\n  mail_plugins = zlib imap_zlib\n}\n"
    server = Dovecot("squeezing", users, servers.authority(), Options(extra=extra))
    atexit.register(server.remove)
    server.start()
    ports = {"plain": server.imap, "implicit": server.imaps}
    settings = {"tls_ca_file": str(servers.authority().ca_file), "allow_plaintext_auth": True}
    places = tuple(
        Destination(mode, {"imap": (ports[mode], mode)}, options=settings) for mode in ENDS
    )
    return started(Settings(places, {f"{mode}@example.org": mode for mode in ENDS}))


def literal_that_looks_like_commands(self: OpaqueTests, mode: str) -> None:
    """A message that reads like the end of a session is data (RFC 3501 section 4.3)."""
    text = b"Subject: x\r\n\r\nz LOGOUT\r\n* BYE now\r\nQUIT\r\n.\r\na OK done\r\n"
    client = clients.imap(self.front(mode).ports["imap", mode], mode)
    client.login(ALICE, ALICE_SECRET)
    client.append("INBOX", "", "", text)
    client.select("INBOX")
    answer = client.fetch("1", "(RFC822)")[1][0]
    assert isinstance(answer, tuple)
    self.assertEqual(answer[1], text)
    client.logout()


class EndTests(JoinedTestCase):
    """The ends of a session, and what they do to a POP3 mailbox."""

    def setUp(self) -> None:
        super().setUp()
        for word in (b"first", b"second"):
            self.east.deliver(ALICE, b"Subject: x\r\n\r\n%s\r\n" % word)

    def marked(self, mode: str) -> Wire:
        """A POP3 session in which the first message is marked as deleted."""
        wire = self.wire("pop3", mode)
        self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)
        self.assertTrue(wire.ask("DELE 1").startswith("+OK"))
        return wire

    def messages(self) -> int:
        """How many messages the mailbox has."""
        client = imaplib.IMAP4("localhost", self.east.imap)
        client.login(ALICE, ALICE_SECRET)
        count = client.select("INBOX")[1][0]
        client.logout()
        assert isinstance(count, bytes)
        return int(count)

    def test_half_close(self) -> None:
        """QUIT and FIN at once: the reply still comes, and the deletion is done (RFC 1939)."""
        wire, front = self.marked("plain"), self.front("plain")
        # Both are there before mailroute looks: else the server may answer first, and close.
        front.suspend()
        try:
            wire.say("QUIT")
            wire.socket.shutdown(socket.SHUT_WR)
            self.assertTrue(poll(lambda: is_acknowledged(wire.socket), QUIET_SECONDS))
        finally:
            front.resume()
        self.assertTrue(wire.rest().startswith(b"+OK"))
        self.assertEqual(self.messages(), 1)
        session = front.wait_for("session", client=wire.origin)
        self.assertEqual((session["outcome"], session["closed_by"]), ("joined", "client"))

    def test_quit_and_leave(self) -> None:
        """QUIT and gone, plain and with TLS: the QUIT still reaches the backend."""
        for left, mode in ((1, "plain"), (0, "implicit")):
            wire = self.marked(mode)
            wire.say("QUIT")
            wire.close()
            self.front(mode).wait_for("session", client=wire.origin)
            # The server may read it when nobody waits for its answer any more.
            self.assertTrue(poll(lambda left=left: self.messages() == left, QUIET_SECONDS), mode)


def is_acknowledged(sock: socket.socket) -> bool:
    """Whether the other side's kernel has the end of this stream (FIN-WAIT-2 of RFC 9293)."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == FIN_WAIT_2


def leave_without_quit(self: EndTests, mode: str) -> None:
    """A client that is gone without QUIT has deleted nothing: nobody says QUIT for it."""
    wire = self.marked(mode)
    wire.close()
    session = self.front(mode).wait_for("session", client=wire.origin)
    self.assertEqual(session["outcome"], "joined")
    self.assertEqual(self.messages(), 2)


def both_connections_end(self: EndTests, mode: str) -> None:
    """After LOGOUT the backend closes, and so do we: the client reads the end of the stream."""
    wire = self.wire("imap", mode)
    self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)
    wire.say("b LOGOUT")
    self.assertTrue(wire.rest().split(b"\r\n")[-2].startswith(b"b OK"))
    wire.close()
    session = self.front(mode).wait_for("session", client=wire.origin)
    self.assertEqual(session["closed_by"], "backend")


for _mode in ENDS:
    add_test(BulkTests, f"imap_append_and_fetch_{_mode}", imap_append_and_fetch, _mode)
    add_test(BulkTests, f"pop3_retr_{_mode}", pop3_retr, _mode)
    add_test(BulkTests, f"submission_data_{_mode}", submission_data, _mode)
    add_test(PipelineTests, f"imap_{_mode}", imap_pipeline, _mode)
    add_test(PipelineTests, f"imap_behind_no_{_mode}", imap_pipeline_behind_no, _mode)
    add_test(PipelineTests, f"pop3_{_mode}", pop3_pipeline, _mode)
    add_test(PipelineTests, f"submission_{_mode}", submission_pipeline, _mode)
    add_test(OpaqueTests, f"idle_{_mode}", idle, _mode)
    add_test(OpaqueTests, f"compress_{_mode}", compress, _mode)
    add_test(OpaqueTests, f"literal_{_mode}", literal_that_looks_like_commands, _mode)
    add_test(EndTests, f"leave_without_quit_{_mode}", leave_without_quit, _mode)
    add_test(EndTests, f"both_connections_{_mode}", both_connections_end, _mode)
