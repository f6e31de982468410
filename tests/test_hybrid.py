"""E-steps with discrete and continuous variables: against sums and normal distributions by hand, and quadrature."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import condition
from scipy.stats import norm

from pgmpy_em_ext.arrays.gaussian import lay_out_families
from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows, Units
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.cpd_family.joint import join
from pgmpy_em_ext.data.reduction import reduce_rows, to_evidence
from pgmpy_em_ext.data.rows import EncodedData
from pgmpy_em_ext.e_step.mixed import HybridEStep, patterns
from pgmpy_em_ext.e_step.mixed.layout import lay_out_rows
from pgmpy_em_ext.e_step.mixed.patterns import barren
from pgmpy_em_ext.exceptions import ImpossibleEvidenceError, MemoryBudgetError, OutOfRangeError


def make_network(discrete_parents, cards, continuous_parents, links):
    """Discrete nodes 0..; continuous nodes with continuous and discrete parents."""
    names = [f"d{i}" for i in range(len(cards))]
    discrete = build_network(
        names,
        {names[i]: [names[j] for j in parents] for i, parents in enumerate(discrete_parents)},
        {name: list(range(card)) for name, card in zip(names, cards, strict=True)},
    )
    n_configs = [int(np.prod([cards[j] for j in parents])) for parents in links]
    net = lay_out_families(continuous_parents, n_configs)
    n_nodes = len(continuous_parents)
    units = Units(np.zeros(n_nodes), np.ones(n_nodes))
    return HybridNetwork(discrete, tuple(f"x{i}" for i in range(n_nodes)), net, tuple(map(tuple, links)), units)


def draw_parameters(network, rng):
    tables = network.discrete.normalize(rng.gamma(1, size=network.n_cells) + 0.05)
    continuous = rng.normal(size=network.net.offset[-1])
    for node in range(network.net.n_nodes):
        network.net.block(continuous, node)[:, -1] = rng.gamma(1, size=network.net.n_configs[node]) + 0.1
    return np.concatenate([tables, continuous])


@st.composite
def hybrid_cases(draw, n_rows=5):
    n_discrete, n_continuous = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    cards = [draw(st.integers(1, 3)) for _ in range(n_discrete)]
    discrete_parents = [[j for j in range(i) if draw(st.booleans())] for i in range(n_discrete)]
    continuous_parents = [[j for j in range(i) if draw(st.booleans())] for i in range(n_continuous)]
    links = [[j for j in range(n_discrete) if draw(st.booleans())] for _ in range(n_continuous)]
    network = make_network(discrete_parents, cards, continuous_parents, links)
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    codes = np.column_stack([rng.integers(0, card, n_rows) for card in cards])
    codes[rng.random(codes.shape) < draw(st.sampled_from([0, 0.4, 0.8, 1]))] = -1
    values = rng.normal(size=(n_rows, n_continuous))
    values[rng.random(values.shape) < draw(st.sampled_from([0, 0.4, 0.8]))] = np.nan
    rows = HybridRows(codes, values, rng.gamma(2, size=n_rows), np.arange(n_rows))
    return network, draw_parameters(network, rng), rows


def config(network, node, states):
    cards = network.cards(node)
    return int(np.ravel_multi_index([states[j] for j in network.discrete_parents[node]], cards)) if cards else 0


def normal(network, continuous, states):
    """Mean and covariance of the continuous variables, given all discrete ones."""
    n_nodes = network.net.n_nodes
    slopes, intercepts, variances = np.zeros((n_nodes, n_nodes)), np.zeros(n_nodes), np.zeros(n_nodes)
    for node in range(n_nodes):
        row = network.net.block(continuous, node)[config(network, node, states)]
        intercepts[node], variances[node] = row[0], row[-1]
        slopes[node, network.net.parents(node)] = row[1:-1]
    inverse = np.linalg.inv(np.eye(n_nodes) - slopes)
    return inverse @ intercepts, inverse @ np.diag(variances) @ inverse.T


def dead_discrete(network, codes, values):
    """Missing discrete variables without anything observed below them; continuous ones with something count."""
    alive = ~barren(network.net, np.isnan(values)[None])[0]
    spoken_of = {j for node in np.flatnonzero(alive) for j in network.discrete_parents[node]}
    dead = codes == -1
    dead[list(spoken_of)] = False
    for node in reversed(network.discrete.topological_order):
        for child in network.discrete.children[node]:
            dead[node] &= dead[child]
    return dead, ~alive


def by_hand(network, parameters, rows):
    """Expected statistics by the sum over all discrete completions."""
    discrete, net, n_cells = network.discrete, network.net, network.n_cells
    tables, continuous = parameters[:n_cells], parameters[n_cells:]
    counts, moments, log_likelihood = np.zeros(n_cells), np.zeros(net.moment_offset[-1]), 0.0
    for codes, values, weight in zip(rows.codes, rows.values, rows.weight, strict=True):
        options = [
            range(card) if code < 0 else [code] for code, card in zip(codes, discrete.cardinalities, strict=True)
        ]
        dead, dead_continuous = dead_discrete(network, codes, values)
        found = []
        for states in itertools.product(*options):
            cells = [int(discrete.cells(node, np.array([states]))[0]) for node in range(discrete.n_nodes)]
            filled, left, log_density = condition(*normal(network, continuous, states), values)
            found.append((np.prod(tables[cells]) * np.exp(log_density), states, cells, filled, left))
        total = sum(probability for probability, *_ in found)
        log_likelihood += weight * np.log(total)
        for probability, states, cells, filled, left in found:
            share = weight * probability / total
            np.add.at(counts, [cell for node, cell in enumerate(cells) if not dead[node]], share)
            for node in np.flatnonzero(~dead_continuous):
                members = [*net.parents(node), node]
                one = np.append(1, filled[members])
                products = np.outer(one, one)
                products[1:, 1:] += left[np.ix_(members, members)]
                lower = products[np.tril_indices(len(one))]
                at = net.moment_offset[node] + config(network, node, states) * len(lower)
                moments[at : at + len(lower)] += share * lower
    return np.concatenate([counts, net.about(moments, continuous)]), log_likelihood


class TestEStep:
    @settings(max_examples=150)
    @given(hybrid_cases())
    def test_equals_the_sum_over_all_completions(self, case):
        network, parameters, rows = case
        engine = HybridEStep()
        found = engine.expected_statistics(engine.prepare(network, rows), parameters)
        counts, log_likelihood = by_hand(network, parameters, rows)
        assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-9, abs=1e-9)
        np.testing.assert_allclose(found.counts, counts, rtol=1e-7, atol=1e-8)

    @pytest.mark.parametrize("limit", ["MAX_NUMBERS", "MAX_CELLS"])
    def test_too_many_to_sum_directly_are_eliminated(self, monkeypatch, limit):
        """Both ways give the same, for rows of a table some of which are summed directly in any case."""
        rng = np.random.default_rng(0)
        network = make_network([[], [0], []], [3, 2, 2], [[], [0], [0, 1]], [[0], [], [0, 2]])
        codes = np.column_stack([rng.integers(-1, card, 300) for card in (3, 2, 2)])
        values = rng.normal(size=(300, 3))
        values[rng.random(values.shape) < 0.3] = np.nan
        rows = HybridRows(codes, values, rng.gamma(1, size=300), np.arange(300))
        parameters, engine = draw_parameters(network, rng), HybridEStep()
        some = engine.prepare(network, rows)
        assert {len(each.group.nodes) for each in some.direct} == {1, 2}
        assert some.layout.groups
        monkeypatch.setattr(patterns, limit, 5)
        none = engine.prepare(network, rows)
        assert len(none.direct) < len(some.direct)
        for plan in (none, engine.prepare(network, rows, directly=False)):
            found, expected = (engine.expected_statistics(each, parameters) for each in (plan, some))
            np.testing.assert_allclose(found.counts, expected.counts, rtol=1e-10, atol=1e-10)
            assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)

    def test_equals_integration(self):
        """A hidden class, two measurements of which rows miss one or both: integrated by quadrature."""
        network = make_network([[]], [2], [[], [0]], [[0], [0]])
        parameters = np.array([0.3, 0.7, -1.0, 0.5, 1.0, 2.0, 0.2, 0.8, 0.3, -0.5, -0.4, 1.5])
        nan = np.nan
        values = np.array([[0.4, -0.3], [nan, 0.8], [0.1, nan]])
        rows = HybridRows(np.full((3, 1), -1), values, np.ones(3), np.arange(3))

        def density(x, y):
            total = 0.0
            for state, share in enumerate((0.3, 0.7)):
                mean, variance = parameters[2 + 2 * state : 4 + 2 * state]
                intercept, slope, rest = parameters[6 + 3 * state : 9 + 3 * state]
                total += share * norm(mean, variance**0.5).pdf(x) * norm(intercept + slope * x, rest**0.5).pdf(y)
            return total

        grid = np.linspace(-15, 15, 1001)  # the trapezoidal rule converges exponentially for such functions
        step = grid[1] - grid[0]
        expected = [density(0.4, -0.3), density(grid, 0.8).sum() * step, density(0.1, grid).sum() * step]
        assert density(*np.meshgrid(grid, grid)).sum() * step**2 == pytest.approx(1, abs=1e-9)
        engine = HybridEStep()
        for row, wanted in enumerate(expected):
            plan = engine.prepare(network, rows.take([row]))
            assert engine.expected_statistics(plan, parameters).log_likelihood == pytest.approx(
                np.log(wanted), abs=1e-7
            )

    def test_any_number_of_threads_gives_the_same_bits(self):
        rng = np.random.default_rng(0)
        network = make_network([[], [0]], [3, 2], [[], [0], [0, 1]], [[0], [1], [0, 1]])
        codes = rng.integers(-1, 2, size=(700, 2))
        values = rng.normal(size=(700, 3))
        values[rng.random(values.shape) < 0.3] = np.nan
        rows = HybridRows(codes, values, rng.gamma(1, size=700), np.arange(700))
        parameters = draw_parameters(network, rng)
        one, two = (
            engine.expected_statistics(engine.prepare(network, rows), parameters)
            for engine in (HybridEStep(), HybridEStep(n_jobs=2))
        )
        np.testing.assert_array_equal(one.counts, two.counts)
        assert one.log_likelihood == two.log_likelihood

    def test_a_row_nearest_to_a_state_of_probability_zero(self):
        """Beside the dead state's density that of the other is zero in floating point, but it is all there is."""
        network = make_network([[]], [2], [[]], [[0]])
        parameters = np.array([0.0, 1.0, 100.0, 1.0, 0.0, 1.0])
        rows = HybridRows(np.array([[-1], [-1]]), np.array([[100.0], [0.5]]), np.ones(2), np.arange(2))
        engine = HybridEStep()
        found = engine.expected_statistics(engine.prepare(network, rows), parameters)
        assert found.log_likelihood == pytest.approx(norm.logpdf(100) + norm.logpdf(0.5))
        np.testing.assert_allclose(found.counts[:2], [0, 2])

    def test_impossible_rows_are_named(self):
        network = make_network([[], [0]], [2, 2], [[]], [[0]])
        network = network._replace(units=Units(np.array([10.0]), np.array([2.0])))
        parameters = np.array([0.5, 0.5, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
        rows = HybridRows(np.array([[-1, 0], [-1, 1]]), np.array([[0.5], [0.5]]), np.ones(2), np.array([4, 7]))
        engine = HybridEStep()
        plan = engine.prepare(network, rows)
        with pytest.raises(ImpossibleEvidenceError, match=r"row 7 .*probability zero to d1=1, x0=11.0"):
            engine.expected_statistics(plan, parameters)
        parameters[6:] = np.inf, 1.0, np.inf, 1.0
        with pytest.raises(OutOfRangeError, match=r"density of row 4 .* floating point: d1=0, x0=11.0"):
            engine.expected_statistics(plan, parameters)

    def test_too_many_configurations_are_refused(self):
        network = make_network([[] for _ in range(12)], [4] * 12, [[]], [list(range(12))])
        rows = HybridRows(np.full((3, 12), -1), np.zeros((3, 1)), np.ones(3), np.arange(3))
        with pytest.raises(MemoryBudgetError, match=r"16,777,216 configurations of \['d0', .* for each of 3 rows"):
            HybridEStep(memory_budget=2**28).prepare(network, rows)

    def test_a_mixture_takes_no_memory_for_its_rows(self):
        """No density is kept, so that only who wants the responsibilities needs room for them."""
        network = make_network([[]], [3], [[]], [[0]])
        rows = HybridRows(np.full((400, 1), -1), np.linspace(-1, 1, 400)[:, None], np.ones(400), np.arange(400))
        parameters, engine = draw_parameters(network, np.random.default_rng(0)), HybridEStep(memory_budget=5000)
        plan = engine.prepare(network, rows)
        assert engine.expected_statistics(plan, parameters).counts[:3].sum() == pytest.approx(400)
        with pytest.raises(
            MemoryBudgetError, match="of 400 rows take 9,600 bytes, more than the memory budget of 5,000"
        ):
            engine.responsibilities(plan, parameters, keep_direct=True)


class TestLayout:
    def test_tasks_speak_of_the_variables_that_missing_ones_join(self):
        """x1 depends on d1 and on x0, which depends on d0: where x0 is missing, what is seen speaks of both."""
        network = make_network([[], []], [2, 3], [[], [0]], [[0], [1]])
        nan = np.nan
        values = np.array([[1.0, 1.0], [nan, 1.0], [1.0, nan], [1.0, 1.0]])
        codes = np.array([[-1, -1], [-1, -1], [-1, -1], [0, -1]])
        layout = lay_out_rows(network, HybridRows(codes, values, np.ones(4), np.arange(4)))
        found = {group.nodes: sorted(layout.row[group.tasks].tolist())
                 for group in layout.groups}  # fmt: skip
        assert found == {(0,): [0, 2], (1,): [0, 3], (0, 1): [1]}
        assert layout.row[layout.n_grouped :].tolist() == [3]


class TestNoTables:
    """A network without any discrete variable is one with a discrete part of no nodes."""

    def test_its_layout(self):
        network = build_network((), {}, {})
        assert (network.n_nodes, network.n_cells) == (0, 0)
        for positions in (network.offsets, network.column_starts, network.column_sizes, network.column_of_cell):
            assert positions.dtype.kind == "i"
        assert network.offsets.tolist() == [0]
        assert network.column_starts.tolist() == []
        assert network.normalize(network.uniform).shape == network.flatten([]).shape == (0,)
        assert not network.name_columns(network.column_starts)

    def test_its_rows_are_all_alike(self):
        codes = np.zeros((3, 0), dtype=int)
        evidence = to_evidence(reduce_rows(EncodedData(codes, np.array([1.0, 2.0, 1.0]), np.arange(3))))
        assert evidence.codes.shape == (1, 0)
        assert evidence.weight.tolist() == [4.0]
        assert evidence.first_row.tolist() == [0]

    def test_a_single_kind_of_family_stays_what_it_is(self):
        tables, none = (
            Categorical(network, np.zeros(network.n_cells), np.zeros(len(network.column_starts), dtype=bool))
            for network in (build_network("A", {}, {"A": [0, 1]}), build_network((), {}, {}))
        )
        assert join([tables, none]) is tables
        assert join([none, tables]) is tables
        both = join([tables, none, tables])
        assert (both.n_cells, both.n_statistics, both.n_free) == (4, 4, 2)
        assert both.maximize(np.array([1.0, 3.0, 1.0, 1.0]), np.full(4, 0.5)).tolist() == [0.25, 0.75, 0.5, 0.5]
