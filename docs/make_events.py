"""Writes docs/reference/events.md from the payload types.

python docs/make_events.py            write it
python docs/make_events.py --check    say whether it is up to date
"""

from __future__ import annotations

import ast
import inspect
import sys
import types
import typing
from pathlib import Path

import msgspec

from clew.model import boundaries, payloads
from clew.model.events import SCHEMA_VERSION, Event
from clew.model.levels import FAMILIES, Verbosity, shows
from clew.model.payloads import PAYLOADS

PAGE = Path(__file__).parent / "reference" / "events.md"
ABOUT = {
    "lifecycle": "where a run begins and ends",
    "node": "where a node begins and ends",
    "execution": "what a node was given, gave back and decided",
    "resource": "what work used",
    "state": "how the state of the workflow changed",
    "agent": "what an agent did",
    "judgement": "how good it was",
    "telemetry": "what is missing from the record, and why",
}

HEAD = f"""\
# Events

<!-- Written by docs/make_events.py; change the payload types, not this page. -->

An event is one line of the log, a JSON object. This page is schema version {SCHEMA_VERSION}. A reader takes every older
version, and of a newer one whatever it knows: events and fields that it does not know are kept as they are and written
again. No field is ever required: other versions and other systems may not have it, and what nobody said is absent, never 0.

Some events Clew writes itself (the families lifecycle, node and telemetry). Any other is written with
`clew.event("decision_made", chosen="large")`, whose keywords are the fields below; `clew.add_metric` writes
`metric_recorded`. A name that is not on this page is an event of your own.

Names end in their unit: `_ms` milliseconds of the monotonic clock, with six decimals exact to the nanosecond; `_bytes`,
`_tokens`, `_usd`. "Least verbosity" is what a reader must ask for to see the event when its level is the usual one; a
warning or an error is always shown.

## The envelope

Fields of every event, in this order. What an event says beside them is in `data`.
"""


def documentation(kind: type) -> dict[str, str]:
    """Return the docstring under each field of a class and of those that it inherits from."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if owner.__module__ not in {payloads.__name__, boundaries.__name__, Event.__module__}:
            continue
        body = ast.parse(inspect.getsource(owner)).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                assert isinstance(field.target, ast.Name)
                assert isinstance(text.value, ast.Constant)
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def json_kind(annotation: object) -> str:
    """Return what a field is in JSON."""
    names = {
        str: "text",
        int: "integer",
        float: "number",
        bool: "true or false",
        dict: "object",
        list: "array",
    }
    if typing.get_origin(annotation) in {types.UnionType, typing.Union}:
        kinds = [json_kind(part) for part in typing.get_args(annotation) if part is not type(None)]
        return " or ".join(dict.fromkeys(kinds))
    if typing.get_origin(annotation) is list:
        inner = json_kind(typing.get_args(annotation)[0])
        return "array" if inner == "anything" else f"array of {inner}s"
    plain = typing.get_origin(annotation) or annotation
    return names.get(plain, "anything") if isinstance(plain, type) else "anything"


def fields_table(kind: type[msgspec.Struct], special: dict[str, str]) -> list[str]:
    texts = documentation(kind)
    hints = typing.get_type_hints(kind)
    rows = ["| field | in JSON | means |", "|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        if field.name in texts and field.name != "extra":
            what = special.get(field.name) or json_kind(hints[field.name])
            rows.append(
                f"| `{field.encode_name}` | {what} | {texts[field.name].replace('|', chr(92) + '|')} |"
            )
    return rows


def least_verbosity(event: str) -> str:
    return next(level.value for level in Verbosity if shows(level, event, "INFO"))


def event_section(event: str) -> list[str]:
    kind = PAYLOADS[event]
    return [
        f"### {event}",
        "",
        f"{' '.join(inspect.cleandoc(kind.__doc__ or '').split())} Least verbosity: `{least_verbosity(event)}`.",
        "",
        *fields_table(kind, {}),
        "",
    ]


def page() -> str:
    """Return what the page must hold."""
    envelope = fields_table(Event, {"timestamp": "text, RFC 3339 with `Z`", "data": "object"})
    lines = [HEAD, *envelope, ""]
    for family, events in FAMILIES.items():
        lines += [f"## Family {family}: {ABOUT[family]}", ""]
        for event in events:
            lines += event_section(event)
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv:
        sys.stderr.write("events.md: out of date; run python docs/make_events.py\n")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
