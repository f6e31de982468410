"""The EM algorithm: init, step, run. Pure functions on states."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pgmpy_em_ext.blocks import BlockProgress, advance_blocks, block_objectives, start_blocks
from pgmpy_em_ext.cpd_family._base import CPDFamily
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.monitor import StoppingRule, has_fallen, stop_reason
from pgmpy_em_ext.types import BoolArray, ExpectedStatistics, FloatArray

FEWER = 0.8
"""When so few of the parameters that were positive are left, the plan is made anew for them: entries that the data
speaks against sink until they are zero."""


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
    log_priors: FloatArray

    @property
    def log_prior(self) -> float:
        """Log prior up to a constant, in nats."""
        return float(self.log_priors.sum())

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
    blocks : BlockProgress or None
        How far the independent blocks have come, where the engine tells them apart.
    zero : bool ndarray of shape (n_cells,) or None
        Parameters that the plan has been told are zero and stay so.
    """

    parameters: FloatArray
    history: Sequence[float] = ()
    largest_change: float = np.inf
    blocks: BlockProgress | None = None
    zero: BoolArray | None = None


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
    return EMState(parameters, statistics, problem.family.log_priors(parameters))


def step(problem: Problem, state: EMState, active: BoolArray | None = None) -> EMState:
    """Maximise from the statistics in hand, then evaluate: M, then E.

    Parameters
    ----------
    problem : Problem
        Engine, plan and M-step.
    state : EMState
        Where to go on from.
    active : bool ndarray of shape (n_blocks + 1,), optional
        Independent blocks that climb; the others keep parameters and statistics.
    """
    parameters = problem.family.maximize(state.statistics.counts, state.parameters)
    if active is None or active.all():
        return init(problem, parameters)
    blocks = problem.engine.blocks(problem.plan)
    assert blocks is not None  # who marks blocks has them from the engine
    climbing = active[blocks.of_cell]
    parameters = np.where(climbing, parameters, state.parameters)
    fresh = problem.engine.expected_statistics(problem.plan, parameters, active=active)  # type: ignore[call-arg]
    log_likelihood = np.where(active, _parts(fresh), _parts(state.statistics))
    counts = np.where(climbing, fresh.counts, state.statistics.counts)
    statistics = ExpectedStatistics(counts, float(log_likelihood.sum()), log_likelihood)
    return EMState(parameters, statistics, problem.family.log_priors(parameters))


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
    whole, zero = problem, progress.zero
    problem = _without(whole, zero)
    best = state = init(problem, progress.parameters)
    history = list(progress.history) or [state.objective]
    change = progress.largest_change
    blocks = progress.blocks
    if blocks is None or blocks.tol != rule.tol:
        blocks = _start_blocks(problem, state, rule.tol)
    fell_at = None
    while True:
        status = stop_reason(rule, history, change)
        if observer is not None and observer(state, Progress(state.parameters, history, change, blocks, zero)):
            status = status or "callback"
        if status is not None:
            return RunResult(best, tuple(history), status, fell_at)
        absorbing = problem.family.absorbing(state.parameters)
        if _is_many_more(absorbing, zero):
            zero = absorbing
            problem = _without(whole, zero)
        following = step(problem, state, None if blocks is None else blocks.active)
        change = float(np.abs(following.parameters - state.parameters).max())
        state = following
        history.append(state.objective)
        if blocks is not None and rule.tol > 0:
            blocks = _advance_blocks(problem, blocks, state, rule, len(history) - 1)
        if has_fallen(history, rule.total_weight) and is_exact:
            fell_at = fell_at or len(history) - 1
        if state.objective > best.objective or not is_exact or fell_at is None:
            best = state


def _is_many_more(absorbing: BoolArray, zero: BoolArray | None) -> bool:
    """Whether so many more parameters have become zero for good that it is worth a new plan."""
    known = 0 if zero is None else int(zero.sum())
    return len(absorbing) - int(absorbing.sum()) < FEWER * (len(absorbing) - known)


def _without(problem: Problem, zero: BoolArray | None) -> Problem:
    """Leave out what zeros that stay zero make zero."""
    return problem if zero is None else problem._replace(plan=problem.engine.without_zeros(problem.plan, zero))


def _parts(statistics: ExpectedStatistics) -> FloatArray:
    """Log-likelihood of each independent block."""
    assert statistics.block_log_likelihood is not None  # an engine that knows blocks says so of each
    return statistics.block_log_likelihood


def _start_blocks(problem: Problem, state: EMState, tol: float) -> BlockProgress | None:
    """Begin to follow independent blocks, where there are several, or one that is fixed."""
    blocks = problem.engine.blocks(problem.plan)
    if blocks is None or blocks.n_blocks == 0:
        return None
    objectives = block_objectives(blocks, _parts(state.statistics), state.log_priors)
    progress = start_blocks(blocks, objectives, problem.family.fixed_families(), tol)
    return progress if blocks.n_blocks > 1 or not progress.active.all() else None


def _advance_blocks(
    problem: Problem, progress: BlockProgress, state: EMState, rule: StoppingRule, n_iter: int
) -> BlockProgress:
    """Note where each block stands after a step."""
    blocks = problem.engine.blocks(problem.plan)
    assert blocks is not None  # there would be no progress of blocks
    objectives = block_objectives(blocks, _parts(state.statistics), state.log_priors)
    return advance_blocks(progress, objectives, rule, n_iter)
