"""The EM algorithm's parts: evaluate parameters, make a step. Pure functions on states."""

from typing import Any, NamedTuple

import numpy as np

from pgmpy_em_ext.cpd_family._base import CPDFamily
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.statistics import Blocks, ExpectedStatistics
from pgmpy_em_ext.em.blocks import block_objectives, whole_block
from pgmpy_em_ext.types import BoolArray, FloatArray


class Problem(NamedTuple):
    """What stays the same in all iterations of all runs.

    Attributes
    ----------
    engine : EStep
        Computes expected statistics.
    plan : object
        What the engine prepared from the data.
    family : CPDFamily
        The M-step and the log prior.
    """

    engine: EStep
    plan: Any
    family: CPDFamily

    @property
    def is_exact(self) -> bool:
        """Whether the engine is free of sampling noise."""
        return self.engine.is_exact(self.plan)


class EMState(NamedTuple):
    """Parameters, with the statistics and the objective that belong to these very parameters."""

    parameters: FloatArray
    statistics: ExpectedStatistics
    log_priors: FloatArray

    @property
    def log_prior(self) -> float:
        """Log prior up to a constant, in nats."""
        return float(self.log_priors.sum())

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the observed data, in nats."""
        return self.statistics.log_likelihood

    @property
    def objective(self) -> float:
        """What EM climbs: log-likelihood plus log prior, in nats."""
        return self.statistics.log_likelihood + self.log_prior


def init(problem: Problem, parameters: FloatArray) -> EMState:
    """Evaluate parameters: one E-step."""
    statistics = problem.engine.expected_statistics(problem.plan, parameters)
    n_statistics = problem.family.n_statistics
    if statistics.counts.shape != (n_statistics,) or np.isnan(statistics.log_likelihood):
        raise ValueError(
            f"{type(problem.engine).__name__}.expected_statistics must return {n_statistics} counts and a number. "
            f"Got: shape {statistics.counts.shape}, log-likelihood {statistics.log_likelihood}."
        )
    return EMState(parameters, statistics, problem.family.log_priors(parameters))


def step(problem: Problem, state: EMState) -> EMState:
    """Maximise from the statistics in hand, then evaluate: M, then E."""
    return init(problem, problem.family.maximize(state.statistics.counts, state.parameters))


def evaluate(problem: Problem, state: EMState, parameters: FloatArray, active: BoolArray) -> EMState:
    """Evaluate parameters in some blocks: one E-step.

    Parameters
    ----------
    problem : Problem
        Engine, plan and M-step.
    state : EMState
        What the other blocks keep, parameters and statistics.
    parameters : float ndarray of shape (n_cells,)
        What to evaluate.
    active : bool ndarray of shape (n_blocks + 1,)
        Where to; must be all where the engine does not know blocks.
    """
    if active.all():
        return init(problem, parameters)
    blocks = find_blocks(problem, parameters)
    parameters = np.where(active[blocks.of_cell], parameters, state.parameters)
    fresh = problem.engine.expected_statistics(problem.plan, parameters, active=active)  # type: ignore[call-arg]
    return choose(problem, blocks, active, EMState(parameters, fresh, problem.family.log_priors(parameters)), state)


def choose(problem: Problem, blocks: Blocks, chosen: BoolArray, one: EMState, other: EMState) -> EMState:
    """Put a state together from two: the chosen blocks of one, the rest of the other."""
    if chosen.all():
        return one
    if not chosen.any():
        return other
    cells = chosen[blocks.of_cell]
    statistics = cells if blocks.of_statistic is None else chosen[blocks.of_statistic]
    parts = np.where(chosen, log_likelihoods(blocks, one), log_likelihoods(blocks, other))
    counts = np.where(statistics, one.statistics.counts, other.statistics.counts)
    parameters = np.where(cells, one.parameters, other.parameters)
    log_priors = np.where(chosen[blocks.of_family], one.log_priors, other.log_priors)
    return EMState(parameters, ExpectedStatistics(counts, float(parts.sum()), parts), log_priors)


def find_blocks(problem: Problem, parameters: FloatArray) -> Blocks:
    """Tell which families the data joins; all of them where the engine does not know."""
    blocks = problem.engine.blocks(problem.plan)
    if blocks is not None:
        return blocks
    family = problem.family
    return whole_block(len(family.fixed_families()), len(parameters), family.n_statistics)


def log_likelihoods(blocks: Blocks, state: EMState) -> FloatArray:
    """Log-likelihood of each independent block, in nats; the last is that of the families outside."""
    parts = state.statistics.block_log_likelihood
    if parts is None or len(parts) != blocks.n_blocks + 1:  # blocks are not told apart
        return np.array([state.log_likelihood, 0.0])
    return parts


def objectives(blocks: Blocks, state: EMState) -> FloatArray:
    """Objective of each independent block, in nats; see `log_likelihoods`."""
    return block_objectives(blocks, log_likelihoods(blocks, state), state.log_priors)
