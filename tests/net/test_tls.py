"""TLS with the real OpenSSL, in memory: whom we trust, and what we show."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure as Caught

from mailroute.client_dialogue import ClientDialogue
from mailroute.demo.certificate import write_certificate
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Login
from mailroute.imap.client import ImapClient
from mailroute.net.connector import Connector, Limits
from mailroute.net.tls import BackendContexts, explain_ssl_error
from mailroute.route import Backend, Origin, Route, TLSMode, Trust
from tests.integration.certificates import UNREADABLE_NAMES, Issued
from tests.support.backends import House
from tests.support.local_reactor import LocalCase
from tests.support.pairs import password
from tests.support.secured import AnyTLS, Certificates, SecureScript, server_tls

HOST, ADDRESS = "mail.example", "192.0.2.1"
ORIGIN = Origin("x", "imap", "203.0.113.9", 1, "192.0.2.10", 993)


def _make_dialogue(route: Route, login: Login, origin: Origin) -> ClientDialogue:
    return ImapClient(login, starttls=False, secure=True)


class BackendCase(LocalCase):
    """A house behind TLS at ``mail.example``."""

    def setUp(self) -> None:
        super().setUp()
        self.certificates = Certificates(self)
        self.house = House({"alice": b"secret"})
        self.reactor.names[HOST] = [ADDRESS]
        self.reactor.listening[(ADDRESS, 993)] = self.house.accept
        self.connector = Connector(
            self.reactor, self.reactor.dialer().dial, _make_dialogue, Limits(10.0, 0)
        )

    def reach(self, issued: Issued, trust: Trust, host: str = HOST) -> object:
        """Log in there: the milestone, or the Failure."""
        self.house.tls = server_tls(issued)
        backend = Backend((host,), 993, TLSMode.IMPLICIT, trust)
        route = Route("alice", "east", backend)
        asked: Deferred[Any] = Deferred.fromCoroutine(
            self.connector.connect(route, password("alice", b"secret"), ORIGIN)
        )
        outcome: list[Any] = []
        asked.addBoth(outcome.append)
        self.settle()
        self.assertEqual(len(outcome), 1)
        if isinstance(outcome[0], Caught):
            outcome[0].trap(Failure)
            return outcome[0].value
        peer, milestone = outcome[0]
        peer.abandon()
        self.assert_quiet()
        return getattr(milestone, "failure", milestone)

    def trusted(self, issued: Issued, trust: Trust, host: str = HOST) -> None:
        """The login arrives and is accepted."""
        self.assertIsInstance(self.reach(issued, trust, host), Accepted)

    def untrusted(self, issued: Issued, trust: Trust, why: str, host: str = HOST) -> None:
        """No login arrives, and the reason says why."""
        failure = self.reach(issued, trust, host)
        assert isinstance(failure, Failure), failure
        self.assertIs(failure.kind, FailureKind.BACKEND_UNTRUSTED)
        self.assertIn(why, failure.reason)
        self.assertEqual([visit.logins for visit in self.house.visits], [[]])


class NameTests(BackendCase):
    """The certificate has to stand for the configured name (RFC 9525)."""

    def trust(self, **changes: Any) -> Trust:
        return Trust(ca_file=self.certificates.ca_file, **changes)

    def test_right_name(self) -> None:
        """The host's own name, which is also asked for (SNI)."""
        self.trusted(self.certificates.issue("right", HOST), self.trust())
        self.assertEqual(self.house.last.requested_name, HOST)  # type: ignore[attr-defined]

    def test_wrong_name(self) -> None:
        """A good certificate for somebody else."""
        issued = self.certificates.issue("other", "other.example")
        self.untrusted(issued, self.trust(), "certificate is not for mail.example")

    def test_common_name(self) -> None:
        """The subject's common name stands for nothing."""
        issued = self.certificates.issue(HOST, "other.example")
        self.untrusted(issued, self.trust(), "certificate is not for mail.example")

    def test_no_name(self) -> None:
        """Nor where there is no server's name at all, as old libraries would have it."""
        issued = self.certificates.issue(HOST, "postmaster@mail.example")
        self.untrusted(issued, self.trust(), "certificate is not for mail.example")

    def test_unreadable_names(self) -> None:
        """A certificate whose names nobody can read stands for nobody."""
        issued = self.certificates.issue(HOST, UNREADABLE_NAMES)
        self.untrusted(issued, self.trust(), "cannot be read")

    def test_configured_name(self) -> None:
        """The name of the configuration counts, wherever we dial."""
        issued = self.certificates.issue("store", "store.example")
        self.trusted(issued, self.trust(server_name="store.example"), ADDRESS)
        self.assertEqual(self.house.last.requested_name, "store.example")  # type: ignore[attr-defined]

    def test_address(self) -> None:
        """An address in the certificate; it is never sent as a name (RFC 6066 section 3)."""
        self.trusted(self.certificates.issue("address", ADDRESS), self.trust(), ADDRESS)
        self.assertIsNone(self.house.last.requested_name)  # type: ignore[attr-defined]

    def test_wrong_address(self) -> None:
        """Another address in the certificate."""
        issued = self.certificates.issue("address", "192.0.2.77")
        self.untrusted(issued, self.trust(), f"certificate is not for {ADDRESS}", ADDRESS)

    def test_wildcard(self) -> None:
        """A wildcard stands for one label."""
        self.reactor.names["imap.mail.example"] = [ADDRESS]
        issued = self.certificates.issue("wild", "*.mail.example")
        self.trusted(issued, self.trust(), "imap.mail.example")

    def test_international_name(self) -> None:
        """A name beyond ASCII travels as its A-label."""
        self.reactor.names["bücher.example"] = [ADDRESS]
        issued = self.certificates.issue("idn", "xn--bcher-kva.example")
        self.trusted(issued, self.trust(), "bücher.example")
        name = self.house.last.requested_name  # type: ignore[attr-defined]
        self.assertEqual(name, "xn--bcher-kva.example")

    def test_impossible_name(self) -> None:
        """A name that is none is a failure with a reason, not a defect."""
        issued = self.certificates.issue("right", HOST)
        for name in ("a..b", "x" * 64 + ".example"):
            failure = self.reach(issued, self.trust(server_name=name))
            assert isinstance(failure, Failure)
            self.assertIs(failure.kind, FailureKind.BACKEND_UNTRUSTED)
            self.assertEqual(failure.reason, f"{name!r} is no host name")


class ChainTests(BackendCase):
    """The certificate's chain has to end at an authority that the configuration trusts."""

    def self_signed(self) -> Issued:
        cert, key = (self.certificates.folder / name for name in ("self.pem", "self.key"))
        write_certificate(cert, key, datetime.datetime.now(datetime.UTC))
        loaded = x509.load_pem_x509_certificate(cert.read_bytes())
        return Issued(cert, key, loaded.fingerprint(SHA256()))

    def test_self_signed(self) -> None:
        """Nobody vouches for it; the reason names what is wrong."""
        trust = Trust("localhost", ca_file=self.certificates.ca_file)
        self.untrusted(self.self_signed(), trust, "it is self-signed")

    def test_unknown_authority(self) -> None:
        """The platform's authorities do not know ours."""
        issued = self.certificates.issue("right", HOST)
        self.untrusted(issued, Trust(), "that is not trusted")

    def test_expired(self) -> None:
        """It was good once."""
        issued = self.certificates.issue("old", HOST, valid_days=-1)
        trust = Trust(ca_file=self.certificates.ca_file)
        self.untrusted(issued, trust, "it has expired")

    def test_pinned(self) -> None:
        """The pinned certificate is right whatever its name, issuer and age."""
        issued = self.certificates.issue("old", "other.example", valid_days=-1)
        self.trusted(issued, Trust(pinned_sha256=issued.sha256))
        issued = self.self_signed()
        self.trusted(issued, Trust(pinned_sha256=issued.sha256))

    def test_pinned_to_another(self) -> None:
        """A pin replaces authority and name: they do not help a certificate that is not it."""
        issued = self.certificates.issue("right", HOST)
        trust = Trust(ca_file=self.certificates.ca_file, pinned_sha256=bytes(32))
        self.untrusted(issued, trust, "certificate is not the pinned one")

    def old_fashioned(self) -> Issued:
        """Of a version that cryptography does not read (RFC 5280 section 4.1.2.1 asks for 3)."""
        issued = self.certificates.issue("old-fashioned", HOST)
        octets = x509.load_pem_x509_certificate(issued.cert.read_bytes()).public_bytes(Encoding.DER)
        version_2 = octets.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)
        issued.cert.write_text(ssl.DER_cert_to_PEM_cert(version_2))
        return Issued(issued.cert, issued.key, hashlib.sha256(version_2).digest())

    def test_unreadable(self) -> None:
        """A certificate is what it is pinned to, or may be any at all, whoever can read it."""
        issued = self.old_fashioned()
        trust = Trust(ca_file=self.certificates.ca_file)
        self.untrusted(issued, trust, "TLS handshake failed")
        self.trusted(issued, Trust(pinned_sha256=issued.sha256))
        self.trusted(issued, Trust(allow_invalid=True))

    def test_allowed_invalid(self) -> None:
        """Everything is believed where the configuration says so."""
        issued = self.certificates.issue("old", "other.example", valid_days=-1)
        self.trusted(issued, Trust(allow_invalid=True))

    def test_files_that_cannot_be_used(self) -> None:
        """The reason names the file."""
        issued = self.certificates.issue("right", HOST)
        for trust, why in (
            (Trust(ca_file="/nowhere/ca.pem"), "/nowhere/ca.pem: holds no PEM certificates"),
            (Trust(client_certificate="/nowhere/c.pem"), "/nowhere/c.pem: cannot be read"),
        ):
            failure = self.reach(issued, trust)
            assert isinstance(failure, Failure)
            self.assertIn(why, failure.reason)

    def test_client_certificate(self) -> None:
        """Ours is shown to a backend that asks for it."""
        ours = self.certificates.issue("proxy.example")
        trust = Trust(
            allow_invalid=True, client_certificate=str(ours.cert), client_key=str(ours.key)
        )
        issued = self.certificates.issue("right", HOST)
        self.assertIsInstance(self.reach(issued, trust), Accepted)
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate_file(str(issued.cert))
        context.use_privatekey_file(str(issued.key))
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        server = SecureScript(AnyTLS(context))
        client = SecureScript(BackendContexts().side(trust, HOST))
        self.reactor.join(client, server)
        self.settle()
        self.assertEqual(server.certificate_names, "CN=proxy.example")

    def test_contexts_are_shared(self) -> None:
        """Names do not multiply contexts: a row may give any number of them."""
        contexts = BackendContexts()
        trust = Trust(ca_file=self.certificates.ca_file)
        for number in range(5):
            contexts.side(Trust(f"n{number}.example", trust.ca_file), HOST)
        self.assertEqual(len(contexts._contexts), 1)

    def test_renewed(self) -> None:
        """Files are read again; one that is broken keeps its old content, and is named."""
        issued = self.certificates.issue("right", HOST)
        good, bad = Path(self.certificates.ca_file), issued.cert
        trusts = Trust(ca_file=str(bad)), Trust(ca_file=str(good))
        contexts = BackendContexts()
        before = [contexts.side(trust, HOST)._context for trust in trusts]
        bad.write_text("half writ")
        (complaint,) = contexts.renew()
        self.assertIn(f"{bad}: holds no PEM certificates", complaint)
        after = [contexts.side(trust, HOST)._context for trust in trusts]
        self.assertIs(after[0], before[0])
        self.assertIsNot(after[1], before[1])


class ExplanationTests(LocalCase):
    """OpenSSL's errors in words."""

    def test_errors(self) -> None:
        """The reasons of the queue; other shapes of error are no defect."""
        for error, words in (
            (SSL.Error([("SSL routines", "", "no shared cipher")]), ": no shared cipher"),
            (SSL.Error([]), ""),
            (SSL.Error(), ""),
            (SSL.SysCallError(-1, "Unexpected EOF"), ""),
        ):
            self.assertEqual(explain_ssl_error(Caught(error)), "TLS handshake failed" + words)
