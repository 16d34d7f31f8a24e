"""What an edge carries fits what its target takes, also where it carries everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.commands import run
from tests.workflow.written_projects import judged, write

pytestmark = pytest.mark.needs_extra("workflow")

INSIDE = (
    "name: w\nnodes: {i: {type: input, schema: {SCHEMA}}, o: {type: output}}\nedges: {e: {from: i, to: o}}\n"
)


def branch(folder: Path, given: str, wanted: str, *, edge: str = "{from: i, to: b}", more: str = "") -> Path:
    """Write a project whose input goes into a branch."""
    manifest = (
        f"name: n\nnodes: {{i: {{type: input, schema: {{{given}}}}}, b: {{type: branch, workflow: ./w.yaml}}, o: {{type: output}}}}\n"
        f"edges:\n  a: {edge}\n{more}  e: {{from: b, to: o}}\n"
    )
    return write(folder, {"clew.yaml": manifest, "w.yaml": INSIDE.replace("SCHEMA", wanted)})


def tool(folder: Path, function: str, *, given: str = "{a: string, b: string}", more: str = "") -> Path:
    """Write a project whose input goes into a tool."""
    manifest = (
        f"name: n\nnodes: {{i: {{type: input, schema: {given}}}, o: {{type: output}}}}\n"
        f"tools: {{t: {{type: python, module: t, function: f{more}}}}}\n"
        "edges:\n  a: {from: i, to: t}\n  e: {from: t, to: o}\n"
    )
    return write(folder, {"clew.yaml": manifest, "tools/t.py": f"def f({function}): return dict(locals())\n"})


def test_the_types_of_what_an_edge_without_a_mapping_carries_are_checked(tmp_path: Path) -> None:
    said = ["clew.yaml:4: edge 'a' gives 'b' for 'a' string where integer is wanted"]
    assert judged(branch(tmp_path, "a: string, z: string", "a: integer")) == said


def test_what_a_later_edge_gives_counts_instead_of_what_an_earlier_one_carried_along(tmp_path: Path) -> None:
    later = "  c: {from: i, to: b, mapping: {a: n}}\n"
    assert judged(branch(tmp_path, "a: string, n: integer", "a: integer", more=later)) == []


@pytest.mark.parametrize(
    "given, wanted, said",
    [
        ("{type: array, items: string}", "{type: array, items: integer}", "an array, and in it string where integer is wanted"),
        ("{type: array, items: integer}", "{type: array, items: number}", None),
        ("{type: array}", "{type: array, items: integer}", None),
        ("{type: object, fields: {x: string}}", "{type: object, fields: {y: integer}}", "an object, and in it no 'y'"),
        ("{type: object, fields: {x: string}}", "{type: object, fields: {y: {type: integer, required: false}}}", None),
        ("{type: object, fields: {x: string}}", "{type: object, fields: {x: boolean}}", "an object, and in it for 'x' string where boolean is wanted"),
        ("object", "{type: object, fields: {y: integer}}", None),
    ],
)  # fmt: skip
def test_lists_and_objects_are_compared_by_what_is_in_them(
    tmp_path: Path, given: str, wanted: str, said: str | None
) -> None:
    for edge in ("{from: i, to: b}", "{from: i, to: b, mapping: {a: a}}"):
        found = judged(branch(tmp_path, f"a: {given}", f"a: {wanted}", edge=edge))
        assert found == ([] if said is None else [f"clew.yaml:4: edge 'a' gives 'b' for 'a' {said}"])


def test_a_tool_that_would_fail_for_what_it_does_not_take_is_told_of_before_it_runs(tmp_path: Path) -> None:
    """What validation says and what a run would do are the same thing."""
    said = "edge 'a' gives 't' all fields of 'i', and it does not take 'b'; name those that it takes in a 'mapping'"
    assert judged(tool(tmp_path / "closed", "a")) == [f"clew.yaml:5: {said}"]
    listed = ", parameters: {a: string}"  # says what is meant, and the function takes more
    for folder in (tool(tmp_path / "open", "**more"), tool(tmp_path / "listed", "a, b=1", more=listed)):
        assert judged(folder) == []
        done = run(folder, "-i", '{"a": "x", "b": "y"}', CLEW_HOME=str(tmp_path / "home"))
        assert done.returncode == 0, done.stderr


def test_a_prompt_passes_over_fields_that_it_does_not_use(tmp_path: Path) -> None:
    manifest = "name: n\nnodes: {i: {type: input, schema: {a: string, b: string}}, p: {type: prompt, model: openai/x}}\nedges: {e: {from: i, to: p}}\n"
    files = {"clew.yaml": manifest, "prompts/p.prompt": "---\ninput: {a: string}\n---\n{{a}}\n"}
    assert judged(write(tmp_path, files)) == []


@pytest.mark.parametrize("mode, is_refused", [("fire-and-forget", True), ("wait", False)])
def test_a_workflow_that_is_started_alone_refuses_what_it_does_not_take(
    tmp_path: Path, mode: str, is_refused: bool
) -> None:
    """It runs as `clew run` does, where nobody would see the refusal."""
    folder = branch(tmp_path, "a: string, b: string", "a: string")
    manifest = (folder / "clew.yaml").read_text(encoding="utf-8")
    (folder / "clew.yaml").write_text(
        manifest.replace("type: branch", f"type: trigger, mode: {mode}"), "utf-8"
    )
    found = judged(folder)
    assert len(found) == is_refused
    assert all("does not take 'b'" in problem for problem in found)


def test_an_input_hands_on_what_other_inputs_declare_too(tmp_path: Path) -> None:
    folder = tool(tmp_path, "a", given="{a: string}")
    manifest = (folder / "clew.yaml").read_text(encoding="utf-8")
    more = manifest.replace("nodes: {", "nodes: {j: {type: input, schema: {z: string}}, ")
    (folder / "clew.yaml").write_text(more + "  g: {from: j, to: o}\n", encoding="utf-8")
    done = run(folder, "-i", '{"a": "x", "z": "y"}', CLEW_HOME=str(tmp_path / "home"))
    assert (done.returncode, "does not take 'z'" in done.stderr) == (2, True)


def test_a_mapped_field_that_a_later_edge_gives_anew_need_not_fit(tmp_path: Path) -> None:
    """The later one wins, which is told."""
    later = "  c: {from: i, to: b, mapping: {a: n}}\n"
    folder = branch(
        tmp_path,
        "a: string, n: integer",
        "a: integer",
        edge="{from: i, to: b, mapping: {a: a}}",
        more=later,
    )
    said = "warning: clew.yaml:5: edge 'c' gives 'b' 'a', which edge 'a' gives too; the later one wins"
    assert judged(folder) == [said]


def test_whatever_goes_into_the_text_of_a_prompt_fits(tmp_path: Path) -> None:
    """The run writes it as JSON, and validation does not refuse what the run does."""
    manifest = (
        "name: n\ndefaults: {model: scripted, script: s.yaml}\n"
        "nodes: {i: {type: input, schema: {n: integer, b: boolean, f: number, l: array}}, p: {type: prompt}}\n"
        "edges: {e: {from: i, to: p}}\n"
    )
    prompt = "---\ninput: {n: string, b: string, f: string, l: string}\n---\n{{n}} {{b}} {{f}} {{l}}\n"
    script = "answers: [{match: '1 true 0.5 [2]', text: got it}]\n"
    folder = write(tmp_path, {"clew.yaml": manifest, "prompts/p.prompt": prompt, "s.yaml": script})
    assert judged(folder) == []
    done = run(folder, "-i", '{"n": 1, "b": true, "f": 0.5, "l": [2]}', CLEW_HOME=str(tmp_path / "home"))
    assert (done.returncode, "got it" in done.stdout) == (0, True), done.stderr


def test_what_a_round_gives_has_to_fit_what_the_next_one_takes(tmp_path: Path) -> None:
    inside = (
        "name: w\ndefaults: {model: scripted, script: s.yaml}\n"
        "nodes: {i: {type: input, schema: {n: integer}}, p: {type: prompt}, o: {type: output}}\n"
        "edges: {a: {from: i, to: p}, b: {from: p, to: o}}\n"
    )
    files = {
        "clew.yaml": (
            "name: n\nnodes:\n  i: {type: input, schema: {n: integer}}\n"
            "  b: {type: branch, workflow: ./w.yaml, loop_while: \"n != 'z'\", max_iterations: 3}\n  o: {type: output}\n"
            "edges: {a: {from: i, to: b}, d: {from: b, to: o}}\n"
        ),
        "w.yaml": inside,
        "s.yaml": "answers: [{json: {n: three}}]\n",
        "prompts/p.prompt": "---\ninput: {n: integer}\noutput: {schema: {n: string}}\n---\n{{n}}\n",
    }
    said = (
        "the second round of 'b' gets what the first gave, and for 'n' that is string where integer is wanted"
    )
    assert judged(write(tmp_path, files)) == [f"clew.yaml:4: {said}"]
