"""The tables ``sqlite:``, ``mysql:`` and ``pgsql:``: from a key to Postfix's answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.deadline import Reactor
from mailroute.tables.postfix.domains import DomainList, OpenMap
from mailroute.tables.postfix.failover import Failover, Row, Server
from mailroute.tables.postfix.hosts import mysql_hosts, pgsql_hosts
from mailroute.tables.postfix.lines import is_utf8
from mailroute.tables.postfix.literals import Query, make_query
from mailroute.tables.postfix.mysql import PARAMETERS as MYSQL_PARAMETERS
from mailroute.tables.postfix.mysql import MysqlServer
from mailroute.tables.postfix.notices import warn
from mailroute.tables.postfix.parameters import Parameters
from mailroute.tables.postfix.pgsql import PARAMETERS as PGSQL_PARAMETERS
from mailroute.tables.postfix.pgsql import PgsqlServer
from mailroute.tables.postfix.sqlite import SqliteServer
from mailroute.tables.postfix.template import (
    Requirements,
    Template,
    format_result,
    parse_template,
    requirements,
)
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.string_table import StringTable, Values

DIALECTS = {
    "sqlite": Dialect.SQLITE,
    "mysql": Dialect.MYSQL,
    "pgsql": Dialect.POSTGRESQL,
}
_HOSTS = {"mysql": mysql_hosts, "pgsql": pgsql_hosts}
RETRY_SECONDS = 60
_SHARED = frozenset(
    {"query", "result_format", "domain", "expansion_limit"}
    | {"table", "select_field", "where_field", "additional_conditions"}
)
_PARAMETERS = {
    "sqlite": _SHARED | {"dbpath"},
    "mysql": _SHARED | MYSQL_PARAMETERS,
    "pgsql": _SHARED | PGSQL_PARAMETERS,
}


@dataclass(frozen=True, slots=True)
class Manner:
    """How every table is asked: how keys are folded, and for how many seconds."""

    fold: Callable[[str], str]
    lookup_seconds: float
    reactor: Reactor


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked and what is made of the answer."""

    query: Query
    result: Template
    requirements: Requirements
    limit: int


def query_text(kind: str, parameters: Parameters) -> str:
    """The query: ``query``, ``select_function``, or what the older parameters amount to."""
    if query := parameters.text("query"):
        return query
    function = parameters.text("select_function") if kind == "pgsql" else ""
    if function:
        return f"SELECT {function}('%s')"
    table, field, where = (
        parameters.text(name) for name in ("table", "select_field", "where_field")
    )
    if not (table and field and where):
        raise parameters.complaint(
            "query", "a value is required (or table, select_field and where_field)"
        )
    conditions = parameters.text("additional_conditions")
    # The administrator's own words; a key comes in as a parameter.
    return f"SELECT {field} FROM {table} WHERE {where}='%s' {conditions}"  # noqa: S608


def make_plan(kind: str, parameters: Parameters) -> Plan:
    """Read query, result_format and expansion_limit.  Raises ConfigurationError."""
    templates = []
    texts = (query_text(kind, parameters), parameters.required("result_format", "%s"))
    for name, text in zip(("query", "result_format"), texts, strict=True):
        try:
            templates.append(parse_template(text))
        except ValueError as error:
            raise parameters.complaint(name, str(error)) from None
    asked, result = templates
    try:
        query = make_query(asked, DIALECTS[kind])
    except ConfigurationError as error:
        raise parameters.complaint("query", "; ".join(error.complaints)) from None
    limit = parameters.number("expansion_limit", 0)
    return Plan(query, result, requirements(asked, result), limit)


class SqlMap(StringTable):
    """A table of Postfix that asks databases."""

    def __init__(
        self,
        parameters: Parameters,
        plan: Plan,
        domains: DomainList,
        servers: Failover,
        manner: Manner,
    ) -> None:
        self.kind = parameters.place
        self._parameters = parameters
        self._plan = plan
        self._domains = domains
        self._servers = servers
        self._manner = manner
        self._warned = False

    async def get(self, key: str) -> Values | None:
        """Return the one text that Postfix would: all values, joined by commas."""
        folded = self._manner.fold(key)
        # No server has such keys, and most could not be asked.
        if not folded or "\0" in folded or not is_utf8(folded):
            return None
        try:
            if not await self._domains.lets_through(folded):
                return None
            if not self._plan.requirements.met_by(folded):
                return None
            values = self._plan.query.values(folded)
            until = self._manner.reactor.seconds() + self._manner.lookup_seconds
            rows = await self._servers.rows(values, until)
            found = self._joined(rows, folded)
        except LookupFailed as failed:
            raise LookupFailed(f"{self.kind}: {failed.reason}") from None
        return (found,) if found else None

    def _joined(self, rows: Iterable[Row], key: str) -> str:
        pieces = []
        for value in (value for row in rows for value in row):
            text = _text(value)
            if text == "":
                self._warn_empty(key)
            piece = format_result(self._plan.result, text, key) if text else None
            if piece is None:
                continue
            pieces.append(piece)
            if 0 < self._plan.limit < len(pieces):
                raise LookupFailed(f"more than {self._plan.limit} values (expansion_limit)")
        return ",".join(pieces)

    def _warn_empty(self, key: str) -> None:
        if not self._warned:
            self._warned = True
            warn(f"{self.kind}: an empty value is ignored, first for the key {key!r}")

    def check(self) -> Sequence[str]:
        """Try the query, blocking.  Raises ConfigurationError, with the table's name."""
        place = self._parameters.place
        try:
            found = self._servers.check()
        except ConfigurationError as error:
            raise ConfigurationError([f"{place}: {one}" for one in error.complaints]) from None
        numeric = [
            f"%{parameter.codes[0]} stands outside of quotes: only digits can be looked up by it"
            for parameter in self._plan.query.parameters
            if parameter.numeric
        ]
        inner = [warning for table in self._domains.tables for warning in table.check()]
        faults = [*found, *self._domains.warnings, *numeric]
        return [*self._parameters.warnings, *(f"{place}: {one}" for one in faults), *inner]

    async def reload(self) -> None:
        """Reload the tables of domains.  The parameters are read when mailroute starts."""
        for table in self._domains.tables:
            await table.reload()

    def watch(self, changed: Callable[[], None]) -> None:
        """Watch every server, and the tables of domains."""
        self._servers.watch(changed)
        for table in self._domains.tables:
            table.watch(changed)

    async def start(self) -> None:
        """Begin to serve."""
        await self._servers.each(lambda server: server.start())
        for table in self._domains.tables:
            await table.start()

    async def close(self) -> None:
        """End connections and threads."""
        await self._servers.each(lambda server: server.close())
        for table in self._domains.tables:
            await table.close()


def make_sql_map(kind: str, parameters: Parameters, open_map: OpenMap, manner: Manner) -> SqlMap:
    """Make the table; nothing is opened yet.  Raises ConfigurationError."""
    plan = make_plan(kind, parameters)
    parameters.warn_unknown(_PARAMETERS[kind])
    domains = DomainList(parameters.text("domain"), open_map)
    servers = list(_servers(kind, parameters, plan.query, manner))
    retry = parameters.number("retry_interval", RETRY_SECONDS)
    return SqlMap(parameters, plan, domains, Failover(servers, retry, manner.reactor), manner)


def _servers(kind: str, parameters: Parameters, query: Query, manner: Manner) -> Iterable[Server]:
    seconds, reactor = manner.lookup_seconds, manner.reactor
    if kind == "sqlite":
        path = os.path.abspath(parameters.required("dbpath"))
        yield SqliteServer(path, query, seconds, reactor)
        return
    try:
        hosts = _HOSTS[kind](parameters.text("hosts"))
    except ValueError as error:
        raise parameters.complaint("hosts", str(error)) from None
    for host in hosts:
        if kind == "mysql":
            yield MysqlServer(host, query, parameters, seconds, reactor)
        else:
            yield PgsqlServer(host, query, parameters, seconds, reactor)


def _text(value: bytes | str | None) -> str | None:
    """The value as a text; as for C, it ends at the first NUL.  Raises LookupFailed."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise LookupFailed("a value is not UTF-8") from None
    return None if value is None else value.partition("\0")[0]
