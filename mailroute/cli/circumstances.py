"""Under which circumstances something is looked up: what a login brings beside its name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mailroute.config.model import Configuration
    from mailroute.route import Origin


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the options say."""

    protocol: str | None
    client_ip: str = ""
    server_ip: str = ""
    sni: str = ""

    def origin(self, configuration: Configuration) -> Origin:
        """As if a client had come; the protocol is IMAP, or the first that is served.

        Raises UsageError for a protocol that there is not.
        """
        from mailroute.protocols import PROTOCOLS
        from mailroute.route import Origin

        served = [listener.protocol for listener in configuration.listeners]
        spoken = [name for name in served if name in PROTOCOLS]
        usual = "imap" if "imap" in spoken or not spoken else spoken[0]
        protocol = self.protocol or usual
        if protocol not in PROTOCOLS:
            known = ", ".join(PROTOCOLS)
            raise click.UsageError(f"there is no protocol {protocol!r}; there are {known}")
        return Origin("cli", protocol, self.client_ip, 0, self.server_ip, 0, self.sni)


def protocol_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option for the protocol, as ``circumstances``."""
    return _gathered(function, _PROTOCOL)


def circumstances_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options for all circumstances, as ``circumstances``."""
    return _gathered(function, _PROTOCOL, *_OTHERS)


def _gathered(function: Callable[..., Any], *options: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def gather(protocol: str | None, **rest: Any) -> Any:
        values = {name: rest.pop(name) for name in _NAMES if name in rest}
        return function(circumstances=Circumstances(protocol, **values), **rest)

    decorated: Callable[..., Any] = gather
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def _complete(context: click.Context, option: click.Parameter, incomplete: str) -> list[str]:
    from mailroute.protocols import PROTOCOLS

    return [name for name in PROTOCOLS if name.startswith(incomplete)]


_NAMES = ("client_ip", "server_ip", "sni")
_PROTOCOL = click.option(
    "--protocol",
    metavar="PROTOCOL",
    shell_complete=_complete,
    help="imap, pop3, submission, managesieve; without it imap if it is served.",
)
_OTHERS = (
    click.option("--client-ip", default="", metavar="ADDRESS", help="For queries that use it."),
    click.option("--server-ip", default="", metavar="ADDRESS", help="For queries that use it."),
    click.option("--sni", default="", metavar="NAME", help="For queries that use it."),
)
