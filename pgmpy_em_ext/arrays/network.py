"""The network as arrays: families, cardinalities and the flat layout of the parameters."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import networkx as nx
import numpy as np

from pgmpy_em_ext.arrays.columns import ColumnGroup, ColumnList
from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.types import FloatArray, IntArray

MAX_CELLS = 2**24
"""Most entries of one CPD. A run keeps some twenty numbers for each, 160 bytes by measurement: 2.7 gigabytes."""

MAX_PARENTS = 62
"""Most parents of one node: numpy's arrays have at most 64 axes, and a set of family members is one 64-bit number."""


class Family(NamedTuple):
    """A node and its parents, as indices; the parents in the order of pgmpy's own estimators."""

    child: int
    parents: tuple[int, ...]

    @property
    def members(self) -> tuple[int, ...]:
        """The parents, then the child: the axes of the family's block, slowest first."""
        return self.parents + (self.child,)


@dataclass(frozen=True)
class Network:
    """A discrete Bayesian network's structure and state names, with the layout of its parameters.

    All parameters live in one flat vector. Family i takes the block
    ``offsets[i]:offsets[i + 1]``, with axes (parents in stored order, child), the
    child fastest, so that each column of a CPD is contiguous and the M-step is one
    segmented sum. Expected counts, pseudo counts and CPD entries share this layout.

    Parameters
    ----------
    names : tuple of hashables
        The variables, in the order of ``model.nodes()``.
    state_names : tuple of tuples
        The states of each variable.
    families : tuple of Family
        ``families[i].child == i``.
    latents : frozenset of int
        The variables that are never observed.
    """

    names: tuple[Hashable, ...]
    state_names: tuple[tuple[Hashable, ...], ...]
    families: tuple[Family, ...]
    latents: frozenset[int] = frozenset()

    @property
    def n_nodes(self) -> int:
        """Number of variables."""
        return len(self.names)

    @property
    def identity(self) -> str:
        """What tells this network from all others."""
        return repr((self.names, self.state_names, self.families))

    @cached_property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of states of each variable."""
        return tuple(len(states) for states in self.state_names)

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each family's block: the parents' cardinalities, then the child's."""
        return tuple(tuple(self.cardinalities[node] for node in family.members) for family in self.families)

    @cached_property
    def strides(self) -> tuple[tuple[int, ...], ...]:
        """Stride of each family member within its block, in cells."""
        return tuple(contiguous_strides(shape) for shape in self.shapes)

    @cached_property
    def offsets(self) -> IntArray:
        """Start of each family's block in the flat vector; the last entry is its length."""
        return np.cumsum([0, *(math.prod(shape) for shape in self.shapes)])

    @property
    def n_cells(self) -> int:
        """Length of the flat parameter vector."""
        return int(self.offsets[-1])

    @cached_property
    def column_starts(self) -> IntArray:
        """First cell of every CPD column (parent configuration), over all families."""
        lengths = [np.full(math.prod(shape[:-1]), shape[-1]) for shape in self.shapes]
        return np.cumsum(np.concatenate([[0], *lengths]))[:-1]

    @cached_property
    def column_sizes(self) -> IntArray:
        """Number of cells of every CPD column: the child's cardinality."""
        return np.diff(np.append(self.column_starts, self.n_cells))

    @cached_property
    def column_of_cell(self) -> IntArray:
        """Which CPD column every cell belongs to."""
        return np.repeat(np.arange(len(self.column_sizes)), self.column_sizes)

    @cached_property
    def family_of_column(self) -> IntArray:
        """Which family every CPD column belongs to."""
        return np.searchsorted(self.offsets, self.column_starts, side="right") - 1

    @cached_property
    def family_of_cell(self) -> IntArray:
        """Which family every cell belongs to."""
        return np.repeat(np.arange(self.n_nodes), np.diff(self.offsets))

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Children of each variable."""
        found: list[list[int]] = [[] for _ in self.names]
        for family in self.families:
            for parent in family.parents:
                found[parent].append(family.child)
        return tuple(tuple(nodes) for nodes in found)

    @cached_property
    def topological_order(self) -> tuple[int, ...]:
        """The variables, parents before children."""
        graph = nx.DiGraph()
        graph.add_nodes_from(range(self.n_nodes))
        graph.add_edges_from((parent, family.child) for family in self.families for parent in family.parents)
        return tuple(nx.lexicographical_topological_sort(graph))

    @cached_property
    def index(self) -> Mapping[Hashable, int]:
        """Position of each variable by name."""
        return {name: position for position, name in enumerate(self.names)}

    def block(self, vector: FloatArray, node: int) -> FloatArray:
        """View one family's block of a flat vector, with axes (parents, child)."""
        return vector[self.offsets[node] : self.offsets[node + 1]].reshape(self.shapes[node])

    def cpd_values(self, vector: FloatArray, node: int) -> FloatArray:
        """Give one family's entries in pgmpy's layout: a row for each state, a column for each configuration."""
        return self.block(vector, node).reshape(-1, self.cardinalities[node]).T

    @staticmethod
    def flatten(blocks: Iterable[FloatArray]) -> FloatArray:
        """Join the blocks of all families, in order, to one flat vector."""
        return np.concatenate([np.zeros(0), *(block.ravel() for block in blocks)])

    @cached_property
    def uniform(self) -> FloatArray:
        """The flat vector in which every CPD column is uniform."""
        return (1.0 / self.column_sizes)[self.column_of_cell]

    @cached_property
    def observable(self) -> tuple[int, ...]:
        """The variables that are not latent."""
        return tuple(node for node in range(self.n_nodes) if node not in self.latents)

    def normalize(self, vector: FloatArray) -> FloatArray:
        """Scale every CPD column of a flat vector to sum to one; each must hold something positive."""
        return vector / self.column_sums(vector)[self.column_of_cell]

    def column_sums(self, vector: FloatArray) -> FloatArray:
        """Sum a flat vector over the child's states: one number for each CPD column."""
        return np.add.reduceat(vector, self.column_starts)

    def cells(self, node: int, codes: IntArray) -> IntArray:
        """Index the flat cell of one family in each of many complete rows."""
        family = self.families[node]
        position = np.full(len(codes), self.offsets[node], dtype=np.int64)
        for member, stride in zip(family.members, self.strides[node], strict=True):
            position += codes[:, member].astype(np.int64) * stride
        return position

    def name_columns(self, columns: IntArray) -> ColumnList:
        """Name CPD columns, given by their numbers over all families, in rising order."""
        first = np.searchsorted(self.family_of_column, np.arange(self.n_nodes))
        bounds = np.searchsorted(columns, first).tolist()
        return ColumnList(
            self.column_group(self.names[node], self.families[node].parents, columns[low:high] - first[node])
            for node, (low, high) in enumerate(pairwise([*bounds, len(columns)]))
        )

    def column_group(self, variable: Hashable, parents: tuple[int, ...], positions: IntArray) -> ColumnGroup:
        """Name configurations of discrete parents of a variable, discrete or not, by their numbers."""
        names = tuple(self.names[parent] for parent in parents)
        return ColumnGroup(variable, names, tuple(self.state_names[parent] for parent in parents), positions)

    def observed_states(self, codes: IntArray, nodes: Iterable[int] | None = None) -> dict[Hashable, Hashable]:
        """Name the observed states of one row, of all variables or of some."""
        chosen = range(self.n_nodes) if nodes is None else nodes
        return {self.names[i]: self.state_names[i][int(codes[i])] for i in chosen if codes[i] >= 0}


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a C-ordered array of this shape, in entries."""
    strides = [1]
    for size in reversed(shape[1:]):
        strides.append(strides[-1] * size)
    return tuple(reversed(strides)) if shape else ()


def _check_size(
    name: Hashable, parents: Sequence[Hashable], state_names: Mapping[Hashable, Sequence[Hashable]]
) -> None:
    """Refuse a CPD that no memory or array holds, before anything of its size is made."""
    n_cells = math.prod(len(state_names[member]) for member in (name, *parents))
    if n_cells > MAX_CELLS:
        raise MemoryBudgetError(
            f"the CPD of {name!r} given {list(parents)} has {n_cells:,} entries, more than the {MAX_CELLS:,} that are "
            "supported. Remove parents, or merge states."
        )
    check_n_parents(name, parents)


def check_n_parents(name: Hashable, parents: Sequence[Hashable]) -> None:
    """Refuse more discrete parents than arrays have axes."""
    if len(parents) > MAX_PARENTS:
        raise MemoryBudgetError(
            f"{name!r} has {len(parents)} parents, more than the {MAX_PARENTS} that are supported. Remove parents."
        )


def sorted_parents(parents: Iterable[Hashable]) -> list[Hashable]:
    """Sort parents as pgmpy's estimators do; names of mixed types, which do not compare, by type and text."""
    nodes = list(parents)
    try:
        return sorted(nodes)  # type: ignore[type-var]
    except TypeError:
        return sorted(nodes, key=lambda node: (type(node).__name__, str(node)))


def build_network(
    names: Sequence[Hashable],
    parents: Mapping[Hashable, Iterable[Hashable]],
    state_names: Mapping[Hashable, Sequence[Hashable]],
    latents: Iterable[Hashable] = (),
) -> Network:
    """Build a `Network` from names.

    Parameters
    ----------
    names : sequence of hashables
        The variables, in the order that the result keeps.
    parents : mapping
        Parents of each variable; a variable that is absent has none.
    state_names : mapping
        States of each variable.
    latents : iterable of hashables
        The variables that are never observed.

    Raises
    ------
    MemoryBudgetError
        A node has more than `MAX_PARENTS` parents, or its CPD more than `MAX_CELLS` entries.

    Examples
    --------
    >>> network = build_network("AB", {"B": "A"}, {"A": ["no", "yes"], "B": [0, 1, 2]})
    >>> network.shapes, network.offsets
    (((2,), (2, 3)), array([0, 2, 8]))
    """
    for name in names:
        _check_size(name, sorted_parents(parents.get(name, ())), state_names)
    position = {name: i for i, name in enumerate(names)}
    families = tuple(
        Family(i, tuple(position[parent] for parent in sorted_parents(parents.get(name, ()))))
        for i, name in enumerate(names)
    )
    return Network(
        names=tuple(names),
        state_names=tuple(tuple(state_names[name]) for name in names),
        families=families,
        latents=frozenset(position[name] for name in latents),
    )
