"""What Postfix and mailroute are both asked: rows, keys and parameter files.

The first parameters are chosen, the others generated from a fixed seed: the same every time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

Parameters = dict[str, str]

ROWS: tuple[tuple[str, str | None, str | None], ...] = (
    ("user@mail.example.com", "mx.example.org", "25"),
    ("user@example.com", "10.0.0.1", None),
    ("user@example.com", "10.0.0.2", ""),
    ("user", "bare", "1"),
    ("@example.com", "catch-all", "2"),
    ("user@", "no-domain", None),
    ("@", "at", None),
    ("a@b@c.d", "two-ats", "x@y"),
    ("user@com", "one-label", None),
    ("user@a..com", "empty-label", None),
    ("user@.com", "dot-first", None),
    ("user@com.", "dot-last", None),
    ("user@[10.0.0.1]", "literal", None),
    ("null@example.com", None, None),
    ("empty@example.com", "", ""),
    ("mixed@example.com", "first", None),
    ("mixed@example.com", None, "x"),
    ("mixed@example.com", "", ""),
    ("mixed@example.com", "last@x.org", "y"),
    ("bob@x.org", "bob@x.org", "@only.domain"),
    ("eve@x.org", "eve", "eve@"),
    ("only@x.org", "@x.org", None),
    ("dom@x.org", "d@", None),
    ("o'brien@x.org", "quoted", None),
    ('d"quote@x.org', "double", None),
    ("back\\slash@x.org", "backslash", None),
    ("per%cent@x.org", "percent", "%s"),
    ("under_score@x.org", "underscore", None),
    ("with space@x.org", " spaces kept ", None),
    ("joe+ext@x.org", "plus", None),
    ("many@x.org", "1", "a"),
    ("many@x.org", "2", "b"),
    ("many@x.org", "3", "c"),
    ("comma@x.org", "a,b", None),
    ("42", "number", None),
    ("42@7", "numbers", None),
    ("UPPER@X.ORG", "never found by a folded key", None),
    ("example.com", "domain", None),
    ("x.org", "domain-x", None),
    ("example", "label", None),
    ("' or '1'='1", "injection", None),
)

BEYOND_ASCII: tuple[tuple[str, str | None, str | None], ...] = (
    ("jörg@example.com", "müller", "ü"),
    ("strasse@example.com", "folded", None),
    ("поль@пример.рф", "кириллица", None),
    ("user@bücher.example", "idn", None),
    ("\U0001f418@x.org", "elephant", None),
)

KEYS: tuple[str, ...] = (
    *dict.fromkeys(key for key, _, _ in ROWS),
    "User@Mail.EXAMPLE.com",
    "USER",
    "Upper@x.org",
    "@EXAMPLE.com",
    "user@@example.com",
    "@@",
    "a@b@",
    "user@...",
    "user@mail.example.com.",
    "unknown@example.com",
    "unknown@mail.sub.example.com",
    "a.b.c.d.e.f.g.h.i.j@1.2.3.4.5.6.7.8.9.10",
    " user@example.com",
    "user@example.com ",
    "user@ example.com",
    "\\",
    "'",
    '"',
    "''",
    "%",
    "%s",
    "%u@%d",
    "$1",
    "?",
    ":key",
    "--",
    "x' or 'a'='a@x.org",
    "x\\' or 1=1 -- @x.org",
    "'; drop table routes; --",
    "user\t@example.com",
    "user@example.com\r",
    "x" * 300,
)

KEYS_BEYOND_ASCII: tuple[str, ...] = (
    *(key for key, _, _ in BEYOND_ASCII),
    "JÖRG@example.com",
    "Straße@example.com",
    "ПОЛЬ@ПРИМЕР.РФ",
    "İ@example.com",
    "ﬁ@x.org",
    "\u017ftrasse@example.com",
)

_QUERY = "SELECT dest FROM routes WHERE addr = '%s' ORDER BY dest"
_BOTH = "SELECT dest, extra FROM routes WHERE addr = '%s' ORDER BY dest, extra"

CHOSEN: tuple[Parameters, ...] = (
    {"query": _QUERY},
    {"query": _QUERY, "result_format": "smtp:[%s]:25"},
    {"query": _QUERY, "result_format": "%d"},
    {"query": _QUERY, "result_format": "%u"},
    {"query": _QUERY, "result_format": "%u at %d"},
    {"query": _QUERY, "result_format": "%U-%D-%1"},
    {"query": _QUERY, "result_format": "%S=%s 100%%"},
    {"query": _QUERY, "result_format": "const"},
    {"query": _QUERY, "result_format": "%3.%2.%1"},
    {"query": _QUERY, "expansion_limit": "1"},
    {"query": _QUERY, "expansion_limit": "2"},
    {"query": _QUERY, "expansion_limit": "3", "result_format": "%d"},
    {"query": _QUERY, "domain": "example.com, X.org"},
    {"query": _QUERY, "domain": "!x.org inline:{example.com=1,c.d=2}"},
    {"query": _QUERY, "domain": "inline:{x.org=yes} b@c.d c.d"},
    {"query": _BOTH},
    {"query": _BOTH, "expansion_limit": "3"},
    {"query": _BOTH, "result_format": "%s;"},
    {"query": "SELECT '%u', '%d'"},
    {"query": "SELECT '<%U|%D|%S>'"},
    {"query": "SELECT dest FROM routes WHERE addr = '%u@%d' ORDER BY dest"},
    {"query": "SELECT dest FROM routes WHERE addr = '%u' ORDER BY dest"},
    {"query": "SELECT dest FROM routes WHERE addr = '%d' ORDER BY dest"},
    {"query": "SELECT dest FROM routes WHERE addr LIKE '%%@%d' ORDER BY dest"},
    {"query": "SELECT dest FROM routes WHERE addr = '%u@mail.%2.%1' ORDER BY dest"},
    {"query": "SELECT '%9.%8.%1'"},
    {"query": "SELECT 'it''s %s'"},
    {"query": "SELECT dest FROM routes WHERE addr = 'user' /* %d */ ORDER BY dest"},
    {"query": "SELECT 'the same for all'"},
    {"query": "SELECT dest FROM routes WHERE 1 = 0"},
    {"query": "SELECT NULL"},
    {"query": "SELECT ''"},
    {"query": "SELECT 42"},
    {"query": "SELECT 1.50"},
    {"query": "SELECT dest FROM routes WHERE addr = '%s';"},
    {"table": "routes", "select_field": "dest", "where_field": "addr"},
    {
        "table": "routes",
        "select_field": "dest",
        "where_field": "addr",
        "additional_conditions": "AND dest LIKE '%%a%%' AND '%d' = 'example.com'",
    },
    {"query": "", "table": "routes", "select_field": "dest", "where_field": "addr"},
    {"query": "SELECT 42, 1.50, 1 = 1"},
)

FAULTY: tuple[Parameters, ...] = (
    {"query": "SELECT dest FROM nowhere WHERE addr = '%s'"},
    {"query": "SELECT dest FROM"},
    {"query": "SELECT '%x'"},
    {"query": "SELECT '%0'"},
    {"query": "SELECT '%"},
    {"query": _QUERY, "result_format": "%n"},
    {"query": _QUERY, "result_format": ""},
    {"query": _QUERY, "expansion_limit": "many"},
    {"query": ""},
    {"table": "routes", "select_field": "dest"},
)
"""Every lookup fails, with Postfix at the first one."""

FEW = KEYS[:9]
"""Keys for tables that answer all keys alike."""

_EXPANSIONS = ("%s", "%u", "%d", "%S", "%U", "%D", "%1", "%2", "%3", "%%")
_TEXT = ("", "-", "x", " ", "@", ".", "''", "a''b")
_DOMAINS = ("example.com", "!x.org, inline:{example.com=1}", "7 x.org")
SEED = 42


def generated(count: int) -> Iterator[Parameters]:
    """Parameters with literals and formats put together at random."""
    source = random.Random(SEED)

    def template(most: int, texts: tuple[str, ...]) -> str:
        pieces = [source.choice(_EXPANSIONS) + source.choice(texts) for _ in range(most)]
        return source.choice(texts) + "".join(pieces)

    for _ in range(count):
        literals = [f"'{template(source.randint(1, 3), _TEXT)}'" for _ in range(2)]
        parameters = {
            "query": f"SELECT {literals[0]} UNION ALL SELECT {literals[1]}",
            "result_format": template(source.randint(1, 3), _TEXT[:6]).strip() or "%s",
        }
        if source.random() < 0.3:
            parameters["expansion_limit"] = str(source.randint(1, 2))
        if source.random() < 0.3:
            parameters["domain"] = source.choice(_DOMAINS)
        yield parameters
