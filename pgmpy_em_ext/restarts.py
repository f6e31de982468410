"""Best of N: independent runs, in parallel, the best objective kept."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from pgmpy_em_ext.checkpoint import Checkpoint
from pgmpy_em_ext.em import EMState, Problem, Progress, RunResult, run
from pgmpy_em_ext.monitor import StoppingRule, aitken_gap
from pgmpy_em_ext.types import FloatArray


class Start(NamedTuple):
    """One run's seed and starting parameters."""

    seed: int
    parameters: FloatArray


class Iteration(NamedTuple):
    """What a callback sees after each step.

    Attributes
    ----------
    run : int
        Number of the restart, from 0.
    n_iter : int
        Steps made; 0 at the start.
    log_likelihood, log_prior, objective : float
        Of the current parameters, in nats.
    gap : float
        Estimated distance of the objective from its limit, in nats; infinite while unknown.
    """

    run: int
    n_iter: int
    log_likelihood: float
    log_prior: float
    objective: float
    gap: float


Callback = Callable[[Iteration], Any]


class Restart(NamedTuple):
    """The record of a run, for ``restarts_``.

    Attributes
    ----------
    seed : int
        With ``n_init=1`` and this seed the same random start is drawn again.
    objective, log_likelihood : float
        At the run's end, in nats; after a fall, of the best state seen.
    n_iter : int
        Steps made.
    status : {"converged", "max_iter", "max_time", "callback"}
        Why it ended.
    fell_at : int or None
        The first step at which the objective fell under an exact engine, which is a fault.
    """

    seed: int
    objective: float
    log_likelihood: float
    n_iter: int
    status: str
    fell_at: int | None = None


def run_seeds(seed: int | None, n_init: int) -> list[int]:
    """Give every run a seed; the first run's is the fit's own, or fresh entropy where there is none."""
    root = np.random.SeedSequence(seed)
    drawn = [int(child.generate_state(1, np.uint64)[0] >> np.uint64(1)) for child in root.spawn(n_init)]
    return drawn if seed is None else [seed, *drawn[1:]]


class _Watcher:
    """Passes every iteration of every run on to the callback and the checkpoint."""

    def __init__(self, callback: Callback | None, checkpoint: Checkpoint | None, total_weight: float) -> None:
        self.callback = callback
        self.checkpoint = checkpoint
        self.total_weight = total_weight
        self.stopped = False

    def observe(self, number: int, state: EMState, progress: Progress) -> bool:
        if self.checkpoint is not None:
            self.checkpoint.record(number, progress)
        if self.callback is None:
            return self.stopped
        iteration = Iteration(
            run=number,
            n_iter=len(progress.history) - 1,
            log_likelihood=state.log_likelihood,
            log_prior=state.log_prior,
            objective=state.objective,
            gap=aitken_gap(progress.history[-3:], self.total_weight),
        )
        self.stopped = bool(self.callback(iteration)) or self.stopped
        return self.stopped


def best_of(
    problem: Problem,
    starts: list[Start],
    rule: StoppingRule,
    n_jobs: int = 1,
    callback: Callback | None = None,
    on_finish: Callable[[RunResult], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[RunResult, list[Restart]]:
    """Run EM from every start and choose the best.

    The runs share the prepared data and nothing else, so that the answer does not depend
    on ``n_jobs``; of equal objectives the earliest run wins. They run in threads.

    Parameters
    ----------
    problem : Problem
        Engine, plan and M-step.
    starts : list of Start
        At least one.
    rule : StoppingRule
        The same for all runs. A run whose turn comes after the deadline is not begun,
        except the first.
    n_jobs : int
        As joblib has it.
    callback : callable, optional
        Called with an `Iteration` after every evaluation, from several threads where
        ``n_jobs`` says so. A true result stops all runs, each after its step.
    on_finish : callable, optional
        Called with each result, in the order of the starts.
    checkpoint : Checkpoint, optional
        Where runs go on from, and where their progress is kept.

    Returns
    -------
    best : RunResult
        The run with the highest objective.
    restarts : list of Restart
        One for each run that was begun, in the order of the starts.
    """
    watcher = _Watcher(callback, checkpoint, rule.total_weight)

    def run_one(number: int, start: FloatArray) -> RunResult | None:
        late = rule.deadline is not None and time.monotonic() >= rule.deadline
        if number > 0 and (watcher.stopped or late):
            return None
        progress = Progress(start) if checkpoint is None else checkpoint.resume(number, start)
        try:
            result = run(problem, progress, rule, lambda state, now: watcher.observe(number, state, now))
        except BaseException:
            watcher.stopped = True  # a thread cannot be ended from outside: the others see this after their step
            raise
        if checkpoint is not None:
            checkpoint.flush()
        return result

    best: RunResult | None = None
    restarts = []
    try:
        for start, result in zip(starts, _in_parallel(run_one, starts, n_jobs), strict=True):
            if result is None:
                continue
            restarts.append(_record(start, result))
            if best is None or result.state.objective > best.state.objective:
                best = result
            if on_finish is not None:
                on_finish(result)
    finally:
        watcher.stopped = True  # also after an interruption, which reaches the main thread alone
    assert best is not None  # the first run is always begun
    return best, restarts


def _record(start: Start, result: RunResult) -> Restart:
    return Restart(
        seed=start.seed,
        objective=result.state.objective,
        log_likelihood=result.state.log_likelihood,
        n_iter=result.n_iter,
        status=result.status,
        fell_at=result.fell_at,
    )


def _in_parallel(
    run_one: Callable[[int, FloatArray], RunResult | None], starts: list[Start], n_jobs: int
) -> Iterator[RunResult | None]:
    """Yield the results in the order of the starts, as they come."""
    if len(starts) == 1 or n_jobs == 1:
        return (run_one(number, start.parameters) for number, start in enumerate(starts))
    # Runs share the prepared data, the callback and the checkpoint: threads, whatever backend surrounds us.
    pool = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")
    return pool(delayed(run_one)(number, start.parameters) for number, start in enumerate(starts))
