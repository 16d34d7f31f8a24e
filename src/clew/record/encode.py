"""The user's values as JSON text for a line: the quick way for plain attributes, the careful way for all else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

import msgspec

from clew.journal.blobs import write_blob
from clew.journal.signals import Tolerate, let_through
from clew.record.plain import HOLDING, NAMING, PAIR_PARTS, SUMMARY, WHOLE, Limits, Plain, safe_str
from clew.record.redact import SHORTEST_SECRET
from clew.record.shared import entries_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from clew.record.redact import Redactor

Capture = Literal["none", "summary", "full"]
encode_json: Final = msgspec.json.Encoder().encode
_PREVIEW_CHARS: Final = 200
_MESSAGE: Final = msgspec.structs.replace(WHOLE, text_chars=10_000)

_QUICK: Final = frozenset({int, bool, type(None)})
MOST_QUICK_BYTES: Final = 4096
_QUICK_DEPTH: Final = 8
_NAMED_VALUES: Final = frozenset(name for name, part in PAIR_PARTS.items() if part == HOLDING)


class Quick(Protocol):
    """What the quick way asks: names that hold no secrets, and whether a text holds one."""

    plain_names: set[str]
    quick_bytes: int
    clean: Callable[[str], tuple[str, int]]


def quick_fields(values: dict[str, Any], recorder: Quick) -> str | None:
    """Return plain attributes as JSON text; None where anything about them needs a closer look."""
    try:
        if not recorder.plain_names.issuperset(values) or _tells_a_name(values):
            return None
        for value in values.values():
            kind = type(value)
            if kind is str:
                if len(value) > MOST_QUICK_BYTES:
                    return None  # before it is searched, which takes long
                if len(value) >= SHORTEST_SECRET and recorder.clean(value)[1]:
                    return None
            elif kind is float:
                if value - value != 0:  # NaN or infinite
                    return None
            elif kind not in _QUICK and not _is_plain(value, recorder, 1):
                return None
        text = encode_json(values)
        return text.decode() if len(text) <= recorder.quick_bytes else None
    except (OverflowError, ValueError, RuntimeError) as error:
        let_through(error)
        return None  # a huge number, a lone surrogate, another thread that adds one more


def _is_plain(value: Any, recorder: Quick, depth: int) -> bool:
    """Say whether a value is plain data in plain data, with names that are known to hold no secrets."""
    kind = type(value)
    if kind is str:
        is_short = len(value) <= MOST_QUICK_BYTES
        return is_short and (len(value) < SHORTEST_SECRET or not recorder.clean(value)[1])
    if kind is float:
        return bool(value - value == 0)
    if kind is dict:
        return (
            depth <= _QUICK_DEPTH
            and recorder.plain_names.issuperset(value)
            and not _tells_a_name(value)
            and all(_is_plain(item, recorder, depth + 1) for item in value.values())
        )
    if kind is list:  # what begins with a dash may be the name of a secret that comes next
        return depth <= _QUICK_DEPTH and all(
            not (type(item) is str and item.startswith("-"))
            and not (type(item) is list and _is_pair(item))
            and _is_plain(item, recorder, depth + 1)
            for item in value
        )
    return kind in _QUICK


def _tells_a_name(values: dict[str, Any]) -> bool:
    """Say whether one field may name the secret that another holds: `{"name": "password", "value": "..."}`."""
    if _NAMED_VALUES.isdisjoint(values):
        return False
    parts = 0
    for name, value in entries_of(values):
        part = PAIR_PARTS.get(name, 0)
        if type(value) is str or (part == HOLDING and type(value) in {list, dict}):
            parts |= part
    return parts == NAMING | HOLDING


def _is_pair(values: list[Any]) -> bool:
    """Say whether a list may be the name of a secret and the secret."""
    return len(values) == 2 and [*map(type, values)] == [str, str]


class Encoded(NamedTuple):
    """A value as JSON text, and what was done to it."""

    text: str
    redacted: list[str]
    """Where secrets were removed."""
    truncated: list[tuple[str, int, int]]
    """What was too large to keep whole: field, bytes before, bytes kept."""


class Kept(NamedTuple):
    """A value as plain data without secrets."""

    value: Any
    redacted: list[str]
    """Where secrets were removed."""


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
        longest = max(inline_limit_bytes, max_payload_bytes)
        self._whole: Limits = msgspec.structs.replace(WHOLE, text_chars=longest)

    def fields(self, values: Mapping[str, object]) -> Encoded:
        """Encode attributes or the data of an event: an object with each field whole, secrets removed."""
        plain = Plain(self._redactor, self._whole)
        data: dict[str, Any] = {}
        truncated: list[tuple[str, int, int]] = []
        entries = entries_of(values)
        told = plain.secret_told(entries)
        for name, value in entries:
            plain.left_out = 0
            for clean_name, clean in plain.fields({name: value}, told=told).items():
                kept = clean
                if type(clean) in {str, list, dict}:
                    kept = self._within_limit(clean_name, clean, truncated, left_out=plain.left_out)
                data[clean_name if clean_name not in data else f"{clean_name} #{len(data)}"] = kept
        return Encoded(encode_json(data).decode(), plain.redacted, truncated)

    def texts(self, values: Mapping[str, object]) -> Encoded:
        """Encode what must stay text, such as an error's message: a long one is cut, never stored elsewhere."""
        data: dict[str, str] = {}
        redacted: list[str] = []
        truncated: list[tuple[str, int, int]] = []
        for name, value in values.items():
            text = value if type(value) is str else safe_str(value)
            plain = Plain(self._redactor, _MESSAGE)
            data[name] = plain.text(text)
            redacted += plain.redacted
            if len(text) > _MESSAGE.text_chars:
                truncated.append((name, len(text), _MESSAGE.text_chars))
        return Encoded(encode_json(data).decode(), redacted, truncated)

    def payload(self, name: str, value: object, *, capture: Capture | None = None) -> Encoded | None:
        """Encode inputs or outputs as the capture setting wants them; None where it wants none."""
        mode = capture or self.capture
        if mode == "none":
            return None
        plain = Plain(self._redactor, self._whole if mode == "full" else SUMMARY)
        data = plain.value(value)
        truncated: list[tuple[str, int, int]] = []
        left_out = plain.left_out if mode == "full" else 0
        data = self._within_limit(name, data, truncated, left_out=left_out)
        return Encoded(encode_json(data).decode(), plain.redacted, truncated)

    def kept(self, value: object) -> Kept | None:
        """Return a value as it may be recorded where nothing may be stored beside the log; None where none is wanted.

        One that is larger than a payload within a line may be is shortened as for a summary.
        """
        if self.capture == "none":
            return None
        plain = Plain(self._redactor, self._whole if self.capture == "full" else SUMMARY)
        data = plain.value(value)
        if len(encode_json(data)) + plain.left_out > self._inline_limit:
            plain = Plain(self._redactor, SUMMARY)
            data = plain.value(value)
        return Kept(data, plain.redacted)

    def _within_limit(
        self, name: str, value: Any, truncated: list[tuple[str, int, int]], *, left_out: int
    ) -> Any:
        """Return the value, or a reference to where it is stored if it is too large for a line."""
        content = encode_json(value)
        size = len(content) + left_out
        if size <= self._inline_limit:
            return value
        preview = content[:_PREVIEW_CHARS].decode("utf-8", errors="ignore")
        if size <= self._max_payload and self._home is not None:
            with Tolerate(Exception):
                return {"$blob": write_blob(self._home, content), "bytes": size, "preview": preview}
        truncated.append((name, size, len(preview)))
        return {"$cut": size, "preview": preview}
