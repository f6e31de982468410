"""How sure a fit is: standard errors, bootstrap and identifiability, from what a fit keeps to labelled tables."""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
import pandas as pd

from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.em.acceleration import Accelerator
from pgmpy_em_ext.em.exact import ExactEM
from pgmpy_em_ext.em.loop import run
from pgmpy_em_ext.em.progress import Progress
from pgmpy_em_ext.em.step import Problem
from pgmpy_em_ext.em.stopping import StoppingRule
from pgmpy_em_ext.inference.answers import cpd_frames
from pgmpy_em_ext.types import FloatArray
from pgmpy_em_ext.uncertainty.bootstrap import bootstrap, percentile_interval
from pgmpy_em_ext.uncertainty.identifiability import Identifiability, identifiability
from pgmpy_em_ext.uncertainty.standard_errors import standard_errors

POLISH = 1e-7
"""Nats from the maximum to which a fit is carried before its curvature is looked at: errors are functions of
second derivatives, and these are wrong by the root of what the objective lacks."""

REPLICATE = 1e-2
"""The same for a replicate of the bootstrap, which need not be better known than its own spread."""

MAX_STEPS = 2000
"""Steps at most of either."""

Frames = dict[Hashable, pd.DataFrame]
"""A table for each variable, laid out as its CPD."""


class Kept(NamedTuple):
    """What a fit keeps, for the questions that come afterwards.

    Attributes
    ----------
    engine : EStep
        Computes expected statistics.
    accelerator : Accelerator
        Where the next E-step is made.
    is_exact : bool
        Whether E-steps were exact.
    network : Network
        Structure and layout.
    evidence : Evidence
        Distinct rows and their weights: no table.
    family : Categorical
        M-step and prior.
    parameters : float ndarray of shape (n_cells,)
        The fit.
    """

    engine: EStep
    accelerator: Accelerator
    is_exact: bool
    network: Network
    evidence: Evidence
    family: Categorical
    parameters: FloatArray

    @property
    def total_weight(self) -> float:
        """Sum of the weights, in records."""
        return float(self.evidence.weight.sum())

    def prepare(self) -> Problem:
        """Compile the data again."""
        return Problem(self.engine, self.engine.prepare(self.network, self.evidence), self.family)

    def climb(self, problem: Problem, start: FloatArray, tol: float) -> FloatArray:
        """Go on from a start to the maximum nearby."""
        rule = StoppingRule(tol, None, MAX_STEPS, 0, None, total_weight=self.total_weight)
        return run(problem, Progress(start), rule, method=ExactEM(self.accelerator)).state.parameters


class MonteCarloErrors(NamedTuple):
    """How far a fit with sampled E-steps may be from one with exact ones: standard errors.

    They say nothing of how far the fit is from the truth; see `StandardErrorTables` for that.

    Attributes
    ----------
    cpds : dict of pandas.DataFrame
        For each variable a row for each state and a column for each parent configuration, as its
        CPD. Infinite where the run was too short to tell.
    log_likelihood : float
        In nats: of evaluating it at the CPDs, and of their own errors in first order. These count with a prior, since
        the likelihood is not flat then where the objective is; what they cost the objective is part of ``gap_``.
    evaluation : float
        The first part alone: by how much ``log_likelihood_`` may differ from the likelihood of these very CPDs.
    """

    cpds: Frames
    log_likelihood: float
    evaluation: float


class StandardErrorTables(NamedTuple):
    """Standard errors of all CPDs, in pgmpy's layout.

    Attributes
    ----------
    errors : dict of pandas.DataFrame
        For each variable a row for each state and a column for each parent configuration. 0
        where a CPD is fixed, NaN where there is no error.
    reasons : dict of pandas.DataFrame
        Why not: "fixed", "boundary", "fewer than one record", "not identified" or "not a
        maximum"; "" where there is one.
    asymmetry : float
        A measure of numerical error, 1e-6 at most where all is well.
    """

    errors: Frames
    reasons: Frames
    asymmetry: float


class BootstrapTables(NamedTuple):
    """Replicates of a fit.

    Attributes
    ----------
    network : Network
        Structure and layout.
    draws : float ndarray of shape (n, n_cells)
        The parameters of each replicate, in the flat layout of `Network`.
    """

    network: Network
    draws: FloatArray

    def values(self, variable: Hashable) -> FloatArray:
        """Give one CPD of all replicates: shape (n, cardinality, product of the parents' cardinalities)."""
        if variable not in self.network.index:
            raise ValueError(
                f"bootstrap has no variable {variable!r}, since the model has none. Known: {list(self.network.names)}."
            )
        node = self.network.index[variable]
        return np.stack([self.network.cpd_values(draw, node) for draw in self.draws])

    def standard_errors(self) -> Frames:
        """Give the standard deviation of each entry over the replicates, in pgmpy's layout; it needs two."""
        if len(self.draws) < 2:
            raise ValueError("a standard deviation needs two replicates: call bootstrap with n >= 2.")
        return cpd_frames(self.network, self.draws.std(axis=0, ddof=1))

    def interval(self, level: float = 0.95) -> tuple[Frames, Frames]:
        """Give the ends of the interval of each entry that holds this share of the replicates."""
        low, high = percentile_interval(self.draws, level)
        return cpd_frames(self.network, low), cpd_frames(self.network, high)


def compute_standard_errors(kept: Kept) -> StandardErrorTables:
    """Carry a fit to its maximum, and look at the curvature there; see `standard_errors`."""
    problem = kept.prepare()
    found = standard_errors(problem, kept.network, kept.climb(problem, kept.parameters, POLISH))
    return StandardErrorTables(
        cpd_frames(kept.network, found.errors), cpd_frames(kept.network, found.texts), found.asymmetry
    )


def draw_bootstrap(kept: Kept, n: int, seed: int | None, n_jobs: int) -> BootstrapTables:
    """Fit to records drawn anew; see `bootstrap`."""

    def fit(problem: Problem, start: FloatArray) -> FloatArray:
        return kept.climb(problem, start, REPLICATE)

    problem = kept.prepare()
    draws = bootstrap(problem, kept.network, kept.evidence, kept.parameters, n, seed, fit=fit, n_jobs=n_jobs)
    return BootstrapTables(kept.network, draws)


def tell_identifiability(kept: Kept, seed: int | None) -> Identifiability:
    """Find out which parameters rows like the fit's determine; see `identifiability`."""
    parameters = kept.parameters if kept.family.fixed.any() else None
    return identifiability(kept.network, kept.family, kept.evidence, seed, parameters)
