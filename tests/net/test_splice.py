"""What is known of the connections that are joined."""

from __future__ import annotations

import gc
from collections import Counter

from mailroute.net.joint import Joint
from tests.support import local_reactor
from tests.support.joined import LEGS, JoinedCase
from tests.support.local_reactor import open_descriptors
from tests.support.peers import Settings, World, plain_message
from tests.support.secured import server_tls


class SplicerTests(JoinedCase):
    """The splicer."""

    def test_pipes(self) -> None:
        """The kernel may move the bytes where both legs are plain, and only there."""
        for legs in LEGS:
            joined = self.join(*legs)
            pools = {side._pool for side in joined.joint.sides}
            expected = None if any(legs) else joined.world.splicer._joints.pool
            self.assertEqual(pools, {expected}, legs)
            self.leave(joined.client)
            self.end()

    def test_joints(self) -> None:
        """Every joint is known while it lives, and no longer."""
        joined = self.join(False, False)
        other, _ = joined.world.log_in()
        self.assertEqual(len(joined.world.splicer.joints), 2)
        joined.client.leave()
        self.settle()
        self.assertEqual(len(joined.world.splicer.joints), 1)
        self.end(other)
        self.assertEqual(joined.world.splicer.joints, set())

    def test_close(self) -> None:
        """The pooled pipes are given back."""
        before = open_descriptors()
        self.patch(local_reactor, "SMALL_BUFFER", 1 << 20)
        joined = self.join(False, False)
        joined.client.say(bytes(1 << 20))
        joined.backend.say(bytes(1 << 20))
        self.settle()
        self.end(joined.client)
        self.assertNotEqual(open_descriptors(), before)
        joined.world.splicer.close()
        self.assertEqual(open_descriptors(), before)

    def test_defect(self) -> None:
        """A joint that cannot begin closes both connections, and the log has its traceback."""

        def fail(_: Joint) -> None:
            raise RuntimeError("no watch")

        self.patch(Joint, "_watch", fail)
        joined = self.join(False, False)
        self.assertIsNotNone(joined.client.lost)
        self.assertIsNotNone(joined.backend.lost)
        self.assertIn("no watch", "\n".join(joined.world.lines()))
        self.assertEqual(len(joined.world.lines("internal-error")), 1)
        self.assertEqual(joined.world.fields("session")["closed_by"], "internal-error")
        self.end()

    def test_defect_with_a_clinging_client(self) -> None:
        """The backend is left at once, even where the client does not go."""

        def fail(joint: Joint) -> None:
            client.transport.pauseProducing()
            raise RuntimeError("no watch")

        self.world = world = World(self.reactor, Settings(front=server_tls(self.issued())))
        client, _ = world.connect()
        self.patch(Joint, "_watch", fail)
        client.say(b"a AUTHENTICATE PLAIN " + plain_message("alice") + b"\r\n")
        self.settle()
        self.assertIsNone(client.lost)
        self.assertIsNotNone(world.east.last.lost)
        client.reset()
        self.settle()
        self.end()


class LifetimeTests(JoinedCase):
    """What a node with many idle sessions pays for."""

    def setUp(self) -> None:
        super().setUp()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        self.before = self.count()

    def count(self) -> Counter[str]:
        return Counter(type(each).__name__ for each in gc.get_objects())

    def alive(self) -> Counter[str]:
        """Living objects by their classes' names, without those of other tests' modules."""
        return self.count() - self.before

    def test_joined(self) -> None:
        """Nothing of a login outlives the join, and nobody needs the collector for that."""
        for legs in LEGS:
            joined = self.join(*legs)
            alive = self.alive()
            for gone in ("ClientPeer", "BackendPeer", "Session", "Allowance", "coroutine"):
                self.assertEqual(alive[gone], 0, (gone, legs))
            self.leave(joined.client)
            self.end()

    def test_ended(self) -> None:
        """An ended session leaves no cycle."""
        for legs in LEGS:
            joined = self.join(*legs)
            self.leave(joined.client)
            alive = self.alive()
            for gone in ("Joint", "Side", "Journal", "Stream"):
                self.assertEqual(alive[gone], 0, (gone, legs))
            self.end()
