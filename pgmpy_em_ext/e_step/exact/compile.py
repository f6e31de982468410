"""Compile distinct evidence into one graph of elimination steps.

The rules, per row: a missing variable without observed descendants is barren and drops
out; an observed variable is an index; the others are axes, eliminated in one global
order. A step is known by the variable that it eliminates and by its inputs, each a slice
of a CPD or the message of an earlier step, so that equal steps of different rows are one
step, which carries the weight of all of them. Every loop below is over variables, families
or distinct shapes of tables, never over rows.

References
----------
Zhang & Poole (1996), JAIR 5 (variable elimination). Darwiche (2003), J. ACM 50(3).
Shachter (1986), Operations Research 34(6) (barren nodes).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.exact.assemble import StepBlock, assemble
from pgmpy_em_ext.e_step.exact.graph import EliminationGraph, Scope
from pgmpy_em_ext.e_step.exact.terms import TermTable
from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.network import Network, contiguous_strides
from pgmpy_em_ext.packing import distinct_rows, weighted_bincount
from pgmpy_em_ext.types import MISSING, BoolArray, Evidence, FloatArray, IntArray

MAX_INPUTS = 6
"""Factors multiplied in one step. More are first multiplied in blocks, which equal rows share and whose
products are scaled, so that hundreds of factors neither underflow nor cost more than their number."""

BYTES_PER_CELL = 24
"""Memory of one table cell beside its indices: the table, the belief, a temporary."""

BYTES_PER_INDEX = 8
"""Memory of one 32-bit position in the value vector, and of the copy that assembling the graph makes."""

BYTES_PER_STEP = 120
"""Memory of what is kept of each step beside its table."""

MAX_VALUES = 2**31 - 1
"""Longest value vector that 32-bit positions reach."""


class Messages(NamedTuple):
    """Terms that some rows pass to one variable: ``terms[k]`` is row ``rows[k]``'s."""

    rows: IntArray
    terms: IntArray


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
    dead = missing.copy()
    for node in reversed(network.topological_order):
        for child in network.children[node]:
            dead[:, node] &= dead[:, child]
    return dead


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
    prune_barren : bool
        Whether barren variables drop out.
    share : bool
        Whether equal steps of different rows are one step. Without sharing every
        step belongs to one row, so that its beliefs are that row's posterior.
    memory_budget : int
        Bytes that the graph and one sweep may take.
    """

    def __init__(
        self,
        network: Network,
        evidence: Evidence,
        order: Sequence[int],
        *,
        prune_barren: bool,
        share: bool,
        memory_budget: int,
    ) -> None:
        self.network = network
        self.evidence = evidence
        self.order = order
        self.share = share
        self.memory_budget = memory_budget
        self.rank = np.empty(network.n_nodes, dtype=np.int64)
        self.rank[list(order)] = np.arange(network.n_nodes)
        missing = evidence.codes == MISSING
        self.dead = barren(network, missing) if prune_barren else np.zeros_like(missing)
        self.alive = missing & ~self.dead
        self.terms = TermTable()
        self.templates: dict[tuple, IntArray] = {}
        self.pending: list[list[Messages]] = [[] for _ in range(network.n_nodes)]
        self.blocks: list[StepBlock] = []
        self.n_messages = 0
        self.bytes = 0
        self.position = np.empty(len(evidence.weight), dtype=np.int64)

    def run(self) -> EliminationGraph:
        """Compile."""
        base_counts = np.zeros(self.network.n_cells)
        for node in range(self.network.n_nodes):
            self._slice_family(node, base_counts)
        for variable in self.order:
            self._eliminate(variable)
            self.pending[variable] = []
        return assemble(self.network.n_cells, self.n_messages, base_counts, self.blocks, tuple(self.terms.layouts))

    def _slice_family(self, node: int, base_counts: FloatArray) -> None:
        """Count the family where it is observed; elsewhere hand its slices to their first variable."""
        network, codes = self.network, self.evidence.codes
        members = network.families[node].members
        start, stop = network.offsets[node : node + 2]
        offset = np.full(len(codes), start)
        mask = np.zeros(len(codes), dtype=np.int64)
        first = np.full(len(codes), network.n_nodes)
        for bit, (member, stride) in enumerate(zip(members, network.strides[node], strict=True)):
            alive = self.alive[:, member]
            offset += np.where(codes[:, member] > 0, codes[:, member].astype(np.int64), 0) * stride
            mask |= alive.astype(np.int64) << bit
            np.minimum(first, self.rank[member], out=first, where=alive)
        needed = ~self.dead[:, node]
        counted = needed & (mask == 0)
        base_counts[start:stop] = weighted_bincount(
            offset[counted] - start, self.evidence.weight[counted], stop - start
        )
        rows = np.flatnonzero(needed & (mask != 0))
        if len(rows) == 0:
            return
        kinds, inverse = distinct_rows([mask[rows], offset[rows]])
        numbers = self.terms.append(self._slice_layouts(node, mask[rows[kinds]]), offset[rows[kinds]], 0)[inverse]
        self._send(rows, numbers, first[rows])

    def _slice_layouts(self, node: int, masks: IntArray) -> IntArray:
        """Layouts of a family's slices, given which of its members range freely."""
        members, strides = self.network.families[node].members, self.network.strides[node]
        distinct, inverse = np.unique(masks, return_inverse=True)
        layouts = []
        for mask in distinct.tolist():
            free = sorted((m, s) for bit, (m, s) in enumerate(zip(members, strides, strict=True)) if mask >> bit & 1)
            layouts.append(self.terms.layout(Scope(tuple(m for m, _ in free), tuple(s for _, s in free))))
        return np.array(layouts)[inverse]

    def _send(self, rows: IntArray, terms: IntArray, rank: IntArray) -> None:
        """Hand each row's term to the variable of that rank, as one source of input."""
        for destination in np.unique(rank).tolist():
            chosen = rank == destination
            self.pending[self.order[destination]].append(Messages(rows[chosen], terms[chosen]))

    def _eliminate(self, variable: int) -> None:
        """Sum one variable out of the product of what was handed to it, in all rows at once."""
        rows = np.flatnonzero(self.alive[:, variable])
        if len(rows) == 0:
            return
        self.position[rows] = np.arange(len(rows))
        sources = np.full((len(self.pending[variable]), len(rows)), -1, dtype=np.int32)
        for source, part in enumerate(self.pending[variable]):
            sources[source, self.position[part.rows]] = part.terms
        inputs = self._narrow(rows, sources)
        message, destination = self._make_steps(rows, inputs, variable)
        passed = destination < self.network.n_nodes
        self._send(rows[passed], message[passed], destination[passed])

    def _narrow(self, rows: IntArray, sources: IntArray) -> IntArray:
        """Multiply blocks of sources until no row has more than `MAX_INPUTS` left.

        Blocks are fixed positions among the sources, so that rows which agree on a
        block share its product.
        """
        while True:
            present = (sources >= 0).sum(axis=0)
            wide = np.flatnonzero(present > MAX_INPUTS)
            if len(wide) == 0:
                packed = -np.sort(-sources, axis=0)[:MAX_INPUTS]
                return packed[: max(int(present.max()), 1)]
            narrowed = []
            for start in range(0, len(sources), MAX_INPUTS):
                block = -np.sort(-sources[start : start + MAX_INPUTS, wide], axis=0)
                product = block[0].copy()
                many = (block >= 0).sum(axis=0) > 1
                if many.any():
                    product[many], _ = self._make_steps(rows[wide[many]], block[:, many], None)
                narrowed.append(product)
            sources[: len(narrowed), wide] = narrowed
            sources[len(narrowed) :, wide] = -1

    def _make_steps(self, rows: IntArray, inputs: IntArray, variable: int | None) -> tuple[IntArray, IntArray]:
        """Make the distinct steps of many rows.

        Parameters
        ----------
        rows : int ndarray of shape (n,)
            The rows.
        inputs : int ndarray of shape (n_inputs, n)
            Terms, -1 where absent.
        variable : int or None
            The variable to sum out; None to multiply only.

        Returns
        -------
        message : int ndarray of shape (n,)
            The term that each row's step yields.
        destination : int ndarray of shape (n,)
            Rank of the first variable in its scope; ``n_nodes`` for a root.
        """
        if self.share:
            first, inverse = distinct_rows(list(inputs))
        else:
            first = inverse = np.arange(len(rows))
        steps = inputs[:, first]
        weight = weighted_bincount(inverse, self.evidence.weight[rows], len(first))
        level = self.terms.level_of(steps).max(axis=0) + 1
        layouts = self.terms.layout_of(steps)
        shape_first, shape_of = distinct_rows(list(layouts))
        by_shape = np.argsort(shape_of, kind="stable")
        bounds = np.searchsorted(shape_of[by_shape], np.arange(len(shape_first) + 1))
        message = np.empty(len(first), dtype=np.int64)
        destination = np.empty(len(first), dtype=np.int64)
        for shape, representative in enumerate(shape_first.tolist()):
            members = by_shape[bounds[shape] : bounds[shape + 1]]
            present = [layout for layout in layouts[:, representative].tolist() if layout >= 0]
            block = self._make_block(
                present, steps[: len(present), members], variable, weight[members], level[members], rows[first[members]]
            )
            message[members] = self.terms.append(block.scope, self.network.n_cells + block.slot, level[members])
            scope = self.terms.layouts[block.scope].variables
            destination[members] = min((self.rank[v] for v in scope), default=self.network.n_nodes)
        return message[inverse], destination[inverse]

    def _make_block(
        self,
        layouts: list[int],
        steps: IntArray,
        variable: int | None,
        weight: FloatArray,
        level: IntArray,
        row: IntArray,
    ) -> StepBlock:
        """Lay out the steps of one shape: which value every cell of every table reads."""
        cards = self.network.cardinalities
        axes = sorted({v for layout in layouts for v in self.terms.layouts[layout].variables} - {variable})
        shape = [cards[v] for v in axes] + ([cards[variable]] if variable is not None else [1])
        self._check_budget(axes, variable, math.prod(shape), steps.shape)
        size = math.prod(shape[:-1])
        template = self._template(layouts, axes, variable, shape)
        offsets = self.terms.offset_of(steps).astype(np.int32)
        positions = template[:, :, None, :] + offsets[:, None, :, None]
        slot = self.n_messages + size * np.arange(steps.shape[1])
        self.n_messages += size * steps.shape[1]
        block = StepBlock(
            inputs=positions.reshape(len(layouts), shape[-1], -1),
            size=size,
            level=level,
            weight=weight,
            row=row,
            variable=-1 if variable is None else variable,
            scope=self.terms.layout(Scope(tuple(axes), contiguous_strides(shape[:-1]))),
            slot=slot,
        )
        self.blocks.append(block)
        return block

    def _template(self, layouts: list[int], axes: list[int], variable: int | None, shape: list[int]) -> IntArray:
        """Relative position of every table cell in each input: (n_inputs, card, n_scope_configurations)."""
        key = (variable, *layouts)
        if key not in self.templates:
            digits = dict(zip(axes, np.indices(shape, dtype=np.int32, sparse=True), strict=False))
            if variable is not None:
                digits[variable] = np.arange(shape[-1], dtype=np.int32)
            template = np.zeros((len(layouts), *shape), dtype=np.int32)
            for relative, layout in zip(template, layouts, strict=True):
                for v, stride in zip(*self.terms.layouts[layout], strict=True):
                    relative += digits[v] * np.int32(stride)
            self.templates[key] = np.moveaxis(template.reshape(len(layouts), -1, shape[-1]), -1, 1).copy()
        return self.templates[key]

    def _check_budget(self, axes: list[int], variable: int | None, cells: int, n_steps: tuple[int, ...]) -> None:
        """Refuse, before anything is allocated, what the memory budget cannot hold."""
        n_inputs, count = n_steps
        self.bytes += count * (cells * (BYTES_PER_CELL + BYTES_PER_INDEX * n_inputs) + BYTES_PER_STEP)
        n_values = self.network.n_cells + self.n_messages + cells * count
        if self.bytes <= self.memory_budget and n_values <= MAX_VALUES:
            return
        names = [self.network.names[v] for v in axes + ([] if variable is None else [variable])]
        raise MemoryBudgetError(
            f"exact inference needs more than its memory budget of {self.memory_budget:,} bytes: "
            f"{self.bytes:,} bytes, with a table of {cells:,} cells over {names} for each of {count:,} local problems. "
            "Observe some of these variables, remove edges between them, "
            "or raise the budget with e_step=ExactEStep(memory_budget=...)."
        )


def compile_evidence(
    network: Network,
    evidence: Evidence,
    order: Sequence[int],
    *,
    prune_barren: bool = True,
    share: bool = True,
    memory_budget: int = 2**32,
) -> EliminationGraph:
    """Compile distinct evidence into an elimination graph; `Compiler` describes the parameters.

    Raises
    ------
    MemoryBudgetError
        The tables would not fit; nothing of that size has been allocated by then.

    Notes
    -----
    Time: vectorised over rows; linear in rows times family members, plus the size
    of the distinct tables, which is exponential in the largest component of missing
    variables that some row has.
    """
    compiler = Compiler(network, evidence, order, prune_barren=prune_barren, share=share, memory_budget=memory_budget)
    return compiler.run()
