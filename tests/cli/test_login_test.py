"""``mailroute login-test``: the command line, the verdicts, and no secret in a report."""

from __future__ import annotations

import getpass
import io
import json
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure as Caught

from mailroute.cli.circumstances import Circumstances
from mailroute.cli.login_test import Trial
from mailroute.cli.output import Output
from mailroute.cli.overhearing import Recorder
from mailroute.cli.redaction import WITHHELD, Redaction
from mailroute.cli.story import Story
from mailroute.errors import Failure, FailureKind
from mailroute.events import Rejected
from mailroute.sasl.plain import password_login
from tests.cli.calling import MAPPING, CallingCase
from tests.cli.test_connecting import DESTINATION
from tests.config.reading import ConfigurationCase
from tests.support.backends import House
from tests.support.local_reactor import LocalCase

SECRET = b"open sesame"


class CommandTests(CallingCase):
    """What is wrong before anything is dialled."""

    def log_in(self, *arguments: str, password: str = "sesame\n") -> int:
        """Call it."""
        path = self.write("password", password)
        given = ["--config", self.configure(), "login-test", "--password-file", path]
        return self.call(*given, *arguments)

    def test_usage(self) -> None:
        """An empty password, a name that cannot be sent, a protocol that there is not."""
        self.assertEqual(self.log_in("alice", password="\n"), 2)
        self.assertEqual(self.log_in("al\0ice"), 2)
        self.assertEqual(self.log_in("alice", "--protocol", "gopher"), 2)

    def test_nobody_to_ask(self) -> None:
        """Without a terminal there is no password: that is no interruption, and what to do is
        said."""

        def ended(prompt: str) -> str:
            raise EOFError

        self.patch(getpass, "getpass", ended)
        self.assertEqual(self.call("--config", self.configure(), "login-test", "alice"), 2)
        self.assertIn("--password-file", self.stderr)

    def test_interrupted(self) -> None:
        """Ctrl-C at the question is one."""

        def interrupted(prompt: str) -> str:
            raise KeyboardInterrupt

        self.patch(getpass, "getpass", interrupted)
        self.assertEqual(self.call("--config", self.configure(), "login-test", "alice"), 130)

    def test_configuration(self) -> None:
        """A mapping that cannot be served."""
        self.write("routes", "alice nowhere\n")
        self.assertEqual(self.log_in("alice"), 78)


class TrialTests(LocalCase, ConfigurationCase):
    """A login at a house in memory."""

    def setUp(self) -> None:
        LocalCase.setUp(self)
        ConfigurationCase.setUp(self)
        self.write("routes", "alice east\n")
        self.house = House({"alice": SECRET})
        self.reactor.listening[("192.0.2.1", 143)] = self.house.accept
        self.configuration = self.read_sections(destination=DESTINATION, mapping=MAPPING)
        self.stdout = io.StringIO()
        self.patch(sys, "stdout", self.stdout)

    def attempt(self, name: str, secret: bytes, as_json: bool = True) -> tuple[int, Any]:
        """Log in; return the exit status, and what was printed."""
        redaction, story = Redaction(secret), Story(self.reactor.seconds)
        origin = Circumstances(None).origin(self.configuration)
        login = password_login(name.encode(), secret)
        trial = Trial(self.configuration, origin, login, story, redaction)
        recorder, output = Recorder(story, redaction), Output(as_json)
        done: list[Any] = []
        Deferred.fromCoroutine(trial.run(self.reactor, recorder, output)).addBoth(done.append)
        self.settle()
        if isinstance(done[0], Caught):
            done[0].raiseException()
        self.assert_quiet()
        status = trial.report(done[0], recorder, output)
        printed = self.stdout.getvalue()
        self.assertNotIn(secret.decode(), printed)
        return status, json.loads(printed) if as_json else printed

    def test_accepted(self) -> None:
        """The stages and the transcript."""
        status, printed = self.attempt("alice", SECRET)
        self.assertEqual((status, printed["result"]), (0, "accepted"))
        stages = [step["step"] for step in printed["steps"]]
        self.assertEqual(stages, ["route", "connect", "greeting", "negotiation", "login"])
        self.assertEqual(printed["transcript"][1]["text"], "mr1 AUTHENTICATE PLAIN ****")

    def test_people(self) -> None:
        """The same in words, with the verdict at the end."""
        status, printed = self.attempt("alice", SECRET, as_json=False)
        self.assertEqual(status, 0)
        self.assertIn("C: mr1 AUTHENTICATE PLAIN ****\n", printed)
        self.assertTrue(printed.endswith("the login was accepted\n"))

    def test_refused(self) -> None:
        """A wrong password is refused for good."""
        status, printed = self.attempt("alice", b"wrong-word")
        self.assertEqual((status, printed["result"]), (1, "refused"))
        self.assertEqual(printed["kind"], "credentials-rejected")

    def test_no_route(self) -> None:
        """Nobody is dialled for an account that is not there."""
        status, printed = self.attempt("nobody", SECRET, as_json=False)
        self.assertEqual(status, 1)
        self.assertIn("the login was refused: account-unknown: ", printed)
        self.assertEqual(self.house.visits, [])

    def test_unreachable(self) -> None:
        """May work later."""
        self.reactor.listening.clear()
        done: list[Any] = []
        trial = Trial(
            self.configuration,
            Circumstances(None).origin(self.configuration),
            password_login(b"alice", SECRET),
            Story(self.reactor.seconds),
            Redaction(SECRET),
        )
        recorder, output = Recorder(trial.story, trial.redaction), Output(True)
        Deferred.fromCoroutine(trial.run(self.reactor, recorder, output)).addBoth(done.append)
        self.advance(60)
        self.assertEqual(trial.report(done[0], recorder, output), 75)

    def test_reason(self) -> None:
        """Not even a backend's words for its refusal bring the secret out."""
        words = b"no, not " + SECRET
        failure = Failure(FailureKind.BACKEND_BUSY, words.decode())
        self.house.verdict = Rejected(failure, (b"[UNAVAILABLE] " + words,))
        status, printed = self.attempt("alice", SECRET)
        self.assertEqual((status, printed["result"]), (75, "failed"))
        self.assertIn(WITHHELD, [line["text"] for line in printed["transcript"]])

    def test_any_reason(self) -> None:
        """A reason is checked here, whoever has worded it."""
        redaction, story = Redaction(SECRET), Story(self.reactor.seconds)
        origin = Circumstances(None).origin(self.configuration)
        login = password_login(b"alice", SECRET)
        trial = Trial(self.configuration, origin, login, story, redaction)
        failure = Failure(FailureKind.BACKEND_BUSY, f"it said {SECRET.decode()}")
        for as_json in (True, False):
            trial.report(failure, Recorder(story, redaction), Output(as_json))
        self.assertNotIn(SECRET.decode(), self.stdout.getvalue())
        self.assertEqual(self.stdout.getvalue().count(WITHHELD), 2)

    def test_supplied(self) -> None:
        """A password of the configuration goes out, and is in nothing that is shown."""
        options = (
            'password = "of the operator"\nallow_unchecked_passwords = true\n[destination.east.'
        )
        destination = DESTINATION.replace("[destination.east.", options, 1)
        self.configuration = self.read_sections(destination=destination, mapping=MAPPING)
        failure = Failure(FailureKind.BACKEND_BUSY, "no")
        self.house.verdict = Rejected(failure, (b"[UNAVAILABLE] not of the operator",))
        status, printed = self.attempt("alice", SECRET)
        self.assertEqual(status, 75)
        message = self.house.visits[0].logins[0].initial_response
        self.assertEqual(message, b"\0alice\0of the operator")
        self.assertNotIn("operator", json.dumps(printed))
