"""The generated parts of docs/performance.md."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.document import DOCUMENT, DocumentBroken, replace_between

PAGE = "before\n<!-- begin x -->\nold\n<!-- end x -->\nafter\n"


class ReplaceTests(SynchronousTestCase):
    """What people wrote stays."""

    def test_replaced(self) -> None:
        """Between the comments everything is new; doing it again changes nothing."""
        once = replace_between(PAGE, "x", "new\n")
        self.assertEqual(once, "before\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nafter\n")
        self.assertEqual(replace_between(once, "x", "new"), once)

    def test_no_place(self) -> None:
        """A page without its comments, or with two of them, is not touched."""
        for page in ("", PAGE + PAGE, PAGE.replace("end", "begin")):
            with self.assertRaises(DocumentBroken):
                replace_between(page, "x", "new")

    def test_the_page_itself(self) -> None:
        """The real page has a place for each."""
        text = DOCUMENT.read_text()
        for name in ("figures", "soak", "lookups"):
            self.assertIn("new", replace_between(text, name, "new"))
