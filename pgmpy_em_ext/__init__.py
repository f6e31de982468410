"""Expectation-Maximization for pgmpy's discrete Bayesian networks.

The names below are imported when they are first used: pgmpy takes a second or more.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pgmpy_em_ext._version import __version__

if TYPE_CHECKING:
    from pgmpy_em_ext.e_step._base import EStep
    from pgmpy_em_ext.e_step.enumeration import EnumerationEStep
    from pgmpy_em_ext.e_step.exact import ExactEStep
    from pgmpy_em_ext.e_step.pgmpy_inference import BeliefPropagationEStep, VariableEliminationEStep
    from pgmpy_em_ext.exceptions import ImpossibleEvidenceError, MemoryBudgetError, NotReplicatedWarning
    from pgmpy_em_ext.finish import ReductionSummary
    from pgmpy_em_ext.identifiability import Identifiability
    from pgmpy_em_ext.initializer import Initializer, StartContext
    from pgmpy_em_ext.network import Family, Network
    from pgmpy_em_ext.prior import K2, BDeu, Dirichlet, Prior
    from pgmpy_em_ext.restarts import Iteration, Restart
    from pgmpy_em_ext.selection import LatentCardSelection, select_latent_card
    from pgmpy_em_ext.types import MISSING, CPDColumn, Evidence, ExpectedStatistics
    from pgmpy_em_ext.uncertainty import BootstrapTables, StandardErrorTables
    from pgmpy_em_ext.weighted_em import WeightedEM

_MODULES = {
    "K2": "prior",
    "MISSING": "types",
    "BDeu": "prior",
    "BootstrapTables": "uncertainty",
    "CPDColumn": "types",
    "BeliefPropagationEStep": "e_step.pgmpy_inference",
    "Dirichlet": "prior",
    "EStep": "e_step._base",
    "EnumerationEStep": "e_step.enumeration",
    "Evidence": "types",
    "ExactEStep": "e_step.exact",
    "ExpectedStatistics": "types",
    "Family": "network",
    "ImpossibleEvidenceError": "exceptions",
    "Identifiability": "identifiability",
    "Initializer": "initializer",
    "Iteration": "restarts",
    "LatentCardSelection": "selection",
    "MemoryBudgetError": "exceptions",
    "Network": "network",
    "NotReplicatedWarning": "exceptions",
    "Prior": "prior",
    "ReductionSummary": "finish",
    "Restart": "restarts",
    "StandardErrorTables": "uncertainty",
    "StartContext": "initializer",
    "VariableEliminationEStep": "e_step.pgmpy_inference",
    "WeightedEM": "weighted_em",
    "select_latent_card": "selection",
}

__all__ = [
    "K2",
    "MISSING",
    "BDeu",
    "BeliefPropagationEStep",
    "BootstrapTables",
    "CPDColumn",
    "Dirichlet",
    "EStep",
    "EnumerationEStep",
    "Evidence",
    "ExactEStep",
    "ExpectedStatistics",
    "Family",
    "Identifiability",
    "ImpossibleEvidenceError",
    "Initializer",
    "Iteration",
    "LatentCardSelection",
    "MemoryBudgetError",
    "Network",
    "NotReplicatedWarning",
    "Prior",
    "ReductionSummary",
    "Restart",
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
