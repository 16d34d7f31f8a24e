"""Reads the file of a scripted model, and says everything that is wrong in it at once."""

from __future__ import annotations

import difflib
import math
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from clew.errors import ProjectError
from clew.extras import require
from clew.workflow.project import Place, Problem
from clew.workflow.providers.answer_parts import count_of
from clew.workflow.providers.failures import FailureKind
from clew.workflow.providers.scripted import ScriptedAnswer, ScriptedModel, ScriptedUsage

MAX_BYTES: Final = 1024 * 1024
MAX_VALUES: Final = 200_000
"""More values than this, aliases counted each time, are no script but a bomb."""
_KEYS: Final = ScriptedAnswer.__struct_fields__
_SAYS: Final = ("text", "json", "tool_calls", "error")


def read_script(path: Path) -> ScriptedModel:
    """Return a model that answers from the file.

    Raises:
        ProjectError: with all problems, each with its line; the message has the first one.
        MissingExtraError: PyYAML is not installed.
    """
    yaml = require("yaml", extra="workflow")
    problems: list[Problem] = []
    answers: list[ScriptedAnswer] = []
    try:
        text = _text_of(path)
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            for node in _answer_nodes(yaml, root, path):
                answer = _read_answer(loader, node, path, problems)
                if answer is not None:
                    answers.append(answer)
        finally:
            loader.dispose()
    except _UnusableError as error:
        problems.append(error.problem)
    except yaml.YAMLError as error:
        problems.append(Problem(Place(path, _line_of(error)), f"this is not YAML: {_reason(error)}"))
    except RecursionError:
        problems.append(Problem(Place(path, 1), "values are nested too deeply"))
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ProjectError(f"{path}:{first.place.line}: {first.message}{more}", problems=problems)
    return ScriptedModel(answers, path=path)


class _UnusableError(Exception):
    """Nothing of the file can be read."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(Place(path, line), message)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _UnusableError(path, 1, f"the script cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise _UnusableError(path, 1, f"the script is larger than {MAX_BYTES // 1024 // 1024} MB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _UnusableError(path, line, "the script is not UTF-8") from error


def _answer_nodes(yaml: Any, root: Any, path: Path) -> list[Any]:
    if root is None or not isinstance(root, yaml.MappingNode):
        raise _UnusableError(path, 1, "a script is a mapping with a list `answers`")
    if _size(root, {}, set()) > MAX_VALUES:
        raise _UnusableError(path, 1, f"the script has more than {MAX_VALUES} values, aliases counted")
    found = None
    for key, value in root.value:
        if key.value != "answers":
            hint = (
                " Did you mean `answers`?" if difflib.get_close_matches(str(key.value), ["answers"]) else ""
            )
            raise _UnusableError(path, _line(key), f"{key.value!r} is not known here.{hint}")
        found = value
    if found is None or not isinstance(found, yaml.SequenceNode):
        raise _UnusableError(path, _line(root), "a script is a mapping with a list `answers`")
    return list(found.value)


def _size(node: Any, sizes: dict[int, int], above: set[int]) -> int:
    """Return how many values a node stands for once aliases are written out, in one visit of each node."""
    if id(node) in sizes:
        return sizes[id(node)]
    if id(node) in above:
        return MAX_VALUES + 1  # an alias to what it stands in: written out, it has no end
    total = 1
    if not isinstance(node.value, str):
        above.add(id(node))
        for part in node.value:
            total += sum(_size(one, sizes, above) for one in (part if isinstance(part, tuple) else (part,)))
        above.discard(id(node))
    sizes[id(node)] = total
    return total


def _read_answer(loader: Any, node: Any, path: Path, problems: list[Problem]) -> ScriptedAnswer | None:
    before = len(problems)

    def wrong(line: int, message: str) -> None:
        problems.append(Problem(Place(path, line), message))

    if node.id != "mapping":
        wrong(
            _line(node),
            "an answer is a mapping: `text: ...`, `json: ...`, `tool_calls: [...]` or `error: {...}`",
        )
        return None
    lines = {str(key.value): _line(key) for key, _ in node.value}
    for name, line in lines.items():
        if name not in _KEYS:
            close = difflib.get_close_matches(name, _KEYS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(_KEYS)}"
            wrong(line, f"{name!r} is not known in an answer: {hint}")
    said = [name for name in _SAYS if name in lines]
    if not said:
        wrong(_line(node), "an answer has `text`, `json`, `tool_calls` or `error`")
    elif len(said) > 1 and set(said) != {"text", "tool_calls"}:
        wrong(lines[said[1]], f"an answer has either `{said[0]}` or `{said[1]}`")
    if len(problems) > before:
        return None
    try:
        document = loader.construct_object(node, deep=True)
    except (ValueError, OverflowError) as error:  # what looks like a date or a number, and is none
        wrong(_line(node), f"a value of this answer cannot be read: {error}")
        return None
    return _convert(document, lines, _line(node), wrong)


def _convert(document: Any, lines: dict[str, int], line: int, wrong: Any) -> ScriptedAnswer | None:
    try:
        answer = msgspec.convert(document, ScriptedAnswer)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        field = where.rstrip("`")
        name = field.partition(".")[0].partition("[")[0]
        wrong(lines.get(name, line), f"`{field}`: {reason}" if field else reason)
        return None
    if answer.error is not None and answer.error.kind not in get_args(FailureKind):
        wrong(lines["error"], f"`error.kind` is one of {', '.join(get_args(FailureKind))}")
    if not 0 <= answer.delay_s < math.inf:
        wrong(lines["delay_s"], "`delay_s` is a number of seconds from 0 on")
    wait_s = None if answer.error is None else answer.error.retry_after_s
    if wait_s is not None and not 0 <= wait_s < math.inf:
        wrong(lines["error"], "`error.retry_after_s` is a number of seconds from 0 on")
    if answer.usage is not None:
        _check_usage(answer.usage, lines["usage"], wrong)
    if answer.times is not None and answer.times < 1:
        wrong(lines["times"], "`times` is at least 1")
    try:
        json = None if answer.json is msgspec.UNSET else answer.json
        msgspec.json.encode([json, answer.text, answer.tool_calls])
    except (TypeError, UnicodeError, RecursionError) as error:  # YAML has more than JSON
        wrong(lines.get("json", line), f"the answer has no form in JSON: {error}")
    return answer


def _check_usage(usage: ScriptedUsage, line: int, wrong: Any) -> None:
    counts = msgspec.structs.asdict(usage)
    for name, count in counts.items():
        if count is not None and count_of(count) is None:
            wrong(line, f"`usage.{name}` is a number of tokens from 0 on")
    for part, whole in (("cached_tokens", "input_tokens"), ("reasoning_tokens", "output_tokens")):
        if counts[part] is not None and counts[whole] is not None and counts[part] > counts[whole]:
            wrong(line, f"`usage.{part}` is a part of `{whole}`, and larger than that")


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _line_of(error: Any) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return 1 if mark is None else int(mark.line) + 1


def _reason(error: Any) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]
