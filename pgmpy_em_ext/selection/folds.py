"""Held-out records: how they are dealt into folds, and what fits say of them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.types import FloatArray

MAX_RECORDS = 10**9 - 1
"""What numpy's hypergeometric draws can hold."""


class FoldScore(NamedTuple):
    """What a fit to the other folds says of one fold.

    Attributes
    ----------
    log_likelihood : float
        Of the fold's records, in nats; -inf where one is impossible.
    n_records : float
        Records in the fold.
    n_impossible : float
        Those that have probability zero.
    """

    log_likelihood: float
    n_records: float
    n_impossible: float


class HeldOut(NamedTuple):
    """The scores of all folds, put together.

    Attributes
    ----------
    mean : float
        Log-likelihood of a record, in nats.
    standard_error : float
        Of the mean, from the spread of the folds' own means; NaN where one is infinite.
    n_impossible : float
        Records that had probability zero when they were held out.
    """

    mean: float
    standard_error: float
    n_impossible: float


def count_records(weight: FloatArray) -> int:
    """Count what can be dealt: whole records, and one for each row's fraction."""
    whole = np.floor(weight)
    return int(whole.sum() + np.count_nonzero(weight > whole))


def deal_folds(weight: FloatArray, n_folds: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Deal the records into folds of equal size.

    A row of weight 3 is three records, which may come into three folds, as three equal
    rows do. What is left of a weight that is not whole stays in one piece.

    Parameters
    ----------
    weight : float ndarray of shape (n_rows,)
        Records that each row stands for; at most `MAX_RECORDS` in all. Rows of weight 0 change nothing.
    n_folds : int
        At most `count_records`, so that no fold is empty.
    rng : Generator
        Of the draws.

    Yields
    ------
    float ndarray of shape (n_rows,)
        What each row has in this fold. The folds add up to ``weight``.

    Examples
    --------
    >>> for fold in deal_folds(np.array([4.0, 2.5]), 2, np.random.default_rng(0)):
    ...     print(fold)
    [3.  0.5]
    [1. 2.]
    """
    dealt = np.flatnonzero(weight > 0)
    whole = np.floor(weight[dealt]).astype(np.int64)
    fraction = weight[dealt] - whole
    total = int(whole.sum())
    fractional = rng.permutation(np.flatnonzero(fraction > 0))
    fold_of_fractional = (total + np.arange(len(fractional))) % n_folds  # goes on where the whole records end
    for fold in range(n_folds):
        size = len(range(fold, total, n_folds))
        drawn = rng.multivariate_hypergeometric(whole, size, method="marginals")
        whole -= drawn
        held_out = drawn.astype(float)
        rows = fractional[fold_of_fractional == fold]
        held_out[rows] += fraction[rows]
        fold_weight = np.zeros(len(weight))
        fold_weight[dealt] = held_out
        yield fold_weight


def score_fold(log_likelihoods: FloatArray, weight: FloatArray) -> FoldScore:
    """Add up the log-likelihoods of a fold's rows; all weights are positive."""
    impossible = np.isneginf(log_likelihoods)
    return FoldScore(float(log_likelihoods @ weight), float(weight.sum()), float(weight[impossible].sum()))


def summarize_folds(scores: list[FoldScore]) -> HeldOut:
    """Put the scores of at least two folds together."""
    log_likelihood, n_records, n_impossible = np.array(scores).T
    means = log_likelihood / n_records
    finite = bool(np.isfinite(means).all())
    spread = float(means.std(ddof=1) / np.sqrt(len(scores))) if finite else np.nan
    return HeldOut(float(log_likelihood.sum() / n_records.sum()), spread, float(n_impossible.sum()))
