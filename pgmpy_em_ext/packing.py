"""Equal rows of integer columns, found exactly (no hash that could collide), and sums over them."""

from collections.abc import Sequence

import numpy as np

from pgmpy_em_ext.types import FloatArray, IntArray

_LIMIT = 2**63


def _compact(key: IntArray) -> tuple[IntArray, int]:
    """Renumber a key densely, keeping its order."""
    distinct, inverse = np.unique(key, return_inverse=True)
    return inverse.astype(np.int64), len(distinct)


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
        digit: IntArray = column.astype(np.int64) - low
        if radix * span >= _LIMIT:
            key, radix = _compact(key)
        if radix * span >= _LIMIT:
            digit, span = _compact(digit)
        key = key * span + digit
        radix *= span
    return key


def distinct_rows(columns: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """Find the distinct rows of a table of integer columns.

    Parameters
    ----------
    columns : sequence of int ndarrays of shape (n,)
        The columns, most significant first.

    Returns
    -------
    first : int ndarray of shape (n_distinct,)
        Position of the first row of each kind, kinds in lexicographic order.
    inverse : int ndarray of shape (n,)
        Which kind each row is.

    Examples
    --------
    >>> first, inverse = distinct_rows([np.array([1, 0, 1]), np.array([5, 7, 5])])
    >>> first, inverse
    (array([1, 0]), array([1, 0, 1]))
    """
    if len(columns[0]) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    _, first, inverse = np.unique(pack_columns(columns), return_index=True, return_inverse=True)
    return first, inverse


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
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1])
