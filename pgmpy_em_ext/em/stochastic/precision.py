"""How precise an average over noisy steps is, in its parameters and in nats."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.cpd_family._base import SampledCPDFamily
from pgmpy_em_ext.e_step.statistics import SamplingNoise
from pgmpy_em_ext.em.stochastic.memory import NoisyMemory
from pgmpy_em_ext.em.stochastic.problem import SampledProblem
from pgmpy_em_ext.types import FloatArray

LARGEST_RATE = 0.95
"""EM's rate of convergence is not believed to be larger than this: so few steps cannot tell."""


class Estimate(NamedTuple):
    """What the steps after the drift say.

    Attributes
    ----------
    parameters : float ndarray of shape (n_cells,)
        The estimate.
    statistics : float ndarray of shape (n_cells,)
        Expected counts that it comes from.
    errors : float ndarray of shape (n_cells,)
        Monte Carlo standard errors; infinite where they are not known.
    loss : float
        What the errors cost the objective, in nats.
    rate : float
        EM's rate of convergence.
    """

    parameters: FloatArray
    statistics: FloatArray
    errors: FloatArray
    loss: float
    rate: float


def estimate(problem: SampledProblem, memory: NoisyMemory, previous: FloatArray) -> Estimate:
    """Average the steps after the drift, and say how precise the average is.

    Parameters
    ----------
    problem : SampledProblem
        The M-step.
    memory : NoisyMemory
        Of the run.
    previous : float ndarray of shape (n_cells,)
        Parameters of columns without data.

    Notes
    -----
    Each E-step gives a target t = F(p) + noise for the point p that it was made at. The average over
    n steps has the noise of their mean, amplified by 1 / (1 - r), where r is EM's rate of convergence: F moves
    with p. Before r has been measured, the regression of t on p, over all parameters together in the metric of the
    complete-data information, estimates it. What r leaves unexplained is the noise; the correlation of neighbouring
    targets tells by how much the chains' memory widens it. What a single draw weighs is added: completions that no
    draw has met leave no trace.

    What the errors cost is what they cost with complete data, times 1 - r: so much less do the data that there
    are tell.
    """
    family, n = problem.family, memory.n_steady - 1
    if n < 2:
        return _average_so_far(problem, memory, previous)
    statistics, target, squares, point, point_squares, products, following, _ = memory.sums / n
    parameters = family.maximize(statistics, previous)
    metric = family.information(statistics, parameters)
    point_variance = np.maximum(point_squares - point**2, 0.0)
    target_variance = np.maximum(squares - target**2, 0.0)
    covariance = products - target * point
    moved, noise = float(metric @ point_variance), float(metric @ target_variance)
    slope = float(metric @ covariance) / moved if moved > 0 else 0.0
    rate = float(np.clip(slope, 0.0, LARGEST_RATE)) if memory.rate < 0 else memory.rate
    variance = np.maximum(target_variance - 2 * rate * covariance + rate**2 * point_variance, 0.0)
    common = float(metric @ (following - target**2)) / noise if noise > 0 else 0.0
    common = float(np.clip(common, 0.0, LARGEST_RATE))
    single = share_of_one_draw(problem, memory.resolution / n, statistics)
    square = variance / (n - 1) * (1 + common) / (1 - common) / (1 - rate) ** 2 + single**2
    return make_estimate(problem, parameters, statistics, square, rate, memory.resolution)


def make_estimate(
    problem: SampledProblem,
    parameters: FloatArray,
    statistics: FloatArray,
    square: FloatArray,
    rate: float,
    resolution: FloatArray,
) -> Estimate:
    """Say what squared errors cost; entries that are fixed, or zero for good, have none."""
    family = problem.family
    unmet = family.spread(family.without_data(statistics)) & (resolution > 0)
    is_open = (family.information(statistics, parameters) > 0) | unmet
    errors = np.sqrt(np.where(is_open, square, 0.0))
    loss = (1 - rate) * problem.family.cost_of_errors(statistics, parameters, errors)
    return Estimate(parameters, statistics, errors, loss, rate)


def likelihood_error(
    family: SampledCPDFamily, parameters: FloatArray, errors: FloatArray, noise: SamplingNoise, statistics: FloatArray
) -> float:
    """Say by how much the likelihood at an estimate may differ from that at what exact E-steps would have given.

    Parameters
    ----------
    family : SampledCPDFamily
        The prior and the M-step.
    parameters : float ndarray of shape (n_cells,)
        The estimate.
    errors : float ndarray of shape (n_cells,)
        Its standard errors.
    noise : SamplingNoise
        Of an E-step at the estimate.
    statistics : float ndarray of shape (n_cells,)
        Expected counts that the estimate comes from.

    Returns
    -------
    float
        A standard error, in nats.

    Notes
    -----
    Two parts, squared and added. One is that of evaluating the likelihood. The other is the delta method's: the
    objective is flat at its maximum, so that the likelihood's slope there is that of the prior turned round, and errors
    along it count in first order; without a prior there is no slope. How errors of different parameters go together,
    batches of the E-step tell; of a single batch the worst is assumed. What errors cost in second order is part of
    the run's gap.
    """
    slope = family.prior_gradient(parameters)
    counted = np.flatnonzero((slope != 0) & (errors > 0))
    single = np.abs(slope[counted]) * errors[counted]
    if not np.isfinite(single).all():
        return np.inf
    if len(noise.batch_counts) < 2:
        return float(np.hypot(noise.log_likelihood_error, single.sum()))
    steps = np.array([family.linear_step(batch, parameters, statistics)[counted] for batch in noise.batch_counts])
    along = steps * slope[counted]
    apart = float(along.var(axis=0, ddof=1).sum())
    joint = float(along.sum(axis=1).var(ddof=1)) / apart if apart > 0 else 1.0
    return float(np.hypot(noise.log_likelihood_error, np.sqrt(joint * (single**2).sum())))


def _average_so_far(problem: SampledProblem, memory: NoisyMemory, previous: FloatArray) -> Estimate:
    """Average the last half of what there is; nothing is known of its error."""
    unknown = np.full_like(previous, np.inf)
    half = memory.means[len(memory.means) // 2 :]
    statistics = half.mean(axis=0) if len(half) else memory.statistics
    return Estimate(problem.family.maximize(statistics, previous), statistics, unknown, np.inf, 0.0)


def share_of_one_draw(problem: SampledProblem, resolution: FloatArray, statistics: FloatArray) -> FloatArray:
    """Tell by how much a single draw can move each entry: its weight beside that of the column, at most all of it."""
    total = problem.family.column_totals(statistics)
    return np.divide(resolution, total, out=np.ones_like(total), where=total > resolution)
