"""Continuous families: linear regressions, laid out flat as compiled loops read them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.types import FloatArray, IntArray


class GaussianArrays(NamedTuple):
    """Continuous families: each is a linear regression for every configuration of its discrete parents.

    Attributes
    ----------
    parent_first, parent : int64 ndarrays
        Family f has the continuous parents ``parent[parent_first[f]:parent_first[f + 1]]``.
    n_configs : int64 ndarray of shape (n_nodes,)
        Configurations of the discrete parents.
    offset : int64 ndarray of shape (n_nodes + 1,)
        Start of each family's parameters: for each configuration the intercept, the coefficients and the
        variance.
    moment_offset : int64 ndarray of shape (n_nodes + 1,)
        Start of each family's moments: for each configuration the sums of products of (1, parents, residual), the
        lower triangle row by row, so that the first is the sum of weights. The residual is what the child has more
        than the regression gives it, under the parameters that the moments were computed with.
    """

    parent_first: IntArray
    parent: IntArray
    n_configs: IntArray
    offset: IntArray
    moment_offset: IntArray

    @property
    def n_nodes(self) -> int:
        """Number of continuous variables."""
        return len(self.n_configs)

    def parents(self, node: int) -> list[int]:
        """List a family's continuous parents."""
        return self.parent[self.parent_first[node] : self.parent_first[node + 1]].tolist()

    def block(self, parameters: FloatArray, node: int) -> FloatArray:
        """View a family's parameters as an array of shape (n_configs, 2 + n_parents)."""
        return parameters[self.offset[node] : self.offset[node + 1]].reshape(int(self.n_configs[node]), -1)

    def records(self, moments: FloatArray, node: int) -> FloatArray:
        """View the records of each configuration of a family, the first of its moments: shape (n_configs,)."""
        flat = moments[self.moment_offset[node] : self.moment_offset[node + 1]].reshape(int(self.n_configs[node]), -1)
        return flat[:, 0]

    def moment_matrices(self, moments: FloatArray, node: int) -> FloatArray:
        """Copy a family's moments to symmetric matrices: shape (n_configs, 2 + n_parents, 2 + n_parents)."""
        size = len(self.parents(node)) + 2
        flat = moments[self.moment_offset[node] : self.moment_offset[node + 1]].reshape(int(self.n_configs[node]), -1)
        rows, columns = np.tril_indices(size)
        matrices = np.empty((len(flat), size, size))
        matrices[:, rows, columns] = flat
        matrices[:, columns, rows] = flat
        return matrices

    def about(self, products: FloatArray, parameters: FloatArray) -> FloatArray:
        """Turn sums of products of (1, parents, child) into moments, those of residuals under some parameters.

        Where residuals are small beside the child, they are lost to rounding: the E-step sums residuals themselves.
        """
        found = products.copy()
        for node in range(self.n_nodes):
            matrices, block = self.moment_matrices(products, node), self.block(parameters, node)
            turn = np.tile(np.eye(matrices.shape[1]), (len(matrices), 1, 1))
            turn[:, -1, :-1] = -block[:, :-1]
            turned = np.einsum("nij,njk,nlk->nil", turn, matrices, turn)
            rows, columns = np.tril_indices(matrices.shape[1])
            own = slice(int(self.moment_offset[node]), int(self.moment_offset[node + 1]))
            found[own] = turned[:, rows, columns].ravel()
        return found


def lay_out_families(parents: Sequence[Sequence[int]], n_configs: Sequence[int]) -> GaussianArrays:
    """Lay families out, given each node's continuous parents and the configurations of its discrete ones."""
    n_parents = np.array([len(each) for each in parents], dtype=np.int64)
    configs = np.array(n_configs, dtype=np.int64)
    sizes = n_parents + 2
    return GaussianArrays(
        np.append(0, np.cumsum(n_parents)),
        np.array([parent for each in parents for parent in each], dtype=np.int64),
        configs,
        np.append(0, np.cumsum(configs * sizes)),
        np.append(0, np.cumsum(configs * (sizes * (sizes + 1) // 2))),
    )
