"""The templates that make the keys to try out of one identifier: ``{user}``, ``*``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mailroute.errors import ConfigurationError
from mailroute.tables.contract import Key

PARTS = ("user", "local", "domain", "ext")

_PART = re.compile(r"\{([a-z_]*)\}")


class KeyTemplates:
    """Templates, tried in order; one whose part is empty is skipped."""

    def __init__(self, templates: Sequence[str]) -> None:
        """Raises ConfigurationError for an empty list or template, or an unknown part."""
        complaints = [fault for template in templates if (fault := _fault(template))]
        if not templates:
            complaints.append("mapping.sql.keys: at least one template is needed, as {user}")
        if complaints:
            raise ConfigurationError(complaints)
        # Literal texts, and between them the names of parts.
        self._templates = [_PART.split(template) for template in templates]

    def expand(self, key: Key) -> Iterator[str]:
        """Yield the keys to try for ``key``, each once."""
        seen = set()
        for pieces in self._templates:
            parts = [getattr(key, name) for name in pieces[1::2]]
            if not all(parts):
                continue
            filled = pieces.copy()
            filled[1::2] = parts
            tried = "".join(filled)
            if tried not in seen:
                seen.add(tried)
                yield tried


def _fault(template: str) -> str | None:
    unknown = [name for name in _PART.findall(template) if name not in PARTS]
    if not template or unknown or set("{}") & set(_PART.sub("", template)):
        known = " ".join(f"{{{name}}}" for name in PARTS)
        return f"mapping.sql.keys: {template!r} may hold {known} and other text, but no braces"
    return None
