"""``mailroute check``: whether a configuration can be served, before it is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from mailroute.cli import statuses
from mailroute.cli.invocation import Invocation, everywhere
from mailroute.configured import complain
from mailroute.errors import ConfigurationError
from mailroute.patterns import is_pattern

if TYPE_CHECKING:
    from mailroute.cli.checking import Findings
    from mailroute.cli.output import Output
    from mailroute.cli.probing import Probed
    from mailroute.config.model import Configuration


@click.command()
@click.option("--connect", is_flag=True, help="Dial every destination, without logging in.")
@everywhere
@click.pass_obj
def command(invocation: Invocation, connect: bool) -> None:
    """Check the whole configuration.

    The file, certificates and keys, every table and the mapping (opened, their statements
    prepared, asked for an account that nobody has) and the host names of the destinations.
    Exits with 0 if all is well, else with 78.
    """
    try:
        configuration = invocation.configuration()
    except ConfigurationError as error:
        sys.exit(Report(invocation.config, invocation.output).end(error.complaints))

    async def work(reactor: Any) -> int:
        from mailroute.cli import checking
        from mailroute.cli.probing import probe_all

        findings = checking.Findings()
        checking.check_files(configuration, findings)
        await checking.check_tables(configuration, reactor, findings)
        await checking.check_names(configuration, checking.resolver(reactor), findings)
        probed = []
        if connect:
            findings.warn(*undialled(configuration))
            probed = await probe_all(configuration, reactor)
        return Report(invocation.config, invocation.output).whole(findings, probed)

    status: int = invocation.run(work)
    sys.exit(status)


def undialled(configuration: Configuration) -> list[str]:
    """What ``--connect`` leaves out."""
    return [
        f"destination.{name}: a pattern cannot be dialled without a label"
        for name in configuration.destinations
        if is_pattern(name)
    ]


@dataclass(frozen=True, slots=True)
class Report:
    """What is said in the end."""

    path: str
    output: Output

    def whole(self, findings: Findings, probed: list[Probed]) -> int:
        """Everything that was found; returns the exit status."""
        findings.complain(*(found.complaint() for found in probed if found.fault))
        if not self.output.as_json:
            for found in probed:
                if not found.fault:
                    self.output.show(found.words())
            for warning in findings.warnings:
                self.output.note(f"warning: {warning}")
        data = {"warnings": findings.warnings, "endpoints": [found.data() for found in probed]}
        return self.end(findings.complaints, data)

    def end(self, complaints: list[str], more: dict[str, Any] | None = None) -> int:
        """The verdict; returns the exit status."""
        if self.output.as_json:
            about = {"configuration": self.path, "ok": not complaints, "complaints": complaints}
            self.output.put({**about, **(more or {"warnings": [], "endpoints": []})})
        elif complaints:
            complain(self.path, ConfigurationError(complaints), sys.stderr)
        else:
            self.output.show(f"{self.path}: all is well")
        return statuses.CONFIGURATION if complaints else statuses.OK
