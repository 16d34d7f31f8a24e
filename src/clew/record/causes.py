"""What an error was raised from or while handling, and the notes that were added to it, as Python prints both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from clew.journal.signals import Tolerate
from clew.record.plain import safe_str

DIRECT: Final = "The above exception was the direct cause of the following exception:"
DURING: Final = "During handling of the above exception, another exception occurred:"
LEFT_OUT: Final = "… more causes"
_MOST: Final = 5
_MOST_NOTES: Final = 20


class Cause(NamedTuple):
    """An error, and how the one before it came of it."""

    error: BaseException
    how: str


def causes_of(error: BaseException) -> tuple[list[Cause], bool]:
    """Return what led to an error, nearest first, and whether there is more than is returned.

    What was raised `from None` has no cause; neither has, in a circle of causes, the one that closes it.
    """
    found: list[Cause] = []
    seen = {id(error)}
    while True:
        if error.__cause__ is not None:
            cause = Cause(error.__cause__, DIRECT)
        elif error.__context__ is not None and not error.__suppress_context__:
            cause = Cause(error.__context__, DURING)
        else:
            return found, False
        error = cause.error
        if id(error) in seen:
            return found, False
        if len(found) == _MOST:
            return found, True
        seen.add(id(error))
        found.append(cause)


def notes_of(error: BaseException) -> list[str]:
    """Return what `add_note` added; anything may stand there, if a program wrote to `__notes__` itself."""
    with Tolerate(Exception):
        notes = getattr(error, "__notes__", ())
        if isinstance(notes, Sequence) and not isinstance(notes, str):
            texts = [safe_str(note) for note in notes[:_MOST_NOTES]]
            return [*texts, f"… {len(notes) - _MOST_NOTES} more notes"] if len(notes) > _MOST_NOTES else texts
    return []
