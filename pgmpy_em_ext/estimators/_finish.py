"""What is left to do when the last run has ended: columns without data, and the account of what was merged."""

import logging

import numpy as np

from pgmpy_em_ext.arrays.columns import ColumnList
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.em.step import EMState, Problem, init
from pgmpy_em_ext.prepare.tables import Prepared
from pgmpy_em_ext.restarts.best_of import Best
from pgmpy_em_ext.types import BoolArray, FloatArray

BOUNDARY = 1e-6
"""Entries below this count as zero."""

logger = logging.getLogger(__name__)


def make_uniform(problem: Problem, prepared: Prepared, best: Best) -> tuple[EMState, ColumnList]:
    """Make the columns that nothing is known of uniform, where that changes no row's probability.

    A column can be without data because the start's zeros, not the data, keep every
    record away from it; uniform, it would open new ways to explain the data. Such a
    column keeps its entries. One more E-step tells. The likelihood stays what it was, since
    no record reaches what is changed. A column of a family that was sampled keeps them too: that
    no draw has met it does not say that no record reaches it.

    Other kinds of families may stand behind the tables in the vectors.

    Returns
    -------
    state : EMState
        The run's last state, with those columns uniform.
    rows : ColumnList
        All columns that nothing is known of.
    """
    state, network, family = best.state, prepared.network, prepared.family
    n_cells = network.n_cells
    unknown = family.without_data(state.statistics.counts[:n_cells])
    if not unknown.any():
        return state, ColumnList()
    rows = network.name_columns(np.flatnonzero(unknown))
    if len(best.history) == 1:  # no M-step was made: the start is returned as it is
        return state, rows
    if state.statistics.noise is not None:
        unknown &= ~np.logical_or.reduceat(state.statistics.noise.resolution > 0, network.column_starts)
    opened = _open(network, unknown, state.parameters)
    reached = unknown & ~family.without_data(init(problem, opened).statistics.counts[:n_cells])
    return state._replace(parameters=_open(network, unknown & ~reached, state.parameters)), rows


def _open(network: Network, columns: BoolArray, parameters: FloatArray) -> FloatArray:
    """Make columns of tables uniform."""
    opened = parameters.copy()
    cells = np.flatnonzero(columns[network.column_of_cell])
    opened[cells] = network.uniform[cells]
    return opened


def find_boundary(network: Network, state: EMState, starts: list[FloatArray], free: BoolArray) -> ColumnList:
    """Name the free columns with an entry at zero that was not at zero in every start.

    Columns that stand for less than one record are left out: nothing is known of them anyway.
    """
    at_zero = (state.parameters < BOUNDARY) & (np.max(starts, axis=0) >= BOUNDARY)
    fell = np.logical_or.reduceat(at_zero, network.column_starts)
    known = network.column_sums(state.statistics.counts) >= 1
    return network.name_columns(np.flatnonzero(fell & known & free))
