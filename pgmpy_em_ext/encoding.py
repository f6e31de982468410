"""From a pandas table to integer codes; the states that it must be read by."""

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pgmpy_em_ext.network import Network
from pgmpy_em_ext.types import MISSING, BoolArray, EncodedData, FloatArray, IntArray

logger = logging.getLogger(__name__)


MAX_RECORDS = 2**53
"""Sum of weights at most. Beyond it records cannot be counted one by one, and ``tol`` is less than rounding."""


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


def _plain(value: Any) -> Any:
    """Turn a numpy scalar into Python's own, and a whole float into an integer."""
    if isinstance(value, (np.float16, np.float32)):
        value = float(str(value))  # 0.1, not the 0.10000000149 that its bits come to
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _texts(plain: Any) -> list[str]:
    """List the ways in which a value is written: a whole number also with a decimal point, as beside holes."""
    is_whole = isinstance(plain, int) and not isinstance(plain, bool)
    return [str(plain), f"{plain}.0"] if is_whole else [str(plain)]


def match_states(values: Iterable[Any], states: Sequence[Hashable]) -> list[int | None]:
    """Find the position of each value among the states.

    Values are compared as Python does, so that 1.0 matches 1 and True matches 1; what
    is not found so is compared by its text, so that the integer 1 of a table matches the
    state "1" or "1.0" of a BIF file, and the other way round.

    Parameters
    ----------
    values : iterable
        Values without missing ones.
    states : sequence of hashables
        The known states.

    Returns
    -------
    list of int or None
        None where no state matches, or where two do by their text.

    Examples
    --------
    >>> match_states([1.0, "b", 7], ["1", "b"])
    [0, 1, None]
    """
    by_value = {state: position for position, state in enumerate(states)}
    by_text: dict[str, int | None] = {}
    for position, state in enumerate(states):
        for text in _texts(_plain(state)):
            by_text[text] = None if text in by_text else position

    def find(plain: Any) -> int | None:
        return by_value.get(plain, next((by_text[text] for text in _texts(plain) if text in by_text), None))

    return [find(plain) for plain in map(_plain, values)]


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


def is_hashable(value: Any) -> bool:
    """Tell whether a value can be looked up; a tuple that holds a list can not."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def sort_states(values: Iterable[Any]) -> list[Any]:
    """Sort states as pgmpy does; states of mixed types, which do not compare, by type and text."""
    plain = [_plain(value) for value in values]
    try:
        return sorted(plain)
    except TypeError:
        return sorted(plain, key=lambda value: (type(value).__name__, str(value)))


def observed_states(table: Table) -> dict[Hashable, list[Any]]:
    """List the distinct states that each column shows, sorted; none where all of it is missing.

    A number and its text, such as 1 and "1", are one state, the number: `match_states` takes the one for the other.
    """
    return {name: sort_states(_differ_in_writing(column.values)) for name, column in table.columns.items()}


def _differ_in_writing(values: Iterable[Any]) -> list[Any]:
    """Leave out values that are written as another one is; texts before all others."""
    written: set[str] = set()
    kept = []
    for value in sorted(sort_states(values), key=lambda value: isinstance(value, str)):
        texts = _texts(value)
        if written.isdisjoint(texts):
            kept.append(value)
        written.update(texts)
    return kept


def check_columns(data: Any, names: Sequence[Hashable]) -> list[Hashable]:
    """Check that the data is a table with at most one column for each variable.

    Returns
    -------
    list
        The columns that are no variable of the model: see `note_ignored`.
    """
    if not isinstance(data, pd.DataFrame):
        kind = type(data)
        way_out = "data.to_pandas()" if hasattr(kind, "to_pandas") else "pandas.DataFrame(data, columns=[...])"
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        raise TypeError(f"data must be a pandas DataFrame. Got: {name}. Convert it: {way_out}.")
    known, columns = set(names), data.columns.to_list()
    duplicated = [name for name in data.columns[data.columns.duplicated()].unique() if name in known]
    if duplicated:
        raise ValueError(f"data has several columns named {duplicated}; keep one for each variable.")
    if len(data) == 0:
        raise ValueError("data has no rows; at least one is needed.")
    if columns and known.isdisjoint(columns):
        raise ValueError(f"none of the data's columns {columns} is a variable of the model. Known: {list(names)}.")
    return [name for name in columns if name not in known]


def note_ignored(columns: Sequence[Hashable]) -> None:
    """Say which columns are no variables."""
    if columns:
        logger.info("The columns %s are no variables of the model: ignored.", list(columns))


def check_weight(sample_weight: Any, data: pd.DataFrame) -> FloatArray:
    """Check a table's row weights; without any, every row weighs one record.

    Returns
    -------
    float ndarray of shape (n_rows,)
        Finite, >= 0, not all zero, of a sum that is at most `MAX_RECORDS`.
    """
    n_rows = len(data)
    if sample_weight is None:
        return np.ones(n_rows)
    try:
        given = np.asarray(sample_weight)
        weight = None if np.iscomplexobj(given) else np.array(sample_weight, dtype=float)
    except (TypeError, ValueError, OverflowError):
        weight = None
    if weight is None:
        raise ValueError("sample_weight must be real numbers that a float can hold, one for each row.")
    if weight.ndim != 1 or len(weight) != n_rows:
        raise ValueError(
            f"sample_weight must be one number for each of the {n_rows} rows. Got: an array of shape {weight.shape}."
        )
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        raise ValueError(
            f"sample_weight must be finite and >= 0. Got: {weight[wrong[0]]} in row {wrong[0]} (counting from 0)."
        )
    with np.errstate(over="ignore"):
        total = float(weight.sum())
    if total == 0:
        raise ValueError("sample_weight is zero for every row; at least one must be positive.")
    if total > MAX_RECORDS:
        raise ValueError(
            f"sample_weight adds up to {total:,.6g} records, more than the {MAX_RECORDS:,} that double precision can "
            "count. Divide all weights by a constant."
        )
    _check_alignment(sample_weight, data)
    return weight


def _check_alignment(sample_weight: Any, data: pd.DataFrame) -> None:
    """Refuse a Series whose index is the table's in another order: by position it would weigh other rows."""
    if not isinstance(sample_weight, pd.Series) or sample_weight.index.equals(data.index):
        return
    if len(sample_weight) == len(data) and data.index.is_unique and set(sample_weight.index) == set(data.index):
        raise ValueError(
            "sample_weight has the data's index in another order, and weights go by position. "
            "Pass sample_weight.loc[data.index], or sample_weight.to_numpy() if the order is meant."
        )


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
    dtype = np.min_scalar_type(-max(network.cardinalities))
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
            f"column {name!r}, row {row} (counting from 0): the state {_plain(values[unknown])!r} is not among "
            f"{list(states)}, the states of {name!r} by {sources.get(name, 'the fitted model')}. Correct the cell, "
            f"make it missing, or declare the state with state_names={{{name!r}: [...]}}."
        )
    return [*(position for position in positions if position is not None), MISSING]
