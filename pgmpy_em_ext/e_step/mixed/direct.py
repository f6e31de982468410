"""Rows in which the continuous variables speak of all that is missing and discrete: their completions are summed up.

That is what mixtures are. Such rows need no elimination: each completion's probability is a product of entries of the
tables, which rows of equal codes share, times the density. Density, sum and moments of some rows are made in one go,
while their values are in a core's cache.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import sorted_rows, weighted_bincount
from pgmpy_em_ext.arrays.gaussian import GaussianArrays
from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.e_step.mixed.layout import Group, Layout
from pgmpy_em_ext.e_step.mixed.patterns import dead_codes
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray


class DirectGroup(NamedTuple):
    """A group whose rows miss nothing discrete that counts beside its variables.

    Attributes
    ----------
    group : Group
        The group.
    row : int ndarray of shape (n_tasks,)
        The tasks' rows.
    weight : float ndarray of shape (n_tasks,)
        Theirs, in records.
    pattern : int ndarray of shape (n_tasks,)
        Which of the distinct observed codes each has.
    cells : tuple of int ndarrays of shape (n_configs, n_patterns)
        For each discrete family, the entry of its table under every configuration; `n_cells` where it is barren.
    """

    group: Group
    row: IntArray
    weight: FloatArray
    pattern: IntArray
    cells: tuple[IntArray, ...]


class DirectSums(NamedTuple):
    """What the sum over the completions of a group's rows yields.

    Attributes
    ----------
    counts : float ndarray of shape (n_cells,)
        Expected counts.
    moments : float ndarray
        Expected moments.
    log_likelihood : float ndarray of shape (n_tasks,)
        In nats; not finite for rows that are impossible.
    log_prior : float ndarray of shape (n_configs, n_patterns)
        Log-probabilities of the completions, by the rows' patterns.
    """

    counts: FloatArray
    moments: FloatArray
    log_likelihood: FloatArray
    log_prior: FloatArray


def prepare_direct(network: HybridNetwork, rows: HybridRows, group: Group, layout: Layout) -> DirectGroup:
    """Find the entries of the tables that the rows of a group speak of.

    Parameters
    ----------
    network, rows
        Structure and data.
    group, layout
        One of the layout's direct groups.
    """
    own = layout.row[group.tasks]
    first, pattern = sorted_rows(list(rows.codes[own].T.astype(np.int64)))
    codes = rows.codes[own[first]].astype(np.int64)
    cells = _list_cells(network.discrete, group, codes, dead_codes(network.discrete, codes, group.nodes))
    return DirectGroup(group, own, rows.weight[own], pattern, cells)


def _list_cells(network: Network, group: Group, codes: IntArray, dead: BoolArray) -> tuple[IntArray, ...]:
    """Find the entries of every table under each configuration of a group's variables."""
    cards = [network.cardinalities[node] for node in group.nodes]
    digits = dict(zip(group.nodes, np.indices(cards).reshape(len(cards), -1, 1), strict=True))
    lists = []
    for node, family in enumerate(network.families):
        if dead[:, node].all():
            continue
        cells = np.full((group.n_configs, len(codes)), network.offsets[node], dtype=np.int64)
        for member, stride in zip(family.members, network.strides[node], strict=True):
            cells += digits.get(member, codes[:, member]) * stride
        lists.append(np.where(dead[:, node], network.n_cells, cells))
    return tuple(lists)


def sum_directly(
    direct: DirectGroup,
    net: GaussianArrays,
    layout: Layout,
    parameters: FloatArray,
    values: FloatArray,
    shares: FloatArray,
    in_parts: Callable[[Callable[[int, int], tuple[FloatArray, FloatArray]], int, int], list],
) -> DirectSums:
    """Sum over the completions of a group's rows.

    Parameters
    ----------
    direct : DirectGroup
        The rows.
    net, layout
        The continuous families; all tasks.
    parameters : float ndarray
        Of the discrete families, then of the continuous ones.
    values : float ndarray of shape (n_continuous, n_rows)
        By variable, rows in the layout's order.
    shares : float ndarray of shape (n_entries,)
        Written, unless it is empty: expected records of each task under each configuration.
    in_parts : callable
        Does work for parts of a range, given where it begins and ends.
    """
    from pgmpy_em_ext.e_step.mixed.kernel import sweep_directly  # needs numba

    n_cells = len(parameters) - int(net.offset[-1])
    with np.errstate(divide="ignore"):
        log_tables = np.log(np.append(parameters[:n_cells], 1.0))
    log_prior = np.sum([log_tables[cells] for cells in direct.cells], axis=0)
    log_likelihood = np.empty(direct.group.n_tasks)
    rows = direct.pattern, direct.weight, log_likelihood

    def work(low: int, high: int) -> tuple[FloatArray, FloatArray]:
        records, moments = np.zeros_like(log_prior), np.zeros(int(net.moment_offset[-1]))
        own = low - direct.group.task_first, high - direct.group.task_first
        pattern, weight, found = (each[slice(*own)] for each in rows)
        continuous = parameters[n_cells:]
        sweep_directly(
            net,
            layout.kinds,
            low,
            high,
            continuous,
            values,
            log_prior,
            pattern,
            weight,
            shares,
            found,
            records,
            moments,
        )
        return records, moments

    parts = in_parts(work, direct.group.tasks.start, direct.group.tasks.stop)
    records, moments = (np.sum(each, axis=0) for each in zip(*parts, strict=True))
    counts = np.zeros(n_cells + 1)
    for cells in direct.cells:
        counts += weighted_bincount(cells.ravel(), records.ravel(), len(counts))
    return DirectSums(counts[:-1], moments, log_likelihood, log_prior)
