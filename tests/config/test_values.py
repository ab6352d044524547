"""Values parse themselves or say what they want."""

from __future__ import annotations

import os
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from mailroute.config import values
from mailroute.config.document import Surroundings
from mailroute.config.model import Bind
from mailroute.config.schema import Parser

HERE = Surroundings("/etc/mailroute", {})


class ValueTests(SynchronousTestCase):
    """Each type of value with what it takes and what it refuses."""

    def takes(self, parse: Parser, raw: object, expected: object) -> None:
        self.assertEqual(parse(raw, HERE), expected)

    def refuses(self, parse: Parser, *raws: object) -> None:
        for raw in raws:
            with self.assertRaises(ValueError, msg=f"{raw!r} was accepted"):
                parse(raw, HERE)

    def test_duration(self) -> None:
        """Durations become seconds."""
        for raw, seconds in (
            ("500ms", 0.5),
            ("10s", 10.0),
            ("5m", 300.0),
            ("1h", 3600.0),
            ("2d", 172800.0),
            ("0s", 0.0),
        ):
            self.takes(values.duration, raw, seconds)
        self.refuses(values.duration, 10, "10", "", "s", "-1s", "1.5s", "1s ", "1 s", "1m30s")
        self.refuses(values.duration, "1S", "٣s", "9" * 5000 + "s", True, None)
        self.refuses(values.some_time, "0s", "0ms")

    def test_boolean(self) -> None:
        """Only TOML's booleans, no words and no numbers."""
        self.takes(values.boolean, True, True)
        self.refuses(values.boolean, "true", 1, 0, "yes")

    def test_whole_number(self) -> None:
        """Bounds are included; a boolean is no number."""
        parse = values.whole_number(0, 3)
        self.takes(parse, 0, 0)
        self.takes(parse, 3, 3)
        self.refuses(parse, -1, 4, 1.0, "1", True)
        self.refuses(values.port, 0, 65536)

    def test_text(self) -> None:
        """One line, and no control characters that could forge another."""
        self.takes(values.text, "Grüße, ß", "Grüße, ß")
        self.takes(values.text, "", "")
        self.refuses(values.text, "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x85b", 1)
        self.refuses(values.name, "", "a b", "a\u2003b")
        self.refuses(values.printable_ascii, "", " ", "é", "a\nb")
        self.takes(values.words, "SELECT 1\nFROM x", "SELECT 1\nFROM x")
        self.refuses(values.words, " \n", 1)

    def test_choice(self) -> None:
        """A word whose feature is to come is told apart from a wrong one."""
        parse = values.choice("a", "b", later=("c",))
        self.takes(parse, "b", "b")
        error = self.assertRaises(ValueError, parse, "c", HERE)
        self.assertIn("not supported yet", str(error))
        error = self.assertRaises(ValueError, parse, "d", HERE)
        self.assertEqual(str(error), "must be one of: a, b; not 'd'")
        self.refuses(parse, 1, ["a"])

    def test_list(self) -> None:
        """Every bad item is named."""
        parse = values.list_of(values.port, least=1)
        self.takes(parse, [1, 2], (1, 2))
        error = self.assertRaises(ValueError, parse, [0, 1, "x"], HERE)
        self.assertIn("item 1 ", str(error))
        self.assertNotIn("item 2 ", str(error))
        self.assertIn("item 3 ", str(error))
        self.refuses(parse, [], "12", {"a": 1})

    def test_path(self) -> None:
        """A relative path starts at the configuration file's folder."""
        self.takes(values.path, "/x/y", "/x/y")
        self.takes(values.path, "x/../y", "/etc/mailroute/y")
        self.refuses(values.path, "", "a\0b", 1)

    def test_readable_file(self) -> None:
        """A folder, a FIFO and a missing file are refused by name, and none blocks."""
        folder = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, folder)
        fifo = os.path.join(folder, "fifo")
        os.mkfifo(fifo)
        self.addCleanup(os.unlink, fifo)
        for path, part in (
            (folder, "not a regular file"),
            (fifo, "not a regular file"),
            (os.path.join(folder, "none"), "No such file"),
        ):
            error = self.assertRaises(ValueError, values.readable_file, path, HERE)
            self.assertIn(path, str(error))
            self.assertIn(part, str(error))

    def test_host(self) -> None:
        """A name or an address; never a port, a URL or anything that could end a command."""
        for raw in ("localhost", "a.b-c.example.org", "a_b", "example.org.", "127.0.0.1", "::1"):
            self.takes(values.host, raw, raw)
        self.takes(values.host, "[::1]", "::1")
        self.refuses(
            values.host, "", "a:143", "[::1]:143", "[a]", "a b", "a\nb", "-a", "a-", "a..b"
        )
        self.takes(values.host, "fe80::1%eth0", "fe80::1%eth0")
        self.refuses(values.host, "fe80::1%a b", "fe80::1%a\nb", "fe80::1%", "::::", "1.2.3.4%x")
        self.refuses(values.host, "imap://a", "a" * 300, "é.example", "example.org\n", 1)

    def test_network(self) -> None:
        """In its canonical form; one with host bits is told what it may mean."""
        self.takes(values.network, "192.0.2.0/24", "192.0.2.0/24")
        self.takes(values.network, "192.0.2.7", "192.0.2.7/32")
        self.takes(values.network, "2001:DB8:0::/48", "2001:db8::/48")
        self.refuses(values.network, "192.0.2.7/24", "proxy.example.org", "", "10.0.0.0/33", 1)
        error = self.assertRaises(ValueError, values.network, "192.0.2.7/24", HERE)
        self.assertIn("did you mean '192.0.2.0/24'?", str(error))

    def test_own_address(self) -> None:
        """One address that a machine can have, in its canonical form."""
        self.takes(values.own_address, "192.0.2.7", "192.0.2.7")
        self.takes(values.own_address, "2001:DB8:0::7", "2001:db8::7")
        self.refuses(values.own_address, "0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1%eth0")
        self.refuses(values.own_address, "192.0.2.0/24", "[::1]", "proxy.example.org", "", 1)

    def test_bind(self) -> None:
        """All four forms; addresses in their canonical form."""
        self.takes(values.bind, "0.0.0.0:143", Bind("tcp", "0.0.0.0", 143))
        self.takes(values.bind, "[::]:993", Bind("tcp", "::", 993))
        self.takes(values.bind, "[0:0::0]:0", Bind("tcp", "::", 0))
        self.takes(values.bind, "unix:/run/x.sock", Bind("unix", "/run/x.sock"))
        self.takes(values.bind, "systemd:imaps", Bind("systemd", "imaps"))
        self.refuses(values.bind, "143", ":143", "*:143", "localhost:143", "::143", "[::]", 143)
        self.refuses(values.bind, "0.0.0.0:65536", "0.0.0.0:-1", "0.0.0.0:", "0.0.0.0: 1")
        self.refuses(values.bind, "0.0.0.0:٣", "0.0.0.0:" + "9" * 5000, "[0.0.0.0]:143")
        self.refuses(values.bind, "[fe80::1%a b]:143", "[::1%]:143")
        self.refuses(values.bind, "unix:relative", "unix:", "systemd:", "systemd:a b")

    def test_bind_as_text(self) -> None:
        """A bind shows itself as the file writes it."""
        for text in ("0.0.0.0:143", "[::1]:993", "unix:/run/x.sock", "systemd:imaps"):
            self.assertEqual(str(values.bind(text, HERE)), text)

    def test_fingerprint(self) -> None:
        """Hexadecimal in either case, with or without colons."""
        octets = bytes(range(32))
        self.takes(values.sha256_fingerprint, octets.hex(), octets)
        self.takes(values.sha256_fingerprint, octets.hex(":").upper(), octets)
        self.refuses(values.sha256_fingerprint, octets.hex()[2:], octets.hex() + "00", "zz" * 32)
        self.refuses(values.sha256_fingerprint, octets.hex(" "), octets, 1)

    def test_description_is_bounded(self) -> None:
        """A complaint shows what it got, in bounded length."""
        self.assertEqual(values.shown("x" * 100), repr("x" * 57 + "..."))
        self.assertEqual(values.shown(True), "true")
        self.assertEqual(values.shown({}), "a table")
        self.assertEqual(values.shown([]), "a list")
