"""The compiled hot path writes what the Python of the same calls writes, byte for byte, and is really at work.

The Python is the reference: whatever the tests of this folder say of it holds for both, and `make test` runs them once
with each.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clew
from clew.journal.writer import JournalWriter
from clew.record import hot
from clew.record.clock import SystemClock
from clew.record.span import Span
from clew.testing import FakeClock, Recording, recording
from tests.record.odd_values import any_text, any_value
from tests.record.python_calls import python_calls

pytestmark = pytest.mark.skipif(
    not hot.IS_COMPILED and shutil.which("cc") is None,
    reason="there is no C compiler, so there is no compiled module",
)


def test_the_compiled_module_was_built_where_there_is_a_compiler() -> None:
    assert hot.IS_COMPILED


# --- the same lines --------------------------------------------------------------------------------------------------

names = (
    st.sampled_from(["a", "retrieve", "é", 'quo"te', "back\\slash", "line\nbreak", "", "password"])
    | st.sampled_from(["name", "value", "key", "Value"])  # one may name what another holds
    | any_text
)
plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["x" * 4000, "é" * 3000, "token=abcdef123456", "sk-abcdefghijklmnopqrst", "\ud800", "\x7f"]
    )
)
values = plain | any_value
fields = st.dictionaries(names, plain, max_size=4) | st.dictionaries(names, values, max_size=3)
levels = st.sampled_from(["INFO", "DEBUG", "loud"])

Step = tuple[Any, ...]
steps: st.SearchStrategy[Step] = st.deferred(
    lambda: (
        st.tuples(st.just("event"), names, fields)
        | st.tuples(st.just("event at"), names, fields, levels, st.none() | names)
        | st.tuples(st.just("later"), st.integers(0, 3_000_000) | st.integers(0, 10**15))
        | st.tuples(st.just("metric"), names, values)
        | st.tuples(st.just("set"), fields)
        | st.tuples(st.just("output"), values)
        | st.tuples(st.just("raise"))
        | st.tuples(st.just("span"), names, st.none() | st.just("tool"), fields, st.lists(steps, max_size=3))
    )
)


class Stop(Exception):  # noqa: N818 - the program's own way of leaving a block
    pass


def do(step: Step, clock: FakeClock, span: Callable[..., Any], event: Callable[..., None]) -> None:
    match step:
        case ("event", name, data):
            event(name, **data)
        case ("event at", name, data, level, node):
            event(name, **{**data, "level": level, "node": node})
        case ("later", ns):
            clock.advance(ns=ns)
        case ("metric", name, value):
            clew.current_span().metrics[name] = value
        case ("set", data):
            clew.current_span().attributes.update(data)
        case ("output", value):
            clew.current_span().output(value)
        case ("raise",):
            raise Stop
        case ("span", name, kind, attributes, inner):
            given = attributes if kind is None else {**attributes, "kind": kind}
            with contextlib.suppress(Stop), span(name, **given):
                for each in inner:
                    do(each, clock, span, event)


@contextlib.contextmanager
def only_python() -> Iterator[tuple[Callable[..., Any], Callable[..., None]]]:
    """Take the compiled methods away for a while."""
    compiled = Span.__enter__, Span.__exit__
    enter, leave, span, event = hot.REFERENCE
    Span.__enter__, Span.__exit__ = enter, leave  # type: ignore[method-assign]
    try:
        yield span, event
    finally:
        Span.__enter__, Span.__exit__ = compiled  # type: ignore[method-assign]


def lines_of(program: list[Step], span: Callable[..., Any], event: Callable[..., None]) -> list[bytes]:
    clock = FakeClock(tick_ns=1234)
    with recording(clock=clock, capture="full") as log:
        for _ in range(2):  # the second time all names are known, and the quick way is taken
            with contextlib.suppress(Stop), clew.run("r"):
                for step in program:
                    do(step, clock, span, event)
        return log.lines()


@given(st.lists(steps, max_size=6))
def test_both_forms_write_the_same_lines(program: list[Step]) -> None:
    compiled = lines_of(program, clew.span, clew.event)
    with only_python() as (span, event):
        assert lines_of(program, span, event) == compiled


# --- it is really at work, and only where it may ----------------------------------------------------------------------


def plain_work() -> None:
    with clew.span("retrieve", k=3, index="wiki", share=0.5, last=None, ok=True, who="é") as span:
        span.metrics["found"] = 7
        clew.event("found", documents=7)
    clew.event("nothing")


def test_a_plain_span_and_a_plain_event_take_no_python_at_all() -> None:
    with recording(clock=SystemClock()), clew.run("r"):
        plain_work()
        plain_work()
        # Another second, the first event of a place, the ring in memory, and what the program itself asked for.
        assert set(python_calls(plain_work)) <= {"advance", "where", "write", "metrics", "_later", "_more"}


def test_without_a_run_nothing_of_ours_is_called() -> None:
    def outside() -> None:
        with clew.span("retrieve", k=3):
            pass

    assert python_calls(outside) == []
    assert clew.span("x") is clew.NOOP_SPAN


def test_the_functions_look_like_those_that_they_stand_for() -> None:
    *_, span, event = hot.REFERENCE
    for function, reference in ((clew.span, span), (clew.event, event)):
        shown = inspect.signature(function)
        meant = inspect.signature(reference)
        assert [(p.name, p.kind, p.default) for p in shown.parameters.values()] == [
            (p.name, p.kind, p.default) for p in meant.parameters.values()
        ]
        assert inspect.getdoc(function) == inspect.getdoc(reference)
        assert pickle.loads(pickle.dumps(function)) is function


def test_the_setting_leaves_it_out() -> None:
    ask = "from clew.record.hot import IS_COMPILED; print(IS_COMPILED)"
    env = {**os.environ, "CLEW_COMPILED": "false"}
    assert subprocess.check_output([sys.executable, "-c", ask], env=env, text=True) == "False\n"
    assert subprocess.check_output([sys.executable, "-c", ask], text=True) == "True\n"


@pytest.mark.parametrize("arguments", [(), ("a", "b"), (1, 2, 3)])
@pytest.mark.parametrize("function", [clew.span, clew.event])
def test_a_call_that_python_would_refuse_is_refused(
    log: Recording, function: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    with clew.run("r"), pytest.raises(TypeError):
        function(*arguments)


@pytest.mark.parametrize("arguments", [(), (None,), (None, None, None, None)])
def test_an_end_with_the_wrong_number_of_arguments_is_refused(
    log: Recording, arguments: tuple[None, ...]
) -> None:
    with clew.run("r"):
        leave: Callable[..., object] = clew.span("a").__exit__
        with pytest.raises(TypeError):
            leave(*arguments)


def test_objects_that_are_half_made_or_used_twice_do_no_harm(log: Recording) -> None:
    with clew.run("r"):
        never = clew.span("never entered")
        never.__exit__(None, None, None)
        twice = clew.span("twice")
        with twice, twice:
            pass
        empty = Span.__new__(Span)
        with pytest.raises(AttributeError):
            empty.__enter__()
        with pytest.raises(AttributeError):
            empty.__exit__(None, None, None)
        with pytest.raises(TypeError):
            Span.__enter__(object())  # type: ignore[type-var]
    assert log.recorder.guard.faults


def test_a_field_that_somebody_broke_is_a_fault_of_ours_and_contained(
    log: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []
    for name, wrong in {
        "writer_part": 7, "span_prefix": None, "first_span": "x", "plain_names": None, "stamper": 3, "now": None,
        "clean": 0.5, "writer": None,
    }.items():  # fmt: skip
        with recording() as broken:
            with clew.run("r"):
                plain_work()
                plain_work()
                before = getattr(broken.recorder, name)
                setattr(broken.recorder, name, wrong)
                plain_work()
                with clew.span("retrieve", index="long enough to be searched"):
                    seen.append(name)
                setattr(broken.recorder, name, before)
            if name != "plain_names":  # that one only makes everything unknown
                assert broken.recorder.guard.faults, name
    assert len(seen) == 8


# The module without the package around it, which would put it to work at once.
PLAIN_IMPORT = (
    "import importlib.util, sys, types\n"
    "for name in ('clew', 'clew.record'):\n"
    "    spec = importlib.util.find_spec(name)\n"
    "    made = types.ModuleType(name); made.__path__ = spec.submodule_search_locations\n"
    "    sys.modules[name] = made\n"
)
AGAIN = """
import sys
import clew as one

@one.traced
def double(x):
    return 2 * x

def import_again():
    for name in [n for n in sys.modules if n == "clew" or n.startswith("clew.")]:
        del sys.modules[name]
    import clew
    from clew.record import hot
    assert not hot.IS_COMPILED

def reload():
    import importlib, clew.record.hot
    importlib.reload(clew.record.hot)

with one.run("r") as run:
    with one.span("before", k=1):
        globals()[sys.argv[1]]()
    double(1)
    with one.span("after", k=[1]):
        one.event("x", k=1)
print([node.node_id for node in run.trace.nodes], run.trace.lost)
"""


@pytest.mark.parametrize("trouble", ["import_again", "reload"])
def test_a_second_copy_of_the_package_does_without_and_leaves_the_first_alone(trouble: str) -> None:
    done = subprocess.run([sys.executable, "-c", AGAIN, trouble], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "['before', 'double', 'after'] 0\n"), done.stderr


def test_a_module_of_another_form_is_not_used_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = (
        "import clew.record._hotpath as h; real = h.install\n"
        "h.install = lambda **parts: real(**{**parts, 'form': 0})\n"
        "from clew.record import hot; print(hot.IS_COMPILED, hot.compiled_origin())"
    )
    shown = subprocess.check_output([sys.executable, "-c", PLAIN_IMPORT + ask], text=True)
    assert shown == "False not usable: it was built for another form of the lines, 0 is wanted\n"


# --- signal handlers: what they raise is the program's ---------------------------------------------------------------


class TimeIsUp(TimeoutError):  # noqa: N818 - what a time limit is called
    pass


@pytest.mark.parametrize("part", ["write", "clean"])
def test_an_error_of_a_signal_handler_within_our_call_reaches_the_program(
    log: Recording, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Also one that looks like a full disk, from inside a Python function that the compiled code calls."""

    def handler(*_: object) -> None:
        raise TimeIsUp

    owner: JournalWriter | Any = log.recorder.writer if part == "write" else log.recorder
    real = getattr(owner, part)
    fire = False

    def interrupted(value: Any) -> Any:
        nonlocal fire
        result = real(value)
        if fire:
            fire = False
            signal.raise_signal(signal.SIGUSR1)
        return result

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with clew.run("r"):
            clew.event("note", text="long enough to be searched")
            monkeypatch.setattr(owner, part, interrupted)
            for act in (one_event, one_span):
                act()
                fire = True
                with pytest.raises(TimeIsUp):
                    act()
                assert type(clew.current_span()).__name__ == "NoopSpan"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert log.recorder.guard.faults == 0
    lines = log.lines()
    assert len(lines) == len(set(lines)), "a line that the segment took was written again"


def one_event() -> None:
    clew.event("note", text="long enough to be searched")


def one_span() -> None:
    with clew.span("a", text="long enough to be searched"):
        pass


# --- the quick way says what the careful one says ---------------------------------------------------------------------

named = st.sampled_from(["pw", "api_key", "colour"])
trees = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(names, inner, max_size=4)
        | st.fixed_dictionaries({"name": named, "value": inner})
        | st.fixed_dictionaries({"value": inner, "key": named})
        | st.lists(st.tuples(named, st.sampled_from(["x", "y"])).map(list), max_size=2)
    ),
    max_leaves=20,
)


@given(st.dictionaries(names, trees | any_value, max_size=4))
def test_the_quick_way_gives_nothing_or_what_the_careful_way_gives(given_values: dict[str, Any]) -> None:
    with recording(capture="full") as log:
        recorder = log.recorder
        careful = recorder.values.fields(given_values)
        for _ in range(2):  # with names that are not known yet, and with those that are
            for quick in (hot.REFERENCE_FIELDS, hot.quick_fields):
                text = quick(given_values, recorder)
                assert text is None or (text, careful.redacted) == (careful.text, [])
            recorder.learn(given_values)


def test_nested_plain_data_takes_the_quick_way_once_its_names_are_known(log: Recording) -> None:
    payload = {"rows": [{"at": 1, "value": 0.5}, {"at": 2, "value": None}], "deep": {"er": [[1], ["x"]]}}
    for quick in (hot.REFERENCE_FIELDS, hot.quick_fields):
        recorder = log.recorder
        recorder.plain_names.clear()
        assert quick(payload, recorder) is None
        recorder.learn(payload)
        assert (
            quick(payload, recorder)
            == '{"rows":[{"at":1,"value":0.5},{"at":2,"value":null}],"deep":{"er":[[1],["x"]]}}'
        )
        assert quick({"rows": ["--password", "x"]}, recorder) is None
        assert quick({"rows": [["pw", "x"]]}, recorder) is None
        assert quick({"rows": [["pw", 1], ["pw"], ["a", "b", "c"]]}, recorder) is not None
        assert quick({"rows": "x" * 5000}, recorder) is None
        nest: list[Any] = []
        nest.append(nest)
        assert quick({"rows": nest}, recorder) is None
