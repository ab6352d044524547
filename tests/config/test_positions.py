"""The line of a dotted key."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.config.positions import line_of, lines_of_keys

DOCUMENT = '''\
# a comment with [brackets] and key = "value"
top = 1

[server]   # comment
hostname = "a # no comment"
log.level = 'x'
[ destination . "a.b" ]
hosts = [
  "one",   # with ] in a comment
  "]two",
]
text = """
not = "a key"
\\""" still inside
[neither] """
literal = \'\'\'
a = '' b = 1\'\'\'\'
protocol = { imap = { port = 143 }, "po\\u0070" = { port = 110 } }
[[http.route]]
match = "/"
[[http.route]]
match = "/two"
[empty]
last = 1979-05-27T07:32:00Z # no line end'''


class PositionTests(SynchronousTestCase):
    """tomllib forgets lines; the scanner finds them."""

    def lines(self) -> dict[tuple[str, ...], int]:
        tomllib.loads(DOCUMENT)
        return lines_of_keys(DOCUMENT)

    def test_every_form(self) -> None:
        """Headers, dotted and quoted keys, inline tables; strings, arrays, comments passed over."""
        lines = self.lines()
        expected = {
            ("top",): 2,
            ("server",): 4,
            ("server", "hostname"): 5,
            ("server", "log"): 6,
            ("server", "log", "level"): 6,
            ("destination",): 7,
            ("destination", "a.b"): 7,
            ("destination", "a.b", "hosts"): 8,
            ("destination", "a.b", "text"): 12,
            ("destination", "a.b", "literal"): 16,
            ("destination", "a.b", "protocol"): 18,
            ("destination", "a.b", "protocol", "imap"): 18,
            ("destination", "a.b", "protocol", "imap", "port"): 18,
            ("destination", "a.b", "protocol", "pop"): 18,
            ("destination", "a.b", "protocol", "pop", "port"): 18,
            ("http",): 19,
            ("http", "route"): 19,
            ("http", "route", "match"): 20,
            ("empty",): 23,
            ("empty", "last"): 24,
        }
        self.assertEqual(lines, expected)

    def test_windows_line_ends(self) -> None:
        """CRLF counts as one line end."""
        text = DOCUMENT.replace("\n", "\r\n")
        tomllib.loads(text)
        self.assertEqual(lines_of_keys(text), self.lines())

    def test_missing_key(self) -> None:
        """A key that is not there stands where its nearest table begins."""
        lines = self.lines()
        self.assertEqual(line_of(lines, ("server", "nothing", "at", "all")), 4)
        self.assertIsNone(line_of(lines, ("nothing",)))
        self.assertIsNone(line_of(lines, ()))

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["{}", '"{}"', "'{}'", "x.{}", ' "{}" . y ']),
                st.sampled_from(
                    [
                        "1",
                        "true # = x",
                        '"""\n\n"""',
                        '"\\""',
                        "'''\n'a'\n'''",
                        "[]",
                        "[\n# ]\n1,\n[2],\n]",
                        "{}",
                        '{ "=" = "}" }',
                        '[{a = 1},\n{a = "]"}]',
                    ]
                ),
            ),
            max_size=8,
        )
    )
    def test_any_mixture(self, pairs: list[tuple[str, str]]) -> None:
        """Whatever stands before a key, its line is the one where it was written."""
        text, expected = "", []
        for number, (form, value) in enumerate(pairs):
            text += f"[t{number}]\n"
            expected.append(text.count("\n") + 1)
            text += f"{form.format('key')} = {value}\n"
        parsed = tomllib.loads(text)
        lines = lines_of_keys(text)
        for number, line in enumerate(expected):
            for key in parsed[f"t{number}"]:
                self.assertEqual(lines[(f"t{number}", key)], line)
