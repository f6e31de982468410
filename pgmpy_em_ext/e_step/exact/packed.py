"""The sweeps by compiled loops, over sections of the graph, in threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import weighted_bincount
from pgmpy_em_ext.e_step.exact.compile import CellCost
from pgmpy_em_ext.e_step.exact.graph import EliminationGraph
from pgmpy_em_ext.e_step.exact.sections import PackedGraph, Section, pack_graph
from pgmpy_em_ext.e_step.exact.sweep import weigh
from pgmpy_em_ext.e_step.exact.zeros import leave_out_zeros
from pgmpy_em_ext.types import BoolArray, FloatArray

COST = CellCost(cell=16, position=0, message=16)
"""Bytes: the table, and what lists of the cells that are not zero may take; a value and an adjoint. Positions
are the templates', shared by all steps of a shape."""


def has_numba() -> bool:
    """Whether numba is installed; it is not imported."""
    return find_spec("numba") is not None


def load_kernel() -> ModuleType:
    """Import numba and the kernels, which takes half a second the first time."""
    from pgmpy_em_ext.e_step.exact import kernel

    return kernel


class _Arrays(NamedTuple):
    """What one sweep over one section writes to."""

    values: FloatArray
    adjoint: FloatArray
    table: FloatArray
    scale: FloatArray
    shift: FloatArray


class PackedSweeps:
    """The two sweeps by the compiled kernels.

    Parameters
    ----------
    packed : PackedGraph
        The sections.
    n_jobs : int
        Threads.
    """

    def __init__(self, packed: PackedGraph, n_jobs: int = 1) -> None:
        self.packed = packed
        self.n_jobs = n_jobs
        self._kernel = load_kernel()
        self._free: list[list[_Arrays]] = []  # arrays that no sweep is using; list operations are atomic
        n_threads = min(n_jobs, len(packed.sections) - 1)
        self._pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None

    @classmethod
    def of(cls, graph: EliminationGraph, n_jobs: int = 1) -> "PackedSweeps":
        """Make the sweeps over a compiled graph."""
        return cls(pack_graph(graph), n_jobs)

    def without(self, zero: BoolArray) -> "PackedSweeps":
        """Leave out what parameters that are zero, and stay so, make zero; see `Sweeps.without`."""
        pruned = leave_out_zeros(self.packed, zero)
        return self if pruned is self.packed else PackedSweeps(pruned, self.n_jobs)

    def reweighted(self, weight: FloatArray) -> "PackedSweeps":
        """Give the steps other weights; see `Sweeps.reweighted`. Threads and working arrays are shared."""
        other = copy(self)
        sections = tuple(section._replace(weight=weight[section.number]) for section in self.packed.sections)
        other.packed = self.packed._replace(sections=sections)
        return other

    def run(self, parameters: FloatArray, active: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Sweep forward and back over the active blocks; see `Sweeps.run`."""
        packed = self.packed
        arrays = self._take_arrays()
        first = arrays[0]
        first.values[: packed.n_cells] = parameters
        first.adjoint[:] = 0.0

        def forward_and_back(number: int) -> FloatArray:
            own = arrays[number]
            own.values[: packed.n_shared] = first.values[: packed.n_shared]
            own.adjoint[:] = 0.0
            found = self._forward(number, own, active)
            self._reverse(number, own, active)
            return found

        log_likelihood = self._forward(0, first, active)
        for number, found in enumerate(self._map(forward_and_back, range(1, len(arrays))), start=1):
            log_likelihood += found
            np.add(first.adjoint, arrays[number].adjoint[: packed.n_shared], out=first.adjoint)
        self._reverse(0, first, active)
        counts = first.adjoint[: packed.n_cells].copy()
        self._free.append(arrays)
        return counts, log_likelihood

    def _take_arrays(self) -> list[_Arrays]:
        """Take arrays that no other thread is using, or make new ones."""
        try:
            return self._free.pop()
        except IndexError:
            return [self._allocate(section) for section in self.packed.sections]

    def _map(self, work: Callable[[int], FloatArray], numbers: Iterable[int]) -> Iterable[FloatArray]:
        """Give the results in order; the work is done side by side where there are threads."""
        return map(work, numbers) if self._pool is None else self._pool.map(work, numbers)

    def _forward(self, number: int, own: _Arrays, active: BoolArray) -> FloatArray:
        """Sweep one section forward; returns what its steps add to the log-likelihood of each block."""
        section = self.packed.sections[number]
        runs = section.runs[active[:-1]]
        self._kernel.forward(own.values, own.table, own.scale, own.shift, runs, *section.layout)
        log_scale = np.log(np.where(own.scale > 0, own.scale, 1.0)) + own.shift
        found = weighted_bincount(section.block, weigh(section.weight, log_scale), len(active))
        return np.where(active, found, 0.0)  # what steps at rest hold is of other parameters

    def _reverse(self, number: int, own: _Arrays, active: BoolArray) -> None:
        """Sweep one section back."""
        section = self.packed.sections[number]
        own.adjoint[section.steps[section.roots, 2]] = section.weight[section.roots]
        runs = section.runs[active[:-1]]
        self._kernel.reverse(own.values, own.adjoint, own.table, own.scale, runs, *section.layout)

    def _allocate(self, section: Section) -> _Arrays:
        n_steps = len(section.steps)
        return _Arrays(
            np.zeros(section.n_values),
            np.empty(section.n_values),
            np.empty(section.n_table_cells),
            np.ones(n_steps),
            np.zeros(n_steps),
        )
