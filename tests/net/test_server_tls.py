"""TLS towards clients with the real OpenSSL, in memory: what we show, and whom we recognize."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL

from mailroute.errors import Failure
from mailroute.net.server_tls import Certificate, ServerTLS, ServerTLSSettings
from tests.integration.certificates import Issued
from tests.support.local_reactor import LocalCase
from tests.support.secured import (
    AnyTLS,
    Certificates,
    SecureScript,
    shake_hands,
    trusting_client,
)


class ServerTests(LocalCase):
    """What we show to clients."""

    def setUp(self) -> None:
        super().setUp()
        self.certificates = Certificates(self)

    def settings(self, *labels: str, **changes: Any) -> ServerTLSSettings:
        """One certificate a label; the last one is the default."""
        certificates = []
        for label in labels:
            issued = self.certificates.issue(label.replace("*", "any"), label)
            is_default = label == labels[-1]
            certificates.append(
                Certificate(str(issued.cert), str(issued.key), (label,), is_default)
            )
        return ServerTLSSettings(tuple(certificates), **changes)

    def shown(self, tls: ServerTLS, client: AnyTLS) -> str:
        """The subject that a client gets to see; empty where the handshake fails."""
        script = SecureScript(client)
        self.reactor.join(script, SecureScript(tls))
        self.settle()
        return script.certificate_names.removeprefix("CN=") if script.handshakes else ""

    def test_chosen_by_name(self) -> None:
        """The name in the hello chooses, in any case of letters; a wildcard after an exact one."""
        tls = ServerTLS(self.settings("a.example", "*.example", "default.test"))
        for name, subject in (
            ("a.example", "a.example"),
            ("A.Example", "a.example"),
            ("b.example", "any.example"),
            ("b.c.example", "default.test"),
            ("nobody.test", "default.test"),
            ("", "default.test"),
        ):
            self.assertEqual(self.shown(tls, trusting_client(name)), subject, name)

    def test_own_names(self) -> None:
        """Without subjects a certificate is for the names in it; configured ones go first."""
        folder = self.certificates
        first = folder.issue("first", "a.example", "*.b.example")
        second = folder.issue("second", "c.example", "a.example")
        third = folder.issue("third", "third.test")
        tls = ServerTLS(
            ServerTLSSettings(
                (
                    Certificate(str(first.cert), str(first.key)),
                    Certificate(str(second.cert), str(second.key)),
                    Certificate(str(third.cert), str(third.key), ("c.example",), True),
                )
            )
        )
        for name, subject in (
            ("a.example", "first"),
            ("x.b.example", "first"),
            ("c.example", "third"),
            ("third.test", "third"),
            ("nobody.test", "third"),
        ):
            self.assertEqual(self.shown(tls, trusting_client(name)), subject, name)

    def selected(self, *offered: bytes, protocol: str = "imap") -> bytes:
        """What ALPN selects at a listener for this protocol."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_alpn_protos(list(offered))
        client = SSL.Connection(context, None)
        client.set_connect_state()
        shake_hands(client, ServerTLS(self.settings("x")).side(protocol).connection(None))
        self.assertTrue(client.get_finished())
        return client.get_alpn_proto_negotiated()

    def test_alpn(self) -> None:
        """RFC 7301: the listener's own protocol is answered; none of ours is not demanded."""
        self.assertEqual(self.selected(b"h2", b"imap"), b"imap")
        self.assertEqual(self.selected(b"h2", b"pop3"), b"")
        client = trusting_client()
        self.assertEqual(self.shown(ServerTLS(self.settings("x")), client), "x")
        registered = (b"imap", b"pop3", b"managesieve")
        for name in registered:
            self.assertEqual(self.selected(*registered, protocol=name.decode()), name)

    def recognized(self, issued: Issued | None, ca_file: str | None) -> object:
        """The names by which our side knows a client that shows this; None: it was refused."""
        client = trusting_client()
        if issued is not None:
            client._context.use_certificate_chain_file(str(issued.cert))
            client._context.use_privatekey_file(str(issued.key))
        side = ServerTLS(self.settings("x")).side("imap", ca_file)
        script, ours = SecureScript(client), SecureScript(side)
        self.reactor.join(script, ours)
        self.settle()
        return side.verify(ours.transport.getHandle()) if ours.handshakes else None

    def test_client_certificates(self) -> None:
        """A certificate of the listener's authorities says who it is; none is demanded."""
        alice = self.certificates.issue("alice", "laptop.example")
        ca_file = self.certificates.ca_file
        self.assertEqual(self.recognized(alice, ca_file), ("alice",))
        self.assertEqual(self.recognized(None, ca_file), ())
        self.assertEqual(self.recognized(alice, None), ())

    def test_untrusted_client_certificates(self) -> None:
        """One of somebody else's authorities, or an expired one, ends the handshake."""
        ca_file = self.certificates.ca_file
        stranger = Certificates(self).issue("alice", "laptop.example")
        expired = self.certificates.issue("old", "laptop.example", valid_days=-1)
        for issued in (stranger, expired):
            self.assertIsNone(self.recognized(issued, ca_file))

    def test_unusable_authorities(self) -> None:
        """The file at fault is named."""
        tls = ServerTLS(self.settings("x"))
        with self.assertRaises(Failure) as caught:
            tls.side("imap", "/nowhere")
        self.assertIn("/nowhere: holds no PEM certificates", caught.exception.reason)

    def test_least_version(self) -> None:
        """Nothing older than the configured version."""
        old = trusting_client()
        old._context.set_max_proto_version(SSL.TLS1_2_VERSION)
        self.assertEqual(self.shown(ServerTLS(self.settings("x")), old), "x")
        strict = ServerTLS(self.settings("x", min_version="1.3"))
        self.assertEqual(self.shown(strict, old), "")
        self.assertEqual(self.shown(strict, trusting_client()), "x")

    def test_versions_of_the_past(self) -> None:
        """TLS 1.1 is refused whatever the configuration says."""
        old = trusting_client()
        old._context.set_min_proto_version(SSL.TLS1_1_VERSION)
        old._context.set_max_proto_version(SSL.TLS1_1_VERSION)
        old._context.set_cipher_list(b"ALL:@SECLEVEL=0")
        self.assertEqual(self.shown(ServerTLS(self.settings("x")), old), "")

    def test_disabled_ciphers(self) -> None:
        """A cipher suite that is switched off is not used."""
        only = trusting_client()
        only._context.set_max_proto_version(SSL.TLS1_2_VERSION)
        only._context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256")
        tls = ServerTLS(self.settings("x", disabled_ciphers=("ECDHE-ECDSA-AES128-GCM-SHA256",)))
        self.assertEqual(self.shown(tls, only), "")
        self.assertEqual(self.shown(ServerTLS(self.settings("x")), only), "x")

    def test_reload(self) -> None:
        """New files are shown after a reload; broken ones leave the old certificate in place."""
        settings = self.settings("old.example")
        tls = ServerTLS(settings)
        cert, key = (Path(settings.certificates[0].chain_file), settings.certificates[0].key_file)
        fresh = self.certificates.issue("new.example")
        cert.write_bytes(fresh.cert.read_bytes())
        with self.assertRaises(Failure) as caught:
            tls.reload()
        self.assertIn(f"{key}: holds no PEM key, or not the one of", caught.exception.reason)
        self.assertEqual(self.shown(tls, trusting_client()), "old.example")
        Path(key).write_bytes(fresh.key.read_bytes())
        tls.reload()
        self.assertEqual(self.shown(tls, trusting_client()), "new.example")

    def test_passphrase(self) -> None:
        """A key with a passphrase is refused in words; nobody is asked for it, for a daemon has
        nobody to ask."""
        answers: list[bytes] = []
        real = SSL.Context.set_passwd_cb

        def noted(context: SSL.Context, callback: Callable[..., bytes]) -> None:
            def answer(*question: Any) -> bytes:
                answers.append(callback(*question))
                return answers[-1]

            real(context, answer)

        self.patch(SSL.Context, "set_passwd_cb", noted)
        settings = self.settings("a.example")
        key = Path(settings.certificates[0].key_file)
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        lock = serialization.BestAvailableEncryption(b"open sesame")
        form = serialization.PrivateFormat.PKCS8
        key.write_bytes(private.private_bytes(serialization.Encoding.PEM, form, lock))
        with self.assertRaises(Failure) as caught:
            ServerTLS(settings)
        self.assertIn("or one with a passphrase", caught.exception.reason)
        self.assertEqual(answers, [b""])

    def test_files(self) -> None:
        """Whoever watches for changes is told every file, those of a listener's clients too."""
        one, other = (self.certificates.issue(name) for name in ("one.example", "other.example"))
        certificates = tuple(Certificate(str(each.cert), str(each.key)) for each in (one, other))
        tls = ServerTLS(ServerTLSSettings(certificates))
        tls.side("imap", str(one.cert))
        expected = [one.cert, one.key, other.cert, other.key, one.cert]
        self.assertEqual(tls.files, tuple(map(str, expected)))

    def test_unusable_files(self) -> None:
        """The file at fault is named."""
        empty = self.certificates.folder / "empty.pem"
        empty.write_bytes(b"")
        for chain, why in ((empty, "holds no PEM certificate"), ("/nowhere", "cannot be read")):
            settings = ServerTLSSettings((Certificate(str(chain), str(empty)),))
            with self.assertRaises(Failure) as caught:
                ServerTLS(settings)
            self.assertEqual(caught.exception.reason, f"{chain}: {why}")
