"""Conditional probability tables: M-step, prior, random draws, and pgmpy's `TabularCPD`."""

import logging
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from pgmpy.factors.discrete import TabularCPD
from pgmpy.utils import compat_fns

from pgmpy_em_ext._tools.labels import match_states
from pgmpy_em_ext._tools.packing import weighted_bincount
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.cpd_family._base import Chart, DiagonalMetric
from pgmpy_em_ext.types import BoolArray, FloatArray

logger = logging.getLogger(__name__)

SUM_TOLERANCE = 0.01
"""How far a column of a given CPD may be from one: pgmpy's own tolerance, since files round their numbers."""

SHRINK = 0.05
"""What part of an entry's value after an EM step an accelerated step leaves it at least: entries come near zero
within a few steps, and none becomes zero, which it would stay."""

COLLAPSE = 0.01
"""An entry of which an EM step leaves no more than this is on its way to zero, and follows EM."""

NEGLIGIBLE = 1e-100
"""Entries below this follow EM alone: divisions by their roots would leave the range of floating point."""


@dataclass(frozen=True)
class Categorical:
    """All tables of a network, as EM sees them.

    Parameters
    ----------
    network : Network
        The layout.
    pseudo_counts : float ndarray of shape (n_cells,)
        Added to the expected counts, in records.
    fixed : bool ndarray of shape (n_columns,)
        CPD columns that the M-step leaves alone.
    """

    network: Network
    pseudo_counts: FloatArray
    fixed: BoolArray

    def maximize(self, counts: FloatArray, previous: FloatArray) -> FloatArray:
        """Normalise expected counts plus pseudo counts, column by column.

        A column without any count, and a fixed one, keeps its previous entries.

        Parameters
        ----------
        counts : float ndarray of shape (n_cells,)
            Expected counts, in records.
        previous : float ndarray of shape (n_cells,)
            The parameters that they were computed with.

        Returns
        -------
        float ndarray of shape (n_cells,)
            New parameters; every column sums to one.
        """
        total = counts + self.pseudo_counts
        sums = self.network.column_sums(total)
        kept = (self.fixed | (sums == 0))[self.network.column_of_cell]
        cell_sums = sums[self.network.column_of_cell]
        return np.where(kept, previous, total / np.where(kept, 1.0, cell_sums))

    def log_priors(self, parameters: FloatArray) -> FloatArray:
        """Sum of pseudo counts times log parameters over each node's free columns, in nats."""
        counted = np.flatnonzero((self.pseudo_counts > 0) & ~self.fixed[self.network.column_of_cell])
        with np.errstate(divide="ignore"):
            terms = self.pseudo_counts[counted] * np.log(parameters[counted])
        return weighted_bincount(self.network.family_of_cell[counted], terms, self.network.n_nodes)

    def absorbing(self, parameters: FloatArray) -> BoolArray:
        """Mark the parameters that are zero and that no M-step makes positive."""
        revived = (self.pseudo_counts > 0) & ~self.fixed[self.network.column_of_cell]
        return (parameters == 0) & ~revived

    def fixed_families(self) -> BoolArray:
        """Mark the nodes whose columns are all fixed."""
        first_columns = np.searchsorted(self.network.family_of_column, np.arange(self.network.n_nodes))
        return np.logical_and.reduceat(self.fixed, first_columns)

    def spread(self, columns: BoolArray) -> BoolArray:
        """Give each entry what is said of its column."""
        return columns[self.network.column_of_cell]

    def information(self, counts: FloatArray, parameters: FloatArray) -> FloatArray:
        """Complete-data information of each entry, in records: its column's count over its probability."""
        sums = np.where(self.fixed, 0.0, self.network.column_sums(counts + self.pseudo_counts))
        sums = sums[self.network.column_of_cell]
        return np.divide(sums, parameters, out=np.zeros_like(sums), where=parameters > NEGLIGIBLE)

    def cost_of_errors(self, counts: FloatArray, parameters: FloatArray, errors: FloatArray) -> float:
        """Sum up what is lost where each entry should be larger by its error e: S ((p + e) log (1 + e / p) - e).

        S is the column's count. For small errors this is half of their squares times the information; beside an entry
        that is nearly zero an error is never small, and its square would say too much.
        """
        sums = self.information(counts, parameters) * parameters
        counted = np.flatnonzero((sums > 0) & (errors > 0))
        p, e = parameters[counted], errors[counted]
        return float(sums[counted] @ ((p + e) * np.log1p(e / p) - e))

    def prior_gradient(self, parameters: FloatArray) -> FloatArray:
        """Differentiate the log prior along the columns, whose entries add up to one, in nats."""
        of_cell = self.network.column_of_cell
        moves = (parameters > NEGLIGIBLE) & ~self.fixed[of_cell]
        slope = np.divide(self.pseudo_counts, parameters, out=np.zeros_like(parameters), where=moves)
        outwards = self.network.column_sums(slope * parameters)[of_cell]
        return np.where(moves, slope - outwards, 0.0)

    def column_totals(self, counts: FloatArray) -> FloatArray:
        """Give each entry what its column holds, pseudo counts included, in records."""
        return self.network.column_sums(counts + self.pseudo_counts)[self.network.column_of_cell]

    def linear_step(self, counts: FloatArray, parameters: FloatArray, smooth: FloatArray) -> FloatArray:
        """Make an EM step that is linear in noisy counts: their column sums are taken from smooth ones."""
        total = counts + self.pseudo_counts
        of_cell = self.network.column_of_cell
        sums = self.network.column_sums(smooth + self.pseudo_counts)
        moves = ((sums > 0) & ~self.fixed)[of_cell]
        gradient = total - parameters * self.network.column_sums(total)[of_cell]
        return parameters + np.where(moves, gradient / np.where(moves, sums[of_cell], 1.0), 0.0)

    def without_data(self, counts: FloatArray) -> BoolArray:
        """Mark the free columns that neither the data nor the prior says anything about."""
        return (self.network.column_sums(counts + self.pseudo_counts) == 0) & ~self.fixed

    def chart(self, parameters: FloatArray, counts: FloatArray, position: FloatArray | None = None) -> Chart:
        """Give each column as a point of the unit sphere: the roots of its entries.

        The entries of a column are the squares of coordinates x on a sphere. With T the
        expected counts plus pseudo counts and S their sum over the column, the gradient is
        2 (T / x - S x) and the complete-data information 4 S, the same in all directions. An
        entry that tends to zero is an ordinary maximum there, not a limit at infinity as in
        logits.

        Parameters
        ----------
        parameters : float ndarray of shape (n_cells,)
            The entries.
        counts : float ndarray of shape (n_cells,)
            Expected counts under them, in records.
        position : float ndarray of shape (n_cells,), optional
            Coordinates that led to these parameters, whose signs to keep: a step may cross
            zero.
        """
        of_cell = self.network.column_of_cell
        total = counts + self.pseudo_counts
        sums = self.network.column_sums(total)[of_cell]
        moves = (parameters > NEGLIGIBLE) & ~self.fixed[of_cell]
        root = np.sqrt(parameters)
        position = root if position is None else np.copysign(root, position)
        gradient = np.where(moves, 2 * (total / np.where(moves, position, 1.0) - sums * position), 0.0)
        return Chart(position, gradient, DiagonalMetric(4 * sums))

    def tangent(self, position: FloatArray, vector: FloatArray) -> FloatArray:
        """Project each column onto the tangent of its sphere; fixed columns do not move, nor do entries at zero."""
        of_cell = self.network.column_of_cell
        outwards = self.network.column_sums(vector * position)[of_cell] * position
        return np.where(self.fixed[of_cell] | (position == 0), 0.0, vector - outwards)

    def retract(self, position: FloatArray, target: FloatArray, current: FloatArray) -> FloatArray:
        """Square and normalise.

        No entry falls below a part of its target, `SHRINK`. Those that EM all but wipes out follow
        it: the coordinates, in which a step at most halves them, would take long.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # a step of any length: what overflows becomes the target
            squares = self._scale(position * position, target)
        inside = np.maximum(squares, SHRINK * target)
        kept = (target <= np.maximum(COLLAPSE * current, NEGLIGIBLE)) | self.fixed[self.network.column_of_cell]
        return self._scale(np.where(kept, target, inside), target)

    def signature(self, parameters: FloatArray) -> FloatArray:
        """Sort each table's entries; see `CPDFamily.signature`."""
        return parameters[np.lexsort((parameters, self.network.family_of_cell))]

    def keep_inside(self, parameters: FloatArray, target: FloatArray) -> FloatArray:
        """Go from the target only so far that no entry falls below a part of it, `SHRINK`."""
        low = parameters < SHRINK * target
        reach = np.where(low, (1 - SHRINK) * target / np.where(low, target - parameters, 1.0), 1.0)
        part = np.minimum.reduceat(reach, self.network.column_starts)[self.network.column_of_cell]
        inside = target + part * (parameters - target)
        kept = (target <= NEGLIGIBLE) | self.fixed[self.network.column_of_cell]
        return self._scale(np.where(kept, target, inside), target)

    def _scale(self, vector: FloatArray, target: FloatArray) -> FloatArray:
        """Scale the free columns to sum to one; what cannot be scaled becomes the target."""
        of_cell = self.network.column_of_cell
        sums = self.network.column_sums(vector)[of_cell]
        usable = np.isfinite(sums) & (sums > 0) & ~self.fixed[of_cell]
        return np.where(usable, vector / np.where(usable, sums, 1.0), target)

    @property
    def n_cells(self) -> int:
        """Number of parameters: the entries of all tables."""
        return self.network.n_cells

    @property
    def n_statistics(self) -> int:
        """Number of expected counts: one for each entry."""
        return self.network.n_cells

    @property
    def n_free(self) -> int:
        """Number of free parameters: a column of k states that is not fixed has k - 1."""
        return int((self.network.column_sizes - 1)[~self.fixed].sum())


def draw_block(network: Network, node: int, concentration: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw one family's columns from Dirichlet distributions.

    Parameters
    ----------
    concentration : float ndarray, shaped like the family's block
        Dirichlet parameters, > 0.
    rng : numpy.random.Generator
        The source of randomness.
    """
    draws = rng.standard_gamma(concentration)
    # A gamma draw of a small shape can underflow; a zero would be absorbing in EM.
    draws = np.maximum(draws, np.finfo(float).tiny * 1e50)
    return draws / draws.sum(axis=-1, keepdims=True)


def read_cpd(network: Network, cpd: TabularCPD, source: str) -> FloatArray:
    """Turn a pgmpy CPD into a family block, its axes and states in our order.

    Parameters
    ----------
    network : Network
        The layout and state names to follow.
    cpd : TabularCPD
        Its parents and states may stand in any order.
    source : str
        Where the CPD comes from, for messages.

    Raises
    ------
    TypeError
        Not a `TabularCPD`.
    ValueError
        An unknown variable, other parents or states than the network's, an entry
        that is no probability, or a column that does not sum to one.
    """
    if not isinstance(cpd, TabularCPD):
        raise TypeError(f"{source} must hold TabularCPDs. Got: {type(cpd).__name__}.")
    if cpd.variable not in network.index:
        raise ValueError(
            f"{source} has a CPD for {cpd.variable!r}, which the model does not have. Known: {list(network.names)}."
        )
    node = network.index[cpd.variable]
    names = [network.names[member] for member in network.families[node].members]
    if set(cpd.variables) != set(names):
        raise ValueError(
            f"{source}: the CPD of {cpd.variable!r} has the parents {list(cpd.variables[1:])}, "
            f"but the model gives it {names[:-1]}."
        )
    values = np.asarray(compat_fns.to_numpy(cpd.values), dtype=float)
    table = values.transpose([cpd.variables.index(name) for name in names])
    for axis, name in enumerate(names):
        table = table.take(_state_positions(network, cpd, name, source), axis=axis)
    return _check_table(table, cpd, source)


def _state_positions(network: Network, cpd: TabularCPD, name: Hashable, source: str) -> list[int]:
    """Where each of the network's states of a variable stands in the CPD."""
    wanted = network.state_names[network.index[name]]
    declared = tuple(cpd.state_names[name])
    if len(declared) != len(wanted):
        raise ValueError(
            f"{source}: the CPD of {cpd.variable!r} has shape {tuple(cpd.cardinality.tolist())}, with "
            f"{len(declared)} states of {name!r}; there are {len(wanted)}: {list(wanted)}."
        )
    positions = match_states(wanted, declared)
    if None in positions:
        raise ValueError(
            f"{source}: the CPD of {cpd.variable!r} names the states {list(declared)} of {name!r}; "
            f"they must be {list(wanted)}. Give the CPD these state_names."
        )
    return [int(position) for position in positions if position is not None]


def _check_table(table: FloatArray, cpd: TabularCPD, source: str) -> FloatArray:
    """Check that every column is a distribution, and take rounding out of it."""
    if not (np.isfinite(table) & (table >= 0)).all():
        raise ValueError(f"{source}: the CPD of {cpd.variable!r} has an entry that is NaN, infinite or negative.")
    sums = table.sum(axis=-1, keepdims=True)
    error = np.abs(sums - 1)
    if error.max() > SUM_TOLERANCE:
        worst = float(sums.ravel()[error.argmax()])
        raise ValueError(
            f"{source}: a column of the CPD of {cpd.variable!r} sums to {worst:.6g}; every column must sum to 1."
        )
    if error.max() > 1e-9:
        logger.info("%s: the columns of the CPD of %r are rounded; normalised.", source, cpd.variable)
        return table / sums
    return table


def write_cpd(network: Network, node: int, parameters: FloatArray) -> TabularCPD:
    """Turn one family of a flat vector into a pgmpy CPD, parents sorted as pgmpy's estimators sort them."""
    members = network.families[node].members
    parents = members[:-1]
    return TabularCPD(
        network.names[node],
        network.cardinalities[node],
        network.cpd_values(parameters, node),
        evidence=[network.names[parent] for parent in parents] or None,
        evidence_card=[network.cardinalities[parent] for parent in parents] or None,
        state_names={network.names[member]: list(network.state_names[member]) for member in members},
    )
