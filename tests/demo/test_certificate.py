"""The demo's certificate."""

from __future__ import annotations

import datetime
import stat
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from twisted.trial.unittest import SynchronousTestCase

from mailroute.demo.certificate import DAYS, write_certificate

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class CertificateTests(SynchronousTestCase):
    """Names, dates, the key that belongs to it, and who may read that."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        write_certificate(self.cert, self.key, NOW)
        self.certificate = x509.load_pem_x509_certificate(self.cert.read_bytes())

    def test_names(self) -> None:
        """It is good for localhost and both loopback addresses."""
        names = self.certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["localhost"])
        self.assertEqual(
            names.get_values_for_type(x509.IPAddress), [ip_address("127.0.0.1"), ip_address("::1")]
        )

    def test_dates(self) -> None:
        """It is valid now and for some days."""
        until = self.certificate.not_valid_after_utc
        self.assertLess(self.certificate.not_valid_before_utc, NOW)
        self.assertEqual(until, NOW + datetime.timedelta(days=DAYS))

    def test_key(self) -> None:
        """The key belongs to the certificate and is readable by its owner alone."""
        private = load_pem_private_key(self.key.read_bytes(), None)
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.assertEqual(
            private.public_key().public_bytes(*form),
            self.certificate.public_key().public_bytes(*form),
        )
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)
