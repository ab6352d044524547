"""What the process may do: descriptors as many as allowed, and no more rights than it needs."""

from __future__ import annotations

# Used when a name is resolved for the first time: loaded now, because Python's own folder may be
# out of reach once rights are given up, and the resolver then waits for ever.
import encodings.idna  # noqa: F401
import grp
import os
import pwd
import resource

from mailroute.errors import ConfigurationError

RESERVED_DESCRIPTORS = 128
"""For the log, databases, pooled pipes and what Python opens."""
DESCRIPTORS_PER_SESSION = 2


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one; returns it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def forbid_core_dumps() -> None:
    """Have no core file written, now or by a child: passwords under way would be in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def sessions_within(descriptors: int) -> int:
    """How many sessions fit into so many descriptors."""
    return max((descriptors - RESERVED_DESCRIPTORS) // DESCRIPTORS_PER_SESSION, 1)


def look_up(user: str | None, group: str | None) -> tuple[int, int] | None:
    """The ids to run as, None where none are asked for or we cannot change them.

    Raises ConfigurationError for a name that does not exist.
    """
    if user is None and group is None:
        return None
    complaints = []
    uid, gid = os.getuid(), os.getgid()
    try:
        if user is not None:
            uid, gid = pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid
    except KeyError:
        complaints.append(f"server.user: there is no user {user}")
    try:
        if group is not None:
            gid = grp.getgrnam(group).gr_gid
    except KeyError:
        complaints.append(f"server.group: there is no group {group}")
    if complaints:
        raise ConfigurationError(complaints)
    return uid, gid


def drop(ids: tuple[int, int] | None) -> None:
    """Become this user and group for good; nothing happens where we are not root."""
    if ids is None or os.getuid() != 0:
        return
    uid, gid = ids
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)
