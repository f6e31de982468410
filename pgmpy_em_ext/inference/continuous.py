"""Answers about rows of networks with continuous variables."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows
from pgmpy_em_ext.e_step.mixed import HybridEStep, HybridPlan
from pgmpy_em_ext.e_step.mixed.engine import Densities, scale_densities
from pgmpy_em_ext.e_step.mixed.layout import DiscreteProblem, add_evidence_nodes
from pgmpy_em_ext.inference import answers
from pgmpy_em_ext.types import FloatArray, IntArray

BATCH_SIZE = 10_000
"""Rows whose discrete part is swept together."""


class FittedHybrid(NamedTuple):
    """A network that answers.

    Attributes
    ----------
    network : HybridNetwork
        Structure, layout and units.
    parameters : float ndarray
        Of the discrete families, then of the continuous ones.
    engine : HybridEStep
        With its threads and memory.
    """

    network: HybridNetwork
    parameters: FloatArray
    engine: HybridEStep

    @property
    def tables(self) -> FloatArray:
        """Parameters of the discrete families."""
        return self.parameters[: self.network.n_cells]


def log_likelihoods(fitted: FittedHybrid, rows: HybridRows) -> FloatArray:
    """Log-density of each row's observed values, standardised, in nats: shape (n_rows,); -inf where impossible."""
    plan = fitted.engine.lay_out(fitted.network, rows)
    log_density = fitted.engine.log_densities(plan, fitted.parameters)
    samples = _add_up(fitted, plan, scale_densities(plan, log_density))
    doubtful = np.flatnonzero(np.isneginf(samples))
    if len(doubtful) and fitted.network.n_discrete:
        # Beside the densities of states of probability zero those of the others may have vanished.
        plan = fitted.engine.prepare(fitted.network, rows.take(doubtful), directly=False)
        log_density = fitted.engine.log_densities(plan, fitted.parameters)
        possible = fitted.engine.possible(plan, fitted.tables)
        samples[doubtful] = _add_up(fitted, plan, scale_densities(plan, log_density, possible))
    return samples


def _add_up(fitted: FittedHybrid, plan: HybridPlan, densities: Densities) -> FloatArray:
    """Sum over the missing discrete variables."""
    if not fitted.network.n_discrete:
        return densities.log_likelihood
    found, problem = _ask_discrete(fitted, plan, densities.factors)
    return answers.log_likelihoods(found, problem.evidence.codes) + densities.log_likelihood


def _ask_discrete(
    fitted: FittedHybrid, plan: HybridPlan, factors: FloatArray
) -> tuple[answers.Fitted, DiscreteProblem]:
    """Let the discrete part answer, given what the continuous values say."""
    problem = add_evidence_nodes(fitted.network.discrete, plan.rows, plan.layout)
    return (
        answers.Fitted(
            problem.network,
            np.concatenate([fitted.tables, factors]),
            BATCH_SIZE,
            fitted.engine.memory_budget,
            silent=tuple(range(fitted.network.n_discrete, problem.network.n_nodes)),
        ),
        problem,
    )


def posteriors(fitted: FittedHybrid, rows: HybridRows) -> dict[int, tuple[IntArray, FloatArray]]:
    """Posterior of every missing discrete cell; see `answers.posteriors`.

    Raises
    ------
    ImpossibleEvidenceError
        A row has probability zero.
    """
    if not fitted.network.n_discrete:
        return {}
    plan = fitted.engine.prepare(fitted.network, rows._replace(weight=np.ones(len(rows.weight))), directly=False)
    factors = fitted.engine.responsibilities(plan, fitted.parameters).factors
    found, problem = _ask_discrete(fitted, plan, factors)
    return answers.posteriors(found, problem.evidence.codes)


def draw_states(fitted: FittedHybrid, rows: HybridRows, seed: int | None) -> HybridRows:
    """Draw every row's missing discrete cells from their joint posterior; see `answers.draws`."""
    if not fitted.network.n_discrete:
        return rows
    plan = fitted.engine.prepare(fitted.network, rows._replace(weight=np.ones(len(rows.weight))), directly=False)
    factors = fitted.engine.responsibilities(plan, fitted.parameters).factors
    found, problem = _ask_discrete(fitted, plan, factors)
    drawn = answers.draws(found, problem.evidence.codes, seed)
    return rows._replace(codes=drawn[:, : fitted.network.n_discrete])


def complete(
    fitted: FittedHybrid, rows: HybridRows, normals: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Fill every missing continuous value with its conditional mean, or a draw.

    Parameters
    ----------
    fitted, rows
        What answers, and about what.
    normals : float ndarray of shape (n_rows, n_continuous), optional
        Standard normal numbers, from which draws of the joint conditional distribution are made; the rows' discrete
        variables must be complete.

    Returns
    -------
    values, deviations : float ndarrays of shape (n_rows, n_continuous)
        Completed rows, standardised; and conditional standard deviations, 0 where observed.

    Raises
    ------
    ImpossibleEvidenceError
        A row has probability zero.
    """
    from pgmpy_em_ext.e_step.mixed.kernel import complete_rows  # needs numba

    network, n_cells = fitted.network, fitted.network.n_cells
    rows = rows._replace(weight=np.ones(len(rows.weight)))
    plan = fitted.engine.prepare(network, rows, prune_barren=False)
    layout = plan.layout
    shares = fitted.engine.responsibilities(plan, fitted.parameters, keep_direct=True).shares
    shares[: layout.n_kept_entries] += plan.alone  # of the tasks that speak of nothing discrete
    mean, square, nothing = (np.zeros_like(plan.values) for _ in range(3))
    given = np.zeros((0, 0)) if normals is None else np.ascontiguousarray(normals[layout.by_pattern].T)
    arguments = network.net, layout.kinds, fitted.parameters[n_cells:], plan.values, shares, given
    complete_rows(*arguments, nothing, mean, nothing.copy())
    complete_rows(*arguments, mean, nothing.copy(), square)  # around the mean: a difference of squares has few digits
    missing = np.isnan(rows.values)
    filled, spread = np.empty_like(rows.values), np.empty_like(rows.values)
    filled[layout.by_pattern] = mean.T
    spread[layout.by_pattern] = np.sqrt(square).T
    return np.where(missing, filled, rows.values), np.where(missing, spread, 0.0)
