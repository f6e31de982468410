"""E-step by pgmpy's own sampling: likelihood weighting, one question for each distinct row."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import networkx as nx
import numpy as np

from pgmpy_em_ext._tools.checks import check_integer
from pgmpy_em_ext._tools.packing import weighted_bincount
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.reduction import observed_whole
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.importance import MIN_EFFECTIVE, summarize_weights
from pgmpy_em_ext.e_step.impossible import degenerate_weights, impossible_evidence
from pgmpy_em_ext.e_step.pgmpy_inference import RowsPlan, connected_components, to_model
from pgmpy_em_ext.e_step.statistics import Chains, ExpectedStatistics, SamplingNoise
from pgmpy_em_ext.types import MISSING, FloatArray, IntArray

if TYPE_CHECKING:  # at run time where it is used: pgmpy.sampling loads statsmodels, and warns
    from pgmpy.sampling import BayesianModelSampling

MAX_BATCHES = 20
"""Batches from which the error of the counts is estimated, to about a sixth of itself."""

_GLOBAL_RANDOM_STATE = threading.Lock()
"""Held while pgmpy draws: it knows no random numbers but numpy's global ones."""

_LOGGER = logging.getLogger("pgmpy")


class Component(NamedTuple):
    """A connected component of the network, ready to be sampled.

    Attributes
    ----------
    nodes : list of int
        Its variables.
    labels : list of str
        Their names in pgmpy's model.
    sampling : BayesianModelSampling
        Of that model.
    """

    nodes: list[int]
    labels: list[str]
    sampling: "BayesianModelSampling"


class Answer(NamedTuple):
    """What a row's draws say of families that its missing values join.

    Attributes
    ----------
    share : float ndarray of shape (n_draws,)
        Weight of each draw; they sum to one.
    log_likelihood : float
        Of these families' observed children given what is observed of their parents, in nats.
    error : float
        Its standard error, in nats.
    effective_sample_size : float
        In draws, at least `MIN_EFFECTIVE`.
    """

    share: FloatArray
    log_likelihood: float
    error: float
    effective_sample_size: float


class ApproxInferenceEStep(EStep):
    """Ask pgmpy's likelihood weighting about every distinct row.

    The draws come from `pgmpy.sampling.BayesianModelSampling.likelihood_weighted_sample`.
    pgmpy's `ApproxInference.query` is not used: it takes evidence by rejection alone, through
    ``simulate``, which keeps one draw in 1 / P(evidence), and it tells no likelihood.

    Missing variables are drawn given their parents, in topological order, and each draw counts
    with the probability of the observed states given theirs. Normalised, these weights give the
    posterior of every family; their mean estimates the row's likelihood. Families that a row
    observes in full are exact. The others fall, given what it observes, into sets that share no
    missing variable; each set weighs the row's draws by its own families alone.

    Parameters
    ----------
    n_samples : int, default 1000
        Draws for each distinct row, >= 2.
    seed : int, default 0
        Of the draws of `expected_statistics`, >= 0. All its calls use the same random numbers;
        `draw_statistics` goes on with new ones.

    Raises
    ------
    DegenerateWeightsError
        By `expected_statistics` and `draw_statistics`, where all draws of a row have weight
        zero, or so few of them nearly all of it that the effective sample size is below
        `MIN_EFFECTIVE`. The row may be impossible, or its observed states improbable given
        what is drawn above them.

    See Also
    --------
    pgmpy_em_ext.e_step.pgmpy_inference : pgmpy's exact inference, row by row.

    Notes
    -----
    Cost: for each distinct row about two milliseconds for each variable of a component in which
    it misses something, nearly all of it in pgmpy, and a microsecond for each draw of each; linear
    in all of them, whatever the treewidth. Errors fall as one over the root of ``n_samples``. They
    grow, and weights degenerate, with the number of observed variables below one set of missing ones.

    The random numbers of a row depend on the seed, the step of the chains and the row's position
    in the evidence alone. pgmpy draws from numpy's global random state, which is seeded
    for each question and put back after it; engines in several threads take turns, but a
    thread of the user's own that draws from the global state meanwhile is disturbed.

    pgmpy's own weights, one product over all observed variables of the component, go unused: they
    would let each set's noise into all others, and those of some hundred variables underflow.

    The batches of the noise are linearised: batch b holds f + B (s_b - f v_b), with B batches,
    f the row's posterior, v_b the batch's share of the row's weight and s_b its part of f. Their
    mean is f, their spread is that of a ratio of two sums, and each adds up to the row's weight.
    An entry of a batch, unlike one of the counts, may be below zero.

    References
    ----------
    Fung & Chang (1990), Weighing and integrating evidence for stochastic simulation in Bayesian
    networks, UAI 5, 209-219. Shachter & Peot (1990), Simulation approaches to general
    probabilistic inference on belief networks, UAI 5, 221-231. Koller & Friedman (2009),
    Probabilistic Graphical Models, algorithm 12.2.

    Examples
    --------
    A hidden cause H of one effect X; X = 0 was seen three times, X = 1 once.

    >>> from pgmpy_em_ext.arrays.network import build_network
    >>> network = build_network("HX", {"X": "H"}, {"H": [0, 1], "X": [0, 1]})
    >>> parameters = np.array([0.5, 0.5, 0.9, 0.1, 0.2, 0.8])
    >>> evidence = Evidence(np.array([[-1, 0], [-1, 1]]), np.array([3.0, 1.0]), np.array([0, 1]))
    >>> engine = ApproxInferenceEStep(n_samples=2000)
    >>> found = engine.expected_statistics(engine.prepare(network, evidence), parameters)
    >>> exact = [2.566, 1.434]
    >>> errors = found.noise.count_errors[:2]
    >>> bool((abs(found.counts[:2] - exact) < 4 * errors).all()), bool((errors < 0.05).all())
    (True, True)
    >>> abs(found.log_likelihood - -2.592) < 4 * found.noise.log_likelihood_error < 0.3
    True
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "approx_inference", "exact": False}

    def __init__(self, n_samples: int = 1000, seed: int = 0) -> None:
        self.n_samples = n_samples
        self.seed = seed
        super().__init__()

    def prepare(self, network: Network, evidence: Evidence) -> RowsPlan:
        """Check the arguments and keep the rows; see `EStep.prepare`."""
        check_integer("n_samples", self.n_samples, low=2)
        check_integer("seed", self.seed, low=0)
        return RowsPlan(network, evidence)

    def expected_statistics(self, plan: RowsPlan, parameters: FloatArray) -> ExpectedStatistics:
        """Sample with the random numbers of a run's first step; see `EStep.expected_statistics`."""
        return self.draw_statistics(plan, parameters, self.start_chains(plan, self.seed))[0]

    def draw_statistics(
        self, plan: RowsPlan, parameters: FloatArray, chains: Chains, n_samples: int | None = None
    ) -> tuple[ExpectedStatistics, Chains]:
        """Sample row by row; see `EStep.draw_statistics`."""
        network, evidence = plan
        n_draws = int(self.n_samples if n_samples is None else n_samples)
        with np.errstate(divide="ignore"):
            log_parameters = np.log(parameters)
        counts, log_likelihood = _observed_families(plan, parameters, log_parameters)
        batches = np.tile(counts, (min(MAX_BATCHES, n_draws), 1))
        variance, fewest = 0.0, float(n_draws)
        components = _make_components(network, parameters)
        for row, number in _questions(evidence, components):
            with _random_numbers(chains.seed, chains.step, row, number):
                completed = _complete(components[number], evidence.codes[row], n_draws)
            weight = float(evidence.weight[row])
            for families in _independent_families(network, components[number], evidence.codes[row]):
                answer = _weigh(plan, row, families, completed, log_parameters)
                log_likelihood += weight * answer.log_likelihood
                variance += (weight * answer.error) ** 2
                fewest = min(fewest, answer.effective_sample_size)
                for node in families:
                    _add_posterior(network, node, network.cells(node, completed), weight, answer.share, counts, batches)
        noise = SamplingNoise(batches, float(np.sqrt(variance)), fewest, _resolution(plan, n_draws))
        return ExpectedStatistics(counts, log_likelihood, noise=noise), chains._replace(step=chains.step + 1)


def _resolution(plan: RowsPlan, n_draws: int) -> FloatArray:
    """Say what one draw adds to each count at most, in records; 0 for families that all rows observe in full."""
    network, evidence = plan
    resolution = np.zeros(network.n_cells)
    for node in range(network.n_nodes):
        unseen = ~observed_whole(network, node, evidence.codes)
        largest = float(evidence.weight[unseen].max(initial=0.0))
        network.block(resolution, node)[...] = largest / n_draws
    return resolution


def _observed_families(plan: RowsPlan, parameters: FloatArray, log_parameters: FloatArray) -> tuple[FloatArray, float]:
    """Count the families that rows observe in full, and add up their log-likelihood: the part that is exact."""
    network, evidence = plan
    counts = np.zeros(network.n_cells)
    by_row = np.zeros(len(evidence.codes))
    for node, family in enumerate(network.families):
        rows = np.flatnonzero((evidence.codes[:, list(family.members)] != MISSING).all(axis=1))
        cells = network.cells(node, evidence.codes[rows])
        np.add.at(counts, cells, evidence.weight[rows])
        by_row[rows] += log_parameters[cells]
    impossible = np.flatnonzero(np.isneginf(by_row))
    if len(impossible):
        raise impossible_evidence(network, evidence, parameters, impossible)
    return counts, float(evidence.weight @ by_row)


def _make_components(network: Network, parameters: FloatArray) -> list[Component]:
    """Make a sampler of each connected component; rows that miss nothing in it need not ask it."""
    from pgmpy.sampling import BayesianModelSampling

    components = []
    for nodes in connected_components(network):
        model = to_model(network, parameters, nodes)
        components.append(Component(nodes, [cpd.variable for cpd in model.get_cpds()], BayesianModelSampling(model)))
    return components


def _questions(evidence: Evidence, components: list[Component]) -> list[tuple[int, int]]:
    """Pair rows with the components in which they miss something, the first row of the user's table first."""
    missing = np.column_stack([(evidence.codes[:, found.nodes] == MISSING).any(axis=1) for found in components])
    return [
        (int(row), int(number)) for row in np.argsort(evidence.first_row) for number in np.flatnonzero(missing[row])
    ]


@contextmanager
def _random_numbers(*key: int) -> Iterator[None]:
    """Let numpy's global random state, which pgmpy draws from, be that of a key; put it back afterwards."""
    with _GLOBAL_RANDOM_STATE:
        state = np.random.get_state(legacy=False)  # noqa: NPY002
        _LOGGER.addFilter(_is_news)
        try:
            np.random.set_state(dict(np.random.MT19937(np.random.SeedSequence(key)).state))  # noqa: NPY002
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
            _LOGGER.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Drop what pgmpy logs of every CPD column whose sum rounding has moved off one."""
    return not str(record.msg).startswith("Probability values don't exactly sum to 1")


def _complete(component: Component, codes: IntArray, n_draws: int) -> IntArray:
    """Draw completions of one component of a row; the other variables stay as they are."""
    states = [
        (label, int(codes[node]))
        for node, label in zip(component.nodes, component.labels, strict=True)
        if codes[node] != MISSING
    ]
    # Asked to leave latents out, pgmpy drops them, even none, in a way that pandas 3 warns of.
    samples = component.sampling.likelihood_weighted_sample(
        evidence=states, size=n_draws, include_latents=True, show_progress=False, n_jobs=1
    )
    completed = np.tile(codes.astype(np.int64), (n_draws, 1))
    completed[:, component.nodes] = samples[component.labels].to_numpy()
    return completed


def _independent_families(network: Network, component: Component, codes: IntArray) -> list[list[int]]:
    """Split the families of which a row misses a member into sets that share no missing variable.

    Given what the row observes, what is missing in one says nothing of the others.
    """
    missing = {
        node: [member for member in network.families[node].members if codes[member] == MISSING]
        for node in component.nodes
    }
    graph = nx.Graph()
    for members in missing.values():
        if members:
            nx.add_path(graph, members)
    number = {node: k for k, joined in enumerate(nx.connected_components(graph)) for node in joined}
    families: list[list[int]] = [[] for _ in set(number.values())]
    for node, members in missing.items():
        if members:
            families[number[members[0]]].append(node)
    return families


def _weigh(plan: RowsPlan, row: int, families: list[int], completed: IntArray, log_parameters: FloatArray) -> Answer:
    """Weigh completions by the observed children of some families, given their parents."""
    network, evidence = plan
    log_weight = np.zeros(len(completed))
    for node in families:
        if evidence.codes[row, node] != MISSING:
            log_weight += log_parameters[network.cells(node, completed)]
    log_likelihood, error, effective = (float(of_rows[0]) for of_rows in summarize_weights(log_weight[None]))
    if effective < MIN_EFFECTIVE:
        raise degenerate_weights(network, evidence, row, families, len(completed), effective, "ApproxInferenceEStep")
    share = np.exp(log_weight - log_weight.max())
    return Answer(share / share.sum(), log_likelihood, error, effective)


def _add_posterior(
    network: Network,
    node: int,
    cells: IntArray,
    weight: float,
    share: FloatArray,
    counts: FloatArray,
    batches: FloatArray,
) -> None:
    """Add one row's posterior of a family, times its weight, to the counts and their batches, in place.

    What a batch finds is corrected for its share of the draws' weight: see the notes of `ApproxInferenceEStep`.
    """
    n_batches, start, end = len(batches), int(network.offsets[node]), int(network.offsets[node + 1])
    batch = np.arange(len(cells)) * n_batches // len(cells)
    found = weighted_bincount(batch * (end - start) + cells - start, share, n_batches * (end - start))
    found = found.reshape(n_batches, -1)
    posterior = found.sum(axis=0)
    counts[start:end] += weight * posterior
    surplus = found - found.sum(axis=1, keepdims=True) * posterior
    batches[:, start:end] += weight * (posterior + n_batches * surplus)
