"""Compile distinct evidence into one graph of elimination steps.

The rules, per row: a missing variable without observed descendants is barren and drops
out; an observed variable is an index; the others are axes, eliminated in one global
order. A step is known by the variable that it eliminates and by its inputs, each a slice
of a CPD or the message of an earlier step, so that equal steps of different rows are one
step, which carries the weight of all of them. Every loop below is over variables and
families, never over rows, steps or shapes of tables.

References
----------
Zhang & Poole (1996), JAIR 5 (variable elimination). Darwiche (2003), J. ACM 50(3).
Shachter (1986), Operations Research 34(6) (barren nodes).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from networkx.utils import UnionFind

from pgmpy_em_ext._tools.packing import distinct_rows, weighted_bincount
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step.exact.graph import EliminationGraph, Steps
from pgmpy_em_ext.e_step.exact.order import rank_orders
from pgmpy_em_ext.e_step.exact.shapes import Axes, ShapeTable
from pgmpy_em_ext.e_step.exact.terms import ScopeTable, TermTable
from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.types import MISSING, BoolArray, FloatArray, IntArray

MAX_INPUTS = 6
"""Factors multiplied in one step. More are first multiplied in blocks, which equal rows share and whose
products are scaled, so that hundreds of factors neither underflow nor cost more than their number."""

BYTES_PER_STEP = 120
"""Memory of what is kept of each step beside its table."""

BYTES_PER_TEMPLATE_CELL = 4
"""Memory of one 32-bit position in a template, which all steps of a shape share."""

MAX_VALUES = 2**31 - 1
"""Longest value vector that 32-bit positions reach."""

_DENSE = 1 << 16
"""Keys below this, or below four times the number of rows, are looked up in a table, not in a hash table."""


class CellCost(NamedTuple):
    """Bytes that a backend needs of each table cell, of each position that it reads, of each cell of a message."""

    cell: int
    position: int
    message: int


class Roles(NamedTuple):
    """What each row's variables are, stored column by column; those that are neither are observed.

    Attributes
    ----------
    alive : bool ndarray of shape (n_rows, n_nodes)
        Missing, to be eliminated.
    dead : bool ndarray of shape (n_rows, n_nodes)
        Missing and barren: left out.
    """

    alive: BoolArray
    dead: BoolArray


class Messages(NamedTuple):
    """Terms that some rows pass to one variable: ``terms[k]`` is row ``rows[k]``'s."""

    rows: IntArray
    terms: IntArray


class FamilyKinds(NamedTuple):
    """The distinct ways in which the rows meet one family.

    Attributes
    ----------
    kind_of_row : int ndarray of shape (n_rows,)
        Which way; ``n_kinds`` where the family has no part in the row.
    digits : int ndarray of shape (n_members, n_kinds)
        The members' states; the cardinality where a member is missing.
    """

    kind_of_row: IntArray
    digits: IntArray

    @property
    def n_kinds(self) -> int:
        """Number of kinds."""
        return self.digits.shape[1]


def barren(network: Network, missing: BoolArray) -> BoolArray:
    """Mark each row's missing variables that have no observed descendant.

    Parameters
    ----------
    network : Network
        The structure.
    missing : bool ndarray of shape (n_rows, n_nodes)
        Where a variable is not observed.

    Returns
    -------
    bool ndarray of shape (n_rows, n_nodes)
    """
    dead = missing.copy(order="K")
    for node in reversed(network.topological_order):
        for child in network.children[node]:
            dead[:, node] &= dead[:, child]
    return dead


def find_roles(network: Network, codes: IntArray, *, prune_barren: bool) -> Roles:
    """Tell which variables are to be eliminated in each row."""
    missing = np.asfortranarray(codes == MISSING)
    dead = barren(network, missing) if prune_barren else np.zeros_like(missing)
    return Roles(missing & ~dead, dead)


class Compiler:
    """One compilation: the state that passes from one variable's elimination to the next.

    Parameters
    ----------
    network : Network
        Structure and layout.
    evidence : Evidence
        Distinct rows.
    order : sequence of int
        The global elimination order.
    roles : Roles
        Which variables are eliminated.
    share : bool
        Whether equal steps of different rows are one step. Without sharing every
        step belongs to one row, so that its beliefs are that row's posterior.
    memory_budget : int
        Bytes that the graph and one sweep may take.
    cost : CellCost
        What the backend that will sweep over the graph needs.
    """

    def __init__(
        self,
        network: Network,
        evidence: Evidence,
        order: Sequence[int],
        roles: Roles,
        *,
        share: bool,
        memory_budget: int,
        cost: CellCost,
    ) -> None:
        self.network = network
        self.weight = evidence.weight
        self.order = order
        self.share = share
        self.memory_budget = memory_budget
        self.cost = cost
        self.rank = np.empty(network.n_nodes, dtype=np.int64)
        self.rank[list(order)] = np.arange(network.n_nodes)
        codes = np.asfortranarray(evidence.codes)  # whole columns are read
        self.alive, self.dead = roles
        cards = np.array(network.cardinalities, dtype=np.min_scalar_type(-max(network.cardinalities) - 1))
        self.digits = np.where(self.alive, cards, np.maximum(codes, 0).astype(cards.dtype))
        self.scopes = ScopeTable()
        self.terms = TermTable()
        self.shapes = ShapeTable(network, self.scopes)
        self.pending: list[list[Messages]] = [[] for _ in range(network.n_nodes)]
        self.parts: list[Steps] = []
        self.n_steps = 0
        self.n_inputs = 0
        self.n_values = network.n_cells
        self.bytes = cost.message * network.n_cells
        self.position = np.empty(len(evidence.weight), dtype=np.int64)

    def run(self) -> EliminationGraph:
        """Compile."""
        base_counts = np.zeros(self.network.n_cells)
        for node in range(self.network.n_nodes):
            self._slice_family(node, base_counts)
        for variable in self.order:
            self._eliminate(variable)
            self.pending[variable] = []
        return EliminationGraph(
            base_counts,
            self._join_parts(),
            self.shapes.freeze(),
            self.scopes.freeze(),
            self._find_blocks(),
            tuple(self.order),
        )

    def _find_blocks(self) -> Blocks:
        """Find independent blocks of families: a missing variable joins its family and its children's."""
        network = self.network
        joined = UnionFind()
        for node in np.flatnonzero(self.alive.any(axis=0)).tolist():
            joined.union(
                node,
                *(child for child in network.children[node] if (self.alive[:, node] & ~self.dead[:, child]).any()),
            )
        names = {node: joined[node] for node in range(network.n_nodes) if node in joined.parents}
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names.values()))}
        of_family = np.array([numbers[names[n]] if n in names else len(numbers) for n in range(network.n_nodes)])
        return Blocks(of_family, of_family[network.family_of_cell], len(numbers))

    def _join_parts(self) -> Steps:
        """Put the steps of all eliminations one after the other."""
        nothing = [np.zeros(0, dtype=np.float64 if name == "weight" else np.int64) for name in Steps._fields]
        return Steps(*(np.concatenate(columns) for columns in zip(nothing, *self.parts, strict=True)))

    def _slice_family(self, node: int, base_counts: FloatArray) -> None:
        """Count the family where it is observed; elsewhere hand its slices to their first variable."""
        network = self.network
        members = network.families[node].members
        kinds = self._family_kinds(node)
        if kinds.n_kinds == 0:
            return
        counts = weighted_bincount(kinds.kind_of_row, self.weight, kinds.n_kinds + 1)[:-1]
        cards = np.array(network.shapes[node])[:, None]
        free = kinds.digits == cards
        strides = np.array(network.strides[node])[:, None]
        offset = network.offsets[node] + (np.where(free, 0, kinds.digits) * strides).sum(axis=0)
        counted = ~free.any(axis=0)
        base_counts[offset[counted]] = counts[counted]
        sliced = np.flatnonzero(~counted)
        if len(sliced) == 0:
            return
        numbers = self.terms.append(
            self._slice_scopes(node, free[:, sliced]), offset[sliced], np.zeros(len(sliced), dtype=np.int64)
        )
        term = np.full(kinds.n_kinds + 1, -1, dtype=np.int32)
        term[sliced] = numbers
        ranks = self.rank[list(members)][:, None]
        destination = np.full(kinds.n_kinds + 1, network.n_nodes, dtype=np.int32)
        destination[:-1] = np.where(free, ranks, network.n_nodes).min(axis=0)
        self._send(None, term[kinds.kind_of_row], destination[kinds.kind_of_row], np.unique(destination[sliced]))

    def _family_kinds(self, node: int) -> FamilyKinds:
        """Find the distinct combinations of states and holes of one family's members."""
        members = self.network.families[node].members
        digits = [self.digits[:, member] for member in members]
        spans = [card + 1 for card in self.network.shapes[node]]
        n_keys = math.prod(spans)
        absent = self.dead[:, node]
        if n_keys > max(_DENSE, 4 * len(absent)):
            rows = np.flatnonzero(~absent)
            kind_of_row = np.empty(len(absent), dtype=np.int64)
            first, kind_of_row[rows] = distinct_rows([digit[rows] for digit in digits])
            kind_of_row[absent] = len(first)
            return FamilyKinds(kind_of_row, np.stack([digit[rows[first]] for digit in digits]))
        key = np.zeros(len(absent), dtype=np.int64)
        for digit, span in zip(digits, spans, strict=True):
            key *= span
            key += digit
        key[absent] = n_keys
        present = np.flatnonzero(np.bincount(key, minlength=n_keys)[:n_keys])
        kind_of_key = np.empty(n_keys + 1, dtype=np.int64)
        kind_of_key[present] = np.arange(len(present))
        kind_of_key[n_keys] = len(present)
        return FamilyKinds(kind_of_key[key], np.stack(np.unravel_index(present, spans)))

    def _slice_scopes(self, node: int, free: BoolArray) -> IntArray:
        """Scopes of a family's slices, given which of its members range freely."""
        members, strides = np.array(self.network.families[node].members), np.array(self.network.strides[node])
        by_number = np.argsort(members)
        first, inverse = distinct_rows(list(free))
        _, columns = np.nonzero(free[by_number][:, first].T)
        counts = free[:, first].sum(axis=0)
        return self.scopes.append(counts, members[by_number][columns], strides[by_number][columns])[inverse]

    def _send(self, rows: IntArray | None, terms: IntArray, rank: IntArray, ranks: IntArray) -> None:
        """Hand each row's term to the variable of that rank, as one source of input; all rows if None are given."""
        for destination in ranks.tolist():
            if destination == self.network.n_nodes:
                continue
            chosen = np.flatnonzero(rank == destination)
            self.pending[self.order[destination]].append(
                Messages(chosen if rows is None else rows[chosen], terms[chosen])
            )

    def _eliminate(self, variable: int) -> None:
        """Sum one variable out of the product of what was handed to it, in all rows at once."""
        rows = np.flatnonzero(self.alive[:, variable])
        if len(rows) == 0:
            return
        self.position[rows] = np.arange(len(rows))
        sources: IntArray = np.full((len(self.pending[variable]), len(rows)), -1, dtype=np.int32)
        for source, part in enumerate(self.pending[variable]):
            sources[source, self.position[part.rows]] = part.terms
        sources = self._narrow(rows, sources, variable)
        message, destination, ranks = self._make_steps(rows, sources, variable, summed=True)
        self._send(rows, message, destination, ranks)

    def _narrow(self, rows: IntArray, sources: IntArray, variable: int) -> IntArray:
        """Multiply blocks of sources until no row has more than `MAX_INPUTS` left.

        Blocks are fixed positions among the sources, so that rows which agree on a
        block share its product.
        """
        while len(sources) > MAX_INPUTS:
            wide = np.flatnonzero((sources >= 0).sum(axis=0) > MAX_INPUTS)
            if len(wide) == 0:
                break
            narrowed = []
            for start in range(0, len(sources), MAX_INPUTS):
                block = sources[start : start + MAX_INPUTS, wide]
                product = block.max(axis=0)
                many = np.flatnonzero((block >= 0).sum(axis=0) > 1)
                if len(many):
                    product[many], _, _ = self._make_steps(rows[wide[many]], block[:, many], variable, summed=False)
                narrowed.append(product)
            sources[: len(narrowed), wide] = narrowed
            sources[len(narrowed) :, wide] = -1
        return sources

    def _make_steps(
        self, rows: IntArray, sources: IntArray, variable: int, *, summed: bool
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Make the distinct steps of many rows.

        Parameters
        ----------
        rows : int ndarray of shape (n,)
            The rows.
        sources : int ndarray of shape (n_sources, n)
            Terms, -1 where absent; at most `MAX_INPUTS` in a row.
        variable : int
            The variable whose elimination this is.
        summed : bool
            Whether it is summed out, or its factors only multiplied.

        Returns
        -------
        message : int ndarray of shape (n,)
            The term that each row's step yields.
        destination : int ndarray of shape (n,)
            Rank of the first variable in its scope; ``n_nodes`` for a root.
        ranks : int ndarray
            The destinations that occur.
        """
        if self.share:
            first, inverse = distinct_rows(list(sources))
        else:
            first = inverse = np.arange(len(rows))
        inputs = -np.sort(-sources[:, first], axis=0)[:MAX_INPUTS]
        scopes = self.terms.scope_of(inputs)
        shape_first, shape_of = distinct_rows(list(scopes))
        by_shape = np.argsort(shape_of, kind="stable")  # a kernel runs faster over steps that are alike
        rank_of_step = np.empty_like(by_shape)
        rank_of_step[by_shape] = np.arange(len(by_shape))
        first, inputs, shape_of, inverse = (
            first[by_shape],
            inputs[:, by_shape],
            shape_of[by_shape],
            rank_of_step[inverse],
        )
        out = variable if summed else None
        axes = self.shapes.axes(scopes[:, shape_first], out)
        count = np.bincount(shape_of)
        self._check_budget(axes, out, count)
        shape, scope = self.shapes.append(axes, out)
        level = self.terms.level_of(inputs).max(axis=0) + 1
        present = (inputs >= 0).T
        n_inputs = present.sum(axis=1)
        part = Steps(
            shape=shape[shape_of],
            weight=weighted_bincount(inverse, self.weight[rows], len(first)),
            row=rows[first],
            level=level,
            target=np.full(len(first), variable),
            first_input=self.n_inputs + np.cumsum(n_inputs) - n_inputs,
            source=self.terms.source_of(inputs.T[present]),
        )
        self.parts.append(part)
        message = self.terms.append(scope[shape_of], -1 - np.arange(self.n_steps, self.n_steps + len(first)), level)
        self.n_steps += len(first)
        self.n_inputs += len(part.source)
        nowhere = self.network.n_nodes
        rank = np.where(axes.member, self.rank[axes.local], nowhere).min(axis=1, initial=nowhere)
        return message[inverse], rank[shape_of][inverse], np.unique(rank)

    def _check_budget(self, axes: Axes, variable: int | None, count: IntArray) -> None:
        """Refuse, before anything is allocated, what the memory budget cannot hold.

        Parameters
        ----------
        axes : Axes
            The shapes to come.
        variable : int or None
            The variable that they sum out.
        count : int ndarray of shape (n_shapes,)
            How many steps there are of each.
        """
        cells = axes.size * (1 if variable is None else self.network.cardinalities[variable])
        n_inputs = (axes.scopes >= 0).sum(axis=0)
        per_cell = self.cost.cell + self.cost.position * n_inputs
        needed = count * (cells * per_cell + axes.size * self.cost.message + BYTES_PER_STEP)
        needed += cells * n_inputs * BYTES_PER_TEMPLATE_CELL
        total = self.bytes + float(needed.sum())
        n_values = self.n_values + float((count * axes.size).sum())
        if total <= self.memory_budget and n_values <= MAX_VALUES and cells.max() <= MAX_VALUES:
            self.bytes, self.n_values = int(total), int(n_values)
            return
        worst = int(needed.argmax())
        names = [self.network.names[v] for v in axes.local[axes.member[worst]].tolist()]
        names += [] if variable is None else [self.network.names[variable]]
        raise MemoryBudgetError(
            f"exact inference needs more than its memory budget of {self.memory_budget:,} bytes: "
            f"{total:,.0f} bytes, with a table of {cells[worst]:,.0f} cells over {names} for each of "
            f"{count[worst]:,} local problems. Observe some of these variables, remove edges between them, "
            "or raise the budget with e_step=ExactEStep(memory_budget=...)."
        )


def compile_evidence(
    network: Network,
    evidence: Evidence,
    orders: Sequence[Sequence[int]] | None = None,
    *,
    prune_barren: bool = True,
    share: bool = True,
    memory_budget: int = 2**32,
    cost: CellCost,
    roles: Roles | None = None,
) -> EliminationGraph:
    """Compile distinct evidence into an elimination graph.

    Parameters
    ----------
    network, evidence, share, memory_budget, cost
        As `Compiler` has them.
    orders : sequence of elimination orders, optional
        Tried one after the other until one fits into the budget; by default those of
        `rank_orders`.
    prune_barren : bool, default True
        Whether barren variables drop out.
    roles : Roles, optional
        What each row's variables are, where a part of them is left to others; by default
        those of `find_roles`.

    Raises
    ------
    MemoryBudgetError
        The tables would not fit in any order; nothing of that size has been allocated by
        then. The message is about the first order.

    Notes
    -----
    Time: vectorised over rows; linear in rows times family members, plus the size
    of the distinct shapes' tables, which is exponential in the largest component of
    missing variables that some row has.
    """
    if roles is None:
        roles = find_roles(network, evidence.codes, prune_barren=prune_barren)
    refused: MemoryBudgetError | None = None
    for order in rank_orders(network, *roles) if orders is None else orders:
        compiler = Compiler(network, evidence, order, roles, share=share, memory_budget=memory_budget, cost=cost)
        try:
            return compiler.run()
        except MemoryBudgetError as error:
            refused = refused or error
    assert refused is not None  # there is at least one order
    raise refused
