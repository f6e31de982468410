"""Families of distributions as accelerated EM sees them: coordinates, information, and whole runs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_parameters

from pgmpy_em_ext.arrays.gaussian import lay_out_families
from pgmpy_em_ext.arrays.mixed import continuous_network, continuous_rows
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.cpd_family._base import DiagonalMetric
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.cpd_family.joint import JointFamily
from pgmpy_em_ext.cpd_family.linear_gaussian import FACTOR, SHRINK, LinearGaussian
from pgmpy_em_ext.e_step.mixed import HybridEStep
from pgmpy_em_ext.e_step.statistics import Blocks, ExpectedStatistics
from pgmpy_em_ext.em.acceleration import ACCELERATIONS
from pgmpy_em_ext.em.blocks import whole_block
from pgmpy_em_ext.em.exact import ExactEM
from pgmpy_em_ext.em.loop import run
from pgmpy_em_ext.em.progress import Progress
from pgmpy_em_ext.em.step import EMState, Problem, choose, init
from pgmpy_em_ext.em.stopping import StoppingRule

PRIORS = [(0.0, 0.0, 0.0), (2.0, 0.5, 0.0), (0.0, 0.0, 3.0), (1.5, 0.2, 4.0)]
FAST = ["auto", "squarem", "lbfgs"]


def regressions(net, prior=PRIORS[0], floor=1e-9, fixed=()):
    shape, scale, ridge = prior
    is_fixed = np.isin(np.arange(net.n_nodes), fixed)
    return LinearGaussian(net, np.full(net.n_nodes, floor), shape, scale, ridge, is_fixed)


def random_regressions(net, rng):
    parameters = rng.normal(size=net.offset[-1])
    for node in range(net.n_nodes):
        block = net.block(parameters, node)
        block[:, -1] = rng.gamma(2, size=len(block)) + 0.1
    return parameters


def random_moments(net, rng, n_rows=12):
    """Moments of complete rows, anew for each configuration."""
    moments = np.zeros(net.moment_offset[-1])
    for node in range(net.n_nodes):
        size = len(net.parents(node)) + 2
        products = []
        for _ in range(net.n_configs[node]):
            rows = np.column_stack([np.ones(n_rows), rng.normal(size=(n_rows, size - 1)) + 1])
            products.append((rows.T @ (rng.gamma(2, size=(n_rows, 1)) * rows))[np.tril_indices(size)])
        moments[net.moment_offset[node] : net.moment_offset[node + 1]] = np.concatenate(products)
    return moments


def complete_data_objective(family, moments, parameters):
    """Log-likelihood of complete data with these moments, plus log prior; up to a constant."""
    found = family.log_priors(parameters).sum()
    for node in range(family.net.n_nodes):
        matrices = family.net.moment_matrices(moments, node)
        for matrix, row in zip(matrices, family.net.block(parameters, node), strict=True):
            residual = np.append(-row[:-1], 1)
            found -= (matrix[0, 0] * np.log(row[-1]) + residual @ matrix @ residual / row[-1]) / 2
    return found


def chart_of(family, parameters, products):
    """A chart for complete data with these products of (1, parents, child)."""
    return family.chart(parameters, family.net.about(products, parameters))


NET = lay_out_families([[], [0], [0, 1], [0, 1, 2]], [1, 3, 2, 4])
"""With configurations of discrete parents, as many as there might be."""


@st.composite
def complete_cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    family = regressions(NET, draw(st.sampled_from(PRIORS)), fixed=draw(st.sampled_from([(), (1,)])))
    return family, random_moments(NET, rng), random_regressions(NET, rng), rng


class TestRegressionCoordinates:
    @settings(max_examples=30)
    @given(complete_cases())
    def test_the_gradient_is_that_of_the_objective(self, case):
        family, moments, parameters, rng = case
        chart = chart_of(family, parameters, moments)
        direction = family.tangent(chart.position, rng.normal(size=len(parameters)))

        def objective(length):
            there = family.retract(chart.position + length * direction, parameters, parameters)
            return complete_data_objective(family, moments, there)

        slope = (objective(1e-5) - objective(-1e-5)) / 2e-5
        assert chart.gradient @ direction == pytest.approx(slope, rel=1e-5, abs=1e-4)

    def test_the_gradient_with_missing_values(self):
        problem, parameters = factor_problem(prior=PRIORS[3])
        family, net = problem.family, problem.family.net
        chart = family.chart(parameters, init(problem, parameters).statistics.counts)
        for cell in range(0, net.offset[-1], 5):
            step = family.tangent(chart.position, 1e-5 * (np.arange(net.offset[-1]) == cell))
            ends = [family.retract(chart.position + sign * step, parameters, parameters) for sign in (1, -1)]
            slope = (init(problem, ends[0]).objective - init(problem, ends[1]).objective) / 2e-5
            assert chart.gradient[cell] == pytest.approx(slope, rel=1e-5, abs=1e-4)

    @settings(max_examples=30)
    @given(complete_cases())
    def test_the_metric_is_the_information_of_complete_data_at_their_maximum(self, case):
        family, moments, parameters, rng = case
        best = family.regress(moments, parameters)
        chart = chart_of(family, best, moments)
        np.testing.assert_allclose(chart.gradient, 0, atol=1e-8)
        direction = family.tangent(chart.position, rng.normal(size=len(best)))
        there, here = (chart.position + sign * 1e-5 * direction for sign in (1, -1))
        change = (
            chart_of(family, family.retract(here, best, best), moments).gradient
            - chart_of(family, family.retract(there, best, best), moments).gradient
        )
        np.testing.assert_allclose(chart.metric.times(direction), change / 2e-5, rtol=1e-4, atol=1e-4)

    @settings(max_examples=30)
    @given(complete_cases())
    def test_a_step_of_the_solved_gradient_is_an_em_step(self, case):
        family, moments, parameters, rng = case
        target = family.regress(moments, parameters)
        near = chart_of(family, target, moments).position
        near = near + 1e-4 * family.tangent(near, rng.normal(size=len(near)))
        near = family.retract(near, target, target)
        chart = chart_of(family, near, moments)
        found = family.retract(chart.position + chart.metric.solve(chart.gradient), target, near)
        np.testing.assert_allclose(found, target, rtol=1e-6, atol=1e-6)

    @settings(max_examples=30)
    @given(complete_cases())
    def test_operators_fit_together(self, case):
        family, moments, parameters, rng = case
        chart = chart_of(family, parameters, moments)
        check_metric(chart.metric, family.tangent(chart.position, rng.normal(size=len(parameters))), rng)
        np.testing.assert_array_equal(chart.metric.informed, ~np.repeat(family.fixed, np.diff(NET.offset)))

    @settings(max_examples=30)
    @given(complete_cases())
    def test_there_and_back(self, case):
        family, moments, parameters, _ = case
        chart = chart_of(family, parameters, moments)
        np.testing.assert_allclose(family.retract(chart.position, parameters, parameters), parameters, rtol=1e-14)

    def test_directions_without_information(self):
        """Two parents that are one; a configuration without weight; a fixed family."""
        net = lay_out_families([[], [], [0, 1]], [1, 1, 2])
        rng = np.random.default_rng(0)
        one = rng.normal(size=50)
        rows = np.column_stack([np.ones(50), one, one, one + rng.normal(size=50)])
        moments = np.ones(net.moment_offset[-1])
        moments[-20:-10] = (rows.T @ rows)[np.tril_indices(4)]
        moments[-10:] = 0.0
        family = regressions(net, fixed=(0,))
        parameters = np.ones(net.offset[-1])
        chart = chart_of(family, parameters, moments)
        none = np.zeros(len(parameters))
        none[-7:-5] = 1, -1  # what one parent gains the other loses
        assert abs(chart.gradient @ none) < 1e-9 * np.abs(chart.gradient).max()
        np.testing.assert_allclose(chart.metric.solve(none), 0, atol=1e-12)
        np.testing.assert_allclose(chart.metric.times(none), 0, atol=1e-10)
        for without in (slice(0, 2), slice(len(parameters) - 4, None)):
            assert not chart.gradient[without].any()
            assert not chart.metric.informed[without].any()
            assert not chart.metric.solve(np.ones(len(parameters)))[without].any()
        there = family.retract(chart.position + chart.metric.solve(chart.gradient), parameters, parameters)
        np.testing.assert_array_equal(there[:2], parameters[:2])
        np.testing.assert_allclose(there[-4:], parameters[-4:])
        assert there[-7] == pytest.approx(there[-6], rel=1e-9)  # the shortest of all solutions

    def test_a_variance_at_its_floor_is_held_while_it_would_fall(self):
        net = lay_out_families([[]], [1])
        moments = np.array([10.0, 0.0, 10.0])
        low, high = (regressions(net, floor=floor) for floor in (0.5, 2.0))
        rises = chart_of(low, np.array([0.0, 0.5]), moments)
        assert rises.gradient[1] == pytest.approx(10)
        assert rises.metric.informed.all()
        held = chart_of(high, np.array([0.3, 2.0]), moments)
        np.testing.assert_allclose(held.gradient, [-1.5, 0])
        np.testing.assert_array_equal(held.metric.informed, [True, False])
        np.testing.assert_allclose(held.metric.solve(np.ones(2)), [0.2, 0])
        check_metric(held.metric, np.array([1.0, 0.0]), np.random.default_rng(0))
        for position in (held.position - 1, held.position + 1):
            assert high.retract(position, np.array([0.0, 2.0]), np.array([0.3, 2.0]))[1] == 2.0

    def test_a_fit_that_is_nearly_deterministic(self):
        rng = np.random.default_rng(0)
        one = rng.normal(size=1000)
        rows = np.column_stack([np.ones(1000), one, 0.7 * one + 1e-3 * rng.normal(size=1000)])
        net = lay_out_families([[], [0]], [1, 1])
        moments = np.concatenate([[1000, 0, 1000], (rows.T @ rows)[np.tril_indices(3)]])
        family = regressions(net, floor=1e-12)
        best = family.regress(moments, np.ones(5))
        assert best[-1] == pytest.approx(1e-6, rel=0.1)
        chart = chart_of(family, best, moments)
        assert chart.metric.inverse_squares(chart.gradient).sum() < 1e-12
        check_metric(chart.metric, rng.normal(size=5), rng)

    @given(complete_cases())
    def test_wild_steps_stay_inside(self, case):
        family, _, target, rng = case
        size, fixed = len(target), np.repeat(family.fixed, np.diff(NET.offset))
        wild = [rng.normal(size=size) * 10.0 ** rng.integers(-3, 200, size=size)]
        wild += [np.full(size, value) for value in (np.nan, np.inf, -np.inf, -1e300, 1e300, 0.0)]
        wild.append(np.where(rng.random(size) < 0.3, np.nan, target))
        current = random_regressions(NET, rng)
        for position in wild:
            retracted = family.retract(position, target, current)
            inside = family.keep_inside(position, target)
            np.testing.assert_array_equal(retracted[fixed], current[fixed])
            np.testing.assert_array_equal(inside[fixed], target[fixed])
            for found, least, most in ((retracted, 1 / FACTOR, FACTOR), (inside, SHRINK, np.inf)):
                assert np.isfinite(found).all()
                for node in np.flatnonzero(~family.fixed):
                    ratio = NET.block(found, node)[:, -1] / NET.block(target, node)[:, -1]
                    assert (ratio >= least * (1 - 1e-12)).all()
                    assert (ratio <= most * (1 + 1e-12)).all()


def check_metric(metric, vector, rng):
    """What times and solve undo, and what whitening makes of the damped information."""
    np.testing.assert_allclose(metric.solve(metric.times(vector)), vector, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(metric.squares(vector).sum(), vector @ metric.times(vector), rtol=1e-10)
    np.testing.assert_allclose(metric.inverse_squares(vector).sum(), vector @ metric.solve(vector), rtol=1e-10)
    damping = 4.0
    whitening = metric.damped(damping)
    any_vector = rng.normal(size=len(vector))
    damped = metric.times(any_vector) + damping * any_vector
    there = whitening.unwhiten(any_vector)
    back = whitening.whiten(metric.times(there) + damping * there)
    np.testing.assert_allclose(back, any_vector, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(whitening.unwhiten(whitening.whiten(damped)), any_vector, rtol=1e-7, atol=1e-7)


def factor_problem(n_items=6, n_rows=150, missing=0.3, prior=PRIORS[0], seed=3):
    """A latent factor behind some items, of which a part is missing; and a start."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n_rows, 1))
    values = factor * np.linspace(0.4, 0.8, n_items) + 0.7 * rng.normal(size=(n_rows, n_items))
    values[rng.random(values.shape) < missing] = np.nan
    values = np.column_stack([np.full(n_rows, np.nan), values])
    net = lay_out_families([[]] + [[0]] * n_items, [1] * (n_items + 1))
    engine = HybridEStep()
    plan = engine.prepare(continuous_network(net), continuous_rows(values))
    start = np.concatenate([[0.0, 1.0], np.tile([0.0, 0.3, 1.0], n_items)])
    start[3::3] += 0.2 * rng.normal(size=n_items)
    return Problem(engine, plan, regressions(net, prior, floor=1e-6, fixed=(0,))), start


def rule(tol, total_weight=150.0, **settings):
    return StoppingRule(tol, None, 20_000, 20, None, total_weight=total_weight, **settings)


class TestRegressionRuns:
    @pytest.mark.parametrize("prior", [PRIORS[0], PRIORS[3]])
    def test_all_methods_reach_the_same_limit(self, prior):
        problem, start = factor_problem(prior=prior)
        plain = run(problem, Progress(start), rule(1e-9))
        for method in FAST:
            fast = run(problem, Progress(start), rule(1e-9), method=ExactEM(ACCELERATIONS[method]))
            history = np.array(fast.history)
            assert (np.diff(history) >= -1e-12 * (1 + np.abs(history[1:]))).all()
            assert fast.status == "converged"
            assert fast.state.objective == pytest.approx(plain.state.objective, abs=1e-6)
            assert fast.progress.n_e_steps < 0.7 * plain.progress.n_e_steps
            np.testing.assert_allclose(fast.state.parameters, plain.state.parameters, atol=1e-3)

    def test_a_variance_that_falls_to_its_floor(self):
        """A Heywood case: the factor explains an item wholly. Plain EM takes ten thousands of steps to find it."""
        problem, start = factor_problem(n_items=3, n_rows=12, missing=0.2, seed=0)
        fast = run(problem, Progress(start), rule(1e-6, 12.0), method=ExactEM(ACCELERATIONS["lbfgs"]))
        assert fast.status == "converged"
        assert fast.progress.n_e_steps < 200
        assert (np.diff(fast.history) >= -1e-8).all()
        assert problem.family.at_floor(fast.state.parameters) == [(3, 0)]
        on = run(problem, Progress(fast.state.parameters), rule(0.0, 12.0)._replace(max_iter=100))
        assert on.state.objective - fast.state.objective < 1e-6

    @pytest.mark.parametrize("method", [None, *FAST])
    def test_a_saddle_point_is_left(self, method):
        """A factor without loadings is one: EM never finds that it explains anything."""
        problem, start = factor_problem()
        limit = run(problem, Progress(start), rule(1e-6), method=ExactEM(ACCELERATIONS["lbfgs"]))
        start[3::3] = 0.0
        stuck = run(problem, Progress(start), rule(1e-3), method=ExactEM(ACCELERATIONS[method]))
        assert stuck.state.objective < limit.state.objective - 5
        left = run(problem, Progress(start), rule(1e-3, probes_saddles=True), method=ExactEM(ACCELERATIONS[method]))
        assert left.status == "converged"
        assert left.state.objective == pytest.approx(limit.state.objective, abs=3e-3)
        assert left.gap <= 1e-3


class TestJointFamily:
    def parts(self):
        rng = np.random.default_rng(0)
        network = build_network(range(2), {0: [], 1: [0]}, {0: [0, 1], 1: [0, 1, 2]})
        tables = Categorical(network, np.full(network.n_cells, 0.5), np.array([False, True, False]))
        families = (tables, regressions(NET, PRIORS[3], fixed=(2,)))
        vectors = [random_parameters(network, rng), random_regressions(NET, rng)]
        statistics = [rng.gamma(1, size=network.n_cells), random_moments(NET, rng)]
        return families, vectors, statistics, rng

    def test_steps_and_priors_are_those_of_its_parts(self):
        families, vectors, statistics, rng = self.parts()
        joint = JointFamily(families)
        cells, counts = np.concatenate(vectors), np.concatenate(statistics)
        cases = list(zip(families, vectors, statistics, strict=True))
        assert (joint.n_cells, joint.n_statistics) == (len(cells), len(counts))
        assert joint.n_free == sum(family.n_free for family in families)
        targets = [family.maximize(own, vector) for family, vector, own in cases]
        same(joint.maximize(counts, cells), targets)
        same(joint.log_priors(cells), [family.log_priors(vector) for family, vector, _ in cases])
        same(joint.absorbing(cells), [family.absorbing(vector) for family, vector, _ in cases])
        same(joint.fixed_families(), [family.fixed_families() for family in families])
        moved = [vector + 0.1 * rng.normal(size=len(vector)) for vector in vectors]
        steps = list(zip(families, moved, targets, vectors, strict=True))
        to, there = np.concatenate(targets), np.concatenate(moved)
        same(joint.tangent(cells, there), [family.tangent(here, step) for family, step, _, here in steps])
        same(joint.retract(there, to, cells), [family.retract(*rest) for family, *rest in steps])
        same(joint.keep_inside(there, to), [family.keep_inside(step, target) for family, step, target, _ in steps])

    def test_coordinates_are_those_of_its_parts(self):
        families, vectors, statistics, rng = self.parts()
        joint = JointFamily(families)
        chart = joint.chart(np.concatenate(vectors), np.concatenate(statistics))
        charts = [family.chart(*each) for family, *each in zip(families, vectors, statistics, strict=True)]
        same(chart.position, [each.position for each in charts])
        same(chart.gradient, [each.gradient for each in charts])
        same(chart.metric.informed, [each.metric.informed for each in charts])
        pieces = [rng.normal(size=len(vector)) for vector in vectors]
        for name in ("times", "solve", "squares", "inverse_squares"):
            parts = [getattr(each.metric, name)(piece) for each, piece in zip(charts, pieces, strict=True)]
            same(getattr(chart.metric, name)(np.concatenate(pieces)), parts)
        moving = joint.tangent(chart.position, np.concatenate(pieces))
        moving[: len(vectors[0])] = pieces[0]  # a fixed table has information too
        check_metric(chart.metric, moving, rng)

    def test_tables_keep_the_signs_that_they_are_given(self):
        families, vectors, statistics, _ = self.parts()
        position = -np.ones(sum(len(vector) for vector in vectors))
        chart = JointFamily(families).chart(np.concatenate(vectors), np.concatenate(statistics), position)
        assert (chart.position[: len(vectors[0])] < 0).all()
        same(chart.position[len(vectors[0]) :], [families[1].chart(vectors[1], statistics[1]).position])


def same(found, parts):
    np.testing.assert_array_equal(found, np.concatenate(parts))


def test_a_diagonal_metric():
    rng = np.random.default_rng(0)
    metric = DiagonalMetric(np.array([0.0, 2.0, 3.0]))
    check_metric(metric, np.array([0.0, 1.0, -2.0]), rng)
    np.testing.assert_array_equal(metric.solve(np.ones(3)), [0, 1 / 2, 1 / 3])
    np.testing.assert_array_equal(metric.informed, [False, True, True])


def test_a_state_put_together_from_two_has_the_statistics_of_its_blocks():
    problem, start = factor_problem()
    n_cells, n_moments = len(start), problem.family.n_statistics
    states = [
        EMState(
            np.full(n_cells, value),
            ExpectedStatistics(np.full(n_moments, value), 2.0, np.full(3, value)),
            np.full(7, value),
        )
        for value in (0.0, 1.0)
    ]
    blocks = Blocks(
        np.repeat([0, 1], [2, 5]), np.repeat([0, 1], [5, n_cells - 5]), 2, np.repeat([0, 1], [9, n_moments - 9])
    )
    found = choose(problem, blocks, np.array([False, True, False]), states[1], states[0])
    np.testing.assert_array_equal(found.parameters, blocks.of_cell)
    np.testing.assert_array_equal(found.statistics.counts, blocks.of_statistic)
    whole = whole_block(7, n_cells, n_moments)
    assert [len(part) for part in (whole.of_family, whole.of_cell, whole.of_statistic)] == [7, n_cells, n_moments]
