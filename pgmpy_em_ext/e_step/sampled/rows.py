"""Questions about single rows that are too large for exact inference."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import distinct_rows, weighted_bincount
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.e_step.exact.order import RULES, greedy_order
from pgmpy_em_ext.e_step.sampled.gibbs import GibbsEStep
from pgmpy_em_ext.e_step.sampled.layout import lay_out_rows
from pgmpy_em_ext.e_step.sampled.plan import lay_out_all
from pgmpy_em_ext.e_step.sampled.tasks import find_components
from pgmpy_em_ext.types import MISSING, BoolArray, FloatArray, IntArray

BYTES_PER_CELL = 64
"""What exact inference on single rows takes for each table cell, about."""


class SampledRows(NamedTuple):
    """Answers about rows.

    Attributes
    ----------
    log_likelihood : float ndarray of shape (n_rows,)
        Of the observed cells, in nats; -inf where impossible.
    completed : int ndarray of shape (n_rows, n_nodes)
        A draw of each row's missing cells, where it was asked for.
    posteriors : dict of float ndarrays of shape (n_missing, cardinality)
        For each variable with a missing cell; rows in their order.
    """

    log_likelihood: FloatArray
    completed: IntArray
    posteriors: dict[int, FloatArray]


def rows_to_sample(
    network: Network, codes: IntArray, *, prune_barren: bool, limit: float, memory_budget: float
) -> BoolArray:
    """Mark the rows that exact inference is not asked about.

    Parameters
    ----------
    network : Network
        Structure and layout.
    codes : int ndarray of shape (n_rows, n_nodes)
        Rows, -1 where missing.
    prune_barren : bool
        Whether barren variables drop out.
    limit : float
        Cells of a table at most.
    memory_budget : float
        Bytes for one row at most.
    """
    net, roles, _ = lay_out_rows(network, codes, prune_barren=prune_barren, order=row_order(network))
    components = find_components(net, roles)
    total = np.bincount(components.row, components.total, len(codes))
    large = np.bincount(components.row, components.largest > limit, len(codes)) > 0
    return large | (total * BYTES_PER_CELL > memory_budget)


def sample_rows(
    network: Network,
    parameters: FloatArray,
    codes: IntArray,
    numbers: IntArray,
    engine: GibbsEStep,
    seed: int,
    *,
    likelihood_only: bool,
) -> SampledRows:
    """Answer all questions about some rows by chains of their own.

    Parameters
    ----------
    network : Network
        Structure and layout.
    parameters : float ndarray of shape (n_cells,)
        CPD entries.
    codes : int ndarray of shape (n_rows, n_nodes)
        Rows, -1 where missing.
    numbers : int ndarray of shape (n_rows,)
        Position of each in the user's table, for messages.
    engine : GibbsEStep
        How much is drawn.
    seed : int
        Of the chains.
    likelihood_only : bool
        Whether posteriors and draws are not wanted, so that barren variables can drop out.
    """
    order, copies = row_order(network), count_copies(codes)
    plan = lay_out_all(network, codes, numbers, copies, order, prune_barren=likelihood_only, limit=engine.limit)
    found = engine.ask(plan, parameters, seed, likelihood_only=likelihood_only)
    log_likelihood = weighted_bincount(plan.tasks.row, found.log_likelihood, len(codes))
    with np.errstate(divide="ignore"):
        log_parameters = np.log(parameters)
    alive = plan.evidence.codes == MISSING
    for node, family in enumerate(network.families):
        whole = ~alive[:, list(family.members)].any(axis=1)
        log_likelihood[whole] += log_parameters[network.cells(node, plan.evidence.codes[whole])]
    if likelihood_only:
        return SampledRows(log_likelihood, codes, {})
    completed = plan.evidence.codes.astype(np.int64)
    completed[plan.tasks.chain_rows] = found.states
    posteriors = {}
    for node in np.flatnonzero((codes == MISSING).any(axis=0)).tolist():
        rows = np.flatnonzero(codes[:, node] == MISSING)
        posterior = np.zeros((len(rows), network.cardinalities[node]))
        posterior[:, 0] = 1.0  # a variable of one state is no task
        if network.cardinalities[node] > 1:
            chain = np.searchsorted(plan.tasks.chain_rows, rows)
            places = found.places[chain, node][:, None] + np.arange(network.cardinalities[node])
            posterior = found.marginals[places]
            total = posterior.sum(axis=1, keepdims=True)
            posterior = np.divide(posterior, total, out=np.zeros_like(posterior), where=total > 0)
        posteriors[node] = posterior
    return SampledRows(log_likelihood, completed, posteriors)


def row_order(network: Network) -> tuple[int, ...]:
    """Choose an elimination order that is good for many missing variables, whatever the rows are."""
    return greedy_order(network, RULES[0])


def count_copies(codes: IntArray) -> IntArray:
    """Count the equal rows that come before each row."""
    _, group = distinct_rows(list(codes.T))
    order = np.argsort(group, kind="stable")
    begins = np.searchsorted(group[order], group[order])
    copies = np.empty(len(codes), dtype=np.int64)
    copies[order] = np.arange(len(codes)) - begins
    return copies
