"""Exact inference while it fits into memory, else sampling."""

import logging
import warnings
from typing import Any, ClassVar, NamedTuple

from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.exact import ExactEStep
from pgmpy_em_ext.e_step.sampled.gibbs import GibbsEStep
from pgmpy_em_ext.e_step.statistics import Chains, ExpectedStatistics
from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.types import FloatArray

logger = logging.getLogger(__name__)


class Settled(NamedTuple):
    """The engine that does the work, and its plan."""

    engine: EStep
    plan: Any


class AutoEStep(EStep):
    """Exact inference where its memory budget suffices, else sampling of what is too large.

    Where it samples, a warning says so, and how much.

    Parameters
    ----------
    memory_budget : int, default 4 GiB
        As in `ExactEStep`.
    sampled : GibbsEStep, optional
        What samples; by default one with its own defaults.
    prune_barren : bool, default True
        As in `ExactEStep`.
    n_jobs : int, optional
        As in `ExactEStep`.

    See Also
    --------
    pgmpy_em_ext.e_step.exact.ExactEStep : refuses what does not fit.
    pgmpy_em_ext.e_step.sampled.gibbs.GibbsEStep : samples by the size of tables, without a warning.
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "auto"}

    def __init__(
        self,
        memory_budget: int = 2**32,
        sampled: GibbsEStep | None = None,
        prune_barren: bool = True,
        n_jobs: int | None = None,
    ) -> None:
        self.memory_budget = memory_budget
        self.sampled = sampled
        self.prune_barren = prune_barren
        self.n_jobs = n_jobs
        super().__init__()

    def exact_engine(self) -> ExactEStep:
        """Make the engine of exact inference."""
        return ExactEStep(prune_barren=self.prune_barren, memory_budget=self.memory_budget, n_jobs=self.n_jobs)

    def sampled_engine(self) -> GibbsEStep:
        """Make the engine that samples; it shares this one's memory, pruning and threads."""
        engine = GibbsEStep() if self.sampled is None else self.sampled.clone()
        return engine.set_params(
            memory_budget=self.memory_budget, prune_barren=self.prune_barren, n_jobs=self.n_jobs or engine.n_jobs
        )

    def settle(self, network: Network, evidence: Evidence) -> tuple[EStep, Any]:
        """Choose the engine; see `EStep.settle`."""
        exact = self.exact_engine()
        try:
            return exact, exact.prepare(network, evidence)
        except MemoryBudgetError as error:
            logger.info("%s", error)
        sampled = self.sampled_engine()
        engine, plan = sampled.settle(network, evidence)
        if not engine.is_exact(plan):
            sizes = engine.summary(plan)
            warnings.warn(
                f"exact inference needs more than its memory budget of {self.memory_budget:,} bytes, so that "
                f"{sizes['n_sampled_components']:,} groups of missing variables in {sizes['n_sampled_rows']:,} "
                f"distinct rows are sampled, with tables of at most {sampled.limit:,.0f} cells where exact ones would "
                f"have up to {plan.largest_table:,.0f}. The answer has an error, mc_standard_error_. Raise "
                "e_step=AutoEStep(memory_budget=...), or choose e_step='sampled' to be spared this warning.",
                UserWarning,
                stacklevel=2,
            )
        return engine, plan

    def prepare(self, network: Network, evidence: Evidence) -> Settled:
        """Choose the engine, and prepare; see `EStep.prepare`."""
        return Settled(*self.settle(network, evidence))

    def is_exact(self, plan: Settled) -> bool:
        """Whether exact inference was chosen; see `EStep.is_exact`."""
        return plan.engine.is_exact(plan.plan)

    def usual_draws(self, plan: Settled) -> int:
        """Ask the chosen engine; see `EStep.usual_draws`."""
        return plan.engine.usual_draws(plan.plan)

    def start_chains(self, plan: Settled, seed: int) -> Chains:
        """Let the chosen engine begin; see `EStep.start_chains`."""
        return plan.engine.start_chains(plan.plan, seed)

    def draw_statistics(
        self, plan: Settled, parameters: FloatArray, chains: Chains, n_samples: int | None = None
    ) -> tuple[ExpectedStatistics, Chains]:
        """Let the chosen engine draw; see `EStep.draw_statistics`."""
        return plan.engine.draw_statistics(plan.plan, parameters, chains, n_samples)

    def expected_statistics(self, plan: Settled, parameters: FloatArray) -> ExpectedStatistics:
        """Let the chosen engine work; see `EStep.expected_statistics`."""
        return plan.engine.expected_statistics(plan.plan, parameters)

    def summary(self, plan: Settled) -> dict[str, int]:
        """Tell the sizes of the chosen engine's plan."""
        return plan.engine.summary(plan.plan)
