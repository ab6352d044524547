"""Names with one ``*``, which stands for one label: ``shard-*`` is ``shard-1``, ``shard-b``."""

from __future__ import annotations

import re

LABEL_LIMIT = 63
"""Octets of a label in a host name (RFC 1035 section 2.3.4)."""

_LABEL = re.compile("[a-z0-9-]+")


def is_pattern(name: str) -> bool:
    """Whether a name is a pattern."""
    return "*" in name


def label_of(pattern: str, name: str) -> str | None:
    """Return what the ``*`` of the pattern is in ``name``, None if they do not fit."""
    before, _, behind = pattern.partition("*")
    if not name.startswith(before) or not name.endswith(behind):
        return None
    label = name[len(before) : len(name) - len(behind)]
    if len(label) > LABEL_LIMIT or not _LABEL.fullmatch(label):
        return None
    return label
