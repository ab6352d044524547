"""The console script's own options, its help and its exit statuses."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import click

import mailroute
from mailroute.cli import main, statuses
from mailroute.cli.invocation import Invocation, everywhere
from mailroute.cli.main import COMMANDS
from mailroute.errors import Failure, FailureKind, LookupFailed
from tests.cli.calling import CallingCase


class MainTests(CallingCase):
    """What holds for every command."""

    def command(self, act: object) -> None:
        """Let there be a command of the test's own."""

        @click.command()
        @everywhere
        @click.pass_obj
        def command(invocation: Invocation) -> None:
            act(invocation)  # type: ignore[operator]

        place = main.Place("mine", "Mine.")
        self.patch(main, "COMMANDS", {**COMMANDS, "mine": place})
        real = main.import_module
        mine = SimpleNamespace(command=command)
        self.patch(main, "import_module", lambda n: mine if n.endswith(".mine") else real(n))

    def test_version(self) -> None:
        """The package's."""
        self.assertEqual(self.call("--version"), 0)
        self.assertIn(mailroute.__version__, self.stdout)

    def test_help(self) -> None:
        """Every command is listed, and has a help of its own."""
        self.assertEqual(self.call("--help"), 0)
        for name, place in COMMANDS.items():
            self.assertRegex(self.stdout, rf"  {name} +{place.summary.split()[0]}")
        for name in COMMANDS:
            self.assertEqual(self.call(name, "--help"), 0)

    def test_commands(self) -> None:
        """Every command is where the list says."""
        for place in COMMANDS.values():
            found = import_module(f"mailroute.cli.{place.module}").command
            self.assertIsInstance(found, click.Command)

    def test_unknown_command(self) -> None:
        """Wrong usage has a status of its own."""
        self.assertEqual(self.call("nope"), statuses.USAGE)
        self.assertIn("nope", self.stderr)

    def test_complaints(self) -> None:
        """A wrong configuration: the words of the service, status 78."""
        self.command(lambda invocation: invocation.configuration())
        path = self.configure(server='[server]\nhostnam = "x"\n')
        for arguments in (["--config", path, "mine"], ["mine", "--config", path]):
            self.assertEqual(self.call(*arguments), 78)
            self.assertTrue(self.stderr.startswith(f"mailroute: {path}: 1 complaint:\n  "))
            self.assertEqual(self.stdout, "")

    def test_unreadable(self) -> None:
        """Whether the configuration can be read matters to the commands that need it, no others:
        the command line is not wrong."""
        self.patch(os, "access", lambda *_: False)
        seen: list[str] = []
        self.command(lambda invocation: seen.append(invocation.config))
        path = self.configure()
        for arguments in (["--config", path, "mine"], ["mine", "--config", path]):
            self.assertEqual(self.call(*arguments), 0, self.stderr)
        self.assertEqual(seen, [path, path])

    def test_default_configuration(self) -> None:
        """Without an option the environment names the file."""
        seen: list[str] = []
        self.command(lambda invocation: seen.append(invocation.config))
        self.patch(os, "environ", {**os.environ, "MAILROUTE_CONFIG": "/x/y.toml"})
        self.assertEqual(self.call("mine"), 0)
        self.assertEqual(seen, ["/x/y.toml"])

    def test_json(self) -> None:
        """The option may stand before the command's name and behind it."""
        self.command(lambda invocation: invocation.output.put({"a": 1}, "one"))
        for arguments in (["--json", "mine"], ["mine", "--json"]):
            self.call(*arguments)
            self.assertEqual(self.printed(), [{"a": 1}])
        self.call("mine")
        self.assertEqual(self.stdout, "one\n")

    def test_failures(self) -> None:
        """Temporary is 75, for good is 1; the reason is told."""
        for failure, status in (
            (LookupFailed("away"), 75),
            (Failure(FailureKind.ACCOUNT_DENIED, "no"), 1),
        ):

            def act(invocation: Invocation, failure: Failure = failure) -> None:
                raise failure

            self.command(act)
            self.assertEqual(self.call("mine"), status)
            self.assertIn(failure.reason, self.stderr)

    def test_defect(self) -> None:
        """A traceback has a status of its own: 1 would say that something is absent."""
        self.command(lambda invocation: 1 // 0)
        self.assertEqual(self.call("mine"), statuses.DEFECT)
        self.assertIn("ZeroDivisionError", self.stderr)

    def test_disk_full(self) -> None:
        """An error of the system is no absence either."""

        def act(invocation: Invocation) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.command(act)
        self.assertEqual(self.call("mine"), statuses.DEFECT)
        self.assertIn("No space left", self.stderr)

    def test_interrupted(self) -> None:
        """Ctrl-C, also at a prompt, has the shell's status and says nothing."""
        for error in (KeyboardInterrupt(), click.Abort()):

            def act(invocation: Invocation, error: BaseException = error) -> None:
                raise error

            self.command(act)
            self.assertEqual(self.call("mine"), 130)
            self.assertEqual(self.stderr, "")


class ImportTests(CallingCase):
    """Completion and help are asked for at every keystroke: they import little."""

    def test_light(self) -> None:
        """Help, and completion of a command's options, without Twisted and without rich."""
        code = (
            "import sys\nfrom mailroute.cli.main import main\n"
            "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
            "heavy = {'twisted', 'rich', 'psycopg2', 'OpenSSL', 'cryptography'}\n"
            "print('heavy:', *sorted(heavy & set(sys.modules)))\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.path.dirname(mailroute.__path__[0])}
        for arguments in (["--help"], *([name, "--help"] for name in COMMANDS)):
            done = subprocess.run(
                [sys.executable, "-c", code, *arguments],
                capture_output=True,
                text=True,
                timeout=60,
                env=environment,
                check=True,
            )
            self.assertEqual(done.stdout.splitlines()[-1].strip(), "heavy:", arguments)
