"""Keys put together of what queries are made of."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

_FRAGMENTS = (
    *("'", "''", '"', "`", "\\", "\\'", ";", "--", "-- ", "/*", "*/", "#", "(", ")", ","),
    *("$1", "$$", "$a$", "?", ":key", "%s", "%u", "%", "%(key)s", "{user}", "=", "|| ", "\n"),
    *(" OR ", " AND ", "1=1", "'1'='1", "NULL", " UNION SELECT 'x'", "DROP TABLE query_table"),
    *("k", "x", "@", " ", "¿", "ÿ", "é", "\U0001f418"),
)


def hostile_keys(count: int = 100) -> list[str]:
    """So many keys at most, the same every time."""
    found: set[str] = set()

    @settings(max_examples=count, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.sampled_from(_FRAGMENTS), min_size=2, max_size=7).map("".join))
    def collect(key: str) -> None:
        found.add(key)

    collect()
    return sorted(found)
