"""Rows of discrete and continuous variables, as the kernel and the discrete engine work on them."""

import math
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.gaussian import GaussianArrays
from pgmpy_em_ext.hybrid import HybridNetwork, HybridRows
from pgmpy_em_ext.network import Family, Network, contiguous_strides
from pgmpy_em_ext.packing import ranges, sorted_rows
from pgmpy_em_ext.types import MISSING, BoolArray, Evidence, FloatArray, IntArray

BYTES_PER_ENTRY = 120
"""Memory of a row's density under one configuration: density, factor, its step in the graph, responsibility."""

_WORD = 63
"""Discrete variables in a set that is one signed number."""


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
    """

    nodes: tuple[int, ...]
    n_configs: int
    task_first: int
    n_tasks: int
    entry_first: int

    def block(self, entries: FloatArray) -> FloatArray:
        """View the group's entries as an array of shape (n_configs, n_tasks)."""
        size = self.n_configs * self.n_tasks
        return entries[self.entry_first : self.entry_first + size].reshape(self.n_configs, self.n_tasks)


class Layout(NamedTuple):
    """All tasks: first those of the groups, then those that depend on no missing discrete variable.

    Attributes
    ----------
    kinds : Kinds
        What they have in common.
    by_pattern : int64 ndarray of shape (n_rows,)
        The rows, those that are alike side by side.
    row : int64 ndarray of shape (n_tasks,)
        The row of each task.
    groups : tuple of Group
        Those with missing discrete variables.
    n_grouped : int
        Tasks in groups.
    n_entries : int
        Entries of all tasks: those of the groups, then one for each other task.
    """

    kinds: Kinds
    by_pattern: IntArray
    row: IntArray
    groups: tuple[Group, ...]
    n_grouped: int
    n_entries: int

    @property
    def n_group_entries(self) -> int:
        """Entries of the groups, which come first."""
        return self.n_entries - (len(self.row) - self.n_grouped)


class Patterns(NamedTuple):
    """Rows that agree on what is missing, and on the states of the continuous variables' discrete parents.

    Attributes
    ----------
    of_row : int ndarray of shape (n_rows,)
        Pattern of each row.
    missing, dead : bool ndarrays of shape (n_patterns, n_continuous)
        Missing continuous variables; those of them that are left out.
    codes : int ndarray of shape (n_patterns, n_discrete)
        Of the discrete parents; what others hold means nothing.
    """

    of_row: IntArray
    missing: BoolArray
    dead: BoolArray
    codes: IntArray


def barren(net: GaussianArrays, missing: BoolArray) -> BoolArray:
    """Mark each row's missing variables without an observed descendant, which integrate to one.

    Parameters
    ----------
    net : GaussianArrays
        Nodes in a topological order.
    missing : bool ndarray of shape (n_rows, n_nodes)
        Where a value is missing.
    """
    dead = missing.copy()
    for node in range(net.n_nodes - 1, -1, -1):
        for parent in net.parents(node):
            dead[:, parent] &= dead[:, node]
    return dead


def lay_out_rows(
    network: HybridNetwork, rows: HybridRows, *, prune_barren: bool = True, memory_budget: int = 2**32
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
    patterns = _find_patterns(network, rows, prune_barren=prune_barren)
    parts = _divide(network, patterns)
    n_rows_of = np.bincount(patterns.of_row, minlength=len(patterns.missing))
    by_pattern = np.argsort(patterns.of_row, kind="stable")
    n_tasks = n_rows_of[parts.pattern]
    task_first = np.append(0, np.cumsum(n_tasks))
    row_first = (np.cumsum(n_rows_of) - n_rows_of)[parts.pattern]
    groups, group_of_kind = _find_groups(network, parts.words, task_first)
    _check_budget(network, groups, memory_budget)
    n_grouped = sum(group.n_tasks for group in groups)
    n_group_entries = sum(group.n_configs * group.n_tasks for group in groups)
    # Entry of a kind's first task: in its group's block, or, of tasks that are in none, behind all blocks.
    base = np.array([*(group.entry_first - group.task_first for group in groups), n_group_entries - n_grouped])
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
    return Layout(kinds, by_pattern, row, groups, n_grouped, n_group_entries + int(task_first[-1]) - n_grouped)


class _PatternParts(NamedTuple):
    """Patterns divided by the missing discrete variables that their families speak of: the kinds of tasks.

    Attributes
    ----------
    pattern : int ndarray of shape (n_kinds,)
        The pattern of each.
    words : int ndarray of shape (n_words, n_kinds)
        The set of missing discrete variables, as bits. Kinds of equal sets stand together, those of none at the end.
    node_first, node, family_first, family
        As in `Kinds`.
    """

    pattern: IntArray
    words: IntArray
    node_first: IntArray
    node: IntArray
    family_first: IntArray
    family: IntArray


def _divide(network: HybridNetwork, patterns: Patterns) -> _PatternParts:
    above = _missing_above(network, patterns)
    pattern, family = np.nonzero(~patterns.dead)
    words = [above[pattern, family, word] for word in range(above.shape[2])]
    is_single = np.logical_and.reduce([word == 0 for word in words]).astype(np.int64)
    first, kind = sorted_rows([is_single, *words, pattern])
    by_kind = np.argsort(kind, kind="stable")
    kind, family = kind[by_kind], family[by_kind]
    edges = np.arange(len(first) + 1)
    is_missing = patterns.missing[pattern[first][kind], family]
    return _PatternParts(
        pattern[first],
        np.stack([word[first] for word in words]),
        np.searchsorted(kind[is_missing], edges),
        family[is_missing],
        np.searchsorted(kind, edges),
        family,
    )


def _find_patterns(network: HybridNetwork, rows: HybridRows, *, prune_barren: bool) -> Patterns:
    """Group rows whose continuous variables are alike but for their values."""
    missing = np.isnan(rows.values)
    relevant = sorted({parent for parents in network.discrete_parents for parent in parents})
    columns = [rows.codes[:, node].astype(np.int64) for node in relevant]
    columns += [*missing.astype(np.int64).T, np.zeros(len(missing), dtype=np.int64)]  # one column at least
    first, of_row = sorted_rows(columns)
    found = missing[first]
    dead = barren(network.net, found) if prune_barren else np.zeros_like(found)
    return Patterns(of_row, found, dead, rows.codes[first].astype(np.int64))


def _missing_above(network: HybridNetwork, patterns: Patterns) -> IntArray:
    """Find the missing discrete variables that each family speaks of, itself or joined by missing continuous ones.

    Returns
    -------
    int64 ndarray of shape (n_patterns, n_families, n_words)
        Sets of discrete variables, as bits.
    """
    n_patterns, n_families = patterns.missing.shape
    n_words = max(-(-network.n_discrete // _WORD), 1)
    above = np.zeros((n_patterns, n_families, n_words), dtype=np.int64)
    for family, parents in enumerate(network.discrete_parents):
        for parent in parents:
            bit = np.int64(1) << np.int64(parent % _WORD)
            above[patterns.codes[:, parent] == MISSING, family, parent // _WORD] |= bit
    if not above.any():
        return above
    joins = _joining_variables(network.net, patterns.missing)
    while True:
        before = above.copy()
        for node, families in (*joins, *reversed(joins)):
            concerned = patterns.missing[:, node, None] & ~patterns.dead[:, families]
            joined = np.bitwise_or.reduce(np.where(concerned[:, :, None], above[:, families], 0), axis=1)
            above[:, families] |= np.where(concerned[:, :, None], joined[:, None], 0)
        if (above == before).all():
            return above


def _joining_variables(net: GaussianArrays, missing: BoolArray) -> list[tuple[int, list[int]]]:
    """List the variables that are missing somewhere, with their own family and their children's."""
    families: list[list[int]] = [[node] for node in range(net.n_nodes)]
    for child in range(net.n_nodes):
        for parent in net.parents(child):
            families[parent].append(child)
    return [(node, families[node]) for node in np.flatnonzero(missing.any(axis=0)).tolist()]


def _find_groups(
    network: HybridNetwork, kind_words: IntArray, task_first: IntArray
) -> tuple[tuple[Group, ...], IntArray]:
    """Find the distinct sets of missing discrete variables; kinds of a set stand together, those of none at the end."""
    n_kinds = kind_words.shape[1]
    is_new = np.append(True, (kind_words[:, 1:] != kind_words[:, :-1]).any(axis=0))[:n_kinds]
    number = np.cumsum(is_new) - 1
    groups: list[Group] = []
    entry = 0
    for low in np.flatnonzero(is_new & kind_words.any(axis=0)).tolist():
        own = np.flatnonzero(number == number[low])
        bits = [(int(word) >> bit) & 1 for word in kind_words[:, low] for bit in range(_WORD)]
        nodes = tuple(node for node, is_member in enumerate(bits) if is_member)
        assert network.discrete is not None  # it has the variables
        n_configs = math.prod(network.discrete.cardinalities[node] for node in nodes)
        start, stop = int(task_first[own[0]]), int(task_first[own[-1] + 1])
        groups.append(Group(nodes, n_configs, start, stop - start, entry))
        entry += n_configs * (stop - start)
    return tuple(groups), np.where(kind_words.any(axis=0), number, -1)


def _check_budget(network: HybridNetwork, groups: tuple[Group, ...], memory_budget: int) -> None:
    """Refuse what memory does not hold, before it is allocated."""
    needed = [group.n_configs * group.n_tasks * BYTES_PER_ENTRY for group in groups]
    if sum(needed) <= memory_budget:
        return
    assert network.discrete is not None  # there are groups
    worst = groups[int(np.argmax([float(number) for number in needed]))]
    names = [network.discrete.names[node] for node in worst.nodes]
    raise MemoryBudgetError(
        f"exact inference needs more than its memory budget of {memory_budget:,} bytes: {sum(needed):,} bytes, with "
        f"the {worst.n_configs:,} configurations of {names} for each of {worst.n_tasks:,} rows. Observe some of these "
        "variables, or remove edges from them to continuous ones."
    )


def _list_configs(
    network: HybridNetwork,
    patterns: Patterns,
    parts: _PatternParts,
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
    assert network.discrete is not None  # it has the variables
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
        own = layout.row[group.task_first : group.task_first + group.n_tasks]
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
