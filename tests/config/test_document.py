"""Complaints and warnings with their places."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.config.document import Document, Surroundings, dotted


class DocumentTests(SynchronousTestCase):
    """Every sentence has file, line and key."""

    def setUp(self) -> None:
        lines = {("b",): 3, ("a",): 7, ("a", "x"): 8}
        self.document = Document("/etc/m.toml", lines, Surroundings("/etc", {}))

    def test_places_in_order(self) -> None:
        """The order is that of the file; what has no line comes first."""
        self.document.complain(("a", "x"), "wrong")
        self.document.complain(("b",), "bad")
        self.document.complain(("a", "y"), "missing")
        self.document.complain(("c",), "absent")
        self.document.complain((), "all of it")
        self.assertEqual(
            self.document.complaints,
            [
                "/etc/m.toml: c: absent",
                "/etc/m.toml: all of it",
                "/etc/m.toml:3: b: bad",
                "/etc/m.toml:7: a.y: missing",
                "/etc/m.toml:8: a.x: wrong",
            ],
        )
        self.assertEqual(self.document.warnings, ())

    def test_one_warning_for_http(self) -> None:
        """Keys of HTTP are named together, behind the other warnings."""
        self.document.ignore_as_http(("http",))
        self.document.ignore_as_http(("listener", "https"))
        self.document.warn(("a",), "careful")
        self.assertEqual(
            self.document.warnings,
            (
                "/etc/m.toml:7: a: careful",
                "/etc/m.toml: HTTP only: ignored: http, listener.https",
            ),
        )
        self.assertEqual(self.document.complaints, [])

    def test_dotted(self) -> None:
        """Names are quoted where TOML wants it, and cannot forge a line."""
        self.assertEqual(dotted(("destination", "a-b_1", "host")), "destination.a-b_1.host")
        self.assertEqual(dotted(("a.b", "", 'c"\\')), '"a.b".""."c\\"\\\\"')
        self.assertEqual(dotted(("a\nb",)), '"a\\u000ab"')
