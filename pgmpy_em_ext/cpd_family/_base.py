"""The protocol between the EM loop and a family of conditional distributions."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from pgmpy_em_ext.types import BoolArray, FloatArray


class Whitening(NamedTuple):
    """Coordinates in which a positive definite matrix L L' is the identity.

    Attributes
    ----------
    whiten : callable
        Multiplies by the inverse of L: for gradients.
    unwhiten : callable
        Multiplies by the inverse of L': from these coordinates to displacements.
    """

    whiten: Callable[[FloatArray], FloatArray]
    unwhiten: Callable[[FloatArray], FloatArray]


class Metric(ABC):
    """The complete-data information M at a point: symmetric, not negative, in records per squared coordinate.

    It joins no coordinates of different families. All vectors have shape (n_cells,).
    """

    @property
    @abstractmethod
    def informed(self) -> BoolArray:
        """Mark the coordinates of which anything is known: the others have a row of zeros."""

    @abstractmethod
    def times(self, vector: FloatArray) -> FloatArray:
        """Multiply by M."""

    @abstractmethod
    def solve(self, vector: FloatArray) -> FloatArray:
        """Multiply by the pseudo-inverse of M: 0 in directions without information."""

    @abstractmethod
    def damped(self, damping: float) -> Whitening:
        """Make M + ``damping`` times the identity the identity; ``damping`` > 0."""

    def squares(self, vector: FloatArray) -> FloatArray:
        """Give the terms, one for each coordinate, of the squared length v' M v."""
        return vector * self.times(vector)

    def inverse_squares(self, vector: FloatArray) -> FloatArray:
        """Give the terms, one for each coordinate, of a gradient's squared length: g' M^-1 g."""
        return vector * self.solve(vector)


class DiagonalMetric(Metric):
    """Information that joins no two coordinates.

    Parameters
    ----------
    diagonal : float ndarray of shape (n_cells,)
        The diagonal of M, >= 0.
    """

    def __init__(self, diagonal: FloatArray) -> None:
        self.diagonal = diagonal

    @property
    def informed(self) -> BoolArray:
        """Mark the coordinates of which anything is known; see `Metric.informed`."""
        return self.diagonal > 0

    def times(self, vector: FloatArray) -> FloatArray:
        """Multiply by M."""
        return self.diagonal * vector

    def solve(self, vector: FloatArray) -> FloatArray:
        """Divide by the diagonal; 0 where that is 0."""
        return np.divide(vector, self.diagonal, out=np.zeros_like(vector), where=self.informed)

    def damped(self, damping: float) -> Whitening:
        """Divide by roots; see `Metric.damped`."""
        root = np.sqrt(self.diagonal + damping)
        return Whitening(lambda vector: vector / root, lambda vector: vector / root)

    def squares(self, vector: FloatArray) -> FloatArray:
        """Give the terms of v' M v, squared first: none is negative, nor rounded otherwise than a weighted square."""
        return vector * vector * self.diagonal

    def inverse_squares(self, vector: FloatArray) -> FloatArray:
        """Give the terms of g' M^-1 g, squared first."""
        return self.solve(vector * vector)


class Chart(NamedTuple):
    """A point in coordinates in which the objective is smooth up to its boundary.

    Attributes
    ----------
    position : float ndarray of shape (n_cells,)
        The coordinates.
    gradient : float ndarray of shape (n_cells,)
        Of the objective; 0 where nothing moves.
    metric : Metric
        The complete-data information in these coordinates. A step of ``metric.solve(gradient)``
        is an EM step, to first order.
    """

    position: FloatArray
    gradient: FloatArray
    metric: Metric


class CPDFamily(Protocol):
    """What exact EM needs to know of the distributions: M-step, log prior, and coordinates to accelerate in.

    One object speaks for all nodes of its kind, so that an M-step is one vectorised
    operation.
    """

    @property
    def n_cells(self) -> int:
        """Length of the vector of parameters."""
        ...

    @property
    def n_statistics(self) -> int:
        """Length of the vector of expected statistics."""
        ...

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        ...

    def maximize(self, counts: FloatArray, previous: FloatArray) -> FloatArray:
        """Maximise the expected complete-data log-likelihood plus the log prior: the M-step."""
        ...

    def log_priors(self, parameters: FloatArray) -> FloatArray:
        """Log density of each node's prior, up to the constant that does not depend on the parameters."""
        ...

    def absorbing(self, parameters: FloatArray) -> BoolArray:
        """Mark the parameters that are zero and that no M-step makes positive."""
        ...

    def fixed_families(self) -> BoolArray:
        """Mark the nodes whose distributions the M-step leaves alone."""
        ...

    def chart(self, parameters: FloatArray, counts: FloatArray, position: FloatArray | None = None) -> Chart:
        """Give coordinates, gradient and metric; ``position`` says which coordinates, where several fit."""
        ...

    def tangent(self, position: FloatArray, vector: FloatArray) -> FloatArray:
        """Take out of a vector what no movement of the parameters can follow.

        A projection that leaves the information of what it keeps as it is: it may be made in whitened
        coordinates too.
        """
        ...

    def retract(self, position: FloatArray, target: FloatArray, current: FloatArray) -> FloatArray:
        """Turn coordinates that a step has led to into parameters; ``target`` is where EM goes from ``current``."""
        ...

    def signature(self, parameters: FloatArray) -> FloatArray:
        """Sort the parameters within each family, so that the numbering of hidden states makes no difference."""
        ...

    def keep_inside(self, parameters: FloatArray, target: FloatArray) -> FloatArray:
        """Pull extrapolated parameters towards ``target``, where EM would go, until they are distributions."""
        ...


@runtime_checkable
class SampledCPDFamily(CPDFamily, Protocol):
    """What EM needs to know besides, where statistics are sampled: columns of parameters, and what errors cost."""

    def spread(self, columns: BoolArray) -> BoolArray:
        """Give each parameter what is said of its column."""
        ...

    def information(self, counts: FloatArray, parameters: FloatArray) -> FloatArray:
        """Complete-data information of each parameter: half its sum with squared errors is what these cost, in nats."""
        ...

    def cost_of_errors(self, counts: FloatArray, parameters: FloatArray, errors: FloatArray) -> float:
        """Say what the parameters' standard errors cost with complete data, in nats."""
        ...

    def prior_gradient(self, parameters: FloatArray) -> FloatArray:
        """Differentiate the log prior by the parameters, as far as they can move."""
        ...

    def column_totals(self, counts: FloatArray) -> FloatArray:
        """Give each parameter how many records it rests on, pseudo counts included."""
        ...

    def linear_step(self, counts: FloatArray, parameters: FloatArray, smooth: FloatArray) -> FloatArray:
        """Make an EM step from noisy statistics that is linear in them; ``smooth`` are close to their mean."""
        ...

    def without_data(self, counts: FloatArray) -> BoolArray:
        """Mark the columns that neither the data nor the prior says anything about."""
        ...
