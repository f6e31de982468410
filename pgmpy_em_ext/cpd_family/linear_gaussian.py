"""Linear regressions with normal residuals, for each configuration of the discrete parents: M-step and prior."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pgmpy.factors.continuous import LinearGaussianCPD

from pgmpy_em_ext.gaussian import GaussianArrays
from pgmpy_em_ext.types import BoolArray, FloatArray

COLLINEAR = 1e-10
"""Eigenvalues of parents' moments, scaled to ones on the diagonal, below which a direction is not there."""


@dataclass(frozen=True)
class LinearGaussian:
    """All continuous families of a network, as EM sees them.

    The prior is conjugate: given the variance s, coefficients are normal with mean 0 and variance s / ridge, and s is
    inverse gamma. With zeros for all three it is flat, and the M-step maximum likelihood.

    Parameters
    ----------
    net : GaussianArrays
        The layout.
    floor : float ndarray of shape (n_nodes,)
        Variances are not smaller than these. The maximum under that constraint is the M-step, so that the
        objective does not fall.
    shape, scale : float
        Of the inverse gamma prior.
    ridge : float
        In records.
    fixed : bool ndarray of shape (n_nodes,)
        Families that the M-step leaves alone.

    References
    ----------
    Lauritzen (1996), Graphical Models, section 6.1. Gelman et al. (2013), Bayesian Data Analysis, section 14.8 (the
    prior).
    """

    net: GaussianArrays
    floor: FloatArray
    shape: float
    scale: float
    ridge: float
    fixed: BoolArray

    def maximize(self, moments: FloatArray, previous: FloatArray) -> FloatArray:
        """Regress each child on its parents by weighted least squares, from moments.

        Collinear parents share what they explain: of all least squares solutions the shortest is taken, in units of
        the parents' own size. A configuration without any weight keeps its previous parameters.

        Parameters
        ----------
        moments : float ndarray
            Expected moments, in the layout of `GaussianArrays`.
        previous : float ndarray
            The parameters that they were computed with.
        """
        parameters = previous.copy()
        for node in np.flatnonzero(~self.fixed).tolist():
            matrices = self.net.moment_matrices(moments, node)
            found = matrices[:, 0, 0] > 0
            self.net.block(parameters, node)[found] = self._regress(matrices[found], float(self.floor[node]))
        return parameters

    def _regress(self, matrices: FloatArray, floor: float) -> FloatArray:
        """Give intercepts, coefficients and variances, one row for each matrix of moments."""
        n_coefficients = matrices.shape[1] - 2
        design, with_child = matrices[:, :-1, :-1].copy(), matrices[:, :-1, -1]
        slopes = np.arange(1, n_coefficients + 1)
        design[:, slopes, slopes] += self.ridge
        size = np.sqrt(np.diagonal(design, axis1=1, axis2=2))
        size = np.where(size > 0, size, 1.0)
        values, vectors = np.linalg.eigh(design / size[:, :, None] / size[:, None, :])
        kept = values > COLLINEAR
        inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
        projected = np.einsum("nij,ni->nj", vectors, with_child / size) * inverse
        solution = np.einsum("nij,nj->ni", vectors, projected) / size
        explained = np.einsum("ni,nij,nj->n", solution, design, solution)
        residual = matrices[:, -1, -1] - 2 * np.einsum("ni,ni->n", solution, with_child) + explained
        residual = np.maximum(residual, 0.0) + 2 * self.scale
        n_records = matrices[:, 0, 0] + (2 * self.shape + 2 if self.scale > 0 else 0.0)
        n_records = n_records + (n_coefficients if self.ridge > 0 else 0)
        variance = np.maximum(residual / n_records, floor)
        return np.column_stack([solution, variance])

    def log_priors(self, parameters: FloatArray) -> FloatArray:
        """Log density of each node's prior, up to a constant, in nats."""
        found = np.zeros(self.net.n_nodes)
        for node in np.flatnonzero(~self.fixed).tolist():
            block = self.net.block(parameters, node)
            variance, slopes = block[:, -1], block[:, 1:-1]
            if self.scale > 0:
                found[node] -= ((self.shape + 1) * np.log(variance) + self.scale / variance).sum()
            if self.ridge > 0:
                spread = (slopes**2).sum(axis=1) * self.ridge / variance
                found[node] -= (slopes.shape[1] * np.log(variance) + spread).sum() / 2
        return found

    @property
    def n_statistics(self) -> int:
        """Length of the vector of moments."""
        return int(self.net.moment_offset[-1])

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        return int(np.diff(self.net.offset)[~self.fixed].sum())

    def fixed_families(self) -> BoolArray:
        """Mark the nodes whose distributions the M-step leaves alone."""
        return self.fixed

    def absorbing(self, parameters: FloatArray) -> BoolArray:
        """Mark the parameters that are zero and that no M-step makes positive: none."""
        return np.zeros(len(parameters), dtype=bool)

    def at_floor(self, parameters: FloatArray) -> list[tuple[int, int]]:
        """List the nodes and configurations whose variance is at its floor."""
        return [
            (node, config)
            for node in np.flatnonzero(~self.fixed).tolist()
            for config in np.flatnonzero(self.net.block(parameters, node)[:, -1] <= self.floor[node]).tolist()
        ]


def write_cpd(
    name: Hashable, evidence: list[Hashable], row: FloatArray, center: FloatArray, scale: FloatArray
) -> LinearGaussianCPD:
    """Turn standardised parameters into a pgmpy CPD in the user's units.

    Parameters
    ----------
    name : hashable
        The child.
    evidence : list
        Its parents.
    row : float ndarray of shape (2 + n_parents,)
        Intercept, coefficients and variance.
    center, scale : float ndarrays of shape (1 + n_parents,)
        Of the parents, and of the child at the end.
    """
    slopes = row[1:-1] * scale[-1] / scale[:-1]
    intercept = center[-1] + scale[-1] * row[0] - slopes @ center[:-1]
    beta = [float(number) for number in (intercept, *slopes)]
    return LinearGaussianCPD(name, beta, float(scale[-1] * np.sqrt(row[-1])), evidence)


def read_cpd(cpd: Any, evidence: list[Hashable], center: FloatArray, scale: FloatArray, source: str) -> FloatArray:
    """Turn a pgmpy CPD into standardised parameters: the inverse of `write_cpd`.

    Raises
    ------
    TypeError
        Not a `LinearGaussianCPD`.
    ValueError
        Other parents than the network's; a number that is not finite, or a standard deviation that is not positive.
    """
    if not isinstance(cpd, LinearGaussianCPD):
        raise TypeError(f"{source} must hold LinearGaussianCPDs. Got: {type(cpd).__name__}.")
    if set(cpd.evidence) != set(evidence) or len(cpd.beta) != len(evidence) + 1:
        raise ValueError(
            f"{source}: the CPD of {cpd.variable!r} has the parents {list(cpd.evidence)} and {len(cpd.beta)} "
            f"coefficients, but the model gives it the parents {evidence}, and an intercept."
        )
    beta = np.asarray(cpd.beta, dtype=float)
    if not (np.isfinite(beta).all() and np.isfinite(cpd.std) and cpd.std > 0):
        raise ValueError(
            f"{source}: the CPD of {cpd.variable!r} must have finite coefficients and a standard deviation > 0. "
            f"Got: {beta.tolist()} and {cpd.std}."
        )
    slopes = beta[1:][[list(cpd.evidence).index(parent) for parent in evidence]]
    intercept = (beta[0] - center[-1] + slopes @ center[:-1]) / scale[-1]
    return np.concatenate([[intercept], slopes * scale[:-1] / scale[-1], [(cpd.std / scale[-1]) ** 2]])
