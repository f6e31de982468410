"""Families of several kinds in one network, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from pgmpy_em_ext.cpd_family._base import Chart, CPDFamily, Metric, Whitening
from pgmpy_em_ext.types import BoolArray, FloatArray

Operator = Callable[[FloatArray], FloatArray]


def join(families: Sequence[CPDFamily]) -> CPDFamily:
    """Put kinds of families side by side, but for those without any node; a single kind stays what it is."""
    kinds = [family for family in families if len(family.fixed_families())]
    return kinds[0] if len(kinds) == 1 else JointFamily(kinds)


@dataclass(frozen=True)
class JointFamily:
    """All families of a network, kind by kind: vectors of parameters, statistics and nodes are theirs, joined.

    Parameters
    ----------
    families : sequence of CPDFamily
        One for each kind, in the order of the vectors.
    """

    families: Sequence[CPDFamily]

    @property
    def n_cells(self) -> int:
        """Length of the vector of parameters."""
        return sum(family.n_cells for family in self.families)

    @property
    def n_statistics(self) -> int:
        """Length of the vector of expected statistics."""
        return sum(family.n_statistics for family in self.families)

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        return sum(family.n_free for family in self.families)

    @cached_property
    def _cells(self) -> list[slice]:
        return _slices([family.n_cells for family in self.families])

    @cached_property
    def _statistics(self) -> list[slice]:
        return _slices([family.n_statistics for family in self.families])

    def maximize(self, counts: FloatArray, previous: FloatArray) -> FloatArray:
        """Make each family's M-step; see `CPDFamily.maximize`."""
        parts = zip(self.families, self._statistics, self._cells, strict=True)
        return np.concatenate([family.maximize(counts[own], previous[cells]) for family, own, cells in parts])

    def log_priors(self, parameters: FloatArray) -> FloatArray:
        """Log density of each node's prior, up to a constant, in nats."""
        parts = zip(self.families, self._cells, strict=True)
        return np.concatenate([family.log_priors(parameters[cells]) for family, cells in parts])

    def absorbing(self, parameters: FloatArray) -> BoolArray:
        """Mark the parameters that are zero and that no M-step makes positive."""
        parts = zip(self.families, self._cells, strict=True)
        return np.concatenate([family.absorbing(parameters[cells]) for family, cells in parts])

    def fixed_families(self) -> BoolArray:
        """Mark the nodes whose distributions the M-step leaves alone."""
        return np.concatenate([family.fixed_families() for family in self.families])

    def chart(self, parameters: FloatArray, counts: FloatArray, position: FloatArray | None = None) -> Chart:
        """Join the families' coordinates; see `CPDFamily.chart`."""
        charts = [
            family.chart(parameters[cells], counts[own], None if position is None else position[cells])
            for family, own, cells in zip(self.families, self._statistics, self._cells, strict=True)
        ]
        metric = JointMetric([chart.metric for chart in charts], self._cells)
        positions, gradients = [chart.position for chart in charts], [chart.gradient for chart in charts]
        return Chart(np.concatenate(positions), np.concatenate(gradients), metric)

    def tangent(self, position: FloatArray, vector: FloatArray) -> FloatArray:
        """Take out of a vector what no movement of the parameters can follow."""
        parts = zip(self.families, self._cells, strict=True)
        return np.concatenate([family.tangent(position[cells], vector[cells]) for family, cells in parts])

    def retract(self, position: FloatArray, target: FloatArray, current: FloatArray) -> FloatArray:
        """Turn coordinates that a step has led to into parameters; see `CPDFamily.retract`."""
        parts = zip(self.families, self._cells, strict=True)
        return np.concatenate(
            [family.retract(position[cells], target[cells], current[cells]) for family, cells in parts]
        )

    def signature(self, parameters: FloatArray) -> FloatArray:
        """Sort the parameters within each family; see `CPDFamily.signature`."""
        parts = zip(self.families, self._cells, strict=True)
        return np.concatenate([family.signature(parameters[cells]) for family, cells in parts])

    def keep_inside(self, parameters: FloatArray, target: FloatArray) -> FloatArray:
        """Pull extrapolated parameters towards ``target``, until they are distributions."""
        parts = zip(self.families, self._cells, strict=True)
        return np.concatenate([family.keep_inside(parameters[cells], target[cells]) for family, cells in parts])


class JointMetric(Metric):
    """Information of several kinds of families, which is not joined between them.

    Parameters
    ----------
    metrics : sequence of Metric
        One for each kind.
    cells : sequence of slice
        Where the coordinates of each are.
    """

    def __init__(self, metrics: Sequence[Metric], cells: Sequence[slice]) -> None:
        self.metrics, self.cells = metrics, cells

    @property
    def informed(self) -> BoolArray:
        """Mark the coordinates of which anything is known; see `Metric.informed`."""
        return np.concatenate([metric.informed for metric in self.metrics])

    def times(self, vector: FloatArray) -> FloatArray:
        """Multiply by M."""
        return self._apply([metric.times for metric in self.metrics], vector)

    def solve(self, vector: FloatArray) -> FloatArray:
        """Multiply by the pseudo-inverse of M; see `Metric.solve`."""
        return self._apply([metric.solve for metric in self.metrics], vector)

    def squares(self, vector: FloatArray) -> FloatArray:
        """Give the terms of v' M v, as each kind computes them."""
        return self._apply([metric.squares for metric in self.metrics], vector)

    def inverse_squares(self, vector: FloatArray) -> FloatArray:
        """Give the terms of g' M^-1 g, as each kind computes them."""
        return self._apply([metric.inverse_squares for metric in self.metrics], vector)

    def damped(self, damping: float) -> Whitening:
        """Whiten each kind; see `Metric.damped`."""
        parts = [metric.damped(damping) for metric in self.metrics]
        return Whitening(
            lambda vector: self._apply([part.whiten for part in parts], vector),
            lambda vector: self._apply([part.unwhiten for part in parts], vector),
        )

    def _apply(self, operators: Sequence[Operator], vector: FloatArray) -> FloatArray:
        parts = zip(operators, self.cells, strict=True)
        return np.concatenate([operator(vector[cells]) for operator, cells in parts])


def _slices(lengths: Sequence[int]) -> list[slice]:
    """Cut a vector into parts of these lengths."""
    return [slice(low, high) for low, high in pairwise(accumulate(lengths, initial=0))]
