"""Configurations in the form that the Stalwart migration proxy documents for its three uses."""

from __future__ import annotations

from pathlib import Path

from tests.config.reading import ConfigurationCase

SAMPLES = Path(__file__).with_name("samples")


class SampleTests(ConfigurationCase):
    """Whoever comes from there has no complaint to work on."""

    def read_sample(self, name: str) -> tuple[str, ...]:
        """Read it; returns the warnings."""
        self.write(f"{name}.tsv", "alice@example.org\told\n")
        text = (SAMPLES / f"{name}.toml").read_text(encoding="utf-8")
        self.configuration = self.read(text)
        return tuple(self.configuration.warnings)

    def test_dovecot(self) -> None:
        """An account's server is told of the client by XCLIENT, or by a PROXY header."""
        self.assertEqual(self.read_sample("dovecot"), ())
        destinations = self.configuration.destinations
        told = {name: each.endpoints["imap"].forwarding for name, each in destinations.items()}
        self.assertEqual(told, {"legacy": "xclient", "stalwart": "proxy"})
        self.assertEqual(len(destinations["legacy"].tls_pinned_cert_sha256 or b""), 32)

    def test_upgrade(self) -> None:
        """What concerns HTTP alone is named in one warning, and ignored."""
        (warning,) = self.read_sample("upgrade")
        for key in ("listener.https", "destination.old.protocol.http", "destination.new.forwarded"):
            self.assertIn(key, warning)
        self.assertEqual(set(self.configuration.destinations), {"old", "new"})

    def test_cluster(self) -> None:
        """The statements that change the mapping stand beside the query."""
        self.assertEqual(self.read_sample("cluster"), ())
        sql = self.configuration.mapping.sql
        assert sql is not None
        self.assertTrue(sql.upsert_query and sql.delete_query and sql.list_query)
