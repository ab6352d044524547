"""``[tls]``"""

from __future__ import annotations

import os

from mailroute.config.model import Certificate, TLSProtocols
from tests.config.reading import SECTIONS, ConfigurationCase, configuration

MAIN = SECTIONS["tls"]
OTHER = '[tls.certificate.other]\ncert = "chain.pem"\nkey = "key.pem"\n'


class TLSTests(ConfigurationCase):
    """The certificates that clients see."""

    def certificate(self, name: str, default: bool, *subjects: str) -> Certificate:
        chain, key = (os.path.join(self.folder, file) for file in ("chain.pem", "key.pem"))
        return Certificate(name, chain, key, subjects, default)

    def test_defaults(self) -> None:
        """The only certificate is the default; TLS begins at 1.2."""
        found = self.read_sections()
        self.assertEqual(found.certificates, (self.certificate("main", True),))
        self.assertEqual(found.tls_protocols, TLSProtocols("1.2", False, ()))

    def test_all(self) -> None:
        """Every key reaches its field."""
        found = self.read_sections(
            tls=MAIN + 'subjects = ["a.example", "*.b.example"]\n' + OTHER + "default = true\n"
            '[tls.protocols]\nmin_version = "1.3"\nignore_client_order = true\n'
            'disable_cipher_suites = ["TLS_AES_128_GCM_SHA256"]\n'
        )
        self.assertEqual(
            found.certificates,
            (
                self.certificate("main", False, "a.example", "*.b.example"),
                self.certificate("other", True),
            ),
        )
        self.assertEqual(
            found.tls_protocols, TLSProtocols("1.3", True, ("TLS_AES_128_GCM_SHA256",))
        )

    def test_one_default(self) -> None:
        """Among several exactly one is the default."""
        self.complains("tls.certificate", "default = true", tls=MAIN + OTHER)
        both = f"{MAIN}default = true\n{OTHER}default = true\n"
        self.complains("tls.certificate.other.default", "main is the default already", tls=both)

    def test_unreadable(self) -> None:
        """Both files are looked at before anything is served."""
        self.complains(
            "tls.certificate.main.cert", "No such file", tls=MAIN.replace("chain", "absent")
        )
        found = self.complaints(configuration(tls='[tls.certificate.main]\nkey = "."\n'))
        self.assertEqual(len(found), 2, found)
        self.assertIn("tls.certificate.main.cert: missing", found[0])
        self.assertIn("tls.certificate.main.key: ", found[1])
        self.assertIn("not a regular file", found[1])

    def test_bad_values(self) -> None:
        """Old versions and unknown keys."""
        for text in ('min_version = "1.1"', "min_version = 1.2", 'disable_cipher_suites = "x"'):
            self.complains(
                f"tls.protocols.{text.partition(' ')[0]}", tls=f"{MAIN}[tls.protocols]\n{text}\n"
            )
        self.complains(
            "tls.certificat", "did you mean tls.certificate?", tls=MAIN + "[tls.certificat]\n"
        )
