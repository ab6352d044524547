"""Dovecot 2.3 as a login proxy: few login processes for all sessions, accounts in SQLite."""

from __future__ import annotations

import grp
import os

from benchmarks.peers.contract import Peer, Site, is_root, package_version
from benchmarks.processes import Command

_QUERY = """driver = sqlite
connect = %(database)s
password_query = SELECT NULL AS password, 'Y' AS nopassword, 'Y' AS proxy, '127.0.0.1' AS host, \\
  CASE destination || '%%Ls' %(cases)s END AS port FROM accounts WHERE name = '%%u'
"""
_MAIN = """base_dir = %(folder)s/run
state_dir = %(folder)s/run
log_path = %(folder)s/log
listen = 127.0.0.1
protocols = imap pop3 submission
hostname = mail.example.org
mail_location = maildir:%(folder)s/mail/%%u
disable_plaintext_auth = no
ssl = yes
ssl_cert = <%(certificate)s
ssl_key = <%(key)s
ssl_min_protocol = TLSv1.2
default_client_limit = 24000
passdb {
  driver = sql
  args = %(query)s
}
userdb {
  driver = static
  args = uid=nobody gid=%(group)s home=/nonexistent
}
service auth {
  client_limit = 60000
}
service anvil {
  client_limit = 60000
}
service stats {
  client_limit = 60000
}
"""
# Login processes live for ever and serve many sessions: Dovecot's "high-performance mode".
_LOGIN = """service %(name)s-login {
  service_count = 0
  process_min_avail = %(processes)d
  process_limit = %(processes)d
  client_limit = 24000
  inet_listener %(name)s {
    port = %(plain)d
    ssl = no
  }
  inet_listener %(name)ss {
    port = %(tls)d
    ssl = yes
  }
}
"""
_NAMES = {"imap": "imap", "pop3": "pop3", "smtp": "submission"}


class Dovecot(Peer):
    """Dovecot with a login process for each processor."""

    name = "dovecot"
    packages = (
        "dovecot-core",
        "dovecot-imapd",
        "dovecot-pop3d",
        "dovecot-submissiond",
        "dovecot-sqlite",
    )

    def __init__(self) -> None:
        self.processes = min(os.cpu_count() or 1, 4)
        self.note = f"{self.processes} high-performance login processes, passdb in SQLite"

    def missing(self) -> str | None:
        """See Peer."""
        if not is_root():
            return "it starts as root alone: run make bench as root"
        reason = super().missing()
        if reason is None and ":2.3" not in (found := package_version("dovecot-core")):
            return f"its configuration here is for Dovecot 2.3; installed is {found}"
        return reason

    def version(self) -> str:
        """See Peer."""
        return package_version("dovecot-core")

    def prepare(self, site: Site) -> list[Command]:
        """See Peer."""
        (site.folder / "run").mkdir()
        cases = " ".join(
            f"WHEN 'store{store}{name}' THEN {site.store_port(store, protocol)}"
            for store in (1, 2)
            for protocol, name in _NAMES.items()
        )
        query = site.write("sql.conf", _QUERY % {"database": site.database, "cases": cases})
        text = _MAIN % {
            "folder": site.folder,
            "certificate": site.certificate,
            "key": site.key,
            "query": query,
            "group": grp.getgrgid(65534).gr_name,
        }
        for protocol, name in _NAMES.items():
            text += _LOGIN % {
                "name": name,
                "processes": self.processes,
                "plain": site.ports[protocol],
                "tls": site.ports[protocol + "s"],
            }
        path = site.write("dovecot.conf", text)
        return [["/usr/sbin/dovecot", "-F", "-c", path]]
