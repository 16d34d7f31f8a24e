"""What a project has beside its manifest is looked at too, and what probably was not meant is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.workflow.validate import judge
from tests.workflow.written_projects import judged, write

pytestmark = pytest.mark.needs_extra("workflow")

ASK = "---\nid: ask\n---\n{{x}} and {{later}}\n"
HEAD = "name: x\ndefaults:\n  model: scripted\n  script: answers.yaml\n"
NODES = "nodes: {in: {type: input, schema: {x: string, later: string}}, out: {type: output}}\n"
EDGES = "edges:\n  a: {from: in, to: ask}\n  b: {from: ask, to: out}\n"
GOOD_SCRIPT = "answers: [{text: hi}]"


def project(folder: Path, *, script: str = GOOD_SCRIPT, head: str = HEAD, edges: str = EDGES) -> Path:
    return write(
        folder,
        {"clew.yaml": f"{head}{NODES}{edges}", "prompts/ask.prompt": ASK, "answers.yaml": script},
    )


@pytest.mark.parametrize(
    "script, said",
    [
        (GOOD_SCRIPT, []),
        ("answers:\n  - nod: ask\n    text: a\n", ["answers.yaml:2: 'nod' is not known in an answer: did you mean 'node'?"]),
        ("answers:\n  - {}\n  - {text: a, times: 0}\n", ["answers.yaml:2: an answer has `text`, `json`, `tool_calls` or `error`", "answers.yaml:3: `times` is at least 1"]),
        ("#" * 1_100_000, ["answers.yaml:1: the script is larger than 1 MB"]),
    ],
)  # fmt: skip
def test_everything_wrong_in_the_file_of_answers_is_told(
    tmp_path: Path, script: str, said: list[str]
) -> None:
    assert judged(project(tmp_path, script=script)) == said


@pytest.mark.parametrize(
    "prices, said",
    [
        ('[models."m"]\ninput = 1\noutput = 2', None),
        ("nothing", " is not TOML: Expected '=' after a key in a key/value pair (at end of document)"),
        (
            "[models.m]\ninput = -1\noutput = 2",
            " cannot be used: [models.m]: a price is below 0, or no number",
        ),
        (None, " cannot be read: No such file or directory"),
    ],
)
def test_a_file_of_prices_that_cannot_be_used_is_an_error_of_the_project(
    tmp_path: Path, prices: str | None, said: str | None
) -> None:
    path = tmp_path / "prices.toml"
    if prices is not None:
        path.write_text(prices)
    _, found = judge(project(tmp_path), environ={"CLEW_PRICES": str(path)})
    expected = [] if said is None else [(path, True, f"CLEW_PRICES: the price file {path}{said}")]
    assert [(one.place.path, one.is_error, one.message) for one in found] == expected


def test_the_prices_that_a_dotenv_file_names_are_looked_at_too(tmp_path: Path) -> None:
    write(tmp_path, {".env": "CLEW_PRICES=/nowhere/prices.toml"})
    assert judged(project(tmp_path)) == [
        "/nowhere/prices.toml:1: CLEW_PRICES: the price file /nowhere/prices.toml cannot be read: No such file or directory"
    ]


@pytest.mark.parametrize(
    "model, is_told", [("anthropic/claude-x", True), ("claude-x", True), ("openai/gpt", False)]
)
def test_a_base_url_with_a_model_of_anthropic_is_warned_of(tmp_path: Path, model: str, is_told: bool) -> None:
    head = f"name: x\ndefaults:\n  model: {model}\n  base_url: http://localhost:1/v1\n"
    said = (
        f"warning: clew.yaml:4: base_url is only for models that speak like OpenAI's, so 'ask' asks {model} at "
        "ANTHROPIC_BASE_URL, or at Anthropic itself where that is not set"
    )
    assert judged(project(tmp_path, head=head)) == ([said] if is_told else [])


@pytest.mark.parametrize(
    "edges, is_told",
    [
        ("{from: in, to: ask, mapping: {x: x}}", True),
        ("{from: in, to: ask, mapping: {x: x}, condition: 'x'}", False),
        ("{from: in, to: ask, mapping: {other: x}}", False),
        ("{from: other, to: ask, mapping: {x: x}}\n  d: {from: in, to: other, condition: 'x'}", False),
    ],
)
def test_two_edges_that_fill_one_field_in_every_run_are_warned_of(
    tmp_path: Path, edges: str, is_told: bool
) -> None:
    folder = project(
        tmp_path,
        edges=EDGES.replace("to: ask}", "to: ask, mapping: {x: x, later: later}}") + f"  c: {edges}\n",
    )
    said = "warning: clew.yaml:9: edge 'c' gives 'ask' 'x', which edge 'a' gives too; the later one wins"
    assert (said in judged(folder)) == is_told
    assert any("gives too" in line for line in judged(folder)) == is_told


def test_a_variable_that_nothing_gives_stays_as_written_in_the_original_format(tmp_path: Path) -> None:
    nodes = "nodes: {input: {type: input, schema: {x: {type: string}}}}\n"
    text = f"name: t\ndefaults: {{model: openai/x}}\n{nodes}edges: {{a: {{from: input, to: ask}}, b: {{from: ask, to: output}}}}\n"
    write(tmp_path, {"prompts/ask.prompt": ASK})
    said = "5: nothing gives 'ask' its field 'later'"
    assert judged(write(tmp_path, {"agent.tml": f"trident: '0.1'\n{text}"})) == [f"warning: agent.tml:{said}"]
    assert judged(write(tmp_path, {"clew.yaml": f"clew: '1'\n{text}"})) == [f"clew.yaml:{said}"]


@pytest.mark.parametrize("retry", ["0", "{attempts: 0}", "-1", "{attempts: 1.5}"])
def test_less_than_one_attempt_is_refused(tmp_path: Path, retry: str) -> None:
    head = HEAD.replace("model:", f"retry: {retry}\n  model:")
    (said,) = judged(project(tmp_path, head=head))
    assert said.startswith("clew.yaml:3: ")
    assert " should be a whole number of at least 1, not the number " in said


def test_publishing_has_its_own_lines(tmp_path: Path) -> None:
    more = "orchestration:\n  publish:\n    path: ../out.json\n    alias: ../x\n"
    assert judged(project(tmp_path, edges=EDGES + more)) == [
        "clew.yaml:11: the path to publish to '../out.json' leaves the project's folder; it may not contain '..'",
        "clew.yaml:12: the alias '../x' is no plain name",
    ]
