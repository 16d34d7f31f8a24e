"""The outputs of a workflow where others find them: a file of the project, and a name in the home directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from clew.journal.signals import Tolerate
from clew.record.hot import event
from clew.workflow.project import Project


def publish(project: Project, outputs: dict[str, Any], *, home: Path) -> Path | None:
    """Write the outputs to where the project publishes them, and record that. A disk that refuses is recorded too.

    Returns: a file that has them; None where the project publishes nothing, or nothing could be written.
    """
    wanted = project.orchestration
    places = [] if wanted.publish is None else [project.root / wanted.publish]
    if wanted.alias is not None:
        places.append(alias_path(home, wanted.alias))
    if not places:
        return None
    content = msgspec.json.format(msgspec.json.encode(outputs, enc_hook=str), indent=2) + b"\n"
    written = [path for path in places if _write(path, content)]
    return written[0] if written else None


def alias_path(home: Path, alias: str) -> Path:
    """Return the file that an alias names."""
    return home / "outputs" / f"{alias}.json"


def _write(path: Path, content: bytes) -> bool:
    done = False
    with Tolerate(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(content)
        part.replace(path)
        done = True
    more = {} if done else {"error": "it could not be written"}
    level = "INFO" if done else "ERROR"
    event("artifact_saved", level=level, path=str(path), size_bytes=len(content), **more)
    return done
