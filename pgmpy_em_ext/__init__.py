"""Expectation-Maximization for pgmpy's discrete Bayesian networks."""

from pgmpy_em_ext._version import __version__
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.enumeration import EnumerationEStep
from pgmpy_em_ext.e_step.exact import ExactEStep
from pgmpy_em_ext.e_step.pgmpy_inference import BeliefPropagationEStep, VariableEliminationEStep
from pgmpy_em_ext.exceptions import ImpossibleEvidenceError, MemoryBudgetError
from pgmpy_em_ext.finish import ReductionSummary, UnidentifiedRow
from pgmpy_em_ext.initializer import Initializer
from pgmpy_em_ext.prior import K2, BDeu, Dirichlet, Prior
from pgmpy_em_ext.restarts import Iteration, Restart
from pgmpy_em_ext.weighted_em import WeightedEM

__all__ = [
    "K2",
    "BDeu",
    "BeliefPropagationEStep",
    "Dirichlet",
    "EStep",
    "EnumerationEStep",
    "ExactEStep",
    "ImpossibleEvidenceError",
    "Initializer",
    "Iteration",
    "MemoryBudgetError",
    "Prior",
    "ReductionSummary",
    "Restart",
    "UnidentifiedRow",
    "VariableEliminationEStep",
    "WeightedEM",
    "__version__",
]
