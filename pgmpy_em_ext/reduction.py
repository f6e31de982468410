"""From encoded rows to distinct evidence: a monoid, so that chunks reduce apart and merge."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.network import Network
from pgmpy_em_ext.packing import sorted_rows, weighted_bincount
from pgmpy_em_ext.types import MISSING, BoolArray, EncodedData, Evidence, FloatArray, IntArray


class Reduction(NamedTuple):
    """Rows counted by kind: equal codes and equal weight.

    Integers alone are added, so merging is exact, associative and commutative,
    and neither the order of the rows nor the size of the chunks can change a bit
    of any result.

    Attributes
    ----------
    codes : int ndarray of shape (n_kinds, n_nodes)
        Observed states, -1 where missing.
    weight : float ndarray of shape (n_kinds,)
        The weight of one row of the kind, > 0.
    multiplicity : int64 ndarray of shape (n_kinds,)
        How many rows are of the kind.
    first_row : int ndarray of shape (n_kinds,)
        Position of the first of them in the user's table.
    """

    codes: IntArray
    weight: FloatArray
    multiplicity: IntArray
    first_row: IntArray


def _collect(
    codes: IntArray, weight: FloatArray, multiplicity: IntArray, first_row: IntArray
) -> tuple[IntArray, FloatArray, IntArray, IntArray]:
    """Count rows of the same codes and weight together."""
    if len(codes) == 0:
        return codes, weight, multiplicity, first_row
    _, weight_rank = np.unique(weight, return_inverse=True)
    first, inverse = sorted_rows([*codes.T, weight_rank])
    total = np.zeros(len(first), dtype=np.int64)
    np.add.at(total, inverse, multiplicity)
    earliest = np.full(len(first), np.iinfo(np.int64).max)
    np.minimum.at(earliest, inverse, first_row)
    return codes[first], weight[first], total, earliest


def reduce_rows(data: EncodedData) -> Reduction:
    """Count the distinct rows of a chunk of data; those of weight zero count for nothing.

    Examples
    --------
    >>> codes = np.array([[0, -1], [1, 1], [0, -1]])
    >>> reduction = reduce_rows(EncodedData(codes, np.ones(3), np.arange(3)))
    >>> reduction.codes, reduction.multiplicity
    (array([[ 0, -1], [ 1, 1]]), array([2, 1]))
    """
    kept = data.weight > 0
    codes, weight, row = data.codes[kept], data.weight[kept], data.row[kept]
    return Reduction(*_collect(codes, weight, np.ones(len(codes), dtype=np.int64), row))


def merge(left: Reduction, right: Reduction) -> Reduction:
    """Merge the reductions of two chunks: the same as reducing their rows together."""
    codes, weight, multiplicity, first_row = (np.concatenate(pair) for pair in zip(left, right, strict=True))
    return Reduction(*_collect(codes, weight, multiplicity, first_row))


def to_evidence(reduction: Reduction) -> Evidence:
    """Add up the weights of equal rows, in an order that depends on their values alone."""
    first, inverse = sorted_rows(list(reduction.codes.T))
    weight = weighted_bincount(inverse, reduction.weight * reduction.multiplicity, len(first))
    first_row = np.full(len(first), np.iinfo(np.int64).max)
    np.minimum.at(first_row, inverse, reduction.first_row)
    return Evidence(reduction.codes[first], weight, first_row)


def observed_whole(network: Network, node: int, codes: IntArray) -> BoolArray:
    """Mark the rows that observe all members of a family."""
    return (codes[:, list(network.families[node].members)] != MISSING).all(axis=1)


def family_counts(network: Network, codes: IntArray, weight: FloatArray) -> FloatArray:
    """Count each family over the rows that observe all of it (available cases).

    Parameters
    ----------
    network : Network
        The families to count.
    codes : int ndarray of shape (n, n_nodes)
        Rows, -1 where missing.
    weight : float ndarray of shape (n,)
        Weights, in records.

    Returns
    -------
    float ndarray of shape (network.n_cells,)
        Counts in the flat layout.
    """
    counts = np.zeros(network.n_cells)
    for node in range(network.n_nodes):
        observed = observed_whole(network, node, codes)
        start, stop = network.offsets[node : node + 2]
        cells = network.cells(node, codes[observed]) - start
        counts[start:stop] = weighted_bincount(cells, weight[observed], stop - start)
    return counts
