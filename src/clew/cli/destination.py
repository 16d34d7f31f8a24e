"""Files that a command writes because it was told to: complete or not there at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from clew.errors import UsageError
from clew.export.folder import whole_file

STDOUT: Final = "-"
"""What names standard output in the place of a file."""


class DestinationError(UsageError):
    """A file that was named on the command line cannot be written there."""


@contextlib.contextmanager
def destination(path: Path, *, option: str) -> Iterator[BinaryIO]:
    """Give a stream for a file that takes its place only when it is complete.

    A device or a pipe is written to as it is. What a link points to is replaced, not the link.

    Args: option: what the user gave the path to, for the message.
    Raises: DestinationError where nothing can be written there; OSError where it fails on the way, as on a full disk.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise DestinationError(f"{option}: {path} cannot be written: {error.strerror}") from None
    if path.is_dir():
        raise DestinationError(f"{option}: {path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        with refusals_named(option, path), path.open("wb") as out:
            yield out
        return
    if not path.parent.is_dir():
        raise DestinationError(f"{option}: there is no folder {path.parent}")
    with refusals_named(option, path), whole_file(path.resolve() if path.is_symlink() else path) as out:
        yield out


@contextlib.contextmanager
def refusals_named(option: str, path: Path) -> Iterator[None]:
    """Turn a refusal to write below a path that the user gave into an error of the user's.

    Raises: DestinationError; OSError for what failed otherwise, which names the path and no unfinished file.
    """
    try:
        yield
    except (PermissionError, NotADirectoryError) as error:
        raise DestinationError(f"{option}: {path} cannot be written: {error.strerror}") from error
    except OSError as error:
        if error.filename is None or str(error.filename).endswith(".tmp"):
            error.filename = str(path)
        raise
