"""Expectation-Maximization for pgmpy's discrete and linear Gaussian Bayesian networks.

The names below are imported when they are first used: pgmpy takes a second or more.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pgmpy_em_ext._version import __version__

if TYPE_CHECKING:
    from pgmpy_em_ext.arrays.columns import ColumnList
    from pgmpy_em_ext.arrays.network import Family, Network
    from pgmpy_em_ext.cpd_family.prior import K2, BDeu, Dirichlet, Prior
    from pgmpy_em_ext.data.rows import Evidence
    from pgmpy_em_ext.e_step._base import EStep
    from pgmpy_em_ext.e_step.approx_inference import ApproxInferenceEStep
    from pgmpy_em_ext.e_step.enumeration import EnumerationEStep
    from pgmpy_em_ext.e_step.exact import ExactEStep
    from pgmpy_em_ext.e_step.pgmpy_inference import BeliefPropagationEStep, VariableEliminationEStep
    from pgmpy_em_ext.e_step.sampled import AutoEStep, GibbsEStep, LikelihoodWeightingEStep
    from pgmpy_em_ext.e_step.schedule import SAEM, Ascent, Fixed, Schedule
    from pgmpy_em_ext.e_step.statistics import Chains, ExpectedStatistics, SamplingNoise
    from pgmpy_em_ext.estimators.linear_gaussian_em import LinearGaussianEM
    from pgmpy_em_ext.estimators.weighted_em import WeightedEM
    from pgmpy_em_ext.exceptions import (
        DegenerateWeightsError,
        ImpossibleEvidenceError,
        MemoryBudgetError,
        NotReplicatedWarning,
        OutOfRangeError,
    )
    from pgmpy_em_ext.networks.conditional_gaussian_cpd import ConditionalGaussianCPD
    from pgmpy_em_ext.networks.conditional_gaussian_network import ConditionalGaussianNetwork
    from pgmpy_em_ext.prepare.account import ReductionSummary
    from pgmpy_em_ext.restarts.best_of import Iteration, Restart
    from pgmpy_em_ext.selection.latent_card import LatentCardSelection, select_latent_card
    from pgmpy_em_ext.start.initializer import Initializer, StartContext
    from pgmpy_em_ext.types import MISSING, CPDColumn
    from pgmpy_em_ext.uncertainty.identifiability import Identifiability
    from pgmpy_em_ext.uncertainty.tables import BootstrapTables, MonteCarloErrors, StandardErrorTables

_MODULES = {
    "ApproxInferenceEStep": "e_step.approx_inference",
    "Ascent": "e_step.schedule",
    "AutoEStep": "e_step.sampled",
    "BDeu": "cpd_family.prior",
    "BeliefPropagationEStep": "e_step.pgmpy_inference",
    "BootstrapTables": "uncertainty.tables",
    "Chains": "e_step.statistics",
    "ColumnList": "arrays.columns",
    "ConditionalGaussianEM": "estimators.conditional_gaussian_em",
    "ConditionalGaussianCPD": "networks.conditional_gaussian_cpd",
    "ConditionalGaussianNetwork": "networks.conditional_gaussian_network",
    "CPDColumn": "types",
    "DegenerateWeightsError": "exceptions",
    "Dirichlet": "cpd_family.prior",
    "EnumerationEStep": "e_step.enumeration",
    "EStep": "e_step._base",
    "Evidence": "data.rows",
    "ExactEStep": "e_step.exact",
    "ExpectedStatistics": "e_step.statistics",
    "Family": "arrays.network",
    "Fixed": "e_step.schedule",
    "GibbsEStep": "e_step.sampled",
    "Identifiability": "uncertainty.identifiability",
    "ImpossibleEvidenceError": "exceptions",
    "Initializer": "start.initializer",
    "Iteration": "restarts.best_of",
    "K2": "cpd_family.prior",
    "LatentCardSelection": "selection.latent_card",
    "LikelihoodWeightingEStep": "e_step.sampled",
    "LinearGaussianEM": "estimators.linear_gaussian_em",
    "MemoryBudgetError": "exceptions",
    "MISSING": "types",
    "MonteCarloErrors": "uncertainty.tables",
    "Network": "arrays.network",
    "NotReplicatedWarning": "exceptions",
    "OutOfRangeError": "exceptions",
    "Prior": "cpd_family.prior",
    "ReductionSummary": "prepare.account",
    "Restart": "restarts.best_of",
    "SAEM": "e_step.schedule",
    "SamplingNoise": "e_step.statistics",
    "Schedule": "e_step.schedule",
    "select_latent_card": "selection.latent_card",
    "StandardErrorTables": "uncertainty.tables",
    "StartContext": "start.initializer",
    "VariableEliminationEStep": "e_step.pgmpy_inference",
    "WeightedEM": "estimators.weighted_em",
}

__all__ = [
    "K2",
    "MISSING",
    "SAEM",
    "ApproxInferenceEStep",
    "Ascent",
    "AutoEStep",
    "BDeu",
    "BeliefPropagationEStep",
    "BootstrapTables",
    "CPDColumn",
    "Chains",
    "ColumnList",
    "ConditionalGaussianCPD",
    "ConditionalGaussianEM",
    "ConditionalGaussianNetwork",
    "DegenerateWeightsError",
    "Dirichlet",
    "EStep",
    "EnumerationEStep",
    "Evidence",
    "ExactEStep",
    "ExpectedStatistics",
    "Family",
    "Fixed",
    "GibbsEStep",
    "Identifiability",
    "ImpossibleEvidenceError",
    "Initializer",
    "Iteration",
    "LatentCardSelection",
    "LikelihoodWeightingEStep",
    "LinearGaussianEM",
    "MemoryBudgetError",
    "MonteCarloErrors",
    "Network",
    "NotReplicatedWarning",
    "OutOfRangeError",
    "Prior",
    "ReductionSummary",
    "Restart",
    "SamplingNoise",
    "Schedule",
    "StandardErrorTables",
    "StartContext",
    "VariableEliminationEStep",
    "WeightedEM",
    "__version__",
    "select_latent_card",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module, and keep it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return globals()[name]


def __dir__() -> list[str]:
    """List the public names too, imported or not."""
    return sorted({*globals(), *__all__})
