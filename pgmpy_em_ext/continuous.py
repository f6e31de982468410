"""From a table of numbers to standardised columns in a topological order, and back to the user's units."""

import logging
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
import pandas as pd

from pgmpy_em_ext.encoding import check_columns, check_weight
from pgmpy_em_ext.gaussian import ContinuousRows, GaussianArrays, lay_out_families
from pgmpy_em_ext.types import BoolArray, FloatArray

logger = logging.getLogger(__name__)


class ContinuousNetwork(NamedTuple):
    """A linear Gaussian network, parents before children.

    Attributes
    ----------
    names : tuple
        The variables in a topological order.
    net : GaussianArrays
        Their families.
    latents : tuple of int
        Variables that are never observed.
    """

    names: tuple[Hashable, ...]
    net: GaussianArrays
    latents: tuple[int, ...]


class Units(NamedTuple):
    """How columns were standardised: (value - center) / scale.

    Attributes
    ----------
    center, scale : float ndarrays of shape (n_nodes,)
        0 and 1 for latent variables; the scale is 1 for constant columns.
    """

    center: FloatArray
    scale: FloatArray

    def log_density_shift(self, values: FloatArray) -> FloatArray:
        """Give what each row's log-density in the user's units has more than that of standardised values."""
        return -np.where(np.isnan(values), 0.0, np.log(self.scale)).sum(axis=1)


class ContinuousData(NamedTuple):
    """A table, read and standardised.

    Attributes
    ----------
    rows : ContinuousRows
        Rows of positive weight.
    units : Units
        See there.
    latents : tuple of int
        Variables without any value.
    ignored_columns : tuple
        Columns that are no variable of the model.
    """

    rows: ContinuousRows
    units: Units
    latents: tuple[int, ...]
    ignored_columns: tuple[Hashable, ...]


def order_network(
    names: Sequence[Hashable], parents: dict[Hashable, list[Hashable]], latents: Sequence[Hashable]
) -> ContinuousNetwork:
    """Put a network's variables in a topological order that depends on their names' order alone."""
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((parent, name) for name in names for parent in parents[name])
    position = {name: place for place, name in enumerate(names)}
    order = tuple(nx.lexicographical_topological_sort(graph, key=position.__getitem__))
    index = {name: place for place, name in enumerate(order)}
    net = lay_out_families([[index[parent] for parent in parents[name]] for name in order], [1] * len(order))
    return ContinuousNetwork(order, net, tuple(sorted(index[name] for name in latents)))


def read_values(data: pd.DataFrame, names: Sequence[Hashable]) -> FloatArray:
    """Read the variables' columns as numbers, NaN where missing; a variable without a column is missing throughout.

    Raises
    ------
    TypeError
        A column that is not numeric.
    ValueError
        An infinite value.
    """
    values = np.full((len(data), len(names)), np.nan)
    columns = set(data.columns.to_list())
    for node, name in enumerate(names):
        if name not in columns:
            continue
        values[:, node] = _read_column(data[name], name)
        infinite = np.flatnonzero(np.isinf(values[:, node]))
        if len(infinite):
            raise ValueError(
                f"column {name!r} has the value {values[infinite[0], node]} in row {infinite[0]} (counting from 0). "
                "Replace it with a number, or with NaN if it is missing."
            )
    return values


def _read_column(column: pd.Series, name: Hashable) -> FloatArray:
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        numbers = pd.to_numeric(column, errors="coerce")
        wrong = np.flatnonzero(numbers.isna().to_numpy() & column.notna().to_numpy())
        if len(wrong):
            raise TypeError(
                f"column {name!r} must hold numbers. Got: {column.iloc[wrong[0]]!r} in row {wrong[0]} "
                "(counting from 0)."
            )
        column = numbers
    return column.to_numpy(dtype=float, na_value=np.nan)


def read_data(network: ContinuousNetwork, data: Any, sample_weight: Any) -> ContinuousData:
    """Check a table and its weights, leave rows of weight zero out, and standardise the columns.

    Raises
    ------
    TypeError, ValueError
        As `check_columns`, `check_weight` and `read_values` have it; a latent variable with values; a variable that has
        no column and is not declared latent.
    """
    ignored = check_columns(data, network.names)
    weight = check_weight(sample_weight, data)
    values = read_values(data, network.names)
    kept = np.flatnonzero(weight > 0)
    values, weight = values[kept], weight[kept]
    latents = _find_latents(network, data, values)
    units = _measure(values, weight)
    standardised = (values - units.center) / units.scale
    return ContinuousData(ContinuousRows(standardised, weight, kept), units, latents, tuple(ignored))


def _find_latents(network: ContinuousNetwork, data: pd.DataFrame, values: FloatArray) -> tuple[int, ...]:
    """Say which variables are latent: those that are declared so, and those whose column has no value."""
    columns = set(data.columns.to_list())
    empty: BoolArray = np.asarray(np.isnan(values).all(axis=0))
    for node in network.latents:
        if not empty[node]:
            example = float(values[~np.isnan(values[:, node]), node][0])
            raise ValueError(
                f"{network.names[node]!r} is declared latent, but its column has data (such as {example!r}). "
                "Drop the column, or set model.latents without the variable."
            )
    for node in np.flatnonzero(empty).tolist():
        name = network.names[node]
        if name not in columns and node not in network.latents:
            raise ValueError(
                f"the model's node {name!r} has no column in the data and is not latent. Add the column, declare it "
                f"with model.latents = {{..., {name!r}}}, or remove it from the model."
            )
        if node not in network.latents:
            logger.info("The column %r has no value: %r is taken as latent.", name, name)
    return tuple(np.flatnonzero(empty).tolist())


def _measure(values: FloatArray, weight: FloatArray) -> Units:
    """Take weighted means and standard deviations of what is observed."""
    observed = ~np.isnan(values)
    shares = np.where(observed, weight[:, None], 0.0)
    total = shares.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    filled = np.where(observed, values, 0.0)
    largest = np.abs(filled).max(axis=0)
    size = np.where(largest > 0, largest, 1.0)  # squares of large numbers would overflow
    center = (shares * (filled / size)).sum(axis=0) / safe * size
    off = np.where(observed, (values - center) / size, 0.0)
    scale = np.sqrt((shares * off**2).sum(axis=0) / safe) * size
    is_constant = scale <= 1e-12 * size
    return Units(center, np.where(is_constant, 1.0, scale))
