"""Blocked Gibbs sampling where exact inference is out of reach, exact inference elsewhere."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from pgmpy_em_ext.checks import check_integer, check_n_jobs
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.exact import ExactEStep
from pgmpy_em_ext.e_step.importance import WeightSummary, summarize_weights
from pgmpy_em_ext.e_step.impossible import impossible_evidence
from pgmpy_em_ext.e_step.sampled.plan import SampledPlan, make_sampled_plan
from pgmpy_em_ext.e_step.sampled.tasks import SamplingPlan
from pgmpy_em_ext.exceptions import DegenerateWeightsError
from pgmpy_em_ext.network import Network
from pgmpy_em_ext.types import Chains, Evidence, ExpectedStatistics, FloatArray, IntArray, SamplingNoise

MAX_BATCHES = 20
"""Batches of draws from which their error is told."""

MAX_TRIES = 1000
"""Draws to find a completion that a chain can start from."""

ROW_DRAWS = 256
"""Draws at least for questions about single rows."""

MAX_LIKELIHOOD = 1024
"""Draws of each component for a log-likelihood, at most."""

LIKELIHOOD_ERROR = 0.1
"""Standard error of a refined log-likelihood that is small enough, in nats: what restarts are told apart by."""

ENOUGH_MOVES = 20
"""Joint moves after which a chain that has accepted none counts as stuck, where probabilities are zero."""


def draw_keys(seed: int, step: int, likelihood_seed: int) -> IntArray:
    """Make the keys of an E-step's random numbers: the chains' own, and those that all E-steps share."""
    key = np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)
    common = np.random.SeedSequence((likelihood_seed, 2**32 - 1)).generate_state(1, np.uint64)
    return np.concatenate([key, common])


class GibbsEStep(EStep):
    """Sample the components of missing variables whose exact elimination is out of reach.

    A component that fits is computed exactly, as `ExactEStep` does. In another one Markov chains
    run, one for each distinct row: blocks of variables, as large as exact elimination allows, are
    drawn in turn given the others (a cutset), and what is counted is the exact expectation within
    the block. Between the blocks, a joint move proposes to change all of the component. Chains go
    on from one iteration to the next.

    Parameters
    ----------
    n_samples : int, default 1
        Draws of each component in an iteration; more for rows of more than the mean weight.
    burn_in : int, default 10
        Sweeps of a new chain that are not counted.
    thin : int, default 1
        Sweeps for each draw.
    max_table_size : int or None, default 4096
        Cells of the largest table that exact elimination may take, of a component or of a block. The
        larger, the less noise and the more work. None is no limit.
    schedule : str or Schedule, default "saem"
        How draws are averaged from iteration to iteration, and when a run ends: "fixed", "ascent", "saem".
    prune_barren : bool, default True
        As in `ExactEStep`.
    memory_budget : int, default 4 GiB
        Bytes for the exact part. Components that it has no room for are computed row by row.
    n_likelihood : int, default 16
        Independent draws of each component from which the log-likelihood is estimated.
    n_jobs : int, optional
        As in `ExactEStep`.
    seed : int, default 0
        Of the draws for the likelihood, which are the same in every iteration and every run, so that
        differences between them are less noisy than they; and of `expected_statistics`.

    See Also
    --------
    pgmpy_em_ext.e_step.sampled.auto.AutoEStep : exact where that is possible, else this.

    Notes
    -----
    Time of a sweep: the tables of all blocks of all components, each as in one exact E-step.
    Memory: the rows' states, and one block's tables.

    Zeros in CPDs can make the completions that blocks reach fall apart. The joint move can
    reach all of them; a chain in which it has never been accepted is reported as stuck.

    References
    ----------
    Jensen, Kong & Kjaerulff (1995), Int. J. Human-Computer Studies 42. Bidyuk & Dechter (2007),
    JAIR 28. Wei & Tanner (1990), J. Am. Stat. Assoc. 85. Casella & Robert (1996), Biometrika 83.

    Examples
    --------
    With tables of four cells at most, the two hidden variables are drawn in turn.

    >>> from pgmpy_em_ext.network import build_network
    >>> states = {name: [0, 1] for name in "ABX"}
    >>> network = build_network("ABX", {"B": "A", "X": "AB"}, states, latents="AB")
    >>> evidence = Evidence(np.array([[-1, -1, 0], [-1, -1, 1]]), np.array([3.0, 1.0]), np.array([0, 3]))
    >>> engine = GibbsEStep(n_samples=2000, max_table_size=2)
    >>> parameters = np.array([0.5, 0.5, 0.8, 0.2, 0.3, 0.7, 0.9, 0.1, 0.6, 0.4, 0.5, 0.5, 0.2, 0.8])
    >>> statistics = engine.expected_statistics(engine.prepare(network, evidence), parameters)
    >>> exact = ExactEStep()
    >>> answer = exact.expected_statistics(exact.prepare(network, evidence), parameters)
    >>> bool((np.abs(statistics.counts - answer.counts) < 4 * statistics.noise.count_errors + 1e-12).all())
    True
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "sampled", "exact": False}

    def __init__(
        self,
        n_samples: int = 1,
        burn_in: int = 10,
        thin: int = 1,
        max_table_size: int | None = 4096,
        schedule: Any = "saem",
        prune_barren: bool = True,
        memory_budget: int = 2**32,
        n_likelihood: int = 16,
        n_jobs: int | None = None,
        seed: int = 0,
    ) -> None:
        self.n_samples = n_samples
        self.burn_in = burn_in
        self.thin = thin
        self.max_table_size = max_table_size
        self.schedule = schedule
        self.prune_barren = prune_barren
        self.memory_budget = memory_budget
        self.n_likelihood = n_likelihood
        self.n_jobs = n_jobs
        self.seed = seed
        super().__init__()

    def _check(self) -> None:
        """Check the arguments."""
        check_integer("n_samples", self.n_samples, low=1)
        check_integer("burn_in", self.burn_in, low=0)
        check_integer("thin", self.thin, low=1)
        check_integer("n_likelihood", self.n_likelihood, low=2)
        check_integer("seed", self.seed, low=0)
        check_n_jobs(self.n_jobs, optional=True)
        check_integer("max_table_size", self.max_table_size, low=1, optional=True)

    @property
    def limit(self) -> float:
        """``max_table_size`` as a number."""
        return np.inf if self.max_table_size is None else float(self.max_table_size)

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
        self._check()
        return make_sampled_plan(network, evidence, self.exact_engine(), self.limit)

    def is_exact(self, plan: SampledPlan) -> bool:
        """Whether every component fits into one block; see `EStep.is_exact`."""
        return not plan.is_noisy.any()

    def start_chains(self, plan: SampledPlan, seed: int) -> Chains:
        """Begin with the rows as they are observed; see `EStep.start_chains`."""
        return Chains(seed, 0, plan.codes.astype(np.int32))

    def expected_statistics(self, plan: SampledPlan, parameters: FloatArray) -> ExpectedStatistics:
        """Estimate by new chains; see `EStep.expected_statistics`."""
        return self.draw_statistics(plan, parameters, self.start_chains(plan, self.seed))[0]

    def draw_statistics(
        self, plan: SampledPlan, parameters: FloatArray, chains: Chains, n_samples: int | None = None
    ) -> tuple[ExpectedStatistics, Chains]:
        """Let the chains go on; see `EStep.draw_statistics`."""
        assert plan.exact is not None  # only questions about rows leave it out
        exact = self.exact_engine().expected_statistics(plan.exact, parameters)
        if plan.tasks.n_tasks == 0:
            noise = SamplingNoise(exact.counts[None], 0.0, float(self.n_likelihood), np.zeros(len(parameters), dtype=np.float64))
            return exact._replace(block_log_likelihood=None, noise=noise), chains._replace(step=chains.step + 1)
        n_samples = n_samples or self.n_samples
        states = chains.states.copy()
        found = self._run(plan, parameters, chains, states, n_samples, self.n_likelihood, np.zeros(0))
        batch_counts = found.counts[:-1] + found.counts[-1] + exact.counts
        summary = found.weights
        weight = plan.tasks.weight
        noise = SamplingNoise(
            batch_counts,
            float(np.sqrt(((weight * summary.error) ** 2).sum())),
            float(summary.effective_sample_size.min()),
            found.resolution * plan.is_noisy[plan.network.family_of_cell],
            self._count_stuck(plan, parameters, found.moves),
        )
        log_likelihood = exact.log_likelihood + float(weight @ summary.log_likelihood)
        statistics = ExpectedStatistics(batch_counts.mean(axis=0), log_likelihood, noise=noise)
        return statistics, Chains(chains.seed, chains.step + 1, states)

    def _run(
        self,
        plan: SampledPlan,
        parameters: FloatArray,
        chains: Chains,
        states: IntArray,
        n_samples: int,
        n_likelihood: int,
        marginals: FloatArray,
    ) -> "Found":
        """Run all chains, in threads; ``states`` and ``marginals`` are written."""
        from pgmpy_em_ext.e_step.sampled.kernel import run_chains  # needs numba

        tasks, n_cells = plan.tasks, plan.network.n_cells
        n_batches = max(min(n_samples, MAX_BATCHES), 1)
        amounts = SamplingPlan(self.burn_in, self.thin, n_batches, MAX_TRIES, self.limit)
        share = tasks.weight / tasks.weight.mean()
        n_draws = np.maximum(n_samples, np.rint(n_samples * share)).astype(np.int64)  # 0 for likelihoods alone
        keys = draw_keys(chains.seed, chains.step, self.seed)
        log_weights = np.zeros((tasks.n_tasks, n_likelihood))
        moves = np.zeros((tasks.n_tasks, 3), dtype=np.int64)
        first = (
            marginal_places(plan) if len(marginals) else np.zeros((len(states), plan.network.n_nodes), dtype=np.int64)
        )

        def work(low: int, high: int) -> FloatArray:
            counts = np.zeros((n_batches + 1) * n_cells)
            run_chains(
                plan.net,
                tasks,
                low,
                high,
                amounts,
                parameters,
                states,
                keys,
                n_draws,
                counts,
                log_weights,
                moves,
                marginals,
                first,
            )
            return counts

        parts = Parallel(n_jobs=self.n_jobs or 1, require="sharedmem")(delayed(work)(*chunk) for chunk in plan.chunks)
        self._check_moves(plan, parameters, moves)
        counts = np.sum(parts, axis=0).reshape(n_batches + 1, n_cells)
        resolution = float((tasks.weight / np.maximum(n_draws, 1)).max())
        return Found(counts, summarize_weights(log_weights), moves, resolution)

    def _check_moves(self, plan: SampledPlan, parameters: FloatArray, moves: IntArray) -> None:
        """Raise for rows that no chain can complete."""
        from pgmpy_em_ext.e_step.sampled.kernel import IMPOSSIBLE

        if not moves[:, 2].any():
            return
        network, evidence = plan.network, plan.evidence
        impossible = plan.tasks.row[moves[:, 2] == IMPOSSIBLE]
        if len(impossible):
            raise impossible_evidence(network, evidence, parameters, impossible)
        rows = plan.tasks.row[moves[:, 2] != 0]
        row = int(rows[np.argmin(evidence.first_row[rows])])
        raise DegenerateWeightsError(
            f"no completion of positive probability was found for row {evidence.first_row[row]} (counting from 0) in "
            f"{MAX_TRIES} draws: the CPDs' zeros exclude nearly all of them. Raise max_table_size of "
            f"{type(self).__name__}, which is {self.max_table_size}, or start from CPDs with fewer zeros."
        )

    def _count_stuck(self, plan: SampledPlan, parameters: FloatArray, moves: IntArray) -> int:
        """Count the chains whose blocks may not reach everything, and that no joint move has moved."""
        has_zero = np.logical_or.reduceat(parameters == 0, plan.network.offsets[:-1])
        tasks = plan.tasks
        apart = np.logical_or.reduceat(has_zero[tasks.family], tasks.family_first[:-1])
        return int((apart & (moves[:, 0] >= ENOUGH_MOVES) & (moves[:, 1] == 0)).sum())

    def refine_log_likelihood(self, plan: SampledPlan, parameters: FloatArray, chains: Chains) -> tuple[float, float]:
        """Draw more, fourfold each time, until the error is small; see `EStep.refine_log_likelihood`."""
        assert plan.exact is not None  # only questions about rows leave it out
        exact = self.exact_engine().expected_statistics(plan.exact, parameters).log_likelihood
        if plan.tasks.n_tasks == 0:
            return exact, 0.0
        n, weight = self.n_likelihood, plan.tasks.weight
        while True:
            n = min(4 * n, MAX_LIKELIHOOD)
            summary = self._run(plan, parameters, chains, chains.states.copy(), 0, n, np.zeros(0)).weights
            error = float(np.sqrt(((weight * summary.error) ** 2).sum()))
            if error <= LIKELIHOOD_ERROR or n >= MAX_LIKELIHOOD:
                return exact + float(weight @ summary.log_likelihood), error

    def ask(self, plan: SampledPlan, parameters: FloatArray, seed: int) -> "Asked":
        """Run new chains for questions about rows.

        Parameters
        ----------
        plan : SampledPlan
            Of rows of which nothing is left to exact inference.
        parameters : float ndarray of shape (n_cells,)
            CPD entries.
        seed : int
            Of the chains.
        """
        places = marginal_places(plan)
        marginals = np.zeros(int(np.where(plan.codes < 0, plan.net.card, 0).sum()))
        chains = self.start_chains(plan, seed)
        states = chains.states.copy()
        if plan.tasks.n_tasks == 0:
            return Asked(np.zeros(0), states, marginals, places)
        n_samples = max(self.n_samples, ROW_DRAWS)
        n_likelihood = max(self.n_likelihood, ROW_DRAWS)
        found = self._run(plan, parameters, chains, states, n_samples, n_likelihood, marginals)
        return Asked(found.weights.log_likelihood, states, marginals, places)

    def summary(self, plan: SampledPlan) -> dict[str, int]:
        """Tell the sizes of the exact part, and what is sampled."""
        assert plan.exact is not None  # only questions about rows leave it out
        tasks = plan.tasks
        return self.exact_engine().summary(plan.exact) | {
            "n_sampled_components": tasks.n_tasks,
            "n_sampled_rows": len(plan.codes),
            "n_blocks": len(tasks.block_node_first) - 1,
        }


class Asked(NamedTuple):
    """What chains say of single rows.

    Attributes
    ----------
    log_likelihood : float ndarray of shape (n_tasks,)
        Of each component, in nats.
    states : int ndarray of shape (n_chains, n_nodes)
        Completed rows.
    marginals : float ndarray
        Posteriors of all missing cells, each up to a factor.
    places : int ndarray of shape (n_chains, n_nodes)
        Where each begins in ``marginals``.
    """

    log_likelihood: FloatArray
    states: IntArray
    marginals: FloatArray
    places: IntArray


class Found(NamedTuple):
    """What all chains together have left.

    Attributes
    ----------
    counts : float ndarray of shape (n_batches + 1, n_cells)
        Expected counts of the sampled components; the last row is of those that one block covers.
    weights : WeightSummary
        What the draws for the likelihood say of each component.
    moves : int ndarray of shape (n_tasks, 3)
        See `kernel.run_chains`.
    resolution : float
        The largest weight of a single draw, in records.
    """

    counts: FloatArray
    weights: WeightSummary
    moves: IntArray
    resolution: float


def marginal_places(plan: SampledPlan) -> IntArray:
    """Where each missing cell's posterior begins in the vector of all of them."""
    size = np.where(plan.codes < 0, plan.net.card, 0)
    return (np.cumsum(size.ravel()) - size.ravel()).reshape(size.shape)
