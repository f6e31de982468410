"""Likelihood weighting where exact inference is out of reach, exact inference elsewhere."""

from typing import Any, ClassVar

import numpy as np

from pgmpy_em_ext._tools.checks import check_integer
from pgmpy_em_ext.e_step.importance import MIN_EFFECTIVE, WeightSummary, summarize_weights
from pgmpy_em_ext.e_step.impossible import degenerate_weights
from pgmpy_em_ext.e_step.sampled._base import MAX_BATCHES, ComponentEStep, Drawn, common_key, draw_key
from pgmpy_em_ext.e_step.sampled.plan import SampledPlan
from pgmpy_em_ext.e_step.schedule import read_schedule
from pgmpy_em_ext.e_step.statistics import Chains
from pgmpy_em_ext.types import FloatArray


class LikelihoodWeightingEStep(ComponentEStep):
    """Draw missing variables given their parents alone, and weigh the draws by what is observed.

    It is simple, needs no chains, and is good where little is observed below what is missing. Where
    the observed is improbable given most draws, a few of these have all the weight; a row that rests
    on fewer than two effective draws is refused.

    Parameters
    ----------
    n_samples : int, default 1000
        Draws of each component in an iteration, at least 2.
    max_table_size : int or None, default 4096
        Components whose exact elimination needs no larger table are computed exactly. None is no
        limit.
    schedule : str or Schedule, default "saem"
        As in `GibbsEStep`.
    prune_barren, memory_budget, n_jobs
        As in `ExactEStep`.
    seed : int, default 0
        As in `GibbsEStep`.

    See Also
    --------
    pgmpy_em_ext.e_step.sampled.gibbs.GibbsEStep : which does not mind improbable rows.
    pgmpy_em_ext.e_step.approx_inference.ApproxInferenceEStep : the same by pgmpy's sampler, row by row.

    Notes
    -----
    Time: draws times missing variables times families. ``noise.effective_sample_size`` of the
    statistics is the smallest of any component.

    References
    ----------
    Fung & Chang (1990), UAI. Shachter & Peot (1990), UAI. Koller & Friedman (2009), Probabilistic
    Graphical Models, algorithm 12.2.

    Examples
    --------
    >>> from pgmpy_em_ext.arrays.network import build_network
    >>> from pgmpy_em_ext.data.rows import Evidence
    >>> network = build_network("HX", {"X": "H"}, {"H": [0, 1], "X": [0, 1]}, latents="H")
    >>> evidence = Evidence(np.array([[-1, 0], [-1, 1]]), np.array([3.0, 1.0]), np.array([0, 3]))
    >>> engine = LikelihoodWeightingEStep(n_samples=100_000, max_table_size=1)
    >>> plan = engine.prepare(network, evidence)
    >>> statistics = engine.expected_statistics(plan, np.array([0.5, 0.5, 0.9, 0.1, 0.2, 0.8]))
    >>> network.block(statistics.counts, 0).round(1)  # exactly 2.566 and 1.434
    array([2.6, 1.4])
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "likelihood_weighting", "exact": False}

    def __init__(
        self,
        n_samples: int = 1000,
        max_table_size: int | None = 4096,
        schedule: Any = "saem",
        prune_barren: bool = True,
        memory_budget: int = 2**32,
        n_jobs: int | None = None,
        seed: int = 0,
    ) -> None:
        self.n_samples = n_samples
        self.max_table_size = max_table_size
        self.schedule = schedule
        self.prune_barren = prune_barren
        self.memory_budget = memory_budget
        self.n_jobs = n_jobs
        self.seed = seed
        super().__init__()

    def check(self) -> None:
        """Check the arguments, before any work."""
        super().check()
        check_integer("n_samples", self.n_samples, low=1)
        if self.n_samples < MIN_EFFECTIVE:
            raise ValueError(f"n_samples must be at least 2, since weights are compared. Got: {self.n_samples}.")
        read_schedule(self.schedule)

    def is_exact(self, plan: SampledPlan) -> bool:
        """Whether there is nothing to sample; see `EStep.is_exact`."""
        return plan.tasks.n_tasks == 0

    def draw(self, plan: SampledPlan, parameters: FloatArray, chains: Chains, n_samples: int) -> Drawn:
        """Draw and weigh; see `ComponentEStep.draw`."""
        n_samples = max(n_samples, 2)
        n_batches, key = min(n_samples, MAX_BATCHES), draw_key(chains.seed, chains.step)
        log_weights, counts = self._weigh_draws(plan, parameters, key, n_samples, n_batches)
        weights = self._check_weights(plan, log_weights)
        resolution = float((plan.tasks.weight / weights.effective_sample_size).max())
        return Drawn(counts.reshape(n_batches, -1), weights, chains.states, resolution)

    def weigh(self, plan: SampledPlan, parameters: FloatArray, n_draws: int) -> FloatArray:
        """Draw without counting; see `ComponentEStep.weigh`."""
        return self._weigh_draws(plan, parameters, common_key(self.seed), n_draws, 0)[0]

    def _weigh_draws(
        self, plan: SampledPlan, parameters: FloatArray, key: np.uint64, n_draws: int, n_batches: int
    ) -> tuple[FloatArray, FloatArray]:
        """Draw every component, in threads: log weights, and counts of so many batches."""
        from pgmpy_em_ext.e_step.sampled.kernel import weigh_draws  # needs numba

        place = np.argsort(plan.network.topological_order)
        log_weights = np.empty((plan.tasks.n_tasks, n_draws))

        def work(low: int, high: int) -> FloatArray:
            counts = np.zeros(n_batches * plan.network.n_cells)
            amounts = n_draws, n_batches
            weigh_draws(
                plan.net, plan.tasks, low, high, place, parameters, plan.codes, key, *amounts, counts, log_weights
            )
            return counts

        return log_weights, np.sum(self.in_threads(plan, work), axis=0)

    def _check_weights(self, plan: SampledPlan, log_weights: FloatArray) -> WeightSummary:
        """Refuse rows whose weights degenerate, the first one of the table by its name."""
        weights = summarize_weights(log_weights)
        degenerate = np.flatnonzero(weights.effective_sample_size < MIN_EFFECTIVE)
        if len(degenerate):
            tasks, evidence = plan.tasks, plan.evidence
            task = int(degenerate[np.argmin(evidence.first_row[tasks.row[degenerate]])])
            families = tasks.family[tasks.family_first[task] : tasks.family_first[task + 1]].tolist()
            effective = float(weights.effective_sample_size[task])
            raise degenerate_weights(
                plan.network,
                evidence,
                int(tasks.row[task]),
                families,
                log_weights.shape[1],
                effective,
                type(self).__name__,
            )
        return weights
