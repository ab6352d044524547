"""The receive buffer and whole commands: bounds, pieces, and work that grows with the input."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.wire.framing import CommandFraming, LineTooLong, ReceiveBuffer
from mailroute.wire.strings import Command, LiteralHead

bounded = settings(max_examples=60, deadline=None, derandomize=True)


class CountingBytes(bytearray):
    """Counts the octets that are searched for a line end."""

    searched = 0

    def find(self, *args: object) -> int:
        sought, start = args
        assert sought == b"\n"
        assert isinstance(start, int)
        found = super().find(b"\n", start)
        self.searched += (len(self) if found < 0 else found + 1) - start
        return found


class LineTests(SynchronousTestCase):
    """Lines within their limit."""

    def setUp(self) -> None:
        self.buffer = ReceiveBuffer()

    def test_line_ends(self) -> None:
        """CRLF and a bare LF end a line; a CR elsewhere is one of its octets."""
        self.buffer.feed(b"one\r\ntwo\nth\rree\r\r\n\r\n\n\r")
        lines = [self.buffer.take_line(100) for _ in range(6)]
        self.assertEqual(lines, [b"one", b"two", b"th\rree\r", b"", b"", None])
        self.assertEqual(self.buffer.take_all(), b"\r")

    def test_pieces(self) -> None:
        """A line arrives in any pieces, its end torn apart."""
        for octet in (b"o", b"n", b"e", b"\r"):
            self.buffer.feed(octet)
            self.assertIsNone(self.buffer.take_line(100))
        self.buffer.feed(b"\nnext")
        self.assertEqual(self.buffer.take_line(100), b"one")
        self.assertEqual(len(self.buffer), 4)

    def test_limit(self) -> None:
        """A line may have as many octets as the limit says, its end included, and no more."""
        for end in (b"\r\n", b"\n"):
            for octets, fits in ((8, True), (9, False)):
                buffer = ReceiveBuffer()
                buffer.feed(b"x" * (octets - len(end)) + end + b"rest\r\n")
                if fits:
                    self.assertEqual(buffer.take_line(8), b"x" * (8 - len(end)))
                else:
                    self.assertRaises(LineTooLong, buffer.take_line, 8)

    def test_limit_without_an_end(self) -> None:
        """The limit is noticed as soon as it is passed, before any line end."""
        self.buffer.feed(b"12345678")
        self.assertIsNone(self.buffer.take_line(8))
        self.buffer.feed(b"9")
        self.assertRaises(LineTooLong, self.buffer.take_line, 8)
        self.assertRaises(LineTooLong, self.buffer.take_line, 8)

    def test_search_is_linear(self) -> None:
        """Each octet is searched once, however slowly the line drips in."""
        counting = CountingBytes()
        self.buffer._data = counting
        for number in range(3000):
            self.buffer.feed(b"x" if number % 1000 else b"\n")
            while self.buffer.take_line(5000) is not None:
                pass
        self.assertEqual(counting.searched, 3000)

    def test_search_is_linear_over_many_lines(self) -> None:
        """Lines that arrive at once are not searched again for every one of them."""
        counting = CountingBytes()
        self.buffer._data = counting
        self.buffer.feed(b"line\r\n" * 500)
        while self.buffer.take_line(5000) is not None:
            pass
        self.assertEqual(counting.searched, 3000)


class OctetTests(SynchronousTestCase):
    """Octets by number."""

    def setUp(self) -> None:
        self.buffer = ReceiveBuffer()
        self.buffer.feed(b"abcdef\r\nnext\r\n")

    def test_take(self) -> None:
        """All or nothing, whatever the octets are."""
        self.assertIsNone(self.buffer.take(15))
        self.assertEqual(self.buffer.take(8), b"abcdef\r\n")
        self.assertEqual(self.buffer.take(0), b"")
        self.assertEqual(self.buffer.take_line(10), b"next")

    def test_skip(self) -> None:
        """As many as are there, and their number."""
        self.assertEqual(self.buffer.skip(8), 8)
        self.assertEqual(self.buffer.skip(100), 6)
        self.assertEqual(self.buffer.skip(100), 0)

    def test_peek(self) -> None:
        """What was looked at is still there."""
        self.assertEqual(self.buffer.peek(3), b"abc")
        self.assertEqual(self.buffer.peek(100), b"abcdef\r\nnext\r\n")
        self.assertEqual(len(self.buffer), 14)

    def test_take_all(self) -> None:
        """The whole rest, once."""
        self.assertEqual(self.buffer.take_all(), b"abcdef\r\nnext\r\n")
        self.assertEqual(self.buffer.take_all(), b"")

    def test_search_after_taking_octets(self) -> None:
        """Octets that were searched and then taken do not hide a line end behind them."""
        buffer = ReceiveBuffer()
        buffer.feed(b"abcdef")
        self.assertIsNone(buffer.take_line(100))
        buffer.take(4)
        buffer.feed(b"g\nh\n")
        self.assertEqual(buffer.take_line(100), b"efg")
        self.assertEqual(buffer.take_line(100), b"h")


class CommandTests(SynchronousTestCase):
    """Whole commands with their literals."""

    def setUp(self) -> None:
        self.buffer = ReceiveBuffer()
        self.framing = CommandFraming(self.buffer)

    def gather(self, data: bytes, chunk: int = 0) -> list[Command]:
        """Feed in pieces; accept each literal; return the whole commands."""
        commands = []
        size = chunk or max(len(data), 1)
        for start in range(0, len(data), size):
            self.buffer.feed(data[start : start + size])
            while (unit := self.framing.next(1000)) is not None:
                if isinstance(unit, LiteralHead):
                    self.framing.accept(unit)
                else:
                    commands.append(unit)
        return commands

    def test_literals(self) -> None:
        """A literal's octets are no text: line ends and announcements in them mean nothing."""
        sent = b"a LOGIN {8}\r\nx\r\ny{3}\n {2+}\r\n\r\n\r\nb NOOP\r\n"
        for chunk in (0, 1, 2, 3):
            first, second = self.gather(sent, chunk)
            self.assertEqual(first.text, b"a LOGIN {8} {2+}")
            self.assertEqual(first.literals, [b"x\r\ny{3}\n", b"\r\n"])
            self.assertEqual(first.raw + b"\r\nb NOOP\r\n", sent)
            self.assertEqual((second.text, second.literals), (b"b NOOP", []))

    def test_nothing_before_it_is_complete(self) -> None:
        """Each missing octet is waited for."""
        sent = b"a LOGIN {3}\r\nabc {3+}\r\ndef\r\n"
        for end in range(len(sent)):
            self.setUp()
            self.assertEqual(self.gather(sent[:end]), [], end)
        self.assertEqual(len(self.gather(sent[end:])), 1)

    def test_announced_before_read(self) -> None:
        """The caller decides by the announced size, with the command's beginning at hand."""
        self.buffer.feed(b"a LOGIN {999999999999}\r\nabc")
        head = self.framing.next(1000)
        self.assertEqual(head, LiteralHead(999999999999, synchronizing=True))
        self.assertTrue(self.framing.started)
        self.assertEqual(self.framing.peek(7), b"a LOGIN")
        self.framing.forget()
        self.assertFalse(self.framing.started)
        self.assertEqual(self.framing.gathered, 0)
        self.assertEqual(self.buffer.peek(10), b"abc")

    def test_gathered(self) -> None:
        """An accepted literal counts at once, not when its octets have come."""
        self.buffer.feed(b"a LOGIN {30}\r\n")
        head = self.framing.next(1000)
        assert isinstance(head, LiteralHead)
        self.assertEqual(self.framing.gathered, 12)
        self.framing.accept(head)
        self.assertEqual(self.framing.gathered, 42)
        self.buffer.feed(b"x" * 30)
        self.assertIsNone(self.framing.next(1000))
        self.assertEqual(self.framing.gathered, 42)

    def test_limit_is_the_whole_command(self) -> None:
        """The lines and literals of one command share its limit."""
        self.assertEqual(len(self.gather(b"a {480}\r\n" + b"x" * 480 + b"y" * 511 + b"\r\n")), 1)
        with self.assertRaises(LineTooLong):
            self.gather(b"a {480}\r\n" + b"x" * 480 + b"y" * 512 + b"\r\n")

    def test_announcement_taken_for_text(self) -> None:
        """Prose that ends like an announcement can be completed without octets."""
        self.buffer.feed(b"* OK [ALERT] see {42}\r\n* next\r\n")
        self.assertIsInstance(self.framing.next(1000), LiteralHead)
        command = self.framing.complete()
        self.assertEqual((command.text, command.raw), (b"* OK [ALERT] see {42}",) * 2)
        following = self.framing.next(1000)
        assert isinstance(following, Command)
        self.assertEqual(following.raw, b"* next")

    def test_empty_literals(self) -> None:
        """Literals without octets are literals: each has its place."""
        (command,) = self.gather(b"a" + b"{0+}\r\n" * 150 + b"\r\n", chunk=1)
        self.assertEqual(command.literals, [b""] * 150)
        self.assertEqual(self.framing.gathered, 0)

    def test_pieces_do_not_matter(self) -> None:
        """Whole or octet by octet, the same commands come out."""
        pieces = st.sampled_from(
            [b"a", b" ", b"\r\n", b"\n", b"{0}", b"{2+}", b"{2}\r\n", b"{", b"}"]
        )

        @bounded
        @given(st.lists(pieces, max_size=20).map(b"".join))
        def law(data: bytes) -> None:
            self.setUp()
            whole = self.gather(data, max(len(data), 1))
            self.setUp()
            self.assertEqual(self.gather(data, 1), whole)

        law()
