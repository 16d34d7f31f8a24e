"""The outputs of a workflow where others find them: a file of the project, and a name in the home directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from clew.export.folder import whole_file
from clew.journal.signals import Tolerate
from clew.record.hot import event
from clew.workflow.project import Project


def publish(
    project: Project, outputs: dict[str, Any], *, home: Path, told: Callable[[str], None]
) -> Path | None:
    """Write the outputs to where the project publishes them, and record that.

    Args: project: says where. outputs: what is written. home: where aliases are. told: of a disk that refuses, which
        is recorded too and is no failure of the run.
    Returns: a file that has them; None where the project publishes nothing, or nothing could be written.
    """
    wanted = project.orchestration
    places = [] if wanted.publish is None else [project.root / wanted.publish]
    if wanted.alias is not None:
        places.append(alias_path(home, wanted.alias))
    if not places:
        return None
    content = msgspec.json.format(msgspec.json.encode(outputs, enc_hook=str), indent=2) + b"\n"
    written = [path for path in places if _write(path, content, told)]
    return written[0] if written else None


def alias_path(home: Path, alias: str) -> Path:
    """Return the file that an alias names."""
    return home / "outputs" / f"{alias}.json"


def _write(path: Path, content: bytes, told: Callable[[str], None]) -> bool:
    error: str | None = "it could not be written"
    with Tolerate(OSError):
        try:
            with whole_file(path) as file:
                file.write(content)
            error = None
        except OSError as refused:
            error = refused.strerror or str(refused)
            raise
    if error is not None:
        told(f"the outputs could not be published to {path}: {error}")
    more = {} if error is None else {"error": error}
    level = "INFO" if error is None else "ERROR"
    event("artifact_saved", level=level, path=str(path), size_bytes=len(content), **more)
    return error is None
