"""The bootstrap, and new weights for rows that are compiled already."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import ProblemCase, cases, random_parameters, sample_codes

from pgmpy_em_ext import EnumerationEStep, ExactEStep, ImpossibleEvidenceError
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.data.reduction import rows_with_weight
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step.exact import compile as compile_module
from pgmpy_em_ext.e_step.exact import sections, zeros
from pgmpy_em_ext.em.step import Problem, init
from pgmpy_em_ext.uncertainty.bootstrap import bootstrap, climb, draw_weights, percentile_interval
from pgmpy_em_ext.uncertainty.standard_errors import standard_errors
from pgmpy_em_ext.uncertainty.tables import BootstrapTables

BACKENDS = ["numpy", "numba", "numba in sections"]


@pytest.fixture(params=BACKENDS, scope="module")
def backend(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numba in sections":
            patch.setattr(sections, "READS_PER_SECTION", 20)
            patch.setattr(sections, "READS_PER_SHARED_VALUE", 1e-3)
        yield request.param.split()[0]


def free_family(network, pseudo_count=0.0):
    fixed = np.zeros(len(network.column_sizes), dtype=bool)
    return Categorical(network, np.full(network.n_cells, pseudo_count), fixed)


def problem_of(network, evidence, engine=None, family=None):
    engine = engine or ExactEStep()
    return Problem(engine, engine.prepare(network, evidence), family or free_family(network))


def assert_equal(found, expected, exactly=False):
    tolerance = {"rtol": 0, "atol": 0} if exactly else {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(found.counts, expected.counts, **tolerance)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12, abs=1e-12)


def new_weights(case, seed):
    weight = np.random.default_rng(seed).choice([0.0, 0.0, 1.0, 2.5], size=len(case.evidence.weight))
    weight[-1] = 1.0
    return weight


@given(case=cases(), seed=st.integers(0, 99), prune_barren=st.booleans())
def test_reweighted_equals_preparing_with_new_weights(backend, case, seed, prune_barren):
    engine = ExactEStep(backend=backend, prune_barren=prune_barren)
    weight = new_weights(case, seed)
    plan = engine.prepare(case.network, case.evidence)
    before = engine.expected_statistics(plan, case.parameters)
    found = engine.expected_statistics(engine.reweighted(plan, weight), case.parameters)
    fresh = engine.prepare(case.network, rows_with_weight(case.evidence._replace(weight=weight)))
    assert_equal(found, engine.expected_statistics(fresh, case.parameters))
    again = engine.reweighted(engine.reweighted(plan, weight), case.evidence.weight)
    assert_equal(engine.expected_statistics(again, case.parameters), before, exactly=True)
    assert_equal(engine.expected_statistics(plan, case.parameters), before, exactly=True)


@given(case=cases(), seed=st.integers(0, 99))
def test_products_of_products_are_reweighted(case, seed):
    """What large problems alone would reach."""
    engine = ExactEStep(backend="numpy")
    weight = new_weights(case, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compile_module, "MAX_INPUTS", 2)
        found = engine.reweighted(engine.prepare(case.network, case.evidence), weight)
        fresh = engine.prepare(case.network, rows_with_weight(case.evidence._replace(weight=weight)))
    assert_equal(*(engine.expected_statistics(plan, case.parameters) for plan in (found, fresh)))


@given(case=cases(), seed=st.integers(0, 99))
def test_reweighted_without_zeros(backend, case, seed):
    engine = ExactEStep(backend=backend)
    weight = new_weights(case, seed)
    plan = engine.prepare(case.network, case.evidence)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"FEW": 0, "SMALL": 0, "WORTHWHILE": 1}.items():
            patch.setattr(zeros, name, value)
        plan = engine.without_zeros(plan, case.parameters == 0)
    found = engine.expected_statistics(engine.reweighted(plan, weight), case.parameters)
    fresh = engine.prepare(case.network, rows_with_weight(case.evidence._replace(weight=weight)))
    assert_equal(found, engine.expected_statistics(fresh, case.parameters))


def hidden_cause():
    network = build_network("HXY", {"X": "H", "Y": "H"}, {name: [0, 1] for name in "HXY"}, latents="H")
    codes = np.array([[-1, 0, 0], [-1, 0, 1], [-1, 1, 1]])
    return network, Evidence(codes, np.array([3.0, 2.0, 1.0]), np.array([4, 0, 2]))


def test_rows_without_weight_may_be_impossible(backend):
    network, evidence = hidden_cause()
    engine = ExactEStep(backend=backend)
    plan = engine.prepare(network, evidence)
    never = np.array([0.5, 0.5, 1.0, 0.0, 1.0, 0.0, 0.5, 0.5, 0.2, 0.8])  # X is never 1
    found = engine.expected_statistics(engine.reweighted(plan, np.array([1.0, 1.0, 0.0])), never)
    assert np.isfinite(found.log_likelihood)
    assert np.isfinite(found.counts).all()
    with pytest.raises(ImpossibleEvidenceError, match="row 2"):
        engine.expected_statistics(engine.reweighted(plan, np.array([0.0, 1.0, 0.5])), never)


def test_engines_that_know_no_other_way_prepare_anew():
    network, evidence = hidden_cause()
    start = random_parameters(network, np.random.default_rng(0))
    slow = problem_of(network, evidence, EnumerationEStep())
    assert slow.engine.reweighted(slow.plan, evidence.weight) is None
    draws = [bootstrap(one, network, evidence, start, 5, seed=3) for one in (slow, problem_of(network, evidence))]
    np.testing.assert_allclose(draws[0], draws[1], rtol=1e-6)


def test_whole_weights_are_drawn_as_records():
    rng = np.random.default_rng(0)
    weight = np.array([1.0, 4.0, 95.0])
    draws = np.array([draw_weights(weight, rng) for _ in range(4000)])
    assert (draws == np.rint(draws)).all()
    np.testing.assert_array_equal(draws.sum(axis=1), 100)
    np.testing.assert_allclose(draws.mean(axis=0), weight, rtol=0.1)
    np.testing.assert_allclose(draws.var(axis=0), weight * (1 - weight / 100), rtol=0.15)


@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_other_weights_have_the_variance_of_records(scale):
    rng = np.random.default_rng(0)
    weight = scale * np.array([1.5, 4.0, 94.5])
    draws = np.array([draw_weights(weight, rng) for _ in range(4000)])
    assert (draws >= 0).all()
    np.testing.assert_allclose(draws.sum(axis=1), weight.sum())
    if scale == 1:
        np.testing.assert_allclose(draws.mean(axis=0), weight, rtol=0.1)
        np.testing.assert_allclose(draws.var(axis=0), weight * (1 - weight / 100) * 100 / 101, rtol=0.15)


def pair_with_holes(n_rows=400, seed=0):
    network = build_network("AB", {"B": "A"}, {"A": [0, 1], "B": [0, 1, 2]})
    rng = np.random.default_rng(seed)
    truth = np.array([0.4, 0.6, 0.2, 0.3, 0.5, 0.6, 0.3, 0.1])
    codes = sample_codes(network, truth, n_rows, rng)
    codes[rng.random(codes.shape) < 0.3] = -1
    case = ProblemCase(network, truth, codes, np.ones(n_rows))
    return network, case.evidence, climb(problem_of(network, case.evidence), truth)


@pytest.mark.parametrize("factor", [1.0, 1.001])
def test_spread_is_that_of_the_standard_errors(factor):
    """For whole weights and for others."""
    network, evidence, estimate = pair_with_holes()
    evidence = evidence._replace(weight=evidence.weight * factor)
    problem = problem_of(network, evidence)
    draws = bootstrap(problem, network, evidence, estimate, 400, seed=1)
    np.testing.assert_allclose(draws.std(axis=0), standard_errors(problem, network, estimate).errors, rtol=0.15)
    np.testing.assert_allclose(network.column_sums(draws.mean(axis=0)), 1)


def test_the_seed_decides_whatever_the_number_of_threads():
    network, evidence, estimate = pair_with_holes()
    problem = problem_of(network, evidence)
    one = bootstrap(problem, network, evidence, estimate, 12, seed=1)
    np.testing.assert_array_equal(bootstrap(problem, network, evidence, estimate, 12, seed=1, n_jobs=2), one)
    np.testing.assert_array_equal(bootstrap(problem, network, evidence, estimate, 5, seed=1), one[:5])
    assert (bootstrap(problem, network, evidence, estimate, 12, seed=2) != one).any()


def test_the_given_fit_is_what_runs():
    network, evidence, estimate = pair_with_holes()
    seen = []

    def fit(problem, start):
        seen.append(problem.plan.evidence.weight)
        return start

    draws = bootstrap(problem_of(network, evidence), network, evidence, estimate, 3, seed=0, fit=fit)
    np.testing.assert_array_equal(draws, np.tile(estimate, (3, 1)))
    assert {weight.sum() for weight in seen} == {evidence.weight.sum()}


def test_columns_that_are_fixed_or_without_records_stay():
    network = build_network("AB", {"B": "A"}, {"A": [0, 1], "B": [0, 1]})
    evidence = Evidence(np.array([[0, 0], [0, 1], [1, 0]]), np.array([5.0, 5.0, 1.0]), np.arange(3))
    fixed = np.array([False, True, False])
    family = Categorical(network, np.zeros(6), fixed)
    estimate = np.array([10 / 11, 1 / 11, 0.3, 0.7, 1.0, 0.0])
    draws = bootstrap(problem_of(network, evidence, family=family), network, evidence, estimate, 30, seed=0)
    np.testing.assert_array_equal(draws[:, 2:], np.tile(estimate[2:], (30, 1)))
    assert (draws[:, 0] == 1).any()


def test_climb_ends_at_a_maximum():
    network, evidence, estimate = pair_with_holes()
    problem = problem_of(network, evidence)
    counts = init(problem, estimate).statistics.counts
    np.testing.assert_allclose(problem.family.maximize(counts, estimate), estimate, atol=1e-3)


@pytest.mark.parametrize("n", [0, 1.5])
def test_the_number_of_replicates_is_checked(n):
    network, evidence, estimate = pair_with_holes()
    with pytest.raises((ValueError, TypeError), match="n must be an integer >= 1"):
        bootstrap(problem_of(network, evidence), network, evidence, estimate, n)


def test_intervals():
    draws = np.linspace(0, 1, 1001)[:, None] * np.ones(8)
    low, high = percentile_interval(draws, 0.9)
    np.testing.assert_allclose([low[0], high[0]], [0.05, 0.95])
    with pytest.raises(ValueError, match=r"level must be a number between 0 and 1\. Got: 95\."):
        percentile_interval(draws, 95)
    network = pair_with_holes()[0]
    low_frames, high_frames = BootstrapTables(network, draws).interval(0.9)
    assert low_frames["B"].shape == (3, 2)
    assert high_frames["A"].to_numpy() == pytest.approx(0.95)
