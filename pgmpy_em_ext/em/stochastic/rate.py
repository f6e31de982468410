"""EM's rate of convergence in the directions of a noisy run's own noise, measured by E-steps on both sides."""

import time

import numpy as np

from pgmpy_em_ext.e_step.statistics import Chains
from pgmpy_em_ext.em.stochastic.draws import draw
from pgmpy_em_ext.em.stochastic.judge import CALL_DRAWS
from pgmpy_em_ext.em.stochastic.precision import LARGEST_RATE
from pgmpy_em_ext.em.stochastic.problem import SampledProblem
from pgmpy_em_ext.types import FloatArray

DISPLACEMENT = 25.0
"""What going to either side costs with complete data, in precisions: more than the noise, and no more than errors."""

N_PAIRS = 2
"""Pairs of E-steps: two estimates of a movement, whose product tells its square without the noise's."""


def measure_rate(
    problem: SampledProblem,
    parameters: FloatArray,
    statistics: FloatArray,
    direction: FloatArray,
    precision: float,
    chains: Chains,
    n_drawn: int,
    n_wanted: float,
    deadline: float | None,
) -> tuple[float, Chains, int] | None:
    """See how much of a displacement an EM step leaves.

    With the displacement d, along which the average's noise lies, and R the derivative of the EM step, pairs
    of E-steps estimate R d. In the metric of the complete-data information R is symmetric, so that
    d R d / d d and d R R d / d d are the mean and the mean square of EM's rates, weighted by what of the noise lies in
    each direction. From these the mean of 1 / (1 - rate)^2 follows, by which noise is amplified, with 1 - rate taken
    for lognormal; and what single rate amplifies as much is returned.

    Parameters
    ----------
    problem : SampledProblem
        Engine and M-step.
    parameters : float ndarray of shape (n_cells,)
        The estimate.
    statistics : float ndarray of shape (n_cells,)
        Expected counts that it comes from.
    direction : float ndarray of shape (n_cells,)
        Where the noise has led, up to a factor.
    precision : float
        In nats.
    chains : Chains
        Where the run's draws stand.
    n_drawn : int
        Draws of an E-step of the run.
    n_wanted : float
        Draws that have no more noise than the estimate.
    deadline : float, optional
        On the monotonic clock.

    Returns
    -------
    rate : float
        From 0 to `precision.LARGEST_RATE`.
    chains : Chains
        Where the run's draws stand now.
    n_e_steps : int
        E-steps that were made.
    """
    family = problem.family
    metric = family.information(statistics, parameters)
    cost = float(metric @ direction**2) / 2
    if cost == 0:
        return 0.0, chains, 0
    step = direction * np.sqrt(DISPLACEMENT * precision / cost)
    sides = [family.keep_inside(parameters + sign * step, parameters) for sign in (1, -1)]
    n_samples = max(n_drawn, min(int(np.ceil(n_wanted / 4 / N_PAIRS)), CALL_DRAWS))
    moved = np.zeros((N_PAIRS, len(parameters)))
    for pair in range(N_PAIRS):
        for side, sign in zip(sides, (1, -1), strict=True):
            if deadline is not None and time.monotonic() >= deadline:
                return None
            found, chains = draw(problem, side, chains, n_samples)
            moved[pair] += sign * family.linear_step(found.counts, side, statistics)
    displaced = sides[0] - sides[1]
    length = float(metric @ displaced**2)
    if length == 0:
        return 0.0, chains, 2 * N_PAIRS
    mean = float(metric @ (moved.mean(axis=0) * displaced)) / length
    square = float(metric @ (moved[0] * moved[1])) / length
    return effective_rate(mean, square), chains, 2 * N_PAIRS


def effective_rate(mean: float, square: float) -> float:
    """Give the rate that amplifies noise as much as rates of this mean and mean square do together.

    Examples
    --------
    >>> round(effective_rate(0.5, 0.25), 3), round(effective_rate(0.5, 0.3), 3)
    (0.5, 0.62)
    """
    left = 1 - min(max(mean, 0.0), LARGEST_RATE)
    spread = max(square - mean**2, 0.0) / left**2
    return float(np.clip(1 - left * (1 + spread) ** -1.5, 0.0, LARGEST_RATE))
