"""The kinds of failure."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import CannotListen, ConfigurationError, Failure, FailureKind, LookupFailed

PERMANENT = {
    "credentials-rejected",
    "account-unknown",
    "account-denied",
    "name-unusable",
    "backend-refused",
}


class FailureKindTests(SynchronousTestCase):
    """Temporary or for good."""

    def test_temporary(self) -> None:
        """Only name, password and policy are the user's; all else may pass by itself."""
        permanent = {kind.value for kind in FailureKind if not kind.temporary}
        self.assertEqual(permanent, PERMANENT)

    def test_attempts(self) -> None:
        """A failure of ours or of a backend never spends one of the client's attempts."""
        for kind in FailureKind:
            self.assertNotEqual(kind.counts_as_attempt, kind.temporary, kind)

    def test_words_for_the_log(self) -> None:
        """Each kind has its own stable word, fit for a filter to match."""
        words = [kind.value for kind in FailureKind]
        self.assertEqual(len(set(words)), len(FailureKind))
        for word in words:
            self.assertRegex(word, r"\A[a-z]+(-[a-z]+)*\Z")


class FailureTests(SynchronousTestCase):
    """A failure is a kind and a private reason."""

    def test_text(self) -> None:
        """The log gets both."""
        failure = Failure(FailureKind.BACKEND_BUSY, "backend said 421")
        self.assertEqual(str(failure), "backend-busy: backend said 421")
        self.assertEqual(failure.kind, FailureKind.BACKEND_BUSY)

    def test_lookup_failed(self) -> None:
        """A table that could not answer is temporary: it is no verdict on the account."""
        failure = LookupFailed("no connection to the database")
        self.assertIs(failure.kind, FailureKind.LOOKUP_FAILED)
        self.assertTrue(failure.kind.temporary)
        self.assertEqual(failure.reason, "no connection to the database")


class ConfigurationErrorTests(SynchronousTestCase):
    """All complaints at once."""

    def test_text(self) -> None:
        """One line a complaint."""
        error = ConfigurationError(["a.b: wrong.", "c.d: missing."])
        self.assertEqual(str(error), "a.b: wrong.\nc.d: missing.")
        self.assertEqual(error.complaints, ["a.b: wrong.", "c.d: missing."])


class CannotListenTests(SynchronousTestCase):
    """A place that cannot be had."""

    def test_words(self) -> None:
        """Listener, place and reason; it is an OSError with its number."""
        error = CannotListen("imap", "[::1]:143", OSError(13, "Permission denied"))
        self.assertEqual(str(error), "listener.imap: cannot listen at [::1]:143: Permission denied")
        self.assertEqual((error.errno, isinstance(error, OSError)), (13, True))
