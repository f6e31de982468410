"""Where EM starts in networks with continuous variables."""

import numpy as np

from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows
from pgmpy_em_ext.cpd_family.linear_gaussian import LinearGaussian
from pgmpy_em_ext.types import FloatArray, IntArray

NOISE = 0.5
"""Variance of standardised children of latent variables at the start."""


def available_case_start(network: HybridNetwork, family: LinearGaussian, rows: HybridRows) -> FloatArray:
    """Regress each variable on its parents in the rows that observe all of them.

    A configuration of the discrete parents with fewer rows than twice the coefficients keeps means of its own and
    shares the covariance of all configurations, so that no two of them start alike. One without any row starts as all
    rows together; where these are too few too, the variable starts independent of its parents: standardised, it has
    mean 0 and variance 1.

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
        if complete.sum() < least:
            continue
        n_configs = int(net.n_configs[node])
        config = network.configuration_of(node, rows.codes[complete])
        products, weight = _products(rows.values[complete][:, members]), rows.weight[complete]
        all_rows = products @ weight
        of_config: FloatArray = np.stack(
            [np.bincount(config + 1, column * weight, minlength=n_configs + 1)[1:] for column in products], axis=1
        )
        n_rows = np.bincount(config + 1, minlength=n_configs + 1)[1:]
        too_few = (n_rows > 0) & (n_rows < least)
        of_config[too_few] = _share_covariance(of_config, all_rows)[too_few]
        _moments(net.moment_offset, together, node)[...] = np.tile(all_rows, n_configs)
        _moments(net.moment_offset, apart, node)[...] = of_config.ravel()
    return family.regress(apart, family.regress(together, start))


def _share_covariance(moments: FloatArray, all_rows: FloatArray) -> FloatArray:
    """Give each configuration's moments the covariance of all, each about its own means.

    One record of the rows' whole covariance is added, so that configurations of equal rows do not start collapsed.

    Parameters
    ----------
    moments : float ndarray of shape (n_configs, n_products)
        Sums of products of (1, values) in each configuration, the lower triangle.
    all_rows : float ndarray of shape (n_products,)
        Those of all rows.
    """
    size = int(np.sqrt(2 * moments.shape[1]))
    one, other = np.tril_indices(size)
    first = np.flatnonzero(other == 0)  # the sums of 1 and of the values

    def about_means(sums: FloatArray) -> FloatArray:
        weight = np.where(sums[..., :1] > 0, sums[..., :1], 1.0)
        means = sums[..., first] / weight
        return sums - weight * means[..., one] * means[..., other]

    covariance = about_means(moments).sum(axis=0) + about_means(all_rows) / all_rows[0]
    covariance /= moments[:, 0].sum() + 1
    weight = moments[:, :1]
    means = moments[:, first] / np.where(weight > 0, weight, 1.0)
    return weight * (means[:, one] * means[:, other] + covariance)


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
