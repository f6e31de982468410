"""Where EM starts: a guess, a draw, or an estimate from the incomplete data."""

import hashlib
from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pgmpy.factors.discrete import TabularCPD
from skbase.base import BaseObject

from pgmpy_em_ext._tools.checks import check_integer
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.cpd_family.categorical import draw_block, read_cpd
from pgmpy_em_ext.data.reduction import family_counts
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.types import MISSING, FloatArray, IntArray


class StartContext(NamedTuple):
    """What an initialiser may look at.

    Attributes
    ----------
    network : Network
        Structure, states and layout.
    evidence : Evidence
        Distinct rows and their weights.
    pseudo_counts : float ndarray of shape (n_cells,)
        The prior's.
    model_cpds : dict
        The pgmpy CPDs that the model has, by variable.
    unseen : frozenset of int
        Variables whose family no row observes whole, so that nothing counted says how to
        start it.
    seed : int
        The run's seed.
    """

    network: Network
    evidence: Evidence
    pseudo_counts: FloatArray
    model_cpds: Mapping[Hashable, TabularCPD]
    unseen: frozenset[int]
    seed: int

    def rng(self, node: int) -> np.random.Generator:
        """Make the random stream of one variable in this run: independent of all others.

        The variable's name is the key, so that its place among the nodes does not matter.
        """
        digest = hashlib.sha256(repr(self.network.names[node]).encode()).digest()
        key = tuple(np.frombuffer(digest, dtype="<u4").tolist())
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    @property
    def n_nodes(self) -> int:
        """Number of variables."""
        return self.network.n_nodes


class Initializer(BaseObject):
    """Base class of starting strategies.

    Tags
    ----
    name : str
        The name by which ``WeightedEM(init_cpds=...)`` finds the strategy.
    """

    _tags: ClassVar[dict[str, Any]] = {"name": None}

    @abstractmethod
    def start(self, context: StartContext) -> FloatArray:
        """Make starting parameters.

        Returns
        -------
        float ndarray of shape (context.network.n_cells,)
            CPD entries in the flat layout; every column sums to one.
        """

    def is_random(self, context: StartContext) -> bool:
        """Whether another run would start elsewhere; by default, where there is a latent variable."""
        return bool(context.network.latents)  # of a strategy of the user's own nothing else is known


def check_parameters(network: Network, parameters: FloatArray, source: str) -> FloatArray:
    """Check that an initialiser, which may be the user's own, gave distributions; returns a copy."""
    parameters = np.array(parameters, dtype=float)
    if parameters.shape != (network.n_cells,):
        raise ValueError(f"{source}.start must return shape ({network.n_cells},). Got: {parameters.shape}.")
    sums = network.column_sums(parameters)
    if not (parameters >= 0).all() or not np.allclose(sums, 1):
        raise ValueError(
            f"{source}.start must return numbers >= 0 of which every CPD column sums to 1. Got: a column that sums "
            f"to {sums[np.argmax(~np.isclose(sums, 1))]:.6g}, or a number below zero."
        )
    return parameters


def draw_random(context: StartContext, node: int) -> FloatArray:
    """Draw one family's columns uniformly from the simplex."""
    return draw_block(context.network, node, np.ones(context.network.shapes[node]), context.rng(node))


class RandomStart(Initializer):
    """Every CPD column drawn uniformly from the simplex: Dirichlet(1)."""

    _tags: ClassVar[dict[str, Any]] = {"name": "random"}

    def start(self, context: StartContext) -> FloatArray:
        """Draw; see `Initializer.start`."""
        return context.network.flatten(draw_random(context, node) for node in range(context.n_nodes))

    def is_random(self, context: StartContext) -> bool:
        """Every run starts elsewhere."""
        return True


class UniformStart(Initializer):
    """Every CPD column uniform: with a latent variable, a saddle point that no step of EM leaves.

    A run that converges there looks beyond it and goes on.
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "uniform"}

    def start(self, context: StartContext) -> FloatArray:
        """Fill; see `Initializer.start`."""
        return context.network.uniform.copy()

    def is_random(self, context: StartContext) -> bool:
        """No run differs."""
        return False


class PriorStart(Initializer):
    """A draw from the prior, Dirichlet(pseudo counts + 1): the density that MAP maximises."""

    _tags: ClassVar[dict[str, Any]] = {"name": "prior"}

    def start(self, context: StartContext) -> FloatArray:
        """Draw; see `Initializer.start`."""
        network = context.network
        blocks = [
            draw_block(network, node, network.block(context.pseudo_counts, node) + 1, context.rng(node))
            for node in range(network.n_nodes)
        ]
        return context.network.flatten(blocks)

    def is_random(self, context: StartContext) -> bool:
        """Every run starts elsewhere."""
        return True


class ModelStart(Initializer):
    """The CPDs that the model already has."""

    _tags: ClassVar[dict[str, Any]] = {"name": "model"}

    def start(self, context: StartContext) -> FloatArray:
        """Copy; see `Initializer.start`."""
        network = context.network
        absent = [name for name in network.names if name not in context.model_cpds]
        if absent:
            raise ValueError(
                f"init_cpds='model' needs a CPD of every variable in the model; {absent} have none. "
                "Add them with model.add_cpds(...), or pass those that exist as a dict, and the others are drawn."
            )
        blocks = [read_cpd(network, context.model_cpds[name], "the model") for name in network.names]
        return context.network.flatten(blocks)

    def is_random(self, context: StartContext) -> bool:
        """No run differs."""
        return False


class GivenStart(Initializer):
    """Some CPDs as given, the others drawn at random.

    Parameters
    ----------
    blocks : dict
        Family blocks by node index.
    """

    def __init__(self, blocks: Mapping[int, FloatArray]) -> None:
        self.blocks = blocks
        super().__init__()

    def start(self, context: StartContext) -> FloatArray:
        """Copy and draw; see `Initializer.start`."""
        blocks = [
            self.blocks[node] if node in self.blocks else draw_random(context, node) for node in range(context.n_nodes)
        ]
        return context.network.flatten(blocks)

    def is_random(self, context: StartContext) -> bool:
        """Whether anything is left to draw."""
        return len(self.blocks) < context.n_nodes


class CountingStart(Initializer):
    """Base class of estimates: count completed rows, add one pseudo count, normalise.

    The pseudo count keeps every entry positive, since a zero is never left by EM.
    Families that no row observes whole, such as those with a latent variable, are drawn:
    uniform, they could be a saddle point.
    """

    @abstractmethod
    def complete(self, context: StartContext) -> tuple[IntArray, FloatArray]:
        """Give rows to count and their weights; what is missing in them is not counted."""

    def start(self, context: StartContext) -> FloatArray:
        """Count and draw; see `Initializer.start`."""
        network = context.network
        counts = family_counts(network, *self.complete(context)) + 1
        estimate = network.normalize(counts)
        for node in range(network.n_nodes):
            if node in context.unseen:
                network.block(estimate, node)[...] = self.draw(context, node)
        return estimate

    def draw(self, context: StartContext, node: int) -> FloatArray:
        """Draw a family of which nothing can be counted."""
        return draw_random(context, node)

    def is_random(self, context: StartContext) -> bool:
        """Whether some family is drawn."""
        return bool(context.unseen)


class AvailableCaseStart(CountingStart):
    """Each family counted over the rows that observe all of it: the default."""

    _tags: ClassVar[dict[str, Any]] = {"name": "available_case"}

    def complete(self, context: StartContext) -> tuple[IntArray, FloatArray]:
        """Take the rows as they are; see `CountingStart.complete`."""
        return context.evidence.codes, context.evidence.weight


class NearUniformStart(AvailableCaseStart):
    """As the default, but families that no row observes whole are drawn near the uniform: Dirichlet(20).

    A latent's states then differ little at first, and the data tells them apart. Of the
    default's restarts every other one starts like this; neither kind is better everywhere.
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "near_uniform"}

    def draw(self, context: StartContext, node: int) -> FloatArray:
        """Draw near the uniform; see `CountingStart.draw`."""
        concentration = np.full(context.network.shapes[node], _NEAR)
        return draw_block(context.network, node, concentration, context.rng(node))


class CompleteCaseStart(CountingStart):
    """Only the rows that observe every variable that is not latent (listwise deletion)."""

    _tags: ClassVar[dict[str, Any]] = {"name": "complete_case"}

    def complete(self, context: StartContext) -> tuple[IntArray, FloatArray]:
        """Delete rows with a hole; see `CountingStart.complete`."""
        codes, weight, _ = context.evidence
        whole = (codes[:, list(context.network.observable)] != MISSING).all(axis=1)
        return codes[whole], weight[whole]


class MarginalModeStart(CountingStart):
    """Holes filled with the most frequent state of their variable."""

    _tags: ClassVar[dict[str, Any]] = {"name": "marginal_mode"}

    def complete(self, context: StartContext) -> tuple[IntArray, FloatArray]:
        """Impute; see `CountingStart.complete`."""
        codes, weight, _ = context.evidence
        completed = codes.copy()
        for node in context.network.observable:
            observed = codes[:, node] != MISSING
            completed[~observed, node] = np.bincount(codes[observed, node], weights=weight[observed]).argmax()
        return completed, weight


class NearestNeighborStart(CountingStart):
    """Holes filled from the most similar row that observes the variable (hot deck).

    The distance of two rows is the share of differing states among the variables that
    both observe; of equally near rows the one that shares most variables donates, then
    the first in lexicographic order.

    Parameters
    ----------
    max_donors : int, default 2000
        Donors are at most so many distinct rows, taken at even spacing, so that the cost
        stays linear in the rows.
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "nearest_neighbor"}

    def __init__(self, max_donors: int = 2000) -> None:
        self.max_donors = max_donors
        super().__init__()

    def complete(self, context: StartContext) -> tuple[IntArray, FloatArray]:
        """Impute; see `CountingStart.complete`."""
        check_integer("max_donors", self.max_donors, low=1)
        codes, weight, _ = context.evidence
        completed = codes.copy()
        nodes = list(context.network.observable)
        donors = _donors(codes, nodes, self.max_donors)
        one_hot = _one_hot(codes[donors][:, nodes], [context.network.cardinalities[node] for node in nodes])
        observed = (codes[donors][:, nodes] != MISSING).astype(np.float32)
        holes = np.flatnonzero((codes[:, nodes] == MISSING).any(axis=1))
        for start in range(0, len(holes), _NEIGHBOR_BATCH):
            rows = holes[start : start + _NEIGHBOR_BATCH]
            mine = codes[rows][:, nodes]
            shared = ((mine != MISSING).astype(np.float32) @ observed.T).astype(float)
            equal = (_one_hot(mine, [context.network.cardinalities[node] for node in nodes]) @ one_hot.T).astype(float)
            # Nearest first, then the most shared: the second term is smaller than any difference of the first.
            distance = (shared - equal) / np.maximum(shared, 1) - shared / (10 * len(nodes) ** 2 * (len(nodes) + 1))
            for column, node in enumerate(nodes):
                self._fill(completed, rows, node, distance, donors, observed[:, column] > 0)
        return completed, weight

    @staticmethod
    def _fill(
        completed: IntArray, rows: IntArray, node: int, distance: FloatArray, donors: IntArray, able: np.ndarray
    ) -> None:
        """Fill one variable's holes in a batch of rows, in place; the donors are never filled rows' values."""
        needy = np.flatnonzero(completed[rows, node] == MISSING)
        if len(needy) == 0:
            return
        nearest = np.flatnonzero(able)[distance[np.ix_(needy, able)].argmin(axis=1)]
        completed[rows[needy], node] = completed[donors[nearest], node]


_NEIGHBOR_BATCH = 1000

_NEAR = 20.0
"""Concentration of a draw near the uniform: entries of two states differ from a half by some 0.08."""


def _donors(codes: IntArray, nodes: list[int], limit: int) -> IntArray:
    """Pick rows at even spacing, and for every variable at least one row that observes it."""
    chosen = np.unique(np.linspace(0, len(codes) - 1, min(limit, len(codes))).astype(np.int64))
    some = [np.flatnonzero(codes[:, node] != MISSING)[0] for node in nodes]
    return np.unique(np.concatenate([chosen, np.array(some, dtype=np.int64)]))


def _one_hot(codes: IntArray, cardinalities: list[int]) -> FloatArray:
    """Make indicators of the observed states, side by side; none where missing."""
    columns = [codes[:, [k]] == np.arange(card) for k, card in enumerate(cardinalities)]
    return np.concatenate(columns, axis=1).astype(np.float32)
