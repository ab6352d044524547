"""Postfix's tables, asked by mailroute and by the real postmap: the same answers."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.postfix_case import PostfixCase
from tests.integration.postfix_corpus import (
    CHOSEN,
    FAULTY,
    FEW,
    KEYS,
    KEYS_BEYOND_ASCII,
    Parameters,
    generated,
)
from tests.integration.postfix_engines import ENGINES

GENERATED = 20


class Engine(PostfixCase):
    """The corpus on one engine."""

    kind = "sqlite"
    keys = KEYS + KEYS_BEYOND_ASCII

    def names(self, chosen: Sequence[Parameters]) -> list[str]:
        """The names of tables with these parameters, over a fresh database."""
        access = ENGINES[self.kind](self.folder)
        paths = (
            self.parameter_file(f"{number}.cf", {**access, **parameters})
            for number, parameters in enumerate(chosen)
        )
        return [f"{self.kind}:{path}" for path in paths]

    async def compare(self, chosen: Sequence[Parameters]) -> None:
        """Each of the tables, each key."""
        for name in self.names(chosen):
            await self.same(name, self.keys)
        self.assertGreaterEqual(self.asked, len(self.keys) * len(chosen))

    def test_chosen(self) -> Deferred[None]:
        """Every expansion, suppression, format, limit and domain."""
        return Deferred.fromCoroutine(self.compare(CHOSEN))

    def test_faulty(self) -> Deferred[object]:
        """What cannot be asked fails; it is not absent."""
        # At once, because postmap pauses for a second.
        return gatherResults(
            [Deferred.fromCoroutine(self.same(name, FEW)) for name in self.names(FAULTY)],
            consumeErrors=True,
        )

    def test_generated(self) -> Deferred[None]:
        """Literals and formats put together at random."""
        return Deferred.fromCoroutine(self.compare(list(generated(GENERATED))))

    def test_unfolded(self) -> Deferred[None]:
        """With -f the key keeps its case."""

        async def test() -> None:
            query = {"query": "SELECT dest FROM routes WHERE addr = '%s'"}
            for name in self.names([query]):
                await self.same(name, self.keys, "-f")
            self.assertEqual(self.asked, len(self.keys))

        return Deferred.fromCoroutine(test())


class CorpusTests(SynchronousTestCase):
    """What is compared."""

    def test_size(self) -> None:
        """Some thousand pairs of a table and a key on each engine, none of them twice."""
        tables = [*CHOSEN, *generated(GENERATED)]
        self.assertEqual(len({tuple(each.items()) for each in tables}), len(tables))
        for engine in (Engine, MysqlEngine, PgsqlEngine):
            self.assertEqual(len(set(engine.keys)), len(engine.keys))
            self.assertGreater(len(tables) * len(engine.keys), 3000)


class MysqlEngine(Engine):
    """The corpus on MariaDB."""

    kind = "mysql"


class PgsqlEngine(Engine):
    """The corpus on PostgreSQL, in ASCII: Debian 12's Postfix asks it in LATIN1."""

    kind = "pgsql"
    keys = KEYS
