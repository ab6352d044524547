"""Changes a text file so that whoever reads it sees the old content or the new, whole."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress

Edit = Callable[[Sequence[str]], Sequence[str]]
"""From the lines of a file, each with its line break, to the lines that it shall have."""


def rewrite(path: str, edit: Edit) -> bool:
    """Replace the lines of the file by those that ``edit`` returns; tell whether they differ.

    The new file has the old one's mode and owner.  Others who change it by this function wait
    for their turn; a link stays one.  Raises OSError, UnicodeDecodeError and what ``edit`` does;
    the file is untouched then.
    """
    path = os.path.realpath(path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        # The file itself cannot be locked: it is another one afterwards.
        fcntl.flock(folder, fcntl.LOCK_EX)
        with open(path, encoding="utf-8", newline="\n") as file:
            status = os.fstat(file.fileno())
            lines = file.readlines()
        edited = edit(lines)
        if edited == lines:
            return False
        _replace(path, edited, status)
        os.fsync(folder)
        return True
    finally:
        os.close(folder)


def _replace(path: str, lines: Sequence[str], status: os.stat_result) -> None:
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path)
    )
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            made = os.fstat(descriptor)
            if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, status.st_mode & 0o7777)
            file.writelines(lines)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
