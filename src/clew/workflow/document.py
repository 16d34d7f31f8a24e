"""YAML files as values that know their lines: read from events, so that nothing hostile is ever built.

Only plain values come out: tags that name Python types are refused, aliases are expanded up to a bound, and dates stay
the text that they were written as.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from clew.errors import ProjectError
from clew.extras import require
from clew.workflow.project import Place, Problem

MOST_BYTES: Final = 2 * 1024 * 1024
MOST_VALUES: Final = 500_000
"""Values that are written in one file: a workflow of ten thousand nodes has half as many."""
MOST_EXPANDED: Final = 100_000
"""Values that aliases bring into one file."""
DEEPEST: Final = 50
"""Values inside each other."""
MOST_NAMED: Final = 100
"""Problems that a message names; the error carries all."""
_MOST_BITS: Final = 1_024
"""Of a whole number: as large as the largest with a point."""
_MERGE: Final = "<<"
_PLAIN_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("null", "bool", "int", "float", "str", "timestamp", "merge", "value")
)
_CONTAINER_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq"))


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a file. In a mapping its place is that of its key."""

    place: Place
    data: str | int | float | bool | list[Value] | dict[str, Value] | None
    size: int = 1
    """Values in it, itself included."""
    depth: int = 1
    """How many values lie inside each other, itself included."""

    def plain(self) -> Any:
        """Return the value without places, as JSON has it."""
        match self.data:
            case dict() as entries:
                return {key: value.plain() for key, value in entries.items()}
            case list() as members:
                return [member.plain() for member in members]
        return self.data


def sentence(problem: Problem) -> str:
    """Return a problem as `file:line: what`, the file relative to the working directory where it lies below."""
    try:
        path = problem.place.path.relative_to(Path.cwd())
    except (ValueError, OSError):
        path = problem.place.path
    return f"{path}:{problem.place.line}: {problem.message}"


def in_order(problems: Iterable[Problem], *, first: Iterable[Path] = ()) -> list[Problem]:
    """Return problems file by file, those of some files first, and line by line; each of them once."""
    found = list(dict.fromkeys(problems))
    paths = dict.fromkeys([*first, *(problem.place.path for problem in found)])
    rank = {path: index for index, path in enumerate(paths)}
    return sorted(found, key=lambda problem: (rank[problem.place.path], problem.place.line))


def refusal(problems: Iterable[Problem]) -> ProjectError:
    """Return the error that names all errors among problems, a line each, and carries all problems."""
    found = list(problems)
    errors = [sentence(problem) for problem in found if problem.is_error]
    lines = errors[:MOST_NAMED]
    if len(errors) > MOST_NAMED:
        lines.append(f"and {len(errors) - MOST_NAMED} more")
    return ProjectError("\n".join(lines), problems=found)


def read_text(path: Path, *, found: list[Problem]) -> str | None:
    """Return a file's text with plain line ends and without a byte order mark.

    Returns: None where it cannot be read, is no regular file, is too large or no text; `found` then says so.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            found.append(Problem(Place(path, 1), "this is no file"))
            return None
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        found.append(Problem(Place(path, 1), f"the file cannot be read: {reason}"))
        return None
    if len(content) > MOST_BYTES:
        found.append(Problem(Place(path, 1), f"the file is larger than {MOST_BYTES // 1024**2} MiB"))
        return None
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found.append(Problem(Place(path, line), "the file is not UTF-8; save it as UTF-8"))
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_document(path: Path, *, found: list[Problem]) -> Value | None:
    """Read a YAML file; None where there is no value, `found` then says why."""
    text = read_text(path, found=found)
    return None if text is None else parse_document(text, path, found=found)


def parse_document(text: str, path: Path, *, found: list[Problem], first_line: int = 1) -> Value | None:
    """Read YAML.

    Args:
        text: one document.
        path: where it comes from.
        found: gets what is wrong: a mistake of syntax, a key that stands twice, a tag, too many or too deep values.
        first_line: line of the file that the text begins on.

    Returns: the value, or None where the text is empty or has a mistake that leaves no value.
    """
    yaml = require("yaml", extra="workflow")
    builder = _Builder(path, found, first_line)
    try:
        return builder.document(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + (mark.line if mark is not None else 0)
        found.append(Problem(Place(path, line), _syntax_sentence(error, text, mark)))
    except yaml.YAMLError as error:  # a character that YAML does not allow
        position = getattr(error, "position", 0)
        line = first_line + text.count("\n", 0, position if isinstance(position, int) else 0)
        found.append(Problem(Place(path, line), f"this is no YAML: {_one_line(error)}"))
    except _UnreadableError as error:
        found.append(Problem(error.place, str(error)))
    return None


def _syntax_sentence(error: Any, text: str, mark: Any) -> str:
    lines = text.split("\n")
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "YAML is indented with spaces, and here is a tab"
    return f"this is no YAML: {_one_line(error.problem or error.context or error)}"


def _one_line(value: object) -> str:
    return " ".join(str(value).split())[:200]


class _UnreadableError(Exception):
    """The document has no value."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    place: Place
    is_mapping: bool
    anchor: str | None
    members: list[Value] = field(default_factory=list)


class _Builder:
    """Turns the events of a YAML parser into values, on a stack of its own."""

    def __init__(self, path: Path, found: list[Problem], first_line: int) -> None:
        self._path = path
        self._found = found
        self._first_line = first_line
        self._anchors: dict[str, Value] = {}
        self._stack: list[_Open] = []
        self._count = 0
        self._expanded = 0
        yaml = require("yaml", extra="workflow")
        self._yaml = yaml
        self._scalars = yaml.SafeLoader("")  # knows what a scalar without quotes stands for

    def document(self, events: Iterator[Any]) -> Value | None:
        yaml = self._yaml
        root: Value | None = None
        for event in events:
            match event:
                case yaml.ScalarEvent():
                    value = self._scalar(event)
                case yaml.AliasEvent():
                    value = self._alias(event)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._open(event)
                    continue
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    value = self._close()
                case yaml.DocumentStartEvent() if root is not None:
                    raise _UnreadableError(
                        self._place(event), "one file holds one document; a second begins here"
                    )
                case _:
                    continue
            if self._stack:
                self._stack[-1].members.append(value)
            else:
                root = value
        return root

    def _place(self, event: Any) -> Place:
        return Place(self._path, self._first_line + event.start_mark.line)

    def _counted(self, place: Place) -> None:
        self._count += 1
        if self._count > MOST_VALUES:
            raise _UnreadableError(place, f"the file has more than {MOST_VALUES:,} values")

    def _scalar(self, event: Any) -> Value:
        place = self._place(event)
        self._counted(place)
        # YAML takes `on` and `1.0` for a boolean and a number; who writes them as keys means words.
        is_key = bool(self._stack) and self._stack[-1].is_mapping and len(self._stack[-1].members) % 2 == 0
        value = Value(place, event.value if is_key else self._resolved(event, place))
        self._note_anchor(event.anchor, value)
        return value

    def _resolved(self, event: Any, place: Place) -> str | int | float | bool | None:
        """Return what a scalar stands for; a date, a number in sixties and a merge sign stay text."""
        text: str = event.value
        node_type = self._yaml.ScalarNode
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._scalars.resolve(node_type, text, event.implicit)
        elif tag not in _PLAIN_TAGS:
            self._found.append(Problem(place, f"the tag {tag!r} is not allowed here"))
            return text
        kind = tag.rpartition(":")[2]
        if kind not in ("null", "bool", "int", "float") or ":" in text:
            return text
        try:
            node = node_type(tag, text)
            resolved = getattr(self._scalars, f"construct_yaml_{kind}")(node)
        except (ValueError, KeyError, IndexError, OverflowError):
            self._found.append(Problem(place, f"{text[:40]!r} is not a value of the kind {kind}"))
            return text
        assert resolved is None or isinstance(resolved, (bool, int, float))
        if isinstance(resolved, int) and resolved.bit_length() > _MOST_BITS:
            # It could not even be written in a message: Python converts no longer ones to decimals.
            self._found.append(Problem(place, f"{text[:40]!r}... is longer than a number may be"))
            return None
        return resolved

    def _alias(self, event: Any) -> Value:
        place = self._place(event)
        value = self._anchors.get(event.anchor)
        if value is None:  # of something that does not exist, or that this is a part of
            raise _UnreadableError(place, f"the alias *{event.anchor} names nothing that ended before it")
        self._expanded += value.size
        if self._expanded > MOST_EXPANDED:
            raise _UnreadableError(place, f"aliases bring more than {MOST_EXPANDED:,} values into the file")
        return value

    def _open(self, event: Any) -> None:
        place = self._place(event)
        self._counted(place)
        if len(self._stack) >= DEEPEST:
            raise _UnreadableError(place, f"more than {DEEPEST} values inside each other")
        if event.tag not in (None, "!", *_CONTAINER_TAGS):
            self._found.append(Problem(place, f"the tag {event.tag!r} is not allowed here"))
        is_mapping = isinstance(event, self._yaml.MappingStartEvent)
        self._stack.append(_Open(place, is_mapping, event.anchor))

    def _close(self) -> Value:
        opened = self._stack.pop()
        size = 1 + sum(member.size for member in opened.members)
        depth = 1 + max((member.depth for member in opened.members), default=0)
        data = self._mapping(opened.members) if opened.is_mapping else opened.members
        value = Value(opened.place, data, size, depth)
        if depth + len(self._stack) > DEEPEST:  # an alias may have brought depth along
            raise _UnreadableError(opened.place, f"more than {DEEPEST} values inside each other")
        self._note_anchor(opened.anchor, value)
        return value

    def _note_anchor(self, anchor: str | None, value: Value) -> None:
        if anchor is not None:
            self._anchors[anchor] = value

    def _mapping(self, members: list[Value]) -> dict[str, Value]:
        entries: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        for key, value in zip(members[::2], members[1::2], strict=True):
            if isinstance(key.data, (dict, list)):
                self._found.append(Problem(key.place, "a key is a word, not a list or a mapping"))
                continue
            name = str(key.data)
            if name == _MERGE:
                self._merge(value, merged)
                continue
            if name in entries:
                first = entries[name]
                self._found.append(
                    Problem(key.place, f"the key {name!r} stands on line {first.place.line} already")
                )
                if isinstance(first.data, dict) and isinstance(value.data, dict):
                    # So that nobody misses what only the second one has, and is told of that as well.
                    entries[name] = replace(first, data={**value.data, **first.data})
                continue
            entries[name] = Value(key.place, value.data, value.size, value.depth)
        return {**merged, **entries}

    def _merge(self, value: Value, merged: dict[str, Value]) -> None:
        sources = value.data if isinstance(value.data, list) else [value]
        for source in sources:
            if isinstance(source.data, dict):
                for name, entry in source.data.items():
                    merged.setdefault(name, entry)
            else:
                self._found.append(Problem(value.place, "only mappings can be merged with '<<'"))
