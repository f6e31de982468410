"""Standard errors of a fit, from the curvature of its objective."""

from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.checks import check_joined
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.em.step import EMState, Problem, init
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray

STEP = 1e-4
"""By how much a log-odds is moved to either side. The error of a curvature is then some 1e-8 of it."""

BOUNDARY = 1e-6
"""Entries that are so close to 0 or 1 are held: no normal distribution describes them."""

FLAT = 1e-6
"""Share of a record's information below which a direction says nothing: a hundred times the error of a difference."""

CAUTION = 10
"""How many times what a further step of EM would change is taken for the error of a curvature."""

FAINT = 1e-3
"""Share of a record's information up to which a direction that counts as flat is told from a run that ended early."""

NOISE = 1e-8
"""Curvatures below this share of a record's information are rounding."""

MATTERS = 0.01
"""Share of an entry's variance. What a direction without information, or with less than none, would add must
be above it to make the entry unknown; it is taken to be as large as if the direction curved downwards as much."""


class Reason(IntEnum):
    """Why an entry has no standard error."""

    NONE = 0
    FIXED = 1
    BOUNDARY = 2
    FEW_RECORDS = 3
    NOT_IDENTIFIED = 4
    NOT_A_MAXIMUM = 5


REASONS = ("", "fixed", "boundary", "fewer than one record", "not identified", "not a maximum")
"""The reasons in words."""


class StandardErrors(NamedTuple):
    """How far the entries of a fit are known.

    Attributes
    ----------
    errors : float ndarray of shape (n_cells,)
        Standard errors; 0 of entries that are fixed, NaN where there is none.
    reasons : int8 ndarray of shape (n_cells,)
        A `Reason` for each entry.
    asymmetry : float
        Largest difference between mixed second derivatives that should be equal, as a share
        of what complete records would tell: a measure of numerical error, 1e-6 at most
        where all is well.
    """

    errors: FloatArray
    reasons: IntArray
    asymmetry: float

    @property
    def texts(self) -> np.ndarray:
        """The reasons in words, "" where there is an error: an object ndarray of shape (n_cells,)."""
        return np.array(REASONS, dtype=object)[self.reasons]


class Coordinates(NamedTuple):
    """Log-odds of the entries that may move, one reference state left out of each column.

    Attributes
    ----------
    column_of_cell : int ndarray of shape (n_cells,)
        As in `Network`.
    moves : bool ndarray of shape (n_cells,)
        Entries that are not held.
    mass : float ndarray of shape (n_columns,)
        What the moving entries of each column add up to; 1 where all move, or none.
    total : float ndarray of shape (n_cells,)
        Expected counts plus pseudo counts of the moving entries, in records; else 0.
    cell : int ndarray of shape (n_coordinates,)
        The entry of each coordinate, block by block.
    bounds : int ndarray of shape (n_blocks + 2,)
        Where each block's coordinates start; the last block is of complete data.
    """

    column_of_cell: IntArray
    moves: BoolArray
    mass: FloatArray
    total: FloatArray
    cell: IntArray
    bounds: IntArray


def standard_errors(problem: Problem, network: Network, parameters: FloatArray) -> StandardErrors:
    """Compute standard errors at a maximum of the objective.

    Parameters
    ----------
    problem : Problem
        Engine, plan and CPD family: the data and the prior. The family is `Categorical`.
    network : Network
        Layout of the parameters.
    parameters : float ndarray of shape (n_cells,)
        The fit. Not modified.

    Returns
    -------
    StandardErrors
        Entries without an error have one of these reasons. *boundary*: within 1e-6 of 0 or 1.
        *fewer than one record*: the column's expected count is below 1. *not identified*: the
        objective is flat in a direction that changes the entry. *not a maximum*: it curves
        upwards in such a direction, or the parameters are far from where it is highest. Entries
        of the first two kinds are held where they are while the errors of others are computed.

    Raises
    ------
    MemoryBudgetError
        A block has more than 20,000 parameters.

    Notes
    -----
    The observed information is that of the log-odds, by central differences of the score
    ``N + c - (N + c)_sum * theta``, with N the expected and c the pseudo counts. With a prior it
    is the curvature of the posterior. The delta method makes variances of it. A parameter of
    every independent block is moved in the same E-step. Families that need no inference have the
    variance ``theta * (1 - theta) / (N + c)_sum``, and take no E-step.

    Directions are judged relative to what complete records would tell. The estimate of an EM
    that was stopped is not quite the maximum. What a further step would change tells of the error
    that this makes in the curvature, and less than ten times that counts as flat.

    Cost: two E-steps for each free parameter of the largest block, memory for the square of
    their number, and its eigenvectors.

    References
    ----------
    Louis (1982), J. R. Stat. Soc. B 44(2), 226-233. Jamshidian & Jennrich (2000), J. R. Stat.
    Soc. B 62(2), 257-270: information by differences of the score.

    Examples
    --------
    Three of four records of a coin are heads: sqrt(3/4 * 1/4 / 4).

    >>> from pgmpy_em_ext.e_step.exact import ExactEStep
    >>> from pgmpy_em_ext.arrays.network import build_network
    >>> from pgmpy_em_ext.data.rows import Evidence
    >>> network = build_network(["Coin"], {}, {"Coin": ["heads", "tails"]})
    >>> evidence = Evidence(np.array([[0], [1]]), np.array([3.0, 1.0]), np.array([0, 3]))
    >>> engine = ExactEStep()
    >>> family = Categorical(network, pseudo_counts=np.zeros(2), fixed=np.zeros(1, dtype=bool))
    >>> problem = Problem(engine, engine.prepare(network, evidence), family)
    >>> standard_errors(problem, network, np.array([0.75, 0.25])).errors.round(4)
    array([0.2165, 0.2165])
    """
    family = problem.family
    assert isinstance(family, Categorical)  # the only one that there is
    state = init(problem, parameters)
    reasons = _held(network, family, state)
    blocks = _blocks(problem, network)
    coordinates = _make_coordinates(network, family, state, reasons, blocks)
    variance = _complete_variance(coordinates, parameters)
    differences = _differences(problem, coordinates, parameters)
    unsettled = _unsettled(network, family, state)
    asymmetry = 0.0
    for low, high in pairwise(coordinates.bounds[:-1].tolist()):
        if low == high:
            continue
        curvature = -differences[: high - low, low:high]
        cells, found, flags, skew = _block_variance(coordinates, parameters, curvature, slice(low, high), unsettled)
        variance[cells], reasons[cells] = found, flags
        asymmetry = max(asymmetry, skew)
    errors = np.where(reasons == Reason.NONE, np.sqrt(variance), np.nan)
    return StandardErrors(np.where(reasons == Reason.FIXED, 0.0, errors), reasons, asymmetry)


def _held(network: Network, family: Categorical, state: EMState) -> IntArray:
    """Give a reason to the entries that do not take part."""
    column = network.column_of_cell
    reasons = np.zeros(network.n_cells, dtype=np.int8)
    reasons[(state.parameters < BOUNDARY) | (state.parameters > 1 - BOUNDARY)] = Reason.BOUNDARY
    moving = network.column_sums((reasons == Reason.NONE).astype(np.float64))
    reasons[(moving < 2)[column]] = Reason.BOUNDARY  # all that the others leave is held too
    reasons[(network.column_sums(state.statistics.counts) < 1)[column]] = Reason.FEW_RECORDS
    reasons[(family.fixed | (network.column_sizes == 1))[column]] = Reason.FIXED
    return reasons


def _blocks(problem: Problem, network: Network) -> Blocks:
    """Give the independent blocks; all families are one, if the engine does not know."""
    blocks = problem.engine.blocks(problem.plan)
    if blocks is not None:
        return blocks
    return Blocks(np.zeros(network.n_nodes, dtype=np.int64), np.zeros(network.n_cells, dtype=np.int64), 1)


def _make_coordinates(
    network: Network, family: Categorical, state: EMState, reasons: IntArray, blocks: Blocks
) -> Coordinates:
    """Choose the coordinates; the reference state of a column is the best populated."""
    column = network.column_of_cell
    moves = reasons == Reason.NONE
    total = np.where(moves, state.statistics.counts + family.pseudo_counts, 0.0)
    best = np.flatnonzero(moves & (total == np.maximum.reduceat(total, network.column_starts)[column]))
    references = best[np.unique(column[best], return_index=True)[1]]
    some_move = np.bincount(column, weights=moves) % network.column_sizes > 0
    mass = np.where(some_move, network.column_sums(np.where(moves, state.parameters, 0.0)), 1.0)
    cell = np.setdiff1d(np.flatnonzero(moves), references)
    cell = cell[np.argsort(blocks.of_cell[cell], kind="stable")]
    bounds = np.searchsorted(blocks.of_cell[cell], np.arange(blocks.n_blocks + 2))
    return Coordinates(column, moves, mass, total, cell, bounds)


def _complete_variance(coordinates: Coordinates, parameters: FloatArray) -> FloatArray:
    """Give the variance that all entries have if their counts are not expected but known."""
    column = coordinates.column_of_cell
    total = np.bincount(column, weights=coordinates.total)[column]
    known = parameters * (coordinates.mass[column] - parameters)
    return np.divide(known, total, out=np.full(len(parameters), np.nan), where=coordinates.moves)


def _unsettled(network: Network, family: Categorical, state: EMState) -> FloatArray:
    """Measure, for each column, how far one more step of EM would move it, relative to its entries."""
    change = family.maximize(state.statistics.counts, state.parameters) - state.parameters
    squared = np.divide(change**2, state.parameters, out=np.zeros_like(change), where=state.parameters > 0)
    return np.sqrt(network.column_sums(squared))


def _differences(problem: Problem, coordinates: Coordinates, parameters: FloatArray) -> FloatArray:
    """Differentiate the score: row i is by coordinate i of every block.

    Returns
    -------
    float ndarray of shape (size of the largest block, n_coordinates)
        Of a block's columns, as many rows mean something as it has coordinates.
    """
    bounds = coordinates.bounds
    start, sizes = bounds[:-2], np.diff(bounds[:-1])
    check_joined(int(sizes.max(initial=0)))
    found = np.empty((int(sizes.max(initial=0)), int(bounds[-2])))
    for number in range(len(found)):
        active = np.append(sizes > number, False)
        moved = coordinates.cell[start[active[:-1]] + number]
        up, down = (
            _score(problem, coordinates, _move(coordinates, parameters, moved, h), active) for h in (STEP, -STEP)
        )
        found[number] = (up - down)[: found.shape[1]] / (2 * STEP)
    return found


def _move(coordinates: Coordinates, parameters: FloatArray, cells: IntArray, step: float) -> FloatArray:
    """Add to the log-odds of entries, each of another column; what is held stays."""
    column = coordinates.column_of_cell
    scale = np.ones(len(coordinates.mass))
    mass = coordinates.mass[column[cells]]
    scale[column[cells]] = mass / (mass + parameters[cells] * np.expm1(step))
    moved = np.where(coordinates.moves, parameters * scale[column], parameters)
    moved[cells] *= np.exp(step)
    return moved


def _score(problem: Problem, coordinates: Coordinates, parameters: FloatArray, active: BoolArray) -> FloatArray:
    """Differentiate the objective by every coordinate: one E-step, for some of the blocks."""
    engine, plan, family = problem
    assert isinstance(family, Categorical)
    if engine.blocks(plan) is None:
        counts = engine.expected_statistics(plan, parameters).counts
    else:
        counts = engine.expected_statistics(plan, parameters, active=active).counts  # type: ignore[call-arg]
    column = coordinates.column_of_cell
    total = np.where(coordinates.moves, counts + family.pseudo_counts, 0.0)
    sums = np.bincount(column, weights=total) / coordinates.mass
    cell = coordinates.cell
    return total[cell] - sums[column[cell]] * parameters[cell]


def _block_variance(
    coordinates: Coordinates, parameters: FloatArray, curvature: FloatArray, block: slice, unsettled: FloatArray
) -> tuple[IntArray, FloatArray, IntArray, float]:
    """Turn the curvature of one block into variances of its entries.

    Returns
    -------
    cells : int ndarray
        The entries of the block that move.
    variance : float ndarray
        Theirs, in directions that are known.
    reasons : int ndarray
        Whether they take part in others.
    asymmetry : float
        Of the curvature.
    """
    column, cell = coordinates.column_of_cell, coordinates.cell[block]
    of_block = np.isin(column, column[cell]) & coordinates.moves
    cells = np.flatnonzero(of_block)
    sums = np.bincount(column, weights=coordinates.total)[column[cell]]
    share = parameters[cell] / coordinates.mass[column[cell]]
    scale = 1 / np.sqrt(sums * share * (1 - share))  # one over the information in complete records, its diagonal
    scaled = curvature * scale * scale[:, None]
    values, vectors = np.linalg.eigh((scaled + scaled.T) / 2)
    gradient = np.where(column[cells][:, None] == column[cell], -parameters[cells][:, None] * share, 0.0)
    gradient[np.searchsorted(cells, cell), np.arange(len(cell))] += parameters[cell]
    parts = ((gradient * scale) @ vectors) ** 2
    flat = np.maximum(FLAT, CAUTION * unsettled[column[cell]] @ vectors**2)
    known = values > flat
    variance = parts @ np.where(known, 1 / np.where(known, values, 1.0), 0.0)
    unknown = np.where(known, 0.0, 1 / np.maximum(np.abs(values), NOISE))
    reasons = np.full(len(cells), Reason.NONE)
    reasons[parts @ unknown > MATTERS * variance] = Reason.NOT_IDENTIFIED
    far = (values < -flat) | (np.abs(values) > FAINT)
    reasons[parts @ np.where(far, unknown, 0.0) > MATTERS * variance] = Reason.NOT_A_MAXIMUM
    return cells, variance, reasons, float(np.abs(scaled - scaled.T).max())
