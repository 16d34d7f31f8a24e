"""Which process wrote a segment, and whether that process still lives.

A process id alone says little, for ids are used again: a process is its id, its start time and the boot that
it started in.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import msgspec

from clew.journal.signals import let_through


class Process(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a segment's header says of the process that wrote it."""

    pid: int
    """Process id."""
    host: str
    """Host name."""
    started: str | None = None
    """Start time in clock ticks since boot; None where the system does not tell."""
    boot: str | None = None
    """Id of the boot; None where the system does not tell."""
    namespace: str | None = None
    """The name space that the process id is from (containers have their own)."""


def this_process() -> Process:
    """Describe the calling process."""
    pid = os.getpid()
    return Process(pid=pid, host=_host(), started=_started(pid), boot=_boot(), namespace=_namespace())


def is_alive(process: Process) -> bool | None:
    """Say whether a process still runs; None where this cannot be known from here."""
    if process.host != _host() or (process.namespace is not None and process.namespace != _namespace()):
        return None
    if process.boot is not None and process.boot != _boot():
        return False
    if process.started is not None:
        started = _started(process.pid)
        return started == process.started
    if process.pid <= 0:
        return False  # to `kill` these are groups of processes
    try:
        os.kill(process.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _started(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError as error:
        let_through(error)
        return None
    # The command in parentheses may hold anything, so fields are counted from its last parenthesis.
    fields = stat[stat.rfind(b")") + 2 :].split()
    zombie = fields[0] in {b"Z", b"X"}
    return None if zombie else fields[19].decode()


@functools.cache
def _host() -> str:
    # `socket` says the same, but takes milliseconds to load in every program that records.
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


@functools.cache
def _boot() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError as error:
        let_through(error)
        return None


@functools.cache
def _namespace() -> str | None:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError as error:
        let_through(error)
        return None
