"""Whether a program of the system is installed; if not, the test says what to install."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import SkipTest

# A plain user's PATH often lacks the folders of the servers.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def require(name: str, programs: tuple[str, ...], packages: str) -> None:
    """Raise SkipTest unless every program is there.

    ``programs`` are absolute paths or names to be found on the search path.  The wording is
    known to ``.ci/run``, where such a skip is a failure.
    """
    for program in programs:
        if not (Path(program).exists() or shutil.which(program, path=SEARCH_PATH)):
            raise SkipTest(f"missing {name}: apt-get install {packages}")
