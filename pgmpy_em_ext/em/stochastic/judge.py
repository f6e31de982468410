"""What is still to be gained from where a run stands, by many draws at one point."""

import time
from typing import NamedTuple

import numpy as np
from scipy import stats

from pgmpy_em_ext.e_step.statistics import Chains, ExpectedStatistics
from pgmpy_em_ext.em.stochastic.draws import N_BATCHES, draw, keep_alive
from pgmpy_em_ext.em.stochastic.problem import SampledProblem
from pgmpy_em_ext.types import BoolArray, FloatArray

CALL_DRAWS = 200
"""Draws of one E-step that judges, at most, if the run draws no more: memory may grow with it."""

SMALL = 0.01
"""Entries below this may have been driven to zero by noise: it moves them by factors, and a mean of factors above one
does not keep their product from vanishing."""

CHANCE = 0.05
"""Probability with which any entry at all is said to grow that does not."""

LIFT = 0.05
"""What such an entry is set to; it falls again if it should."""


class Judgement(NamedTuple):
    """What many draws at one point say.

    Attributes
    ----------
    statistics : ExpectedStatistics
        Of all draws together; its log-likelihood is that of the last E-step.
    gain : float
        What an EM step gains in the expected complete-data objective, in nats; what it costs that the
        step itself is noisy is taken off.
    error : float
        Its standard error.
    grows : bool ndarray of shape (n_cells,)
        Entries near zero that EM would surely let grow, step by step: the gain of one step says nothing of them.
    growth : float
        What it would gain to lift these, to first order, in nats.
    chains : Chains
        Where the run's draws stand now.
    n_e_steps : int
        E-steps that were made.
    """

    statistics: ExpectedStatistics
    gain: float
    error: float
    grows: BoolArray
    growth: float
    chains: Chains
    n_e_steps: int

    def left(self, rate: float) -> float:
        """Say how far it is to the maximum, in nats."""
        return left_to_gain(self.gain, rate) + self.growth


def judge(
    problem: SampledProblem,
    parameters: FloatArray,
    resolution: FloatArray,
    chains: Chains,
    n_drawn: int,
    n_wanted: float,
    deadline: float | None,
) -> Judgement | None:
    """Draw many times at one point, and see what a step from there gains.

    Parameters
    ----------
    problem : SampledProblem
        Engine and M-step.
    parameters : float ndarray of shape (n_cells,)
        The point.
    resolution : float ndarray of shape (n_cells,)
        What a draw weighed in the run's E-steps: counts that they have kept alive are kept here too.
    chains : Chains
        Where the run's draws stand.
    n_drawn : int
        Draws of an E-step of the run.
    n_wanted : float
        Draws altogether.
    deadline : float, optional
        On the monotonic clock.

    Returns
    -------
    Judgement or None
        None where time has run out.
    """
    per_batch = max(n_wanted / N_BATCHES, 1)
    n_samples = max(n_drawn, min(int(np.ceil(per_batch)), CALL_DRAWS))
    n_calls = int(np.ceil(per_batch / n_samples))
    batches = np.zeros((N_BATCHES, len(parameters)))
    for number in range(N_BATCHES * n_calls):
        if deadline is not None and time.monotonic() >= deadline:
            return None
        statistics, chains = draw(problem, parameters, chains, n_samples)
        batches[number // n_calls] += statistics.counts / n_calls
    gain, error = step_gain(problem, batches, resolution, parameters)
    grows, growth = find_growing(problem, batches, parameters)
    statistics = statistics._replace(counts=batches.mean(axis=0))
    return Judgement(statistics, gain, error, grows, growth, chains, N_BATCHES * n_calls)


def left_to_gain(gain: float, rate: float) -> float:
    """Say how far it is to the maximum, in nats: the step is the first of a geometric sequence."""
    return max(gain, 0.0) / (1 - rate)


def step_gain(
    problem: SampledProblem, batches: FloatArray, resolution: FloatArray, parameters: FloatArray
) -> tuple[float, float]:
    """Compute what a step gains in expected complete-data log-likelihood plus log prior, and its standard error.

    Each batch of draws judges the step that the others make: judged by the draws that it was made
    from, a step always gains, the more the more parameters there are.
    """
    family, gains = problem.family, np.empty(len(batches))
    before = family.log_priors(parameters).sum()
    if np.isneginf(before):  # a start of prior density zero: whatever leaves it gains
        return np.inf, 0.0
    for number, batch in enumerate(batches):
        others = (batches.sum(axis=0) - batch) / (len(batches) - 1)
        target = family.maximize(keep_alive(problem, others, resolution, parameters), parameters)
        moved = (target > 0) & (parameters > 0)
        ratio = np.log(np.where(moved, target, 1.0) / np.where(moved, parameters, 1.0))
        with np.errstate(invalid="ignore"):
            prior = family.log_priors(target).sum() - before
        gains[number] = batch @ ratio + (prior if np.isfinite(prior) else 0.0)
    return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))


def find_growing(problem: SampledProblem, batches: FloatArray, parameters: FloatArray) -> tuple[BoolArray, float]:
    """Mark the entries near zero that EM would surely let grow: those whose targets exceed them.

    As many t tests are made as there are such entries, so that each one's level is shared among them.

    Returns
    -------
    grows : bool ndarray of shape (n_cells,)
        These entries.
    growth : float
        What it would gain to lift them, in nats: the objective's slope is the column's count
        times (target / entry - 1).
    """
    family, statistics = problem.family, batches.mean(axis=0)
    small = (parameters > 0) & (parameters < SMALL)
    steps = np.array([family.linear_step(batch, parameters, statistics) for batch in batches])
    excess = steps.mean(axis=0) - parameters
    sure = stats.t.isf(CHANCE / max(int(small.sum()), 1), len(batches) - 1)
    grows = small & (excess > sure * steps.std(axis=0, ddof=1) / np.sqrt(len(steps))) & (excess > SMALL * parameters)
    slope = family.column_totals(statistics)[grows] * excess[grows] / parameters[grows]
    return grows, LIFT * float(slope.sum())


def lift(problem: SampledProblem, statistics: FloatArray, grows: BoolArray) -> FloatArray:
    """Raise the counts of entries that grow, as if they had done so already."""
    return np.where(grows, np.maximum(statistics, LIFT * problem.family.column_totals(statistics)), statistics)
