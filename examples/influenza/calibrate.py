"""The search for the rates that fit the outbreak: batches of trials proposed by Optuna, simulated by a pool of threads.

Every step is recorded with `clew.span`. Where nothing is recorded the spans do nothing, so no line here asks.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING

import optuna

import clew
from model import Rates, squared_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEED = 1978
JOB_ID = "influenza-1978"
RANDOM_TRIALS = 32  # two batches over the whole range before TPE starts to learn from them
STEP_PER_DAY = 0.001  # finer than what 14 counts can tell apart


@dataclass(frozen=True)
class Outcome:
    """What one simulation gave."""

    loss: float
    """The sum of squared errors."""
    duration_ns: int | None
    """Nothing where nothing is recorded."""


@dataclass(frozen=True)
class Fit:
    """The best rates so far."""

    rates: Rates
    squared_error: float
    trials: int


class Simulator:
    """Runs simulations in a pool of threads, and none of them twice."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool = pool
        self.known: dict[str, float] = {}

    def submit_batch(self, batch: Sequence[Rates]) -> list[Future[Outcome]]:
        """Hand the batch to the pool. The simulations belong to the iteration, and outlive the span of submitting."""
        contexts = [copy_context() for _ in batch]
        with clew.span("simulation.submit_batch") as span:
            futures = [
                self.pool.submit(context.run, self.execute, rates)
                for context, rates in zip(contexts, batch, strict=True)
            ]
            span.metrics["n_submitted"] = len(futures)
        return futures

    def execute(self, rates: Rates) -> Outcome:
        """Simulate one outbreak; runs in a thread of the pool."""
        param_id = hashlib.blake2b(f"{rates.beta:.3f} {rates.gamma:.3f}".encode(), digest_size=16).hexdigest()
        with clew.span("simulation.execute", param_id=param_id[:8], seed=str(SEED)) as span:
            loss = self.known.get(param_id)
            span.metrics["cached"] = float(loss is not None)
            if loss is None:
                loss = self.known[param_id] = squared_error(rates)
        return Outcome(loss, span.duration_ns)

    def gather(self, futures: Sequence[Future[Outcome]]) -> list[Outcome]:
        """Wait for a batch; the outcomes come in the order of submission."""
        with clew.span("simulation.gather") as span:
            outcomes = [future.result() for future in futures]
            span.metrics["n_results"] = len(outcomes)
            seconds = [outcome.duration_ns / 1e9 for outcome in outcomes if outcome.duration_ns is not None]
            if seconds:
                span.metrics["mean_sim_duration"] = sum(seconds) / len(seconds)
                span.metrics["max_sim_duration"] = max(seconds)
                span.metrics["total_sim_duration"] = sum(seconds)
        return outcomes


def ask(study: optuna.Study, batch_size: int) -> tuple[list[optuna.Trial], list[Rates]]:
    """Have the sampler propose a batch."""
    with clew.span("algorithm.ask") as span:
        trials = [study.ask() for _ in range(batch_size)]
        batch = [
            Rates(
                beta=trial.suggest_float("beta", 0.5, 3.0, step=STEP_PER_DAY),
                gamma=trial.suggest_float("gamma", 0.1, 1.0, step=STEP_PER_DAY),
            )
            for trial in trials
        ]
        span.metrics["n_params"] = len(batch)
    return trials, batch


def tell(study: optuna.Study, trials: Sequence[optuna.Trial], *, outcomes: Sequence[Outcome]) -> None:
    """Have the sampler learn from a batch."""
    with clew.span("algorithm.tell") as span:
        for trial, outcome in zip(trials, outcomes, strict=True):
            study.tell(trial, outcome.loss)
        span.metrics["n_trials"] = len(outcomes)
        span.metrics["min_loss"] = min(outcome.loss for outcome in outcomes)


def best_of(study: optuna.Study) -> Fit:
    best = study.best_trial
    assert best.value is not None
    trials = len(study.get_trials(deepcopy=False))
    return Fit(Rates(best.params["beta"], best.params["gamma"]), best.value, trials)


def calibrate(
    iterations: int, batch_size: int, *, workers: int, on_iteration: Callable[[int, Fit], None]
) -> Fit:
    """Search in `iterations` batches and return the best fit; the same for any number of `workers`."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=SEED, n_startup_trials=RANDOM_TRIALS)
    study = optuna.create_study(sampler=sampler)
    with clew.span("calibration.job", job_id=JOB_ID), ThreadPoolExecutor(workers) as pool:
        simulator = Simulator(pool)
        for iteration in range(1, iterations + 1):
            with clew.span("calibration.iteration", iteration=str(iteration)) as span:
                trials, batch = ask(study, batch_size)
                outcomes = simulator.gather(simulator.submit_batch(batch))
                tell(study, trials, outcomes=outcomes)
                span.metrics["total_trials"] = len(outcomes)
            on_iteration(iteration, best_of(study))
    return best_of(study)
