"""The names in certificates."""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path
from shutil import rmtree

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID
from twisted.trial.unittest import SynchronousTestCase

from mailroute.net.certificates import client_names, server_names
from tests.integration.certificates import UNREADABLE_NAMES

_DAY = datetime.timedelta(days=1)


def extension(others: tuple[x509.GeneralName | bytes, ...]) -> x509.ExtensionType:
    """The alternative names, or the octets that stand for them."""
    if isinstance(others[0], bytes):
        return x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, others[0])
    return x509.SubjectAlternativeName(others)


def certificate(common_name: str, *others: x509.GeneralName | bytes) -> x509.Certificate:
    """A certificate with these names, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.Name(names))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )
    if others:
        builder = builder.add_extension(extension(others), critical=False)
    return builder.sign(key, hashes.SHA256())


class ClientTests(SynchronousTestCase):
    """Who a client is."""

    def test_mail_addresses(self) -> None:
        """All mail addresses, in their order; host names and the common name are no accounts."""
        names = (
            x509.DNSName("laptop.example.org"),
            x509.RFC822Name("alice@example.org"),
            x509.RFC822Name("a.smith@example.org"),
        )
        found = client_names(certificate("Alice Smith", *names))
        self.assertEqual(found, ("alice@example.org", "a.smith@example.org"))

    def test_common_name(self) -> None:
        """Without an address the common name."""
        self.assertEqual(client_names(certificate("alice")), ("alice",))
        self.assertEqual(client_names(certificate("alice", x509.DNSName("x"))), ("alice",))

    def test_nobody(self) -> None:
        """A certificate without either names nobody."""
        self.assertEqual(client_names(certificate("")), ())
        self.assertEqual(client_names(certificate("", x509.DNSName("x.example"))), ())

    def test_unreadable(self) -> None:
        """A certificate that cannot be read names nobody, its common name neither."""
        self.assertEqual(client_names(certificate("alice", UNREADABLE_NAMES)), ())


class ServerTests(SynchronousTestCase):
    """What a certificate of ours is for."""

    def names(self, *certificates: x509.Certificate) -> tuple[str, ...]:
        """The names that a file with these certificates is for."""
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, folder)
        pem = [each.public_bytes(serialization.Encoding.PEM) for each in certificates]
        (folder / "chain.pem").write_bytes(b"".join(pem))
        return server_names(str(folder / "chain.pem"))

    def test_names(self) -> None:
        """The host names of the first certificate: behind it stand the authorities."""
        ours = certificate("x", x509.DNSName("a.example"), x509.DNSName("*.b.example"))
        issuer = certificate("authority", x509.DNSName("ca.example"))
        self.assertEqual(self.names(ours, issuer), ("a.example", "*.b.example"))

    def test_common_name(self) -> None:
        """Old certificates have nothing else."""
        self.assertEqual(self.names(certificate("a.example")), ("a.example",))

    def test_unreadable(self) -> None:
        """Names that cannot be read are an error that is expected."""
        self.assertRaises(ValueError, self.names, certificate("a.example", UNREADABLE_NAMES))

    def test_no_certificate(self) -> None:
        """A file without one is an error."""
        self.assertRaises(ValueError, self.names)
        self.assertRaises(OSError, server_names, "/nowhere")
