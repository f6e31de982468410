"""The states that flow from one layer to the next: plain tuples of arrays, never modified."""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MISSING = -1
"""The code of a missing cell and of a latent variable."""

IntArray = NDArray[np.integer]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


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


class Blocks(NamedTuple):
    """Which families the data joins.

    The log-likelihood is a sum over independent blocks of families, each a function of
    its own families' parameters alone; so EM climbs, and stops, in each on its own.

    Attributes
    ----------
    of_family : int ndarray of shape (n_nodes,)
        The block of each family, from 0; ``n_blocks`` for families that need no inference.
    of_cell : int ndarray of shape (n_cells,)
        The same of each parameter.
    n_blocks : int
        Number of blocks.
    """

    of_family: IntArray
    of_cell: IntArray
    n_blocks: int


class CPDColumn(NamedTuple):
    """A column of a CPD: the distribution of a variable under one parent configuration.

    Attributes
    ----------
    variable : hashable
        The child.
    parents : dict
        The state of each parent; empty where there is none.
    """

    variable: Hashable
    parents: dict[Hashable, Hashable]


class ExpectedStatistics(NamedTuple):
    """What an E-step returns.

    Attributes
    ----------
    counts : float ndarray of shape (n_cells,)
        Expected counts of every family, in records, in the flat layout of `Network`.
    log_likelihood : float
        Log-likelihood of the observed data under the parameters that the counts
        were computed with, in nats, summed over records.
    block_log_likelihood : float ndarray of shape (n_blocks + 1,), optional
        Its parts, where the engine tells independent blocks of families apart; the last is
        that of the families outside. 0 for blocks at rest, whose counts are 0 too.
    """

    counts: FloatArray
    log_likelihood: float
    block_log_likelihood: FloatArray | None = None
