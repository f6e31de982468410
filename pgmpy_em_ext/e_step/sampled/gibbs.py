"""Blocked Gibbs sampling where exact inference is out of reach, exact inference elsewhere."""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from pgmpy_em_ext._tools.checks import check_integer
from pgmpy_em_ext.e_step.importance import summarize_weights
from pgmpy_em_ext.e_step.impossible import impossible_evidence
from pgmpy_em_ext.e_step.sampled._base import MAX_BATCHES, ComponentEStep, Drawn, common_key, draw_key
from pgmpy_em_ext.e_step.sampled.plan import SampledPlan
from pgmpy_em_ext.e_step.sampled.tasks import SamplingPlan
from pgmpy_em_ext.e_step.schedule import read_schedule
from pgmpy_em_ext.e_step.statistics import Chains
from pgmpy_em_ext.exceptions import DegenerateWeightsError
from pgmpy_em_ext.types import FloatArray, IntArray

MAX_TRIES = 1000
"""Draws to find a completion that a chain can start from."""

ROW_DRAWS = 256
"""Draws at least for questions about single rows."""

ENOUGH_MOVES = 20
"""Joint moves to other completions after which a chain that has accepted next to none counts as stuck, where
probabilities are zero."""

FEWEST_ACCEPTED = 0.01
"""Part of its joint moves that a chain accepts which is not stuck."""

MIN_DRAWS = 2000
"""Draws of an E-step altogether, at least, where ``n_samples`` does not say: few records are sampled often."""

MAX_PER_ROW = 64
"""Draws of a distinct row, at most, for the records that it stands for, where ``n_samples`` does not say."""


class GibbsEStep(ComponentEStep):
    """Sample the components of missing variables whose exact elimination is out of reach.

    A component that fits is computed exactly, as `ExactEStep` does. In another one Markov chains
    run, one for each distinct row: blocks of variables, as large as exact elimination allows, are
    drawn in turn given the others (a cutset), and what is counted is the exact expectation within
    the block. Between the blocks, a joint move proposes to change all of the component. Chains go
    on from one iteration to the next.

    Parameters
    ----------
    n_samples : int, optional
        Draws of each component in an iteration; more for rows of more than the mean weight. By default
        one for each record that a row stands for (64 at most), and 2,000 of all components together at least.
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

    >>> from pgmpy_em_ext.arrays.network import build_network
    >>> from pgmpy_em_ext.data.rows import Evidence
    >>> states = {name: [0, 1] for name in "ABX"}
    >>> network = build_network("ABX", {"B": "A", "X": "AB"}, states, latents="AB")
    >>> evidence = Evidence(np.array([[-1, -1, 0], [-1, -1, 1]]), np.array([3.0, 1.0]), np.array([0, 3]))
    >>> engine = GibbsEStep(n_samples=2000, max_table_size=2)
    >>> parameters = np.array([0.5, 0.5, 0.8, 0.2, 0.3, 0.7, 0.9, 0.1, 0.6, 0.4, 0.5, 0.5, 0.2, 0.8])
    >>> statistics = engine.expected_statistics(engine.prepare(network, evidence), parameters)
    >>> from pgmpy_em_ext.e_step.exact import ExactEStep
    >>> exact = ExactEStep()
    >>> answer = exact.expected_statistics(exact.prepare(network, evidence), parameters)
    >>> bool((np.abs(statistics.counts - answer.counts) < 4 * statistics.noise.count_errors + 1e-12).all())
    True
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "sampled", "exact": False}

    def __init__(
        self,
        n_samples: int | None = None,
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

    def check(self) -> None:
        """Check the arguments, before any work."""
        super().check()
        check_integer("n_samples", self.n_samples, low=1, optional=True)
        check_integer("burn_in", self.burn_in, low=0)
        check_integer("thin", self.thin, low=1)
        check_integer("n_likelihood", self.n_likelihood, low=2)
        read_schedule(self.schedule)

    def is_exact(self, plan: SampledPlan) -> bool:
        """Whether every component fits into one block; see `EStep.is_exact`."""
        return not plan.is_noisy.any()

    def usual_draws(self, plan: SampledPlan) -> int:
        """Draw as often as there are records, and often where there are few; see `EStep.usual_draws`."""
        if self.n_samples is not None or self.is_exact(plan):
            return self.n_samples or 1
        records = min(float(plan.tasks.weight.mean()), MAX_PER_ROW)
        return int(np.ceil(max(records, MIN_DRAWS / plan.tasks.n_tasks)))

    def start_chains(self, plan: SampledPlan, seed: int) -> Chains:
        """Begin with the rows as they are observed; see `EStep.start_chains`."""
        return Chains(seed, 0, plan.codes.astype(np.int32))

    def draw(self, plan: SampledPlan, parameters: FloatArray, chains: Chains, n_samples: int) -> Drawn:
        """Let the chains go on; see `ComponentEStep.draw`."""
        found = self._run(plan, parameters, chains, n_samples, self.n_likelihood, np.zeros(0))
        weights = summarize_weights(found.log_weights)
        resolution = float((plan.tasks.weight / found.n_draws).max())
        return Drawn(
            found.counts[:-1] + found.counts[-1],
            weights,
            found.states,
            resolution,
            self._count_stuck(plan, parameters, found.moves),
        )

    def weigh(self, plan: SampledPlan, parameters: FloatArray, n_draws: int) -> FloatArray:
        """Draw by elimination in groups; see `ComponentEStep.weigh`."""
        return self._run(plan, parameters, self.start_chains(plan, 0), 0, n_draws, np.zeros(0)).log_weights

    def _run(
        self,
        plan: SampledPlan,
        parameters: FloatArray,
        chains: Chains,
        n_samples: int,
        n_likelihood: int,
        marginals: FloatArray,
    ) -> "Found":
        """Run all chains, in threads; ``marginals`` are written."""
        from pgmpy_em_ext.e_step.sampled.kernel import run_chains  # needs numba

        tasks, n_cells = plan.tasks, plan.network.n_cells
        n_batches = max(min(n_samples, MAX_BATCHES), 1)
        burn_in = self.burn_in if n_samples else 0
        amounts = SamplingPlan(burn_in, self.thin, n_batches, MAX_TRIES, self.limit)
        share = tasks.weight / tasks.weight.mean()
        n_draws = np.maximum(n_samples, np.rint(n_samples * share)).astype(np.int64)
        keys = np.array([draw_key(chains.seed, chains.step), common_key(self.seed)])
        log_weights = np.zeros((tasks.n_tasks, n_likelihood))
        moves = np.zeros((tasks.n_tasks, 3), dtype=np.int64)
        states = chains.states.copy()
        places = marginal_places(plan) if len(marginals) else np.zeros(states.shape, dtype=np.int64)

        def work(low: int, high: int) -> FloatArray:
            counts = np.zeros((n_batches + 1) * n_cells)
            written = counts, log_weights, moves, marginals, places
            run_chains(plan.net, tasks, low, high, amounts, parameters, states, keys, n_draws, *written)
            return counts

        counts = np.sum(self.in_threads(plan, work), axis=0).reshape(n_batches + 1, n_cells)
        self._check_moves(plan, parameters, moves)
        return Found(counts, log_weights, moves, states, n_draws)

    def _check_moves(self, plan: SampledPlan, parameters: FloatArray, moves: IntArray) -> None:
        """Raise for rows that no chain can complete."""
        from pgmpy_em_ext.e_step.sampled.kernel import IMPOSSIBLE

        network, evidence = plan.network, plan.evidence
        impossible = plan.tasks.row[moves[:, 2] == IMPOSSIBLE]
        if plan.exact is None:  # a question about rows, whose likelihood then says it
            moves = np.where(moves == IMPOSSIBLE, 0, moves) if len(impossible) else moves
            impossible = impossible[:0]
        if not moves[:, 2].any():
            return
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
        """Count the chains whose blocks may not reach everything, and that joint moves hardly move."""
        has_zero = np.logical_or.reduceat(parameters == 0, plan.network.offsets[:-1])
        tasks = plan.tasks
        apart = np.logical_or.reduceat(has_zero[tasks.family], tasks.family_first[:-1])
        return int((apart & (moves[:, 0] >= ENOUGH_MOVES) & (moves[:, 1] < FEWEST_ACCEPTED * moves[:, 0])).sum())

    def ask(self, plan: SampledPlan, parameters: FloatArray, seed: int, *, likelihood_only: bool) -> "Asked":
        """Run new chains for questions about rows.

        Parameters
        ----------
        plan : SampledPlan
            Of rows of which nothing is left to exact inference.
        parameters : float ndarray of shape (n_cells,)
            CPD entries.
        seed : int
            Of the chains.
        likelihood_only : bool
            Whether there is no need for posteriors and draws.
        """
        places = marginal_places(plan)
        marginals = np.zeros(int(np.where(plan.codes < 0, plan.net.card, 0).sum()))
        chains = self.start_chains(plan, seed)
        if plan.tasks.n_tasks == 0:
            return Asked(np.zeros(0), chains.states, marginals, places)
        n_samples = 0 if likelihood_only else max(self.n_samples or 1, ROW_DRAWS)
        n_likelihood = max(self.n_likelihood, ROW_DRAWS)
        found = self._run(plan, parameters, chains, n_samples, n_likelihood, marginals)
        return Asked(summarize_weights(found.log_weights).log_likelihood, found.states, marginals, places)


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
    log_weights : float ndarray of shape (n_tasks, n_likelihood)
        Of the draws for the likelihood.
    moves : int ndarray of shape (n_tasks, 3)
        See `kernel.run_chains`.
    states : int ndarray of shape (n_chains, n_nodes)
        Completed rows.
    n_draws : int ndarray of shape (n_tasks,)
        Draws that were counted.
    """

    counts: FloatArray
    log_weights: FloatArray
    moves: IntArray
    states: IntArray
    n_draws: IntArray


def marginal_places(plan: SampledPlan) -> IntArray:
    """Where each missing cell's posterior begins in the vector of all of them."""
    size = np.where(plan.codes < 0, plan.net.card, 0)
    return (np.cumsum(size.ravel()) - size.ravel()).reshape(size.shape)
