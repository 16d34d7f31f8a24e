"""Signals: small files by which workflows tell each other that they started, completed, failed or are ready."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from clew.errors import SignalTimeoutError, UsageError
from clew.journal.signals import Tolerate
from clew.model.events import format_timestamp
from clew.record.hot import event

KINDS: Final = ("started", "completed", "failed", "ready")
_POLL_S: Final = 0.05
_NAME: Final = re.compile(r"^(?:signal:)?(?P<workflow>[\w.-]+)\.(?P<kind>started|completed|failed|ready)$")


class Signals:
    """The signals of a home directory."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "signals"

    def path(self, workflow: str, kind: str) -> Path:
        """Return the file of a signal."""
        safe = re.sub(r"[^\w.-]", "_", workflow).lstrip(".") or "_"
        return self._folder / f"{safe}.{kind}"

    def emit(
        self,
        kind: str,
        workflow: str,
        *,
        run_id: str | None,
        metadata: dict[str, Any],
        outputs_path: Path | None = None,
    ) -> None:
        """Write a signal, and record that. A disk that refuses is recorded too, and nothing else happens."""
        told = {
            "signal_type": kind,
            "run_id": run_id,
            "timestamp": format_timestamp(datetime.now(tz=UTC)),
            "workflow": workflow,
            "outputs_path": None if outputs_path is None else str(outputs_path),
            "metadata": metadata,
        }
        path = self.path(workflow, kind)
        error: str | None = "it could not be written"
        with Tolerate(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(msgspec.json.format(msgspec.json.encode(told, enc_hook=str), indent=2) + b"\n")
            part.replace(path)
            error = None
        more = {} if error is None else {"error": error}
        event(
            "signal_emitted",
            level="INFO" if error is None else "ERROR",
            signal_type=kind,
            workflow=workflow,
            **more,
        )

    def clear(self, workflow: str) -> None:
        """Take back what an earlier run of a workflow said, before a new one begins."""
        for kind in KINDS:
            with Tolerate(OSError):
                self.path(workflow, kind).unlink(missing_ok=True)

    def wanted(self, text: str) -> tuple[Path, str, str]:
        """Read what somebody wants to wait for: `name.kind`, `signal:name.kind`, or a path of a file.

        Returns: the file, the workflow and the kind.
        Raises: UsageError: it is neither.
        """
        match = _NAME.match(text)
        if match is not None and "/" not in text:
            return self.path(match["workflow"], match["kind"]), match["workflow"], match["kind"]
        if "/" in text:
            return Path(text), Path(text).stem, Path(text).suffix.lstrip(".") or "file"
        raise UsageError(
            f"--wait-for: {text!r} is no signal; write WORKFLOW.completed, or the path of a file"
        )

    async def wait(self, texts: list[str], *, timeout_s: float) -> None:
        """Wait until all of these are there, and record each as it comes.

        Raises: SignalTimeoutError, UsageError.
        """
        began = time.monotonic()
        waiting = [(text.removeprefix("signal:"), *self.wanted(text)) for text in texts]
        while waiting:
            for item in list(waiting):
                _, path, workflow, kind = item
                if path.exists():
                    waiting.remove(item)
                    waited_ms = (time.monotonic() - began) * 1e3
                    event("signal_received", signal_type=kind, workflow=workflow, waited_ms=waited_ms)
            if not waiting:
                return
            if time.monotonic() - began >= timeout_s:
                missing = ", ".join(text for text, *_ in waiting)
                raise SignalTimeoutError(f"{missing} did not come within {timeout_s:g} s")
            await asyncio.sleep(min(_POLL_S, timeout_s))
