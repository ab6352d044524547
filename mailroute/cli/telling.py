"""The router and the tables before it, telling what each step was given and what came of it.

Nothing is decided here: every step is the one of the base class or of the table behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailroute.cli.story import Story, row_facts
from mailroute.config import model, table_model
from mailroute.credentials import Identity
from mailroute.destinations import Destination
from mailroute.errors import Failure
from mailroute.route import Origin, Route
from mailroute.routing import Directory, Router, RoutingPolicy, mailbox_owner
from mailroute.tables.cached import CachedTable
from mailroute.tables.contract import Key, Row
from mailroute.tables.sql_table import SqlTable
from mailroute.tables.string_table import StringTable, Values

EMPTY_CACHE = (
    "empty: this command has one of its own; a mailroute that runs may still remember an older"
    " answer, see positive_ttl and negative_ttl"
)


class TellingRouter(Router):
    """A router that tells its steps."""

    def __init__(
        self,
        cache: CachedTable,
        destinations: Directory,
        policy: RoutingPolicy,
        clock: Any,
        story: Story,
    ) -> None:
        super().__init__(cache, destinations, policy, clock)
        self._cache = cache
        self._story = story

    def _key(self, identity: Identity, origin: Origin) -> Key:
        since = self._story.seconds()
        self._story.tell("master user", _owner_facts(identity.account, self._policy.separators))
        try:
            key = super()._key(identity, origin)
        except Failure as failure:
            self._story.tell("normalisation", {"refused": failure.reason}, since)
            raise
        facts = {"mode": self._policy.normalize, "identifier": key.identifier, "user": key.user}
        parts = {"local": key.local, "domain": key.domain, "ext": key.ext}
        self._story.tell("normalisation", {**facts, **parts}, since)
        return key

    async def _find(self, key: Key) -> Row | None:
        remembered = self._cache.peek(key)
        state = row_facts(remembered) if isinstance(remembered, Row) else EMPTY_CACHE
        self._story.tell("cache", {"state": state})
        since = self._story.seconds()
        try:
            row = await super()._find(key)
        except Failure as failure:
            policy = {"on_error": self._policy.on_error}
            self._story.tell("lookup", {"failed": failure.reason, **policy}, since)
            raise
        self._story.tell("lookup", {"row": row_facts(row)}, since)
        return row

    def _route_of_absent(self, key: Key) -> Route:
        self._story.tell("policy", {"not_found": self._policy.not_found})
        return super()._route_of_absent(key)

    def _default_route(self, key: Key, why: str) -> Route:
        name = self._policy.default_destination
        self._story.tell("policy", {"default_destination": name, "because": why})
        return super()._default_route(key, why)

    def _serving(self, name: str, protocol: str) -> Destination | str:
        found = super()._serving(name, protocol)
        if isinstance(found, Destination):
            facts = {"value": name, "means": self._meaning(name, found)}
        else:
            facts = {"value": name, "fault": found, "undeclared": self._policy.undeclared}
        self._story.tell("destination", facts)
        return found

    def _meaning(self, value: str, destination: Destination) -> str:
        if value in set(self._destinations):
            return "a declared destination"
        if destination.name == value:
            return "a destination of a pattern"
        return f"an address, served as {destination.name}"


class TellingSource:
    """The mapping's table, which tells its questions; string tables tell their own."""

    def __init__(self, source: Any, configuration: model.Configuration, story: Story) -> None:
        self.varies_on: frozenset[str] = source.varies_on
        self._source = source
        self._mapping = configuration.mapping
        self._story = story

    async def lookup(self, key: Key) -> Row | None:
        """See Table."""
        source, mapping = self._source, self._mapping
        if isinstance(source, SqlTable):
            facts = {"engine": source.dialect.value, "query": source.statement.sql}
            self._story.tell("query", {**facts, "keys": mapping.sql.keys if mapping.sql else ()})
            return await source.lookup_by(key, self._answer)
        since = self._story.seconds()
        row: Row | None = await source.lookup(key)
        if mapping.file is not None:
            facts = {"path": mapping.file.path, "key": key.user}
            self._story.tell("file", {**facts, "row": row_facts(row)}, since)
        return row

    async def _answer(self, parameters: tuple[str, ...], until: float) -> Row | None:
        facts: dict[str, object] = {
            "parameters": [
                f"{name}={value}"
                for name, value in zip(self._source.statement.names, parameters, strict=True)
            ]
        }
        since = self._story.seconds()
        try:
            row: Row | None = await self._source.answer(parameters, until)
        except Failure as failure:
            self._story.tell("asked", {**facts, "failed": failure.reason}, since)
            raise
        self._story.tell("asked", {**facts, "row": row_facts(row)}, since)
        return row


class TellingTable(StringTable):
    """A table that tells what it was asked."""

    def __init__(self, place: str, table: StringTable, facts: dict[str, object], story: Story):
        self.kind = table.kind
        self._facts = {"table": place, "type": table.kind, **facts}
        self._table = table
        self._story = story

    async def get(self, key: str) -> Values | None:
        """See StringTable."""
        facts = {**self._facts, "key": key}
        since = self._story.seconds()
        try:
            values = await self._table.get(key)
        except Failure as failure:
            self._story.tell("table", {**facts, "failed": failure.reason}, since)
            raise
        found = "absent" if values is None else list(values)
        self._story.tell("table", {**facts, "values": found}, since)
        return values

    def check(self) -> Sequence[str]:
        """See StringTable."""
        return self._table.check()

    async def start(self) -> None:
        """See StringTable."""
        await self._table.start()

    async def close(self) -> None:
        """See StringTable."""
        await self._table.close()


def table_facts(settings: table_model.TableSettings | None) -> dict[str, object]:
    """What a table of the configuration asks."""
    if isinstance(settings, table_model.SqlQueryTable):
        return {"query": settings.lookup}
    return {"map": settings.map} if isinstance(settings, table_model.PostfixTable) else {}


def _owner_facts(account: str, separators: tuple[str, ...]) -> dict[str, object]:
    owner = mailbox_owner(account, separators)
    behind = account[len(owner) :]
    separator = next((each for each in separators if behind.startswith(each)), "")
    if not behind:
        return {"separators": separators, "mailbox": owner}
    return {"separator": separator, "mailbox": owner, "master": behind.removeprefix(separator)}
