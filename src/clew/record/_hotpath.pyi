from collections.abc import Callable
from typing import Any

def install(**parts: object) -> tuple[Any, Any, Callable[..., Any], Callable[..., None]]: ...
