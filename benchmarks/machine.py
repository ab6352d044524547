"""Where the figures come from."""

from __future__ import annotations

import datetime
import os
import platform
import re
import ssl
import sys
from pathlib import Path


def _found(path: str, pattern: str) -> str:
    try:
        match = re.search(pattern, Path(path).read_text(), re.M)
    except OSError:
        match = None
    return match.group(1) if match else "unknown"


def _origin() -> str:
    """Whose build it is: one without the compiler's profile costs a fourth more."""
    return "the system's" if sys.base_prefix == "/usr" else "not the system's"


def describe_machine() -> dict[str, str]:
    """Processor, memory, system and versions, for the reader of the figures."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d"),
        "processor": f"{_found('/proc/cpuinfo', r'^model name.*: (.+)$')}, {os.cpu_count()} cores",
        "memory": f"{int(_found('/proc/meminfo', r'^MemTotal: +([0-9]+)')) // 1024:,} MiB",
        "system": _found("/etc/os-release", r'^PRETTY_NAME="?([^"\n]+)'),
        "kernel": platform.release(),
        "Python": f"{sys.version.split()[0]}, {_origin()}",
        "OpenSSL": ssl.OPENSSL_VERSION,
        "pipe pages of a user": _found("/proc/sys/fs/pipe-user-pages-soft", r"([0-9]+)"),
    }
