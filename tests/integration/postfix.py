"""A private Postfix on loopback: submission with SASL, mail kept where the tests can read it.

Every recipient, wherever it is, is delivered into one Maildir below the server's own folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest

from tests.integration.certificates import Authority
from tests.support.installed import require
from tests.support.ports import LOOPBACK, free_ports, poll
from tests.support.processes import ServerProcess

MESSAGE_SIZE_LIMIT = 60 * 1024 * 1024


class Postfix:
    """One server; its ports stay the same when it is stopped and started again.

    ``sasl_port`` is the authentication service of a Dovecot on loopback.  At ``told`` it takes
    XCLIENT from loopback, at ``announced`` it waits for a PROXY header.
    """

    def __init__(self, name: str, sasl_port: int, authority: Authority) -> None:
        require("postfix", ("/usr/sbin/postfix", "/usr/lib/postfix/sbin/master"), "postfix")
        if os.getuid() != 0:
            raise SkipTest("a private Postfix can only be started by root")
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix=f"mailroute-{name}-"))
        self.folder.chmod(0o755)
        self.submission, self.submissions, self.told, self.announced = free_ports(4)
        self._write_files(sasl_port, authority)
        self._process = ServerProcess(
            ["/usr/lib/postfix/sbin/master", "-c", str(self.folder / "etc"), "-d"],
            [self.submission, self.submissions, self.told],
            self.folder / "out",
        )
        self.start = self._process.start
        self.stop = self._process.stop
        self.suspend = self._process.suspend
        self.resume = self._process.resume
        self.family = self._process.family

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
        path = self.folder / "log" / "mail.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def received(self, recipient: str) -> list[bytes]:
        """Return the messages for an address, oldest first, with CRLF line ends.

        The server has put fields of its own before the submitted header.
        """
        paths = sorted(self._files(recipient), key=lambda path: path.stat().st_mtime_ns)
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in paths]

    def wait_for(self, recipient: str, count: int = 1, seconds: float = 60) -> list[bytes]:
        """Return the messages for an address when there are so many; blocks until then.

        Raises TimeoutError if they do not come.
        """
        if not poll(lambda: len(self.received(recipient)) >= count, seconds):
            raise TimeoutError(f"no {count} messages for {recipient}: {self.log()[-2000:]}")
        return self.received(recipient)

    def clear(self, recipient: str) -> None:
        """Remove all mail for an address."""
        for path in self._files(recipient):
            path.unlink()

    def _files(self, recipient: str) -> Iterator[Path]:
        """The stored messages of which the server says that they are for this address."""
        new = self.folder / "mail" / "all" / "new"
        wanted = f"Delivered-To: {recipient}\n".encode().lower()
        for path in new.iterdir() if new.is_dir() else ():
            with path.open("rb") as file:
                if wanted in file.read(2048).lower():
                    yield path

    def _write_files(self, sasl_port: int, authority: Authority) -> None:
        certificate = authority.issue(self.name)
        for part in ("etc", "queue", "data", "log", "mail"):
            (self.folder / part).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        nobody = pwd.getpwnam("nobody")
        os.chown(self.folder / "mail", nobody.pw_uid, nobody.pw_gid)
        (self.folder / "etc" / "main.cf").write_text(
            _MAIN.format(
                folder=self.folder,
                name=self.name,
                host=LOOPBACK,
                sasl_port=sasl_port,
                limit=MESSAGE_SIZE_LIMIT,
                cert=certificate.cert,
                key=certificate.key,
                uid=nobody.pw_uid,
                gid=nobody.pw_gid,
            )
        )
        (self.folder / "etc" / "master.cf").write_text(_MASTER.format(server=self, host=LOOPBACK))
        subprocess.run(
            ["/usr/sbin/postfix", "-c", str(self.folder / "etc"), "check"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )


_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
myhostname = {name}.test.example
mydestination =
inet_interfaces = {host}
inet_protocols = ipv4
mynetworks =
smtpd_peername_lookup = no
local_recipient_maps =
alias_maps =
alias_database =
default_transport = virtual
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = {limit}
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:{host}:{sasl_port}
smtpd_sasl_auth_enable = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtpd_client_connection_count_limit = 0
"""

_MASTER = """\
postlog   unix-dgram n  -       n       -       1       postlogd
{host}:{server.submission} inet n - n - - smtpd
{host}:{server.submissions} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
{host}:{server.told} inet n - n - - smtpd
  -o smtpd_authorized_xclient_hosts=127.0.0.0/8
  -o inet_protocols=all
{host}:{server.announced} inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
  -o inet_protocols=all
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
"""
