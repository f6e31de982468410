"""What the weights of importance sampling say: the likelihood that they estimate, its error, and how many count."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.types import FloatArray

MIN_EFFECTIVE = 2.0
"""Effective sample size below which a row's draws are one draw in effect, and say nothing of its posterior."""


class WeightSummary(NamedTuple):
    """What the draws of many rows say, row by row.

    Attributes
    ----------
    log_likelihood : float ndarray of shape (n_rows,)
        Log of the mean weight, in nats, its bias reduced by the jackknife; -inf where all weights are zero.
    error : float ndarray of shape (n_rows,)
        Its standard error, in nats; infinite where there is a single draw.
    effective_sample_size : float ndarray of shape (n_rows,)
        Square of the weights' sum over the sum of their squares; 0 where all are zero.
    """

    log_likelihood: FloatArray
    error: FloatArray
    effective_sample_size: FloatArray


def summarize_weights(log_weight: FloatArray) -> WeightSummary:
    """Estimate log-likelihoods from importance weights.

    The mean of n weights is unbiased, but its logarithm is too small by about half its squared
    error, which adds up over rows. The jackknife takes that out to first order. Where leaving one
    draw out leaves nothing, the plain logarithm stands.

    Parameters
    ----------
    log_weight : float ndarray of shape (n_rows, n_draws)
        Natural logs of the weights; -inf for weight zero.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapters 10 and 11. Kong (1992),
    University of Chicago, Dept. of Statistics TR 348 (effective sample size).

    Examples
    --------
    >>> summary = summarize_weights(np.log([[0.2, 0.2, 0.2]]))
    >>> summary.log_likelihood.round(4), summary.error.round(12), summary.effective_sample_size
    (array([-1.6094]), array([0.]), array([3.]))
    """
    n_draws = log_weight.shape[1]
    highest = log_weight.max(axis=1)
    possible = np.isfinite(highest)
    shift = np.where(possible, highest, 0.0)
    weight = np.exp(log_weight - shift[:, None])
    total = weight.sum(axis=1)
    safe = np.where(possible, total, 1.0)
    squares = (weight**2).sum(axis=1)
    size = np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)
    plain = np.where(possible, shift + np.log(safe / n_draws), -np.inf)
    if n_draws == 1:
        return WeightSummary(plain, np.full(len(plain), np.inf), size)
    others = total[:, None] - weight
    usable = possible & (others > 1e-12 * safe[:, None]).all(axis=1)
    left_out = np.log(np.where(usable[:, None], others, 1.0) / (n_draws - 1)) + shift[:, None]
    mean = left_out.mean(axis=1)
    corrected = n_draws * np.where(usable, plain, 0.0) - (n_draws - 1) * mean
    spread = ((left_out - mean[:, None]) ** 2).sum(axis=1)
    error = np.sqrt((n_draws - 1) / n_draws * spread)
    relative = np.sqrt(np.maximum(squares / safe**2 - 1 / n_draws, 0.0) * n_draws / (n_draws - 1))
    return WeightSummary(np.where(usable, corrected, plain), np.where(usable, error, relative), size)
