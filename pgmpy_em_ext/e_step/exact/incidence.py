"""Which rows use which steps: what new weights for the same rows are added up by.

An ordinary fit does not need it, so that nothing is kept while compiling. It is found, when it is first asked for, by
compiling once more, in the same order of elimination, which makes the same steps with the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import weighted_bincount
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.reduction import observed_whole
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step.exact.compile import CellCost, Compiler, find_roles
from pgmpy_em_ext.types import FloatArray, IntArray

_NO_BUDGET = 2**62
"""The same graph has been compiled before, so that it fits."""


class Pairs(NamedTuple):
    """Row ``row[i]`` uses ``used[i]``: a step, or a parameter that it counts for; rows of one ascend."""

    row: IntArray
    used: IntArray

    def add_up(self, weight: FloatArray, n_used: int) -> FloatArray:
        """Sum the rows' weights over what they use, in the order in which compiling adds them."""
        return weighted_bincount(self.used, weight[self.row], n_used)


class _Tracer(Compiler):
    """Compiles, and notes the steps of every row."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pairs: list[Pairs] = []

    def _make_steps(
        self, rows: IntArray, sources: IntArray, variable: int, *, summed: bool
    ) -> tuple[IntArray, IntArray, IntArray]:
        made = super()._make_steps(rows, sources, variable, summed=summed)
        step = -1 - self.terms.source_of(made[0])
        self.pairs.append(Pairs(rows.astype(np.int32), step.astype(np.int32)))
        return made


@dataclass(frozen=True, eq=False)
class Incidence:
    """Which of the evidence's rows use which steps of a compiled graph, and count for which parameters.

    Parameters
    ----------
    network : Network
        Structure and layout.
    evidence : Evidence
        What was compiled; its weights do not matter.
    order : sequence of int
        The elimination order of the graph.
    prune_barren : bool
        As the graph was compiled with.
    """

    network: Network
    evidence: Evidence
    order: Sequence[int]
    prune_barren: bool

    @cached_property
    def steps(self) -> Pairs:
        """Rows and steps. Takes as long as compiling, once, and 8 bytes for each missing cell."""
        roles = find_roles(self.network, self.evidence.codes, prune_barren=self.prune_barren)
        tracer = _Tracer(
            self.network,
            self.evidence,
            self.order,
            roles,
            share=True,
            memory_budget=_NO_BUDGET,
            cost=CellCost(0, 0, 0),
        )
        tracer.run()
        return _join(tracer.pairs)

    @cached_property
    def counted(self) -> Pairs:
        """Rows and the parameters of families that they observe whole. Takes 8 bytes for each of these."""
        codes = self.evidence.codes
        pairs = []
        for node in range(self.network.n_nodes):
            rows = np.flatnonzero(observed_whole(self.network, node, codes))
            cells = self.network.cells(node, codes)[rows]
            pairs.append(Pairs(rows.astype(np.int32), cells.astype(np.int32)))
        return _join(pairs)


def _join(pairs: list[Pairs]) -> Pairs:
    """Put pairs one after the other."""
    nothing = Pairs(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32))
    return Pairs(*(np.concatenate(columns) for columns in zip(nothing, *pairs, strict=True)))
