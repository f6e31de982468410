"""The protocol between the EM loop and a family of conditional distributions."""

from typing import NamedTuple, Protocol

from pgmpy_em_ext.types import BoolArray, FloatArray


class Chart(NamedTuple):
    """A point in coordinates in which the objective is smooth up to its boundary.

    Attributes
    ----------
    position : float ndarray of shape (n_cells,)
        The coordinates.
    gradient : float ndarray of shape (n_cells,)
        Of the objective; 0 where nothing moves.
    metric : float ndarray of shape (n_cells,)
        The complete-data information, which is diagonal in these coordinates, in records. A
        step of gradient / metric is an EM step, to first order.
    """

    position: FloatArray
    gradient: FloatArray
    metric: FloatArray


class CPDFamily(Protocol):
    """What EM needs to know of the distributions: M-step, log prior, and coordinates to accelerate in.

    One object speaks for all nodes of its kind, so that an M-step is one vectorised
    operation.
    """

    @property
    def n_statistics(self) -> int:
        """Length of the vector of expected statistics."""
        ...

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        ...

    def spread(self, columns: BoolArray) -> BoolArray:
        """Give each parameter what is said of its column."""
        ...

    def information(self, counts: FloatArray, parameters: FloatArray) -> FloatArray:
        """Complete-data information of each parameter: half its sum with squared errors is what these cost, in nats."""
        ...

    def cost_of_errors(self, counts: FloatArray, parameters: FloatArray, errors: FloatArray) -> float:
        """Say what the parameters' standard errors cost with complete data, in nats."""
        ...

    def column_totals(self, counts: FloatArray) -> FloatArray:
        """Give each parameter how many records it rests on, pseudo counts included."""
        ...

    def linear_step(self, counts: FloatArray, parameters: FloatArray, smooth: FloatArray) -> FloatArray:
        """Make an EM step from noisy statistics that is linear in them; ``smooth`` are close to their mean."""
        ...

    def maximize(self, counts: FloatArray, previous: FloatArray) -> FloatArray:
        """Maximise the expected complete-data log-likelihood plus the log prior: the M-step."""
        ...

    def without_data(self, counts: FloatArray) -> BoolArray:
        """Mark the columns that neither the data nor the prior says anything about."""
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
        """Take out of a vector what no movement of the parameters can follow."""
        ...

    def retract(self, position: FloatArray, target: FloatArray, current: FloatArray) -> FloatArray:
        """Turn coordinates that a step has led to into parameters; ``target`` is where EM goes from ``current``."""
        ...

    def keep_inside(self, parameters: FloatArray, target: FloatArray) -> FloatArray:
        """Pull extrapolated parameters towards ``target``, where EM would go, until they are distributions."""
        ...
