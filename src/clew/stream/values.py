"""How one value stands on a line for people: quoted where needed, harmless to a terminal, shortened."""

from __future__ import annotations

import math
import re
from typing import Final

import msgspec

ELLIPSIS: Final = "…"
_ESCAPES: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_is_bare: Final = re.compile(r'[^\s"=]+').fullmatch
_decode_text: Final = msgspec.json.Decoder(str).decode
_UNITS: Final = (("ns", 1.0), ("us", 1e3), ("ms", 1e6))


def make_harmless(text: str) -> str:
    """Return `text` with every character that is not printable as an escape.

    That covers line breaks, terminal escapes (C0, C1), text direction overrides, zero-width characters, lone
    surrogates, and every space but the ordinary one.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    if char in _ESCAPES:
        return _ESCAPES[char]
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def show_text(text: str, limit: int | None = None) -> str:
    """Return a string as a value: bare where it can stand so, else in quotes.

    A string of more than `limit` characters is cut there; an ellipsis and its length follow the closing quote.
    """
    if limit is not None and len(text) > limit:
        return f"{_quote(text[:limit])}{ELLIPSIS}({len(text)})"
    if text.isprintable() and _is_bare(text):
        return text
    return _quote(text)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{make_harmless(escaped)}"'


def show_raw(raw: bytes, limit: int | None = None) -> str:
    """Return an encoded JSON value as a value: a string as text, anything else as compact JSON, cut at `limit`."""
    if raw[:1] == b'"':
        try:
            return show_text(_decode_text(raw), limit)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return show_text(raw[1:-1].decode("utf-8", "backslashreplace"), limit)
    if b" " in raw or b"\n" in raw or b"\t" in raw:
        raw = msgspec.json.format(raw, indent=-1)
    text = raw.decode("utf-8", "backslashreplace")
    if limit is not None and len(text) > limit:
        return f"{make_harmless(text[:limit])}{ELLIPSIS}({len(text)})"
    return make_harmless(text)


def format_duration(nanoseconds: float) -> str:
    """Return a duration in the unit that reads best, to three digits: `812ms`, `1.5s`, `2min5s`, `1h0min`."""
    for unit, size in _UNITS:
        digits = f"{nanoseconds / size:.3g}"
        if float(digits) < 1000:
            return f"{digits}{unit}"
    seconds = nanoseconds / 1e9
    if float(f"{seconds:.3g}") < 60:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}min{rest}s"
    return f"{minutes // 60}h{minutes % 60}min"


def duration_of(raw: bytes, *, unit_ns: float) -> str | None:
    """Return an encoded JSON number of some unit as a duration; None where it is none."""
    try:
        nanoseconds = float(raw) * unit_ns
    except ValueError:
        return None
    if not math.isfinite(nanoseconds) or nanoseconds < 0:
        return None
    return format_duration(nanoseconds)
