"""Rows of discrete and continuous variables, as the kernel and the discrete engine work on them."""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import ranges
from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows
from pgmpy_em_ext.arrays.network import Family, Network, contiguous_strides
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step.mixed.patterns import (
    DIRECT,
    SINGLE,
    PatternParts,
    Patterns,
    divide,
    find_patterns,
    mark_direct,
    members,
)
from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.types import MISSING, FloatArray, IntArray

BYTES_PER_ENTRY = 120
"""Memory of a row's density under one configuration: density, factor, its step in the graph, responsibility."""


class Kinds(NamedTuple):
    """What tasks have in common: missing variables, families, and the configurations of these.

    A task is a row's continuous families that have the same missing discrete variables above them, directly or through
    missing continuous ones.

    Attributes
    ----------
    node_first, node : int64 ndarrays
        Kind k integrates the missing variables ``node[node_first[k]:node_first[k + 1]]`` out.
    family_first, family : int64 ndarrays
        Its families, in the same way.
    n_configs : int64 ndarray of shape (n_kinds,)
        Configurations of the missing discrete variables.
    config_first, config : int64 ndarrays
        From ``config_first[k]`` on, for each of them, the configuration of every family's discrete parents.
    task_first : int64 ndarray of shape (n_kinds + 1,)
        Where each kind's tasks begin.
    row_first : int64 ndarray of shape (n_kinds,)
        Where its rows begin, in `Layout.by_pattern`.
    entry_first, entry_stride : int64 ndarrays of shape (n_kinds,)
        Task t has its density under configuration d at ``entry_first[k] + d * entry_stride[k] + t - task_first[k]``.
    """

    node_first: IntArray
    node: IntArray
    family_first: IntArray
    family: IntArray
    n_configs: IntArray
    config_first: IntArray
    config: IntArray
    task_first: IntArray
    row_first: IntArray
    entry_first: IntArray
    entry_stride: IntArray


class Group(NamedTuple):
    """Tasks whose continuous variables speak of the same missing discrete ones.

    Attributes
    ----------
    nodes : tuple of int
        These, in rising order.
    n_configs : int
        How many configurations they have.
    task_first, n_tasks : int
        Which tasks.
    entry_first : int
        Where their densities begin, of shape (n_configs, n_tasks).
    is_direct : bool
        Whether the configurations are summed over directly.
    """

    nodes: tuple[int, ...]
    n_configs: int
    task_first: int
    n_tasks: int
    entry_first: int
    is_direct: bool

    @property
    def tasks(self) -> slice:
        """Which tasks, as a slice."""
        return slice(self.task_first, self.task_first + self.n_tasks)

    def block(self, entries: FloatArray) -> FloatArray:
        """View the group's entries as an array of shape (n_configs, n_tasks)."""
        size = self.n_configs * self.n_tasks
        return entries[self.entry_first : self.entry_first + size].reshape(self.n_configs, self.n_tasks)


class Layout(NamedTuple):
    """All tasks: those of the groups to eliminate, those that depend on no missing discrete variable, then the direct.

    Attributes
    ----------
    kinds : Kinds
        What they have in common.
    by_pattern : int64 ndarray of shape (n_rows,)
        The rows, those that are alike side by side.
    row : int64 ndarray of shape (n_tasks,)
        The row of each task.
    groups : tuple of Group
        Those whose missing discrete variables the discrete engine sums over.
    direct_groups : tuple of Group
        Those whose completions are summed up directly.
    n_single : int
        Tasks that depend on no missing discrete variable, of one entry each.
    """

    kinds: Kinds
    by_pattern: IntArray
    row: IntArray
    groups: tuple[Group, ...]
    direct_groups: tuple[Group, ...]
    n_single: int

    @property
    def n_grouped(self) -> int:
        """Tasks of the groups to eliminate, which come first."""
        return sum(group.n_tasks for group in self.groups)

    @property
    def single_tasks(self) -> IntArray:
        """Rows of the tasks that depend on no missing discrete variable."""
        return self.row[self.n_grouped : self.n_grouped + self.n_single]

    @property
    def n_group_entries(self) -> int:
        """Entries of the groups to eliminate, which come first."""
        return sum(group.n_configs * group.n_tasks for group in self.groups)

    @property
    def n_kept_entries(self) -> int:
        """Entries of all tasks but the direct ones, whose densities are not kept."""
        return self.n_group_entries + self.n_single

    @property
    def n_entries(self) -> int:
        """Entries of all tasks."""
        return self.n_kept_entries + sum(group.n_configs * group.n_tasks for group in self.direct_groups)


def lay_out_rows(
    network: HybridNetwork,
    rows: HybridRows,
    *,
    prune_barren: bool = True,
    directly: bool = False,
    memory_budget: int = 2**32,
) -> Layout:
    """Divide rows into tasks, those that are alike side by side.

    Parameters
    ----------
    network : HybridNetwork
        The structure.
    rows : HybridRows
        The data.
    prune_barren : bool
        Whether barren variables drop out.
    directly : bool
        Whether rows that allow it are kept apart, to be summed up directly.
    memory_budget : int
        Bytes that the tasks' densities may take.

    Raises
    ------
    MemoryBudgetError
        Missing continuous variables join too many missing discrete ones.

    Notes
    -----
    Time: vectorised over patterns; loops are over variables and over sets of missing discrete variables.
    """
    patterns = find_patterns(network, rows, prune_barren=prune_barren)
    if directly and network.n_discrete:
        patterns = mark_direct(network, rows, patterns)
    parts = divide(network, patterns)
    n_rows_of = np.bincount(patterns.of_row, minlength=len(patterns.missing))
    by_pattern = np.argsort(patterns.of_row, kind="stable")
    n_tasks = n_rows_of[parts.pattern]
    task_first = np.append(0, np.cumsum(n_tasks))
    row_first = (np.cumsum(n_rows_of) - n_rows_of)[parts.pattern]
    groups, group_of_kind = _find_groups(network, parts, task_first)
    kept = tuple(group for group in groups if not group.is_direct)
    _check_budget(network, kept, memory_budget)
    # Where a group's entries begin, less its first task; those of tasks in no group stand behind the blocks to keep.
    behind = sum((group.n_configs - 1) * group.n_tasks for group in kept)
    base = np.array([*(group.entry_first - group.task_first for group in groups), behind])
    stride = np.array([*(group.n_tasks for group in groups), 0])
    n_configs = np.array([*(group.n_configs for group in groups), 1])[group_of_kind]
    sizes = n_configs * np.diff(parts.family_first)
    config_first = np.cumsum(sizes) - sizes
    kinds = Kinds(
        parts.node_first,
        parts.node,
        parts.family_first,
        parts.family,
        n_configs,
        config_first,
        _list_configs(network, patterns, parts, groups, group_of_kind, config_first),
        task_first,
        row_first,
        base[group_of_kind] + task_first[:-1],
        stride[group_of_kind],
    )
    row = by_pattern[ranges(row_first, n_tasks)]
    direct = tuple(group for group in groups if group.is_direct)
    return Layout(kinds, by_pattern, row, kept, direct, int(n_tasks[parts.lot == SINGLE].sum()))


def _find_groups(
    network: HybridNetwork, parts: PatternParts, task_first: IntArray
) -> tuple[tuple[Group, ...], IntArray]:
    """Find the distinct sets of missing discrete variables in each lot, and which of them each kind has, or -1."""
    n_kinds = len(parts.lot)
    keys = np.vstack([parts.lot, parts.words])
    starts = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0))[:n_kinds])
    group_of_kind = np.full(n_kinds, -1)
    groups: list[Group] = []
    entry = 0
    for low, high in pairwise([*starts.tolist(), n_kinds]):
        first, n_tasks = int(task_first[low]), int(task_first[high] - task_first[low])
        if parts.lot[low] == SINGLE:
            entry += n_tasks
            continue
        nodes = members(parts.words[:, low])
        n_configs = math.prod(network.discrete.cardinalities[node] for node in nodes)
        group_of_kind[low:high] = len(groups)
        groups.append(Group(nodes, n_configs, first, n_tasks, entry, bool(parts.lot[low] == DIRECT)))
        entry += n_configs * n_tasks
    return tuple(groups), group_of_kind


def _check_budget(network: HybridNetwork, groups: tuple[Group, ...], memory_budget: int) -> None:
    """Refuse what memory does not hold, before it is allocated."""
    needed = [group.n_configs * group.n_tasks * BYTES_PER_ENTRY for group in groups]
    if sum(needed) <= memory_budget:
        return
    worst = groups[int(np.argmax([float(number) for number in needed]))]
    names = [network.discrete.names[node] for node in worst.nodes]
    raise MemoryBudgetError(
        f"exact inference needs more than its memory budget of {memory_budget:,} bytes: {sum(needed):,} bytes, with "
        f"the {worst.n_configs:,} configurations of {names} for each of {worst.n_tasks:,} rows. Observe some of these "
        "variables, remove edges from them to continuous ones, or take fewer rows."
    )


def _list_configs(
    network: HybridNetwork,
    patterns: Patterns,
    parts: PatternParts,
    groups: tuple[Group, ...],
    group_of_kind: IntArray,
    config_first: IntArray,
) -> IntArray:
    """Give every family's configuration under each of the configurations of its kind."""
    family = parts.family
    n_families = np.diff(parts.family_first)
    kind_of = np.repeat(np.arange(len(n_families)), n_families)
    place = np.arange(len(family)) - parts.family_first[kind_of]
    base = _observed_configs(network, patterns)[parts.pattern[kind_of], family]
    n_configs = np.array([*(group.n_configs for group in groups), 1])[group_of_kind]
    config = np.zeros(int((n_configs * n_families).sum()), dtype=np.int64)
    single = group_of_kind[kind_of] == -1
    config[config_first[kind_of[single]] + place[single]] = base[single]
    for number, group in enumerate(groups):
        own = np.flatnonzero(group_of_kind[kind_of] == number)
        offsets = _missing_configs(network, group)[:, family[own]]
        first = config_first[kind_of[own]] + place[own]
        steps = np.arange(group.n_configs)[:, None] * n_families[kind_of[own]]
        config[first + steps] = base[own] + offsets
    return config


def _observed_configs(network: HybridNetwork, patterns: Patterns) -> IntArray:
    """Add up what the observed discrete parents say of each family's configuration."""
    base = np.zeros(patterns.missing.shape, dtype=np.int64)
    for node, parents in enumerate(network.discrete_parents):
        for parent, stride in zip(parents, contiguous_strides(network.cards(node)), strict=True):
            base[:, node] += np.maximum(patterns.codes[:, parent], 0) * stride
    return base


def _missing_configs(network: HybridNetwork, group: Group) -> IntArray:
    """Add up what each configuration of a group's variables says of each family's: shape (n_configs, n_families)."""
    cards = [network.discrete.cardinalities[node] for node in group.nodes]
    digits = dict(zip(group.nodes, np.indices(cards).reshape(len(cards), -1), strict=True))
    offsets = np.zeros((group.n_configs, network.net.n_nodes), dtype=np.int64)
    for node, parents in enumerate(network.discrete_parents):
        for parent, stride in zip(parents, contiguous_strides(network.cards(node)), strict=True):
            if parent in digits:
                offsets[:, node] += digits[parent] * stride
    return offsets


class DiscreteProblem(NamedTuple):
    """The discrete part of the rows, in which what continuous values say is evidence.

    Attributes
    ----------
    network : Network
        The discrete network, and for each group a further node: its parents are the group's variables, its states
        the group's tasks, and its table is their densities.
    evidence : Evidence
        The rows; each observes its own task in every group.
    """

    network: Network
    evidence: Evidence


def add_evidence_nodes(network: Network, rows: HybridRows, layout: Layout) -> DiscreteProblem:
    """Let continuous values speak as evidence nodes, which the discrete engine treats like any other."""
    n_nodes = network.n_nodes
    longest = max((group.n_tasks for group in layout.groups), default=1)
    dtype = np.promote_types(rows.codes.dtype, np.min_scalar_type(-longest))
    codes = np.full((len(rows.weight), n_nodes + len(layout.groups)), MISSING, dtype=dtype, order="F")
    codes[:, :n_nodes] = rows.codes
    for number, group in enumerate(layout.groups):
        own = layout.row[group.tasks]
        codes[own, n_nodes + number] = np.arange(group.n_tasks)
    augmented = Network(
        names=(*network.names, *(("densities", number) for number in range(len(layout.groups)))),
        state_names=(*network.state_names, *(range(group.n_tasks) for group in layout.groups)),  # type: ignore[arg-type]
        families=(
            *network.families,
            *(Family(n_nodes + number, group.nodes) for number, group in enumerate(layout.groups)),
        ),
        latents=network.latents,
    )
    return DiscreteProblem(augmented, Evidence(codes, rows.weight, rows.row))
