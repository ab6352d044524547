"""Where the configuration is, and how it is complained of."""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from mailroute.configured import DEFAULT_CONFIG, complain, default_config
from mailroute.errors import ConfigurationError


class ConfiguredTests(SynchronousTestCase):
    """The same for the service and for the console script."""

    def test_default(self) -> None:
        """The variable of the environment goes before the usual place."""
        self.assertEqual(default_config({}), DEFAULT_CONFIG)
        self.assertEqual(default_config({"MAILROUTE_CONFIG": "/x.toml"}), "/x.toml")

    def test_complaints(self) -> None:
        """File and number first, then a line each; one is no plural."""
        stream = io.StringIO()
        complain("/x.toml", ConfigurationError(["a: wrong", "b: wrong"]), stream)
        complain("/y.toml", ConfigurationError(["c: wrong"]), stream)
        self.assertEqual(
            stream.getvalue(),
            "mailroute: /x.toml: 2 complaints:\n  a: wrong\n  b: wrong\n"
            "mailroute: /y.toml: 1 complaint:\n  c: wrong\n",
        )
