"""Postfix's tables without databases, intended differences, and faults of databases."""

from __future__ import annotations

import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.postfix.opening import open_map
from mailroute.tables.postfix.query import Maps, Streams, query, query_lines, sequence
from tests.integration import mariadb, postgresql
from tests.integration.postfix_case import PostfixCase
from tests.integration.postfix_corpus import KEYS, KEYS_BEYOND_ASCII, Parameters
from tests.integration.postfix_differences import DIFFERENCES, Difference
from tests.integration.postfix_engines import ENGINES
from tests.integration.postmap import ABSENT, FAILED, found
from tests.support.ports import free_ports
from tests.tables.contract_tests import INJECTIONS, ODD_KEYS
from tests.tables.hostile_keys import hostile_keys

TEXT = (
    "# comment\nUser@Example.com  first value \nstrasse@example.com folded\n"
    '@example.com any,thing\nonly\n"with space@x.org" quoted\nwith\\ space@x.org escaped\n'
    "user@example.com second\nlong one\n  continued\n# between\n\t twice\nend: colon\n"
    "' or '1'='1 injection\nüser@bücher.example ünicode\n"
)
EXPRESSIONS = (
    "/^user@(.+)\\.(com|org)$/ $1-${2}-$(1) $$1\n/^(a|ab)(c|bcd)?@/ <$1|$2>\n"
    "if /@x\\.org$/\n!/^[^@]+\\+/ plain\n/\\+([a-z]+)@/ ext-$1\nendif\n"
    "/USER/i never\n/[\\.]com$/ dotcom\n/x{200,}/ long\n/(p)er%/!/nothing/ $1\n"
    "/no closing\n/bad/q flags\n/(a)/ $2\n!/(a)/ $1\nword\nendif\n/^$/ empty\n"
    "/[[:digit:]]+@[[:digit:]]/ digits\n/^'/ quote\n/empty$/\n"
)

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "postfix-tables.md"
_FILE = re.compile(r"^`/etc/postfix/(\S+)`:\n\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ mailroute (.*)\n((?:(?!\$|```).*\n)*)", re.MULTILINE)


class MapTests(PostfixCase):
    """Both answer the same."""

    async def equal(self, name: str, *options: str) -> None:
        """Both answer all keys of the corpus alike."""
        keys = ("", *KEYS, *KEYS_BEYOND_ASCII, "abcd@x.y", "acd@y.z", "end:", "long", "only")
        await self.same(name, tuple(dict.fromkeys(keys)), *options)
        self.assertGreater(self.asked, 50)

    def test_texthash(self) -> Deferred[None]:
        """texthash:, with folding and without."""
        name = f"texthash:{self.write('text', TEXT)}"

        async def test() -> None:
            await self.equal(name)
            await self.equal(name, "-f")

        return Deferred.fromCoroutine(test())

    def test_inline(self) -> Deferred[None]:
        """inline:, static: and what cannot be read."""

        async def test() -> None:
            for text in ("{user=1,{user@com = a b, c} USER@A..com=}", "{@=x @=y}"):
                await self.equal(f"inline:{text}")
            await self.equal("static:{ a b }")
            for bad in ("inline:{a}", "inline:{}", "inline:a=b", "static:{a", "inline:{{a=b}"):
                await self.same(bad, ("a", "user"))

        return Deferred.fromCoroutine(test())

    def test_regexp(self) -> Deferred[None]:
        """regexp: with groups, flags, negation, if, and lines that are skipped."""
        name = f"regexp:{self.write('expressions', EXPRESSIONS)}"
        return Deferred.fromCoroutine(self.equal(name))

    def test_combined(self) -> Deferred[None]:
        """pipemap: and unionmap:, nested, with expressions, with folding and without."""
        regexp = f"regexp:{self.write('expressions', '/^(U.*)/i x-$1' + chr(10) + '/./ any')}"
        inline = "inline:{User=one,one=two,x-User=three,any=four}"

        async def test() -> None:
            for text in (
                f"pipemap:{{{inline},{inline}}}",
                f"pipemap:{{{regexp} {inline}}}",
                f"unionmap:{{{inline},{regexp}}}",
                f"unionmap:{{{regexp},pipemap:{{{inline},{inline}}},static:s}}",
            ):
                for options in ((), ("-f",)):
                    await self.same(text, ("user", "User", "USER", "one", "q"), *options)

        return Deferred.fromCoroutine(test())


class MainTests(PostfixCase):
    """Parameters that are kept in main.cf."""

    main_cf = (
        "base = /nowhere\nempty =\nroute_dbpath = ${base}/db\n"
        "route_query = SELECT '${base?$base}-%s-$$1-${empty:{none}}'\n"
        "route_result_format = [%s]\n"
    )

    def test_main_cf(self) -> Deferred[None]:
        """sqlite:route reads route_dbpath and so on, with $names."""
        content = self.main_cf.replace("base = /nowhere", f"base = {self.folder}")
        with closing(sqlite3.connect(self.folder / "db")) as database:
            database.execute("CREATE TABLE t (a)")
        self.postmap = type(self.postmap)(self.folder / "etc", content)

        async def test() -> None:
            await self.same("sqlite:route", ("user", "User@x"))
            outcomes = await self.outcomes("sqlite:route", ("k",))
            self.assertIn("-k-$1-none]", outcomes["k"][1])

        return Deferred.fromCoroutine(test())


class DifferenceTests(PostfixCase):
    """Where the answers differ, on purpose."""

    async def difference(self, one: Difference) -> None:
        """Both answers are as listed."""
        if one.kind in ENGINES:
            access = ENGINES[one.kind](self.folder)
            path = self.parameter_file("one.cf", {**access, **one.parameters})
        else:
            path = self.write("one", one.content)
        name = f"{one.kind}:{path}"
        theirs = await deferToThread(self.postmap.ask_one, name, one.key)
        ours = await self.outcomes(name, [one.key])
        self.assertEqual((theirs, ours[one.key]), (one.postmap, one.ours), one.title)
        self.assertNotEqual(one.postmap, one.ours)

    def test_differences(self) -> Deferred[None]:
        """Each of the list is still one."""

        async def test() -> None:
            for one in DIFFERENCES:
                await self.difference(one)

        return Deferred.fromCoroutine(test())

    def test_documented(self) -> None:
        """The documentation names each of them."""
        text = " ".join(DOCUMENTATION.read_text(encoding="utf-8").split())
        for one in DIFFERENCES:
            self.assertIn(one.title, text)
            self.assertIn(one.reason, text)

    def test_nul(self) -> Deferred[None]:
        """A key with NUL is absent for us; postmap reads it up to there."""
        theirs = self.postmap.run("-q", "-", "inline:{user=1}", stdin="user\0x\n")
        self.assertEqual(theirs.stdout, "user\t1\n")

        async def test() -> None:
            ours = await self.outcomes("inline:{user=1}", ["user\0x"])
            self.assertEqual(ours["user\0x"], ("absent", ""))

        return Deferred.fromCoroutine(test())

    def test_missing_file(self) -> Deferred[None]:
        """Both refuse a missing SQLite file; only postmap makes an empty one of it."""
        missing = self.folder / "missing"
        parameters = {"dbpath": str(missing), "query": "SELECT a FROM t WHERE b = '%s'"}
        name = f"sqlite:{self.parameter_file('missing.cf', parameters)}"

        async def test() -> None:
            self.assertEqual((await self.outcomes(name, ["a"]))["a"], (FAILED, ""))
            table = open_map(name, str(self.postmap.folder), reactor)
            self.assertRaises(ConfigurationError, table.check)
            self.assertFalse(missing.exists())
            theirs = await deferToThread(self.postmap.ask_one, name, "a")
            self.assertEqual(theirs, (FAILED, ""))

        return Deferred.fromCoroutine(test())


class CommandTests(PostfixCase):
    """Output and exit status, as postmap has them."""

    async def compare(self, arguments: tuple[str, ...], maps: tuple[str, ...], stdin: str) -> None:
        """Both print the same and end alike."""
        theirs = await deferToThread(self.postmap.run, *arguments, *maps, stdin=stdin)
        out: list[str] = []
        err: list[str] = []
        streams = Streams(out.append, err.append)
        fold = "-f" not in arguments
        opened = Maps(maps, lambda name: open_map(name, "/nowhere", reactor, fold))
        if arguments[-1] == "-s":
            status = await sequence(opened, streams)
        elif arguments[-1] == "-":
            status = await query_lines(stdin.splitlines(keepends=True), opened, streams)
        else:
            status = await query(arguments[-1], opened, streams)
        ours = "".join(f"{line}\n" for line in out)
        if arguments[-1] == "-s":
            # Postfix lists a hash table in an order of its own.
            self.assertEqual(sorted(ours.split("\n")), sorted(theirs.stdout.split("\n")))
        elif status == 0 or not err:
            self.assertEqual(ours, theirs.stdout)
        self.assertEqual(status, theirs.status, (arguments, maps))
        self.assertEqual(bool(err), "fatal" in theirs.stderr, (arguments, theirs.stderr))

    def test_commands(self) -> Deferred[None]:
        """-q KEY, -q -, -s, -f, several tables, and errors."""
        text = f"texthash:{self.write('text', TEXT)}"
        one = "inline:{a=1,{B=two words}}"

        async def test() -> None:
            for key in ("a", "A", "b", "missing", "", "with\\ space@x.org"):
                for options in ((), ("-f",)):
                    await self.compare((*options, "-q", key), (text, one), "")
            await self.compare(("-q", "a"), (one, "inline:bad"), "")
            await self.compare(("-q", "missing"), (one, "inline:bad"), "")
            await self.compare(("-q", "a"), ("inline:bad", one), "")
            for stdin in (
                "",
                "\n",
                "missing\n",
                "A\nmissing\n b\nb \nB",
                "a\r\nuser@example.com\n",
            ):
                await self.compare(("-q", "-"), (text, one), stdin)
            for maps in ((text,), (one, text), ("static:x",)):
                await self.compare(("-s",), maps, "")

        return Deferred.fromCoroutine(test())


class ExampleTests(PostfixCase):
    """The documentation's examples."""

    def test_examples(self) -> Deferred[None]:
        """mailroute and postmap both answer what is printed there."""
        text = DOCUMENTATION.read_text(encoding="utf-8")
        folder = str(self.folder)
        for name, content in _FILE.findall(text):
            self.write(name, content.replace("/etc/postfix", folder))
        with closing(sqlite3.connect(self.folder / "routes.db")) as database:
            database.executescript((self.folder / "routes.sql").read_text())
        commands = _COMMAND.findall(text)
        self.assertGreater(len(commands), 15)

        async def test() -> None:
            for command, expected in commands:
                words = shlex.split(command.replace("/etc/postfix", folder))
                self.assertEqual(words[:2], ["postmap", "-q"])
                key, name = words[2:]
                outcome = found(expected.strip()) if expected.strip() else (ABSENT, "")
                self.assertEqual((await self.outcomes(name, [key]))[key], outcome, command)
                theirs = await deferToThread(self.postmap.ask_one, name, key)
                self.assertEqual(theirs, outcome, command)

        return Deferred.fromCoroutine(test())


class FaultTests(PostfixCase):
    """Databases that are away, refuse, or have to be asked elsewhere."""

    def mysql(self, **parameters: str) -> Parameters:
        """Parameters of the MySQL table."""
        return {**ENGINES["mysql"](self.folder), **parameters}

    def pgsql(self, **parameters: str) -> Parameters:
        """Parameters of the PostgreSQL table."""
        return {**ENGINES["pgsql"](self.folder), **parameters}

    def sqlite(self, **parameters: str) -> Parameters:
        """Parameters of the SQLite table."""
        return {**ENGINES["sqlite"](self.folder), **parameters}

    async def ask(self, kind: str, key: str, parameters: Parameters) -> str | None:
        """The answer; a LookupFailed is raised."""
        name = f"{kind}:{self.parameter_file('fault.cf', parameters)}"
        table = open_map(name, str(self.postmap.folder), reactor, lookup_seconds=20.0)
        await table.start()
        try:
            values = await table.get(key)
        finally:
            await table.close()
        return None if values is None else values[0]

    async def fails(self, kind: str, parameters: Parameters) -> str:
        """The reason of the failure."""
        try:
            answer = await self.ask(kind, "k", parameters)
        except LookupFailed as failed:
            return failed.reason
        raise self.failureException(f"answered {answer!r}")

    def test_another_host(self) -> Deferred[None]:
        """A host that is away is followed by the next one."""
        closed = free_ports(1)[0]

        async def test() -> None:
            for kind, access in (("mysql", self.mysql()), ("pgsql", self.pgsql())):
                hosts = f"inet:127.0.0.1:{closed}, {access['hosts']}"
                parameters = {**access, "hosts": hosts, "query": "SELECT '%s'"}
                self.assertEqual(await self.ask(kind, "k", parameters), "k")
                reason = await self.fails(
                    kind, {**parameters, "hosts": f"127.0.0.1:{closed}", "password": "hunter2"}
                )
                self.assertIn(f"127.0.0.1:{closed}", reason)
                self.assertNotIn("hunter2", reason)

        return Deferred.fromCoroutine(test())

    def test_sockets(self) -> Deferred[None]:
        """Unix sockets, and a PostgreSQL URI without dbname."""
        socket = mariadb.shared_server().socket
        server = postgresql.shared_server()
        uri = f"postgresql://postgres@127.0.0.1:{server.port}/mailroute"

        async def test() -> None:
            for kind, parameters in (
                ("mysql", self.mysql(hosts=f"unix:{socket}", query="SELECT '%s'")),
                ("pgsql", self.pgsql(hosts=f"127.0.0.1:{server.port}", query="SELECT '%s'")),
                ("pgsql", {"hosts": uri, "query": "SELECT '%s'"}),
            ):
                self.assertEqual(await self.ask(kind, "k", parameters), "k")

        return Deferred.fromCoroutine(test())

    def test_without_result(self) -> Deferred[None]:
        """A statement without a result: MySQL as require_result_set says, PostgreSQL absent."""
        command = "SET @a = '%s'"

        async def test() -> None:
            self.assertIn("no result", await self.fails("mysql", self.mysql(query=command)))
            parameters = self.mysql(query=command, require_result_set="no")
            self.assertIsNone(await self.ask("mysql", "k", parameters))
            parameters = self.pgsql(query="SET application_name = '%s'")
            self.assertIsNone(await self.ask("pgsql", "k", parameters))
            parameters = self.pgsql(query="SET application_name = '%s'; SELECT '%s'")
            self.assertEqual(await self.ask("pgsql", "k", parameters), "k")

        return Deferred.fromCoroutine(test())

    def test_functions(self) -> Deferred[None]:
        """select_function; and a procedure of MySQL, which has two results."""
        postgresql.shared_server().execute(
            "CREATE OR REPLACE FUNCTION routed(t text) RETURNS text LANGUAGE sql"
            " AS $$ SELECT 'to-' || t $$"
        )
        mariadb.shared_server().execute(
            "DROP PROCEDURE IF EXISTS routed",
            "CREATE PROCEDURE routed(k VARCHAR(99)) SELECT CONCAT('to-', k)",
        )

        async def test() -> None:
            function = self.pgsql(select_function="routed")
            self.assertEqual(await self.ask("pgsql", "K", function), "to-k")
            call = self.mysql(query="CALL routed('%s')")
            self.assertEqual(await self.ask("mysql", "K", call), "to-k")

        return Deferred.fromCoroutine(test())

    def test_locked(self) -> Deferred[None]:
        """An SQLite file that another has for itself for a moment is waited for."""
        parameters = self.sqlite(query="SELECT dest FROM routes WHERE addr = '%s'")

        async def test() -> None:
            with closing(sqlite3.connect(parameters["dbpath"], isolation_level=None)) as holder:
                holder.execute("BEGIN EXCLUSIVE")
                asked = Deferred.fromCoroutine(self.ask("sqlite", "user", parameters))
                await deferLater(reactor, 0.5, holder.execute, "COMMIT")
                self.assertEqual(await asked, "bare")

        return Deferred.fromCoroutine(test())

    def test_not_utf8(self) -> Deferred[None]:
        """A value that is no UTF-8 fails the lookup, as with postmap."""
        parameters = self.sqlite(query="SELECT CAST(x'ff61' AS TEXT) WHERE '%s' <> ''")
        name = f"sqlite:{self.parameter_file('octets.cf', parameters)}"
        return Deferred.fromCoroutine(self.same(name, ("a",)))

    def test_injections(self) -> Deferred[None]:
        """No key changes the meaning of a query: it finds itself, or nothing."""
        odd = (*INJECTIONS, *ODD_KEYS, *hostile_keys())
        keys = [key for key in odd if "\0" not in key and key.isprintable()]

        async def test() -> None:
            for kind, parameters in (
                ("sqlite", self.sqlite()),
                ("mysql", self.mysql()),
                ("pgsql", self.pgsql()),
            ):
                query = "SELECT dest FROM routes WHERE addr = 'zz-%s' OR addr = '%u-zz'"
                path = self.parameter_file("i.cf", {**parameters, "query": query})
                outcomes = await self.outcomes(f"{kind}:{path}", keys)
                self.assertEqual(set(outcomes.values()), {("absent", "")})
                path = self.parameter_file("j.cf", {**parameters, "query": "SELECT '%s'"})
                outcomes = await self.outcomes(f"{kind}:{path}", keys)
                for key, outcome in outcomes.items():
                    expected = ("found", key.casefold()) if key else ("absent", "")
                    self.assertEqual(outcome, expected)

        return Deferred.fromCoroutine(test())
