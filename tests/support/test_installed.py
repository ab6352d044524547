"""The wording of a skip for a missing server is what ``.ci/run`` looks for."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.support.installed import require

CI_RUN = Path(__file__).parents[2] / ".ci" / "run"


class RequireTests(SynchronousTestCase):
    """Present programs pass, missing ones name their packages."""

    def test_present(self) -> None:
        """A name on the search path and an absolute path are found."""
        require("shell", ("sh", "/bin/sh"), "dash")

    def test_missing(self) -> None:
        """One missing program is enough, and ``.ci/run`` recognises the reason."""
        with self.assertRaises(SkipTest) as raised:
            require("nothing", ("sh", "/no/such/server"), "no-such-package")
        reason = str(raised.exception)
        self.assertEqual(reason, "missing nothing: apt-get install no-such-package")
        patterns = re.findall(r"grep -E '(\^missing[^']+)'", CI_RUN.read_text())
        self.assertEqual(len(patterns), 2)
        for pattern in patterns:
            self.assertRegex(reason, pattern)
