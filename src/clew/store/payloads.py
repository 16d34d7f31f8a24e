"""Payloads that are stored beside the log: which events refer to them, whether they are there, and put back in place."""

from __future__ import annotations

import re
import zlib
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clew.errors import JournalError
from clew.journal.blobs import blob_path, read_blob, write_blob
from clew.model.events import encode_event
from clew.model.payloads import PAYLOADS

if TYPE_CHECKING:
    from pathlib import Path

    from clew.model.events import Event

_MARK: Final = b'{"$blob":"'
_REFERENCE: Final = re.compile(
    rb'\{"\$blob":"([0-9a-f]{32})","bytes":\d+,"preview":"(?:[^"\\]|\\.)*+"\}', re.DOTALL
)
"""As a recorder writes it. Within a text its quotes are escaped, so that a text is never taken for one."""
_PAYLOAD_FIELDS: Final = frozenset({"inputs", "outputs", "final_state"})
_PREVIEW_BYTES: Final = 200
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
    return unpack.eof and not unpack.unused_data and f"{found.hexdigest()}.gz" == path.name


class StoredPayloads:
    """Stores large payloads of events from elsewhere beside the log, as a recorder does with its own."""

    def __init__(self, home: Path, *, inline_limit_bytes: int) -> None:
        self._home = home
        self._limit = inline_limit_bytes

    def line(self, event: Event) -> bytes:
        """Return the line of an event. A payload that cannot be stored, as on a full disk, stays in it."""
        line = encode_event(event)
        if len(line) <= self._limit:
            return line
        try:
            data = msgspec.json.decode(event.data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return line
        if not isinstance(data, dict):
            return line
        # Of the fields of our own events only those may be a reference that may be anything.
        names = data.keys() if event.event not in PAYLOADS else data.keys() & _PAYLOAD_FIELDS
        data |= {name: self._stored(data[name]) for name in names}
        attributes = data.get("attributes")
        if isinstance(attributes, dict):
            data["attributes"] = {name: self._stored(value) for name, value in attributes.items()}
        return encode_event(msgspec.structs.replace(event, data=msgspec.Raw(msgspec.json.encode(data))))

    def _stored(self, value: Any) -> Any:
        content = msgspec.json.encode(value)
        if len(content) <= self._limit:
            return value
        try:
            name = write_blob(self._home, content)
        except (OSError, JournalError):
            return value
        preview = content[:_PREVIEW_BYTES].decode("utf-8", errors="ignore")
        return {"$blob": name, "bytes": len(content), "preview": preview}


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
