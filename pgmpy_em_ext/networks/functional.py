"""pgmpy's functional CPDs, made from arrays. They need pyro, which is imported when the first is made."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from pgmpy import config
from pgmpy.factors.hybrid import FunctionalCPD

from pgmpy_em_ext.types import FloatArray


def gaussian_cpd(
    variable: Hashable,
    beta: FloatArray,
    std: FloatArray,
    evidence: Sequence[Hashable],
    discrete_evidence: Sequence[Hashable],
) -> FunctionalCPD:
    """Make the functional CPD of a normal variable, linear in its continuous parents.

    Parameters
    ----------
    variable : hashable
        The child.
    beta : float ndarray of shape (n_states of each discrete parent, ..., 1 + n continuous parents)
        Intercept and coefficients, in the units of the variables.
    std : float ndarray of shape (n_states of each discrete parent, ...)
        Standard deviations, in the units of the variable.
    evidence, discrete_evidence : sequence of hashables
        The parents, in the order of the arrays. Values of the latter are positions of states.

    Raises
    ------
    ImportError
        pyro is not installed.
    """
    torch, distributions = _import_pyro(variable)
    coefficients, deviations = (torch.as_tensor(array, device=config.get_device()) for array in (beta, std))

    def normal(parents: Mapping[Hashable, Any] | None) -> Any:
        place = _positions(torch, parents, discrete_evidence)
        row = coefficients[place]
        mean = row[..., 0]
        for column, parent in enumerate(evidence, start=1):
            mean = mean + row[..., column] * _tensor(torch, parents, parent)
        return distributions.Normal(mean, deviations[place])

    return _functional_cpd(variable, normal, [*evidence, *discrete_evidence])


def categorical_cpd(variable: Hashable, table: FloatArray, evidence: Sequence[Hashable]) -> FunctionalCPD:
    """Make the functional CPD of a discrete variable.

    Parameters
    ----------
    variable : hashable
        The child. Its values are positions of states, from 0.
    table : float ndarray of shape (n_states of each parent, ..., n_states of the child)
        Probabilities.
    evidence : sequence of hashables
        The parents, in the order of the table. Their values are positions of states too.

    Raises
    ------
    ImportError
        pyro is not installed.
    """
    torch, distributions = _import_pyro(variable)
    probabilities = torch.as_tensor(np.ascontiguousarray(table), device=config.get_device())

    def categorical(parents: Mapping[Hashable, Any] | None) -> Any:
        return distributions.Categorical(probs=probabilities[_positions(torch, parents, evidence)])

    return _functional_cpd(variable, categorical, list(evidence))


def _import_pyro(variable: Hashable) -> tuple[Any, Any]:
    """Import torch and pyro's distributions."""
    try:
        return import_module("torch"), import_module("pyro.distributions")
    except ImportError as error:
        raise ImportError(
            f"a functional CPD, here of {variable!r}, needs pyro. Install it with: pip install 'pgmpy_em_ext[pyro]'."
        ) from error


def _functional_cpd(variable: Hashable, fn: Callable, parents: list[Hashable]) -> FunctionalCPD:
    """Make pgmpy's object; without parents it draws one value for all rows where it is vectorised."""
    return FunctionalCPD(variable, fn, parents=parents, vectorized=bool(parents))


def _positions(torch: Any, parents: Mapping[Hashable, Any] | None, names: Sequence[Hashable]) -> tuple[Any, ...]:
    """Index the axes of the discrete parents; without any the index leaves an array as it is."""
    return tuple(_tensor(torch, parents, name).long() for name in names)


def _tensor(torch: Any, parents: Mapping[Hashable, Any] | None, name: Hashable) -> Any:
    """Give the values of a parent: pgmpy hands on tensors where it fits, and columns of a table where it draws."""
    assert parents is not None, "only a CPD without parents is called without values"
    values = parents[name]
    return values if isinstance(values, torch.Tensor) else torch.as_tensor(np.array(values), device=config.get_device())
