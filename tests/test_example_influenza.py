"""examples/influenza, run as a user runs it: is the fit right, and is every step of the search in the record?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from clew.model.trace import ExecutionTrace

EXAMPLE = Path(__file__).parent.parent / "examples" / "influenza"
CLEW = Path(sys.executable).parent / "clew"
IN_BED = (3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4)

pytestmark = pytest.mark.xdist_group("influenza")  # one process, so that the full run is made once
needs_optuna = pytest.mark.needs_extra("optuna")


@dataclass(frozen=True)
class Run:
    """What one run printed and recorded."""

    output: str
    errors: str
    trace: ExecutionTrace

    def printed(self, name: str) -> float:
        """Return the number that the report gives for `name`."""
        found = re.search(rf"^{name} +([0-9.]+)  ", self.output, re.MULTILINE)
        assert found is not None, self.output
        return float(found[1])


def environment(home: Path, **settings: str) -> dict[str, str]:
    settings = {"PATH": f"{CLEW.parent}{os.pathsep}{os.environ['PATH']}", **settings}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CLEW_", "TRACEPARENT", "TRACESTATE"))
    }
    return {**kept, "CLEW_HOME": str(home), **settings}


def run_and_read(command: list[str], home: Path) -> Run:
    settings = environment(home)
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=settings)
    exported = subprocess.run(
        [CLEW, "export", "latest", "--to", "json"], check=True, capture_output=True, env=settings
    )
    return Run(done.stdout, done.stderr, ExecutionTrace.from_json(exported.stdout))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole example, as `make demo` runs it."""
    return run_and_read([str(CLEW), "run", str(EXAMPLE)], tmp_path_factory.mktemp("full") / ".clew")


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three iterations of five trials in four threads, as a plain program."""
    command = [sys.executable, str(EXAMPLE), "--iterations", "3", "--batch-size", "5", "--workers", "4"]
    return run_and_read(command, tmp_path_factory.mktemp("short") / ".clew")


def least_squares_fit() -> tuple[float, float, float]:
    """Return beta, gamma and the squared error at the optimum, by another integrator and another search."""
    import numpy as np
    from scipy.integrate import odeint
    from scipy.optimize import least_squares

    def difference(rates: tuple[float, float]) -> object:
        beta, gamma = rates

        def change(state: tuple[float, float], _: float) -> tuple[float, float]:
            susceptible, sick = state
            infections = beta * susceptible * sick / 763
            return -infections, infections - gamma * sick

        days = np.arange(len(IN_BED) + 1)
        return odeint(change, (762, 1), days, rtol=1e-10, atol=1e-10)[1:, 1] - np.array(IN_BED)

    best = least_squares(difference, (2.0, 0.5))
    return float(best.x[0]), float(best.x[1]), float(2 * best.cost)


@needs_optuna
def test_the_fit_is_the_least_squares_fit_to_within_one_percent(full: Run) -> None:
    beta, gamma, squared_error = least_squares_fit()
    assert full.printed("SSE") == pytest.approx(squared_error, rel=0.01)
    assert full.printed("beta") == pytest.approx(beta, rel=0.01)
    assert full.printed("gamma") == pytest.approx(gamma, rel=0.01)
    assert full.printed("R0") == pytest.approx(beta / gamma, abs=0.03)
    assert 3.5 <= full.printed("R0") <= 3.9


@needs_optuna
def test_every_step_of_the_search_is_one_execution(full: Run) -> None:
    assert Counter(node.node_id for node in full.trace.nodes) == {
        "calibration.job": 1,
        "calibration.iteration": 25,
        "algorithm.ask": 25,
        "simulation.submit_batch": 25,
        "simulation.execute": 400,
        "simulation.gather": 25,
        "algorithm.tell": 25,
    }
    assert {node.status for node in full.trace.nodes} == {"completed"}
    assert full.trace.status == "completed"


@needs_optuna
@pytest.mark.parametrize("run", ["full", "short"])
def test_each_step_lies_in_its_iteration_also_when_a_pool_thread_ran_it(
    run: str, request: pytest.FixtureRequest
) -> None:
    nodes = request.getfixturevalue(run).trace.nodes
    names = {node.span_id: node.node_id for node in nodes}
    parents = {(node.node_id, names.get(node.parent_id)) for node in nodes}
    assert parents == {
        ("calibration.job", None),
        ("calibration.iteration", "calibration.job"),
        ("algorithm.ask", "calibration.iteration"),
        ("simulation.submit_batch", "calibration.iteration"),
        ("simulation.execute", "calibration.iteration"),
        ("simulation.gather", "calibration.iteration"),
        ("algorithm.tell", "calibration.iteration"),
    }


@needs_optuna
def test_each_step_carries_its_tags_and_metrics(short: Run) -> None:
    trace = short.trace
    assert [node.attributes for node in trace.executions("calibration.job")] == [{"job_id": "influenza-1978"}]
    iterations = trace.executions("calibration.iteration")
    assert [node.attributes["iteration"] for node in iterations] == ["1", "2", "3"]
    assert {node.metrics["total_trials"] for node in iterations} == {5}
    assert [node.metrics for node in trace.executions("algorithm.ask")] == [{"n_params": 5}] * 3
    assert [node.metrics for node in trace.executions("simulation.submit_batch")] == [{"n_submitted": 5}] * 3
    executions = trace.executions("simulation.execute")
    assert len(executions) == 15
    for node in executions:
        assert re.fullmatch("[0-9a-f]{8}", node.attributes["param_id"])
        assert node.attributes["seed"] == "1978"
        assert node.metrics["cached"] in {0, 1}
    tells = trace.executions("algorithm.tell")
    assert {node.metrics["n_trials"] for node in tells} == {5}
    assert min(node.metrics["min_loss"] for node in tells) == pytest.approx(short.printed("SSE"), abs=0.5)


@needs_optuna
def test_what_gather_says_of_its_batch_is_what_the_simulations_took(short: Run) -> None:
    for gather in short.trace.executions("simulation.gather"):
        seconds = [
            node.duration_ns / 1e9
            for node in short.trace.executions("simulation.execute")
            if node.parent_id == gather.parent_id and node.duration_ns is not None
        ]
        assert gather.metrics == pytest.approx(
            {
                "n_results": 5,
                "mean_sim_duration": sum(seconds) / 5,
                "max_sim_duration": max(seconds),
                "total_sim_duration": sum(seconds),
            }
        )


@needs_optuna
def test_the_report_fits_80_columns_has_no_escapes_and_ends_with_what_to_try(full: Run) -> None:
    """The command is on the PATH here; the next test has it elsewhere."""
    lines = full.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in full.output
    assert full.errors == ""
    assert lines[-3:] == [
        "clew show latest",
        "clew timeline latest",
        "clew export latest --to chrome -o influenza.trace.json",
    ]


@needs_optuna
@pytest.mark.parametrize("at", ["", "bin", "empty"], ids=["nowhere", "another", "below"])
def test_what_to_try_can_be_typed_where_no_path_leads_to_the_command(tmp_path: Path, at: str) -> None:
    """The command is that of the interpreter, whatever else is called so; it is named as seen from here."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "bin").mkdir()
    other = tmp_path / "bin" / "clew"
    other.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    other.chmod(0o755)
    path = f"{tmp_path / at}{os.pathsep}/usr/bin{os.pathsep}/bin"
    settings = environment(tmp_path / ".clew", PATH=path)
    folder = CLEW.parents[2]
    arguments = [sys.executable, str(EXAMPLE), "--iterations", "1", "--batch-size", "2", "--workers", "1"]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, env=settings, cwd=folder)
    show = done.stdout.splitlines()[-3]
    assert show == f"{CLEW.relative_to(folder)} show latest"
    subprocess.run(["sh", "-c", show], check=True, env=settings, cwd=folder, stdout=subprocess.DEVNULL)


@needs_optuna
def test_the_report_names_every_kind_of_step_with_its_count(full: Run) -> None:
    for name, count in Counter(node.node_id for node in full.trace.nodes).items():
        assert re.search(
            rf"^{re.escape(name)} +{count} +[0-9.]+ +[0-9.]+ +[0-9.]+$", full.output, re.MULTILINE
        )


@needs_optuna
def test_switched_off_it_finds_the_same_fit_records_nothing_and_says_so(short: Run, tmp_path: Path) -> None:
    home = tmp_path / "off"
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--iterations", "3", "--batch-size", "5", "--workers", "1"],
        check=True,
        capture_output=True,
        text=True,
        env=environment(home, CLEW_ENABLED="false"),
    )
    assert "CLEW_ENABLED=false" in done.stdout
    assert done.stdout.split("\n\n")[:2] == short.output.split("\n\n")[:2]
    assert not home.exists()


@needs_optuna
def test_a_wrong_argument_is_one_sentence_and_exit_code_2() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--iterations", "0"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.endswith("error: --iterations must be at least 1\n")


@pytest.mark.wheel_only
@pytest.mark.parametrize("command", [[sys.executable], [str(CLEW), "run"]], ids=["python", "clew run"])
def test_without_the_extra_it_says_how_to_get_it_in_one_line(command: list[str]) -> None:
    done = subprocess.run([*command, str(EXAMPLE)], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"\w+ is not installed; get it with: pip install 'clew\[optuna\]'\n", done.stderr)
    assert done.stdout == ""
