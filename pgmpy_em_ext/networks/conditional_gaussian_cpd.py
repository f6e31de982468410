"""A normal distribution that is linear in its continuous parents, one for each configuration of the discrete ones."""

import itertools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pgmpy.factors.base import BaseFactor
from pgmpy.factors.continuous import LinearGaussianCPD
from pgmpy.factors.hybrid import FunctionalCPD

from pgmpy_em_ext._tools.labels import is_hashable, match_states
from pgmpy_em_ext.networks.functional import gaussian_cpd
from pgmpy_em_ext.types import FloatArray

SHOWN = 20
"""How many configurations a CPD shows when it is printed."""


class ConditionalGaussianCPD(BaseFactor):
    r"""A conditional Gaussian CPD: a `LinearGaussianCPD` for each configuration of discrete parents.

    With discrete parents in configuration k and continuous parents x,

    .. math:: Y \mid k, x \sim N(\beta_{k0} + \beta_{k1} x_1 + \dots + \beta_{kp} x_p;\ \sigma_k^2).

    Parameters
    ----------
    variable : hashable
        The child.
    beta : array-like of shape (n_configurations, 1 + n continuous parents)
        For each configuration the intercept, in the unit of `variable`, then the coefficients in the order of
        `evidence`. Without discrete parents there is one configuration. Configurations stand in the order of the
        columns of a `TabularCPD`: the last discrete parent changes fastest.
    std : array-like of shape (n_configurations,)
        Standard deviations, in the unit of `variable`, > 0.
    evidence : list of hashables, optional
        The continuous parents.
    discrete_evidence : list of hashables, optional
        The discrete parents.
    state_names : dict, optional
        The states of each discrete parent, in order; needed where there is one. Those of other variables are left
        out.

    Attributes
    ----------
    variables : list
        The child, the continuous parents, the discrete parents.
    variable, beta, std, evidence, discrete_evidence, state_names
        As given; float ndarrays, lists and a dict of lists, all of them copies.

    Raises
    ------
    TypeError
        An argument is of the wrong kind.
    ValueError
        Names that repeat, a discrete parent without states or with wrong ones, arrays of another shape, numbers that
        are not finite, or a standard deviation that is not positive.

    References
    ----------
    .. [1] S. L. Lauritzen and N. Wermuth, Graphical models for associations between variables, some of which are
       qualitative and some quantitative, Annals of Statistics 17 (1989).

    Examples
    --------
    >>> cpd = ConditionalGaussianCPD(
    ...     "weight",
    ...     beta=[[-85, 0.9], [-90, 1.0]],
    ...     std=[6, 7.5],
    ...     evidence=["height"],
    ...     discrete_evidence=["sex"],
    ...     state_names={"sex": ["f", "m"]},
    ... )
    >>> print(cpd)
    P(weight | height, sex)
    sex             mean  std
      f -85 + 0.9*height    6
      m   -90 + 1*height  7.5
    >>> print(cpd.to_linear_gaussian({"sex": "m"}))
    P(weight | height) = N(1.0*height + -90.0; 7.5)
    """

    def __init__(
        self,
        variable: Hashable,
        beta: ArrayLike,
        std: ArrayLike,
        evidence: Sequence[Hashable] | None = None,
        discrete_evidence: Sequence[Hashable] | None = None,
        state_names: Mapping[Hashable, Sequence[Hashable]] | None = None,
    ) -> None:
        self.variable = variable
        self.evidence = _read_names(variable, evidence, "evidence")
        self.discrete_evidence = _read_names(variable, discrete_evidence, "discrete_evidence")
        self.variables = [variable, *self.evidence, *self.discrete_evidence]
        if len(set(self.variables)) < len(self.variables):
            raise ValueError(
                f"the CPD of {variable!r} has the parents {self.variables[1:]}; they must differ from each other and "
                "from the variable."
            )
        self.state_names = _read_states(variable, self.discrete_evidence, state_names)
        n_configurations = math.prod(self.cardinalities)
        self.beta = _read_array(variable, "beta", beta, (n_configurations, 1 + len(self.evidence)))
        self.std = _read_array(variable, "std", std, (n_configurations,))
        if not (self.std > 0).all():
            raise ValueError(f"std of the CPD of {variable!r} must be > 0. Got: {self.std.tolist()}.")

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of states of each discrete parent."""
        return tuple(len(self.state_names[parent]) for parent in self.discrete_evidence)

    def configurations(self) -> list[dict[Hashable, Hashable]]:
        """List the configurations of the discrete parents.

        Returns
        -------
        list of dict
            The state of each discrete parent, in the order of the rows of `beta`. Without discrete parents one empty
            dict.

        Examples
        --------
        >>> cpd = ConditionalGaussianCPD(
        ...     "x", [[0], [1]], [1, 1], discrete_evidence=["k"], state_names={"k": ["a", "b"]}
        ... )
        >>> cpd.configurations()
        [{'k': 'a'}, {'k': 'b'}]
        """
        states = [self.state_names[parent] for parent in self.discrete_evidence]
        return [dict(zip(self.discrete_evidence, chosen, strict=True)) for chosen in itertools.product(*states)]

    def to_linear_gaussian(self, assignment: Mapping[Hashable, Hashable] | None = None) -> LinearGaussianCPD:
        """Give the distribution under one configuration as pgmpy's `LinearGaussianCPD`.

        Parameters
        ----------
        assignment : mapping, optional
            The state of each discrete parent, compared as states in data are: 1.0 and "1" are the state 1. Other keys
            are ignored.

        Returns
        -------
        LinearGaussianCPD
            Its evidence are the continuous parents.

        Raises
        ------
        ValueError
            A discrete parent has no state in the assignment, or one that it does not know.

        Examples
        --------
        >>> cpd = ConditionalGaussianCPD(
        ...     "x", [[0, 2], [1, 3]], [1, 4], ["z"], ["k"], state_names={"k": ["a", "b"]}
        ... )
        >>> print(cpd.to_linear_gaussian({"k": "b"}))
        P(x | z) = N(3.0*z + 1.0; 4.0)
        """
        positions = [self._find_state(parent, assignment or {}) for parent in self.discrete_evidence]
        return self._linear_gaussian(int(np.ravel_multi_index(positions, self.cardinalities)) if positions else 0)

    def linear_gaussian_cpds(self) -> Iterator[tuple[dict[Hashable, Hashable], LinearGaussianCPD]]:
        """Go through all configurations, each with its `LinearGaussianCPD`.

        Examples
        --------
        >>> cpd = ConditionalGaussianCPD(
        ...     "x", [[0], [1]], [1, 4], discrete_evidence=["k"], state_names={"k": ["a", "b"]}
        ... )
        >>> for configuration, linear in cpd.linear_gaussian_cpds():
        ...     print(configuration, linear)
        {'k': 'a'} P(x) = N(0.0; 1.0)
        {'k': 'b'} P(x) = N(1.0; 4.0)
        """
        for row, configuration in enumerate(self.configurations()):
            yield configuration, self._linear_gaussian(row)

    def to_functional_cpd(self) -> FunctionalCPD:
        """Turn into pgmpy's `FunctionalCPD`, for `FunctionalBayesianNetwork`.

        Its parents are the continuous parents, then the discrete ones. Values of the latter are positions of states,
        from 0, in the order of `state_names`: functional CPDs know numbers only.

        Raises
        ------
        ImportError
            pyro is not installed.

        Examples
        --------
        >>> cpd.to_functional_cpd()  # doctest: +SKIP
        """
        shape = self.cardinalities
        beta, std = self.beta.reshape(*shape, -1), self.std.reshape(shape)
        return gaussian_cpd(self.variable, beta, std, self.evidence, self.discrete_evidence)

    def is_valid_cpd(self) -> bool:
        """Tell whether all numbers are finite and standard deviations positive.

        Examples
        --------
        >>> cpd = ConditionalGaussianCPD("x", [[0]], [1])
        >>> cpd.std[0] = -1
        >>> cpd.is_valid_cpd()
        False
        """
        return bool(np.isfinite(self.beta).all() and np.isfinite(self.std).all() and (self.std > 0).all())

    def copy(self) -> "ConditionalGaussianCPD":
        """Copy, arrays and all.

        Examples
        --------
        >>> cpd = ConditionalGaussianCPD("x", [[0]], [1])
        >>> cpd.copy() == cpd
        True
        """
        return ConditionalGaussianCPD(
            self.variable, self.beta, self.std, self.evidence, self.discrete_evidence, self.state_names
        )

    def __eq__(self, other: object) -> bool:
        """Compare, with numpy's tolerance; parents and states may stand in another order."""
        if not isinstance(other, ConditionalGaussianCPD) or self.variable != other.variable:
            return False
        if set(self.evidence) != set(other.evidence) or set(self.discrete_evidence) != set(other.discrete_evidence):
            return False
        if any(set(states) != set(other.state_names[parent]) for parent, states in self.state_names.items()):
            return False
        return np.allclose(self._table(), other._arranged_as(self))

    __hash__ = None  # type: ignore[assignment]  # arrays can change, as in pgmpy's LinearGaussianCPD

    def __str__(self) -> str:
        given = ", ".join(map(str, self.variables[1:]))
        lines = [f"P({self.variable} | {given})" if given else f"P({self.variable})", self._shown_rows()]
        if len(self.std) > SHOWN:
            lines.append(f"... and {len(self.std) - SHOWN} more configurations")
        return "\n".join(lines)

    def __repr__(self) -> str:
        sized = [f"{parent}:{card}" for parent, card in zip(self.discrete_evidence, self.cardinalities, strict=True)]
        given = ", ".join([*map(str, self.evidence), *sized])
        return f"<ConditionalGaussianCPD representing P({self.variable}{' | ' if given else ''}{given})>"

    def _shown_rows(self) -> str:
        """Write the first configurations, each with its mean and standard deviation."""
        rows = range(min(SHOWN, len(self.std)))
        configurations = itertools.islice(itertools.product(*self.state_names.values()), len(rows))
        table = pd.DataFrame([[*map(str, states)] for states in configurations], index=rows)
        table.columns = pd.Index(list(map(str, self.discrete_evidence)))
        shown = [[self._formula(row), f"{self.std[row]:.4g}"] for row in rows]
        return pd.concat([table, pd.DataFrame(shown, columns=["mean", "std"])], axis=1).to_string(index=False)

    def _formula(self, row: int) -> str:
        """Write the mean under one configuration."""
        terms = [
            f" {'-' if slope < 0 else '+'} {abs(slope):.4g}*{parent}"
            for slope, parent in zip(self.beta[row, 1:], self.evidence, strict=True)
        ]
        return f"{self.beta[row, 0]:.4g}" + "".join(terms)

    def _linear_gaussian(self, row: int) -> LinearGaussianCPD:
        """Give the distribution under one configuration, by its number."""
        return LinearGaussianCPD(self.variable, self.beta[row], float(self.std[row]), list(self.evidence))

    def _find_state(self, parent: Hashable, assignment: Mapping[Hashable, Hashable]) -> int:
        """Find the position of a discrete parent's state."""
        states = self.state_names[parent]
        if parent not in assignment:
            raise ValueError(
                f"the CPD of {self.variable!r} needs a state of its discrete parent {parent!r}, one of {states}."
            )
        state = assignment[parent]
        [position] = match_states([state], states) if is_hashable(state) else [None]
        if position is None:
            raise ValueError(
                f"the CPD of {self.variable!r} knows no state {state!r} of its discrete parent {parent!r}. "
                f"Known: {states}."
            )
        return position

    def _table(self) -> FloatArray:
        """Join coefficients and standard deviations, with an axis for each discrete parent."""
        return np.column_stack([self.beta, self.std]).reshape(*self.cardinalities, -1)

    def _arranged_as(self, other: "ConditionalGaussianCPD") -> FloatArray:
        """Give the table in another CPD's order of parents and states."""
        axes = [self.discrete_evidence.index(parent) for parent in other.discrete_evidence]
        table = self._table().transpose([*axes, len(axes)])
        for axis, parent in enumerate(other.discrete_evidence):
            table = table.take([self.state_names[parent].index(state) for state in other.state_names[parent]], axis)
        slopes = [1 + self.evidence.index(parent) for parent in other.evidence]
        return table[..., [0, *slopes, -1]]


def _read_names(variable: Hashable, names: Any, argument: str) -> list[Hashable]:
    """Check a list of parents; a lone text would fall apart into letters."""
    if names is None:
        return []
    names = list(names) if isinstance(names, (Sequence, np.ndarray, pd.Index)) and not isinstance(names, str) else None
    if names is None or not all(map(is_hashable, [variable, *names])):
        raise TypeError(f"{argument} of the CPD of {variable!r} must be a list of variables, or None.")
    return names


def _read_states(
    variable: Hashable, parents: list[Hashable], state_names: Mapping[Hashable, Sequence[Hashable]] | None
) -> dict[Hashable, list[Hashable]]:
    """Take the discrete parents' states, and check them."""
    if state_names is not None and not isinstance(state_names, Mapping):
        raise TypeError(f"state_names must be a dict, or None. Got: {type(state_names).__name__}.")
    absent = [parent for parent in parents if parent not in (state_names or {})]
    if absent:
        raise ValueError(f"state_names of the CPD of {variable!r} must have the states of {absent}.")
    found = {parent: _plain_states((state_names or {})[parent]) for parent in parents}
    for parent, states in found.items():
        if not states:
            raise ValueError(
                f"the states of {parent!r} in the CPD of {variable!r} must be a list of distinct texts, numbers or "
                f"tuples, at least one and none of them missing. Got: {(state_names or {})[parent]!r}."
            )
    return found


def _plain_states(states: Any) -> list[Hashable]:
    """Turn states into a list, with Python's own scalars; an empty one where they cannot be states."""
    if isinstance(states, str) or not isinstance(states, (Sequence, np.ndarray, pd.Index)):
        return []
    plain = [state.item() if isinstance(state, np.generic) else state for state in states]
    if not all(map(is_hashable, plain)) or len(set(plain)) < len(plain):
        return []
    return [] if any(not isinstance(state, tuple) and pd.isna(state) for state in plain) else plain


def _read_array(variable: Hashable, argument: str, values: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Check an array's shape and numbers; the result is a copy."""
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{argument} of the CPD of {variable!r} must be an array of numbers: {error}.") from error
    if array.shape != shape:
        raise ValueError(
            f"{argument} of the CPD of {variable!r} must have the shape {shape}: a row for each configuration of the "
            f"discrete parents, and in beta an intercept and the continuous parents. Got: {array.shape}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{argument} of the CPD of {variable!r} must be finite. Got: {array.tolist()}.")
    return array
