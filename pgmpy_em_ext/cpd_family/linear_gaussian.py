"""Linear regressions with normal residuals, for each configuration of the discrete parents: M-step and prior."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgmpy_em_ext.arrays.gaussian import GaussianArrays
from pgmpy_em_ext.cpd_family._base import Chart
from pgmpy_em_ext.cpd_family.regression import (
    NormalEquations,
    RegressionInformation,
    RegressionMetric,
    normal_equations,
)
from pgmpy_em_ext.types import BoolArray, FloatArray

FACTOR = 100.0
"""By how much the variance after an accelerated step differs at most from that after an EM step: it may tend to zero,
where the likelihood has no bound but the floor's, and a step that is much too long overflows."""

LEAST_LEFT = 2.0**-40
"""What part of a residual sum of squares an M-step leaves at least: less is rounding of the difference."""

FEW = 4
"""Records for each coefficient, up to which a regression that meets them exactly is taken as collapsed."""

SHRINK = 0.05
"""What part of a variance's value after an EM step an extrapolated step leaves it at least."""


@dataclass(frozen=True)
class LinearGaussian:
    """All continuous families of a network, as EM sees them.

    The prior is conjugate: given the variance s, coefficients are normal with mean 0 and variance s / ridge, and s is
    inverse gamma. With zeros for all three it is flat, and the M-step maximum likelihood.

    Parameters
    ----------
    net : GaussianArrays
        The layout.
    floor : sequence of n_nodes float ndarrays of shape (n_configs,), or of floats
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
    floor: Sequence[FloatArray | float]
    shape: float
    scale: float
    ridge: float
    fixed: BoolArray

    def floors(self, node: int) -> FloatArray:
        """Give the floors of a family's variances: shape (n_configs,)."""
        return np.broadcast_to(self.floor[node], int(self.net.n_configs[node]))

    def maximize(self, moments: FloatArray, previous: FloatArray) -> FloatArray:
        """Regress each child on its parents by weighted least squares, from moments.

        What changes is regressed: the residuals under the parameters in hand. Of all changes that collinear parents
        allow the shortest is made, in units of their own size, so that they share what they explain. A configuration
        without any weight keeps its previous parameters, unless the prior tells.

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
            block, floor = self.net.block(parameters, node), self.floors(node)
            moves = self._moves(matrices, block, floor)
            block[moves] = self._regress(matrices[moves], block[moves, :-1], floor[moves])
            if self.scale > 0:
                self._follow_prior(block, matrices[:, 0, 0] <= 0, floor)
        return parameters

    @staticmethod
    def _moves(matrices: FloatArray, block: FloatArray, floor: FloatArray) -> BoolArray:
        """Mark the configurations that an M-step moves: those with records, but for the collapsed.

        Where few records are met to within the floor, the likelihood has no bound but the floor's, and goes on rising
        for thousands of steps, as coefficients adapt to what they say of missing values. There is nothing to be found.
        """
        weight, n_coefficients = matrices[:, 0, 0], block.shape[1] - 1
        collapsed = (block[:, -1] <= floor) & (matrices[:, -1, -1] <= floor * weight)
        return (weight > 0) & ~(collapsed & (weight <= FEW * n_coefficients))

    def _follow_prior(self, block: FloatArray, unknown: BoolArray, floor: FloatArray) -> None:
        """Put configurations without any record where the prior is highest, in place; flat directions stay."""
        n_slopes = block.shape[1] - 2 if self.ridge > 0 else 0
        block[unknown, -1] = np.maximum(2 * self.scale / (2 * self.shape + 2 + n_slopes), floor[unknown])
        if self.ridge > 0:
            block[unknown, 1:-1] = 0.0

    def regress(self, products: FloatArray, previous: FloatArray) -> FloatArray:
        """Make an M-step from sums of products of (1, parents, child), as a table yields them."""
        return self.maximize(self.net.about(products, previous), previous)

    def _regress(self, matrices: FloatArray, coefficients: FloatArray, floor: FloatArray) -> FloatArray:
        """Give intercepts, coefficients and variances, one row for each matrix of moments."""
        equations = normal_equations(matrices, coefficients, self.ridge)
        change = equations.solve(equations.slope)
        before = self._residual(equations)
        # What is less than rounding of the sum before is not known. A larger variance is on the safe side: it raises
        # the likelihood, and the next step's residuals tell.
        after = np.maximum(before - (change * equations.slope).sum(axis=1), LEAST_LEFT * before)
        variance = np.maximum(after / self._n_records(equations), floor)
        return np.column_stack([coefficients + change, variance])

    def _residual(self, equations: NormalEquations) -> FloatArray:
        """Residual sums of squares, with what the priors add to them."""
        return equations.residual + 2 * self.scale

    def _n_records(self, equations: NormalEquations) -> FloatArray:
        """Count the records over which these are divided, with what the priors add."""
        n_slopes = equations.design.shape[1] - 1
        n_records = equations.weight + (2 * self.shape + 2 if self.scale > 0 else 0.0)
        return n_records + (n_slopes if self.ridge > 0 else 0)

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
    def n_cells(self) -> int:
        """Length of the vector of parameters."""
        return int(self.net.offset[-1])

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

    def chart(self, parameters: FloatArray, moments: FloatArray, position: FloatArray | None = None) -> Chart:
        """Give coefficients as they are, and half the log of each variance.

        With M the moments of z = (1, parents), g those of z with the residual, R the residual sum of squares and n the
        records, priors included in all of them, the gradient is g / s for the coefficients and R / s - n for half the
        log of the variance s. The complete-data information is M / s and 2 n; it joins coefficients of one
        configuration only. A variance at its floor that would fall is held, and so are collinear directions, and
        configurations without weight.

        Parameters
        ----------
        parameters : float ndarray of shape (n_cells,)
            Coefficients and variances.
        moments : float ndarray of shape (n_statistics,)
            Expected moments under them.
        position : float ndarray, optional
            Not needed: every variance has one logarithm.
        """
        found, gradient = parameters.copy(), np.zeros_like(parameters)
        parts = []
        for node in range(self.net.n_nodes):
            block, floor = self.net.block(parameters, node), self.floors(node)
            self.net.block(found, node)[:, -1] = np.log(block[:, -1]) / 2
            if self.fixed[node]:
                continue
            matrices = self.net.moment_matrices(moments, node)
            configs = np.flatnonzero(self._moves(matrices, block, floor))
            equations = normal_equations(matrices[configs], block[configs, :-1], self.ridge)
            variance, n_records = block[configs, -1], self._n_records(equations)
            of_variance = self._residual(equations) / variance - n_records
            moves = (variance > floor[configs]) | (of_variance > 0)
            rows = [equations.slope / variance[:, None], np.where(moves, of_variance, 0.0)]
            self.net.block(gradient, node)[configs] = np.column_stack(rows)
            information = np.where(moves, 2 * n_records, 0.0)
            parts.append(RegressionInformation(node, configs, equations, variance, information))
        return Chart(found, gradient, RegressionMetric(self.net, parts))

    def tangent(self, position: FloatArray, vector: FloatArray) -> FloatArray:
        """Take out the families that are fixed; everything else moves freely."""
        return np.where(np.repeat(self.fixed, np.diff(self.net.offset)), 0.0, vector)

    def retract(self, position: FloatArray, target: FloatArray, current: FloatArray) -> FloatArray:
        """Take the exponentials of logarithms.

        No variance leaves the range from its target over `FACTOR` to `FACTOR` times it. A configuration with a number
        that is not finite becomes its target.
        """
        found = target.copy()
        for node in range(self.net.n_nodes):
            block, moved = self.net.block(found, node), self.net.block(position, node)
            if self.fixed[node]:
                block[:] = self.net.block(current, node)
                continue
            goal = np.log(block[:, -1]) / 2
            reach = np.log(FACTOR) / 2
            variance = np.exp(2 * np.clip(moved[:, -1], goal - reach, goal + reach))
            variance = self._keep_above_floor(variance, block[:, -1], node)
            usable = np.isfinite(moved).all(axis=1)
            block[usable] = np.column_stack([moved[:, :-1], variance])[usable]
        return found

    def signature(self, parameters: FloatArray) -> FloatArray:
        """Sort each coefficient and the variance over configurations, without signs; see `CPDFamily.signature`.

        The sign of a latent continuous variable makes no difference either.
        """
        found = np.abs(parameters)
        for node in range(self.net.n_nodes):
            self.net.block(found, node).sort(axis=0)
        return found

    def keep_inside(self, parameters: FloatArray, target: FloatArray) -> FloatArray:
        """Let no variance fall below a part of its target, `SHRINK`; what is not finite becomes the target."""
        found = target.copy()
        for node in np.flatnonzero(~self.fixed).tolist():
            block, moved = self.net.block(found, node), self.net.block(parameters, node)
            variance = np.maximum(moved[:, -1], SHRINK * block[:, -1])
            variance = self._keep_above_floor(variance, block[:, -1], node)
            usable = np.isfinite(moved).all(axis=1)
            block[usable] = np.column_stack([moved[:, :-1], variance])[usable]
        return found

    def _keep_above_floor(self, variance: FloatArray, target: FloatArray, node: int) -> FloatArray:
        """Raise variances to the floor; those that EM leads to the floor follow it."""
        floor = self.floors(node)
        return np.where(target <= floor, target, np.maximum(variance, floor))

    def collinear(self, moments: FloatArray) -> list[tuple[int, int]]:
        """List the nodes and configurations with more records than coefficients, which do not tell these apart."""
        found = []
        for node in np.flatnonzero(~self.fixed).tolist():
            matrices = self.net.moment_matrices(moments, node)
            equations = normal_equations(matrices, np.zeros_like(matrices[:, 0, :-1]), self.ridge)
            lost = (equations.values == 0).any(axis=1) & (equations.weight > equations.values.shape[1])
            found += [(node, config) for config in np.flatnonzero(lost).tolist()]
        return found

    def at_floor(self, parameters: FloatArray) -> list[tuple[int, int]]:
        """List the nodes and configurations whose variance is at its floor."""
        return [
            (node, config)
            for node in np.flatnonzero(~self.fixed).tolist()
            for config in np.flatnonzero(self.net.block(parameters, node)[:, -1] <= self.floors(node)).tolist()
        ]


def write_coefficients(block: FloatArray, center: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Turn standardised parameters into coefficients and standard deviations in the user's units.

    Parameters
    ----------
    block : float ndarray of shape (n_configs, 2 + n_parents)
        Intercept, coefficients and variance.
    center, scale : float ndarrays of shape (1 + n_parents,)
        Of the parents, and of the child at the end.

    Returns
    -------
    beta : float ndarray of shape (n_configs, 1 + n_parents)
        Intercept, then coefficients.
    std : float ndarray of shape (n_configs,)
        Standard deviations.
    """
    slopes = block[:, 1:-1] * scale[-1] / scale[:-1]
    intercept = center[-1] + scale[-1] * block[:, 0] - slopes @ center[:-1]
    return np.column_stack([intercept, slopes]), scale[-1] * np.sqrt(block[:, -1])


def read_coefficients(beta: FloatArray, std: FloatArray, center: FloatArray, scale: FloatArray) -> FloatArray:
    """Turn coefficients in the user's units into standardised parameters: the inverse of `write_coefficients`."""
    slopes = beta[:, 1:]
    with np.errstate(over="ignore", invalid="ignore"):  # the caller checks what must be finite
        intercept = (beta[:, 0] - center[-1] + slopes @ center[:-1]) / scale[-1]
        return np.column_stack([intercept, slopes * scale[:-1] / scale[-1], (std / scale[-1]) ** 2])
