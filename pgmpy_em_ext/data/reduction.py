"""From encoded rows to distinct evidence: a monoid, so that chunks reduce apart and merge."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import sorted_rows, take_rows, weighted_bincount
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.rows import EncodedData, Evidence
from pgmpy_em_ext.types import MISSING, BoolArray, FloatArray, IntArray


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
    first, inverse = sorted_rows([*codes.T, _rank_of_weight(weight)])
    total = np.zeros(len(first), dtype=np.int64)
    np.add.at(total, inverse, multiplicity)
    earliest = np.full(len(first), np.iinfo(np.int64).max)
    np.minimum.at(earliest, inverse, first_row)
    return take_rows(codes, first), weight[first], total, earliest


def _rank_of_weight(weight: FloatArray) -> IntArray:
    """Give the distinct weights numbers in their order."""
    if (weight == weight[0]).all():
        return np.zeros(len(weight), dtype=np.int64)
    return np.unique(weight, return_inverse=True)[1]


def reduce_rows(data: EncodedData) -> Reduction:
    """Count the distinct rows of a chunk of data; those of weight zero count for nothing.

    Examples
    --------
    >>> codes = np.array([[0, -1], [1, 1], [0, -1]])
    >>> reduction = reduce_rows(EncodedData(codes, np.ones(3), np.arange(3)))
    >>> reduction.codes, reduction.multiplicity
    (array([[ 0, -1], [ 1, 1]]), array([2, 1]))
    """
    codes, weight, row = data
    if not (weight > 0).all():
        kept = np.flatnonzero(weight > 0)
        codes, weight, row = take_rows(codes, kept), weight[kept], row[kept]
    return Reduction(*_collect(codes, weight, np.ones(len(codes), dtype=np.int64), row))


class EmptyRows(NamedTuple):
    """Rows of positive weight that observe nothing, and are no part of the sample: their likelihood is always one.

    Attributes
    ----------
    n_rows : int
        How many there are.
    weight : float
        What they add up to, in records.
    """

    n_rows: int
    weight: float


def count_empty(reduction: Reduction) -> EmptyRows:
    """Count the rows that observe nothing; none where there are no others: a fit then says what its prior says."""
    empty = ~observes(reduction.codes)
    if empty.all():
        return EmptyRows(0, 0.0)
    return EmptyRows(
        int(reduction.multiplicity[empty].sum()), float(reduction.weight[empty] @ reduction.multiplicity[empty])
    )


def take_sample(evidence: Evidence) -> Evidence:
    """Leave out the row that observes nothing, if there are others."""
    kept = observes(evidence.codes)
    return evidence if kept.all() or not kept.any() else take_evidence(evidence, np.flatnonzero(kept))


def observes(codes: IntArray) -> BoolArray:
    """Mark the rows that have the state of a variable at least."""
    return (codes != MISSING).any(axis=1)


def merge(left: Reduction, right: Reduction) -> Reduction:
    """Merge the reductions of two chunks: the same as reducing their rows together."""
    codes, weight, multiplicity, first_row = (np.concatenate(pair) for pair in zip(left, right, strict=True))
    return Reduction(*_collect(codes, weight, multiplicity, first_row))


def to_evidence(reduction: Reduction) -> Evidence:
    """Add up the weights of equal rows, in an order that depends on their values alone."""
    if len(reduction.weight) and (reduction.weight == reduction.weight[0]).all():  # then no two kinds have equal codes
        return Evidence(reduction.codes, reduction.weight * reduction.multiplicity, reduction.first_row)
    alike = np.zeros(len(reduction.weight), dtype=np.int64)  # where there is no variable, all rows are equal
    first, inverse = sorted_rows([alike, *reduction.codes.T])
    weight = weighted_bincount(inverse, reduction.weight * reduction.multiplicity, len(first))
    first_row = np.full(len(first), np.iinfo(np.int64).max)
    np.minimum.at(first_row, inverse, reduction.first_row)
    return Evidence(take_rows(reduction.codes, first), weight, first_row)


def rows_with_weight(evidence: Evidence) -> Evidence:
    """Leave out the rows that weigh nothing."""
    kept = np.flatnonzero(evidence.weight > 0)
    return evidence if len(kept) == len(evidence.weight) else take_evidence(evidence, kept)


def take_evidence(evidence: Evidence, chosen: IntArray) -> Evidence:
    """Take some of the rows."""
    return Evidence(take_rows(evidence.codes, chosen), evidence.weight[chosen], evidence.first_row[chosen])


def observed_whole(network: Network, node: int, codes: IntArray) -> BoolArray:
    """Mark the rows that observe all members of a family."""
    return np.logical_and.reduce([codes[:, member] != MISSING for member in network.families[node].members])


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
        start, stop = network.offsets[node : node + 2]
        cells = network.cells(node, codes) - start
        cells[~observed_whole(network, node, codes)] = stop - start
        counts[start:stop] = weighted_bincount(cells, weight, stop - start + 1)[:-1]
    return counts
