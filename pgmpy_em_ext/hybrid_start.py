"""Where EM starts in networks with continuous variables."""

import numpy as np
from sklearn.cluster import kmeans_plusplus

from pgmpy_em_ext.cpd_family.linear_gaussian import LinearGaussian
from pgmpy_em_ext.hybrid import HybridNetwork, HybridRows
from pgmpy_em_ext.types import FloatArray, IntArray

NOISE = 0.5
"""Variance of standardised children of latent variables at the start."""

MAX_SEEDED = 10_000
"""Rows among which centres are sought, at even spacing."""


def available_case_start(network: HybridNetwork, family: LinearGaussian, rows: HybridRows) -> FloatArray:
    """Regress each variable on its parents in the rows that observe all of them.

    Configurations of the discrete parents with fewer records than twice the coefficients start as all of them
    together; where these are too few too, the variable starts independent of its parents: standardised, it has mean 0
    and variance 1.

    Returns
    -------
    float ndarray of shape (net.offset[-1],)
        Parameters of the continuous families.
    """
    net = network.net
    together, apart = np.zeros(family.n_statistics), np.zeros(family.n_statistics)
    start = np.zeros(net.offset[-1])
    for node in range(net.n_nodes):
        net.block(start, node)[:, -1] = 1.0
        members = [*net.parents(node), node]
        least = 2 * (len(members) + 1)
        complete = ~np.isnan(rows.values[:, members]).any(axis=1)
        n_configs = int(net.n_configs[node])
        config = network.configuration_of(node, rows.codes[complete])
        products = _products(rows.values[complete][:, members])
        weight = rows.weight[complete]
        of_config = np.stack(
            [np.bincount(config + 1, column * weight, minlength=n_configs + 1)[1:] for column in products], axis=1
        )
        if complete.sum() >= least:
            _moments(net.moment_offset, together, node)[...] = np.tile(products @ weight, n_configs)
        n_rows = np.bincount(config + 1, minlength=n_configs + 1)[1:]
        _moments(net.moment_offset, apart, node)[...] = np.where((n_rows >= least)[:, None], of_config, 0.0).ravel()
    return family.regress(apart, family.regress(together, start))


def _moments(offset: IntArray, moments: FloatArray, node: int) -> FloatArray:
    return moments[offset[node] : offset[node + 1]]


def _products(values: FloatArray) -> FloatArray:
    """Multiply (1, values) with themselves: the lower triangle, shape (n_products, n_rows)."""
    design = np.vstack([np.ones(len(values)), values.T])
    one, other = np.tril_indices(len(design))
    return design[one] * design[other]


def draw_latent_coefficients(
    network: HybridNetwork, family: LinearGaussian, start: FloatArray, rng: np.random.Generator
) -> None:
    """Draw the coefficients of families with a latent continuous member, in place.

    Zero coefficients of a latent variable would be a saddle point, which EM never leaves.
    """
    latents = set(network.latents)
    for node in range(network.net.n_nodes):
        parents = network.net.parents(node)
        if family.fixed[node] or not latents & {node, *parents}:
            continue
        block = network.net.block(start, node)
        block[:, 1:-1] = rng.normal(size=(len(block), len(parents))) / np.sqrt(max(2 * len(parents), 1))
        block[:, 0], block[:, -1] = 0.0, NOISE
        if node in latents and len(block) > 1:  # equal components would be a saddle point too
            block[:, 0] = rng.normal(size=len(block))


def clustered_nodes(network: HybridNetwork) -> list[int]:
    """List the latent discrete variables that have an observed continuous child, by which rows can be clustered."""
    return [
        node
        for node in sorted(network.discrete.latents if network.discrete else ())
        if any(
            node in parents and child not in network.latents for child, parents in enumerate(network.discrete_parents)
        )
    ]


def cluster(network: HybridNetwork, rows: HybridRows, rng: np.random.Generator, *, at_random: bool) -> IntArray:
    """Give the latent causes of continuous variables a state in each row: that of the nearest of some centres.

    The centres are rows, chosen far apart by k-means++. A row's missing values are taken as their column's mean.

    Parameters
    ----------
    network, rows
        Standardised data.
    rng : numpy.random.Generator
        Source of randomness.
    at_random : bool
        Whether states are drawn, whatever the values.

    Returns
    -------
    int ndarray of shape (n_rows, n_discrete)
        The rows' codes, with these variables filled in.

    References
    ----------
    Arthur & Vassilvitskii (2007), k-means++: the advantages of careful seeding, SODA.
    """
    codes = rows.codes.copy()
    for node in clustered_nodes(network):
        assert network.discrete is not None  # it has the node
        card = network.discrete.cardinalities[node]
        children = [child for child, parents in enumerate(network.discrete_parents) if node in parents]
        points = np.nan_to_num(rows.values[:, children])
        if at_random or len(points) < card:
            codes[:, node] = rng.integers(card, size=len(codes))
            continue
        chosen = np.unique(np.linspace(0, len(points) - 1, min(MAX_SEEDED, len(points))).astype(np.int64))
        if len(np.unique(points[chosen], axis=0)) < card:
            codes[:, node] = rng.integers(card, size=len(codes))
            continue
        centers, _ = kmeans_plusplus(
            points[chosen], card, sample_weight=rows.weight[chosen], random_state=int(rng.integers(2**31))
        )
        distance = ((points[:, None, :] - centers) ** 2).sum(axis=2)
        codes[:, node] = distance.argmin(axis=1)
    return codes
