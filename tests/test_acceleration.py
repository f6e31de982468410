"""Accelerated EM: monotone, inside the simplex, to the same maximum in fewer E-steps, and honest about what is left."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from latent_problems import PROBLEMS
from pgmpy.models import DiscreteBayesianNetwork
from problems import cases, random_parameters
from sklearn.exceptions import ConvergenceWarning

from pgmpy_em_ext import EnumerationEStep, ExactEStep, ImpossibleEvidenceError, WeightedEM
from pgmpy_em_ext.cpd_family.categorical import SHRINK, Categorical
from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.em.acceleration import ACCELERATIONS
from pgmpy_em_ext.em.blocks import curvature_gap, start_blocks, steps_left
from pgmpy_em_ext.em.exact import MAX_DOUBTS, ExactEM
from pgmpy_em_ext.em.loop import run
from pgmpy_em_ext.em.probe import look_beyond
from pgmpy_em_ext.em.progress import Progress
from pgmpy_em_ext.em.step import Problem, find_blocks, init
from pgmpy_em_ext.em.stopping import StoppingRule
from pgmpy_em_ext.prepare.tables import make_starts, prepare

METHODS = list(ACCELERATIONS)
EXACTLY = StoppingRule(tol=0, atol=None, max_iter=40, min_iter=0, deadline=None)
TO_THE_LIMIT = StoppingRule(tol=1e-10, atol=None, max_iter=60_000, min_iter=20, deadline=None)

FLAT = {("alarm, 4 hidden", None), ("alarm, 4 hidden", "squarem")}
"""Problems and methods that end in a flat valley; a minute for both."""


def problem_of(case, pseudo=0.0, fixed_share=0.0, engine=None):
    engine = engine or ExactEStep()
    rng = np.random.default_rng(0)
    fixed = rng.random(len(case.network.column_starts)) < fixed_share
    family = Categorical(case.network, np.full(case.network.n_cells, pseudo), fixed)
    return Problem(engine, engine.prepare(case.network, case.evidence), family)


def make_problem(name, n_starts=1, **arguments):
    """Build a problem of the benchmark suite, with starts."""
    latent = PROBLEMS[name]()
    estimator = WeightedEM(latent_card=latent.latent_card, state_names=latent.state_names, **arguments)
    prepared = prepare(estimator, latent.model, latent.data, latent.weight)
    engine = prepared.settings.engine
    problem = Problem(engine, engine.prepare(prepared.network, prepared.evidence), prepared.family)
    return problem, [start.parameters for start in make_starts(prepared, 0, n_starts)], prepared


def check_run(method, case, pseudo, fixed_share):
    """Run forty steps: the objective never falls, columns stay distributions, zeros and fixed columns stay."""
    problem = problem_of(case, pseudo, fixed_share)
    start = case.parameters if pseudo == 0 else random_parameters(case.network, np.random.default_rng(0))
    seen = []
    fast = ExactEM(ACCELERATIONS[method])
    result = run(problem, Progress(start), EXACTLY, lambda state, _: seen.append(state) or False, fast)
    history = np.array(result.history)
    assert result.n_iter == 40
    assert (np.diff(history) >= -1e-12 * (1 + np.abs(history[1:]))).all()
    fixed = problem.family.fixed[case.network.column_of_cell]
    for state in seen[1:]:
        assert np.isfinite(state.parameters).all()
        assert (state.parameters >= 0).all()
        np.testing.assert_allclose(case.network.column_sums(state.parameters), 1, rtol=1e-12)
        np.testing.assert_array_equal(state.parameters[fixed], start[fixed])
        if pseudo == 0:
            assert (state.parameters[start == 0] == 0).all()
    fresh = init(problem, result.state.parameters)
    assert fresh.objective == pytest.approx(result.state.objective, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("method", METHODS)
@given(case=cases(), pseudo=st.sampled_from([0.0, 0.1, 1.0]), fixed_share=st.sampled_from([0.0, 0.3]))
def test_the_objective_never_falls(method, case, pseudo, fixed_share):
    check_run(method, case, pseudo, fixed_share)


@pytest.mark.campaign
@pytest.mark.parametrize("method", ["auto", "squarem", "lbfgs"])
@settings(max_examples=3400)
@given(case=cases(), pseudo=st.sampled_from([0.0, 0.1, 1.0]), fixed_share=st.sampled_from([0.0, 0.3]))
def test_the_objective_never_falls_in_ten_thousand_runs(method, case, pseudo, fixed_share):
    check_run(method, case, pseudo, fixed_share)


@pytest.mark.parametrize("method", ["auto", "squarem", "lbfgs"])
@pytest.mark.parametrize("prior", [None, "BDeu"])
def test_without_latents_all_methods_reach_the_same_maximum(method, prior):
    rng = np.random.default_rng(0)
    cause = rng.integers(0, 3, 300)
    data = pd.DataFrame({name: (cause + (rng.random(300) < 0.3)) % 3 for name in "ABCD"}, dtype=object)
    data = data.mask(rng.random(data.shape) < 0.5)
    model = DiscreteBayesianNetwork([("A", "B"), ("A", "C"), ("B", "D"), ("C", "D")])
    common = {"tol": 1e-9, "prior": prior, "max_iter": 20_000}
    plain = WeightedEM(acceleration=None, **common).fit(model, data)
    fast = WeightedEM(acceleration=method, **common).fit(model, data)
    assert fast.objective_ == pytest.approx(plain.objective_, abs=1e-6)
    assert fast.n_e_steps_ < 0.7 * plain.n_e_steps_
    for mine, other in zip(fast.parameters_, plain.parameters_, strict=True):
        np.testing.assert_allclose(mine.get_values(), other.get_values(), atol=2e-4)


@pytest.mark.parametrize("method", METHODS)
def test_engines_without_blocks_are_accelerated_too(method):
    problem = PROBLEMS["candy bags"]()
    fits = [
        WeightedEM(e_step=engine, acceleration=method, seed=0, n_init=1, tol=1e-8, max_iter=5000).fit(
            problem.model, problem.data, problem.weight
        )
        for engine in (ExactEStep(), EnumerationEStep())
    ]
    assert fits[0].objective_ == pytest.approx(-1979.3601270423, abs=1e-6)
    assert fits[1].objective_ == pytest.approx(-1979.3601270423, abs=1e-6)


QUICK = ("carcinoma, 3 classes", "values, 2 classes", "cheating, 2 classes", "candy bags")
"""Problems of the default suite; the others are those of the campaign."""


class TestSuite:
    """The problems of ``benchmarks/latent_problems.py``."""

    @pytest.mark.parametrize(
        ("name", "method"),
        [
            pytest.param(name, method, marks=[] if name in QUICK else [pytest.mark.campaign])
            for name in PROBLEMS
            for method in METHODS
        ],
    )
    def test_the_true_gap_after_stopping_is_within_three_tol(self, name, method):
        """From where a fit stops, plain EM gains no more, however long it goes on.

        Four hidden in ALARM leave a valley so flat that plain EM and SQUAREM gain less than 1e-7 nats a step in it,
        and so curved that the Hessian does not tell where it leads.
        """
        problem, starts, prepared = make_problem(name)
        tol = 1e-3
        rule = StoppingRule(tol, None, 60_000, 20, None, total_weight=prepared.total_weight, probes_saddles=True)
        stopped = run(problem, Progress(starts[0]), rule, method=ExactEM(ACCELERATIONS[method]))
        assert stopped.status == "converged"
        limit = run(problem, Progress(stopped.state.parameters), TO_THE_LIMIT)
        assert limit.state.objective - stopped.state.objective <= (0.2 if (name, method) in FLAT else 3 * tol)
        assert stopped.gap <= tol or stopped.progress.n_resumptions >= MAX_DOUBTS  # a bent valley: the gap is wider

    @pytest.mark.campaign
    def test_the_median_saving_is_at_least_five_times(self):
        savings = {}
        for name in PROBLEMS:
            problem, starts, _ = make_problem(name)
            n_steps = {method: self.steps_to_within(problem, starts[0], ACCELERATIONS[method]) for method in METHODS}
            savings[name] = n_steps[None] / n_steps["auto"]
        assert np.median(list(savings.values())) >= 5

    @staticmethod
    def steps_to_within(problem, start, accelerator, distance=0.01):
        """E-steps until the objective is within a distance of its own limit."""
        rule = StoppingRule(1e-8, None, 20_000, 20, None)
        result = run(problem, Progress(start), rule, method=ExactEM(accelerator))
        return int(np.argmax(np.array(result.history) >= result.history[-1] - distance)) + 1


class TestMonitoring:
    @pytest.mark.parametrize("method", METHODS)
    def test_the_rate_of_convergence_is_the_share_of_what_is_missing(self, method):
        """One variable, seen in a quarter of the rows: every step leaves three quarters of the distance."""
        model = DiscreteBayesianNetwork()
        model.add_node("A")
        data = pd.DataFrame({"A": [0, 1, 1, 1] * 25 + [None] * 300})
        engine = ExactEStep(prune_barren=False)
        fit = WeightedEM(e_step=engine, acceleration=method, init_cpds="uniform", tol=1e-6).fit(model, data)
        assert fit.rate_ == pytest.approx(0.75, abs=0.02)
        assert fit.gap_ < 1e-6
        assert fit.objective_ == pytest.approx(25 * np.log(0.25) + 75 * np.log(0.75), abs=3e-6)

    def test_complete_data(self):
        fit = WeightedEM().fit(DiscreteBayesianNetwork([("A", "B")]), pd.DataFrame({"A": [0, 1], "B": [1, 1]}))
        assert (fit.n_iter_, fit.n_e_steps_, fit.gap_, fit.rate_, fit.replicated_) == (1, 2, 0.0, 0.0, 1)

    def test_the_gap_that_curvature_bounds(self):
        assert curvature_gap(decrement=0.02, curvature=0.1) == pytest.approx(0.1)
        assert curvature_gap(decrement=0.02, curvature=3.0) == pytest.approx(0.01)
        assert curvature_gap(decrement=0.02, curvature=-0.1) == np.inf
        assert curvature_gap(decrement=0.02, curvature=np.inf) == np.inf
        assert curvature_gap(decrement=1e-15, curvature=np.inf, rounding=1e-14) == 0

    def test_the_steps_that_plain_em_would_need(self):
        blocks = Blocks(np.array([0, 1]), np.array([0, 1]), 2)
        progress = start_blocks(blocks, np.zeros(3), np.zeros(3, dtype=bool), 0.0)
        recent = np.array([[-1.0, -1.0], [-0.5, -1.0], [-0.25, -1.0]])
        left = steps_left(progress._replace(recent=recent), tol=2 * 0.25 / 2**7, total_weight=0)
        np.testing.assert_allclose(left, [7, 0, 0])  # from 1/4 to 2^-9, halving; at rest; outside all blocks

    @pytest.mark.parametrize("method", METHODS)
    def test_a_callback_sees_every_accepted_evaluation(self, method):
        problem = PROBLEMS["values, 2 classes"]()
        seen = []
        fit = WeightedEM(n_init=1, seed=3, acceleration=method, callback=seen.append).fit(
            problem.model, problem.data, problem.weight
        )
        assert [iteration.n_iter for iteration in seen] == list(range(fit.n_iter_ + 1))
        assert [iteration.objective for iteration in seen] == fit.history_
        assert seen[0].gap == np.inf
        assert fit.n_e_steps_ >= fit.n_iter_ + 1


class TestCoordinates:
    @given(case=cases(), seed=st.integers(0, 99))
    def test_the_gradient_is_that_of_the_objective(self, case, seed):
        rng = np.random.default_rng(seed)
        problem = problem_of(case, pseudo=0.3)
        parameters = random_parameters(case.network, rng)
        state = init(problem, parameters)
        chart = problem.family.chart(parameters, state.statistics.counts)
        direction = problem.family.tangent(chart.position, rng.normal(size=len(parameters)))

        def objective(length):
            squares = (chart.position + length * direction) ** 2
            return init(problem, squares / case.network.column_sums(squares)[case.network.column_of_cell]).objective

        slope = (objective(1e-5) - objective(-1e-5)) / 2e-5
        assert chart.gradient @ direction == pytest.approx(slope, rel=1e-4, abs=1e-4)

    @given(case=cases(), seed=st.integers(0, 99))
    def test_a_small_step_of_gradient_over_metric_is_an_em_step(self, case, seed):
        problem = problem_of(case, pseudo=0.3)
        state = init(problem, random_parameters(case.network, np.random.default_rng(seed)))
        counts = state.statistics.counts
        target = problem.family.maximize(counts, state.parameters)
        near = state.parameters + 1e-4 * (target - state.parameters)
        # Counts under which the M-step leads to a point nearby.
        sums = case.network.column_sums(counts + 0.3)[case.network.column_of_cell]
        chart = problem.family.chart(state.parameters, near * sums - 0.3)
        step = problem.family.retract(chart.position + chart.metric.solve(chart.gradient), near, state.parameters)
        np.testing.assert_allclose(step, near, atol=1e-5)

    @given(case=cases(deterministic=False), seed=st.integers(0, 99))
    def test_wild_steps_stay_inside(self, case, seed):
        rng = np.random.default_rng(seed)
        family = problem_of(case, fixed_share=0.3).family
        target = random_parameters(case.network, rng)
        wild = [rng.normal(size=len(target)) * 10.0 ** rng.integers(-3, 200, size=len(target))]
        wild += [np.full(len(target), value) for value in (np.nan, np.inf, -1.0, 0.0, 1e-200)]
        of_cell = case.network.column_of_cell
        for position in wild:
            length = 10.0 ** rng.integers(0, 30)
            extrapolated = target + length * (random_parameters(case.network, rng) - target)
            found = [family.retract(position, target, target), family.keep_inside(extrapolated, target)]
            for inside in found:
                assert np.isfinite(inside).all()
                np.testing.assert_allclose(case.network.column_sums(inside), 1, rtol=1e-12)
                assert (inside >= SHRINK * target / 2).all()
                np.testing.assert_array_equal(inside[family.fixed[of_cell]], target[family.fixed[of_cell]])


class TestBeyondTheEnd:
    def test_a_symmetric_start_is_left(self):
        problem, _, prepared = make_problem("carcinoma, 3 classes")
        uniform = init(problem, prepared.network.uniform)
        state = init(problem, problem.family.maximize(uniform.statistics.counts, uniform.parameters))
        blocks = find_blocks(problem, state.parameters)
        beyond = look_beyond(problem, blocks, state, np.ones(2, dtype=bool), 1e-3)
        assert beyond.left.tolist() == [True, False]
        assert beyond.state.objective > state.objective + 5
        assert beyond.n_e_steps == 28

    def test_a_maximum_is_not_left(self):
        problem, starts, _ = make_problem("carcinoma, 3 classes")
        state = run(problem, Progress(starts[0]), TO_THE_LIMIT).state
        blocks = find_blocks(problem, state.parameters)
        beyond = look_beyond(problem, blocks, state, np.ones(2, dtype=bool), 1e-3)
        assert not beyond.left.any()
        assert beyond.state is state
        assert beyond.gap.sum() < 1e-6
        assert beyond.n_e_steps == 20 + 11  # an entry at zero could as well be small, which is looked at too

    @pytest.mark.parametrize("name", ["latent tree", "candy bags", "cheating, 2 classes"])
    def test_the_hessian_predicts_what_is_left_to_gain(self, name):
        problem, starts, _ = make_problem(name)
        limit = run(problem, Progress(starts[0]), TO_THE_LIMIT, method=ExactEM(ACCELERATIONS["lbfgs"]))
        objective = limit.state.objective
        history = np.array(limit.history)
        near = int(np.argmax(history > objective - 0.01))
        rule = EXACTLY._replace(max_iter=near)
        state = run(problem, Progress(starts[0]), rule, method=ExactEM(ACCELERATIONS["lbfgs"])).state
        beyond = look_beyond(problem, find_blocks(problem, state.parameters), state, np.ones(2, dtype=bool), 1e-3)
        assert beyond.gap.sum() == pytest.approx(objective - state.objective, rel=0.3)

    def test_an_end_on_a_saddle_point_is_left_by_the_run(self):
        """The first run in the suite that plain estimates take for finished more than a nat below its maximum."""
        problem, starts, prepared = make_problem("child, 3 hidden", n_starts=2)
        rule = StoppingRule(1e-3, None, 5000, 20, None, total_weight=prepared.total_weight)
        gains = []
        for start in starts:
            for method in ("auto", "squarem"):
                stopped = run(problem, Progress(start), rule, method=ExactEM(ACCELERATIONS[method]))
                wary = rule._replace(probes_saddles=True)
                went_on = run(problem, stopped.progress, wary, method=ExactEM(ACCELERATIONS[method]))
                assert went_on.history[: len(stopped.history)] == stopped.history
                gains.append(went_on.state.objective - stopped.state.objective)
        assert min(gains) > -1e-10  # the sum over blocks is rounded anew where a run is taken up
        assert max(gains) > 0.1


class _Refusing(ExactEStep):
    """Finds a row impossible, once."""

    _tags: ClassVar = {"name": "refusing"}

    def __init__(self):
        self.n_calls = 0
        super().__init__()

    def expected_statistics(self, plan, parameters, active=None):
        self.n_calls += 1
        if self.n_calls == 9:
            raise ImpossibleEvidenceError(0, {"X": 0})
        return super().expected_statistics(plan, parameters, active)


def test_a_proposal_that_makes_a_row_impossible_is_replaced_by_an_em_step():
    latent = PROBLEMS["candy bags"]()
    with pytest.warns(ConvergenceWarning):
        fit = WeightedEM(
            e_step=_Refusing(), acceleration="lbfgs", seed=0, n_init=1, tol=0, max_iter=30, init_cpds="random"
        ).fit(latent.model, latent.data, latent.weight)
    assert fit.n_iter_ == 30
    assert fit.n_e_steps_ == 32
    assert (np.diff(fit.history_) >= -1e-10).all()


class _Noisy(ExactEStep):
    _tags: ClassVar = {"name": "noisy", "exact": False}


class TestNoisyEngines:
    latent = PROBLEMS["candy bags"]()

    def fit(self, acceleration):
        settings = {"e_step": _Noisy(), "seed": 0, "n_init": 1, "max_iter": 5000}
        return WeightedEM(acceleration=acceleration, **settings).fit(
            self.latent.model, self.latent.data, self.latent.weight
        )

    def test_auto_is_plain_em(self):
        assert self.fit("auto").history_ == self.fit(None).history_

    def test_a_method_by_name_is_refused(self):
        message = r"acceleration='squarem' needs an exact e_step, whose objective can be compared.*Got: _Noisy"
        with pytest.raises(ValueError, match=message):
            self.fit("squarem")
