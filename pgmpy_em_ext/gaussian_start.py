"""Where EM starts in a linear Gaussian network."""

import numpy as np

from pgmpy_em_ext.continuous import ContinuousNetwork
from pgmpy_em_ext.cpd_family.linear_gaussian import LinearGaussian
from pgmpy_em_ext.gaussian import ContinuousRows
from pgmpy_em_ext.types import FloatArray

NOISE = 0.5
"""Variance of standardised children of latent variables at the start."""


def available_case_start(network: ContinuousNetwork, family: LinearGaussian, rows: ContinuousRows) -> FloatArray:
    """Regress each variable on its parents in the rows that observe all of them.

    Where these are fewer than twice the coefficients, the variable starts independent of its parents; standardised,
    it has mean 0 and variance 1.
    """
    net = network.net
    moments = np.zeros(family.n_statistics)
    start = np.zeros(net.offset[-1])
    for node in range(net.n_nodes):
        net.block(start, node)[:, -1] = 1.0
        members = [*net.parents(node), node]
        complete = ~np.isnan(rows.values[:, members]).any(axis=1)
        if complete.sum() < 2 * (len(members) + 1):
            continue
        design = np.column_stack([np.ones(int(complete.sum())), rows.values[complete][:, members]])
        products = design.T @ (rows.weight[complete, None] * design)
        size = len(members) + 1
        moments[net.moment_offset[node] : net.moment_offset[node + 1]] = products[np.tril_indices(size)]
    return family.maximize(moments, start)


def random_start(
    network: ContinuousNetwork, family: LinearGaussian, rows: ContinuousRows, rng: np.random.Generator
) -> FloatArray:
    """Draw the coefficients of families with a latent member; the others start from the available cases.

    Zero coefficients of a latent variable would be a saddle point, which EM never leaves.
    """
    start = available_case_start(network, family, rows)
    latents = set(network.latents)
    for node in range(network.net.n_nodes):
        parents = network.net.parents(node)
        if family.fixed[node] or not latents & {node, *parents}:
            continue
        block = network.net.block(start, node)
        block[:, 1:-1] = rng.normal(size=(len(block), len(parents))) / np.sqrt(max(2 * len(parents), 1))
        block[:, 0], block[:, -1] = 0.0, NOISE
    return start
