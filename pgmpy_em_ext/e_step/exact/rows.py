"""Questions about single rows: their likelihood, their missing cells' posterior, draws of them.

The graph is compiled without sharing, so that every step belongs to one row and its
belief is that row's posterior; the sweeps are the same.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import ranges
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.reduction import observed_whole
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step.exact.compile import Roles, compile_evidence
from pgmpy_em_ext.e_step.exact.graph import Scopes
from pgmpy_em_ext.e_step.exact.groups import COST, Group, GroupedGraph, group_steps
from pgmpy_em_ext.e_step.exact.order import rank_orders
from pgmpy_em_ext.e_step.exact.sweep import ForwardPass, descend, forward
from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.types import MISSING, FloatArray, IntArray

_SEARCH_BATCH = 1000


class RowPass(NamedTuple):
    """Some rows, or a part of their families, compiled and swept forward."""

    network: Network
    codes: IntArray
    roles: Roles
    graph: GroupedGraph
    scopes: Scopes
    forward_pass: ForwardPass


def sweep_rows(
    network: Network,
    parameters: FloatArray,
    codes: IntArray,
    order: Sequence[int],
    roles: Roles,
    *,
    memory_budget: int,
) -> RowPass:
    """Compile rows one by one, side by side, and sweep forward.

    Parameters
    ----------
    network : Network
        Structure and layout.
    parameters : float ndarray of shape (n_cells,)
        CPD entries.
    codes : int ndarray of shape (n, n_nodes)
        Rows, -1 where missing.
    order : sequence of int
        The elimination order.
    roles : Roles
        What is eliminated, and which families are left out. Barren variables need not be for
        likelihoods; the posterior of every missing cell needs them.
    memory_budget : int
        As in `ExactEStep`.
    """
    evidence = Evidence(codes, np.ones(len(codes)), np.arange(len(codes)))
    graph = compile_evidence(
        network, evidence, [order], share=False, memory_budget=memory_budget, cost=COST, roles=roles
    )
    grouped = group_steps(graph)
    return RowPass(network, codes, roles, grouped, graph.scopes, forward(grouped, parameters))


def row_log_likelihood(rows: RowPass, parameters: FloatArray) -> FloatArray:
    """Log-likelihood of each row's observed states, in nats; -inf where impossible."""
    total = np.zeros(len(rows.codes))
    with np.errstate(divide="ignore"):
        log_parameters = np.log(parameters)
        for group, log_scale in zip(rows.graph.groups, rows.forward_pass.log_scales, strict=True):
            np.add.at(total, group.row, log_scale)
    for node in range(rows.network.n_nodes):
        observed = observed_whole(rows.network, node, rows.codes) & ~rows.roles.dead[:, node]
        total[observed] += log_parameters[rows.network.cells(node, rows.codes[observed])]
    return total


def sweep_in_batches(
    network: Network,
    parameters: FloatArray,
    codes: IntArray,
    batch_size: int,
    roles: Roles,
    *,
    memory_budget: int,
) -> Iterator[tuple[slice, RowPass]]:
    """Sweep rows batch by batch; a batch that does not fit is halved, down to a single row.

    The arguments are those of `sweep_rows`.

    Yields
    ------
    batch : slice
        Which rows.
    rows : RowPass
        Their sweep.

    Raises
    ------
    MemoryBudgetError
        A single row does not fit.
    """
    pending = [slice(start, min(start + batch_size, len(codes))) for start in range(0, len(codes), batch_size)]
    pending.reverse()
    order = rank_orders(network, *roles)[0]
    while pending:
        batch = pending.pop()
        try:
            part = Roles(roles.alive[batch], roles.dead[batch])
            rows = sweep_rows(network, parameters, codes[batch], order, part, memory_budget=memory_budget)
        except MemoryBudgetError:
            if batch.stop - batch.start == 1:
                raise
            middle = (batch.start + batch.stop) // 2
            pending += [slice(middle, batch.stop), slice(batch.start, middle)]
            continue
        yield batch, rows


def first_impossible_rows(
    network: Network, parameters: FloatArray, evidence: Evidence, roles: Roles, memory_budget: int
) -> IntArray:
    """Find impossible rows, in the order of the user's table, until a batch of rows has some.

    Returns
    -------
    int ndarray
        Positions in the evidence; the first row of the table that is impossible is among them.
        Where none is impossible by itself, but products within the graph have left the range
        of floating point, the least probable row.
    """
    by_row = np.argsort(evidence.first_row)
    batches = sweep_in_batches(
        network,
        parameters,
        evidence.codes[by_row],
        _SEARCH_BATCH,
        Roles(roles.alive[by_row], roles.dead[by_row]),
        memory_budget=memory_budget,
    )
    least, lowest = 0, np.inf
    for batch, rows in batches:
        log_likelihood = row_log_likelihood(rows, parameters)
        if np.isneginf(log_likelihood).any():
            return by_row[batch][np.isneginf(log_likelihood)]
        if log_likelihood.min() < lowest:
            least, lowest = batch.start + int(log_likelihood.argmin()), float(log_likelihood.min())
    return by_row[[least]]


def _steps_by_variable(group: Group) -> Iterator[tuple[int, IntArray]]:
    """Split a group's steps by the variable that they sum out; multiplying steps have none."""
    for variable in np.unique(group.variable).tolist():
        if variable >= 0:
            yield variable, np.flatnonzero(group.variable == variable)


def row_posteriors(rows: RowPass) -> dict[int, FloatArray]:
    """Posterior distribution of every missing cell that is not left out.

    Returns
    -------
    dict
        For each variable with a missing cell, a float ndarray of shape (n_missing,
        cardinality): its missing cells in the order of the rows; rows of zeros where the
        row is impossible.
    """
    network, graph = rows.network, rows.graph
    missing = (rows.codes == MISSING) & ~rows.roles.dead
    rank = np.cumsum(missing, axis=0) - 1
    found = {
        node: np.zeros((int(missing[:, node].sum()), network.cardinalities[node]))
        for node in range(network.n_nodes)
        if missing[:, node].any()
    }
    for group, belief in descend(graph, rows.forward_pass, np.zeros(graph.n_values)):
        marginal = np.add.reduceat(belief, group.start, axis=1).T
        for variable, steps in _steps_by_variable(group):
            found[variable][rank[group.row[steps], variable]] = marginal[steps]
    return found


def draw_completions(rows: RowPass, uniforms: FloatArray) -> IntArray:
    """Draw every row's missing cells from their joint posterior.

    Variables are drawn in the reverse of the elimination order, each given those that its
    step's table ranges over, which have been drawn by then.

    Parameters
    ----------
    rows : RowPass
        Compiled without pruning.
    uniforms : float ndarray of shape (n, n_nodes)
        Uniform on [0, 1): one for each cell.

    Returns
    -------
    int ndarray of shape (n, n_nodes)
        Complete rows; a row that is impossible keeps its holes.
    """
    completed = rows.codes.astype(np.int64)
    for group, table in zip(reversed(rows.graph.groups), reversed(rows.forward_pass.tables), strict=True):
        column = group.start.copy()
        count = rows.scopes.first[group.scope + 1] - rows.scopes.first[group.scope]
        entry = ranges(rows.scopes.first[group.scope], count)
        owner = np.repeat(np.arange(len(count)), count)
        state = np.maximum(completed[group.row[owner], rows.scopes.variable[entry]], 0)
        np.add.at(column, owner, state * rows.scopes.stride[entry])
        for variable, steps in _steps_by_variable(group):
            cumulative = np.cumsum(table[:, column[steps]], axis=0)
            threshold = uniforms[group.row[steps], variable] * cumulative[-1]
            state = (cumulative <= threshold).sum(axis=0)
            possible = cumulative[-1] > 0
            completed[group.row[steps[possible]], variable] = state[possible]
    return completed
