"""Large payloads, stored once under the hash of their content: `blobs/<first 2>/<hash>.gz`.

They are gzip files, which every Python and every shell can read; Zstandard is in the standard library only from
Python 3.14 on.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from clew.errors import JournalError
from clew.journal.layout import make_folder
from clew.journal.signals import Tolerate
from clew.model.digest import digest

if TYPE_CHECKING:
    from pathlib import Path

_HASH: Final = re.compile(r"^[0-9a-f]{32}$")
_FASTEST: Final = 1


def blob_path(home: Path, name: str) -> Path:
    """Return where the content of that hash lies."""
    return home / "blobs" / name[:2] / f"{name}.gz"


def write_blob(home: Path, content: bytes) -> str:
    """Store content, unless it is stored already, and return its hash (BLAKE2b, 16 bytes, in hex).

    Raises: OSError or JournalError where it cannot be stored; nothing half written is left under its name.
    """
    name = digest(content)
    path = blob_path(home, name)
    with Tolerate(OSError):
        os.utime(path)  # used again: not to be taken for an old one that nothing refers to
        return name
    import gzip  # few runs have a payload so large

    make_folder(home, path.parent)
    part = path.with_name(f"{name}.{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(gzip.compress(content, compresslevel=_FASTEST, mtime=0))
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return name


def read_blob(home: Path, name: str) -> bytes:
    """Return stored content.

    Raises: JournalError where there is none of that hash, or where it was damaged.
    """
    if _HASH.match(name) is None:
        raise JournalError(f"{name!r} is not the hash of a payload")
    import gzip  # few runs have a payload so large

    path = blob_path(home, name)
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, ValueError) as error:
        raise JournalError(f"payload {name} cannot be read: {error}") from error
    if digest(content) != name:
        raise JournalError(f"payload {name} was damaged: its content has another hash")
    return content
