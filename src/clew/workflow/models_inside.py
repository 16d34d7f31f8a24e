"""The models of each workflow: where it has a `base_url` or `script` of its own, it asks there, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from clew.workflow.chat import CallPlace, ChatAnswer, ChatModel, ChatRequest
from clew.workflow.project import Project

_here: ContextVar[Project | None] = ContextVar("workflow whose models are asked", default=None)


class ModelsInside:
    """A `ChatModel` that hands each request to the models of the workflow that asks. They are opened when they are needed."""

    def __init__(self, outermost: Project, open_for: Callable[[Project], ChatModel]) -> None:
        """Args: outermost: its models are opened at once, so that what is wrong with them is told before anything runs.
        open_for: opens what a project's defaults name.
        """
        self._outermost = outermost
        self._open_for = open_for
        self._open = {_address(outermost): open_for(outermost)}

    async def answer(
        self, request: ChatRequest, *, place: CallPlace, on_text: Callable[[str], None] | None = None
    ) -> ChatAnswer:
        """Ask."""
        project = _here.get() or self._outermost
        address = _address(project)
        if address not in self._open:
            self._open[address] = self._open_for(project)
        return await self._open[address].answer(request, place=place, on_text=on_text)

    async def close(self) -> None:
        """Close all that were opened."""
        for model in self._open.values():
            await model.close()


@contextmanager
def models_of(project: Project, around: Project) -> Iterator[None]:
    """Ask the models of a workflow in here. What its defaults leave open is as in the workflow around it."""
    outer, own = _here.get() or around, project.defaults
    if own.base_url is None:
        own = msgspec.structs.replace(own, base_url=outer.defaults.base_url)
    if own.script is None:
        own = msgspec.structs.replace(own, script=outer.defaults.script)
        project = msgspec.structs.replace(project, root=outer.root)  # which a script is relative to
    token = _here.set(msgspec.structs.replace(project, defaults=own))
    try:
        yield
    finally:
        _here.reset(token)


def _address(project: Project) -> tuple[str | None, str | None]:
    defaults = project.defaults
    return defaults.base_url, None if defaults.script is None else str(project.root / defaults.script)
