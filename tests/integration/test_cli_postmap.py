"""``mailroute postmap`` beside the real postmap: the same output and the same exit status."""

from __future__ import annotations

import json
import shlex
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

from tests.integration.console import mailroute
from tests.integration.postfix_case import PostfixCase
from tests.integration.postfix_engines import ENGINES
from tests.integration.postmap import Ended

MAIN_CF = "routes_query = SELECT dest FROM routes WHERE addr = '%s'\nroutes_dbpath = {path}\n"
TEXT = (
    '# who\nAlice@Example.org east\n"a b"  c d\nbob\n    west\nnothing\nalice@example.org again\n'
)
RULES = "/^(.+)@example\\.(org|com)$/  $1 at $2\n/^ünder/ beyond\n/./i other\n"

SAME = """
-q user@example.com sqlite:{sql}
-q USER@Example.com sqlite:{sql}
-f -q USER@Example.com sqlite:{sql}
-fq user sqlite:{sql}
-q null@example.com sqlite:{sql}
-q empty@example.com sqlite:{sql}
-q many@x.org sqlite:{sql}
-q "o'brien@x.org" sqlite:{sql}
-q "' or '1'='1" sqlite:{sql}
-q jörg@example.com sqlite:{sql}
-q nobody@example.com sqlite:{sql}
-q user sqlite:{sql} static:rest
-q nobody sqlite:{sql} texthash:{text} static:rest
-q user sqlite:routes
-q user sqlite:{bad}
-q user sqlite:{folder}/nowhere
-q user sqlite:
-s sqlite:{sql}
-q alice@example.org texthash:{text}
-q 'a b' texthash:{text}
-q '"a b"' texthash:{text}
-q bob texthash:{text}
-q nothing texthash:{text}
-q Bob texthash:{text}
-f -q Bob texthash:{text}
-q bob texthash:{folder}/nowhere
-q Joe@example.org regexp:{rules}
-q ünder regexp:{rules}
-q x regexp:{rules}
-s regexp:{rules}
-q x regexp:{folder}/nowhere
-q anything static:value
-q anything 'static:{{ a b }}'
-q '' static:value
-q '' 'inline:{{a=b}}'
-s static:value
-q a 'inline:{{a=1, {{b = 2 3}}}}'
-q B 'inline:{{a=1, {{b = 2 3}}}}'
-f -q B 'inline:{{a=1, {{b = 2 3}}}}'
-q b 'inline:{{a=1, {{b = 2 3}}}}' -f
-q -f 'inline:{{-f=option}}'
-q a 'inline:{{}}'
-q a inline:a=b
-q a 'pipemap:{{inline:{{a=b}},inline:{{b=c}}}}'
-q a 'unionmap:{{inline:{{a=1}},static:2}}'
-q a unknown:x
-q a hash:{folder}/nowhere
-q a
-s
-s -q a 'inline:{{a=b}}'
-q a -q b 'inline:{{a=b}}'
-Z -q a 'inline:{{a=b}}'
-h -q a 'inline:{{a=b}}'
-b -q a 'inline:{{a=b}}'
-m -q a 'inline:{{a=b}}'
-d a 'texthash:{text}'
-F -q a 'inline:{{a=b}}'
-i -q a 'inline:{{a=b}}'
-nNoprUw -q a 'inline:{{a=b}}'
-v -q a 'inline:{{a=b}}'
-q a -- 'inline:{{a=b}}'
-c /nowhere -q a 'inline:{{a=b}}'
"""
"""Command lines behind ``-c FOLDER``."""

LINES = "user@example.com\nnobody\n\nAlice@Example.org\n with blanks \na b\ntab\tin it\nlast"


class CommandLineTests(PostfixCase):
    """Both are called with the same command lines."""

    def setUp(self) -> None:
        """Tables of each kind."""
        self.main_cf = ""
        super().setUp()
        access = ENGINES["sqlite"](self.folder)
        query = {"query": "SELECT dest FROM routes WHERE addr = '%s' ORDER BY dest"}
        self.names = {
            "folder": str(self.folder),
            "sql": self.parameter_file("sql.cf", {**access, **query}),
            "bad": self.parameter_file("bad.cf", {**access, "query": "SELECT '%s' FROM missing"}),
            "text": self.write("text", TEXT),
            "rules": self.write("rules", RULES),
        }
        self.write(
            "etc/main.cf", "compatibility_level = 3.6\n" + MAIN_CF.format(path=access["dbpath"])
        )

    def lines(self, text: str) -> list[list[str]]:
        """Command lines as lists of words."""
        return [shlex.split(line) for line in text.format(**self.names).strip().splitlines()]

    def ours(self, *arguments: str, stdin: str = "") -> Ended:
        """Call mailroute."""
        return mailroute("postmap", "-c", str(self.postmap.folder), *arguments, stdin=stdin)

    def both(self, arguments: list[str], stdin: str = "") -> tuple[Ended, Ended]:
        """Call both."""
        return (
            self.postmap.run(*arguments, stdin=stdin),
            self.ours(*arguments, stdin=stdin),
        )

    def compare(self, lines: list[list[str]], stdin: str = "") -> None:
        """The same output, the same status, and an error is told where postmap tells one."""
        with ThreadPoolExecutor(4) as threads:
            pairs = list(threads.map(partial(self.both, stdin=stdin), lines))
        wrong = [
            (words, theirs, ours)
            for words, (theirs, ours) in zip(lines, pairs, strict=True)
            if sorted_lines(theirs) != sorted_lines(ours)
            or ("fatal" in theirs.stderr and "postmap: fatal: " not in ours.stderr)
            or "Traceback" in ours.stderr
        ]
        self.assertEqual(wrong, [], "command line, postmap's and mailroute's")

    def test_command_lines(self) -> None:
        """Found, absent, failed, and what is no command line at all."""
        self.compare(self.lines(SAME))

    def test_standard_input(self) -> None:
        """Keys from standard input."""
        lines = "-q - sqlite:{sql}\n-q - texthash:{text} static:rest\n-q - regexp:{rules}\n"
        lines += "-fq - texthash:{text}\n-q - sqlite:{bad}\n-q - 'inline:{{zzz=b}}'\n"
        for stdin in (LINES, LINES + "\n", "", "\n", "user@example.com\nn\udcffo utf-8\nbob\n"):
            self.compare(self.lines(lines), stdin)

    def test_sequence(self) -> None:
        """Tables in memory are listed, in any order, as postmap has one of its own."""
        self.compare(self.lines("-s texthash:{text}\n-fs texthash:{text}\n-s 'inline:{{a=1,b=2}}'"))

    def test_servers(self) -> None:
        """The other two databases."""
        query = {"query": "SELECT dest FROM routes WHERE addr = '%s' ORDER BY dest"}
        lines = []
        for kind in ("mysql", "pgsql"):
            path = self.parameter_file(f"{kind}.cf", {**ENGINES[kind](self.folder), **query})
            for key in ("User@example.com", "many@x.org", "o'brien@x.org", "nobody", "\\' or 1=1#"):
                lines.append(["-q", key, f"{kind}:{path}"])
            lines.append(["-s", f"{kind}:{path}"])
        self.compare(lines)

    def test_json(self) -> None:
        """-j is of later versions than the one that is at hand."""
        ours = self.ours("-j", "-q", "bob", f"texthash:{self.names['text']}")
        self.assertEqual((ours.status, json.loads(ours.stdout)), (0, {"bob": "west"}))
        ours = self.ours("-js", "inline:{a=1,b=2}")
        self.assertEqual(
            [json.loads(line) for line in ours.stdout.splitlines()], [{"a": "1"}, {"b": "2"}]
        )

    def test_refused(self) -> None:
        """What postmap could do, and mailroute does not, is refused with the way to do it."""
        for arguments, part in (
            (["-h", "-q", "-", "static:x"], "-h: messages are not read"),
            (["-b", "-q", "-", "static:x"], "-b: messages are not read"),
            (["-u", "-q", "x", "static:x"], "UTF-8"),
            (["-d", "x", "static:x"], "mailroute table NAME delete KEY"),
            ([f"texthash:{self.names['text']}"], "no index is made"),
            (["-q", "x", "hash:/x"], "texthash:/x"),
        ):
            ours = self.ours(*arguments)
            self.assertEqual((ours.status, ours.stdout), (1, ""), arguments)
            self.assertIn(part, ours.stderr)

    def test_folder(self) -> None:
        """Without -c the variable MAIL_CONFIG names the folder, as with postmap."""
        done = mailroute(
            "postmap", "-q", "user", "sqlite:routes", more={"MAIL_CONFIG": str(self.postmap.folder)}
        )
        self.assertEqual((done.status, done.stdout), (0, "bare\n"))

    def test_locked(self) -> None:
        """A database that somebody has for himself is a failure."""
        with closing(sqlite3.connect(self.folder / "routes.db", isolation_level=None)) as database:
            database.execute("BEGIN EXCLUSIVE")
            done = self.ours("-q", "user", f"sqlite:{self.names['sql']}")
        self.assertEqual((done.status, done.stdout), (1, ""))
        self.assertIn("query error", done.stderr)


def sorted_lines(ended: Ended) -> tuple[int, list[str]]:
    """Status and output; the order of postmap's lists is that of its own hashes."""
    return ended.status, sorted(ended.stdout.splitlines())
