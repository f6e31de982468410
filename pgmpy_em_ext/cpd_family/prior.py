"""Dirichlet priors on CPD columns, as the pseudo counts that are added to expected counts."""

import math
from abc import abstractmethod
from collections.abc import Hashable, Mapping
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from skbase.base import BaseObject

from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.types import FloatArray


class Prior(BaseObject):
    """Base class of priors.

    A prior adds pseudo counts c to the expected counts, as pgmpy's
    ``DiscreteBayesianEstimator`` does, so that EM maximises the log-likelihood plus
    ``sum(c * log(theta))``: the posterior density under Dirichlet(c + 1), up to a
    constant.

    Tags
    ----
    name : str
        The name by which ``WeightedEM(prior=...)`` finds the prior.
    """

    _tags: ClassVar[dict[str, Any]] = {"name": None}

    @abstractmethod
    def resolve(self, network: Network) -> FloatArray:
        """Pseudo counts of all CPD entries.

        Returns
        -------
        float ndarray of shape (network.n_cells,)
            In records, >= 0, in the flat layout of `Network`.
        """


class K2(Prior):
    """One pseudo count for every CPD entry (Cooper & Herskovits 1992).

    Examples
    --------
    >>> from pgmpy_em_ext.arrays.network import build_network
    >>> K2().resolve(build_network("A", {}, {"A": [0, 1, 2]}))
    array([1., 1., 1.])
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "K2"}

    def resolve(self, network: Network) -> FloatArray:
        """Pseudo counts of all CPD entries; see `Prior.resolve`."""
        return np.ones(network.n_cells)


class BDeu(Prior):
    """An equivalent sample size, spread evenly over each family's entries.

    Parameters
    ----------
    equivalent_sample_size : float or dict, default 5
        Pseudo counts of each family in total, >= 0; one number, or one for each
        variable (a variable that is absent gets none), as pgmpy has it.

    References
    ----------
    Heckerman, Geiger & Chickering (1995), Machine Learning 20, 197-243.

    Examples
    --------
    >>> from pgmpy_em_ext.arrays.network import build_network
    >>> BDeu(6).resolve(build_network("A", {}, {"A": [0, 1, 2]}))
    array([2., 2., 2.])
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "BDeu"}

    def __init__(self, equivalent_sample_size: float | dict[Any, float] = 5) -> None:
        self.equivalent_sample_size = equivalent_sample_size
        super().__init__()

    def resolve(self, network: Network) -> FloatArray:
        """Pseudo counts of all CPD entries; see `Prior.resolve`."""
        size = self.equivalent_sample_size
        if isinstance(size, Mapping):
            _check_known(size, network, "equivalent_sample_size")
        counts = np.empty(network.n_cells)
        for node, name in enumerate(network.names):
            block = network.block(counts, node)
            value = size.get(name, 0) if isinstance(size, Mapping) else size
            block[...] = _non_negative(value, f"equivalent_sample_size of {name!r}") / block.size
        return counts


class Dirichlet(Prior):
    """Pseudo counts as given.

    Parameters
    ----------
    pseudo_counts : float or dict, default 1
        One number for every CPD entry, or for each variable a number or an array of
        shape (cardinality, product of the parents' cardinalities) in pgmpy's layout:
        a row for each state, parents sorted by name, the last of them fastest. A
        variable that is absent gets none.

    Examples
    --------
    >>> from pgmpy_em_ext.arrays.network import build_network
    >>> network = build_network("AB", {"B": "A"}, {"A": [0, 1], "B": [0, 1]})
    >>> Dirichlet({"B": [[1, 2], [3, 4]]}).resolve(network)
    array([0., 0., 1., 3., 2., 4.])
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "Dirichlet"}

    def __init__(self, pseudo_counts: float | dict[Any, ArrayLike] = 1.0) -> None:
        self.pseudo_counts = pseudo_counts
        super().__init__()

    def resolve(self, network: Network) -> FloatArray:
        """Pseudo counts of all CPD entries; see `Prior.resolve`."""
        given = self.pseudo_counts
        if not isinstance(given, Mapping):
            return np.full(network.n_cells, _non_negative(given, "pseudo_counts"))
        _check_known(given, network, "pseudo_counts")
        counts = np.zeros(network.n_cells)
        for name, values in given.items():
            node = network.index[name]
            network.block(counts, node)[...] = _pseudo_table(values, name, network.shapes[node])
        return counts


def _pseudo_table(values: Any, name: Hashable, shape: tuple[int, ...]) -> FloatArray:
    """Check one variable's pseudo counts and turn them from pgmpy's layout to a family block."""
    if isinstance(values, Real):
        return np.full(shape, _non_negative(values, f"pseudo_counts of {name!r}"))
    expected = (shape[-1], math.prod(shape[:-1]))
    try:
        table = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"pseudo_counts of {name!r} must be numbers in an array of shape {expected}.") from None
    if table.shape != expected:
        raise ValueError(
            f"pseudo_counts of {name!r} must have shape {expected}: a row for each state, a column for each "
            f"configuration of the parents. Got: {table.shape}."
        )
    wrong = table[~(np.isfinite(table) & (table >= 0))]
    if len(wrong):
        raise ValueError(f"pseudo_counts of {name!r} must be finite numbers >= 0. Got: {wrong[0]}.")
    return table.T.reshape(shape)


def _non_negative(value: Any, what: str) -> float:
    """Check one number."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{what} must be a finite number >= 0. Got: {value!r}.")
    return float(value)


def _check_known(given: Mapping[Any, Any], network: Network, what: str) -> None:
    """Refuse names that the network does not have."""
    unknown = [name for name in given if name not in network.index]
    if unknown:
        raise ValueError(f"{what} names {unknown}, which the model does not have. Known: {list(network.names)}.")
