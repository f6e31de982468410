"""Starts that are symmetric in a hidden variable's states: fixed subspaces that EM never leaves."""

from collections.abc import Iterable

import numpy as np

from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.types import MISSING, FloatArray, IntArray


def unlinked_nodes(network: Network, codes: IntArray) -> tuple[int, ...]:
    """Find the variables that no row shows together with one of their children.

    Latents are such, and so is a variable that was only observed apart from its children, as
    when two surveys are joined: nothing counted says how its children depend on it.

    Parameters
    ----------
    network : Network
        The structure.
    codes : int ndarray of shape (n, n_nodes)
        Rows, -1 where missing.

    Returns
    -------
    tuple of int
        Those that have a child.
    """
    observed = [codes[:, node] != MISSING for node in range(network.n_nodes)]
    return tuple(
        node
        for node, children in enumerate(network.children)
        if children and not any((observed[node] & observed[child]).any() for child in children)
    )


def symmetric_nodes(network: Network, parameters: FloatArray, nodes: Iterable[int]) -> list[int]:
    """Find unlinked variables of which two states cannot be told apart by EM.

    Two states stay copies of each other for ever where every child's CPD is the same for
    both and their own probabilities have the same ratio in every parent configuration: each
    row's posterior then splits between them in that ratio.

    Parameters
    ----------
    network : Network
        The structure.
    parameters : float ndarray of shape (n_cells,)
        The start.
    nodes : iterable of int
        What `unlinked_nodes` found.

    Returns
    -------
    list of int
        Those of them that have such a pair of states.
    """
    return [node for node in nodes if _has_symmetric_pair(network, parameters, node)]


def _has_symmetric_pair(network: Network, parameters: FloatArray, node: int) -> bool:
    own = network.block(parameters, node).reshape(-1, network.cardinalities[node])
    profiles = []
    for child in network.children[node]:
        axis = network.families[child].parents.index(node)
        profiles.append(np.moveaxis(network.block(parameters, child), axis, 0).reshape(own.shape[1], -1))
    _, kind = np.unique(np.concatenate(profiles, axis=1), axis=0, return_inverse=True)
    for alike in np.flatnonzero(np.bincount(kind) > 1):
        states = np.flatnonzero(kind == alike)
        # Proportional columns are equal once each is scaled to sum to one, and sorting brings them side by side.
        scaled = own[:, states] / np.maximum(own[:, states].sum(axis=0), np.finfo(float).tiny)
        scaled = scaled[:, np.lexsort(scaled)]
        if (np.abs(np.diff(scaled, axis=1)).max(axis=0) < 1e-15).any():
            return True
    return False
