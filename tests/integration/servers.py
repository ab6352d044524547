"""The servers that the integration tests share: started when first asked for, ended at exit.

A test that stops, suspends or fills a server makes one of its own.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from tests.integration.certificates import Authority
from tests.integration.dovecot import Dovecot
from tests.integration.postfix import Postfix

# Who lives where.  The same name with another password on each server is a moved account.
USERS = {
    "east": {
        "alice@example.org": "alice-secret",
        "odd@example.org": 'a "quoted\\ pass word',
        "witness@example.org": "witness-secret",
        "mover@example.org": "east-secret",
        "unheard@example.org": "east-secret",
    },
    "west": {
        "bob@example.org": "bob-secret",
        "mover@example.org": "west-secret",
    },
}


@cache
def authority() -> Authority:
    """The authority that signed the certificates of all shared servers."""
    folder = Path(tempfile.mkdtemp(prefix="mailroute-authority-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Authority(folder)


@cache
def dovecot(name: str) -> Dovecot:
    """The running Dovecot called ``east`` or ``west``.

    Raises SkipTest where Dovecot is not installed.
    """
    server = Dovecot(name, USERS[name], authority())
    atexit.register(server.remove)
    server.start()
    return server


@cache
def postfix(name: str) -> Postfix:
    """The running Postfix whose users are those of the Dovecot with the same name.

    Raises SkipTest where one of the two is not installed.
    """
    server = Postfix(f"{name}-mx", dovecot(name).auth, authority())
    atexit.register(server.remove)
    server.start()
    return server
