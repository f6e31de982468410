"""The account of what a fit has merged and ignored, ``reduction_``."""

import logging
from collections.abc import Hashable
from typing import NamedTuple

from pgmpy_em_ext._tools.packing import distinct_rows
from pgmpy_em_ext.prepare.tables import Prepared
from pgmpy_em_ext.types import MISSING

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
