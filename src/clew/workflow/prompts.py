"""Prompt files: a front matter of YAML between two lines `---`, and the body below it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from clew.errors import ProjectError
from clew.workflow.boundary import confined
from clew.workflow.document import Value, parse_document, read_text
from clew.workflow.fields import read_schema
from clew.workflow.project import AgentNode, Place, Problem, Prompt, PromptNode, Schema
from clew.workflow.table import Table

ENDING: Final = ".prompt"
FOLDER: Final = "prompts"
_FENCE: Final = "---"


class PromptFiles:
    """The prompts of a project: those of its folder, and those elsewhere that a node names by their file."""

    def __init__(self, root: Path, *, found: list[Problem], strict: bool) -> None:
        """Read the folder.

        Args:
            root: the folder of the project.
            found: gets what is wrong.
            strict: as for `read_prompt`.
        """
        self.by_id: dict[str, Prompt] = {}
        self.doubtful: set[str] = set()
        """Ids, or names of files, of prompts that have an error or could not be read."""
        self._root = root
        self._found = found
        self._strict = strict
        try:
            paths = sorted((root / FOLDER).glob(f"*{ENDING}"))
        except OSError as error:
            found.append(Problem(Place(root / FOLDER, 1), f"cannot be read: {error.strerror}"))
            paths = []
        for path in paths:
            prompt = self._read(f"{FOLDER}/{path.name}")
            if prompt is None:
                self.doubtful.add(path.name.removesuffix(ENDING))
            elif prompt.id in self.by_id:
                other = self.by_id[prompt.id].place.path.name
                found.append(Problem(prompt.place, f"the id {prompt.id!r} is that of {other} already"))
                self.doubtful.add(path.name.removesuffix(ENDING))
            else:
                self.by_id[prompt.id] = prompt

    def id_of(self, node: PromptNode | AgentNode) -> str:
        """Return the id of a node's prompt, which may be named by its file; a file elsewhere is read now."""
        written = node.prompt
        if written in self.by_id or not ("/" in written or written.endswith(ENDING)):
            return written
        for prompt in self.by_id.values():
            if prompt.place.path == self._root / written.removeprefix("./"):
                return prompt.id
        extra = self._read(written, place=node.place)
        if extra is None:
            self.doubtful.add(written)
            return written
        return self.by_id.setdefault(extra.id, extra).id

    def _read(self, written: str, *, place: Place | None = None) -> Prompt | None:
        """Read a file that a node names at a place, or that the folder has."""
        try:
            path = confined(self._root, written, what="the prompt")
        except ProjectError as error:
            self._found.append(Problem(place or Place(self._root / written, 1), str(error)))
            return None
        if place is not None and not path.is_file():
            there_is = (
                f"the prompt file {written} is no file"
                if path.exists()
                else f"there is no prompt file {written}"
            )
            self._found.append(Problem(place, there_is))
            return None
        before = len(self._found)
        prompt = read_prompt(path, found=self._found, strict=self._strict)
        if prompt is not None and any(problem.is_error for problem in self._found[before:]):
            self.doubtful.add(prompt.id)
        return prompt


def read_prompt(path: Path, *, found: list[Problem], strict: bool = True) -> Prompt | None:
    """Read a prompt file.

    Args:
        path: the file; its name without the ending is the id of a prompt that has none.
        found: gets what is wrong.
        strict: whether unknown keys and types are errors; else they are warnings.

    Returns: None where the file cannot be used at all.
    """
    text = read_text(path, found=found)
    if text is None:
        return None
    lines = text.split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    if lines[first].rstrip() != _FENCE:
        found.append(Problem(Place(path, first + 1), "a prompt file begins with a line --- above its fields"))
        return None
    last = next((index for index in range(first + 1, len(lines)) if lines[index].rstrip() == _FENCE), None)
    if last is None:
        found.append(Problem(Place(path, first + 1), "no second line --- ends the fields that begin here"))
        return None
    before = len(found)
    matter = parse_document("\n".join(lines[first + 1 : last]), path, found=found, first_line=first + 2)
    if matter is None:
        if len(found) > before:
            return None
        matter = Value(Place(path, first + 1), {})
    return _prompt(matter, "\n".join(lines[last + 1 :]).strip(), found=found, strict=strict)


def _prompt(matter: Value, body: str, *, found: list[Problem], strict: bool) -> Prompt:
    path = matter.place.path
    table = Table(matter, what="a prompt", found=found, strict=strict)
    output_format, output = _output(table, found=found, strict=strict)
    prompt = Prompt(
        place=Place(path, 1),
        id=table.text("id") or path.name.removesuffix(ENDING),
        body=body,
        name=table.text("name") or "",
        description=table.text("description") or "",
        system=table.text("system") or "",
        model=table.text("model"),
        temperature=table.number("temperature"),
        max_tokens=table.whole("max_tokens"),
        inputs=read_schema(table.value("input"), what="the prompt's input", found=found, strict=strict),
        format="json" if output_format == "json" else "text",
        output=output,
    )
    table.ignore("version")
    table.finish()
    if not body:
        found.append(Problem(prompt.place, "the prompt has no text below its fields", is_error=strict))
    return prompt


def _output(table: Table, *, found: list[Problem], strict: bool) -> tuple[str, Schema]:
    written = table.value("output")
    if written is None:
        return "text", {}
    output = Table(written, what="the prompt's output", found=found, strict=strict)
    schema = read_schema(output.value("schema"), what="the prompt's output", found=found, strict=strict)
    output_format = output.word("format", ("text", "json"))
    output.finish()
    if schema and output_format == "text":
        output.wrong(
            written.place, "a prompt whose output is text gives no fields; say format: json", is_error=strict
        )
    return output_format or ("json" if schema else "text"), schema
