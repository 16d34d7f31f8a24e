"""Rotation by size and count: `x.log` becomes `x.log.1`, `x.log.1` becomes `x.log.2`, the last is removed."""

from __future__ import annotations

import os
from pathlib import Path

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True


def rotate(path: Path, *, max_files: int) -> None:
    """Move a log file and its older ones up by one, so that `path` is free.

    Args: max_files: how many files remain at most once `path` is written again; 1 keeps no older one.
    Raises: OSError: a file cannot be renamed. None is lost; those already moved are moved.
    """
    if max_files <= 1:
        path.unlink()
        return
    older = [Path(f"{path}.{number}") for number in range(1, max_files)]
    free = next((place for place, file in enumerate(older) if not os.path.lexists(file)), len(older) - 1)
    for place in range(free, 0, -1):
        older[place - 1].replace(older[place])
    path.replace(older[0])


def may_rotate(fd: int) -> bool:
    """Take the right to rotate the file open as `fd`, held until it is closed; False if another process has it.

    Several processes of one program may write one file. Where the file system has no locks, each may rotate.
    """
    if not HAS_LOCKS:
        return True
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
