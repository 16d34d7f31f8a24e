"""The decorator: every call of a function is a span, whatever kind of function it is."""

from __future__ import annotations

import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, Final

from clew.record.context import current
from clew.record.noop import NoopSpan
from clew.record.span import open_span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from clew.record.span import Span

_SELF: Final = frozenset({"self", "cls"})
_CACHED: Final = functools._lru_cache_wrapper
_CACHE_CALLS: Final = ("cache_info", "cache_clear")  # what else a cache has, `functools.wraps` takes along
_FUNCTIONS: Final = (
    _CACHED,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)


class _Call:
    """How to open the span of one call."""

    def __init__(self, function: Callable[..., Any], name: str | None, kind: str | None) -> None:
        self.name = name or _name_of(function)
        if name is None:
            # A function within a function is known by its own name.
            self.name = self.name.rpartition("<locals>.")[2]
        self._node = self.name if kind is None else (self.name, kind)
        code = getattr(inspect.unwrap(function), "__code__", None)
        first = (
            1 if inspect.ismethod(function) else 0
        )  # what it is bound to is not among the arguments of a call
        self._names: tuple[str, ...] = () if code is None else code.co_varnames[first : code.co_argcount]

    def open(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | NoopSpan:
        inputs: dict[str, Any] = dict(zip(self._names, args, strict=False))
        if len(args) > len(self._names):
            inputs["args"] = args[len(self._names) :]
        for name in _SELF & inputs.keys():
            del inputs[name]
        inputs.update(kwargs)
        return open_span(self._node, {}, start={"inputs": inputs} if inputs else None)


def _name_of(function: Any) -> str:
    """Return what a function is called: never its repr, which has addresses and a partial's arguments in it."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) and name else type(function).__qualname__


def trace_function(function: Any, *, name: str | None, kind: str | None) -> Any:
    """Return a function that records each call of `function` as a span.

    Args:
        function: a function, coroutine function, generator function, async generator function, static or
            class method. What stands for more than its calls (a class, a property, an object with attributes) comes
            back as it is: in its place, a function would be another thing to the program.
        name: the node's name; the function's qualified name where None.
        kind: prompt, tool, retrieval ...
    """
    if type(function) in {staticmethod, classmethod, functools.partial}:
        return _rebuilt(function, name=name, kind=kind)
    if not _is_only_called(function):
        return function
    call = _Call(function, name, kind)
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, call)
    if inspect.isgeneratorfunction(function):
        return _generator(function, call)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, call)
    traced = _plain(function, call)
    if isinstance(function, _CACHED):
        for attribute in _CACHE_CALLS:
            setattr(traced, attribute, getattr(function, attribute))
    return traced


def _rebuilt(function: Any, *, name: str | None, kind: str | None) -> Any:
    """Return the same kind of thing around a traced function."""
    if isinstance(function, functools.partial):
        inner = trace_function(function.func, name=name, kind=kind)
        made: Any = functools.partial(inner, *function.args, **function.keywords)
        is_same = inner is function.func
    else:
        inner = trace_function(function.__func__, name=name, kind=kind)
        made = type(function)(inner)
        is_same = inner is function.__func__
    if is_same:
        return function
    made.__dict__.update({key: value for key, value in vars(function).items() if key != "__wrapped__"})
    return made


def _is_only_called(function: Any) -> bool:
    """Say whether all that a program does with it is to call it, so that a function can stand in its place."""
    if not callable(function) or isinstance(function, type):
        return False
    if isinstance(function, _FUNCTIONS) or hasattr(function, "__code__"):
        return True
    return not any(not attribute.startswith("_") for attribute in dir(function))


def _plain(function: Callable[..., Any], call: _Call) -> Callable[..., Any]:
    @functools.wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Any:
        with call.open(args, kwargs) as span:
            result = function(*args, **kwargs)
            span.output(result)
            return result

    return traced


def _coroutine(function: Callable[..., Any], call: _Call) -> Callable[..., Any]:
    @functools.wraps(function)
    async def traced(*args: Any, **kwargs: Any) -> Any:
        with call.open(args, kwargs) as span:
            result = await function(*args, **kwargs)
            span.output(result)
            return result

    return traced


class _Between:
    """Makes a generator's place current only while the generator's own code runs.

    Between two values the consumer's code runs in the same context, and its spans are not the generator's, nor
    those of a span that the generator holds open over a `yield`.
    """

    def __init__(self, span: Span | NoopSpan) -> None:
        """Open the span, and come back to the consumer's place."""
        self._recorded = not isinstance(span, NoopSpan)
        self._outside = current.get()
        span.__enter__()
        self._inside = current.get()
        current.set(self._outside)

    def __enter__(self) -> None:
        if self._recorded:
            self._outside = current.get()
            current.set(self._inside)

    def __exit__(self, *error: object) -> None:
        if self._recorded:
            self._inside = current.get()
            current.set(self._outside)


def _generator(function: Callable[..., Any], call: _Call) -> Callable[..., Any]:
    @functools.wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        span = call.open(args, kwargs)
        between = _Between(span)
        result: Any = None
        resume: Callable[[Any], Any] = generator.send
        value: Any = None
        try:
            while True:
                with between:
                    try:
                        item = resume(value)
                    except StopIteration as stop:
                        result = stop.value
                        break
                try:
                    value = yield item
                    resume = generator.send
                except GeneratorExit:
                    with between:
                        generator.close()
                    raise
                except BaseException as error:  # thrown in by the consumer: the generator's to handle
                    resume, value = generator.throw, error
        except BaseException as error:
            span.__exit__(type(error), error, error.__traceback__)
            raise
        if result is not None:
            span.output(result)
        span.__exit__(None, None, None)
        return result

    return traced


def _async_generator(function: Callable[..., Any], call: _Call) -> Callable[..., Any]:
    @functools.wraps(function)
    async def traced(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        span = call.open(args, kwargs)
        between = _Between(span)
        resume: Callable[[Any], Any] = generator.asend
        value: Any = None
        try:
            while True:
                with between:
                    try:
                        item = await resume(value)
                    except StopAsyncIteration:
                        break
                try:
                    value = yield item
                    resume = generator.asend
                except GeneratorExit:
                    with between:
                        await generator.aclose()
                    raise
                except BaseException as error:  # thrown in by the consumer: the generator's to handle
                    resume, value = generator.athrow, error
        except BaseException as error:
            span.__exit__(type(error), error, error.__traceback__)
            raise
        span.__exit__(None, None, None)

    return traced
