"""E-steps of a noisy run: how much is drawn, and in which batches."""

import numpy as np

from pgmpy_em_ext.e_step.statistics import Chains, ExpectedStatistics
from pgmpy_em_ext.em.stochastic.problem import SampledProblem
from pgmpy_em_ext.types import FloatArray

N_BATCHES = 10
"""Batches by which a step is judged; amounts of draws that are judged are multiples of it."""

MAX_DRAWS = 20_000
"""Draws of one E-step, at most, if the engine draws no more anyway."""

FLOOR = 1e-3
"""Part of a draw's weight that a count keeps at least, lest by chance it becomes zero, and stays so."""


def draw(
    problem: SampledProblem, parameters: FloatArray, chains: Chains, n_samples: int
) -> tuple[ExpectedStatistics, Chains]:
    """Make an E-step; counts that hardly any draw has met keep something, where that is by chance."""
    statistics, chains = problem.engine.draw_statistics(problem.plan, parameters, chains, n_samples)
    counts = keep_alive(problem, statistics.counts, resolution(statistics), parameters)
    return statistics._replace(counts=counts), chains


def keep_alive(
    problem: SampledProblem, counts: FloatArray, resolution: FloatArray, parameters: FloatArray
) -> FloatArray:
    """Raise counts of entries that are not zero to a part of what one draw weighs.

    No column keeps more than a part of what it holds: one draw of a heavy row would outweigh a light row's column.
    """
    floor = FLOOR * np.minimum(resolution, problem.family.column_totals(counts))
    return np.where(parameters > 0, np.maximum(counts, floor), counts)


def resolution(statistics: ExpectedStatistics) -> FloatArray:
    """Say what one draw weighs, in records; nothing where the engine does not know."""
    return np.zeros_like(statistics.counts) if statistics.noise is None else statistics.noise.resolution


def in_whole_batches(n_samples: float) -> int:
    """Round an amount of draws up to whole batches."""
    return max(1, int(np.ceil(n_samples / N_BATCHES))) * N_BATCHES


def batches(statistics: ExpectedStatistics) -> FloatArray | None:
    """Join the batches of an E-step to `N_BATCHES`; None where there are not enough."""
    noise = statistics.noise
    if noise is None or len(noise.batch_counts) % N_BATCHES:
        return None
    return noise.batch_counts.reshape(N_BATCHES, -1, noise.batch_counts.shape[1]).mean(axis=1)
