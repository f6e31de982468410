"""What is left to do when the last run has ended: columns without data, and the account of what was merged."""

import logging
from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.columns import ColumnList
from pgmpy_em_ext.em import EMState, Problem, init
from pgmpy_em_ext.network import Network
from pgmpy_em_ext.packing import distinct_rows
from pgmpy_em_ext.prepare import Prepared
from pgmpy_em_ext.restarts import Best
from pgmpy_em_ext.types import MISSING, BoolArray, FloatArray

BOUNDARY = 1e-6
"""Entries below this count as zero."""

logger = logging.getLogger(__name__)


class ReductionSummary(NamedTuple):
    """What was merged and what was ignored, as ``reduction_``.

    Attributes
    ----------
    n_rows : int
        Rows of the table.
    n_zero_weight : int
        Rows of weight zero, which count for nothing.
    n_empty_rows : int
        Rows of positive weight that observe none of the model's variables. They change nothing in the fit, and are
        left out of the sample size in ``bic_``. 0 where no row observes anything.
    empty_weight : float
        What these weigh together, in records.
    total_weight : float
        Sum of all weights, in records. Without ``empty_weight`` it is the sample size.
    n_missing_cells : int
        Holes in the table's columns of variables that are not latent.
    n_distinct_rows : int
        Rows that differ in what they observe; those that observe nothing are left out.
    n_missing_patterns : int
        Distinct sets of missing variables in these.
    ignored_columns : tuple
        Columns that are no variable of the model.
    promoted_latents : tuple
        Variables whose column is missing throughout, treated as latent.
    engine : dict
        Sizes that the engine reports; for the exact one ``n_local_problems`` (distinct
        components of missing variables with their evidence), ``n_elimination_steps`` and
        ``n_table_cells``; for continuous variables ``n_continuous_patterns`` and ``n_densities`` too.
    """

    n_rows: int
    n_zero_weight: int
    n_empty_rows: int
    empty_weight: float
    total_weight: float
    n_missing_cells: int
    n_distinct_rows: int
    n_missing_patterns: int
    ignored_columns: tuple[Hashable, ...]
    promoted_latents: tuple[Hashable, ...]
    engine: dict[str, int]


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


def summarize(prepared: Prepared, sizes: dict[str, int]) -> ReductionSummary:
    """Count what was merged and list what was ignored."""
    network, reduction, empty, sample = prepared.network, prepared.reduction, prepared.empty, prepared.sample
    holes = reduction.codes[:, list(network.observable)] == MISSING
    summary = ReductionSummary(
        n_rows=prepared.n_rows,
        n_zero_weight=prepared.n_zero_weight,
        n_empty_rows=empty.n_rows,
        empty_weight=empty.weight,
        total_weight=prepared.total_weight + empty.weight,
        n_missing_cells=int(holes.sum(axis=1) @ reduction.multiplicity),
        n_distinct_rows=len(sample.codes),
        n_missing_patterns=len(distinct_rows(list((sample.codes == MISSING).T))[0]),
        ignored_columns=prepared.ignored_columns,
        promoted_latents=prepared.states.promoted,
        engine=sizes,
    )
    return note_summary(summary)


def note_summary(summary: ReductionSummary) -> ReductionSummary:
    """Log what was merged and ignored."""
    logger.info("Reduced the data: %s", summary)
    return summary
