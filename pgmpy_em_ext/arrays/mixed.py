"""Networks of discrete and continuous variables as arrays, and rows of both."""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.arrays.columns import ColumnList
from pgmpy_em_ext.arrays.gaussian import GaussianArrays
from pgmpy_em_ext.arrays.network import Network, contiguous_strides
from pgmpy_em_ext.types import MISSING, BoolArray, FloatArray, IntArray


class Units(NamedTuple):
    """How columns were standardised: (value - center) / scale.

    Attributes
    ----------
    center, scale : float ndarrays of shape (n_nodes,)
        0 and 1 for latent variables; the scale of a constant column is the size of its value, or 1 where that is 0.
    """

    center: FloatArray
    scale: FloatArray

    def log_density_shift(self, values: FloatArray) -> FloatArray:
        """Give what each row's log-density in the user's units has more than that of standardised values."""
        return -np.where(np.isnan(values), 0.0, np.log(self.scale)).sum(axis=1)


NO_TABLES = Network((), (), ())
"""The discrete part of a network whose variables are all continuous."""


class HybridNetwork(NamedTuple):
    """A conditional Gaussian network: discrete nodes have discrete parents, continuous nodes have both kinds.

    All parameters are one vector: the cells of the discrete network, then those of the continuous families. So are
    the expected statistics: counts, then moments.

    Attributes
    ----------
    discrete : Network
        The discrete part, which may have no variable.
    names : tuple
        The continuous variables, in a topological order.
    net : GaussianArrays
        Their families; configurations of the discrete parents in their order, the first parent slowest.
    discrete_parents : tuple of tuples of int
        The discrete parents of each continuous variable, numbered as in ``discrete``, in rising order.
    units : Units
        How the continuous variables were standardised.
    latents : tuple of int
        Continuous variables that are never observed.
    """

    discrete: Network
    names: tuple[Hashable, ...]
    net: GaussianArrays
    discrete_parents: tuple[tuple[int, ...], ...]
    units: Units
    latents: tuple[int, ...] = ()

    @property
    def n_discrete(self) -> int:
        """Number of discrete variables."""
        return self.discrete.n_nodes

    @property
    def n_cells(self) -> int:
        """Number of entries of the discrete CPDs."""
        return self.discrete.n_cells

    def cards(self, node: int) -> tuple[int, ...]:
        """Numbers of states of a continuous variable's discrete parents."""
        return tuple(self.discrete.cardinalities[parent] for parent in self.discrete_parents[node])

    def name_columns(self, configs: Mapping[int, IntArray]) -> ColumnList:
        """Name configurations of continuous variables' discrete parents, by their numbers for each variable."""
        return ColumnList(
            self.discrete.column_group(self.names[node], self.discrete_parents[node], positions)
            for node, positions in configs.items()
        )

    def configuration_of(self, node: int, codes: IntArray) -> IntArray:
        """Find the number of each row's configuration of a variable's discrete parents; -1 where one is missing."""
        config = np.zeros(len(codes), dtype=np.int64)
        missing = np.zeros(len(codes), dtype=bool)
        for parent, stride in zip(self.discrete_parents[node], contiguous_strides(self.cards(node)), strict=True):
            config += codes[:, parent].astype(np.int64) * stride
            missing |= codes[:, parent] == MISSING
        return np.where(missing, -1, config)


class HybridRows(NamedTuple):
    """A table of discrete and continuous variables.

    Attributes
    ----------
    codes : int ndarray of shape (n_rows, n_discrete)
        States, -1 where missing or latent.
    values : float ndarray of shape (n_rows, n_continuous)
        NaN where missing or latent.
    weight : float ndarray of shape (n_rows,)
        In records, > 0.
    row : int ndarray of shape (n_rows,)
        Position of each in the user's table, for messages.
    """

    codes: IntArray
    values: FloatArray
    weight: FloatArray
    row: IntArray

    def observed(self, network: HybridNetwork, position: int) -> dict[Hashable, Hashable]:
        """Name what a row observes, in the user's units."""
        known = network.discrete.observed_states(self.codes[position])
        values = self.values[position] * network.units.scale + network.units.center
        return known | {network.names[node]: float(values[node]) for node in np.flatnonzero(~np.isnan(values)).tolist()}

    def observes(self) -> BoolArray:
        """Mark the rows that have a value of a variable of either kind."""
        return (self.codes != MISSING).any(axis=1) | ~np.isnan(self.values).all(axis=1)

    def take(self, chosen: Sequence[int] | IntArray | slice) -> "HybridRows":
        """Take some of the rows."""
        return HybridRows(self.codes[chosen], self.values[chosen], self.weight[chosen], self.row[chosen])


def continuous_network(
    net: GaussianArrays, names: Sequence[Hashable] | None = None, latents: Sequence[int] = ()
) -> HybridNetwork:
    """Make a network without discrete variables."""
    known = tuple(range(net.n_nodes)) if names is None else tuple(names)
    units = Units(np.zeros(net.n_nodes), np.ones(net.n_nodes))
    return HybridNetwork(NO_TABLES, known, net, ((),) * net.n_nodes, units, tuple(latents))


def continuous_rows(values: FloatArray, weight: FloatArray | None = None, row: IntArray | None = None) -> HybridRows:
    """Make rows without discrete variables."""
    return HybridRows(
        np.zeros((len(values), 0), dtype=np.int64),
        values,
        np.ones(len(values)) if weight is None else weight,
        np.arange(len(values)) if row is None else row,
    )
