"""Small file systems of the test's own, where mounting is allowed."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


@functools.cache
def may_mount() -> bool:
    """Whether this machine lets the test mount something, found out by doing it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder), size_kib=64):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


@contextlib.contextmanager
def small_disk(place: Path, *, size_kib: int) -> Iterator[Path]:
    """Mount an empty disk of that size for as long as the block lasts."""
    place.mkdir(exist_ok=True)
    _command("mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", place)
    try:
        yield place
    finally:
        _command("umount", "--lazy", place)


def make_read_only(place: Path) -> None:
    """Let nothing be written any more to a mounted disk, not even by root."""
    _command("mount", "-o", "remount,ro", place)


def _command(*words: str | Path) -> None:
    subprocess.run(list(map(str, words)), check=True, capture_output=True, timeout=30)
