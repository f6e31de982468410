"""Rows of continuous variables, as the kernel works on them."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.gaussian import GaussianArrays
from pgmpy_em_ext.packing import sorted_rows
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray


class Kinds(NamedTuple):
    """What tasks have in common: which variables are missing, which families matter, under which configurations.

    Attributes
    ----------
    node_first, node : int64 ndarrays
        Kind k integrates the missing variables ``node[node_first[k]:node_first[k + 1]]`` out.
    family_first, family : int64 ndarrays
        Its families, in the same way.
    config_first, config : int64 ndarrays
        From ``config_first[k]`` on, for each configuration of the missing discrete parents, that of every family's
        discrete parents.
    """

    node_first: IntArray
    node: IntArray
    family_first: IntArray
    family: IntArray
    config_first: IntArray
    config: IntArray


class Tasks(NamedTuple):
    """Rows to work on, those of a kind together.

    Attributes
    ----------
    kind, row : int64 ndarrays of shape (n_tasks,)
        Kind, and row of the values.
    weight : float ndarray of shape (n_tasks,)
        In records.
    entry_first : int64 ndarray of shape (n_tasks + 1,)
        Where each task's configurations begin among those of all.
    """

    kind: IntArray
    row: IntArray
    weight: FloatArray
    entry_first: IntArray


def barren(net: GaussianArrays, missing: BoolArray) -> BoolArray:
    """Mark each row's missing variables without an observed descendant, which integrate to one.

    Parameters
    ----------
    net : GaussianArrays
        Nodes in a topological order.
    missing : bool ndarray of shape (n_rows, n_nodes)
        Where a value is missing.
    """
    dead = missing.copy()
    for node in range(net.n_nodes - 1, -1, -1):
        for parent in net.parents(node):
            dead[:, parent] &= dead[:, node]
    return dead


def lay_out_rows(
    net: GaussianArrays, missing: BoolArray, weight: FloatArray, *, prune_barren: bool = True
) -> tuple[Kinds, Tasks]:
    """Lay rows of continuous variables out, one task each.

    Parameters
    ----------
    net : GaussianArrays
        Nodes in a topological order.
    missing : bool ndarray of shape (n_rows, n_nodes)
        Where a value is missing.
    weight : float ndarray of shape (n_rows,)
        In records.
    prune_barren : bool
        Whether barren variables drop out.
    """
    first, kind = sorted_rows(list(missing.astype(np.int64).T))
    patterns = missing[first]
    dead = barren(net, patterns) if prune_barren else np.zeros_like(patterns)
    node_first, node = _list_true(patterns & ~dead)
    family_first, family = _list_true(~dead)
    kinds = Kinds(node_first, node, family_first, family, family_first, np.zeros_like(family))
    order = np.argsort(kind, kind="stable")
    return kinds, Tasks(kind[order], order, weight[order], np.arange(len(order) + 1))


def _list_true(mask: BoolArray) -> tuple[IntArray, IntArray]:
    """List the true entries of each row of a table; the first array says where each row's begin."""
    rows, columns = np.nonzero(mask)
    return np.searchsorted(rows, np.arange(len(mask) + 1)), columns
