"""The protocol between the EM loop and a family of conditional distributions."""

from typing import Protocol

from pgmpy_em_ext.types import BoolArray, FloatArray


class CPDFamily(Protocol):
    """What EM needs to know of the distributions: their M-step and their log prior.

    One object speaks for all nodes of its kind, so that an M-step is one vectorised
    operation.
    """

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
