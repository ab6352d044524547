"""``[destination.NAME]``"""

from __future__ import annotations

import os

from mailroute.config.destinations import declared_for
from mailroute.config.model import Destination, Endpoint
from mailroute.config.reader import read
from tests.config.reading import SECTIONS, ConfigurationCase, configuration

EAST = SECTIONS["destination"]
HEAD = '[destination.east]\nhost = "east.example.org"\n'
IMAP = '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'


class DestinationTests(ConfigurationCase):
    """The backends."""

    def east(self, keys: str) -> Destination:
        return self.read_sections(destination=HEAD + keys + IMAP).destinations["east"]

    def test_defaults(self) -> None:
        """Everything that loosens is off."""
        expected = Destination(
            name="east",
            hosts=("east.example.org",),
            tls_server_name=None,
            tls_ca_file=None,
            tls_pinned_cert_sha256=None,
            tls_allow_invalid_certs=False,
            tls_client_cert=None,
            tls_client_key=None,
            allow_plaintext_auth=False,
            allow_row_tls_name=False,
            hide_auth_errors=False,
            endpoints={"imap": Endpoint(993, "implicit")},
        )
        self.assertEqual(self.east(""), expected)

    def test_all(self) -> None:
        """Every key reaches its field; files are found beside the configuration."""
        self.write("ca.pem", "ca")
        east = self.read_sections(
            destination='[destination.east]\nhosts = ["a.example", "[::1]", "127.0.0.1"]\n'
            'tls_server_name = "b.example"\ntls_ca_file = "ca.pem"\n'
            f'tls_pinned_cert_sha256 = "{"aB:" * 31}cd"\ntls_allow_invalid_certs = true\n'
            'tls_client_cert = "chain.pem"\ntls_client_key = "key.pem"\n'
            "allow_plaintext_auth = true\nallow_row_tls_name = true\nhide_auth_errors = true\n"
            'proxy_protocol = false\nforwarding = "none"\nstate = "active"\n'
            'source_ips = ["::1", "192.0.2.7"]\n'
            "protocol.imap = { port = 143, tls = 'plain', forwarding = 'none' }\n"
            "protocol.pop3 = { port = 110, tls = 'starttls' }\n"
            "protocol.submission = { port = 587, tls = 'implicit' }\n"
        ).destinations["east"]
        expected = Destination(
            name="east",
            hosts=("a.example", "::1", "127.0.0.1"),
            tls_server_name="b.example",
            tls_ca_file=os.path.join(self.folder, "ca.pem"),
            tls_pinned_cert_sha256=b"\xab" * 31 + b"\xcd",
            tls_allow_invalid_certs=True,
            tls_client_cert=os.path.join(self.folder, "chain.pem"),
            tls_client_key=os.path.join(self.folder, "key.pem"),
            allow_plaintext_auth=True,
            allow_row_tls_name=True,
            hide_auth_errors=True,
            endpoints={
                "imap": Endpoint(143, "plain"),
                "pop3": Endpoint(110, "starttls"),
                "submission": Endpoint(587, "implicit"),
            },
            source_ips=("::1", "192.0.2.7"),
        )
        self.assertEqual(east, expected)

    def test_host_or_hosts(self) -> None:
        """Exactly one of the two."""
        self.complains(
            "destination.east.hosts", "not both", destination=HEAD + 'hosts = ["a"]\n' + IMAP
        )
        self.complains(
            "destination.east.host", "missing", destination="[destination.east]\n" + IMAP
        )
        self.complains(
            "destination.east.hosts", destination="[destination.east]\nhosts = []\n" + IMAP
        )

    def test_bad_values(self) -> None:
        """Each is named with its key, and only once."""
        for key, value in (
            ("tls_server_name", '"a:1"'),
            ("tls_ca_file", '"missing.pem"'),
            ("tls_pinned_cert_sha256", '"abcd"'),
            ("tls_allow_invalid_certs", '"no"'),
            ("allow_plaintext_auth", "0"),
            ("hide_auth_errors", "1"),
            ("source_ips", '"127.0.0.1"'),
            ("source_ips", '["east.example.org"]'),
        ):
            self.complains(f"destination.east.{key}", destination=f"{HEAD}{key} = {value}\n{IMAP}")

    def test_client_certificate(self) -> None:
        """A certificate without its key proves nothing."""
        for key, file in (("tls_client_cert", "chain.pem"), ("tls_client_key", "key.pem")):
            self.complains(
                "destination.east", "need each other", destination=f'{HEAD}{key} = "{file}"\n{IMAP}'
            )

    def test_endpoint(self) -> None:
        """Port and TLS of a protocol are both required."""
        place = "destination.east.protocol.imap"
        for text, key in (
            ("port = 993\n", "tls"),
            ('tls = "implicit"\n', "port"),
            ('port = 0\ntls = "implicit"\n', "port"),
            ('port = 993\ntls = "yes"\n', "tls"),
        ):
            self.complains(f"{place}.{key}", destination=f"{HEAD}[{place}]\n{text}")
        self.complains(
            f"{place}.prot", f"did you mean {place}.port?", destination=f"{EAST}prot = 1\n"
        )

    def test_protocols(self) -> None:
        """HTTP is ignored, others are unknown."""
        place = "destination.east.protocol"
        self.complains(
            f"{place}.imaps", f"did you mean {place}.imap?", destination=f"{EAST}[{place}.imaps]\n"
        )
        http = f"{HEAD}forwarded = true\n{IMAP}[{place}.http]\nport = 443\n"
        warnings = self.read_sections(destination=http).warnings
        self.assertEqual(len(warnings), 1)
        ignored = "ignored: destination.east.forwarded, destination.east.protocol.http"
        self.assertIn(ignored, warnings[0])

    def test_later(self) -> None:
        """What would change a session, but is not built, is refused."""
        for text in ('state = "drain"', "max_connections = 5"):
            key = text.partition(" ")[0]
            self.complains(
                f"destination.east.{key}", "not supported yet", destination=f"{HEAD}{text}\n{IMAP}"
            )

    def test_login(self) -> None:
        """Credentials of our own; the password is a secret and in no repr."""
        text = 'username = "all mail"\npassword = { env = "P" }\nmaster_user = "proxy"\n'
        found = self.read(configuration(destination=HEAD + text + IMAP), P="hunter2")
        east = found.destinations["east"]
        assert east.password is not None
        self.assertEqual((east.username, east.master_user), ("all mail", "proxy"))
        self.assertEqual(east.password.reveal(), "hunter2")
        self.assertNotIn("hunter2", repr(found))
        self.assertFalse(east.allow_unchecked_passwords)

    def test_open_password(self) -> None:
        """A password in a file that everybody may read is told; one kept elsewhere is not."""
        for value, is_told in (('"x"', True), ('{ env = "P" }', False)):
            text = configuration(destination=f"{HEAD}password = {value}\n{IMAP}")
            path = self.write("mailroute.toml", text)
            os.chmod(path, 0o644)
            warnings = read(path, environment={"P": "x"}).warnings
            told = any("destination.east.password: everybody" in each for each in warnings)
            self.assertEqual(told, is_told, warnings)

    def test_bad_login(self) -> None:
        """A master user has a password; names are not blank; a danger is named."""
        for key, value in (("master_user", '"proxy"'), ("username", '" "'), ("password", '""')):
            self.complains(f"destination.east.{key}", destination=f"{HEAD}{key} = {value}\n{IMAP}")
        text = 'password = "x"\nallow_unchecked_passwords = true\n'
        warnings = self.read_sections(destination=HEAD + text + IMAP).warnings
        self.assertIn("allow_unchecked_passwords: nobody checks the passwords", warnings[0])

    def forwarding(self, keys: str, protocol_keys: str = "") -> tuple[str | None, int]:
        found = (
            self.east(keys + "\n")
            if not protocol_keys
            else self.read_sections(
                destination=f"{HEAD}{keys}\n{IMAP}{protocol_keys}\n"
            ).destinations["east"]
        )
        return found.endpoints["imap"].forwarding, found.proxy_version

    def test_forwarding(self) -> None:
        """A PROXY header only where it is asked for; a protocol's own word goes first."""
        self.assertEqual(self.forwarding(""), ("none", 0))
        for text, version in (("true", 2), ('"v2"', 2), ('"v1"', 1)):
            self.assertEqual(self.forwarding(f"proxy_protocol = {text}"), ("proxy", version))
        self.assertEqual(self.forwarding('forwarding = "proxy"'), ("proxy", 0))
        self.assertEqual(self.forwarding('forwarding = "xclient"'), ("xclient", 0))
        self.assertEqual(
            self.forwarding('forwarding = "xclient"', 'forwarding = "none"'), ("none", 0)
        )
        for text in ('proxy_protocol = "v3"', "proxy_protocol = 2", 'forwarding = "id"'):
            key = text.partition(" ")[0]
            self.complains(f"destination.east.{key}", destination=f"{HEAD}{text}\n{IMAP}")

    def test_header_that_is_never_sent(self) -> None:
        """A header that was asked for and then forbidden is told: the backend waits for it."""
        self.warns(
            "destination.east.proxy_protocol",
            "no PROXY header is sent",
            destination=f'{HEAD}proxy_protocol = true\nforwarding = "xclient"\n{IMAP}',
        )

    def pattern(self, text: str, name: str = "shard-*") -> str:
        """A destination beside east."""
        imap = IMAP.replace("east", f'"{name}"')
        return f'{EAST}[destination."{name}"]\n{text}\n{imap}'

    def test_pattern(self) -> None:
        """A name with a star is a pattern, whose hosts repeat the label."""
        text = 'hosts = ["{1}.example.org", "x{1}"]\ntls_server_name = "{1}.example.net"'
        found = self.read_sections(destination=self.pattern(text)).destinations["shard-*"]
        self.assertEqual(found.hosts, ("{1}.example.org", "x{1}"))
        self.assertEqual(found.tls_server_name, "{1}.example.net")

    def test_bad_pattern(self) -> None:
        """One star at most; the host is one whatever the label is; only patterns have labels."""
        self.complains(
            'destination."*-*"', "at most one *", destination=self.pattern('host = "h"', "*-*")
        )
        for host in ("{2}.example.org", "{1}:993", "{1} x", "{}", "{1"):
            self.complains(
                'destination."shard-*".host', destination=self.pattern(f'host = "{host}"')
            )
        self.complains(
            "destination.shard.host", destination=self.pattern('host = "{1}.org"', "shard")
        )

    def test_declared_for(self) -> None:
        """An exact name goes before a pattern; a pattern's own name is none."""
        declared = ("shard-*", "shard-1", "*-2")
        self.assertEqual(declared_for("shard-1", declared), "shard-1")
        self.assertEqual(declared_for("shard-2", declared), "shard-*")
        self.assertEqual(declared_for("x-2", declared), "*-2")
        for name in ("shard-*", "shard-", "shard-A", "east", ""):
            self.assertIsNone(declared_for(name, declared))

    def test_dangers(self) -> None:
        """What lets passwords be read is served, with a warning that says so."""
        self.warns(
            "destination.east.tls_allow_invalid_certs",
            "any certificate",
            destination=HEAD + "tls_allow_invalid_certs = true\n" + IMAP,
        )
        self.warns(
            "destination.east.allow_plaintext_auth",
            "without encryption",
            destination=HEAD + "allow_plaintext_auth = true\n" + IMAP,
        )

    def test_backend_without_tls(self) -> None:
        """A plain backend that may get no password in the clear can be of no use."""
        plain = IMAP.replace("implicit", "plain")
        self.warns(
            "destination.east.protocol.imap.tls", "allow_plaintext_auth", destination=HEAD + plain
        )
