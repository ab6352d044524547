"""The mechanisms by name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.sasl.registry import MECHANISMS, ON_REQUEST, mechanisms


class RegistryTests(SynchronousTestCase):
    """What can be configured."""

    def test_mechanisms(self) -> None:
        """In the order in which they are advertised; none of them may cross clear text."""
        names = [mechanism.name for mechanism in MECHANISMS]
        self.assertEqual(names, ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"])
        self.assertTrue(all(mechanism.reveals_secret for mechanism in MECHANISMS))

    def test_every_mechanism_asks(self) -> None:
        """RFC 4422 section 3: a name is 1 to 20 of A-Z, 0-9, "-" and "_"; one prompt at least."""
        for mechanism in (*MECHANISMS, *ON_REQUEST):
            self.assertRegex(mechanism.name, r"\A[A-Z0-9_-]{1,20}\Z")
            self.assertTrue(mechanism.prompts)

    def test_by_name(self) -> None:
        """In the configuration's order; no -PLUS, which nobody in between can bind (RFC 5929)."""
        found = mechanisms(["SCRAM-SHA-256", "PLAIN", "SCRAM-SHA-1"])
        names = [mechanism.name for mechanism in found]
        self.assertEqual(names, ["SCRAM-SHA-256", "PLAIN", "SCRAM-SHA-1"])
        self.assertRaises(KeyError, mechanisms, ["SCRAM-SHA-256-PLUS"])
