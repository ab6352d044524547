"""Where a login goes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.route import Backend, Route, TLSMode, Trust, ip_of


class TLSModeTests(SynchronousTestCase):
    """How a connection is encrypted."""

    def test_strength(self) -> None:
        """A row may strengthen a mode and never weaken it: the modes have an order."""
        self.assertLess(TLSMode.PLAIN.strength, TLSMode.STARTTLS.strength)
        self.assertLess(TLSMode.STARTTLS.strength, TLSMode.IMPLICIT.strength)

    def test_words(self) -> None:
        """The configuration's words are the values."""
        self.assertIs(TLSMode("starttls"), TLSMode.STARTTLS)
        self.assertEqual({mode.value for mode in TLSMode}, {"plain", "starttls", "implicit"})


class AddressTests(SynchronousTestCase):
    """Addresses as others understand them."""

    def test_forms(self) -> None:
        """Without an interface, without IPv6 around IPv4; None for what is no address."""
        for text, found in (
            ("203.0.113.9", "203.0.113.9"),
            ("2001:DB8:0::9", "2001:db8::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("fe80::1%eth0", "fe80::1"),
        ):
            self.assertEqual(str(ip_of(text)), found)
        for text in ("unix", "", "%eth0", "203.0.113.999", "mail.example.org"):
            self.assertIsNone(ip_of(text), text)


class DefaultTests(SynchronousTestCase):
    """What nobody asked for stays strict."""

    def test_trust(self) -> None:
        """Certificates are checked, by the platform's authorities and the configured name."""
        trust = Trust()
        self.assertFalse(trust.allow_invalid)
        self.assertIsNone(trust.pinned_sha256)
        self.assertIsNone(trust.server_name)

    def test_backend(self) -> None:
        """Credentials leave over TLS alone."""
        backend = Backend(("mail.example.org",), 143, TLSMode.STARTTLS)
        self.assertFalse(backend.allow_plaintext_auth)
        self.assertEqual(backend.trust, Trust())

    def test_route(self) -> None:
        """The client's own name is used, and the backend's own words are shown."""
        backend = Backend(("mail.example.org",), 993, TLSMode.IMPLICIT)
        route = Route("alice@example.org", "east", backend)
        self.assertIsNone(route.login_name)
        self.assertFalse(route.hide_auth_errors)
