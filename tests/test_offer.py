"""What is offered on a channel."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from mailroute.offer import Offer, Policy
from mailroute.sasl.oauthbearer import OAuthBearer
from mailroute.sasl.plain import Plain
from mailroute.sasl.registry import MECHANISMS
from tests.support.toy import Toy


class OfferTests(SynchronousTestCase):
    """One predicate for the greeting, the capability lists and the gates."""

    def test_secrets_want_tls(self) -> None:
        """A mechanism that reveals the secret is there over TLS, or where it is allowed."""
        for secure, cleartext in product((True, False), repeat=2):
            offer = Offer(Policy(MECHANISMS, starttls=True, cleartext_logins=cleartext), secure)
            expected = list(MECHANISMS) if secure or cleartext else []
            self.assertEqual(list(offer.mechanisms), expected)
            self.assertEqual(offer.passwords, bool(expected))
            for mechanism in MECHANISMS:
                found = offer.mechanism(mechanism.name)
                self.assertEqual(found, mechanism if expected else None)

    def test_harmless_mechanism(self) -> None:
        """A mechanism that reveals nothing needs no TLS, and opens no way for passwords."""
        offer = Offer(Policy((Plain(), Toy()), starttls=True), False)
        self.assertEqual([mechanism.name for mechanism in offer.mechanisms], ["X-TOY"])
        self.assertFalse(offer.passwords)
        self.assertTrue(offer.needs_tls)
        self.assertIsNone(offer.mechanism("PLAIN"))

    def test_starttls(self) -> None:
        """It is there once, where the listener has it (RFC 3501 6.2.1, RFC 2595 4)."""
        for has_it, secure in product((True, False), repeat=2):
            offer = Offer(Policy(MECHANISMS, starttls=has_it), secure)
            self.assertEqual(offer.starttls, has_it and not secure)

    def test_needs_tls(self) -> None:
        """Only where an upgrade would help is the client told to upgrade."""
        for has_it, secure, cleartext in product((True, False), repeat=3):
            offer = Offer(Policy(MECHANISMS, has_it, cleartext), secure)
            self.assertEqual(offer.needs_tls, has_it and not secure and not cleartext)

    def test_passwords(self) -> None:
        """LOGIN, USER and PASS carry what PLAIN carries: a token is no password."""
        self.assertTrue(Offer(Policy((Plain(),), False), True).passwords)
        self.assertFalse(Offer(Policy((OAuthBearer(),), False), True).passwords)
        self.assertFalse(Offer(Policy((), False), True).passwords)

    def test_holder(self) -> None:
        """EXTERNAL is for who has shown a certificate, where certificates may log in."""
        policy = Policy((Plain(),), starttls=True, external=True)
        offer = Offer(policy.for_holder(("alice", "a.s")), True)
        self.assertEqual([mechanism.name for mechanism in offer.mechanisms], ["EXTERNAL", "PLAIN"])
        self.assertEqual(offer.mechanisms[0].login([b"a.s"]).identity.account, "a.s")
        self.assertEqual([m.name for m in Offer(policy, True).mechanisms], ["PLAIN"])
        without = Policy((Plain(),), starttls=True)
        self.assertIs(without.for_holder(("alice",)), without)
        self.assertTrue(Offer(Policy((), starttls=True, external=True), False).needs_tls)

    def test_names(self) -> None:
        """A mechanism's name is read in any case of letters (RFC 4422 section 3.1)."""
        offer = Offer(Policy(MECHANISMS, False), True)
        for name in ("PLAIN", "plain", "pLaIn"):
            found = offer.mechanism(name)
            assert found is not None
            self.assertEqual(found.name, "PLAIN")
        for name in ("", "PLAI", "PLAIN ", "CRAM-MD5", "pla\u0131n", "PLA\u0130N"):
            self.assertIsNone(offer.mechanism(name))
