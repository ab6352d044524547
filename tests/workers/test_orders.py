"""Orders: what a worker is told before it starts."""

from __future__ import annotations

import json
import os

from twisted.trial.unittest import SynchronousTestCase

from mailroute.workers.orders import LogChoice, Orders

ORDERS = Orders(
    path="/etc/mailroute.toml",
    text="# pässword\n" * 20000,
    index=1,
    workers=3,
    row=7,
    columns={"imap": 0},
    sockets=[[6, 7], [8]],
    log=LogChoice("syslog", "mailroute"),
)


class OrdersTests(SynchronousTestCase):
    """A memory file."""

    def sealed(self, orders: Orders) -> int:
        descriptor = orders.seal()
        self.addCleanup(os.close, descriptor)
        return descriptor

    def test_round_trip(self) -> None:
        """Read as often as somebody likes; the offset is nobody's own."""
        descriptor = self.sealed(ORDERS)
        self.assertEqual(Orders.unseal(descriptor), ORDERS)
        self.assertEqual(Orders.unseal(descriptor), ORDERS)

    def test_other_versions(self) -> None:
        """What is missing has a default; what is unknown is left out."""
        descriptor = os.memfd_create("test")
        self.addCleanup(os.close, descriptor)
        fields = {"path": "p", "text": "t", "colour": "red", "log": {"kind": "output", "mood": 1}}
        os.write(descriptor, json.dumps(fields).encode())
        self.assertEqual(Orders.unseal(descriptor), Orders("p", "t"))

    def test_no_secret_in_repr(self) -> None:
        """The configuration's text may hold passwords."""
        self.assertNotIn("word", repr(ORDERS))
