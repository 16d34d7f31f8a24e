"""The SQLite file behind the index, or memory where there can be no such file.

Nothing here is worth keeping: what cannot be used is thrown away and made again from the segments.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import weakref
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, Final, Literal

from clew.journal.layout import journal_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INDEX_NAME: Final = "index.sqlite"
VERSION: Final = 4
_APPLICATION: Final = 0x434C4557  # "CLEW"
_PATIENCE_S: Final = 2.0
_TABLES: Final = """
CREATE TABLE segments(path TEXT PRIMARY KEY, writer TEXT, inode INT, size INT, mtime_ns INT, finished INT,
                      row BLOB) WITHOUT ROWID;
CREATE INDEX segments_by_writer ON segments(writer);
CREATE TABLE parts(path TEXT, run_id TEXT, row BLOB, PRIMARY KEY(path, run_id)) WITHOUT ROWID;
CREATE INDEX parts_by_run ON parts(run_id);
CREATE TABLE writers(writer TEXT PRIMARY KEY, row BLOB) WITHOUT ROWID;
CREATE TABLE runs(run_id TEXT PRIMARY KEY, started_at TEXT, unsettled INT, row BLOB) WITHOUT ROWID;
CREATE INDEX runs_unsettled ON runs(unsettled) WHERE unsettled;
"""
_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
"""What SQLite keeps beside a file."""


def is_damage(error: Exception) -> bool:
    """Say whether an error of the index comes from what is in its file, so that it has to be made again.

    It may be of any type: a damaged file may hold texts that are no UTF-8, in the messages of SQLite too, and rows
    that are nothing at all. An error of the system's says nothing of the contents, and neither does a lock.
    """
    if isinstance(error, sqlite3.OperationalError):
        # Python's own have no code: a text of the file that is no UTF-8.
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR
    return not isinstance(error, OSError)


class Database:
    """A connection to the index, in its file if that is possible."""

    def __init__(self, home: Path) -> None:
        self._path = home / INDEX_NAME
        self.in_memory = False
        # A place without a journal gets no index either: it may be somebody's folder, named by mistake.
        self.connection = self._open() if _has_journal(home) else self._copy()
        self._close = weakref.finalize(self, _close_quietly, [self.connection])

    def close(self) -> None:
        """Let go of the file."""
        self._close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the right to write, and keep what was written only if the block ends well.

        Raises: sqlite3.Error where the file cannot be written or is held for too long.
        """
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            with contextlib.suppress(Exception):  # the first error is the one that counts
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def rebuild(self) -> None:
        """Throw the file away and begin an empty one; in memory where the file cannot be thrown away."""
        self._close()
        if self.in_memory or not _remove(self._path):
            self._use(_in_memory())
        else:
            self._use(self._open())

    def move_to_memory(self) -> None:
        """Go on in memory with what the file has, if that can be read at all."""
        self._close()
        self._use(self._copy())

    def start_empty_in_memory(self) -> None:
        """Forget the file and whatever is in it."""
        self._close()
        self._use(_in_memory())

    def _use(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._close = weakref.finalize(self, _close_quietly, [connection])

    def _open(self) -> sqlite3.Connection:
        """Return a connection to a file that is a sound index of ours, else to memory."""
        for _ in range(2):
            if not _are_files(self._path):
                break
            try:
                connection = _open_file(self._path)
            except (OSError, sqlite3.OperationalError):
                break  # no right to write here, or somebody holds it
            kind = _kind(connection)
            if kind == "ours":
                self.in_memory = False
                return connection
            _close_quietly([connection])
            # A later Clew works here as well: its index is left to it.
            if kind == "newer" or not _remove(self._path):
                break
        return self._copy()

    def _copy(self) -> sqlite3.Connection:
        """Return a connection to memory, with what the file has if that can be read."""
        self.in_memory = True
        copy = _in_memory()
        if not _are_files(self._path):
            return copy
        # Whatever is wrong with the file, there is nothing in it that the segments do not say as well.
        with contextlib.suppress(Exception), contextlib.closing(_read_only(self._path)) as source:
            if _kind(source) == "ours":
                source.backup(copy)
        if _kind(copy) == "ours":
            return copy
        copy.close()
        return _in_memory()


def look_at(home: Path) -> Literal["missing", "sound", "newer", "unusable"]:
    """Say in which state the index's file is, without touching it."""
    path = home / INDEX_NAME
    try:
        if not path.exists():
            return "missing"
        if not _are_files(path):
            return "unusable"
        with contextlib.closing(_read_only(path)) as connection:
            kind = _kind(connection)
    except Exception:
        return "unusable"
    return "sound" if kind == "ours" else "newer" if kind == "newer" else "unusable"


def _are_files(path: Path) -> bool:
    """Say whether a database and what SQLite keeps beside it are regular files, or not there.

    To open a pipe is to wait for whoever is at its other end, for ever if need be.
    """
    for suffix in _SUFFIXES:
        try:
            if not S_ISREG(path.with_name(path.name + suffix).stat().st_mode):
                return False
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def _read_only(path: Path) -> sqlite3.Connection:
    # Immutable: no lock and no shared memory file, which a read-only folder could not hold. But what another
    # process has not yet brought home into the file is then not seen.
    how = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=_PATIENCE_S)


def _open_file(path: Path) -> sqlite3.Connection:
    # SQLite would create the file readable for everybody.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
    try:
        if _pragma(connection, "user_version") == 0 and not _tables(connection):
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            connection.execute("BEGIN IMMEDIATE")
            if not _tables(connection):  # another process may have been quicker
                _create(connection)
            connection.execute("COMMIT")
        connection.execute("PRAGMA synchronous=NORMAL")
    except Exception as error:
        if not is_damage(error):
            _close_quietly([connection])
            raise
        # No database, or a damaged one, which the caller will find out.
    return connection


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _create(connection)
    return connection


def _create(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={_APPLICATION}")
    connection.execute(f"PRAGMA user_version={VERSION}")


def _has_journal(home: Path) -> bool:
    try:
        return journal_folder(home).is_dir()
    except OSError:
        return False


def _kind(connection: sqlite3.Connection) -> str:
    """Say whose database this is: ours, newer, or other (an older one of ours too, and no database at all)."""
    try:
        if _pragma(connection, "application_id") != _APPLICATION:
            return "other"
        version = _pragma(connection, "user_version")
        if version > VERSION:
            return "newer"
        complete = {"segments", "parts", "writers", "runs"} <= _tables(connection)
    except Exception:
        return "other"
    return "ours" if version == VERSION and complete else "other"


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _tables(connection: sqlite3.Connection) -> set[Any]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}


def _remove(path: Path) -> bool:
    """Delete a database file and what SQLite keeps beside it; say whether that worked."""
    try:
        for suffix in _SUFFIXES:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _close_quietly(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        with contextlib.suppress(Exception):  # of a damaged file it may complain in any way
            connection.close()
