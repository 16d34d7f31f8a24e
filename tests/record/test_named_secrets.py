"""What is a secret by its name is removed wherever the name stands: in a text, in an object, in a pair, in an error."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from typing import Any, NamedTuple

import pytest

import clew
from clew.record.redact import REDACTED, Redactor
from clew.testing import Recording, recording
from tests.record.reading import check_lines

S = "hunter2hunter2"
"""Looks like no secret: only the name tells."""

# A text with S in it, and what is left of it.
TEXTS = {
    f"Command '['false', '--password', '{S}']' failed": f"Command '['false', '--password', '{REDACTED}']' failed",
    f'["tool","--client-secret","{S}","-v"]': f'["tool","--client-secret","{REDACTED}","-v"]',
    f"['tool', '--token', '{S} with blanks']": f"['tool', '--token', '{REDACTED}']",
    f"ran tool --password {S} now": f"ran tool --password {REDACTED} now",
    "ran tool --password swordfish now": f"ran tool --password {REDACTED} now",
    f"ran tool --api-key '{S}' now": f"ran tool --api-key '{REDACTED}' now",
    f"'--password' '{S}'": f"'--password' '{REDACTED}'",
    f"tool --token={S}": f"tool --token={REDACTED}",
    f"mysql --pass {S}": f"mysql --pass {REDACTED}",
    f"[('X-Api-Key', '{S}'), ('Accept', '*/*')]": f"[('X-Api-Key', '{REDACTED}'), ('Accept', '*/*')]",
    f"(b'X-Api-Key', b'{S}')": f"(b'X-Api-Key', b'{REDACTED}')",
    f'[["password","{S}"]]': f'[["password","{REDACTED}"]]',
    f'[["user", "ann"], ["password", "{S}"]]': f'[["user", "ann"], ["password", "{REDACTED}"]]',
    rf"{{\"h\": [[\"X-Api-Key\", \"{S}\"]]}}": rf"{{\"h\": [[\"X-Api-Key\", \"{REDACTED}\"]]}}",
    f"{{'password': ['{S}']}}": f"{{'password': [{REDACTED}]}}",
    f'{{"password": ["{S}", "x{S}"], "n": 1}}': f'{{"password": [{REDACTED}], "n": 1}}',
    f"password='correct {S} staple', n=1": f"password='{REDACTED}', n=1",
    f'{{"password": "+{S}"}}': f'{{"password": "{REDACTED}"}}',
    f"password=b'{S}'": f"password=b'{REDACTED}'",
    f"Cookie: session={S}": f"Cookie: {REDACTED}",
    f"Cookie: a=1; session={S}; b=2\r\nAccept: */*": f"Cookie: {REDACTED}\r\nAccept: */*",
    f"Set-Cookie: sid={S}; Path=/; HttpOnly": f"Set-Cookie: {REDACTED}",
    f"{{'Cookie': 'sid=\"{S}\"; b=c', 'n': 1}}": f"{{'Cookie': '{REDACTED}', 'n': 1}}",
    f"[('Set-Cookie', 'sid={S}; Path=/')]": f"[('Set-Cookie', '{REDACTED}')]",
    f"get(cookies={{'sid': '{S}'}}, n=1)": f"get(cookies={REDACTED}, n=1)",
    f"{{'cookie': '{S}'}}": f"{{'cookie': '{REDACTED}'}}",
    f"openai_key={S}": f"openai_key={REDACTED}",
    f"{{'stripeKey': '{S}', 'n': 1}}": f"{{'stripeKey': '{REDACTED}', 'n': 1}}",
    f"OPENAI_KEY: {S}": f"OPENAI_KEY: {REDACTED}",
    f"user_pass={S}": f"user_pass={REDACTED}",
    f"{{'pass': '{S}'}}": f"{{'pass': '{REDACTED}'}}",
    f"db_pw: {S}": f"db_pw: {REDACTED}",
    "otp=928371 sent": f"otp={REDACTED} sent",
    "{'otp_code': '928371'}": f"{{'otp_code': '{REDACTED}'}}",
}


@pytest.mark.parametrize("text", TEXTS)
def test_what_a_text_gives_a_secrets_name_is_removed_and_the_rest_stays(text: str) -> None:
    clean, count = Redactor().clean(text)
    assert (clean, count) == (TEXTS[text], 1)
    assert Redactor().clean(clean) == (clean, 0)


@pytest.mark.parametrize(
    "text",
    [
        f"iban={S}", f"IBAN: {S}", f"{{'iban': '{S} 3704'}}", f'{{"iban": ["{S}"]}}', f"('iban', '{S}')",
        f"tool --iban {S}", f"['--iban', '{S}']", f"patient_name={S}", f"Patient-Name: {S}", f"patientName='A {S}'",
        f"the patient name: {S}",
    ],
)  # fmt: skip
def test_a_name_of_ones_own_is_found_in_texts_too(text: str) -> None:
    redactor = Redactor(("iban", "patient_name"))
    clean, count = redactor.clean(text)
    assert (S in clean, REDACTED in clean, count) == (False, True, 1)
    assert redactor.clean(clean) == (clean, 0)
    assert Redactor().clean(text) == (text, 0)


@pytest.mark.parametrize(
    "text", ["caribana=12345678", "iban: null, x", "my_iban=12345678", "the iban is long"]
)
def test_a_name_of_ones_own_within_another_word_is_not_meant(text: str) -> None:
    assert Redactor(("iban",)).clean(text) == (text, 0)


class Account(NamedTuple):
    api_key: str
    user: str = "ann"


def test_the_fields_of_a_named_tuple_are_secret_by_their_names() -> None:
    @clew.traced
    def log_in(account: Account) -> list[Account]:
        return [account]

    with recording(capture="full") as log:
        with clew.run("r"), clew.span("s", account=Account(S)):
            log_in(Account(S))
        recorded = {"api_key": REDACTED, "user": "ann"}
        span, call = log.trace().nodes
        assert span.attributes == {"account": recorded}
        assert (call.inputs, call.outputs) == ({"account": recorded}, [recorded])
        assert log.trace().redacted == 3
        check_lines(log.lines())


PAIRS: list[tuple[Any, Any]] = [
    ({"name": "password", "value": S}, {"name": "password", "value": REDACTED}),
    ({"value": S, "key": "X-Api-Key"}, {"value": REDACTED, "key": "X-Api-Key"}),
    ({"Key": "pw", "Value": [S]}, {"Key": "pw", "Value": REDACTED}),
    ({"key": "token", "value": {"text": S}}, {"key": "token", "value": REDACTED}),
    ([["password", S], ["user", "ann"]], [["password", REDACTED], ["user", "ann"]]),
    ([("X-Api-Key", S)], [["X-Api-Key", REDACTED]]),
    ([[b"X-Api-Key", S.encode()]], [["base64:WC1BcGktS2V5", REDACTED]]),
    ([{"name": "pw", "value": S}], [{"name": "pw", "value": REDACTED}]),
]


@pytest.mark.parametrize("value, expected", PAIRS, ids=lambda value: str(value)[:40])
def test_what_one_part_of_a_pair_names_the_other_holds(log: Recording, value: Any, expected: Any) -> None:
    """The second time, the names are known and the quick way is open."""
    with clew.run("r"):
        for _ in range(2):
            clew.event("x", sent=value)
            with clew.span("s", sent=value):
                pass
    assert [event.values()["sent"] for event in log.events("x")] == [expected] * 2
    assert [node.attributes["sent"] for node in log.trace().nodes] == [expected] * 2
    assert log.trace().redacted == 4


@pytest.mark.parametrize(
    "value",
    [
        {"name": "colour", "value": S}, {"name": "sort_key", "value": S}, {"name": "token", "value": 17},
        {"name": "auth_latency", "value": 0.5}, {"name": "password", "value": None}, {"name": "password", "note": S},
        {"name": ["password"], "value": S}, [["user", S]], ["password", "user"], [["password", "user", "mail"]],
        [["pass", "fail"]], {"pass": 12, "fail": 3},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_pair_with_a_secret_stays(log: Recording, value: Any) -> None:
    with clew.run("r"):
        for _ in range(2):
            clew.event("x", sent=value)
    assert [event.values()["sent"] for event in log.events("x")] == [value] * 2
    assert log.trace().redacted == 0


def test_a_field_called_pass_is_secret_where_it_is_no_number(log: Recording) -> None:
    with clew.run("r"):
        clew.event("x", sent=[{"pass": S}, {"pass": 12}])
    assert log.events("x")[0].values()["sent"] == [{"pass": REDACTED}, {"pass": 12}]


def test_a_command_that_fails_does_not_tell_its_password(log: Recording) -> None:
    with clew.run("r"), pytest.raises(subprocess.CalledProcessError), clew.span("s"):
        subprocess.run([sys.executable, "-c", "raise SystemExit(3)", "--password", S], check=True)
    (node,) = log.trace().nodes
    assert node.error is not None
    assert "exit status 3" in str(node.error.message)
    assert S not in b"\n".join(log.lines()).decode()


class Client:
    def __call__(self, user: str) -> str:
        return user


def log_in(secret: str, user: str) -> str:
    return user


async def log_in_later(secret: str, user: str) -> str:
    return user


def test_a_partial_and_an_object_are_nodes_by_the_name_of_what_is_called() -> None:
    with recording(capture="full") as log:
        with clew.run("r"):
            clew.traced(functools.partial(log_in, S))("ann")
            clew.traced(functools.partial(functools.partial(log_in, S), user="ann"))()
            clew.traced(Client())("ann")
            clew.traced(functools.partial(Client(), "ann"))()
            asyncio.run(clew.traced(functools.partial(log_in_later, S))("ann"))
        nodes = [node.node_id for node in log.trace().nodes]
        assert nodes == ["log_in", "log_in", "Client", "Client", "log_in_later"]
        assert [node.outputs for node in log.trace().nodes] == ["ann"] * 5
        assert S not in b"\n".join(log.lines()).decode()
