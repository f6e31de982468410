"""From a pandas table to integer codes; the states that it must be read by."""

import logging
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pgmpy_em_ext._tools.labels import differ_in_writing, is_hashable, match_states, sort_states, to_plain
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.rows import EncodedData
from pgmpy_em_ext.types import MISSING, BoolArray, FloatArray, IntArray

logger = logging.getLogger(__name__)


class Column(NamedTuple):
    """A column of a table, its distinct values numbered.

    Attributes
    ----------
    numbers : int ndarray of shape (n_rows,)
        Position of each cell's value among the values; -1 where missing.
    values : list
        The distinct values, in the order in which they appear.
    """

    numbers: IntArray
    values: list[Any]


class Table(NamedTuple):
    """The columns of a table that are variables, each numbered once for all that follows.

    Attributes
    ----------
    columns : dict of Column
        By variable.
    row : int ndarray of shape (n_rows,)
        Position of each row in the user's table, for messages.
    """

    columns: dict[Hashable, Column]
    row: IntArray


def number_rows(data: pd.DataFrame) -> pd.DataFrame:
    """Give a table the positions of its rows as index, by which messages name them."""
    return data.set_axis(pd.RangeIndex(len(data)), axis=0)


def read_table(data: pd.DataFrame, names: Iterable[Hashable]) -> Table:
    """Give the distinct values of each variable's column numbers.

    Parameters
    ----------
    data : pandas.DataFrame
        None, NaN, NaT and pandas.NA are missing, in columns of any type. Its index numbers
        the user's rows.
    names : iterable of hashables
        The variables; those without a column are left out.

    Raises
    ------
    ValueError
        A cell is not hashable, or a set.

    Notes
    -----
    Time: one hash table a column.
    """
    columns = set(data.columns.to_list())  # in a MultiIndex, a first level alone is no column
    return Table({name: _read_column(data[name]) for name in names if name in columns}, data.index.to_numpy())


def has_value(table: Table) -> BoolArray:
    """Mark the rows of a table that have a value in any column."""
    found = np.zeros(len(table.row), dtype=bool)
    for column in table.columns.values():
        found |= column.numbers != MISSING
    return found


def _read_column(column: pd.Series) -> Column:
    """Give the distinct values of a column numbers, -1 where missing."""
    try:
        codes, values = pd.factorize(column, use_na_sentinel=True)
        if values.dtype in (np.float16, np.float32):
            values = values.to_numpy()  # an Index would widen them, digits and all
    except (TypeError, NotImplementedError):  # the second from pyarrow's nested types
        for row, value in column.items():
            if not is_hashable(value):
                raise _no_state(column, row, value, "not hashable") from None
        raise
    for number, value in enumerate(values):
        if isinstance(value, frozenset):
            row = column.index[np.flatnonzero(codes == number)[0]]
            raise _no_state(column, row, value, "a set")
    # Arrow and nullable columns can hold NaN beside their own mark, and pandas does not take it for missing.
    present = np.array([value == value for value in values], dtype=bool)
    if present.all():
        return Column(codes, list(values))
    numbers = np.append(np.where(present, np.cumsum(present) - 1, MISSING), MISSING)
    return Column(numbers[codes], [value for value, kept in zip(values, present, strict=True) if kept])


def _no_state(column: pd.Series, row: Any, value: Any, why: str) -> ValueError:
    return ValueError(
        f"column {column.name!r}, row {row} (counting from 0): {value!r} cannot be a state, since it is {why}. Replace "
        "it by a text, a number or a tuple."
    )


def observed_states(table: Table) -> dict[Hashable, list[Any]]:
    """List the distinct states that each column shows, sorted; none where all of it is missing.

    A number and its text, such as 1 and "1", are one state, the number: `match_states` takes the one for the other.
    """
    return {name: sort_states(differ_in_writing(column.values)) for name, column in table.columns.items()}


def encode_table(
    network: Network, table: Table, weight: FloatArray, sources: Mapping[Hashable, str] | None = None
) -> EncodedData:
    """Turn a table into codes.

    Parameters
    ----------
    network : Network
        Variables and states. A variable without a column is missing in every row.
    table : Table
        What `read_table` returns.
    weight : float ndarray of shape (n_rows,)
        Row weights.
    sources : mapping, optional
        Where each variable's states come from, for messages.

    Raises
    ------
    ValueError
        A value is none of its variable's states; the message names the variable, the row and
        the known states.

    Notes
    -----
    Time: only distinct values are compared with the states.
    """
    dtype = np.min_scalar_type(-max(network.cardinalities, default=1))
    codes = np.full((len(weight), network.n_nodes), MISSING, dtype=dtype, order="F")
    for node, name in enumerate(network.names):
        if name in table.columns:
            lookup = np.array(_state_positions(network, node, table, sources or {}), dtype=dtype)
            codes[:, node] = lookup[table.columns[name].numbers]
    return EncodedData(codes, weight, table.row)


def _state_positions(network: Network, node: int, table: Table, sources: Mapping[Hashable, str]) -> list[int]:
    """Give each of a column's values its position among the variable's states, and -1 at the end for a hole."""
    name, states = network.names[node], network.state_names[node]
    numbers, values = table.columns[name]
    positions = match_states(values, states)
    if None in positions:
        unknown = positions.index(None)
        row = table.row[np.flatnonzero(numbers == unknown)[0]]
        raise ValueError(
            f"column {name!r}, row {row} (counting from 0): the state {to_plain(values[unknown])!r} is not among "
            f"{list(states)}, the states of {name!r} by {sources.get(name, 'the fitted model')}. Correct the cell, "
            f"make it missing, or declare the state with state_names={{{name!r}: [...]}}."
        )
    return [*(position for position in positions if position is not None), MISSING]
