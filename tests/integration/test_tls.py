"""TLS on both legs: what openssl sees of us, and whom we believe to be the backend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from tests.integration import clients, servers
from tests.integration.certificates import Issued
from tests.integration.clients import Wire
from tests.integration.dovecot import Dovecot, Options
from tests.integration.matrix import ALICE, ALICE_SECRET, ProxyTestCase, started
from tests.integration.proxy import Destination, Proxy, Settings, table
from tests.integration.scripted import ScriptedBackend, accept_login
from tests.support.secured import Certificates

STARTTLS = {"imap": "imap", "pop3": "pop3", "submission": "smtp"}
LEAVE = {"imap": "a LOGOUT\n", "pop3": "QUIT\n", "submission": "QUIT\n"}


@cache
def front() -> Proxy:
    """A mailroute in one process: whose tickets are its own."""
    east = servers.dovecot("east")
    trust = {"tls_ca_file": str(servers.authority().ca_file)}
    place = Destination("east", {"imap": (east.imaps, "implicit")}, options=trust)
    issued = servers.authority().issue("other", ("other.example.org", "*.more.example.org"))
    other = {"cert": str(issued.cert), "key": str(issued.key)}
    return started(
        Settings(
            (place,),
            {ALICE: "east"},
            server={"workers": 1},
            extra=table("tls.certificate.other", other),
        )
    )


class ClientTests(ProxyTestCase):
    """The client's leg, as openssl s_client sees it."""

    def s_client(self, protocol: str, mode: str, *options: str) -> str:
        """What openssl says of a visit; it trusts the tests' authority alone."""
        port = self.watch(front()).ports[protocol, mode]
        arguments = [
            *("s_client", "-connect", f"localhost:{port}", "-crlf", "-ign_eof"),
            *("-CAfile", str(servers.authority().ca_file), "-verify_return_error"),
            *options,
        ]
        if mode == "starttls":
            arguments += ["-starttls", STARTTLS[protocol]]
        done = clients.run("openssl", "openssl", arguments, LEAVE[protocol])
        self.assertIn("Verify return code: 0 (ok)", done.output, done)
        return done.output

    def test_resumption(self) -> None:
        """A ticket resumes the session, in both versions and both modes (RFC 5077, RFC 8446)."""
        folder = Certificates(self).folder
        for protocol, mode in (
            ("imap", "implicit"),
            ("pop3", "starttls"),
            ("submission", "starttls"),
        ):
            for version in ("-tls1_2", "-tls1_3"):
                ticket = str(folder / f"{protocol}{version}")
                first = self.s_client(protocol, mode, version, "-sess_out", ticket)
                self.assertRegex(first, r"(?m)^New, TLS")
                again = self.s_client(protocol, mode, version, "-sess_in", ticket)
                self.assertRegex(again, r"(?m)^Reused, TLS", (protocol, version))

    def test_alpn(self) -> None:
        """The registered name is answered, a strange one and none are no reason to hang up."""
        for protocol in ("imap", "pop3"):
            said = self.s_client(protocol, "implicit", "-alpn", f"h2,{protocol}")
            self.assertIn(f"ALPN protocol: {protocol}", said)
            for options in (("-alpn", "h2,http/1.1"), ()):
                self.assertIn("No ALPN negotiated", self.s_client(protocol, "implicit", *options))

    def test_names(self) -> None:
        """A certificate without subjects is for its own names; others see the default one."""
        for name, subject in (
            ("other.example.org", "other"),
            ("a.more.example.org", "other"),
            ("localhost", "front"),
            ("nobody.example.org", "front"),
        ):
            said = self.s_client("imap", "implicit", "-servername", name)
            self.assertRegex(said, rf"subject=CN ?= ?{subject}\b", name)


class BackendTests(ProxyTestCase):
    """The backend's leg: a certificate that is not right is a trouble, and told by its name."""

    def setUp(self) -> None:
        self.certificates = Certificates(self)

    def front_of(self, issued: Issued, options: Mapping[str, object]) -> Proxy:
        """A mailroute before an IMAP server that shows this."""
        backend = ScriptedBackend(accept_login, issued)
        self.addCleanup(backend.close)
        place = Destination("shown", {"imap": (backend.port, "implicit")}, options=options)
        proxy = Proxy(Settings((place,), {ALICE: "shown"}))
        self.addCleanup(proxy.remove)
        proxy.start()
        return self.watch(proxy)

    def refused(self, issued: Issued, options: Mapping[str, object], why: str) -> None:
        """The login fails for now, and the log says why; the password did not leave."""
        proxy = self.front_of(issued, options)
        with Wire("imap", proxy.ports["imap", "implicit"], "implicit") as wire:
            answer = wire.log_in(ALICE, ALICE_SECRET)
        self.assertEqual(answer.code, "UNAVAILABLE", answer)
        (failure,) = proxy.events("login-failed")
        self.assertEqual(failure["reason"], "backend-untrusted")
        self.assertIn(why, failure["detail"])

    def accepted(self, issued: Issued, options: Mapping[str, object]) -> None:
        """The login succeeds."""
        proxy = self.front_of(issued, options)
        with Wire("imap", proxy.ports["imap", "implicit"], "implicit") as wire:
            answer = wire.log_in(ALICE, ALICE_SECRET)
        self.assertTrue(answer.is_accepted, answer)

    def test_expired(self) -> None:
        """An expired certificate."""
        issued = self.certificates.issue("old", "localhost", valid_days=-1)
        self.refused(issued, {"tls_ca_file": self.certificates.ca_file}, "it has expired")

    def test_wrong_name(self) -> None:
        """A certificate for another name; the configured name is the one that counts."""
        issued = self.certificates.issue("other", "other.example.org")
        trust = {"tls_ca_file": self.certificates.ca_file}
        self.refused(issued, trust, "certificate is not for localhost")
        self.accepted(issued, {**trust, "tls_server_name": "other.example.org"})

    def test_authority_of_the_destination(self) -> None:
        """Each destination trusts its own authorities alone."""
        issued = self.certificates.issue("right", "localhost")
        self.accepted(issued, {"tls_ca_file": self.certificates.ca_file})
        others = {"tls_ca_file": str(servers.authority().ca_file)}
        self.refused(issued, others, "is not trusted")

    def test_pinned(self) -> None:
        """A pin replaces name, date and authority, and nothing replaces the pin."""
        issued = self.certificates.issue("old", "other.example.org", valid_days=-1)
        self.accepted(issued, {"tls_pinned_cert_sha256": issued.sha256.hex()})
        trust = {"tls_pinned_cert_sha256": "ab" * 32, "tls_ca_file": self.certificates.ca_file}
        good = self.certificates.issue("good", "localhost")
        self.refused(good, trust, "certificate is not the pinned one")


class OwnCertificateTests(ProxyTestCase):
    """A real backend that asks for a certificate of ours."""

    def test_client_certificate(self) -> None:
        """Dovecot takes logins over connections with a certificate of its authority alone."""
        certificates = Certificates(self)
        ours = certificates.issue("proxy")
        settings = ("ssl_verify_client_cert = yes", "auth_ssl_require_client_cert = yes",
                    f"ssl_ca = <{certificates.ca_file}", "ssl_require_crl = no", "")  # fmt: skip
        options = Options(extra="\n".join(settings))
        server = Dovecot("certified", {ALICE: ALICE_SECRET}, servers.authority(), options)
        self.addCleanup(server.remove)
        server.start()
        trust = {"tls_ca_file": str(servers.authority().ca_file)}
        proof = {"tls_client_cert": str(ours.cert), "tls_client_key": str(ours.key)}
        ports = {"imap": (server.imaps, "implicit"), "pop3": (server.pop3, "starttls")}
        destinations = (
            Destination("with", ports, options={**trust, **proof}),
            Destination("without", ports, options=trust),
        )
        for name, is_accepted in (("with", True), ("without", False)):
            proxy = Proxy(Settings(destinations, {ALICE: name}))
            self.addCleanup(proxy.remove)
            proxy.start()
            for protocol in ports:
                with Wire(protocol, proxy.ports[protocol, "implicit"], "implicit") as wire:
                    answer = wire.log_in(ALICE, ALICE_SECRET)
                self.assertEqual(answer.is_accepted, is_accepted, (name, protocol, answer))
