"""Rows in which the continuous variables speak of all that is missing and discrete: their completions are summed up.

That is what mixtures are. Such rows need no elimination: each completion's probability is a product of entries of the
tables, which rows of equal codes share, times the density. All of it is vectorised over rows.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.hybrid.layout import Group, Layout
from pgmpy_em_ext.hybrid import HybridRows
from pgmpy_em_ext.network import Network
from pgmpy_em_ext.packing import sorted_rows, weighted_bincount
from pgmpy_em_ext.types import MISSING, BoolArray, FloatArray, IntArray

MAX_CELLS = 2**24
"""Positions of table entries that a group's list may hold; beyond, elimination shares more."""


class DirectGroup(NamedTuple):
    """Tasks of a group whose rows miss nothing discrete beside the group's variables.

    Attributes
    ----------
    group : Group
        The group.
    tasks : int ndarray of shape (n_tasks,)
        Which of its tasks.
    row : int ndarray of shape (n_tasks,)
        Their rows.
    pattern : int ndarray of shape (n_tasks,)
        Which of the distinct observed codes each has.
    cells : tuple of int ndarrays of shape (n_configs, n_patterns)
        For each discrete family, the entry of its table under every configuration; `n_cells` where it is barren.
    """

    group: Group
    tasks: IntArray
    row: IntArray
    pattern: IntArray
    cells: tuple[IntArray, ...]


def find_direct(network: Network, rows: HybridRows, layout: Layout) -> tuple[tuple[DirectGroup, ...], BoolArray]:
    """Find the rows that can be summed up directly.

    Returns
    -------
    groups : tuple of DirectGroup
        Those that have such rows.
    is_direct : bool ndarray of shape (n_rows,)
        Marks these.
    """
    n_groups = np.zeros(len(rows.weight), dtype=np.int64)
    spoken_of = np.zeros(rows.codes.shape, dtype=bool)
    for group in layout.groups:
        own = layout.row[group.task_first : group.task_first + group.n_tasks]
        n_groups[own] += 1
        spoken_of[own[:, None], list(group.nodes)] = True
    dead = (rows.codes == MISSING) & ~spoken_of
    for node in reversed(network.topological_order):
        for child in network.children[node]:
            dead[:, node] &= dead[:, child]
    n_alive = ((rows.codes == MISSING) & ~dead).sum(axis=1)
    found, is_direct = [], np.zeros(len(rows.weight), dtype=bool)
    for group in layout.groups:
        own = layout.row[group.task_first : group.task_first + group.n_tasks]
        tasks = np.flatnonzero((n_groups[own] == 1) & (n_alive[own] == len(group.nodes)))
        if len(tasks) == 0:
            continue
        first, pattern = sorted_rows(list(rows.codes[own[tasks]].T.astype(np.int64)))
        if len(first) * group.n_configs * network.n_nodes > MAX_CELLS:
            continue
        codes, absent = rows.codes[own[tasks[first]]].astype(np.int64), dead[own[tasks[first]]]
        found.append(DirectGroup(group, tasks, own[tasks], pattern, _list_cells(network, group, codes, absent)))
        is_direct[own[tasks]] = True
    return tuple(found), is_direct


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
    tables: FloatArray,
    entries: FloatArray,
    weight: FloatArray,
    in_parts: Callable[[Callable[[int, int], FloatArray], int, int], list[FloatArray]],
) -> tuple[FloatArray, FloatArray]:
    """Sum over the completions of a group's rows.

    Parameters
    ----------
    direct : DirectGroup
        The rows.
    tables : float ndarray of shape (n_cells,)
        Entries of the tables.
    entries : float ndarray of shape (n_group_entries,)
        Log-densities of the continuous values under every configuration, in nats; expected records take their place.
    weight : float ndarray of shape (n_rows,)
        In records.
    in_parts : callable
        Does work for parts of a range, given where it begins and ends.

    Returns
    -------
    counts : float ndarray of shape (n_cells,)
        Expected counts.
    log_likelihood : float ndarray of shape (n_tasks,)
        In nats; not finite for rows that are impossible.
    """
    from pgmpy_em_ext.e_step.hybrid.kernel import sum_rows  # needs numba

    with np.errstate(divide="ignore"):
        log_tables = np.log(np.append(tables, 1.0))
    log_prior = np.sum([log_tables[cells] for cells in direct.cells], axis=0)
    joint, own_weight = direct.group.block(entries), weight[direct.row]
    log_likelihood = np.empty(len(direct.tasks))

    def work(low: int, high: int) -> FloatArray:
        records = np.zeros_like(log_prior)
        sum_rows(joint, direct.tasks, direct.pattern, log_prior, own_weight, low, high, records, log_likelihood)
        return records

    records = np.sum(in_parts(work, 0, len(direct.tasks)), axis=0)
    counts = np.zeros(len(tables) + 1)
    for cells in direct.cells:
        counts += weighted_bincount(cells.ravel(), records.ravel(), len(counts))
    return counts[:-1], log_likelihood
