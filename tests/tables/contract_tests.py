"""What every table has to do, whatever its kind."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from mailroute.errors import LookupFailed
from mailroute.tables.contract import Key, Row, Table

ALICE = "alice@example.org"
BOB = "bob@example.org"

ODD_KEYS = (
    "",
    " ",
    "@",
    "@@",
    "@example.org",
    "alice@",
    f"{ALICE} ",
    f" {ALICE}",
    f"{ALICE}\0",
    f"{ALICE}\n",
    "a" * 10_000,
    "\\",
    "'",
    '"',
    "`",
    "%",
    "%s",
    "%%",
    "?",
    "$1",
    ":key",
    "NULL",
    "\ud800",
    "\U0001f418@example.org",
    "ål@example.org",
)

INJECTIONS = (
    "' OR '1'='1",
    "' OR 1=1 -- ",
    "\\' OR 1=1 -- ",
    "\\\\' OR 1=1 -- ",
    "x' UNION SELECT 'east' -- ",
    "'; DROP TABLE routes; -- ",
    "\\'; DROP TABLE routes; -- ",
    '" OR ""="',
    "') OR ('1'='1",
    "¿' OR 1=1 -- ",
    "ÿ\\' OR 1=1 /*",
    "%(key)s' OR 1=1 -- ",
    "$$ OR 1=1 -- ",
    "{user}' OR 1=1 -- ",
)


class TableContract:
    """A mixin.  A subclass gives the hooks; ``self.table`` is the table under test."""

    table: Table
    answers_when_broken = False
    """Whether the table holds everything in memory and goes on answering."""

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> Deferred[None] | None:
        """Run a test: in an asynchronous TestCase, unless a subclass does otherwise."""
        return Deferred.fromCoroutine(coroutine)

    async def provide(self, rows: Mapping[str, str]) -> None:
        """Make ``rows`` (destinations by identifier) the content of the table."""
        raise NotImplementedError

    async def damage(self) -> None:
        """Take away what the table needs to answer."""
        raise NotImplementedError

    async def mend(self) -> None:
        """Undo ``damage``."""
        raise NotImplementedError

    async def stall(self) -> None:
        """Let no answer come before the lookup's time-out."""
        raise NotImplementedError

    async def _destination(self, identifier: str) -> str | None:
        row = await self.table.lookup(Key(identifier))
        if row is None:
            return None
        self.assertIsInstance(row, Row)  # type: ignore[attr-defined]
        return row.destination

    async def _expect(self, identifier: str, destination: str | None) -> None:
        found = await self._destination(identifier)
        self.assertEqual(found, destination, repr(identifier))  # type: ignore[attr-defined]

    async def _expect_failure(self, identifier: str) -> None:
        try:
            found = await self._destination(identifier)
        except LookupFailed as failed:
            self.assertNotIn("secret", failed.reason)  # type: ignore[attr-defined]
            self.assertNotIn("päss", failed.reason)  # type: ignore[attr-defined]
        else:
            self.fail(f"answered {found!r}, could not know")  # type: ignore[attr-defined]

    def test_found(self) -> object:
        """Each identifier leads to its own destination."""

        async def test() -> None:
            await self.provide({ALICE: "east", BOB: "west"})
            await self._expect(ALICE, "east")
            await self._expect(BOB, "west")

        return self.finish(test())

    def test_absent(self) -> object:
        """An unknown identifier is None, in an empty table, too."""

        async def test() -> None:
            await self.provide({ALICE: "east"})
            await self._expect("carol@example.org", None)
            await self.provide({})
            await self._expect(BOB, None)

        return self.finish(test())

    def test_failing(self) -> object:
        """A table that cannot know says so, for known and unknown alike, and recovers."""

        async def test() -> None:
            await self.provide({ALICE: "east"})
            await self._expect(ALICE, "east")
            await self.damage()
            if self.answers_when_broken:
                await self._expect(ALICE, "east")
                await self._expect(BOB, None)
            else:
                await self._expect_failure(ALICE)
                await self._expect_failure(BOB)
            await self.mend()
            await self._expect(ALICE, "east")
            await self._expect(BOB, None)

        return self.finish(test())

    def test_slow(self) -> object:
        """A table that takes too long has failed; it is not absence."""

        async def test() -> None:
            await self.provide({ALICE: "east"})
            await self.stall()
            await self._expect_failure(ALICE)

        return self.finish(test())

    def test_odd_keys(self) -> object:
        """An odd key finds nothing and breaks nothing."""

        async def test() -> None:
            await self.provide({ALICE: "east", BOB: "west"})
            for odd in ODD_KEYS:
                try:
                    await self._expect(odd, None)
                except LookupFailed:
                    # Allowed: the database cannot even be asked.
                    continue
            await self._expect(ALICE, "east")

        return self.finish(test())

    def test_injections(self) -> object:
        """A key is data: it finds its own row, otherwise none, and changes nothing."""

        async def test() -> None:
            await self.provide({ALICE: "east"})
            for injection in INJECTIONS:
                await self._expect(injection, None)
            await self._expect(ALICE, "east")
            await self.provide_odd(INJECTIONS)
            for injection in INJECTIONS:
                await self._expect(injection, "west")

        return self.finish(test())

    async def provide_odd(self, identifiers: tuple[str, ...]) -> None:
        """Make a content in which all of ``identifiers`` lead to west."""
        await self.provide(dict.fromkeys(identifiers, "west"))

    def test_reload(self) -> object:
        """Changed content is seen by the next lookup."""

        async def test() -> None:
            await self.provide({ALICE: "east"})
            await self._expect(ALICE, "east")
            await self.provide({ALICE: "west", BOB: "east"})
            await self._expect(ALICE, "west")
            await self._expect(BOB, "east")
            await self.provide({BOB: "east"})
            await self._expect(ALICE, None)

        return self.finish(test())
