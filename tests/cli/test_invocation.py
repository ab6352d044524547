"""What a command is given."""

from __future__ import annotations

from mailroute.cli.invocation import Invocation
from mailroute.cli.output import Output
from mailroute.errors import ConfigurationError
from tests.cli.calling import CallingCase


class InvocationTests(CallingCase):
    """The configuration, and a reactor."""

    def test_configuration(self) -> None:
        """Read from the file."""
        path = self.configure()
        self.assertEqual(Invocation(path, Output(False)).configuration().path, path)
        with self.assertRaises(ConfigurationError):
            Invocation(path + ".not", Output(False)).configuration()

    def test_run(self) -> None:
        """The work is given a reactor, and its result comes back."""

        async def work(reactor: object) -> object:
            return reactor

        self.assertIs(Invocation("x", Output(False)).run(work), self.reactor)
