"""Independent blocks of families: which of them still climb, and which rest."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.monitor import StoppingRule, aitken_gap
from pgmpy_em_ext.types import Blocks, BoolArray, FloatArray, IntArray

_WINDOW = 3
"""Objectives that an extrapolation reads."""

CAUTION = 0.1
"""What part of its share of ``tol`` a block's extrapolated distance must be below. A block at rest never leaves a
plateau, which it would if the run goes on for the sake of other blocks; so resting asks for more than stopping."""

CALM = 10
"""Steps in a row that must look converged before a block rests."""


class BlockProgress(NamedTuple):
    """How far each block has come.

    Attributes
    ----------
    active : bool ndarray of shape (n_blocks + 1,)
        Whether the block still climbs; the last entry stands for the families outside all
        blocks, which cost nothing and never rest.
    recent : float ndarray of shape (at most 3, n_blocks)
        The objectives of the blocks in the last steps, in nats.
    n_calm : int ndarray of shape (n_blocks,)
        For how many steps in a row a block has looked converged.
    tol : float
        The ``tol`` by which the blocks at rest were judged: another one wakes them.
    """

    active: BoolArray
    recent: FloatArray
    n_calm: IntArray
    tol: float


def block_objectives(blocks: Blocks, log_likelihood: FloatArray, log_priors: FloatArray) -> FloatArray:
    """Add up log-likelihood and log prior of each block.

    Parameters
    ----------
    blocks : Blocks
        Which families belong together.
    log_likelihood : float ndarray of shape (n_blocks + 1,)
        Of the blocks, and of the families outside.
    log_priors : float ndarray of shape (n_nodes,)
        Of the families.

    Returns
    -------
    float ndarray of shape (n_blocks,)
    """
    prior = np.bincount(blocks.of_family, weights=log_priors, minlength=blocks.n_blocks + 1)
    return (log_likelihood + prior)[:-1]


def start_blocks(blocks: Blocks, objectives: FloatArray, fixed_families: BoolArray, tol: float) -> BlockProgress:
    """Begin: all blocks climb but those whose families are all fixed."""
    free = np.bincount(blocks.of_family, weights=~fixed_families, minlength=blocks.n_blocks + 1) > 0
    free[-1] = True
    return BlockProgress(free, objectives[None, :], np.zeros(blocks.n_blocks, dtype=np.int64), tol)


def advance_blocks(progress: BlockProgress, objectives: FloatArray, rule: StoppingRule, n_iter: int) -> BlockProgress:
    """Note the objectives after a step, and let blocks rest that have converged.

    A block rests when its extrapolated distance from its limit was below a tenth of its share
    of ``tol``, ``tol / n_blocks``, in ten steps in a row. The run itself stops by the
    objective of all blocks together, as it would without any rest.
    """
    recent = np.vstack([progress.recent, objectives])[-_WINDOW:]
    n_calm = progress.n_calm.copy()
    for block in np.flatnonzero(progress.active[:-1]).tolist():
        gap = aitken_gap(recent[:, block].tolist(), rule.total_weight)
        n_calm[block] = n_calm[block] + 1 if gap < CAUTION * rule.tol / len(objectives) else 0
    active = progress.active.copy()
    if n_iter >= rule.min_iter:
        active[:-1] &= n_calm < CALM
    return BlockProgress(active, recent, n_calm, progress.tol)
