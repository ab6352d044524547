"""A private Dovecot on loopback: IMAP, POP3, ManageSieve and, with a relay, submission.

Mail is kept in Maildirs below the server's own folder.  Nothing outside of it is touched.
"""

from __future__ import annotations

import grp
import itertools
import os
import pwd
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.integration.certificates import Authority
from tests.support.installed import require
from tests.support.ports import LOOPBACK, free_ports
from tests.support.processes import START_SECONDS, ServerProcess

_LIBEXEC = "/usr/lib/dovecot"
_PARTS = ("imap", "pop3", "managesieve")
_serial = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Options:
    """What can be different from one Dovecot to the next.

    ``extra`` is text behind the settings; ``relay_port`` (0: none) is the SMTP server behind
    the submission service; ``trust_loopback`` lets loopback clients forward addresses.
    """

    mechanisms: str = "plain login"
    trust_loopback: bool = False
    relay_port: int = 0
    extra: str = ""


class Dovecot:
    """One server; its ports stay the same when it is stopped and started again."""

    def __init__(
        self,
        name: str,
        users: Mapping[str, str],
        authority: Authority,
        options: Options | None = None,
    ) -> None:
        require(
            "dovecot",
            ("/usr/sbin/dovecot", *(f"{_LIBEXEC}/{name}" for name in _PARTS)),
            "dovecot-imapd dovecot-pop3d dovecot-managesieved",
        )
        options = options or Options()
        if options.relay_port:
            require("dovecot", (f"{_LIBEXEC}/submission",), "dovecot-submissiond")
        self.name = name
        self.users = dict(users)
        self.folder = Path(tempfile.mkdtemp(prefix=f"mailroute-{name}-"))
        self.folder.chmod(0o755)
        listening = free_ports(8)
        (self.imap, self.imaps, self.pop3, self.pop3s, self.sieve, self.sieves) = listening[:6]
        (self.auth, self.submission) = listening[6:]
        self._write_files(authority, options)
        if not options.relay_port:
            listening.remove(self.submission)
        self._process = ServerProcess(
            ["/usr/sbin/dovecot", "-F", "-c", str(self.folder / "dovecot.conf")],
            listening,
            self.folder / "log",
        )
        self.stop = self._process.stop
        self.suspend = self._process.suspend
        self.resume = self._process.resume
        self.family = self._process.family

    def start(self) -> None:
        """Start, and return when the server has greeted: then all its parts are up.

        Raises RuntimeError with the server's own words if it does not start.
        """
        self._process.start()
        with socket.create_connection((LOOPBACK, self.imap), START_SECONDS) as connection:
            connection.recv(1)

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._process.running

    def remove(self) -> None:
        """Stop the server and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """Return everything that the server has logged."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def deliver(self, user: str, message: bytes) -> None:
        """Put a message into the user's INBOX; clients get its bytes with CRLF line ends."""
        maildir = self.folder / "mail" / user / "Maildir"
        name = f"{int(time.time())}.M{next(_serial)}P{os.getpid()}.tests"
        for part in ("cur", "new", "tmp"):
            (maildir / part).mkdir(parents=True, exist_ok=True)
        (maildir / "tmp" / name).write_bytes(message)
        owner = _mail_owner()
        for path in (maildir.parent, maildir, *maildir.iterdir(), maildir / "tmp" / name):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        (maildir / "tmp" / name).rename(maildir / "new" / name)

    def script(self, user: str, name: str) -> Path:
        """Where a Sieve script of the user is kept."""
        return self.folder / "mail" / user / "sieve" / f"{name}.sieve"

    def clear(self, user: str) -> None:
        """Remove all mail of a user; nobody may be logged in as that user."""
        shutil.rmtree(self.folder / "mail" / user, ignore_errors=True)

    def _write_files(self, authority: Authority, options: Options) -> None:
        certificate = authority.issue(self.name)
        owner = _mail_owner()
        mail = self.folder / "mail"
        mail.mkdir()
        os.chown(mail, owner.pw_uid, owner.pw_gid)
        (self.folder / "users").write_text(
            "".join(f"{user}:{{PLAIN}}{password}::::::\n" for user, password in self.users.items())
        )
        as_root = os.getuid() == 0
        settings = _SETTINGS.format(
            folder=self.folder,
            name=self.name,
            server=self,
            host=LOOPBACK,
            cert=certificate.cert,
            key=certificate.key,
            mechanisms=options.mechanisms,
            trusted=f"{LOOPBACK}/8" if options.trust_loopback else "",
            protocols="imap pop3 sieve" + " submission" * bool(options.relay_port),
            relay_port=options.relay_port or 25,
            internal="dovecot" if as_root else owner.pw_name,
            group="dovecot" if as_root else grp.getgrgid(owner.pw_gid).gr_name,
            login="dovenull" if as_root else owner.pw_name,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
        )
        submission = _SUBMISSION.format(server=self) if options.relay_port else ""
        (self.folder / "dovecot.conf").write_text(settings + submission + options.extra)


def _mail_owner() -> pwd.struct_passwd:
    """Who owns the mail: nobody, or the tests' own user where they do not run as root."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())


# Braces stand on lines of their own: Dovecot 2.3 knows no other form.
_SETTINGS = """\
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = mailroute-{name}
log_path = {folder}/log
protocols = {protocols}
listen = {host}
default_internal_user = {internal}
default_login_user = {login}
default_internal_group = {group}
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
mail_home = {folder}/mail/%u
mail_location = maildir:~/Maildir
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = no
login_trusted_networks = {trusted}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_verbose = yes
mail_max_userip_connections = 0
default_process_limit = 900
default_client_limit = 1000
submission_relay_host = {host}
submission_relay_port = {relay_port}
submission_relay_trusted = yes
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
# Without this socket nobody is made to wait for the failures of others from the same address.
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  inet_listener sasl {{
    address = {host}
    port = {server.auth}
  }}
}}
service imap-login {{
  chroot =
  service_count = 0
  process_limit = 4
  inet_listener imap {{
    port = {server.imap}
  }}
  inet_listener imaps {{
    port = {server.imaps}
    ssl = yes
  }}
}}
service managesieve-login {{
  chroot =
  service_count = 0
  process_limit = 4
  inet_listener sieve {{
    port = {server.sieve}
  }}
  inet_listener sieves {{
    port = {server.sieves}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  process_limit = 4
  inet_listener pop3 {{
    port = {server.pop3}
  }}
  inet_listener pop3s {{
    port = {server.pop3s}
    ssl = yes
  }}
}}
"""

_SUBMISSION = """\
service submission-login {{
  chroot =
  service_count = 0
  process_limit = 4
  inet_listener submission {{
    port = {server.submission}
  }}
}}
"""
