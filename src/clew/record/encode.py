"""The user's values as JSON text for a line: the quick way for plain attributes, the careful way for all else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from clew.journal.blobs import write_blob
from clew.record.plain import SUMMARY, WHOLE, Plain
from clew.record.redact import SHORTEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from clew.record.redact import Redactor

Capture = Literal["none", "summary", "full"]
encode_json: Final = msgspec.json.Encoder().encode
_PREVIEW_CHARS: Final = 200


_QUICK: Final = frozenset({int, bool, type(None)})


def quick_fields(values: dict[str, Any], plain_names: Collection[str]) -> str | None:
    """Return plain attributes as JSON text; None where anything about them needs a closer look.

    plain_names: names that are known to hold no secrets.
    """
    for name, value in values.items():
        if name not in plain_names:
            return None
        kind = type(value)
        if kind is str:
            if len(value) >= SHORTEST_SECRET:
                return None
        elif kind is float:
            if value - value != 0:  # NaN or infinite
                return None
        elif kind not in _QUICK:
            return None
    try:
        return encode_json(values).decode()
    except (OverflowError, UnicodeEncodeError):  # a huge number, a lone surrogate
        return None


class Encoded(NamedTuple):
    """A value as JSON text, and what was done to it."""

    text: str
    redacted: list[str]
    """Where secrets were removed."""
    truncated: list[tuple[str, int, int]]
    """What was too large to keep whole: field, bytes before, bytes kept."""


class ValueEncoder:
    """Encodes values with one set of settings. Never raises for what it is given."""

    def __init__(
        self,
        redactor: Redactor,
        home: Path | None,
        *,
        capture: Capture,
        inline_limit_bytes: int,
        max_payload_bytes: int,
    ) -> None:
        self._redactor = redactor
        self._home = home
        self.capture = capture
        self._inline_limit = inline_limit_bytes
        self._max_payload = max_payload_bytes

    def fields(self, values: Mapping[str, object]) -> Encoded:
        """Encode attributes or the data of an event: an object with each field whole, secrets removed."""
        plain = Plain(self._redactor)
        data = plain.fields(values)
        truncated: list[tuple[str, int, int]] = []
        for name, value in data.items():
            if type(value) in {str, list, dict}:
                data[name] = self._within_limit(name, value, truncated)
        return Encoded(encode_json(data).decode(), plain.redacted, truncated)

    def payload(self, name: str, value: object, *, capture: Capture | None = None) -> Encoded | None:
        """Encode inputs or outputs as the capture setting wants them; None where it wants none."""
        mode = capture or self.capture
        if mode == "none":
            return None
        plain = Plain(self._redactor, WHOLE if mode == "full" else SUMMARY)
        data = plain.value({name: value})
        data = data[name] if isinstance(data, dict) and name in data else data
        truncated: list[tuple[str, int, int]] = []
        data = self._within_limit(name, data, truncated)
        return Encoded(encode_json(data).decode(), plain.redacted, truncated)

    def _within_limit(self, name: str, value: Any, truncated: list[tuple[str, int, int]]) -> Any:
        """Return the value, or a reference to where it is stored if it is too large for a line."""
        content = encode_json(value)
        size = len(content)
        if size <= self._inline_limit:
            return value
        preview = content[:_PREVIEW_CHARS].decode("utf-8", errors="replace")
        if size <= self._max_payload and self._home is not None:
            try:
                return {"$blob": write_blob(self._home, content), "bytes": size, "preview": preview}
            except Exception:
                truncated.append((name, size, len(preview)))
                return {"$cut": size, "preview": preview}
        truncated.append((name, size, len(preview)))
        return {"$cut": size, "preview": preview}
