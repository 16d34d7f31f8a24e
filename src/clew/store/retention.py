"""Retention: old runs make room. Whole segments go, and payloads that no segment refers to any more."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from clew.journal.layout import journal_folder
from clew.store.index import Index
from clew.store.liveness import life_of, moment
from clew.store.lock import only_one

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from clew.store.rows import SegmentRow

_REFERENCE: Final = re.compile(rb'\$blob\\*":\\*"([0-9a-f]{32})')
_BLOB: Final = re.compile(r"^[0-9a-f]{32}\.gz$")
_CHUNK_BYTES: Final = 4 * 1024 * 1024
_OVERLAP_BYTES: Final = 128
_YOUNG: Final = timedelta(hours=1)
"""A payload is stored before the line that refers to it, which may still wait in its writer's memory."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A file that may go."""

    path: str
    """Below the home directory."""
    size_bytes: int
    last_at: datetime
    """When it was last written to."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a removal would do. Nothing has been removed yet."""

    segments: list[Item]
    """Segments that go, oldest first."""
    blobs: list[Item]
    """Payloads that go with them, and those that nothing refers to as it is."""
    runs: list[str]
    """Runs of which nothing is left then."""
    cut_runs: list[str]
    """Runs of which only a part is left then."""
    freed_bytes: int
    kept_bytes: int
    """What segments and payloads take after that."""


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed."""

    segments: int
    blobs: int
    freed_bytes: int
    faults: list[str]
    """What could not be removed, a sentence each."""


def plan(
    home: Path,
    *,
    older_than: timedelta | None = None,
    keep_bytes: int | None = None,
    now: datetime | None = None,
) -> Plan:
    """Choose what may go. Only what writers left that are sealed or dead; nothing of a living or unknown one.

    Args:
        home: the home directory.
        older_than: segments whose last event is older go.
        keep_bytes: the oldest go until segments and payloads take at most so much.
        now: the time that ages are counted from.
    Changes nothing. Where there are payloads, every segment is read once to find what refers to them.
    """
    now = now or datetime.now(UTC)
    index = Index(home)
    try:
        index.refresh()
        rows = index.segments()
        runs = index.runs_by_segment()
    finally:
        index.close()
    payloads = _Payloads(home, rows, now=now)
    total = sum(row.size for row in rows) + payloads.total_bytes
    kept = {row.path: row for row in rows}
    going: list[Item] = []
    unused = payloads.unused(kept)
    left_bytes = total - _size(unused)
    for row in sorted(_may_go(rows), key=lambda row: (row.last_at, row.path)):
        item = Item(path=f"journal/{row.path}", size_bytes=row.size, last_at=_last_at(row))
        too_old = older_than is not None and now - item.last_at > older_than
        if too_old or (keep_bytes is not None and left_bytes > keep_bytes):
            going.append(item)
            del kept[row.path]
            left_bytes -= item.size_bytes
            if payloads.referred_by(row.path):
                left_bytes += _size(unused)
                unused = payloads.unused(kept)
                left_bytes -= _size(unused)
    left = {run for path in kept for run in runs.get(path, ())}
    gone = {run for row in rows if row.path not in kept for run in runs.get(row.path, ())}
    return Plan(
        segments=going,
        blobs=unused,
        runs=sorted(gone - left),
        cut_runs=sorted(gone & left),
        freed_bytes=total - left_bytes,
        kept_bytes=left_bytes,
    )


def remove(home: Path, chosen: Plan) -> Removed:
    """Remove what a plan chose, unless it has changed since.

    Raises: JournalError where another process repairs or cleans the same place.
    """
    faults: list[str] = []
    with only_one(home):
        # Segments first: if this is cut short, no line is left that refers to a payload which is gone.
        segments = [item for item in chosen.segments if _removed(home, item, faults)]
        blobs = [item for item in chosen.blobs if _removed(home, item, faults)]
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        for folder in {(home / item.path).parent for item in [*segments, *blobs]}:
            if folder.name < today or folder.parent.name == "blobs":  # nobody opens a segment there any more
                with contextlib.suppress(OSError):
                    folder.rmdir()
    return Removed(
        segments=len(segments), blobs=len(blobs), freed_bytes=_size([*segments, *blobs]), faults=faults
    )


class _Payloads:
    """The stored payloads of a home directory, and which segment refers to which."""

    def __init__(self, home: Path, rows: Sequence[SegmentRow], *, now: datetime) -> None:
        self._now = now
        self._items = {path.stem: item for path in home.glob("blobs/*/*") if (item := _blob(home, path))}
        self._referred: dict[str, set[str]] = {}
        self._all_read = True
        for row in rows if self._items else ():
            try:
                self._referred[row.path] = _references(journal_folder(home) / row.path) & self._items.keys()
            except OSError:
                self._all_read = False
        self.total_bytes = _size(self._items.values())

    def referred_by(self, segment: str) -> set[str]:
        """Return the payloads that a segment refers to."""
        return self._referred.get(segment, set())

    def unused(self, segments: Iterable[str]) -> list[Item]:
        """Return the payloads that none of these segments refers to, without those that were just stored.

        Nothing where a segment could not be read, for it may refer to anything.
        """
        if not self._all_read:
            return []
        used = set().union(*(self.referred_by(path) for path in segments))
        return [
            item
            for digest, item in sorted(self._items.items())
            if digest not in used and self._now - item.last_at > _YOUNG
        ]


def _may_go(rows: Sequence[SegmentRow]) -> list[SegmentRow]:
    by_writer: dict[str, list[SegmentRow]] = {}
    for row in rows:
        by_writer.setdefault(row.writer, []).append(row)
    free = []
    for own in by_writer.values():
        life = life_of(next((row.process for row in own if row.process is not None), None))
        sealed = all(row.state.seal is not None for row in own)
        if (life is False and all(row.finished for row in own)) or (life is None and sealed):
            free += own
    return free


def _last_at(row: SegmentRow) -> datetime:
    return moment(row.last_at) or datetime.fromtimestamp(row.mtime_ns / 1e9, tz=UTC)


def _blob(home: Path, path: Path) -> Item | None:
    if _BLOB.match(path.name) is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    at = datetime.fromtimestamp(stat.st_mtime_ns / 1e9, tz=UTC)
    return Item(path=str(path.relative_to(home)), size_bytes=stat.st_size, last_at=at)


def _references(path: Path) -> set[str]:
    found: set[str] = set()
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            text = rest + chunk
            found.update(digest.decode() for digest in _REFERENCE.findall(text))
            rest = text[-_OVERLAP_BYTES:]
    return found


def _removed(home: Path, item: Item, faults: list[str]) -> bool:
    path = home / item.path
    try:
        if path.stat().st_size != item.size_bytes:
            faults.append(f"{item.path} has changed and was kept")
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        faults.append(f"{item.path} cannot be removed: {error.strerror or error}")
        return False
    return True


def _size(items: Iterable[Item]) -> int:
    return sum(item.size_bytes for item in items)
