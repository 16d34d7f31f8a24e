"""Trident's telemetry lines for people are read back as far as they say anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clew.errors import UnknownFormatError
from clew.export.formats import read
from clew.model.trace import ExecutionTrace
from tests.export.sample_files import TELEMETRY, json_lines, sample

SAMPLES = ("hello-world", "branching", "tools")


def traces(path: Path) -> list[ExecutionTrace]:
    return [ExecutionTrace.from_events(run.events) for run in read(path).runs]


def human(line: dict[str, Any]) -> str:
    """Write an event as Trident does, by the description of its format and without any code of ours."""
    words = [
        f"[{line['timestamp'][:23]}]",
        f"[{line['level']}]",
        line["event"].upper(),
        f"run={line['run_id']}",
    ]
    if "node_id" in line:
        words.append(f"node={line['node_id']}")
    for name, value in line["data"].items():
        if isinstance(value, str):
            words.append(f"{name}={value if len(value) <= 50 else value[:47] + '...'}")
        elif isinstance(value, bool | int | float):
            words.append(f"{name}={value}")
    return " ".join(words)


@pytest.mark.parametrize("name", SAMPLES)
def test_both_kinds_of_lines_of_a_project_tell_of_the_same_nodes(name: str) -> None:
    """Two runs of one project by the original itself: only times and ids differ."""
    folder = sample(f"trident/{name}")
    (people,) = traces(folder / f"{name}.telemetry.human.log")
    (programs,) = traces(folder / f"{name}.telemetry.jsonl")
    for one, other in zip(people.nodes, programs.nodes, strict=True):
        assert (one.node_id, one.kind, one.status) == (other.node_id, other.kind, other.status)
        assert (one.skip, one.usage) == (other.skip, other.usage)
        assert (one.duration_ns is None) == (other.duration_ns is None)
    assert (people.name, people.status) == (programs.name, programs.status)
    text = (folder / f"{name}.telemetry.human.log").read_text(encoding="utf-8")
    durations = [
        int(line.split("duration_ms=")[1].split()[0]) for line in text.splitlines() if "duration" in line
    ]
    assert [n.duration_ns for n in people.nodes if n.duration_ns is not None] == [
        duration * 1_000_000 for duration in durations[:-1]
    ]
    assert people.duration_ns == durations[-1] * 1_000_000


@pytest.mark.parametrize("name", TELEMETRY)
def test_the_same_run_in_either_kind_of_lines_is_the_same_but_for_what_was_cut(
    name: str, tmp_path: Path
) -> None:
    path = sample(name)
    lines = json_lines(path.read_text(encoding="utf-8"))
    log = tmp_path / "run.telemetry.human.log"
    log.write_text("".join(human(line) + "\n" for line in lines), encoding="utf-8")
    assert read(log).skipped == 0
    for people, programs in zip(traces(log), traces(path), strict=True):
        assert (people.name, people.status, people.parent_run_id is None) == (
            programs.name,
            programs.status,
            programs.parent_run_id is None,
        )
        assert people.duration_ns == programs.duration_ns
        for one, other in zip(people.nodes, programs.nodes, strict=True):
            assert (one.node_id, one.kind, one.status) == (other.node_id, other.kind, other.status)
            assert (one.usage, one.skip) == (other.usage, other.skip)
            if one.status != "failed":  # of which no line has a duration: it is that between two times
                assert one.duration_ns == other.duration_ns
            assert one.started_at is not None
            assert other.started_at is not None
            assert 0 <= (other.started_at - one.started_at).total_seconds() < 0.001
            if other.error is not None:
                assert one.error is not None
                assert one.error.error_type == other.error.error_type
                assert other.error.message is not None
                assert one.error.message == other.error.message[:47] + "..."


def test_what_a_line_does_not_say_stays_unknown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "[2026-01-01T00:00:00.000] [INFO] NODE_STARTED run=r node=my node type=prompt\n"
        "[2026-01-01T00:00:00.500] [INFO] NODE_COMPLETED run=r node=my node type=prompt cost_usd=0.25\n",
        encoding="utf-8",
    )
    (trace,) = traces(log)
    (node,) = trace.nodes
    assert (node.node_id, node.kind, node.cost_usd) == ("my node", "prompt", 0.25)
    assert (node.usage, node.inputs, node.outputs, node.model) == (None, None, None, None)
    assert (trace.name, trace.inputs, trace.ended_at) == (None, None, None)


@pytest.mark.parametrize(
    "error",
    ["a\nb", "a duration_ms=7 error=b", "x error_type=Y z", "line\n\n[OK] b\n", "", "[2026] n=1"],
)
def test_an_error_is_found_between_its_neighbours_whatever_it_says(error: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "[2026-01-01T00:00:00.000] [INFO] NODE_STARTED run=r node=n type=tool\n"
        f"[2026-01-01T00:00:01.000] [ERROR] NODE_FAILED run=r node=n type=tool error={error} error_type=ToolError\n"
        f"[2026-01-01T00:00:02.000] [ERROR] WORKFLOW_FAILED run=r name=a b=c error={error} duration_ms=5\n"
        "=== Execution FAILED ===\n",
        encoding="utf-8",
    )
    (trace,) = traces(log)
    assert read(log).skipped == 1
    assert trace.nodes[0].error is not None
    assert trace.error is not None
    assert (trace.nodes[0].error.message, trace.nodes[0].error.error_type) == (error, "ToolError")
    assert (trace.error.message, trace.duration_ns) == (error, 5_000_000)
    assert trace.boundaries[-1].values()["name"] == "a b=c"


def test_a_torn_error_at_the_end_of_a_log_is_kept_as_far_as_it_goes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "[2026-01-01T00:00:01.000] [ERROR] NODE_FAILED run=r node=n type=tool error=half an\n"
        "[2026-01-01T00:00:02.000] [INFO] WORKFLOW_COMPLETED run=r name=a duration_ms=5\n",
        encoding="utf-8",
    )
    (trace,) = traces(log)
    assert (trace.status, trace.nodes[0].status) == ("completed", "failed")
    assert trace.nodes[0].error is not None
    assert trace.nodes[0].error.message == "half an"


def test_clew_s_own_lines_for_people_are_refused_with_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("[2026-11-21 03:59:12.123] [INFO] NODE_COMPLETED run=0199c2f1a3b4 node=n duration=812ms\n")
    with pytest.raises(UnknownFormatError, match=r"Clew's lines for people.*as jsonl\.$"):
        read(log)
