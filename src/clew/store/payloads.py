"""Payloads that are stored beside the log: which events refer to them, whether they are there, and put back in place."""

from __future__ import annotations

import os
import re
import zlib
from stat import S_ISREG
from typing import TYPE_CHECKING, Final

import msgspec

from clew.errors import JournalError
from clew.journal.blobs import blob_path, read_blob

if TYPE_CHECKING:
    from pathlib import Path

_MARK: Final = b'{"$blob":"'
_REFERENCE: Final = re.compile(
    rb'\{"\$blob":"([0-9a-f]{32})","bytes":\d+,"preview":"(?:[^"\\]|\\.)*+"\}', re.DOTALL
)
"""As a recorder writes it. Within a text its quotes are escaped, so that a text is never taken for one."""
_BITE_BYTES: Final = 1024 * 1024
_GZIP: Final = 31
"""Window bits that make zlib read gzip files."""


def references_in(line: bytes) -> list[str]:
    """Return the hashes of the payloads that a line refers to."""
    return [found.decode() for found in _REFERENCE.findall(line)] if _MARK in line else []


def is_stored(home: Path, name: str) -> bool:
    """Say whether there is a file for a payload."""
    try:
        return S_ISREG(blob_path(home, name).stat().st_mode)
    except OSError:
        return False


def is_sound(path: Path) -> bool:
    """Say whether the content of a stored payload has the hash that its file is named by.

    A piece of it is held at a time. Raises: OSError where it cannot be read.
    """
    from hashlib import blake2b  # only the doctor needs it

    from clew.model.digest import DIGEST_BYTES

    if not S_ISREG(path.stat().st_mode):
        return False  # to open a pipe is to wait
    found, unpack = blake2b(digest_size=DIGEST_BYTES), zlib.decompressobj(_GZIP)
    with path.open("rb") as file:
        try:
            while packed := unpack.unconsumed_tail or file.read(_BITE_BYTES):
                found.update(unpack.decompress(packed, _BITE_BYTES))
            found.update(unpack.flush())
        except zlib.error:
            return False
    return unpack.eof and not unpack.unused_data and f"{found.hexdigest()}.gz" == os.path.basename(path)  # noqa: PTH119  a name is all it takes


class WholePayloads:
    """Puts stored payloads back where events refer to them. A payload that cannot be read stays a reference."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.unread: set[str] = set()
        """Hashes of those that could not be read."""

    def __call__(self, line: bytes) -> bytes:
        """Return a line with its payloads."""
        return _REFERENCE.sub(self._whole, line) if _MARK in line else line

    def _whole(self, reference: re.Match[bytes]) -> bytes:
        name = reference[1].decode()
        try:
            # Encoded anew, so that whatever is stored under that hash stays on one line.
            return msgspec.json.encode(msgspec.json.decode(read_blob(self._home, name)))
        except (JournalError, msgspec.MsgspecError, UnicodeError, RecursionError):
            self.unread.add(name)
            return reference[0]
