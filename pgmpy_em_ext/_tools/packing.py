"""Equal rows of integer columns, found exactly, and sums over them.

Equal keys are found by pandas' hash table, which compares the keys themselves, so that no
collision can merge two rows; it is several times faster than sorting.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pgmpy_em_ext.types import FloatArray, IntArray

_LIMIT = 2**63


def _ranked(key: IntArray) -> tuple[IntArray, IntArray]:
    """Give a key's distinct values numbers in their order: the first position of each, and every key's number."""
    number, kinds = pd.factorize(key)
    by_value = np.argsort(kinds)  # no two are equal
    rank = np.empty_like(by_value)
    rank[by_value] = np.arange(len(by_value))
    return _first_positions(number, len(kinds))[by_value], rank[number]


def _first_positions(number: IntArray, n_kinds: int) -> IntArray:
    """Where each of some numbered kinds appears first."""
    first = np.empty(n_kinds, dtype=np.int64)
    first[number[::-1]] = np.arange(len(number) - 1, -1, -1)  # of equal positions the last assignment stays
    return first


def pack_columns(columns: Sequence[IntArray]) -> IntArray:
    """Combine integer columns to one 64-bit key that is equal where all of them are.

    The key is a mixed-radix number, first column most significant, so that its
    order is the lexicographic order of the columns. Where the number would not
    fit, the digits so far are renumbered densely, which keeps both properties.

    Parameters
    ----------
    columns : sequence of int ndarrays of shape (n,)
        At least one; n at least 1.

    Returns
    -------
    int64 ndarray of shape (n,)
    """
    key: IntArray = np.zeros(len(columns[0]), dtype=np.int64)
    radix = 1
    for column in columns:
        low = int(column.min())
        span = int(column.max()) - low + 1
        if radix * span >= _LIMIT:
            first, key = _ranked(key)
            radix = len(first)
        if radix * span >= _LIMIT:
            first, column = _ranked(column)
            low, span = 0, len(first)
        if span > 1:
            key *= span
            key += column
            key -= low
        radix *= span
    return key


def distinct_rows(columns: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """Find the distinct rows of a table of integer columns.

    Parameters
    ----------
    columns : sequence of int ndarrays of shape (n,)
        The columns.

    Returns
    -------
    first : int ndarray of shape (n_distinct,)
        Position of the first row of each kind, kinds in the order in which they appear.
    inverse : int ndarray of shape (n,)
        Which kind each row is.

    Examples
    --------
    >>> first, inverse = distinct_rows([np.array([1, 0, 1]), np.array([5, 7, 5])])
    >>> first, inverse
    (array([0, 1]), array([0, 1, 0]))
    """
    if len(columns[0]) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    inverse, kinds = pd.factorize(pack_columns(columns))
    return _first_positions(inverse, len(kinds)), inverse


def sorted_rows(columns: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """Find the distinct rows of a table as `distinct_rows` does, kinds in lexicographic order."""
    if len(columns[0]) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return _ranked(pack_columns(columns))


def hash_rows(table: IntArray) -> IntArray:
    """Give every row of a table of integers a number of 64 bits that depends on nothing else.

    Equal rows have equal numbers; others have different ones but for rare collisions, so that this is for
    random numbers, not for finding equal rows.
    """
    hashes = pd.util.hash_pandas_object(pd.DataFrame(table.astype(np.int64)), index=False)
    return hashes.to_numpy().view(np.int64)


def take_rows(table: IntArray, rows: IntArray) -> IntArray:
    """Take rows of a table and store them column by column, which is how tables of codes are read."""
    return np.take(table.T, rows, axis=1).T


def weighted_bincount(bins: IntArray, weight: FloatArray, n_bins: int) -> FloatArray:
    """Sum weights by bin, as floats even where there is nothing to sum.

    Returns
    -------
    float ndarray of shape (n_bins,)
    """
    return np.bincount(bins, weights=weight, minlength=n_bins).astype(np.float64, copy=False)


def ranges(starts: IntArray, lengths: IntArray) -> IntArray:
    """Concatenate the integer ranges [start, start + length).

    Examples
    --------
    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)
