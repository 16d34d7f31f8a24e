"""What manifests are called. It imports nothing, so that a command can look whether a folder is a project."""

from __future__ import annotations

from typing import Final

MANIFESTS: Final = ("clew.yaml", "agent.tml", "trident.tml", "trident.yaml")
"""Where a folder has several, the first of these counts."""
