"""A lock between processes that goes away with the process that holds it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from clew.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_NAME = "doctor.lock"


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Keep others that change finished segments (repair, removal) away from a home directory.

    Raises: JournalError where somebody is at it already, or where the lock's file cannot be made.
    """
    try:
        fd = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        raise JournalError(f"{home / LOCK_NAME} cannot be opened: {error.strerror or error}") from error
    try:
        if not _taken(fd):
            raise JournalError(
                f"{home} is being repaired or cleaned by another process; try again when it is done"
            )
        yield
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    """Take the lock, if nobody has it; closing the file gives it back."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
