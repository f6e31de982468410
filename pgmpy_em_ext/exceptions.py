"""Errors that a caller may want to catch by kind."""

from collections.abc import Mapping
from typing import Any


class ImpossibleEvidenceError(ValueError):
    """A row has probability zero under the parameters in hand.

    Parameters
    ----------
    row : int
        Position of the first such row in the table, counting from 0.
    values : Mapping
        The observed states of the variables that take part.
    """

    def __init__(self, row: int, values: Mapping[Any, Any]) -> None:
        observed = self._keep(row, values)
        super().__init__(
            f"row {row} (counting from 0) is impossible: the CPDs give probability zero to {observed}. "
            "Correct the row, or use CPDs without zeros there: another start (init_cpds, fixed_cpds), or a prior."
        )

    def _keep(self, row: int, values: Mapping[Any, Any]) -> str:
        """Keep what the error is about; returns the values in words."""
        self.row = row
        self.values = dict(values)
        return ", ".join(f"{name}={state!r}" for name, state in self.values.items())

    def __reduce__(self) -> tuple:
        """Pickle by the two arguments, since the message is made from them."""
        return type(self), (self.row, self.values)


class OutOfRangeError(ImpossibleEvidenceError):
    """A row's density cannot be computed: it leaves the range of floating point, or variances are too far apart.

    Parameters
    ----------
    row, values
        As in `ImpossibleEvidenceError`, with the observed numbers.
    """

    def __init__(self, row: int, values: Mapping[Any, Any]) -> None:
        observed = self._keep(row, values)
        super(ImpossibleEvidenceError, self).__init__(
            f"the density of row {row} (counting from 0) leaves the range of floating point: {observed}. Either a "
            "value is too far from what the CPDs say, or they have coefficients or standard deviations of very "
            "different sizes. Correct the value, or give other CPDs (init_cpds, fixed_cpds) or a variance_prior."
        )


class MemoryBudgetError(ValueError):
    """Exact inference would need more memory than the engine's budget."""


class DegenerateWeightsError(ValueError):
    """The weights of a row's draws rest on so few of them that they estimate nothing."""


class NotReplicatedWarning(UserWarning):
    """Of several runs only one has found the best maximum, so that a higher one may have been missed."""
