"""Starts that are symmetric in a latent's states: fixed subspaces that EM never leaves."""

import numpy as np

from pgmpy_em_ext.network import Network
from pgmpy_em_ext.types import FloatArray


def symmetric_latents(network: Network, parameters: FloatArray) -> list[int]:
    """Find latent variables of which two states cannot be told apart by EM.

    Two states of a latent stay copies of each other for ever where every child's CPD is
    the same for both and their own probabilities have the same ratio in every parent
    configuration: each row's posterior then splits between them in that ratio.

    Parameters
    ----------
    network : Network
        The structure, with its latents.
    parameters : float ndarray of shape (n_cells,)
        The start.

    Returns
    -------
    list of int
        Those of more than one state and with at least one child.
    """
    return [
        node
        for node in sorted(network.latents)
        if network.children[node] and _has_symmetric_pair(network, parameters, node)
    ]


def _has_symmetric_pair(network: Network, parameters: FloatArray, node: int) -> bool:
    own = network.block(parameters, node).reshape(-1, network.cardinalities[node])
    profiles = []
    for child in network.children[node]:
        axis = network.families[child].parents.index(node)
        profiles.append(np.moveaxis(network.block(parameters, child), axis, 0).reshape(len(own[0]), -1))
    profile = np.concatenate(profiles, axis=1)
    for state in range(1, len(profile)):
        for other in range(state):
            # Proportional columns a and b: all two-by-two determinants vanish, a * sum(b) = b * sum(a).
            ratio = own[:, state] * own[:, other].sum() - own[:, other] * own[:, state].sum()
            if np.array_equal(profile[state], profile[other]) and np.abs(ratio).max() < 1e-15:
                return True
    return False
