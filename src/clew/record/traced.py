"""The decorator: every call of a function is a span, whatever kind of function it is."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

from clew.record.context import current
from clew.record.noop import NoopSpan
from clew.record.span import open_span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from clew.record.span import Span

_SELF: Final = frozenset({"self", "cls"})


class _Call:
    """How to open the span of one call."""

    def __init__(self, function: Callable[..., Any], name: str | None, kind: str | None) -> None:
        self.name = name or getattr(function, "__qualname__", None) or repr(function)
        if name is None:
            # A function within a function is known by its own name.
            self.name = self.name.rpartition("<locals>.")[2]
        self._node = self.name if kind is None else (self.name, kind)
        code = getattr(inspect.unwrap(function), "__code__", None)
        self._names: tuple[str, ...] = () if code is None else code.co_varnames[: code.co_argcount]

    def open(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | NoopSpan:
        inputs: dict[str, Any] = dict(zip(self._names, args, strict=False))
        if len(args) > len(self._names):
            inputs["args"] = args[len(self._names) :]
        for name in _SELF & inputs.keys():
            del inputs[name]
        inputs.update(kwargs)
        return open_span(self._node, {}, start={"inputs": inputs} if inputs else None)


def trace_function(function: Any, *, name: str | None, kind: str | None) -> Any:
    """Return a function that records each call of `function` as a span.

    Args:
        function: a function, coroutine function, generator function, async generator function, static or
            class method.
        name: the node's name; the function's qualified name where None.
        kind: prompt, tool, retrieval ...
    """
    if isinstance(function, staticmethod | classmethod):
        return type(function)(trace_function(function.__func__, name=name, kind=kind))
    call = _Call(function, name, kind)
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, call)
    if inspect.isgeneratorfunction(function):
        return _generator(function, call)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, call)
    return _plain(function, call)


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
