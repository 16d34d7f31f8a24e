"""`clew validate`: what is wrong with a workflow project."""

from __future__ import annotations

from pathlib import Path

import click

from clew.cli.options import json_option
from clew.cli.output import Page, print_json
from clew.workflow.document import sentence
from clew.workflow.project import Problem, Project
from clew.workflow.validate import judge

PROBLEMS_FOUND = 2


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@json_option
@click.pass_context
def validate(context: click.Context, path: Path, *, strict: bool, as_json: bool) -> None:
    """Say everything that is wrong with a workflow project.

    PATH is its folder or its manifest. Nothing of it is run. The exit code is 2 where there is an error, and 0 where there are warnings at most.
    """
    project, found = judge(path)
    failed = [problem for problem in found if problem.is_error or strict]
    if as_json:
        print_json(
            {
                "project": project.name if project is not None and project.name else None,
                "valid": not failed,
                "problems": [_plain(problem, strict=strict) for problem in found],
            }
        )
    else:
        _print(project, found, failed, strict=strict)
    if failed:
        context.exit(PROBLEMS_FOUND)


def _print(project: Project | None, found: list[Problem], failed: list[Problem], *, strict: bool) -> None:
    page = Page()
    for problem in found:
        is_error = problem.is_error or strict
        word = page.paint("error", "red") if is_error else page.paint("warning", "yellow")
        page.line(word, "  ", page.safe(sentence(problem)))
    if found:
        page.line()
    name = project.name if project is not None and project.name else "the project"
    warnings = len(found) - len(failed)
    counts = [_counted(len(failed), "error"), *([_counted(warnings, "warning")] if warnings else [])]
    if failed or warnings:
        page.line(page.safe(f"{name}: {', '.join(counts if failed else counts[1:])}"))
    else:
        assert project is not None  # what cannot be read has an error
        page.line(
            page.safe(
                f"{name} is valid: {_counted(len(project.nodes), 'node')}, {_counted(len(project.edges), 'edge')}"
            )
        )


def _plain(problem: Problem, *, strict: bool) -> dict[str, object]:
    return {
        "level": "error" if problem.is_error or strict else "warning",
        "file": problem.place.path,
        "line": problem.place.line,
        "message": problem.message,
    }


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
