"""The trace of a run as the process that records it can read it: from its own segments, without the index."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Final

from clew.journal.layout import date_folders, segment_name, segments_in
from clew.journal.marks import looks_sealed
from clew.journal.reader import SegmentReader, read_header
from clew.model.fold import Fold
from clew.model.trace import ExecutionTrace
from clew.store.run_filter import RunFilter

_BEGINS: Final = b'"event":"workflow_started"'


def own_trace(home: Path, run_id: str, *, writer: str) -> ExecutionTrace | None:
    """Return what a run did that this process began, as far as it is in the log.

    Args: writer: id of the process's writer.
    Returns: None where others may have written of the run, or it was begun elsewhere: only the store knows then.
    """
    own, others = _segments(home, writer)
    header = read_header(own[0]) if own else None
    if header is None or not all(_was_sealed(entry, header.wall_ns) for entry in others):
        return None
    fold, of_run = Fold(run_id), RunFilter(run_id)
    collecting = gc.isenabled()
    gc.disable()  # many new objects and not one cycle among them
    try:
        for path in own:
            reader = SegmentReader(path)
            while read := reader.read(final=path != own[-1]):
                lines = of_run(read)
                if lines and not fold.count and _BEGINS not in lines[0]:
                    return None
                fold.add_lines(lines)
        return ExecutionTrace.from_fold(fold) if fold.count else None
    finally:
        if collecting:
            gc.enable()


def _segments(home: Path, writer: str) -> tuple[list[Path], list[os.DirEntry[str]]]:
    """Return the segments of the writer, in order, and those of all others."""
    own: list[tuple[int, Path]] = []
    others: list[os.DirEntry[str]] = []
    for folder in date_folders(home):
        for entry in segments_in(folder):
            name = segment_name(entry.name)
            if name is not None and name[0] == writer:
                own.append((name[1], Path(entry.path)))
            else:
                others.append(entry)
    return [path for _, path in sorted(own)], others


def _was_sealed(entry: os.DirEntry[str], before_ns: int) -> bool:
    """Whether a segment took its last line before that time."""
    try:
        stat = entry.stat()
    except OSError:
        return False
    return stat.st_mtime_ns < before_ns and looks_sealed(stat.st_size)
