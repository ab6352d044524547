"""Which configuration file it is, and how complaints about it are worded; for every program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from mailroute.errors import ConfigurationError

DEFAULT_CONFIG = "/etc/mailroute/mailroute.toml"
CONFIG_VARIABLE = "MAILROUTE_CONFIG"
EX_CONFIG = 78
"""sysexits(3): the configuration is at fault."""


def default_config(environment: Mapping[str, str]) -> str:
    """The file that is read where none is named."""
    return environment.get(CONFIG_VARIABLE, DEFAULT_CONFIG)


def complain(path: str, error: ConfigurationError, stream: TextIO) -> None:
    """Write every complaint on a line of its own, behind the file's name and their number."""
    count = len(error.complaints)
    print(f"mailroute: {path}: {count} complaint{'s' * (count != 1)}:", file=stream)
    for complaint in error.complaints:
        print(f"  {complaint}", file=stream)
