"""``mailroute check``: 0 or 78, with every complaint at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailroute.cli import checking, probing
from mailroute.cli.probing import Endpoint, Probed
from mailroute.route import Backend, TLSMode
from tests.cli.calling import CallingCase

ENDPOINT = Endpoint("east", "imap", Backend(("east.example.org",), 993, TLSMode.IMPLICIT))
PATTERN = (
    '[destination.east]\nhost = "east.example.org"\n'
    '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'
    '[destination."shard-*"]\nhost = "{1}.example.org"\n'
    '[destination."shard-*".protocol.imap]\nport = 993\ntls = "implicit"\n'
)


class CheckTests(CallingCase):
    """The verdict, in words and as JSON."""

    def setUp(self) -> None:
        super().setUp()
        self.unknown: set[str] = set()
        self.probed: list[Probed] = []
        self.patch(checking, "resolver", self.resolver)
        self.patch(probing, "probe_all", self.probe_all)

    def resolver(self, reactor: object) -> Callable[[str], Any]:
        """Names are known unless a test says otherwise."""

        async def resolve(host: str) -> None:
            if host in self.unknown:
                raise OSError(-2, "Name or service not known")

        return resolve

    async def probe_all(self, configuration: object, reactor: object) -> list[Probed]:
        """Nobody is dialled."""
        return self.probed

    def check(self, *options: str, **sections: str) -> int:
        """Call it."""
        self.path = self.configure(**sections)
        return self.call("check", "--config", self.path, *options)

    def test_well(self) -> None:
        """One line, and what is doubtful beside it."""
        self.assertEqual(self.check(), 0)
        self.assertEqual(self.stdout, f"{self.path}: all is well\n")
        self.assertIn("mailroute: warning: ", self.stderr)
        self.assertIn("without encryption", self.stderr)

    def test_complaints(self) -> None:
        """Faults of several kinds, in the words of the service."""
        self.write("routes", "alice nowhere\n")
        self.unknown.add("east.example.org")
        self.assertEqual(self.check(), 78)
        self.assertIn(f"mailroute: {self.path}: 2 complaints:\n  ", self.stderr)
        self.assertEqual(self.stdout, "")

    def test_unreadable(self) -> None:
        """A file that cannot be read whole is not tried further."""
        self.assertEqual(self.check(server='[server]\nhostnam = "x"\n'), 78)
        self.assertIn(": 1 complaint:\n  ", self.stderr)
        self.assertEqual(self.check("--json", server='[server]\nhostnam = "x"\n'), 78)
        (found,) = self.printed()
        self.assertFalse(found["ok"])
        self.assertIn("server.hostnam", found["complaints"][0])

    def test_json(self) -> None:
        """One object with everything."""
        self.assertEqual(self.check("--json"), 0)
        (found,) = self.printed()
        self.assertEqual(found["configuration"], self.path)
        self.assertEqual((found["ok"], found["complaints"], found["endpoints"]), (True, [], []))
        self.assertEqual(len(found["warnings"]), 1)

    def test_connect(self) -> None:
        """Endpoints with their TLS; patterns are named, for nobody knows where to dial."""
        self.probed = [Probed(ENDPOINT, "", {"version": "TLSv1.3"}, ("IMAP4REV1",))]
        self.assertEqual(self.check("--connect", destination=PATTERN), 0)
        self.assertIn("east.example.org:993: version TLSv1.3; IMAP4REV1\n", self.stdout)
        self.assertIn("destination.shard-*: a pattern cannot be dialled", self.stderr)
        self.check(destination=PATTERN)
        self.assertNotIn("IMAP4REV1", self.stdout)
        self.assertNotIn("pattern", self.stderr)

    def test_unreachable(self) -> None:
        """A backend where no login could begin is a complaint."""
        self.probed = [Probed(ENDPOINT, "east.example.org:993: refused", {}, ())]
        self.assertEqual(self.check("--connect"), 78)
        words = "destination.east.protocol.imap: east.example.org:993: refused"
        self.assertIn(words, self.stderr)
        self.check("--connect", "--json")
        (found,) = self.printed()
        self.assertEqual(found["complaints"], [words])
        self.assertEqual(found["endpoints"][0]["fault"], "east.example.org:993: refused")
