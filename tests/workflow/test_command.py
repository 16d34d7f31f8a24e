"""`clew run PROJECT` as a person types it: standard output is exactly the result, and the exit code says what happened."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from clew.store.store import Store
from tests.workflow.commands import CLEW, MANIFEST, TOOLS, project, run
from tests.workflow.model_answers import CONTEXT_OVERFLOW, Answer, Fails, Hangs, Says, Sends
from tests.workflow.model_servers import OpenAIServer
from tests.workflow.running import write_project

pytestmark = pytest.mark.needs_extra("workflow")


@pytest.mark.parametrize(
    "options, printed",
    [
        ((), '{\n  "output": {\n    "n": 42\n  }\n}\n'),
        (("-o", "pretty"), '{\n  "output": {\n    "n": 42\n  }\n}\n'),
        (("-o", "json"), '{"success":true,"outputs":{"output":{"n":42}}}\n'),
        (("-o", "text"), "42\n"),
        (("-o", "json", "--telemetry"), '{"success":true,"outputs":{"output":{"n":42}}}\n'),
        (("--telemetry",), '{\n  "output": {\n    "n": 42\n  }\n}\n'),
    ],
)
def test_standard_output_is_the_result_and_nothing_else_whatever_a_tool_prints(
    tmp_path: Path, options: tuple[str, ...], printed: str
) -> None:
    done = run(project(tmp_path), "-i", '{"n": 21}', *options)
    assert (done.returncode, done.stdout) == (0, printed), done.stderr
    assert "a tool prints\nand writes to the descriptor\n" in done.stderr


def test_the_stream_alone_is_the_output_and_every_line_of_it_is_an_event(tmp_path: Path) -> None:
    done = run(project(tmp_path), "-i", '{"n": 21}', "--telemetry-stdout")
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert (events[0], events[-1]) == ("workflow_started", "workflow_completed")
    assert events.count("node_completed") == 3


@pytest.mark.parametrize(
    "trouble",
    ["| head -1", "> /dev/full", "--telemetry-file /nowhere/events.jsonl", "--telemetry-file /dev/full"],
)
def test_a_stream_that_goes_nowhere_changes_neither_the_exit_code_nor_the_run(
    tmp_path: Path, trouble: str
) -> None:
    place = project(tmp_path)
    shell = f'"$@" --telemetry-stdout {trouble}; exit ${{PIPESTATUS[0]}}'
    command = ["bash", "-c", shell, "bash", *CLEW, "run", str(place), "-i", '{"n": 21}']
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    store = Store(tmp_path / ".clew")
    (row,) = store.runs()
    assert (row.status, store.trace(row.run_id).outputs) == ("completed", {"output": {"n": 42}})


@pytest.mark.parametrize(
    "function, sentence",
    [("leave", "tried to end the process"), ("forever", "longer than 0.3 s"), ("escape", r"\x1b[2J")],
)
def test_a_hostile_tool_is_a_failed_node_and_a_sentence(tmp_path: Path, function: str, sentence: str) -> None:
    done = run(project(tmp_path, function=function, timeout=0.3), "-i", '{"n": 1}')
    assert (done.returncode, done.stdout) == (1, "")
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr
    first = done.stderr.splitlines()[0]
    assert first.startswith("clew: node work (tool) failed: ")
    store = Store(tmp_path / ".clew")
    (row,) = store.runs()
    trace = store.trace(row.run_id)
    assert (trace.status, [node.status for node in trace.nodes]) == ("failed", ["completed", "failed"])
    assert sentence in first or function == "leave"


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("-i", "{"), "-i is not JSON"),
        (("-i", "[1]"), "the input of a workflow is a JSON object"),
        ((), "the input of doubling does not fit: there is no field 'n'; give it with -i '{\"n\": 0}'"),
        (("-i", '{"n": 1}', "-f", "x.json"), "contradict each other"),
        (("-f", "nowhere.json"), "-f: nowhere.json cannot be read"),
        (("-i", '{"n": 1}', "--param", "work"), "--param: 'work' is not NAME=VALUE"),
        (("-i", '{"n": 1}', "--param", "work.tiemout_s=1"), "did you mean 'timeout_s'?"),
        (
            ("-i", '{"n": 1}', "--param", "work.timeout_s=soon"),
            "--param: timeout_s of tool 'work' should be a number above 0, not the text 'soon'",
        ),
        (("-i", '{"n": 1}', "--resume", "latest"), "there are no runs"),
        (("-i", '{"n": 1}', "--wait-for", "nothing"), "--wait-for: 'nothing' is no signal"),
        (("-i", '{"n": 1}', "--until", "wrok"), "did you mean 'work'?"),
        (("an argument",), "a project takes no arguments"),
    ],
)
def test_bad_use_is_one_sentence_and_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = run(project(tmp_path), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / ".clew" / "journal").exists()


def test_an_option_of_projects_is_refused_for_a_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('ran')\n")
    done = run("--dry-run", tmp_path / "script.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "clew: --dry-run is for workflow projects; the target is none\n"


def test_a_signal_that_does_not_come_is_exit_code_4_and_one_that_comes_is_recorded(tmp_path: Path) -> None:
    place = project(tmp_path)
    done = run(place, "-i", '{"n": 1}', "--wait-for", "other.completed", "--timeout", "0.2")
    assert done.returncode == 4
    assert "other.completed did not come within 0.2 s" in done.stderr
    other = write_project(
        tmp_path / "other", clew_yaml=MANIFEST.format(function="double", timeout=5), tools__t_py=TOOLS
    )
    (other / "clew.yaml").write_text((other / "clew.yaml").read_text().replace("doubling", "other"))
    assert run(other, "-i", '{"n": 1}', "--emit-signal").returncode == 0
    assert run(place, "-i", '{"n": 1}', "--wait-for", "other.completed", "--timeout", "5").returncode == 0
    store = Store(tmp_path / ".clew")
    events = [event for row in store.runs() for event in store.trace(row.run_id).events]
    emitted = [event.values()["signal_type"] for event in events if event.event == "signal_emitted"]
    received = [event.values() for event in events if event.event == "signal_received"]
    assert sorted(emitted) == ["completed", "ready", "started"]
    assert [(each["signal_type"], each["workflow"]) for each in received] == [("completed", "other")]


def test_ctrl_c_ends_with_130_and_the_run_is_shown_as_interrupted(tmp_path: Path) -> None:
    place = project(tmp_path, function="forever", timeout=60)
    command = [*CLEW, "run", str(place), "-i", '{"n": 1}']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = Store(tmp_path / ".clew")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (rows := store.runs()):
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode in {130, -signal.SIGINT}
    assert (out, "Traceback" in err) == ("", False)
    assert [row.status for row in store.runs()] == ["interrupted"]
    assert rows


PROMPT = """\
    ---
    id: ask
    input: {n: {type: integer}}
    output: {format: json, schema: {n: {type: integer}}}
    ---
    Double {{n}}
"""
ASKING = """
    clew: "1"
    name: asking
    defaults: {model: openai/gpt-4o-mini}
    nodes:
      input: {type: input, schema: {n: {type: integer}}}
      ask: {type: prompt, prompt: ask, timeout_s: 6, retry: {attempts: 2, delay_s: 0.01, max_delay_s: 0.05}}
      output: {type: output}
    edges:
      e1: {from: input, to: ask, mapping: {n: n}}
      e2: {from: ask, to: output}
"""
GOOD = Says('{"n": 2}')


@pytest.mark.needs_extra("openai")
@pytest.mark.parametrize(
    "answers, code, attempts, sentence",
    [
        ([GOOD], 0, ["completed"], ""),
        ([Fails(429, headers={"retry-after": "1"}), GOOD], 0, ["failed", "completed"], ""),
        ([Fails(500), GOOD], 0, ["failed", "completed"], ""),
        ([Fails(500), Fails(500)], 3, ["failed", "failed"], "HTTP 500"),
        ([Says("no json"), GOOD], 0, ["completed"], ""),
        (
            [Says("no json"), Says("again none")],
            3,
            ["failed"],
            "gave no answer that fits, also when asked again",
        ),
        ([Says('{"n": "two"}'), GOOD], 0, ["completed"], ""),
        ([Fails(400, CONTEXT_OVERFLOW)], 3, ["failed"], "openai/gpt-4o-mini"),
        ([Fails(401)], 3, ["failed"], "HTTP 401"),
        ([Sends(b"{never an end"), GOOD], 0, ["failed", "completed"], ""),
        ([Hangs(), GOOD], 0, ["failed", "completed"], ""),
    ],
)
def test_whatever_a_model_does_is_a_clear_event_and_a_clear_exit(
    tmp_path: Path, answers: list[Answer], code: int, attempts: list[str], sentence: str
) -> None:
    place = write_project(tmp_path / "asking", clew_yaml=ASKING, prompts__ask_prompt=PROMPT)
    with OpenAIServer(answers) as server:
        done = run(
            place,
            "-i",
            '{"n": 1}',
            "-o",
            "json",
            OPENAI_BASE_URL=server.url,
            OPENAI_API_KEY="sk-test-1234567890abcdef",
        )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "sk-test" not in done.stderr + done.stdout
    assert server.count == len(answers)
    assert json.loads(done.stdout)["success"] is (code == 0)
    assert sentence in done.stderr
    store = Store(tmp_path / ".clew")
    (row,) = store.runs()
    assert [n.status for n in store.trace(row.run_id).nodes if n.node_id == "ask"] == attempts


@pytest.mark.needs_extra("openai")
def test_usage_and_cost_of_every_call_are_in_the_trace_and_none_where_nobody_knows(tmp_path: Path) -> None:
    place = write_project(tmp_path / "asking", clew_yaml=ASKING, prompts__ask_prompt=PROMPT)
    with OpenAIServer([Says("no json"), GOOD]) as server:
        run(place, "-i", '{"n": 1}', OPENAI_BASE_URL=server.url, OPENAI_API_KEY="none")
    store = Store(tmp_path / ".clew")
    trace = store.trace(store.runs()[0].run_id)
    (node,) = [n for n in trace.nodes if n.node_id == "ask"]
    told = [event.values() for event in node.events if event.event == "token_usage"]
    assert len(told) == server.count == 2
    assert node.usage is not None
    assert node.usage.input_tokens == sum(each["input_tokens"] for each in told)
    assert node.usage == trace.usage
    paid = [event.values()["cost_usd"] for event in node.events if event.event == "cost_incurred"]
    assert node.cost_usd == pytest.approx(sum(paid))


def test_artifacts_are_written_in_the_shapes_of_the_original(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    assert run(project(tmp_path), "-i", '{"n": 21}', "--artifacts", folder).returncode == 0
    assert json.loads((folder / "outputs.json").read_text()) == {"output": {"n": 42}}
    checkpoint = json.loads((folder / "checkpoint.json").read_text())
    assert set(checkpoint["completed_nodes"]) == {"input", "work", "output"}
    assert checkpoint["completed_nodes"]["work"]["outputs"] == {"n": 42}
    assert [node["id"] for node in json.loads((folder / "trace.json").read_text())["nodes"]] == [
        "input",
        "work",
        "output",
    ]
    assert json.loads((folder / "metadata.json").read_text())["project_name"] == "doubling"


def test_a_trigger_that_does_not_wait_goes_on_by_itself_as_a_run_of_its_own_and_signals(
    tmp_path: Path,
) -> None:
    place = project(tmp_path)
    trigger = """
        clew: "1"
        name: starter
        nodes:
          input: {type: input, schema: {n: {type: integer}}}
          start: {type: trigger, workflow: ./clew.yaml, emit_signal: true}
          output: {type: output}
        edges:
          e1: {from: input, to: start, mapping: {n: n}}
          e2: {from: start, to: output}
    """
    write_project(place, starter_yaml=trigger)
    done = run(place / "starter.yaml", "-i", '{"n": 4}', "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"]["output"]["status"] == "started"
    signal_file = tmp_path / ".clew" / "signals" / "doubling.ready"
    deadline = time.monotonic() + 30
    while not signal_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    store = Store(tmp_path / ".clew")
    deadline = time.monotonic() + 30
    while (rows := {row.name: row for row in store.runs()}).keys() != {"starter", "doubling"} or rows[
        "doubling"
    ].status == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert rows["doubling"].parent_run_id == rows["starter"].run_id
    assert store.trace(rows["doubling"].run_id).outputs == {"output": {"n": 8}}


def test_a_changed_field_is_a_parameter_of_the_run_and_really_changes_it(tmp_path: Path) -> None:
    place = project(tmp_path, function="forever", timeout=60)
    done = run(place, "-i", '{"n": 1}', "--param", "work.timeout_s=0.2")
    assert done.returncode == 1
    assert "longer than 0.2 s" in done.stderr
    store = Store(tmp_path / ".clew")
    assert store.trace(store.runs()[0].run_id).params == {"work.timeout_s": 0.2}


def test_standard_output_carries_the_result_or_the_stream_and_never_both(tmp_path: Path) -> None:
    place = project(tmp_path)
    done = run(place, "-i", '{"n": 21}', "-o", "json", "--telemetry-stdout")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "clew: -o and --telemetry-stdout contradict each other: standard output carries the result or the stream\n"
    )
    done = run(place, "-i", '{"n": 21}', "-o", "text", CLEW_TELEMETRY_STDOUT="true")
    assert (done.returncode, done.stdout) == (0, "42\n")
    assert '"event":"workflow_completed"' in done.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_result_is_whole_whatever_looks_like_a_colour_in_it(tmp_path: Path, form: str) -> None:
    place = write_project(
        tmp_path / "project",
        clew_yaml=MANIFEST.format(function="red", timeout=10),
        tools__t_py="def red(n):\n    return {'n': '\\x1b[31mred\\x1b[0m'}\n",
    )
    shown = {
        "text": "\x1b[31mred\x1b[0m\n",
        "json": '{"success":true,"outputs":{"output":{"n":"\\u001b[31mred\\u001b[0m"}}}\n',
    }
    done = run(place, "-i", '{"n": 21}', "-o", form)
    assert (done.returncode, done.stdout) == (0, shown[form])
    again = subprocess.run(
        [*CLEW, "replay", "latest", "-o", form], cwd=place, capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stdout) == (0, shown[form])


def test_a_folder_whose_manifest_has_a_name_that_is_none_is_no_project(tmp_path: Path) -> None:
    (project(tmp_path) / "clew.yaml").rename(tmp_path / "project" / "clew.yml")
    done = run(tmp_path / "project")
    assert (done.returncode, done.stdout) == (2, "")
    assert "project has neither __main__.py nor clew.yaml" in done.stderr
