"""Independent blocks of families: how far each has come, which of them still climb, and which rest."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import weighted_bincount
from pgmpy_em_ext.cpd_family._base import Chart
from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.em.stopping import ROUNDING, StoppingRule, aitken_gap
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray

_WINDOW = 3
"""Objectives that an extrapolation reads."""

CAUTION = 0.1
"""What part of its share of ``tol`` a block's estimated distance must be below. A block at rest never leaves a
plateau, which it would if the run goes on for the sake of other blocks; so resting asks for more than stopping."""

CALM = 10
"""Steps in a row that must look converged before a block rests."""

MEMORY = 15
"""Moves of which the smallest relative curvature is taken."""


class BlockProgress(NamedTuple):
    """How far each block has come.

    Attributes
    ----------
    active : bool ndarray of shape (n_blocks + 1,)
        Whether the block still climbs; the last entry stands for the families outside all
        blocks, which cost nothing and never rest.
    recent : float ndarray of shape (at most 3, n_blocks)
        The objectives of the blocks in the last steps, in nats.
    n_em : int ndarray of shape (n_blocks,)
        How many of the last steps in a row were EM steps.
    curvature : float ndarray of shape (at most `MEMORY`, n_blocks)
        Observed over complete-data information along the last moves: one less EM's rate of
        convergence in that direction. Infinite where a block did not move.
    gap : float ndarray of shape (n_blocks,)
        Estimated distance of each block's objective from its limit, in nats.
    n_calm : int ndarray of shape (n_blocks,)
        For how many steps in a row a block has looked converged.
    tol : float
        The ``tol`` by which the blocks at rest were judged: another one wakes them.
    """

    active: BoolArray
    recent: FloatArray
    n_em: IntArray
    curvature: FloatArray
    gap: FloatArray
    n_calm: IntArray
    tol: float


def whole_block(n_nodes: int, n_cells: int, n_statistics: int) -> Blocks:
    """Take everything for one block, where an engine tells none apart."""
    of_family, of_cell, of_statistic = (np.zeros(n, dtype=np.int64) for n in (n_nodes, n_cells, n_statistics))
    return Blocks(of_family, of_cell, 1, of_statistic)


def block_sums(blocks: Blocks, of_cells: FloatArray) -> FloatArray:
    """Sum over the cells of each block, and over those outside.

    Returns
    -------
    float ndarray of shape (n_blocks + 1,)
    """
    return weighted_bincount(blocks.of_cell, of_cells, blocks.n_blocks + 1)


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
    float ndarray of shape (n_blocks + 1,)
    """
    return log_likelihood + weighted_bincount(blocks.of_family, log_priors, blocks.n_blocks + 1)


def start_blocks(blocks: Blocks, objectives: FloatArray, resting: BoolArray, tol: float) -> BlockProgress:
    """Begin: all blocks climb but those that rest from the start, because all of their families are fixed."""
    n_blocks = blocks.n_blocks
    none = np.zeros(n_blocks, dtype=np.int64)
    return BlockProgress(
        active=~resting,
        recent=objectives[None, :-1],
        n_em=none,
        curvature=np.zeros((0, n_blocks)),
        gap=np.where(resting[:-1], 0.0, np.inf),
        n_calm=none,
        tol=tol,
    )


class Move(NamedTuple):
    """What a step did to each block.

    Attributes
    ----------
    objectives : float ndarray of shape (n_blocks + 1,)
        After it, in nats.
    is_em : bool ndarray of shape (n_blocks + 1,)
        Where it was an EM step.
    lost : float ndarray of shape (n_blocks + 1,)
        What an EM step would have lost, in nats, so that it was refused.
    curvature : float ndarray of shape (n_blocks + 1,)
        See `BlockProgress`.
    decrement : float ndarray of shape (n_blocks + 1,)
        What the next EM step promises to gain, twice: the squared length of the gradient in
        the metric of the complete-data information, in nats.
    """

    objectives: FloatArray
    is_em: BoolArray
    lost: FloatArray
    curvature: FloatArray
    decrement: FloatArray


def describe_move(
    blocks: Blocks,
    objectives: FloatArray,
    is_em: BoolArray,
    lost: FloatArray,
    before: Chart | None,
    after: Chart | None,
) -> Move:
    """Measure the curvature along a move, and the gradient after it; nothing is known without charts."""
    unknown = np.full(blocks.n_blocks + 1, np.inf)
    if before is None or after is None:
        return Move(objectives, is_em, lost, unknown, unknown)
    step = after.position - before.position
    with np.errstate(over="ignore", invalid="ignore"):  # far from the data; what is not finite says nothing
        bend = block_sums(blocks, step * (before.gradient - after.gradient))
        length = block_sums(blocks, after.metric.squares(step))
        curvature = np.divide(bend, length, out=unknown.copy(), where=length > 0)
        decrement = block_sums(blocks, after.metric.inverse_squares(after.gradient))
    curvature = np.where(np.isnan(curvature), np.inf, curvature)
    return Move(objectives, is_em, lost, curvature, decrement)


def advance_blocks(
    progress: BlockProgress, move: Move, rule: StoppingRule, n_iter: int, *, may_rest: bool
) -> BlockProgress:
    """Note where each block stands after a step, and let blocks rest that have converged.

    A block rests when its estimated distance from its limit was below a tenth of its share
    of ``tol``, ``tol / n_blocks``, in ten steps in a row. The run itself stops by the
    objective of all blocks together, as it would without any rest.
    """
    active = progress.active[:-1]
    recent = np.vstack([progress.recent, move.objectives[:-1]])[-_WINDOW:]
    n_em = np.where(move.is_em[:-1], progress.n_em + 1, 0)
    met = np.ones_like(move.curvature) if rule.one_step else move.curvature  # nothing is hidden, however long the step
    curvature = np.vstack([progress.curvature, met[:-1]])[-MEMORY:]
    gap = progress.gap.copy()
    for block in np.flatnonzero(active).tolist():
        if rule.one_step:
            gap[block] = 0.0
        elif n_em[block] >= _WINDOW - 1:
            gap[block] = aitken_gap(recent[:, block].tolist(), rule.total_weight)
        else:
            rounding = ROUNDING * (abs(float(recent[-1, block])) + rule.total_weight)
            gap[block] = curvature_gap(float(move.decrement[block]), float(curvature[:, block].min()), rounding)
    gap = np.where(active, np.maximum(gap, move.lost[:-1]), gap)
    n_calm = np.where(gap < CAUTION * rule.tol / max(len(gap), 1), progress.n_calm + 1, 0)
    still = progress.active.copy()
    if may_rest and n_iter >= rule.min_iter:
        still[:-1] &= n_calm < CALM
    return BlockProgress(still, recent, n_em, curvature, gap, n_calm, progress.tol)


def rest_blocks(progress: BlockProgress, resting: BoolArray) -> BlockProgress:
    """Let blocks rest for good, whose distance from their limit is then of no interest."""
    resting = resting & np.append(np.ones(len(progress.gap), dtype=bool), False)
    return progress._replace(active=progress.active & ~resting, gap=np.where(resting[:-1], 0.0, progress.gap))


def wake_blocks(progress: BlockProgress, moved: BoolArray, objectives: FloatArray) -> BlockProgress:
    """Let blocks climb again that something else than a step has moved; what was known of them is void."""
    moved = moved[:-1]
    recent = progress.recent.copy()
    recent[:, moved] = objectives[:-1][moved]
    return progress._replace(
        active=progress.active | np.append(moved, False),
        recent=recent,
        n_em=np.where(moved, 0, progress.n_em),
        curvature=np.where(moved, np.inf, progress.curvature),
        gap=np.where(moved, np.inf, progress.gap),
        n_calm=np.where(moved, 0, progress.n_calm),
    )


def curvature_gap(decrement: float, curvature: float, rounding: float = 0.0) -> float:
    """Bound how far a block's objective is from its limit.

    In coordinates in which the complete-data information is the identity, the observed one
    has eigenvalues m, of which 1 - m are EM's rates of convergence. Near the limit the
    distance is the sum of g^2 / (2 m) over the gradient's components g, at most the sum
    of g^2 over twice the smallest m; the smallest that the last moves have met is taken.

    Parameters
    ----------
    decrement : float
        The sum of g^2, in nats.
    curvature : float
        The smallest m; infinite where none is known.
    rounding : float
        A decrement up to this is nothing.

    Returns
    -------
    float
        In nats; infinite where the objective is not concave along a move.
    """
    if decrement <= rounding:
        return 0.0
    if not 0 < curvature < np.inf:
        return np.inf
    return decrement / (2 * min(curvature, 1.0))


def steps_left(progress: BlockProgress, tol: float, total_weight: float) -> FloatArray:
    """Predict how many more steps plain EM would need in each block until its gap is below its share of ``tol``.

    Returns
    -------
    float ndarray of shape (n_blocks + 1,)
        Infinite while nothing can be said; 0 for the families outside.
    """
    share = max(tol / max(len(progress.gap), 1), np.finfo(float).tiny)
    left = np.full(len(progress.gap) + 1, np.inf)
    left[-1] = 0.0
    for block, objectives in enumerate(progress.recent.T.tolist()):
        gap = aitken_gap(objectives, total_weight)
        if gap <= share:
            left[block] = 0.0
        elif np.isfinite(gap):
            ratio = (objectives[2] - objectives[1]) / (objectives[1] - objectives[0])
            left[block] = np.log(share / gap) / np.log(ratio)
    return left
