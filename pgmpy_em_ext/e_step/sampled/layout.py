"""A network and its rows as compiled loops read them."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.e_step.exact.compile import Roles, find_roles
from pgmpy_em_ext.e_step.exact.order import rank_orders
from pgmpy_em_ext.types import IntArray


class NetworkArrays(NamedTuple):
    """Families, cardinalities and an elimination order.

    Attributes
    ----------
    card : int64 ndarray of shape (n_nodes,)
        Number of states.
    offset : int64 ndarray of shape (n_nodes + 1,)
        Start of each family's block of parameters.
    member_first, member, stride : int64 ndarrays
        Family f has the members ``member[member_first[f]:member_first[f + 1]]``, with these strides
        in its block, in cells.
    touching_first, touching : int64 ndarrays
        The families that contain each node, in the same way.
    order : int64 ndarray of shape (n_nodes,)
        The elimination order, one for all rows.
    """

    card: IntArray
    offset: IntArray
    member_first: IntArray
    member: IntArray
    stride: IntArray
    touching_first: IntArray
    touching: IntArray
    order: IntArray


def _ragged(lists: Sequence[Sequence[int]]) -> tuple[IntArray, IntArray]:
    """Join lists of integers; the first array says where each begins."""
    first = np.concatenate([[0], np.cumsum([len(entries) for entries in lists])]).astype(np.int64)
    return first, np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=int(first[-1]))


def flat_arrays(network: Network, order: Sequence[int]) -> NetworkArrays:
    """Lay a network out for the kernels, with the elimination order to use."""
    member_first, member = _ragged([family.members for family in network.families])
    _, stride = _ragged(network.strides)
    touching_first, touching = _ragged([(node, *network.children[node]) for node in range(network.n_nodes)])
    return NetworkArrays(
        np.array(network.cardinalities, dtype=np.int64),
        network.offsets.astype(np.int64),
        member_first,
        member,
        stride,
        touching_first,
        touching,
        np.array(order, dtype=np.int64),
    )


class RowLayout(NamedTuple):
    """Rows, and what is to be inferred in each.

    Attributes
    ----------
    net : NetworkArrays
        The network, with an elimination order for these rows.
    roles : Roles
        What each row's variables are.
    codes : int ndarray of shape (n_rows, n_nodes)
        The rows, -1 where missing; variables of one state are filled in, since nothing is to be inferred.
    """

    net: NetworkArrays
    roles: Roles
    codes: IntArray


def lay_out_rows(
    network: Network, codes: IntArray, *, prune_barren: bool, order: Sequence[int] | None = None
) -> RowLayout:
    """Tell what is to be inferred in each row, and in which order.

    Parameters
    ----------
    network : Network
        Structure and layout.
    codes : int ndarray of shape (n_rows, n_nodes)
        Rows, -1 where missing.
    prune_barren : bool
        Whether barren variables drop out. A variable of one state does not count as observed here.
    order : sequence of int, optional
        The elimination order; by default the one that these rows take least work with.
    """
    alive, dead = find_roles(network, codes, prune_barren=prune_barren)
    codes = codes.copy(order="K")
    for node in np.flatnonzero(np.array(network.cardinalities) == 1).tolist():
        alive[:, node], codes[:, node] = False, 0
    if order is None:
        order = rank_orders(network, alive, dead)[0] if alive.any() else range(network.n_nodes)
    return RowLayout(flat_arrays(network, order), Roles(alive, dead), codes)
