"""Secrets are not in the log, wherever a program puts them, and how many were removed is in the trace."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clew
from clew.journal.blobs import read_blob
from clew.record.redact import REDACTED, Redactor
from clew.record.run import NoopRun, Run
from clew.testing import Recording, recording
from tests.record.reading import check_lines
from tests.record.secrets_table import (
    HARMLESS_NAMES,
    HARMLESS_TEXTS,
    IN_TEXT,
    SECRET_NAMES,
    SECRETS,
)


def say(**data: object) -> None:
    """Record an event with fields of any name."""
    clew.event("x", **data)  # type: ignore[arg-type]


def raise_it(secret: str) -> None:
    with pytest.raises(RuntimeError), clew.span("x"):
        raise RuntimeError(f"cannot log in with {secret}")


def group_it(secret: str) -> None:
    with pytest.raises(ExceptionGroup), clew.span("x"):
        raise ExceptionGroup("two", [ValueError(secret), KeyError(secret)])


@clew.traced
def called(prompt: str, *args: str, **options: str) -> dict[str, Any]:
    return {"answer": [prompt]}


def generate(secret: str) -> None:
    def traced() -> Any:
        yield 1
        return secret

    list(clew.traced(traced)())


def set_later(secret: str) -> None:
    with clew.span("x") as span:
        span.set(found=secret)
        span.tags["more"] = {"deep": [secret]}


def use_model(secret: str) -> None:
    with clew.span("x") as span:
        span.usage(input_tokens=1, model=secret)


PLACES: dict[str, Callable[[str], object]] = {
    "attribute": lambda s: clew.span("x", query=s).__enter__().__exit__(None, None, None),
    "attribute in the middle of a text": lambda s: clew.span("x", query=f"see {s}, please").__enter__().__exit__(None, None, None),
    "nested": lambda s: clew.event("x", a=[{"b": ({"c": s},)}]),
    "key": lambda s: clew.event("x", a={s: 1}),
    "key of an attribute": lambda s: say(**{s: 1}),
    "key that is bytes": lambda s: clew.event("x", a={s.encode(): 1}),
    "tuple as a key": lambda s: clew.event("x", a={(1, s): 1}),
    "set": lambda s: clew.event("x", a={s}),
    "bytes": lambda s: clew.event("x", a=f"body {s}".encode()),
    "path": lambda s: clew.event("x", a=Path("/tmp") / s.replace("/", "_")),
    "exception as a value": lambda s: clew.event("x", a=ValueError(s)),
    "object": lambda s: clew.event("x", a=type("T", (), {"__repr__": lambda _: f"T({s})"})()),
    "error": raise_it,
    "group of errors": group_it,
    "inputs": called,
    "further inputs": lambda s: called("x", s, z=s),
    "return value of a generator": generate,
    "attribute set later": set_later,
    "model": use_model,
    "metric's name": lambda s: clew.add_metric(s, 1.0),
    "metric's value": lambda s: clew.add_metric("m", s),  # type: ignore[arg-type]
    "node's name": lambda s: clew.span(s).__enter__().__exit__(None, None, None),
    "kind": lambda s: clew.span("x", kind=s).__enter__().__exit__(None, None, None),
    "event's name": clew.event,
    "event's node": lambda s: clew.event("x", node=s),
    "event's level": lambda s: clew.event("x", level=s),
    "prompt": lambda s: called(f"You are a helpful assistant. {'Be kind. ' * 200} The key is {s} . Answer."),
}  # fmt: skip


def fails_with(secret: str) -> None:
    span = clew.span("x")
    with span:
        span.fail(f"it said {secret}", error_type=secret)


def skips_with(secret: str) -> None:
    with clew.span("x") as span:
        span.skip(secret, condition=f"key == {secret}", values={"a": secret})


PLACES["failure without an exception"] = fails_with
PLACES["reason to skip"] = skips_with


def essence(secret: str) -> str:
    """The part that gives a secret away: a JWT's signature, a key's body."""
    return max(secret.split("\n"), key=len)[-20:]


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_of_any_kind_reaches_the_log(place: str) -> None:
    for kind, secret in SECRETS.items():
        if place == "path" and "\n" in secret:
            continue  # a path has no lines
        with recording(capture="full") as log:
            with clew.run("r"):
                PLACES[place](secret)
            text = b"\n".join(log.lines()).decode()
            assert essence(secret).lower() not in text.lower(), kind
            assert REDACTED in text, kind
            check_lines(log.lines())
            assert log.trace().redacted >= 1, kind
            assert log.trace().lost == 0, kind


def end_with(field: str, secret: str, run: Run | NoopRun) -> None:
    """Put a secret where a run ends."""
    if field == "later":
        run.set(x=[secret])
    elif field == "outputs":
        run.output({"x": secret})
    elif field == "error":
        raise ValueError(secret)
    elif field == "exit":
        raise SystemExit(secret)


@pytest.mark.parametrize(
    "field", ["name", "attribute", "later", "inputs", "params", "outputs", "error", "exit", "thread_id"]
)
@pytest.mark.parametrize("kind", ["openai", "jwt", "github", "private key"])
def test_no_secret_reaches_the_log_from_the_run_itself(kind: str, field: str) -> None:
    secret = SECRETS[kind]
    started: dict[str, Any] = {}
    if field in {"inputs", "params"}:
        started[field] = {"a": secret}
    elif field in {"attribute", "thread_id"}:
        started[field] = secret
    with recording(capture="full") as log:
        with (
            contextlib.suppress(ValueError, SystemExit),
            clew.run(secret if field == "name" else "r", **started) as run,
        ):
            end_with(field, secret, run)
        assert essence(secret) not in b"\n".join(log.lines()).decode()
        assert log.trace().redacted >= 1
        assert log.trace().lost == 0


@pytest.mark.parametrize("place", PLACES)
def test_a_text_that_is_to_be_hidden_is_in_no_place(place: str) -> None:
    secret = "gsk_of a look that no=pattern.knows"
    with recording() as log:
        log.recorder.hide(f" {secret}\n")
        with clew.run("job"):
            PLACES[place](secret)
        assert secret not in b"\n".join(log.lines()).decode()
        assert log.trace().redacted >= 1
        assert log.trace().lost == 0


def test_what_is_to_be_hidden_is_so_from_then_on_and_hardly_a_word_ever() -> None:
    redactor = Redactor()
    said = "the answer is quite-an-odd-text, within"
    assert redactor.clean(said) == (said, 0)
    for secret in ("", "answer", "quite-an-odd-text", "quite-an-odd-text, with", "two\nlines"):
        redactor.hide(secret)
    assert redactor.clean(said) == (f"the answer is {REDACTED}in", 1)
    assert redactor.clean("b'two\\nlines' two\nlines") == (f"b'{REDACTED}' {REDACTED}", 2)


@pytest.mark.parametrize("case", IN_TEXT)
def test_what_stands_around_a_secret_in_a_text_stays(case: str) -> None:
    text, secret = IN_TEXT[case]
    clean, count = Redactor().clean(text)
    assert secret not in clean
    assert count == 1
    before, _, after = text.partition(secret)
    assert clean.startswith(before.rsplit("/", 1)[0][:12])
    assert clean.endswith(after.lstrip("=").split(" ")[-1][-3:])
    assert clean.count(REDACTED) == 1


@pytest.mark.parametrize("text", [*(text for text, _ in IN_TEXT.values()), *SECRETS.values()])
def test_cleaning_a_clean_text_changes_nothing(text: str) -> None:
    clean, _ = Redactor().clean(text)
    assert Redactor().clean(clean) == (clean, 0)


@pytest.mark.parametrize("text", HARMLESS_TEXTS)
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert Redactor().clean(text) == (text, 0)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_the_value_of_a_field_with_a_secrets_name_is_removed(name: str, log: Recording) -> None:
    with clew.run("r", **{name: "open sesame"}):
        say(**{name: "open sesame"})
        clew.event("x", deep=[{name: {"user": "ali", "word": "open sesame"}}])
        with clew.span("x", **{name: 12345678}) as span:  # type: ignore[arg-type]
            span.metrics[name] = 1.0 if name.lower().endswith("token") else 87654321
        called("x", **{name: "open sesame"})
    text = b"\n".join(log.lines()).decode()
    assert "sesame" not in text
    if not name.lower().endswith("token"):  # a number called token is a number of tokens
        assert "12345678" not in text
        assert "87654321" not in text
    assert log.trace().redacted >= 4


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_the_value_of_a_field_with_a_harmless_name_stays(name: str, log: Recording) -> None:
    with clew.run("r"):
        say(**{name: "open sesame"})
        say(**{name: 3})
        say(**{name: 3})  # now that the name is known
    assert [event.values()[name] for event in log.events("x")] == ["open sesame", 3, 3]
    assert log.trace().redacted == 0


def test_nothing_is_hidden_where_there_is_nothing(log: Recording) -> None:
    with clew.run("r"):
        clew.event("x", password=None, secret="", token=17, authorization=False)
    (event,) = log.events("x")
    assert event.values() == {"password": None, "secret": "", "token": 17, "authorization": False}
    assert log.trace().redacted == 0


def test_headers_and_arguments_that_come_as_pairs_are_secret_by_the_name_before_them(log: Recording) -> None:
    with clew.run("r"):
        clew.event("x", headers=[(b"Authorization", b"open sesame"), ("accept", "*/*")])
        clew.event("x", argv=["tool", "--api-key", "open sesame", "--name", "ann"])
        clew.event("x", names=["password", "secret", "token"])
    first, second, third = (event.values() for event in log.events("x"))
    assert first["headers"][0][1] == REDACTED
    assert first["headers"][1] == ["accept", "*/*"]
    assert second["argv"] == ["tool", "--api-key", REDACTED, "--name", "ann"]
    assert third["names"] == ["password", "secret", "token"]
    assert log.trace().redacted == 2


def test_the_trace_counts_every_secret_and_says_where_it_stood() -> None:
    with recording(capture="full") as log, clew.run("r", password="a1b2c3d4"):
        with clew.span("login", token="open sesame", note=SECRETS["github"]):
            clew.event("tried", secrets=["x"], body={"api_key": "y", "text": SECRETS["jwt"]})
        called(SECRETS["openai"])
    assert log.trace().redacted == 1 + 2 + 3 + 2
    fields = [name for event in log.events("redacted") for name in event.values()["fields"]]
    assert {"password", "token", "secrets", "api_key", "value"} == set(fields)
    assert all(event.level == "DEBUG" for event in log.events("redacted"))


def test_secrets_that_several_threads_remove_at_once_are_all_counted(log: Recording) -> None:
    """A note is about a span that another thread may only just be opening."""

    def work() -> None:
        for n in range(300):
            with clew.span("s", password="x", text="y" * 20, n=n):
                clew.event("e", secret="x")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=work) for _ in range(4)]
    with clew.run("r"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    sys.setswitchinterval(interval)
    trace = log.trace()
    assert (trace.redacted, trace.lost) == (2400, 0)
    check_lines(log.lines())
    for node in trace.nodes:
        assert sorted(event.event for event in node.events) == ["e", "redacted", "redacted"]


def test_names_of_ones_own_are_secret_whatever_their_case_and_separators() -> None:
    with recording(redact=("patient_name", "ssn")) as log, clew.run("r"):
        clew.event("x", patientName="Ann", SSN="078-05-1120", **{"Patient-Name": "Ann"}, age=30)
    (event,) = log.events("x")
    assert event.values() == {"patientName": REDACTED, "SSN": REDACTED, "Patient-Name": REDACTED, "age": 30}


def test_a_secret_in_the_source_line_of_a_stack_is_removed(log: Recording) -> None:
    with clew.run("r"), pytest.raises(ZeroDivisionError), clew.span("x"):
        print(1 / 0, "api_key='s3cr3t-in-source'")  # noqa: T201
    (node,) = log.trace().nodes
    assert node.error is not None
    assert node.error.stack is not None
    assert "1 / 0" in node.error.stack
    assert "s3cr3t" not in node.error.stack


def test_a_secret_across_the_place_where_a_text_is_shortened_is_removed_whole() -> None:
    """Cut first and searched afterwards, its first half would look like no secret."""
    for length in range(150, 200):
        with recording(capture="summary") as log, clew.run("r"):
            called("x" * length + " " + SECRETS["openai"])
        assert SECRETS["openai"][:12] not in b"\n".join(log.lines()).decode()


def test_a_secret_in_a_blobs_content_and_preview_is_removed(tmp_path: Path) -> None:
    with recording(capture="full", home=tmp_path / ".clew", inline_limit_bytes=100) as log, clew.run("r"):
        called(SECRETS["openai"] + " and more" * 100)
    node = log.trace().nodes[0]
    blob = read_blob(tmp_path / ".clew", node.inputs["$blob"])
    assert SECRETS["openai"].encode() not in blob
    assert REDACTED.encode() in blob
    assert SECRETS["openai"] not in node.inputs["preview"]


@given(st.text(max_size=40), st.sampled_from(sorted(SECRETS)), st.text(max_size=40))
def test_a_secret_is_found_between_any_two_texts(before: str, kind: str, after: str) -> None:
    """Apart from letters that run into it, which would make it another word."""
    secret = SECRETS[kind]
    clean, count = Redactor().clean(f"{before} {secret} {after}")
    assert essence(secret) not in clean
    assert count >= 1


@pytest.mark.parametrize(
    "text",
    [
        "token " + "a" * 4_000_000,
        "eyJ-" * 1_000_000,
        "eyJ." * 1_000_000,
        "sk-" * 1_000_000,
        "https://" * 500_000 + "@",
        "://a:" * 500_000 + "@",
        "-----BEGIN RSA PRIVATE KEY" * 150_000,
        "password" + " " * 4_000_000 + "=",
        "Bearer " * 500_000,
        "Basic " * 500_000,
        "a:" * 2_000_000 + "password",
        "key: " * 800_000,
        "openai_key " * 400_000 + ":",
        "cookie: a=" * 400_000,
        "Cookie: " + "a=b;" * 1_000_000,
        "Cookie: " + "a" * 4_000_000 + ":",
        "--password " * 400_000,
        "--" + "a" * 4_000_000 + ":",
        "-" * 4_000_000 + ":",
        "secret:['" * 400_000,
        "('secret', '" + "a" * 4_000_000,
        "pass" * 1_000_000 + ":",
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_long_to_search(text: str) -> None:
    """Megabytes of what looks like a beginning: a pattern that is tried at every position would take hours."""
    began = time.perf_counter()
    Redactor().clean(text)
    assert time.perf_counter() - began < 20
