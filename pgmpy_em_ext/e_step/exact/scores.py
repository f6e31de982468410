"""Expected counts row by row, for what a sum over rows does not tell."""

from collections.abc import Iterator

import numpy as np

from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.reduction import observed_whole
from pgmpy_em_ext.e_step.exact.compile import find_roles
from pgmpy_em_ext.e_step.exact.rows import RowPass, sweep_in_batches
from pgmpy_em_ext.e_step.exact.sweep import descend
from pgmpy_em_ext.types import FloatArray, IntArray

VALUES_PER_BATCH = 1 << 22
"""Counts held at once: 32 MiB."""


def row_counts(
    network: Network, parameters: FloatArray, codes: IntArray, memory_budget: int = 2**32
) -> Iterator[FloatArray]:
    """Compute the expected counts of each row, batch by batch; barren families are left out.

    Parameters
    ----------
    network : Network
        Structure and layout.
    parameters : float ndarray of shape (n_cells,)
        Under which no row is impossible.
    codes : int ndarray of shape (n, n_nodes)
        Rows, -1 where missing.
    memory_budget : int
        As in `ExactEStep`.

    Yields
    ------
    float ndarray of shape (n_batch, n_cells)
        In records: every family of a row adds up to one, or to zero where it is barren.
    """
    batch_size = max(1, VALUES_PER_BATCH // network.n_cells)
    roles = find_roles(network, codes, prune_barren=True)
    for _, rows in sweep_in_batches(network, parameters, codes, batch_size, roles, memory_budget=memory_budget):
        yield _batch_counts(rows)


def _batch_counts(rows: RowPass) -> FloatArray:
    """Collect what each row's steps hand back to the parameters, and what it observes whole."""
    network, n_cells = rows.network, rows.graph.n_cells
    counts = np.zeros((len(rows.codes), n_cells))
    flat = counts.reshape(-1)  # a view
    for group, belief in descend(rows.graph, rows.forward_pass, np.zeros(rows.graph.n_values)):
        first = np.broadcast_to(np.repeat(group.row, group.size) * n_cells, belief.shape)
        for factor in group.inputs:
            read = factor < n_cells
            np.add.at(flat, first[read] + factor[read], belief[read])
    for node in range(network.n_nodes):
        whole = np.flatnonzero(observed_whole(network, node, rows.codes))
        counts[whole, network.cells(node, rows.codes[whole])] += 1
    return counts
