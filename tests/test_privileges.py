"""What the process may do: descriptors, user and group."""

from __future__ import annotations

import grp
import os
import pwd
import resource

from twisted.trial.unittest import SynchronousTestCase

from mailroute import privileges
from mailroute.errors import ConfigurationError


class DescriptorTests(SynchronousTestCase):
    """RLIMIT_NOFILE."""

    def test_raised(self) -> None:
        """The soft limit becomes the hard one, which is the answer."""
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        hard = limits[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[0], 512), hard))
        answer = privileges.raise_descriptor_limit()
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (hard, hard))
        self.assertEqual(answer, 1 << 20 if hard == resource.RLIM_INFINITY else hard)

    def test_sessions(self) -> None:
        """Two a session, some for everything else, and never room for nobody."""
        self.assertEqual(privileges.sessions_within(1128), 500)
        self.assertEqual(privileges.sessions_within(64), 1)


class CoreTests(SynchronousTestCase):
    """RLIMIT_CORE."""

    def test_forbidden(self) -> None:
        """Neither the soft nor the hard limit leaves room; it cannot be taken back."""
        set_to: dict[int, tuple[int, int]] = {}
        self.patch(resource, "setrlimit", set_to.__setitem__)
        privileges.forbid_core_dumps()
        self.assertEqual(set_to, {resource.RLIMIT_CORE: (0, 0)})


class IdentityTests(SynchronousTestCase):
    """User and group."""

    def test_nobody_asked_for(self) -> None:
        """Then nothing changes."""
        self.assertIsNone(privileges.look_up(None, None))
        called = self.record(0)
        privileges.drop(None)
        self.assertEqual(called, [])

    def test_found(self) -> None:
        """A user brings his group, unless another one is named."""
        user, group = pwd.getpwnam("nobody"), grp.getgrnam("daemon")
        self.assertEqual(privileges.look_up("nobody", None), (user.pw_uid, user.pw_gid))
        self.assertEqual(privileges.look_up("nobody", "daemon"), (user.pw_uid, group.gr_gid))
        self.assertEqual(privileges.look_up(None, "daemon"), (os.getuid(), group.gr_gid))

    def test_unknown(self) -> None:
        """Both names are complained of at once."""
        with self.assertRaises(ConfigurationError) as caught:
            privileges.look_up("no-such-user", "no-such-group")
        self.assertEqual(
            caught.exception.complaints,
            [
                "server.user: there is no user no-such-user",
                "server.group: there is no group no-such-group",
            ],
        )

    def test_dropped_for_good(self) -> None:
        """Groups before the user: afterwards there is no right to change them."""
        called = self.record(0)
        privileges.drop((12, 34))
        self.assertEqual(called, [("setgroups", [34]), ("setgid", 34), ("setuid", 12)])

    def test_not_root(self) -> None:
        """Who is not root has nothing to give up."""
        called = self.record(1000)
        privileges.drop((12, 34))
        self.assertEqual(called, [])

    def record(self, uid: int) -> list[tuple[str, object]]:
        """Note what would change the ids of a process of this user."""
        called: list[tuple[str, object]] = []
        for name in ("setgroups", "setgid", "setuid"):
            self.patch(os, name, lambda argument, name=name: called.append((name, argument)))
        self.patch(os, "getuid", lambda: uid)
        return called
