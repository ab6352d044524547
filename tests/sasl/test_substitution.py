"""Other credentials for the backend than those of the client."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Credentials, Identity, Supplied
from mailroute.errors import Failure, FailureKind
from mailroute.events import Login
from mailroute.sasl import plain
from mailroute.sasl.substitution import substituted
from tests.support.pairs import oauthbearer, password

ALICE = password("alice", b"her own")
HOLDER = Login(Identity("alice"), "EXTERNAL", b"")
SCRAM = Login(Identity("alice"), "SCRAM-SHA-256", b"n,,n=alice,r=x")
MASTER = Supplied("masters", "proxy")


class SubstitutionTests(SynchronousTestCase):
    """What the backend is told."""

    def says(self, login: Login, name: str | None, supplied: Supplied | None = None) -> Credentials:
        """The credentials that are said instead."""
        made = substituted(login, name, supplied)
        self.assertEqual(made.mechanism, "PLAIN")
        credentials = plain.decode(made.initial_response or b"")
        self.assertEqual(credentials.identity, made.identity)
        return credentials

    def refused(self, login: Login, name: str | None, supplied: Supplied | None = None) -> str:
        """The reason why nothing is said; it blames nobody's password."""
        failure = self.assertRaises(Failure, substituted, login, name, supplied)
        self.assertIs(failure.kind, FailureKind.BACKEND_INCAPABLE)
        return failure.reason

    def test_nothing(self) -> None:
        """Without anything to replace the login stays the very same."""
        for login in (ALICE, SCRAM, oauthbearer("alice")):
            self.assertIs(substituted(login, None, None), login)

    def test_name(self) -> None:
        """Another name, and the client's own password; a master acts for the other name."""
        self.assertEqual(self.says(ALICE, "a.s"), Credentials(Identity("a.s"), b"her own"))
        master = password("admin", b"x", "alice")
        self.assertEqual(self.says(master, "a.s"), Credentials(Identity("admin", "a.s"), b"x"))

    def test_name_inside_a_proof(self) -> None:
        """A name that is part of a proof or a token stays, or the login is refused."""
        for login in (SCRAM, oauthbearer("alice")):
            self.assertIs(substituted(login, "alice", None), login)
            self.assertIn(login.mechanism, self.refused(login, "a.s"))

    def test_certificate(self) -> None:
        """Who was proved by a certificate is logged in by our password, in whichever form."""
        for supplied, name, identity in (
            (MASTER, None, Identity("proxy", "alice")),
            (MASTER, "a.s", Identity("proxy", "a.s")),
            (Supplied("masters"), None, Identity("alice")),
            (Supplied("masters"), "everybody", Identity("everybody")),
        ):
            self.assertEqual(self.says(HOLDER, name, supplied), Credentials(identity, b"masters"))

    def test_certificate_without_a_password(self) -> None:
        """A certificate proves nothing to a backend that did not see it."""
        self.assertIn("no password is configured", self.refused(HOLDER, None))

    def test_unchecked_passwords(self) -> None:
        """Nobody would check the client's password: ours stays at home unless that is allowed."""
        self.assertIs(substituted(ALICE, None, MASTER), ALICE)
        self.assertEqual(self.says(ALICE, "a.s", MASTER).secret, b"her own")
        allowed = Supplied("masters", "proxy", replaces_unchecked=True)
        self.assertEqual(
            self.says(ALICE, None, allowed), Credentials(Identity("proxy", "alice"), b"masters")
        )
        self.assertEqual(self.says(oauthbearer("alice"), None, allowed).secret, b"masters")
        self.assertIn("is a proof", self.refused(SCRAM, None, allowed))

    def test_repr(self) -> None:
        """The password is in no repr."""
        self.assertNotIn("masters", repr(MASTER))
        self.assertNotIn("masters", repr(substituted(HOLDER, None, MASTER)))
