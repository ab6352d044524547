"""Pipes: few, large, lent empty, and never lost."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailroute.net import pipes
from mailroute.net.pipes import PIPE_OCTETS, PIPES, Pipe, PipePool
from tests.support.local_reactor import open_descriptors

_F_GETPIPE_SZ = 1032


class PoolTests(SynchronousTestCase):
    """Descriptors return to where they were, in every test."""

    def setUp(self) -> None:
        self.pool = PipePool()
        self.before = open_descriptors()

    def take(self) -> Pipe:
        pipe = self.pool.take()
        assert pipe is not None
        return pipe

    def assert_returned(self) -> None:
        self.pool.close()
        self.assertEqual(open_descriptors(), self.before)

    def test_lent_again(self) -> None:
        """A pipe that was given back is lent again, and its descriptors stay the same."""
        first = self.take()
        self.pool.give_back(first)
        self.assertIs(self.take(), first)
        self.pool.give_back(first)
        self.assert_returned()

    def test_size(self) -> None:
        """As large as asked for, where the kernel allows it; never blocking, never inherited."""
        pipe = self.take()
        self.assertEqual(fcntl.fcntl(pipe.write_end, _F_GETPIPE_SZ), PIPE_OCTETS)
        for end in (pipe.read_end, pipe.write_end):
            self.assertFalse(os.get_blocking(end))
            self.assertFalse(os.get_inheritable(end))
        self.pool.give_back(pipe)
        self.assert_returned()

    def test_no_allowance(self) -> None:
        """Past the user's allowance (EPERM) a smaller pipe will do."""

        def refuse(*_: Any) -> None:
            raise PermissionError(errno.EPERM, "no")

        self.patch(pipes.fcntl, "fcntl", refuse)
        self.pool.give_back(self.take())
        self.assert_returned()

    def test_no_descriptors(self) -> None:
        """Without descriptors there is no pipe; and later there is one again."""

        def refuse(*_: Any) -> None:
            raise OSError(errno.EMFILE, "no")

        pipe2 = os.pipe2
        self.patch(pipes.os, "pipe2", refuse)
        self.assertIsNone(self.pool.take())
        self.patch(pipes.os, "pipe2", pipe2)
        self.pool.give_back(self.take())
        self.assert_returned()

    def test_limit(self) -> None:
        """All pipes together stay within the descriptors that are set aside for them."""
        lent = [self.take() for _ in range(PIPES)]
        self.assertIsNone(self.pool.take())
        self.pool.give_back(lent.pop())
        lent.append(self.take())
        self.assertIsNone(self.pool.take())
        self.pool.discard(lent.pop())
        lent.append(self.take())
        for pipe in lent:
            self.pool.give_back(pipe)
        self.assertEqual(len(open_descriptors() - self.before), 2 * PIPES)
        self.assert_returned()

    def test_discarded(self) -> None:
        """A pipe with bytes in it is closed: the next borrower must not find them."""
        pipe = self.take()
        os.write(pipe.write_end, b"somebody's mail")
        self.pool.discard(pipe)
        fresh = self.take()
        self.assertIsNot(fresh, pipe)
        with self.assertRaises(BlockingIOError):
            os.read(fresh.read_end, 1)
        self.pool.give_back(fresh)
        self.assert_returned()
