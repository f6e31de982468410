"""Normal equations of weighted least squares, solved, and as the information of an accelerated EM step."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.arrays.gaussian import GaussianArrays
from pgmpy_em_ext.cpd_family._base import Metric, Whitening
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray

COLLINEAR = 1e-13
"""Eigenvalues of parents' moments, scaled to ones on the diagonal, below which a direction is not there: sums of
products are known to some 1e-15 of their size."""


class NormalEquations(NamedTuple):
    """Normal equations of n regressions with k coefficients each, intercepts first, about the coefficients in hand.

    They ask for changes of the coefficients, from what the residuals have in common with the parents. So a change is
    known to as many digits as it has, however small residuals are beside the child's own values.

    Attributes
    ----------
    design : float ndarray of shape (n, k, k)
        Weighted sums of products of (1, parents), with the ridge, in records.
    slope : float ndarray of shape (n, k)
        Half by how much the residual sums fall with each coefficient.
    residual : float ndarray of shape (n,)
        Residual sums of squares, with the ridge's part.
    size : float ndarray of shape (n, k)
        Roots of the design's diagonal, by which it is scaled before it is taken apart.
    vectors, values : float ndarrays of shapes (n, k, k) and (n, k)
        Eigenvectors and eigenvalues of the scaled design; 0 for directions that are not there.
    """

    design: FloatArray
    slope: FloatArray
    residual: FloatArray
    size: FloatArray
    vectors: FloatArray
    values: FloatArray

    @property
    def weight(self) -> FloatArray:
        """Records of each regression: shape (n,)."""
        return self.design[:, 0, 0]

    def times(self, vectors: FloatArray) -> FloatArray:
        """Multiply by the designs; ``vectors`` and the result are of shape (n, k)."""
        along = np.einsum("nij,ni->nj", self.vectors, vectors * self.size) * self.values
        return np.einsum("nij,nj->ni", self.vectors, along) * self.size

    def solve(self, vectors: FloatArray) -> FloatArray:
        """Solve with the designs: of all solutions the shortest, in units of the parents' own size."""
        is_there = self.values > 0
        inverse = np.where(is_there, 1.0 / np.where(is_there, self.values, 1.0), 0.0)
        along = np.einsum("nij,ni->nj", self.vectors, vectors / self.size) * inverse
        return np.einsum("nij,nj->ni", self.vectors, along) / self.size

    def project(self, vectors: FloatArray) -> FloatArray:
        """Take out of gradients the directions that are not there."""
        along = np.einsum("nij,ni->nj", self.vectors, vectors / self.size) * (self.values > 0)
        return np.einsum("nij,nj->ni", self.vectors, along) * self.size


def normal_equations(matrices: FloatArray, coefficients: FloatArray, ridge: float) -> NormalEquations:
    """Take regressions apart.

    Parameters
    ----------
    matrices : float ndarray of shape (n, 1 + k, 1 + k)
        Weighted sums of products of (1, parents, residual), in records; negative eigenvalues are rounding.
    coefficients : float ndarray of shape (n, k)
        Those of the residuals.
    ridge : float
        Added for each slope, in records.
    """
    design = matrices[:, :-1, :-1].copy()
    slopes = np.arange(1, design.shape[1])
    design[:, slopes, slopes] += ridge
    slope, residual = matrices[:, :-1, -1].copy(), matrices[:, -1, -1].copy()
    slope[:, 1:] -= ridge * coefficients[:, 1:]
    residual += ridge * (coefficients[:, 1:] ** 2).sum(axis=1)
    diagonal = np.diagonal(design, axis1=1, axis2=2)
    size = np.where(diagonal > 0, np.sqrt(np.maximum(diagonal, 0.0)), 1.0)
    values, vectors = np.linalg.eigh(design / size[:, :, None] / size[:, None, :])
    found = NormalEquations(design, slope, residual, size, vectors, np.where(values > COLLINEAR, values, 0.0))
    return found._replace(slope=found.project(slope))


class RegressionInformation(NamedTuple):
    """Complete-data information of one node: of its coefficients and half its log variances, which it does not join.

    Attributes
    ----------
    node : int
        The child.
    configs : int ndarray of shape (n,)
        Configurations of the discrete parents of which something is known.
    equations : NormalEquations
        Theirs.
    variance : float ndarray of shape (n,)
        The residual variances, over which the coefficients' information is divided.
    of_variance : float ndarray of shape (n,)
        The information of half the log variance: twice the records; 0 where the variance is held.
    """

    node: int
    configs: IntArray
    equations: NormalEquations
    variance: FloatArray
    of_variance: FloatArray

    def informed(self, rows: FloatArray) -> FloatArray:
        """Say 1 of what is known, else 0: of the shape of ``rows``, (n, k + 1)."""
        return np.column_stack([np.ones_like(rows[:, :-1]), self.of_variance > 0])

    def times(self, rows: FloatArray) -> FloatArray:
        """Multiply; ``rows`` are of shape (n, k + 1)."""
        coefficients = self.equations.times(rows[:, :-1]) / self.variance[:, None]
        return np.column_stack([coefficients, self.of_variance * rows[:, -1]])

    def solve(self, rows: FloatArray) -> FloatArray:
        """Multiply by the pseudo-inverse."""
        coefficients = self.equations.solve(rows[:, :-1]) * self.variance[:, None]
        moves = self.of_variance > 0
        half = np.divide(rows[:, -1], self.of_variance, out=np.zeros(len(rows)), where=moves)
        return np.column_stack([coefficients, half])

    def damped(self, damping: float) -> Whitening:
        """Take the damped information apart, which no rounding makes singular; see `Metric.damped`."""
        size, vectors, values = self.equations.size, self.equations.vectors, self.equations.values
        scaled = vectors * size[:, :, None]
        matrices = np.einsum("nij,nj,nkj->nik", scaled, values / self.variance[:, None], scaled)
        values, vectors = np.linalg.eigh(matrices)
        roots = np.sqrt(np.maximum(values, 0.0) + damping)
        root = np.sqrt(self.of_variance + damping)

        def whiten(rows: FloatArray) -> FloatArray:
            coefficients = np.einsum("nij,ni->nj", vectors, rows[:, :-1]) / roots
            return np.column_stack([coefficients, rows[:, -1] / root])

        def unwhiten(rows: FloatArray) -> FloatArray:
            coefficients = np.einsum("nij,nj->ni", vectors, rows[:, :-1] / roots)
            return np.column_stack([coefficients, rows[:, -1] / root])

        return Whitening(whiten, unwhiten)


Operator = Callable[[FloatArray], FloatArray]


class RegressionMetric(Metric):
    """The information of all nodes; nothing is known of what no part speaks of.

    Parameters
    ----------
    net : GaussianArrays
        The layout.
    parts : sequence of RegressionInformation
        Of the nodes that move.
    """

    def __init__(self, net: GaussianArrays, parts: Sequence[RegressionInformation]) -> None:
        self.net, self.parts = net, parts

    @property
    def informed(self) -> BoolArray:
        """Mark the coordinates of which anything is known; see `Metric.informed`."""
        nothing = np.zeros(int(self.net.offset[-1]))
        return self._apply([part.informed for part in self.parts], nothing, nothing) > 0

    def times(self, vector: FloatArray) -> FloatArray:
        """Multiply by M."""
        return self._apply([part.times for part in self.parts], vector, np.zeros_like(vector))

    def solve(self, vector: FloatArray) -> FloatArray:
        """Multiply by the pseudo-inverse of M; see `Metric.solve`."""
        return self._apply([part.solve for part in self.parts], vector, np.zeros_like(vector))

    def damped(self, damping: float) -> Whitening:
        """Take each regression's information apart; see `Metric.damped`."""
        parts = [part.damped(damping) for part in self.parts]
        root = np.sqrt(damping)
        return Whitening(
            lambda vector: self._apply([part.whiten for part in parts], vector, vector / root),
            lambda vector: self._apply([part.unwhiten for part in parts], vector, vector / root),
        )

    def _apply(self, operators: Sequence[Operator], vector: FloatArray, elsewhere: FloatArray) -> FloatArray:
        """Let each part's operator work on its rows of a vector; take the rest from another one."""
        found = elsewhere.copy()
        for part, operator in zip(self.parts, operators, strict=True):
            rows = self.net.block(vector, part.node)[part.configs]
            self.net.block(found, part.node)[part.configs] = operator(rows)
        return found
