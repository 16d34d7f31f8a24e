"""Optional libraries, imported when first needed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from clew.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType


def require(name: str, *, extra: str) -> ModuleType:
    """Import the optional module `name`.

    Raises: MissingExtraError with the exact pip line where it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.partition(".")[0]
        raise MissingExtraError(
            f"{top} is not installed; get it with: pip install 'clew[{extra}]'"
        ) from error
