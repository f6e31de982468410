"""What engines share that sample only the components which are too large for exact inference."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from pgmpy_em_ext._tools.checks import check_integer, check_n_jobs
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.exact import ExactEStep
from pgmpy_em_ext.e_step.importance import WeightSummary, summarize_weights
from pgmpy_em_ext.e_step.sampled.plan import SampledPlan, make_sampled_plan
from pgmpy_em_ext.e_step.statistics import Chains, ExpectedStatistics, SamplingNoise
from pgmpy_em_ext.types import FloatArray, IntArray

MAX_BATCHES = 20
"""Batches of draws from which their error is told."""

MAX_LIKELIHOOD = 1024
"""Draws of each component for a log-likelihood, at most."""

LIKELIHOOD_ERROR = 0.1
"""Standard error of a refined log-likelihood that is small enough, in nats: what restarts are told apart by."""

LARGE_TABLE = 2**20
"""Cells that a block's tables may have whatever the memory budget: a few megabytes in each thread."""

BYTES_PER_CELL = 64
"""What a cell of a block's largest table takes, with the smaller tables and the scratch beside it, about."""

_COMMON = 2**32 - 1


class Drawn(NamedTuple):
    """What one E-step's draws say of the sampled components.

    Attributes
    ----------
    batch_counts : float ndarray of shape (n_batches, n_cells)
        Expected counts, as batches of equally many draws estimate them.
    weights : WeightSummary
        The likelihood of each component.
    states : int ndarray of shape (n_chains, n_nodes)
        From which the next E-step's chains go on.
    resolution : float
        The largest weight of a single draw, in records.
    n_stuck : int
        See `SamplingNoise`.
    """

    batch_counts: FloatArray
    weights: WeightSummary
    states: IntArray
    resolution: float
    n_stuck: int = 0


class ComponentEStep(EStep):
    """Base class of engines that sample components of missing variables, and leave the others to exact inference."""

    max_table_size: int | None
    prune_barren: bool
    memory_budget: int
    n_jobs: int | None
    seed: int

    def check(self) -> None:
        """Check the arguments that all of these engines have."""
        check_integer("seed", self.seed, low=0)
        check_integer("max_table_size", self.max_table_size, low=1, optional=True)
        check_n_jobs(self.n_jobs, optional=True)

    @abstractmethod
    def draw(self, plan: SampledPlan, parameters: FloatArray, chains: Chains, n_samples: int) -> Drawn:
        """Draw every sampled component."""

    @abstractmethod
    def weigh(self, plan: SampledPlan, parameters: FloatArray, n_draws: int) -> FloatArray:
        """Draw for the likelihood alone, from random numbers that all runs share; log weights of each task's draws."""

    @property
    def limit(self) -> float:
        """``max_table_size`` as a number, as far as there is memory for such tables."""
        if self.max_table_size is None:
            return np.inf
        return float(min(self.max_table_size, max(LARGE_TABLE, self.memory_budget // BYTES_PER_CELL)))

    def exact_engine(self) -> ExactEStep:
        """Make the engine of the exact part."""
        return ExactEStep(prune_barren=self.prune_barren, memory_budget=self.memory_budget, n_jobs=self.n_jobs)

    def settle(self, network: Network, evidence: Evidence) -> tuple[EStep, Any]:
        """Leave the work to exact inference where nothing is too large; see `EStep.settle`."""
        plan = self.prepare(network, evidence)
        if plan.tasks.n_tasks == 0:
            return self.exact_engine(), plan.exact
        return self, plan

    def prepare(self, network: Network, evidence: Evidence) -> SampledPlan:
        """Divide the rows into what is exact and what is sampled; see `EStep.prepare`."""
        self.check()
        return make_sampled_plan(network, evidence, self.exact_engine(), self.limit)

    def expected_statistics(self, plan: SampledPlan, parameters: FloatArray) -> ExpectedStatistics:
        """Estimate by new chains; see `EStep.expected_statistics`."""
        return self.draw_statistics(plan, parameters, self.start_chains(plan, self.seed))[0]

    def draw_statistics(
        self, plan: SampledPlan, parameters: FloatArray, chains: Chains, n_samples: int | None = None
    ) -> tuple[ExpectedStatistics, Chains]:
        """Let the chains go on; see `EStep.draw_statistics`."""
        exact = self._exact_statistics(plan, parameters)
        n_samples = n_samples or self.usual_draws(plan)
        chains = chains._replace(step=chains.step + 1)
        if plan.tasks.n_tasks == 0:
            resolution: FloatArray = np.zeros(plan.network.n_cells)
            noise = SamplingNoise(exact.counts[None], 0.0, float(n_samples), resolution)
            return exact._replace(block_log_likelihood=None, noise=noise), chains
        found = self.draw(plan, parameters, chains, n_samples)
        batch_counts = found.batch_counts + exact.counts
        sampled, error = _add_up(plan, found.weights)
        noise = SamplingNoise(
            batch_counts,
            error,
            float(found.weights.effective_sample_size.min()),
            np.where(plan.is_noisy[plan.network.family_of_cell], found.resolution, 0.0),
            found.n_stuck,
        )
        statistics = ExpectedStatistics(batch_counts.mean(axis=0), exact.log_likelihood + sampled, noise=noise)
        return statistics, chains._replace(states=found.states)

    def _exact_statistics(self, plan: SampledPlan, parameters: FloatArray) -> ExpectedStatistics:
        assert plan.exact is not None  # only questions about rows leave it out
        return self.exact_engine().expected_statistics(plan.exact, parameters)

    def refine_log_likelihood(self, plan: SampledPlan, parameters: FloatArray, chains: Chains) -> tuple[float, float]:
        """Draw more, fourfold each time, until the error is small; see `EStep.refine_log_likelihood`."""
        exact = self._exact_statistics(plan, parameters).log_likelihood
        if plan.tasks.n_tasks == 0:
            return exact, 0.0
        n_draws = MAX_LIKELIHOOD // 16
        while True:
            sampled, error = _add_up(plan, summarize_weights(self.weigh(plan, parameters, n_draws)))
            if error <= LIKELIHOOD_ERROR or n_draws >= MAX_LIKELIHOOD:
                return exact + sampled, error
            n_draws *= 4

    def in_threads(self, plan: SampledPlan, work: Callable[[int, int], Any]) -> list[Any]:
        """Call a function for the first task and the end of each part of the tasks, side by side."""
        calls = (delayed(work)(*chunk) for chunk in plan.chunks)
        return Parallel(n_jobs=self.n_jobs or 1, require="sharedmem")(calls)

    def summary(self, plan: SampledPlan) -> dict[str, int]:
        """Tell the sizes of the exact part, and what is sampled."""
        assert plan.exact is not None  # only questions about rows leave it out
        return self.exact_engine().summary(plan.exact) | {
            "n_sampled_components": plan.tasks.n_tasks,
            "n_sampled_rows": len(plan.codes),
            "n_blocks": len(plan.tasks.block_node_first) - 1,
        }


def _add_up(plan: SampledPlan, weights: WeightSummary) -> tuple[float, float]:
    """Sum log-likelihoods over components, and give the standard error of the sum."""
    weight = plan.tasks.weight
    return float(weight @ weights.log_likelihood), float(np.sqrt(((weight * weights.error) ** 2).sum()))


def draw_key(seed: int, step: int) -> np.uint64:
    """Make the key of one E-step's random numbers."""
    return np.uint64(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0])


def common_key(seed: int) -> np.uint64:
    """Make the key of the random numbers that all E-steps and all runs share."""
    return draw_key(seed, _COMMON)
