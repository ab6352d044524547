"""Where mailroute answers otherwise than postmap, on purpose: each with its reason.

``docs/postfix-tables.md`` lists them, too; a test compares both lists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.integration.postfix_corpus import Parameters
from tests.integration.postmap import ABSENT, FAILED, Outcome, found


@dataclass(frozen=True, slots=True)
class Difference:
    """A table, a key, and both answers."""

    title: str
    """The words of the documentation."""
    reason: str
    kind: str
    key: str
    postmap: Outcome
    ours: Outcome
    parameters: Parameters = field(default_factory=dict)
    content: str = ""
    """The file of a table that is no database."""


_ABSENT: Outcome = (ABSENT, "")
_FAILED: Outcome = (FAILED, "")
_QUERY = "SELECT dest FROM routes WHERE addr = '%s' ORDER BY dest"

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "an expansion outside of quotes takes digits only",
        "otherwise a key is a part of the query: this one is answered with every row",
        "sqlite",
        "1 or 1",
        found("1"),
        _FAILED,
        {"query": "SELECT min('1') FROM routes WHERE rowid = %s"},
    ),
    Difference(
        'in SQLite and PostgreSQL "%s" is refused',
        "it is a name there, and a key could end it",
        "sqlite",
        "user",
        found("user"),
        _FAILED,
        {"query": 'SELECT "%s"'},
    ),
    Difference(
        "a backslash before an expansion in MySQL is refused",
        "it would take the key's first sign for an escape",
        "mysql",
        "newline",
        found("\newline"),
        _FAILED,
        {"query": r"SELECT '\%s'"},
    ),
    Difference(
        "a prefix or another string beside a quoted expansion is refused",
        "the server would join them",
        "mysql",
        "user",
        found("ab-user"),
        _FAILED,
        {"query": "SELECT 'ab-' '%s'"},
    ),
    Difference(
        "PostgreSQL is always asked in UTF-8",
        "as Postfix does since 3.8; before, it was LATIN1",
        "pgsql",
        "user",
        _FAILED,
        found("müller"),
        {"query": r"SELECT U&'m\00FCller' WHERE '%s' <> ''"},
    ),
    Difference(
        "a key without a domain is never asked for if there is a domain list",
        "this is what Postfix documents; its code looks an empty domain up in tables",
        "sqlite",
        "user@",
        found("no-domain"),
        _ABSENT,
        {"query": _QUERY, "domain": "static:any"},
    ),
    Difference(
        "a domain file that cannot be read fails only the lookups that need it",
        "as in Postfix's daemons; postmap itself gives up",
        "sqlite",
        "user@example.com",
        _FAILED,
        found("10.0.0.1,10.0.0.2"),
        {"query": _QUERY, "domain": "example.com /nowhere/domains"},
    ),
    Difference(
        "a negative expansion_limit is refused",
        "it could only be meant as a limit, and Postfix takes it for none",
        "sqlite",
        "user",
        found("bare"),
        _FAILED,
        {"query": _QUERY, "expansion_limit": "-1"},
    ),
    Difference(
        "a parameter of SQLite's own (?) in a query is refused",
        "it has no value: Postfix asks with NULL",
        "sqlite",
        "user",
        found("user"),
        _FAILED,
        {"query": "SELECT '%s' WHERE ? IS NULL"},
    ),
    Difference(
        "expressions match signs, not octets",
        "a key is text; for Postfix a letter beyond ASCII is several",
        "regexp",
        "ü",
        _ABSENT,
        found("one sign"),
        content="/^.$/ one sign\n",
    ),
    Difference(
        "references back and \\< are refused",
        "matching them takes unbounded time, or RE2 has nothing like them",
        "regexp",
        "abab",
        found("twice"),
        _FAILED,
        content="/^(ab)\\1$/ twice\n",
    ),
    Difference(
        "basic expressions are refused",
        "RE2 has extended ones only",
        "regexp",
        "a",
        found("basic"),
        _FAILED,
        content="/^\\(a\\)$/x basic\n",
    ),
)
