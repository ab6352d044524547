"""What the demo prints: where everything is, and commands to paste into a second terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailroute.demo.configuration import ADDRESS, Folder, FrontPorts


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who lives where, and everybody's password."""

    routes: Mapping[str, str]
    password: str


def instructions(folder: Folder, ports: FrontPorts, accounts: Accounts, program: str) -> str:
    """Return the text; the first account is used in the single examples.

    ``program`` is the console script, as one types it.
    """
    routes, password = accounts.routes, accounts.password
    listed = "\n".join(
        f"    {account:<19} password {password}, lives on {server}"
        for account, server in routes.items()
    )
    first, *_, last = routes
    reads = "\n".join(_read(account, server, ports, password) for account, server in routes.items())
    return _TEXT.format(
        accounts=listed,
        reads=reads,
        write=_write(first, routes[first], ports, password),
        move=_move(first, routes[last], f"{program} --config {folder.configuration}"),
        account=first,
        password=password,
        address=ADDRESS,
        ports=ports,
        folder=folder,
    )


def _read(account: str, server: str, ports: FrontPorts, password: str) -> str:
    user = f"-u {account}:{password}"
    return f"""\
{account}: the message says "You reached {server}"
    curl -k --url 'imaps://{ADDRESS}:{ports.imaps}/INBOX;MAILINDEX=1' {user}
    curl -k --ssl-reqd --url 'imap://{ADDRESS}:{ports.imap}/INBOX;MAILINDEX=1' {user}
    curl -k --url 'pop3s://{ADDRESS}:{ports.pop3s}/1' {user}
    curl -k --ssl-reqd --url 'pop3://{ADDRESS}:{ports.pop3}/1' {user}
"""


def _write(account: str, server: str, ports: FrontPorts, password: str) -> str:
    envelope = f"-u {account}:{password} --mail-from {account} --mail-rcpt {account} -T -"
    message = r"printf 'Subject: Hello\r\n\r\nIt arrived.\r\n'"
    return f"""\
Submission: the message arrives in the sender's own mailbox, on {server}
    {message} | curl -k --url 'smtps://{ADDRESS}:{ports.submissions}' {envelope}
    {message} | curl -k --ssl-reqd --url 'smtp://{ADDRESS}:{ports.submission}' {envelope}
    curl -k --url 'imaps://{ADDRESS}:{ports.imaps}/INBOX;MAILINDEX=4' -u {account}:{password}
"""


def _move(account: str, server: str, command: str) -> str:
    return f"""\
Move {account}: change her row, and the first command now says "You reached {server}"
    {command} table mapping set {account} {server}
    {command} explain {account}
"""


_TEXT = """
mailroute is running, with two sample mail servers behind it.

{accounts}

    IMAP        {address}:{ports.imap} (STARTTLS), {address}:{ports.imaps} (TLS)
    POP3        {address}:{ports.pop3} (STARTTLS), {address}:{ports.pop3s} (TLS)
    submission  {address}:{ports.submission} (STARTTLS), {address}:{ports.submissions} (TLS)
    table       {folder.table}
    settings    {folder.configuration}

Paste these into a second terminal. The certificate is self-signed, hence -k.

{reads}
{write}
{move}
By hand: type "a LOGIN {account} {password}", then "b SELECT INBOX", "c LOGOUT"
    openssl s_client -quiet -crlf -connect {address}:{ports.imaps}
    openssl s_client -quiet -crlf -starttls imap -connect {address}:{ports.imap}

A wrong password is refused after two seconds, and an unknown account in the same way
    curl -k --url 'imaps://{address}:{ports.imaps}/INBOX' -u {account}:wrong

Ctrl-C ends the demo and removes its files. The log follows; its warnings about encryption are
about the sample servers, which are on this machine.
"""
