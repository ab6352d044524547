"""``mailroute login-test``: a whole login, from the name to the backend's verdict."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from mailroute.cli import statuses
from mailroute.cli.circumstances import Circumstances, protocol_option
from mailroute.cli.invocation import Invocation, everywhere
from mailroute.errors import Failure
from mailroute.events import Accepted, Login, Rejected
from mailroute.sasl.mechanism import BadMessage
from mailroute.sasl.plain import password_login

if TYPE_CHECKING:
    from mailroute.cli.output import Output
    from mailroute.cli.overhearing import Recorder
    from mailroute.cli.redaction import Redaction
    from mailroute.cli.story import Story
    from mailroute.config.model import Configuration
    from mailroute.route import Origin

PASSWORD_LIMIT = 65536


@click.command(name="login-test")
@click.argument("user")
@protocol_option
@click.option(
    "--password-file",
    type=click.File("rb"),
    metavar="FILE",
    help="Holds the password in its first line; - is standard input.  Without it you are asked.",
)
@everywhere
@click.pass_obj
def command(
    invocation: Invocation, user: str, circumstances: Circumstances, password_file: Any
) -> None:
    """Log in as USER at the server that holds the account, as a client of mailroute would.

    Shows the time of each stage and what was said, without the password; then leaves.  Exits
    with 0 if the server accepted the login, 1 if it was refused, 75 if it failed otherwise.
    """
    configuration = invocation.configuration()
    origin = circumstances.origin(configuration)
    secret = _password(user, password_file)
    try:
        login = password_login(user.encode("utf-8", "surrogateescape"), secret)
    except BadMessage as bad:
        raise click.UsageError(str(bad)) from None

    async def work(reactor: Any) -> int:
        from time import perf_counter

        from mailroute.cli.overhearing import Recorder
        from mailroute.cli.redaction import Redaction
        from mailroute.cli.story import Story

        redaction = Redaction(secret)
        story = Story(perf_counter)
        trial = Trial(configuration, origin, login, story, redaction)
        recorder = Recorder(story, redaction)
        end = await trial.run(reactor, recorder, invocation.output)
        return trial.report(end, recorder, invocation.output)

    status: int = invocation.run(work)
    sys.exit(status)


@dataclass(frozen=True, slots=True)
class Trial:
    """One login that is tried."""

    configuration: Configuration
    origin: Origin
    login: Login
    story: Story
    redaction: Redaction

    async def run(self, reactor: Any, recorder: Recorder, output: Output) -> Failure | None:
        """Find the route, connect and log in; return what went wrong, None if nothing did."""
        from mailroute import composition
        from mailroute.cli.asking import opened
        from mailroute.cli.connecting import backends
        from mailroute.cli.explain import route_facts

        source = composition.make_source(self.configuration, reactor)
        async with (
            opened(source, output.note),
            backends(self.configuration, reactor, recorder) as connector,
        ):
            cache = composition.make_cache(self.configuration, source, reactor)
            router = composition.make_router(self.configuration, cache, reactor)
            since = self.story.seconds()
            try:
                route = await router.route(self.login.identity, self.origin)
                facts = route_facts(route, self.login.identity.authcid)
                self.story.tell("route", facts, since)
                if route.supplied is not None:
                    self.redaction.hide(route.supplied.password.encode())
                backend, milestone = await connector.connect(route, self.login, self.origin)
            except Failure as failure:
                return failure
            backend.abandon()
        return _verdict(milestone)

    def report(self, end: Failure | None, recorder: Recorder, output: Output) -> int:
        """Print what happened; return the exit status."""
        recorder.finish()
        about = {"user": self.login.identity.authcid, "protocol": self.origin.protocol}
        result: dict[str, object] = {"result": "accepted"}
        words = "the login was accepted"
        if end is not None:
            reason = self.redaction.reply(end.reason.encode("utf-8", "backslashreplace"))
            kind = "failed" if end.kind.temporary else "refused"
            result = {"result": kind, "kind": end.kind.value, "reason": reason}
            words = f"the login {'failed' if end.kind.temporary else 'was refused'}: "
            words += f"{end.kind.value}: {reason}"
        steps = [step.data() for step in self.story.steps]
        said = [{"who": heard.who, "text": heard.text} for heard in recorder.transcript]
        if output.as_json:
            output.put({**about, **result, "steps": steps, "transcript": said})
        else:
            cells = [step.cells() for step in self.story.steps]
            output.show(output.grid(("stage", "ms", "what"), cells))
            for heard in recorder.transcript:
                output.show(str(heard))
            output.show(words)
        return statuses.OK if end is None else statuses.of(end)


def _verdict(milestone: object) -> Failure | None:
    if isinstance(milestone, Rejected):
        return milestone.failure
    if isinstance(milestone, Accepted):
        return None
    raise AssertionError("nobody is asked anything in a login by PLAIN")


def _password(user: str, file: Any) -> bytes:
    if file is None:
        return _asked(user).encode("utf-8", "surrogateescape")
    line: bytes = file.readline(PASSWORD_LIMIT)
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _asked(user: str) -> str:
    """Raises UsageError where nobody is there to be asked."""
    text: str
    try:
        text = click.prompt(f"Password of {user}", hide_input=True, err=True)
    except click.Abort as abort:
        # click aborts at Ctrl-C as well: what it has caught tells them apart.
        if not isinstance(abort.__context__, EOFError):
            raise
        words = "no password came; --password-file FILE reads it from a file, - from standard input"
        raise click.UsageError(words) from None
    return text
