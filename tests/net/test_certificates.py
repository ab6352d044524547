"""Names and times in certificates."""

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

from mailroute.net.certificates import client_names, server_names, untimely
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


def names_of(shown: x509.Certificate) -> tuple[str, ...]:
    """Who shows this now."""
    return client_names(shown, datetime.datetime.now(datetime.UTC))


class ClientTests(SynchronousTestCase):
    """Who a client is."""

    def test_mail_addresses(self) -> None:
        """All mail addresses, in their order; host names and the common name are no accounts."""
        names = (
            x509.DNSName("laptop.example.org"),
            x509.RFC822Name("alice@example.org"),
            x509.RFC822Name("a.smith@example.org"),
        )
        found = names_of(certificate("Alice Smith", *names))
        self.assertEqual(found, ("alice@example.org", "a.smith@example.org"))

    def test_common_name(self) -> None:
        """Without an address the common name."""
        self.assertEqual(names_of(certificate("alice")), ("alice",))
        self.assertEqual(names_of(certificate("alice", x509.DNSName("x"))), ("alice",))

    def test_nobody(self) -> None:
        """A certificate without either names nobody."""
        self.assertEqual(names_of(certificate("")), ())
        self.assertEqual(names_of(certificate("", x509.DNSName("x.example"))), ())

    def test_unreadable(self) -> None:
        """A certificate that cannot be read names nobody, its common name neither."""
        self.assertEqual(names_of(certificate("alice", UNREADABLE_NAMES)), ())

    def test_expired_meanwhile(self) -> None:
        """A resumed session brings the certificate of its first handshake: it has an end."""
        alice = certificate("alice")
        end = alice.not_valid_after_utc
        self.assertEqual(client_names(alice, end), ("alice",))
        self.assertEqual(client_names(alice, end + _DAY), ())


class ServerTests(SynchronousTestCase):
    """What a certificate of ours is for."""

    def file(self, *certificates: x509.Certificate) -> str:
        """The path of a file with these certificates."""
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, folder)
        pem = [each.public_bytes(serialization.Encoding.PEM) for each in certificates]
        (folder / "chain.pem").write_bytes(b"".join(pem))
        return str(folder / "chain.pem")

    def names(self, *certificates: x509.Certificate) -> tuple[str, ...]:
        """The names that a file with these certificates is for."""
        return server_names(self.file(*certificates))

    def test_time(self) -> None:
        """Each certificate of a chain that is not valid now is told, with the end of its time."""
        chain = [certificate("a.example"), certificate("authority")]
        path, end = self.file(*chain), chain[0].not_valid_after_utc
        self.assertEqual(untimely(path, end), [])
        self.assertEqual(untimely(path, chain[1].not_valid_before_utc), [])
        late, early = untimely(path, end + _DAY), untimely(path, end - 3 * _DAY)
        words = f"certificate 1 of 2 has expired: it was valid until {end:%Y-%m-%d %H:%M} UTC"
        self.assertEqual((len(late), late[0]), (2, words))
        self.assertEqual(len(early), 2)
        self.assertIn("certificate 2 of 2 is valid from ", early[1])
        self.assertRaises(ValueError, untimely, self.file(), end)

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
