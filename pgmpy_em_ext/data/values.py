"""From a table to rows of codes and standardised numbers, in an order that depends on their values alone."""

import logging
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from pgmpy_em_ext.arrays.gaussian import lay_out_families
from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows, Units
from pgmpy_em_ext.arrays.network import Network, check_n_parents
from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.types import FloatArray

logger = logging.getLogger(__name__)

MAX_MOMENTS = 2**24
"""Most sums of products of one family, over all configurations of its discrete parents. A run keeps some twenty
numbers for each, 150 to 200 bytes by measurement: three gigabytes."""

LARGEST = 1e300
"""Larger numbers, whose differences may overflow, are refused."""

FARTHEST = 1e15
"""Standard deviations beyond which a double is coarser than they are."""

OVERFLOWING = 1e140
"""Standard deviations whose square, by a residual variance at its floor, is no number."""


def order_network(
    names: Sequence[Hashable],
    parents: Mapping[Hashable, Sequence[Hashable]],
    latents: Iterable[Hashable],
    discrete: Network,
) -> HybridNetwork:
    """Put continuous variables in a topological order that depends on their names' order alone.

    Parameters
    ----------
    names : sequence
        The continuous variables.
    parents : mapping
        Parents of each, of both kinds.
    latents : iterable
        Those that are never observed.
    discrete : Network
        The discrete variables, if any.

    Returns
    -------
    HybridNetwork
        Its units are those of the standard normal, until there is data.
    """
    own = set(names)
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((parent, name) for name in names for parent in parents[name] if parent in own)
    position = {name: place for place, name in enumerate(names)}
    order = tuple(nx.lexicographical_topological_sort(graph, key=position.__getitem__))
    index = {name: place for place, name in enumerate(order)}
    links = tuple(
        tuple(sorted(discrete.index[parent] for parent in parents[name] if parent not in own)) for name in order
    )
    continuous = [[index[parent] for parent in parents[name] if parent in own] for name in order]
    n_configs = [
        _count_configurations(name, nodes, len(others), discrete)
        for name, nodes, others in zip(order, links, continuous, strict=True)
    ]
    net = lay_out_families(continuous, n_configs)
    units = Units(np.zeros(len(order)), np.ones(len(order)))
    return HybridNetwork(discrete, order, net, links, units, tuple(sorted(index[name] for name in latents)))


def _count_configurations(name: Hashable, parents: Sequence[int], n_continuous: int, discrete: Network) -> int:
    """Count the configurations of discrete parents; more than can be kept are refused before anything is made."""
    names = [discrete.names[node] for node in parents]
    n_configs = math.prod(discrete.cardinalities[node] for node in parents)
    n_moments = n_configs * ((n_continuous + 2) * (n_continuous + 3) // 2)
    if n_moments > MAX_MOMENTS:
        raise MemoryBudgetError(
            f"the continuous variable {name!r} has {n_configs:,} configurations of its discrete parents {names}, which "
            f"take {n_moments:,} sums of products with its {n_continuous} continuous ones, more than the "
            f"{MAX_MOMENTS:,} that are supported. Remove parents, or merge states."
        )
    check_n_parents(name, names)
    return n_configs


def read_values(data: pd.DataFrame, names: Sequence[Hashable]) -> FloatArray:
    """Read the variables' columns as numbers, NaN where missing; a variable without a column is missing throughout.

    Raises
    ------
    TypeError
        A column that is not numeric.
    ValueError
        A value that is infinite, or too large to be reckoned with.
    """
    values = np.full((len(data), len(names)), np.nan)
    columns = set(data.columns.to_list())
    for node, name in enumerate(names):
        if name not in columns:
            continue
        values[:, node] = _read_column(data[name], name)
        infinite = np.flatnonzero(np.abs(values[:, node]) > LARGEST)
        if len(infinite):
            cell = data[name].iloc[infinite[0]]
            shown = f"{Decimal(cell):.6e}" if isinstance(cell, int) else str(values[infinite[0], node])
            raise ValueError(
                f"column {name!r} has the value {shown} in row {infinite[0]} (counting from 0). "
                "Replace it with a smaller number, or with NaN if it is missing."
            )
    return values


def check_distances(network: HybridNetwork, rows: HybridRows) -> None:
    """Refuse values so far out that rounding, or overflow, and not they, would tell what a row misses.

    Raises
    ------
    ValueError
        A value is more than `FARTHEST` standard deviations out, in a row that misses a discrete variable; in others,
        whose means are linear in it, more than `OVERFLOWING`.
    """
    limit = np.where((rows.codes < 0).any(axis=1), FARTHEST, OVERFLOWING)
    far = np.argwhere(np.abs(rows.values) > limit[:, None])
    if len(far):
        row, node = far[0].tolist()
        distance = rows.values[row, node]
        value = distance * network.units.scale[node] + network.units.center[node]
        raise ValueError(
            f"row {rows.row[row]} (counting from 0) has {network.names[node]}={value:g}, {abs(distance):.3g} standard "
            f"deviations from its mean: beyond {limit[row]:g} double precision cannot tell what the row misses. "
            "Correct the value, or make it missing."
        )


def _read_column(column: pd.Series, name: Hashable) -> FloatArray:
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        is_time = pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column)
        numbers = column.isna() if is_time else _to_numbers(column)
        wrong = np.flatnonzero((numbers.isna().to_numpy() | is_time) & column.notna().to_numpy())
        if len(wrong):
            raise TypeError(
                f"column {name!r} must hold numbers. Got: {column.iloc[wrong[0]]!r} in row {wrong[0]} "
                "(counting from 0)."
            )
        column = numbers
    if pd.api.types.is_complex_dtype(column):
        row = int(np.flatnonzero(column.notna())[0])
        raise TypeError(
            f"column {name!r} must hold real numbers. Got: {column.iloc[row]!r} in row {row} (counting from 0)."
        )
    return column.to_numpy(dtype=float, na_value=np.nan)


def _to_numbers(column: pd.Series) -> pd.Series:
    """Turn cells of any kind into numbers, NaN where they are none."""
    try:
        return pd.to_numeric(column, errors="coerce")
    except OverflowError:  # Python's integers have no end
        return pd.to_numeric(column.map(_to_infinity), errors="coerce")


def _to_infinity(cell: Any) -> Any:
    """Make an integer infinite that no float can hold."""
    is_large = isinstance(cell, int) and abs(cell) > LARGEST
    return math.copysign(math.inf, cell > 0 or -1) if is_large else cell


def find_latents(
    names: Sequence[Hashable], declared: Iterable[Hashable], columns: Iterable[Hashable], values: FloatArray
) -> tuple[Hashable, ...]:
    """Say which continuous variables are latent: those that are declared so, and those whose column has no value.

    Raises
    ------
    ValueError
        A latent variable with values; a variable that has no column and is not declared latent.
    """
    with_column, without = set(columns), set(declared)
    empty = np.asarray(np.isnan(values).all(axis=0))
    for node, name in enumerate(names):
        if name in without and not empty[node]:
            example = float(values[~np.isnan(values[:, node]), node][0])
            raise ValueError(
                f"{name!r} is declared latent, but its column has data (such as {example!r}). "
                "Drop the column, or set model.latents without the variable."
            )
        if name not in without and name not in with_column:
            raise ValueError(
                f"the model's node {name!r} has no column in the data and is not latent. Add the column, declare it "
                f"with model.latents = {{..., {name!r}}}, or remove it from the model."
            )
        if name not in without and empty[node]:
            logger.info("The column %r has no value: %r is taken as latent.", name, name)
    return tuple(name for node, name in enumerate(names) if empty[node])


def merge_rows(rows: HybridRows) -> HybridRows:
    """Sort rows by what they hold, and add up the weights of equal ones.

    So no result depends on the order of the user's rows: sums are made in an order that depends on values alone.
    """
    keys = [rows.row, rows.weight, *rows.values.T[::-1], *rows.codes.T[::-1]]  # the last is the most significant
    by_value = rows.take(np.lexsort(keys))
    differs = (by_value.codes[1:] != by_value.codes[:-1]).any(axis=1)
    one, other = by_value.values[1:], by_value.values[:-1]
    differs |= ((one != other) & ~(np.isnan(one) & np.isnan(other))).any(axis=1)
    first = np.flatnonzero(np.append(True, differs))
    return by_value.take(first)._replace(
        weight=np.add.reduceat(by_value.weight, first), row=np.minimum.reduceat(by_value.row, first)
    )


def standardize(network: HybridNetwork, rows: HybridRows) -> tuple[HybridNetwork, HybridRows]:
    """Give every continuous column mean 0 and variance 1, and keep the units in the network.

    A constant column has no variance; the size of its value is its unit.
    """
    units = _measure(rows.values, rows.weight)
    return network._replace(units=units), rows._replace(values=(rows.values - units.center) / units.scale)


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
    return Units(center, np.where(is_constant, size, scale))
