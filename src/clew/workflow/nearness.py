"""Which name may have been meant, found quickly also where there are thousands of names."""

from __future__ import annotations

import difflib
import string
from collections.abc import Collection, Iterator
from typing import Final

_MOST_COMPARED: Final = 200
"""Names that one is compared with, each as a whole: twenty microseconds a pair."""
_LONGEST: Final = 100
_ALPHABET: Final = f"{string.ascii_letters}{string.digits}_-. "


def nearest(
    name: str, known: Collection[str], *, cutoff: float = 0.6, most: int = _MOST_COMPARED
) -> str | None:
    """Return the known name that is most like a name; None where none is.

    Args:
        name: one that is not known.
        known: a set or mapping.
        cutoff: how much the two have to have in common, 0 to 1, as `difflib` counts.
        most: among more names than these only one counts that differs in one letter, or in the order of two.
    """
    candidates = known if len(known) <= most else {text for text in _one_letter_off(name) if text in known}
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=cutoff)
    return near[0] if near else None


def _one_letter_off(name: str) -> Iterator[str]:
    """Return every text that one letter too many, too few, wrong or swapped with the next one makes of this name."""
    if len(name) > _LONGEST:
        return
    for at in range(len(name) + 1):
        before, after = name[:at], name[at:]
        if after:
            yield before + after[1:]
            yield before + after[1:2] + after[0] + after[2:]
        for letter in _ALPHABET:
            yield before + letter + after
            yield before + letter + after[1:]
