"""The examples of workflow projects do what they say, and their record says the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clew.store.store import Store

pytestmark = pytest.mark.needs_extra("workflow")
EXAMPLES = Path(__file__).parents[1] / "examples"


def clew(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clew.cli.main", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=dict(os.environ)
    )


def outputs_of(example: str, inputs: dict[str, Any]) -> dict[str, Any]:
    done = clew("run", EXAMPLES / example, "-i", json.dumps(inputs), "-o", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["outputs"]["output"]
    return found


@pytest.mark.parametrize("example", ["nightly-etl", "support-triage", "research-agent"])
def test_every_example_is_valid(example: str) -> None:
    done = clew("validate", EXAMPLES / example)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "message, topic, writer",
    [
        ("The parcel came broken, I want my money back", "refund", "refund"),
        ("It will crash when I open it", "technical", "technical"),
        ("When are you open?", "general", "general"),
    ],
)
def test_support_triage_answers_in_one_of_three_ways_and_reviews_three_times(
    tmp_path: Path, message: str, topic: str, writer: str
) -> None:
    outputs = outputs_of("support-triage", {"message": message})
    assert outputs["topic"] == topic
    assert outputs["reply"].endswith("Kind regards, Ada")
    store = Store(tmp_path / ".clew")
    (run,) = [row for row in store.runs() if row.depth == 0]
    trace = store.trace(run.run_id)
    status = {node.node_id: node.status for node in trace.nodes}
    assert {name for name in ("refund", "technical", "general") if status[name] == "completed"} == {writer}
    assert len([row for row in store.runs() if row.depth == 1]) == 3
    assert {
        node.attributes["source"] for node in trace.nodes if node.model or "source" in node.attributes
    } == {"scripted"}
    replayed = clew("replay", run.run_id, "-o", "json")
    assert json.loads(replayed.stdout)["outputs"]["output"] == outputs
    assert "the outputs are the same" in replayed.stderr


@pytest.mark.needs_extra("mcp")
def test_the_research_agent_uses_its_tools_and_the_server_and_every_call_is_recorded(tmp_path: Path) -> None:
    outputs = outputs_of("research-agent", {"question": "How much longer is the Rhine than the Elbe?"})
    assert outputs == {
        "answer": 'The Rhine is 139 km longer than the Elbe (document "rivers", 1998).',
        "turns": 4,
    }
    store = Store(tmp_path / ".clew")
    (agent,) = [n for n in store.trace(store.runs()[0].run_id).nodes if n.node_id == "research"]
    calls = [event.values() for event in agent.events if event.event == "agent_tool_called"]
    names = [call["tool_name"] for call in calls]
    assert (set(names[:2]), names[2:]) == ({"search", "library__dated"}, ["read", "calculate"])  # two at once
    assert [call.get("error") for call in calls] == [None] * 4
    (dated,) = [call["tool_output"] for call in calls if call["tool_name"] == "library__dated"]
    assert "1998" in str(dated)
    assert calls[3]["tool_output"] == {"result": 139}
    turns = [event.values()["turn_number"] for event in agent.events if event.event == "agent_turn_completed"]
    assert turns == [1, 2, 3, 4]


def test_the_nightly_job_tries_again_sets_aside_and_reports(tmp_path: Path) -> None:
    outputs = outputs_of("nightly-etl", {"day": "2026-11-21", "rows": 100})
    assert outputs["set_aside"] == 6
    assert outputs["report"].startswith("2026-11-21: ")
    store = Store(tmp_path / ".clew")
    trace = store.trace(next(row for row in store.runs() if row.depth == 0).run_id)
    rain = [(node.attempt, node.status) for node in trace.nodes if node.node_id == "fetch_rain"]
    assert rain == [(1, "failed"), (2, "failed"), (3, "completed")]


@pytest.mark.needs_extra("mcp")
def test_a_replay_starts_no_server_to_ask_again_what_it_offers(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES / "research-agent", project)
    question = json.dumps({"question": "How much longer is the Rhine than the Elbe?"})
    first = clew("run", project, "-i", question, "-o", "json")
    started = tmp_path / "started"
    (project / "library_server.py").write_text(f"open({str(started)!r}, 'w')\n")
    for offline in ([], ["--offline"]):
        again = clew("replay", "latest", *offline, "-o", "json")
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["outputs"] == json.loads(first.stdout)["outputs"]
    assert not started.exists()


@pytest.mark.needs_extra("mcp")
def test_where_the_tools_have_changed_the_replay_says_what_is_not_in_the_log(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES / "research-agent", project)
    clew("run", project, "-i", json.dumps({"question": "How long is the Rhine?"}))
    manifest = project / "clew.yaml"
    manifest.write_text(manifest.read_text().replace("library:", "books:").replace("library.", "books."))
    again = clew("replay", "latest", "--offline")
    assert again.returncode == 1
    assert "what MCP server books offers is not in the recorded run" in again.stderr
