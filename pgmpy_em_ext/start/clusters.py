"""Clusters of rows from which the latent causes of continuous variables start, by several ways to draw them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.cluster import kmeans_plusplus

from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows
from pgmpy_em_ext.types import FloatArray, IntArray

MAX_SEEDED = 10_000
"""Rows among which centres are sought, at even spacing."""

SPARE_ROWS = 1
"""Rows more than a regression has coefficients, from which it is first estimated: a line through fewer is arbitrary."""


class Cause(NamedTuple):
    """A latent discrete variable with observed continuous children, by which rows can be clustered.

    Attributes
    ----------
    node : int
        The variable.
    card : int
        Number of its states, and so of clusters.
    children : list of int
        Its continuous children.
    covariates : list of lists of int
        For each child, the continuous parents that are not children of the cause themselves: where there are any, the
        clusters are lines (or planes) rather than clouds.
    """

    node: int
    card: int
    children: list[int]
    covariates: list[list[int]]

    @property
    def has_covariates(self) -> bool:
        """Whether the clusters are lines."""
        return any(self.covariates)


def find_causes(network: HybridNetwork) -> list[Cause]:
    """List the latent discrete variables that have an observed continuous child."""
    causes = []
    for node in sorted(network.discrete.latents):
        children = [child for child, parents in enumerate(network.discrete_parents) if node in parents]
        if any(child not in network.latents for child in children):
            covariates = [sorted(set(network.net.parents(child)) - set(children)) for child in children]
            causes.append(Cause(node, network.discrete.cardinalities[node], children, covariates))
    return causes


Draw = Callable[[Cause, FloatArray, FloatArray, np.random.Generator], IntArray]
"""From a cause, standardised values (0 where missing), weights and a source of randomness to a cluster for each row."""


def draw_partition(cause: Cause, values: FloatArray, weight: FloatArray, rng: np.random.Generator) -> IntArray:
    """Draw each row's cluster, whatever its values: all clusters are nearly alike at first."""
    return rng.integers(cause.card, size=len(values))


def draw_far_rows(cause: Cause, values: FloatArray, weight: FloatArray, rng: np.random.Generator) -> IntArray:
    """Give each row the nearest of some rows that k-means++ has chosen far apart.

    References
    ----------
    Arthur & Vassilvitskii (2007), k-means++: the advantages of careful seeding, SODA.
    """
    points = values[:, cause.children]
    chosen = np.unique(np.linspace(0, len(points) - 1, min(MAX_SEEDED, len(points))).astype(np.int64))
    if len(np.unique(points[chosen], axis=0)) < cause.card:
        return draw_partition(cause, values, weight, rng)
    centers, _ = kmeans_plusplus(
        points[chosen], cause.card, sample_weight=weight[chosen], random_state=int(rng.integers(2**31))
    )
    return _nearest(points, centers)


def draw_rows(cause: Cause, values: FloatArray, weight: FloatArray, rng: np.random.Generator) -> IntArray:
    """Give each row the nearest of some rows that were drawn by weight, which may lie close together."""
    points = values[:, cause.children]
    distinct, first = np.unique(points, axis=0, return_inverse=True)
    if len(distinct) < cause.card:
        return draw_partition(cause, values, weight, rng)
    share = np.bincount(first.ravel(), weights=weight)
    return _nearest(points, distinct[rng.choice(len(distinct), cause.card, replace=False, p=share / share.sum())])


def draw_lines(cause: Cause, values: FloatArray, weight: FloatArray, rng: np.random.Generator) -> IntArray:
    """Give each row the nearest of some regressions, each through a few rows that were drawn by weight."""
    n_rows = len(values)
    distance = np.zeros((n_rows, cause.card))
    size = min(n_rows, SPARE_ROWS + 1 + max(len(own) for own in cause.covariates))
    share = weight / weight.sum()
    for cluster in range(cause.card):
        chosen = rng.choice(n_rows, size, replace=False, p=share)
        for child, own in zip(cause.children, cause.covariates, strict=True):
            design = np.column_stack([np.ones(n_rows), values[:, own]])
            coefficients = np.linalg.lstsq(design[chosen], values[chosen, child], rcond=None)[0]
            distance[:, cluster] += (values[:, child] - design @ coefficients) ** 2
    return np.asarray(distance.argmin(axis=1))


def _nearest(points: FloatArray, centers: FloatArray) -> IntArray:
    """Find the number of the nearest centre of each point, the first of equally near ones."""
    return np.asarray(((points[:, None, :] - centers) ** 2).sum(axis=2).argmin(axis=1))


DRAWS: dict[str, Draw] = {
    "kmeans++": draw_far_rows,
    "random_from_data": draw_rows,
    "lines": draw_lines,
    "random": draw_partition,
}
"""Ways to cluster rows by the names that ``init_cpds`` takes."""


def cluster(network: HybridNetwork, rows: HybridRows, rng: np.random.Generator, how: str) -> IntArray:
    """Give the latent causes of continuous variables a state in each row.

    A row's missing values are taken as their column's mean.

    Parameters
    ----------
    network, rows
        Standardised data.
    rng : numpy.random.Generator
        Source of randomness.
    how : str
        A name in `DRAWS`.

    Returns
    -------
    int ndarray of shape (n_rows, n_discrete)
        The rows' codes, with these variables filled in.
    """
    codes = rows.codes.copy()
    values = np.nan_to_num(rows.values)
    for cause in find_causes(network):
        codes[:, cause.node] = DRAWS[how](cause, values, rows.weight, rng)
    return codes
