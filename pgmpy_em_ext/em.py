"""The EM algorithm: init, step, run. Pure functions on states."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pgmpy_em_ext.cpd_family._base import CPDFamily
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.monitor import StoppingRule, has_fallen, stop_reason
from pgmpy_em_ext.types import ExpectedStatistics, FloatArray


class Problem(NamedTuple):
    """What stays the same in all iterations of all runs.

    Attributes
    ----------
    engine : EStep
        Computes expected statistics.
    plan : object
        What the engine prepared from the data.
    family : CPDFamily
        The M-step and the log prior.
    """

    engine: EStep
    plan: Any
    family: CPDFamily


class EMState(NamedTuple):
    """Parameters, with the statistics and the objective that belong to these very parameters."""

    parameters: FloatArray
    statistics: ExpectedStatistics
    log_prior: float

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the observed data, in nats."""
        return self.statistics.log_likelihood

    @property
    def objective(self) -> float:
        """What EM climbs: log-likelihood plus log prior, in nats."""
        return self.statistics.log_likelihood + self.log_prior


class Progress(NamedTuple):
    """Where a run stands: what it needs to go on, under a deterministic engine bit for bit.

    Attributes
    ----------
    parameters : float ndarray of shape (n_cells,)
        The current parameters.
    history : sequence of float
        Objective per step up to and including the current one; empty before the start
        has been evaluated. The run's own list: whoever keeps it copies it.
    largest_change : float
        Of any parameter in the last step; infinite before the first.
    """

    parameters: FloatArray
    history: Sequence[float] = ()
    largest_change: float = np.inf


Observer = Callable[[EMState, Progress], bool]
"""Called after every evaluation; a true result stops the run."""


class RunResult(NamedTuple):
    """How a run ended.

    Attributes
    ----------
    state : EMState
        The last state; after a fall under an exact engine, the best one seen.
    history : tuple of float
        Objective per step, the start included.
    status : {"converged", "max_iter", "max_time", "callback"}
        Why the run ended.
    fell_at : int or None
        The first step at which the objective fell by more than rounding.
    """

    state: EMState
    history: tuple[float, ...]
    status: str
    fell_at: int | None

    @property
    def n_iter(self) -> int:
        """Steps made."""
        return len(self.history) - 1


def init(problem: Problem, parameters: FloatArray) -> EMState:
    """Evaluate parameters: one E-step."""
    statistics = problem.engine.expected_statistics(problem.plan, parameters)
    if statistics.counts.shape != parameters.shape or np.isnan(statistics.log_likelihood):
        raise ValueError(
            f"{type(problem.engine).__name__}.expected_statistics must return {len(parameters)} counts and a number. "
            f"Got: shape {statistics.counts.shape}, log-likelihood {statistics.log_likelihood}."
        )
    return EMState(parameters, statistics, problem.family.log_prior(parameters))


def step(problem: Problem, state: EMState) -> EMState:
    """Maximise from the statistics in hand, then evaluate: M, then E."""
    return init(problem, problem.family.maximize(state.statistics.counts, state.parameters))


def run(problem: Problem, progress: Progress, rule: StoppingRule, observer: Observer | None = None) -> RunResult:
    """Iterate until the rule says stop.

    Parameters
    ----------
    problem : Problem
        Engine, plan and M-step.
    progress : Progress
        Starting parameters, or where an interrupted run stood.
    rule : StoppingRule
        When to stop.
    observer : callable, optional
        Called after every evaluation; a true result stops the run.

    References
    ----------
    Dempster, Laird & Rubin (1977), J. R. Stat. Soc. B 39(1), 1-38.
    """
    is_exact = problem.engine.get_tag("exact")
    best = state = init(problem, progress.parameters)
    history = list(progress.history) or [state.objective]
    change = progress.largest_change
    fell_at = None
    while True:
        status = stop_reason(rule, history, change)
        if observer is not None and observer(state, Progress(state.parameters, history, change)):
            status = status or "callback"
        if status is not None:
            return RunResult(best, tuple(history), status, fell_at)
        following = step(problem, state)
        change = float(np.abs(following.parameters - state.parameters).max())
        state = following
        history.append(state.objective)
        if has_fallen(history, rule.total_weight) and is_exact:
            fell_at = fell_at or len(history) - 1
        if state.objective > best.objective or not is_exact or fell_at is None:
            best = state
