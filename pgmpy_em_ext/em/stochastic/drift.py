"""Whether a noisy run still goes somewhere, or only shakes."""

import numpy as np

from pgmpy_em_ext.em.stochastic.memory import NoisyMemory
from pgmpy_em_ext.em.stochastic.problem import SampledProblem
from pgmpy_em_ext.types import FloatArray

MAX_MEANS = 16
"""Means over equally many steps that are kept; when there are more, pairs of them are joined."""

ENOUGH_MEANS = 12
"""Means that it takes to tell drift from noise: three parts of four."""

SURE = 2.0
"""Standard deviations beyond which movement in one direction is more than noise."""


def push_mean(memory: NoisyMemory, counts: FloatArray) -> tuple[NoisyMemory, bool]:
    """Add an E-step to the means; says whether there are enough of them, and one has just become complete."""
    partial, n_partial = memory.partial + counts, memory.n_partial + 1
    if n_partial < memory.length:
        return memory._replace(partial=partial, n_partial=n_partial), False
    means, length = np.vstack([memory.means, partial / n_partial]), memory.length
    if len(means) == MAX_MEANS:
        means, length = means.reshape(MAX_MEANS // 2, 2, -1).mean(axis=1), 2 * length
    memory = memory._replace(means=means, length=length, partial=np.zeros_like(partial), n_partial=0)
    return memory, len(means) >= ENOUGH_MEANS


def forget_means(memory: NoisyMemory) -> NoisyMemory:
    """Begin anew with means of the same length."""
    return memory._replace(means=memory.means[:0], partial=np.zeros_like(memory.partial), n_partial=0)


def drifts(problem: SampledProblem, means: FloatArray, previous: FloatArray, pace: float, negligible: float) -> bool:
    """Tell a drift from noise, by means over stretches of equal length.

    What the second of three parts has moved and what the third has then point in opposite
    directions if all is noise: their inner product has the expectation of minus the variance of a part,
    here in the metric of the complete-data information. A drift matters if it still gains something: a
    step of EM follows the gradient in that metric, so that what a part has gained is the square of what
    it has moved over the steps that it took.

    Parameters
    ----------
    problem : SampledProblem
        The M-step.
    means : float ndarray of shape (n_means, n_cells)
        Of expected counts.
    previous : float ndarray of shape (n_cells,)
        Parameters of columns without data.
    pace : float
        How many EM steps each mean stands for.
    negligible : float
        Gain of a part that does not matter, in nats.

    References
    ----------
    Pflug (1990), Monte Carlo Methods and Applications in Economics and Finance. Chee & Toulis (2018), AISTATS.
    """
    family, part = problem.family, len(means) // 3
    used = means[len(means) - 3 * part :]
    parameters = np.array([family.maximize(mean, previous) for mean in used]).reshape(3, part, -1)
    metric = family.information(used.mean(axis=0), parameters.mean(axis=(0, 1)))
    first, second, third = parameters.mean(axis=1)
    moved = float((metric * (second - first) * (third - second)).sum())
    noise = metric * parameters.var(axis=1, ddof=1).mean(axis=0) / part
    gain = (float((metric * (third - second) ** 2).sum()) - 2 * float(noise.sum())) / (part * pace)
    return gain > negligible and moved > SURE * np.sqrt(5 * float((noise**2).sum())) - float(noise.sum())


def rises(objectives: FloatArray) -> bool:
    """Tell whether the objective still rises, by its means over stretches of equal length.

    Where the data hardly determines some parameters, they wander without end, and nothing comes of it.
    """
    part = len(objectives) // 3
    parts = objectives[len(objectives) - 3 * part :].reshape(3, part)
    if not np.isfinite(parts).all():  # prior density zero somewhere: whatever leaves that rises
        return True
    error = np.sqrt(parts[1:].var(axis=1, ddof=1).sum() / part)
    return bool(parts[2].mean() - parts[1].mean() > SURE * error)
