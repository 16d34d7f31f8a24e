"""Runs the command line and adds up the CPU time of all that Clew does in it, each thread by its own clock.

    python benchmarks/accounts.py run examples/influenza

Counted: every call of a span, of `event` and `add_metric`, the run's own beginning and end, reading the trace back for the
report, starting the stream, and all of the stream's thread. The clock itself is read twice for each call and is in the sum.
Prints one JSON object to standard error at the end.
"""

from __future__ import annotations

import atexit
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import clew
from clew.record.run import Run
from clew.record.span import Span
from clew.session import session
from clew.stream.pump import Pump

_seconds: dict[str, float] = {}
_calls: dict[str, int] = {}
_lock = threading.Lock()


def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        began = time.thread_time()
        try:
            return function(*args, **options)
        finally:
            took = time.thread_time() - began
            with _lock:
                _seconds[name] = _seconds.get(name, 0.0) + took
                _calls[name] = _calls.get(name, 0) + 1

    return call


def tell() -> None:
    accounts = {
        "cpu_s": time.process_time(),
        "clew_s": sum(_seconds.values()),
        "parts_s": _seconds,
        "calls": _calls,
    }
    sys.stderr.write(json.dumps(accounts) + "\n")


def main() -> None:
    for owner, name in (
        (Span, "__enter__"),
        (Span, "__exit__"),
        (Run, "__enter__"),
        (Run, "__exit__"),
        (clew, "span"),
        (clew, "event"),
        (clew, "add_metric"),
        (session, "start_stream"),
        (session, "read_trace"),
        (Pump, "_run"),
    ):
        setattr(owner, name, counted(f"{getattr(owner, '__name__', 'session')}.{name}", getattr(owner, name)))
    atexit.register(tell)
    from clew.cli.main import main as clew_main

    sys.argv[0] = "clew"
    clew_main()


if __name__ == "__main__":
    main()
