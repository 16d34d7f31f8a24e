"""The place in a run follows the work: into threads, thread pools, processes, process pools and subprocesses.

While a run is open, the few methods of the standard library that start such work are wrapped; when the last
run ends they are as they were. Python itself already carries context variables into tasks and `to_thread`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any, Final

from clew.journal.signals import Tolerate
from clew.model.ids import NO_SPAN, parse_traceparent
from clew.record.context import RunScope, Scope, ambient, current

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from clew.record.recorder import Recorder

_HEADER: Final = "TRACEPARENT"
_STATE: Final = "TRACESTATE"
_HOME: Final = "CLEW_HOME"
VARIABLES: Final = (_HEADER, _STATE, _HOME)
"""What a run puts into the environment while it is open."""
_MEMBER: Final = "clew="
_lock = threading.RLock()
_undo: Final[list[Callable[[], None]]] = []
_following: Final[list[Scope]] = []


class Carried:
    """A callable that runs at a given place in a run, in another thread of this process."""

    def __init__(self, function: Callable[..., Any], scope: Scope) -> None:
        self._function = function
        self._scope = scope

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = current.get()
        current.set(self._scope)
        try:
            return self._function(*args, **kwargs)
        finally:
            current.set(before)


class Shipped:
    """A callable that runs at a given place in a run, in another process. Pickles with the function."""

    def __init__(self, function: Callable[..., Any], variables: dict[str, str]) -> None:
        self._function = function
        self._variables = variables

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        scope = arrive(self._variables)
        _end_tidily()
        before = current.get()
        current.set(scope or before)
        try:
            return self._function(*args, **kwargs)
        finally:
            current.set(before)


class _Process:
    """What a session tells this module of its process."""

    recorder: Callable[[], Recorder | None] = staticmethod(lambda: None)
    at_end: Callable[[], None] = staticmethod(lambda: None)
    ending_pid: int | None = None


def set_process_hooks(*, recorder: Callable[[], Recorder | None], at_end: Callable[[], None]) -> None:
    """Say where work that arrives from another process finds a recorder, and what to do when this one ends."""
    _Process.recorder = staticmethod(recorder)
    _Process.at_end = staticmethod(at_end)


def _end_tidily() -> None:
    """Have `multiprocessing` close the journal: its children leave without running `atexit`."""
    if _Process.ending_pid == os.getpid() or "multiprocessing.util" not in sys.modules:
        return
    _Process.ending_pid = os.getpid()
    finalize = sys.modules["multiprocessing.util"].Finalize
    finalize(None, _Process.at_end, exitpriority=0)


def variables_of(scope: Scope) -> dict[str, str]:
    """Return the environment variables that lead another process to a place in a run (W3C names)."""
    run = scope.run
    home = run.recorder.home
    variables = {
        _HEADER: scope.traceparent(),
        _STATE: f"{_MEMBER}{run.root_run_id}.{run.depth}",
    }
    if home is not None:
        variables[_HOME] = str(home)
    return variables


def arrive(variables: dict[str, str] | os._Environ[str]) -> Scope | None:
    """Return the place that another process of Clew left in these variables; None where there is none."""
    parent = parse_traceparent(variables.get(_HEADER, ""))
    state = next((m for m in variables.get(_STATE, "").split(",") if m.strip().startswith(_MEMBER)), None)
    if parent is None or state is None:
        return None
    recorder = _Process.recorder()
    if recorder is None:
        return None
    root, _, depth = state.strip().removeprefix(_MEMBER).partition(".")
    here = current.get()
    if here is not None and here.run.run_id == parent.run_id:
        run = here.run  # a forked child: the same run, and its templates
    else:
        run = RunScope(
            recorder,
            parent.run_id,
            root_run_id=root or parent.run_id,
            depth=int(depth) if depth.isdigit() else 0,
            sampled=parent.sampled,
        )
    return Scope(run, NO_SPAN if parent.span_id == parent.run_id[16:] else parent.span_id)


def traceparent() -> str | None:
    """Return the current place as a W3C `traceparent`; None outside a run."""
    scope = current.get()
    return None if scope is None else scope.traceparent()


def follow(scope: Scope) -> None:
    """Begin to carry places into what the program starts. Never raises."""
    with _lock:
        _following.append(scope)
        if len(_following) == 1:
            with Tolerate(Exception):
                _wrap_all()
            with Tolerate(Exception):
                _set_environment(scope)


def unfollow(scope: Scope) -> None:
    """A run ended; the last one takes the wraps off. Never raises."""
    with _lock:
        if scope not in _following:
            return
        _following.remove(scope)
        while _undo and not _following:
            with Tolerate(Exception):
                _undo.pop()()


def _new_lock_in_child() -> None:
    """Another thread of the parent may have held the lock in the instant of the fork."""
    global _lock
    _lock = threading.RLock()


def _set_environment(scope: Scope) -> None:
    for name, value in variables_of(scope).items():
        before = os.environ.get(name)
        os.environ[name] = value
        _undo.append(_restoring(name, before, value))


def _restoring(name: str, before: str | None, ours: str) -> Callable[[], None]:
    def restore() -> None:
        if os.environ.get(name) != ours:
            return  # the program set it itself
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before

    return restore


def _wrap_all() -> None:
    _wrap(threading.Thread, "start", _thread_start)
    for module in _LATER:
        if module in sys.modules:
            _wrap_module(module)
    # A program imports its pools when it likes; importing them here would cost every run their loading.
    sys.meta_path.insert(0, _watch)
    _undo.append(lambda: sys.meta_path.remove(_watch))


def _wrap_module(module: str) -> None:
    owner, names, make = _LATER[module]
    for name in names:
        _wrap(getattr(sys.modules[module], owner), name, make)


def _wrap(owner: type, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    original = owner.__dict__[name]
    wrap = make(original)
    setattr(owner, name, wrap)

    def undo() -> None:
        # Else somebody wrapped our wrap, which does nothing outside a run.
        if owner.__dict__.get(name) is wrap:
            setattr(owner, name, original)

    _undo.append(undo)


class _Watch:
    """Sees a module come in, and wraps what it brings once it is loaded."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find the few modules that matter as Python would, and be told when they are loaded."""
        if fullname not in _LATER:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        loader = None if spec is None else spec.loader
        if loader is None:
            return spec
        load = loader.exec_module

        def load_and_wrap(module: ModuleType) -> None:
            del loader.exec_module
            load(module)
            with _lock, Tolerate(Exception):
                if _following:
                    _wrap_module(fullname)

        loader.exec_module = load_and_wrap  # type: ignore[method-assign]
        return spec


_watch: Final = _Watch()


def _thread_start(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: threading.Thread) -> Any:
        scope = current.get()
        target = getattr(self, "_target", None)
        if scope is not None and getattr(target, "__module__", "") != "concurrent.futures.thread":
            with contextlib.suppress(AttributeError):
                _carry(self, scope)
        return original(self)

    return start


def _carry(thread: threading.Thread, scope: Scope) -> None:
    """Have a thread begin at a place in a run, with no frame of ours in the traceback of what it raises."""
    if hasattr(thread, "_context"):  # Python 3.14: it enters a context of its own after the beginning
        thread.run = Carried(thread.run, scope)  # type: ignore[method-assign]
        return
    begin = thread._bootstrap  # type: ignore[attr-defined]

    def bootstrap() -> None:
        thread.__dict__.pop("_bootstrap", None)  # gone already where two wraps lie over each other
        current.set(scope)
        begin()

    thread._bootstrap = bootstrap  # type: ignore[attr-defined]


def _pool_submit(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        scope = current.get()
        return original(self, fn if scope is None else Carried(fn, scope), *args, **kwargs)

    return submit


def _process_pool_submit(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        scope = current.get()
        return original(self, fn if scope is None else Shipped(fn, variables_of(scope)), *args, **kwargs)

    return submit


def _pool_task(original: Callable[..., Any]) -> Callable[..., Any]:
    def task(self: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        scope = current.get()
        if scope is None:
            return original(self, func, *args, **kwargs)
        if isinstance(self, sys.modules["multiprocessing.pool"].ThreadPool):
            return original(self, Carried(func, scope), *args, **kwargs)
        return original(self, Shipped(func, variables_of(scope)), *args, **kwargs)

    return task


def _process_start(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: Any) -> Any:
        scope = current.get()
        if scope is not None and getattr(self, "_target", None) is not None:
            self._target = Shipped(self._target, variables_of(scope))
        return original(self)

    return start


def _popen(original: Callable[..., Any]) -> Callable[..., Any]:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it stands in for that method
        scope = current.get()
        if scope is not None and len(args) <= _ENV_POSITION:
            with Tolerate(Exception):
                given = kwargs.get("env")
                if given is None:
                    kwargs["env"] = {**os.environ, **variables_of(scope)}
                elif given.get(_HEADER) == os.environ.get(_HEADER):
                    # A copy of ours, with changes. An environment without a place in a run is left as it is.
                    kwargs["env"] = {**given, **variables_of(scope)}
        original(self, *args, **kwargs)

    return __init__


_ENV_POSITION: Final = 10
_LATER: Final[dict[str, tuple[str, tuple[str, ...], Callable[[Callable[..., Any]], Callable[..., Any]]]]] = {
    "subprocess": ("Popen", ("__init__",), _popen),
    "concurrent.futures.thread": ("ThreadPoolExecutor", ("submit",), _pool_submit),
    "concurrent.futures.process": ("ProcessPoolExecutor", ("submit",), _process_pool_submit),
    "multiprocessing.process": ("BaseProcess", ("start",), _process_start),
    # What all the others (`map`, `starmap`, `apply` ...) come down to.
    "multiprocessing.pool": ("Pool", ("apply_async", "_map_async", "imap", "imap_unordered"), _pool_task),
}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock_in_child)


def inherit() -> None:
    """Take the place that this process was started from, if Clew left one in its environment."""
    ambient.inherited = arrive(os.environ)
