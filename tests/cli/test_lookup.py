"""``mailroute lookup``: found, absent and failed are three answers and three exit statuses."""

from __future__ import annotations

from tests.cli.calling import MAPPING, CallingCase

TWO = (
    '[destination.east]\nhost = "east.example.org"\n'
    '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'
    '[destination.west]\nhost = "west.example.org"\n'
    '[destination.west.protocol.pop3]\nport = 995\ntls = "implicit"\n'
)


class LookupTests(CallingCase):
    """As a login would get it."""

    def setUp(self) -> None:
        super().setUp()
        self.write("routes", "alice east\nbob west\n")
        self.path = self.configure(
            destination=TWO,
            mapping=MAPPING.replace("[mapping]\n", '[mapping]\nnormalize = "lowercase"\n'),
        )

    def lookup(self, *arguments: str, stdin: str = "") -> int:
        """Call it."""
        return self.call("--config", self.path, "lookup", *arguments, stdin=stdin)

    def test_found(self) -> None:
        """One identifier: the destination alone; the router's rules hold (case, master user)."""
        self.assertEqual(self.lookup("ALICE%admin"), 0)
        self.assertEqual(self.stdout, "east\n")
        self.assertEqual(self.stderr, "")

    def test_absent(self) -> None:
        """Nothing on standard output, the reason beside it."""
        self.assertEqual(self.lookup("nobody"), 1)
        self.assertEqual(self.stdout, "")
        self.assertIn("mailroute: nobody: account-unknown: ", self.stderr)

    def test_default(self) -> None:
        """Absent accounts that have a default destination are found: their logins go there."""
        self.path = self.configure(
            destination=TWO, routing='[routing]\ndefault_destination = "east"\n'
        )
        self.assertEqual(self.lookup("nobody"), 0)
        self.assertEqual(self.stdout, "east\n")

    def test_failed(self) -> None:
        """A destination that does not serve the protocol is a temporary failure to a login."""
        self.assertEqual(self.lookup("bob"), 75)
        self.assertIn("does not serve imap", self.stderr)
        self.assertEqual(self.lookup("bob", "--protocol", "pop3"), 0)

    def test_several(self) -> None:
        """With their names; the worst decides the status, and all are answered."""
        self.assertEqual(self.lookup("alice", "nobody"), 1)
        self.assertEqual(self.stdout, "alice\teast\n")
        self.assertEqual(self.lookup("bob", "nobody", "alice"), 75)
        self.assertEqual(self.stdout, "alice\teast\n")

    def test_standard_input(self) -> None:
        """One identifier a line; empty lines ask for nothing."""
        self.assertEqual(self.lookup("-", stdin="alice\n\nAlice\r\n"), 0)
        self.assertEqual(self.stdout, "alice\teast\nAlice\teast\n")

    def test_not_utf8(self) -> None:
        """A name that is no text cannot be looked up; it stops nobody else's lookup."""
        self.assertEqual(self.lookup("a\udcffb", "alice"), 1)
        self.assertIn("name-unusable", self.stderr)
        self.assertEqual(self.stdout, "alice\teast\n")

    def test_json(self) -> None:
        """One object a line, failures among them."""
        self.assertEqual(self.lookup("--json", "alice", "nobody", "bob"), 75)
        found = self.printed()
        self.assertEqual(
            found[0], {"identifier": "alice", "result": "found", "destination": "east"}
        )
        self.assertEqual([each["result"] for each in found], ["found", "absent", "failed"])
        self.assertEqual(found[1]["kind"], "account-unknown")

    def test_usage(self) -> None:
        """Without an identifier, and for a protocol that there is not."""
        self.assertEqual(self.lookup(), 2)
        self.assertEqual(self.lookup("alice", "--protocol", "gopher"), 2)

    def test_configuration(self) -> None:
        """A mapping that cannot be served."""
        self.write("routes", "alice nowhere\n")
        self.assertEqual(self.lookup("alice"), 78)
        self.assertIn("1 complaint:\n", self.stderr)
