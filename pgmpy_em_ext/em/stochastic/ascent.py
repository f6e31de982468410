"""Noisy steps that are made when they are surely upwards."""

from typing import Any

import numpy as np

from pgmpy_em_ext.e_step.statistics import ExpectedStatistics
from pgmpy_em_ext.em.progress import Progress
from pgmpy_em_ext.em.step import EMState
from pgmpy_em_ext.em.stochastic.draws import MAX_DRAWS, N_BATCHES, batches, draw, in_whole_batches, resolution
from pgmpy_em_ext.em.stochastic.judge import find_growing, left_to_gain, lift, step_gain
from pgmpy_em_ext.em.stochastic.memory import NoisyMemory
from pgmpy_em_ext.em.stochastic.precision import LARGEST_RATE, Estimate, make_estimate, share_of_one_draw
from pgmpy_em_ext.em.stochastic.problem import SampledProblem
from pgmpy_em_ext.em.stopping import StoppingRule
from pgmpy_em_ext.types import FloatArray


def advance_surely(
    problem: SampledProblem, state: EMState, progress: Progress, rule: StoppingRule, schedule: Any
) -> tuple[EMState, Progress]:
    """Make an EM step if it is surely one upwards; else draw twice as much for the current parameters.

    What was drawn before is not used again: a step that is tested anew is tested by new draws.
    """
    memory: NoisyMemory = progress.memory
    precision = schedule.nats(problem.family.n_free, rule.tol)
    gain, error = step_gain(problem, memory.batches, memory.resolution, state.parameters)
    grows, growth = find_growing(problem, memory.batches, state.parameters)
    loss = _loss(problem, memory, state.parameters, gain + schedule.z * error)
    is_done = loss <= precision and growth <= precision
    parameters, n_drawn, gains = state.parameters, memory.n_drawn, memory.gains
    if gain > schedule.z * error or loss <= precision or n_drawn >= MAX_DRAWS:
        wanted = lift(problem, memory.statistics, grows) if loss <= precision and not is_done else memory.statistics
        parameters = problem.family.maximize(wanted, parameters)
        gains = np.append(gains, gain)[-4:] if np.isfinite(gain) else gains
    else:
        n_drawn = max(n_drawn, in_whole_batches(min(2 * n_drawn, MAX_DRAWS)))
    statistics, chains = draw(problem, parameters, memory.chains, n_drawn)
    memory = memory.follow(chains)._replace(
        statistics=statistics.counts,
        n_drawn=n_drawn,
        resolution=resolution(statistics),
        batches=read_batches(statistics),
        gains=gains,
        loss=loss + growth,
        is_done=is_done,
    )
    state = EMState(parameters, statistics, problem.family.log_priors(parameters))
    return state, progress._replace(memory=memory)


def read_batches(statistics: ExpectedStatistics) -> FloatArray:
    """Take the batches by which a step is judged."""
    found = batches(statistics)
    if found is None:
        raise ValueError(
            "schedule='ascent' needs an e_step that tells the error of its counts, by batches of draws. "
            "Use schedule='saem' or 'fixed'."
        )
    return found


def _loss(problem: SampledProblem, memory: NoisyMemory, parameters: FloatArray, gain: float) -> float:
    """Say how far the maximum may be, in nats: steps to come gain in a geometric sequence, and noise costs."""
    rate = np.sqrt(rate_square(memory.gains, unknown=LARGEST_RATE))
    return left_to_gain(gain, rate) + last_step(problem, memory, parameters).loss


def rate_square(gains: FloatArray, unknown: float) -> float:
    """Estimate the square of EM's rate: gains of steps shrink by it."""
    ratios = gains[1:] / np.maximum(gains[:-1], np.finfo(float).tiny)
    return float(np.clip(np.median(ratios), 0.0, LARGEST_RATE)) if len(ratios) > 1 else unknown


def last_step(problem: SampledProblem, memory: NoisyMemory, parameters: FloatArray) -> Estimate:
    """Say how precise the end of a run is that was sure of its steps.

    The error is that of one step, widened by what earlier steps' errors leave: with rate r of EM, by
    1 / (1 - r^2) in variance.
    """
    family = problem.family
    steps = [family.linear_step(batch, parameters, memory.statistics) for batch in memory.batches]
    squared_rate = rate_square(memory.gains, unknown=0.0)
    single = share_of_one_draw(problem, memory.resolution, memory.statistics)
    square = np.var(steps, axis=0, ddof=1) / N_BATCHES / (1 - squared_rate) + single**2
    rate = float(np.sqrt(squared_rate))
    return make_estimate(problem, parameters, memory.statistics, square, rate, memory.resolution)
