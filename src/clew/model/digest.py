"""The hash that content is known by."""

from __future__ import annotations

from typing import Final

DIGEST_BYTES: Final = 16


def digest(content: bytes) -> str:
    """Return the BLAKE2b hash of content: 32 hexadecimal digits."""
    from hashlib import blake2b  # loads OpenSSL, which a program that only records spans never needs

    return blake2b(content, digest_size=DIGEST_BYTES).hexdigest()
