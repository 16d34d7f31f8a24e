"""Keeping what Clew opens off the standard descriptors.

Where a program was started without a standard stream, or closed one, the next file that is opened gets its number, and
whatever the program still prints there would go into that file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

from clew.journal.signals import let_through

_NOTHING: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)


def beyond_standard(fd: int) -> int:
    """Return a descriptor of the same file above 2. Takes the old one."""
    low = []
    try:
        while fd <= 2:
            low.append(fd)
            fd = os.dup(fd)
    finally:
        for each in low:
            os.close(each)
    return fd


@contextlib.contextmanager
def standard_taken() -> Iterator[None]:
    """Occupy the standard numbers that are free, for calls that open a descriptor of their own, such as `mmap`."""
    low: list[int] = []
    try:
        low += (os.open(os.devnull, _NOTHING) for number in (0, 1, 2) if not _is_open(number))
        yield
    finally:
        for each in low:
            os.close(each)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError as error:
        let_through(error)
        return False
    return True
