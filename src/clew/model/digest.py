"""The hash that content is known by."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

DIGEST_BYTES: Final = 16


def digest(content: bytes) -> str:
    """Return the BLAKE2b hash of content: 32 hexadecimal digits."""
    found: str = _blake2b()(content, digest_size=DIGEST_BYTES).hexdigest()
    return found


@cache
def _blake2b() -> Callable[..., Any]:
    from hashlib import blake2b  # loads OpenSSL, which a program that only records spans never needs

    return blake2b
