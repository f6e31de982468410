"""Expectation-Maximization for pgmpy's discrete and linear Gaussian Bayesian networks.

The names below are imported when they are first used: pgmpy takes a second or more.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pgmpy_em_ext._version import __version__

if TYPE_CHECKING:
    from pgmpy_em_ext.columns import ColumnList
    from pgmpy_em_ext.conditional_gaussian_cpd import ConditionalGaussianCPD
    from pgmpy_em_ext.conditional_gaussian_network import ConditionalGaussianNetwork
    from pgmpy_em_ext.e_step._base import EStep
    from pgmpy_em_ext.e_step.approx_inference import ApproxInferenceEStep
    from pgmpy_em_ext.e_step.enumeration import EnumerationEStep
    from pgmpy_em_ext.e_step.exact import ExactEStep
    from pgmpy_em_ext.e_step.pgmpy_inference import BeliefPropagationEStep, VariableEliminationEStep
    from pgmpy_em_ext.e_step.sampled import AutoEStep, GibbsEStep, LikelihoodWeightingEStep
    from pgmpy_em_ext.exceptions import (
        DegenerateWeightsError,
        ImpossibleEvidenceError,
        MemoryBudgetError,
        NotReplicatedWarning,
        OutOfRangeError,
    )
    from pgmpy_em_ext.finish import ReductionSummary
    from pgmpy_em_ext.identifiability import Identifiability
    from pgmpy_em_ext.initializer import Initializer, StartContext
    from pgmpy_em_ext.linear_gaussian_em import LinearGaussianEM
    from pgmpy_em_ext.network import Family, Network
    from pgmpy_em_ext.prior import K2, BDeu, Dirichlet, Prior
    from pgmpy_em_ext.restarts import Iteration, Restart
    from pgmpy_em_ext.schedule import SAEM, Ascent, Fixed, Schedule
    from pgmpy_em_ext.selection import LatentCardSelection, select_latent_card
    from pgmpy_em_ext.types import MISSING, Chains, CPDColumn, Evidence, ExpectedStatistics, SamplingNoise
    from pgmpy_em_ext.uncertainty import BootstrapTables, MonteCarloErrors, StandardErrorTables
    from pgmpy_em_ext.weighted_em import WeightedEM

_MODULES = {
    "ApproxInferenceEStep": "e_step.approx_inference",
    "Ascent": "schedule",
    "AutoEStep": "e_step.sampled",
    "BDeu": "prior",
    "BeliefPropagationEStep": "e_step.pgmpy_inference",
    "BootstrapTables": "uncertainty",
    "Chains": "types",
    "ColumnList": "columns",
    "ConditionalGaussianEM": "conditional_gaussian_em",
    "ConditionalGaussianCPD": "conditional_gaussian_cpd",
    "ConditionalGaussianNetwork": "conditional_gaussian_network",
    "CPDColumn": "types",
    "DegenerateWeightsError": "exceptions",
    "Dirichlet": "prior",
    "EnumerationEStep": "e_step.enumeration",
    "EStep": "e_step._base",
    "Evidence": "types",
    "ExactEStep": "e_step.exact",
    "ExpectedStatistics": "types",
    "Family": "network",
    "Fixed": "schedule",
    "GibbsEStep": "e_step.sampled",
    "Identifiability": "identifiability",
    "ImpossibleEvidenceError": "exceptions",
    "Initializer": "initializer",
    "Iteration": "restarts",
    "K2": "prior",
    "LatentCardSelection": "selection",
    "LikelihoodWeightingEStep": "e_step.sampled",
    "LinearGaussianEM": "linear_gaussian_em",
    "MemoryBudgetError": "exceptions",
    "MISSING": "types",
    "MonteCarloErrors": "uncertainty",
    "Network": "network",
    "NotReplicatedWarning": "exceptions",
    "OutOfRangeError": "exceptions",
    "Prior": "prior",
    "ReductionSummary": "finish",
    "Restart": "restarts",
    "SAEM": "schedule",
    "SamplingNoise": "types",
    "Schedule": "schedule",
    "select_latent_card": "selection",
    "StandardErrorTables": "uncertainty",
    "StartContext": "initializer",
    "VariableEliminationEStep": "e_step.pgmpy_inference",
    "WeightedEM": "weighted_em",
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
