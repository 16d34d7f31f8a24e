"""Tokens, counted so that nothing is added twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens of model calls. None is unknown, which is not zero."""

    input_tokens: int | None = None
    """All tokens sent, cached ones included."""
    output_tokens: int | None = None
    """All tokens received, reasoning included."""
    cached_tokens: int | None = None
    """The part of `input_tokens` that was read from a cache."""
    reasoning_tokens: int | None = None
    """The part of `output_tokens` that was reasoning."""

    @property
    def total_tokens(self) -> int | None:
        """Input plus output tokens; cached and reasoning tokens are parts of those."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=_plus(self.input_tokens, other.input_tokens),
            output_tokens=_plus(self.output_tokens, other.output_tokens),
            cached_tokens=_plus(self.cached_tokens, other.cached_tokens),
            reasoning_tokens=_plus(self.reasoning_tokens, other.reasoning_tokens),
        )


def total_usage(usages: Iterable[Usage | None]) -> Usage | None:
    """Add usages up; None where nothing was reported at all."""
    total: Usage | None = None
    for usage in usages:
        if usage is not None:
            total = usage if total is None else total + usage
    return total


def _plus(a: int | None, b: int | None) -> int | None:
    if a is None:
        return b
    return a if b is None else a + b
