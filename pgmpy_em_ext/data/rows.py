"""Rows as the E-step sees them."""

from typing import NamedTuple

from pgmpy_em_ext.types import FloatArray, IntArray


class EncodedData(NamedTuple):
    """A table as integers.

    Attributes
    ----------
    codes : int ndarray of shape (n_rows, n_nodes)
        Index of the observed state; -1 where missing or latent.
    weight : float ndarray of shape (n_rows,)
        Weight of each row, in records, >= 0.
    row : int ndarray of shape (n_rows,)
        Position of each row in the user's table, for messages.
    """

    codes: IntArray
    weight: FloatArray
    row: IntArray


class Evidence(NamedTuple):
    """Distinct rows, in lexicographic order of their codes, which are stored column by column.

    Attributes
    ----------
    codes : int ndarray of shape (n_distinct, n_nodes)
        As in `EncodedData`; no two rows are equal.
    weight : float ndarray of shape (n_distinct,)
        Total weight of the rows that are equal to this one, in records, > 0.
    first_row : int ndarray of shape (n_distinct,)
        Position in the user's table of the first of them.
    """

    codes: IntArray
    weight: FloatArray
    first_row: IntArray
