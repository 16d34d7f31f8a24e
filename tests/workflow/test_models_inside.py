"""A workflow inside another asks its own models, and what it leaves open is as around it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workflow.commands import run
from tests.workflow.model_answers import Says
from tests.workflow.model_servers import OpenAIServer
from tests.workflow.running import write_project
from tests.workflow.test_whole_answers import replay

pytestmark = pytest.mark.needs_extra("workflow")
OUTER = """
    clew: "1"
    name: outer
    defaults: {{model: openai/m, base_url: {outer}}}
    nodes:
      input: {{type: input, schema: {{q: {{type: string, default: hello}}}}}}
      ask: {{type: prompt, prompt: ask}}
      own: {{type: branch, workflow: ./own.yaml}}
      open: {{type: branch, workflow: ./open.yaml}}
      waits: {{type: trigger, workflow: ./own.yaml, mode: wait}}
      output: {{type: output}}
    edges:
      e1: {{from: input, to: ask}}
      e2: {{from: input, to: own}}
      e3: {{from: input, to: open}}
      e4: {{from: input, to: waits}}
      e5: {{from: ask, to: output, mapping: {{ask: text}}}}
      e6: {{from: own, to: output, mapping: {{own: text}}}}
      e7: {{from: open, to: output, mapping: {{open: text}}}}
      e8: {{from: waits, to: output, mapping: {{waits: output.text}}}}
"""
INNER = """
    clew: "1"
    name: {name}
    defaults: {defaults}
    nodes:
      input: {{type: input, schema: {{q: {{type: string}}}}}}
      ask: {{type: prompt, prompt: ask}}
      output: {{type: output}}
    edges: {{e1: {{from: input, to: ask}}, e2: {{from: ask, to: output, mapping: {{text: text}}}}}}
"""
ASK = "---\nid: ask\ninput: {q: {type: string}}\n---\n{{q}}\n"


@pytest.mark.needs_extra("openai")
@pytest.mark.parametrize("own", ["base_url", "script"])
def test_each_workflow_asks_its_own_models(tmp_path: Path, own: str) -> None:
    with (
        OpenAIServer([Says("outer")] * 2) as outer,
        OpenAIServer([Says("own")] * 2) as inner,
    ):
        defaults = {
            "base_url": f"{{model: openai/m, base_url: {inner.url}}}",
            "script": "{model: scripted, script: own-answers.yaml}",
        }
        place = write_project(
            tmp_path / "project",
            clew_yaml=OUTER.format(outer=outer.url),
            own_yaml=INNER.format(name="own", defaults=defaults[own]),
            open_yaml=INNER.format(name="open", defaults="{model: openai/m}"),
            prompts__ask_prompt=ASK,
        )
        (place / "own-answers.yaml").write_text("answers:\n  - {text: own}\n")
        done = run(place, "-o", "json", OPENAI_API_KEY="key-1")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)["outputs"]["output"]
        assert found == {"ask": "outer", "own": "own", "open": "outer", "waits": "own"}
        assert (outer.count, inner.count) == (2, 2 if own == "base_url" else 0)
    again = replay("latest", "-o", "json")
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
