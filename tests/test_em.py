"""Invariants of the whole algorithm: monotone, normalised, deterministic, equal to the complete-data estimators."""

import warnings
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork
from pgmpy.parameter_estimator import DiscreteBayesianEstimator, DiscreteMLE
from problems import brute_force, cases, random_parameters, sample_codes, to_frame, to_pgmpy
from sklearn.exceptions import ConvergenceWarning

from pgmpy_em_ext import BDeu, Dirichlet, EnumerationEStep, ExactEStep, WeightedEM
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.em.loop import run
from pgmpy_em_ext.em.method import Method
from pgmpy_em_ext.em.step import Problem, init, step
from pgmpy_em_ext.em.stopping import StoppingRule, aitken_gap, has_fallen, stop_reason

RULE = StoppingRule(tol=1e-3, atol=None, max_iter=1000, min_iter=0, deadline=None)


def vector(cpds):
    """CPDs as a flat vector."""
    return np.concatenate([cpd.get_values().T.ravel() for cpd in cpds])


def problem_of(case, pseudo=0.0, engine=None):
    engine = engine or ExactEStep()
    family = Categorical(
        case.network, np.full(case.network.n_cells, pseudo), np.zeros(len(case.network.column_starts), dtype=bool)
    )
    return Problem(engine, engine.prepare(case.network, case.evidence), family)


@given(case=cases(), pseudo=st.sampled_from([0.0, 0.1, 1.0]))
def test_the_objective_never_falls_and_columns_stay_distributions(case, pseudo):
    # Rows were drawn from the parameters, so that these give every row positive probability, zeros and all.
    problem = problem_of(case, pseudo)
    state = (
        init(problem, case.parameters)
        if pseudo == 0
        else init(problem, random_parameters(case.network, np.random.default_rng(0)))
    )
    zero = state.parameters == 0
    for _ in range(8):
        following = step(problem, state)
        assert following.objective >= state.objective - 1e-12 * (1 + abs(state.objective))
        assert (following.parameters >= 0).all()
        np.testing.assert_allclose(case.network.column_sums(following.parameters), 1, rtol=1e-12)
        if pseudo == 0:
            assert (following.parameters[zero] == 0).all()
        state = following


@given(case=cases())
def test_a_state_carries_its_own_objective(case):
    problem = problem_of(case, 0.0)
    state = step(problem, init(problem, case.parameters))
    _, log_likelihood = brute_force(case._replace(parameters=state.parameters))
    assert state.log_likelihood == pytest.approx(log_likelihood, rel=1e-10, abs=1e-10)


@given(case=cases(deterministic=False))
def test_one_step_on_complete_data_equals_the_maximum_likelihood_estimator(case):
    codes = sample_codes(case.network, case.parameters, 30, np.random.default_rng(1))
    data, weight = to_frame(case.network, codes), np.random.default_rng(2).choice([0.5, 1, 2], size=30)
    states = {name: list(values) for name, values in zip(case.network.names, case.network.state_names, strict=True)}
    model = to_pgmpy(case.network)
    ours = WeightedEM(state_names=states, max_iter=1, init_cpds="random", seed=0).fit(model, data, weight)
    theirs = DiscreteMLE(state_names=states).fit(model, data, sample_weight=weight)
    assert ours.converged_
    for mine, other in zip(ours.parameters_, theirs.parameters_, strict=True):
        assert mine.variables == other.variables
        assert mine.state_names == other.state_names
        np.testing.assert_allclose(mine.get_values(), other.get_values(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("prior", "theirs"),
    [
        ("K2", DiscreteBayesianEstimator(prior_type="K2")),
        ("BDeu", DiscreteBayesianEstimator(prior_type="BDeu")),
        (BDeu(10), DiscreteBayesianEstimator(prior_type="BDeu", equivalent_sample_size=10)),
        (BDeu({"B": 3}), DiscreteBayesianEstimator(prior_type="BDeu", equivalent_sample_size={"B": 3})),
        (Dirichlet(0.5), DiscreteBayesianEstimator(prior_type="dirichlet", pseudo_counts=0.5)),
        (
            {"C": np.arange(12).reshape(2, 6)},
            DiscreteBayesianEstimator(prior_type="dirichlet", pseudo_counts={"C": np.arange(12).reshape(2, 6)}),
        ),
    ],
)
@pytest.mark.parametrize("by_estimator", [False, True])
def test_complete_data_with_a_prior_equals_the_bayesian_estimator(prior, theirs, by_estimator):
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"A": rng.integers(0, 2, 40), "B": rng.integers(0, 3, 40), "C": rng.integers(0, 2, 40)})
    model = DiscreteBayesianNetwork([("B", "C"), ("A", "C")])
    argument = {"m_step_estimator": theirs.clone()} if by_estimator else {"prior": prior}
    ours = WeightedEM(max_iter=1, **argument).fit(model, data)
    expected = theirs.clone().fit(model, data).parameters_
    for mine, other in zip(ours.parameters_, expected, strict=True):
        assert mine.variables == other.variables
        np.testing.assert_allclose(mine.get_values(), other.get_values(), rtol=1e-12)
    assert ours.objective_ == pytest.approx(ours.log_likelihood_ + ours.log_prior_)
    assert ours.log_prior_ <= 0


@pytest.fixture
def holes():
    """A chain of three with a third of its cells missing."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame(index=range(300))
    data["A"] = rng.integers(0, 2, 300)
    data["B"] = (data["A"] + (rng.random(300) < 0.2)) % 2
    data["C"] = (data["B"] + (rng.random(300) < 0.1)) % 2
    return DiscreteBayesianNetwork([("A", "B"), ("B", "C")]), data.mask(rng.random((300, 3)) < 0.3)


class TestPriors:
    def test_a_vanishing_prior_tends_to_maximum_likelihood(self, holes):
        plain = WeightedEM(tol=1e-10).fit(*holes)
        gap = []
        for size in (1, 1e-2, 1e-4):
            smoothed = WeightedEM(prior=BDeu(size), tol=1e-10).fit(*holes)
            gap.append(np.abs(vector(smoothed.parameters_) - vector(plain.parameters_)).max())
        assert gap[0] > 10 * gap[1] > 100 * gap[2]

    def test_a_large_prior_tends_to_uniform(self, holes):
        heavy = WeightedEM(prior=BDeu(1e9), tol=1e-10).fit(*holes)
        np.testing.assert_allclose(vector(heavy.parameters_), 0.5, atol=1e-6)

    def test_the_reported_objective_is_the_one_that_rises(self, holes):
        estimator = WeightedEM(prior="K2", tol=1e-8, init_cpds="random", seed=1).fit(*holes)
        assert (np.diff(estimator.history_) > -1e-9).all()
        assert estimator.history_[-1] == pytest.approx(estimator.objective_)
        expected = sum(np.log(cpd.get_values()).sum() for cpd in estimator.parameters_)
        assert estimator.log_prior_ == pytest.approx(expected)

    def test_a_prior_on_fixed_cpds_counts_for_nothing(self, holes):
        fixed = {"A": TabularCPD("A", 2, [[0.5], [0.5]], state_names={"A": [0, 1]})}
        estimator = WeightedEM(prior="K2", fixed_cpds=fixed).fit(*holes)
        free = [cpd for cpd in estimator.parameters_ if cpd.variable != "A"]
        assert estimator.log_prior_ == pytest.approx(sum(np.log(cpd.get_values()).sum() for cpd in free))
        assert estimator.n_parameters_ == 4


class TestFixedPoints:
    def test_the_answer_is_a_fixed_point(self, holes):
        model, data = holes
        first = WeightedEM(tol=1e-12).fit(model, data)
        again = {cpd.variable: cpd for cpd in first.parameters_}
        with pytest.warns(ConvergenceWarning, match="max_iter=1 "):
            second = WeightedEM(init_cpds=again, max_iter=1).fit(model, data)
        np.testing.assert_allclose(vector(second.parameters_), vector(first.parameters_), atol=1e-6)

    def test_all_starts_reach_the_same_unimodal_maximum(self, holes):
        objectives = [
            WeightedEM(init_cpds=start, tol=1e-8, seed=3).fit(*holes).objective_
            for start in ("random", "uniform", "prior", "complete_case", "available_case", "marginal_mode")
        ]
        np.testing.assert_allclose(objectives, objectives[0], atol=1e-6)

    def test_pruning_changes_the_path_but_not_the_end(self, holes):
        pruned = WeightedEM(tol=1e-11, acceleration=None).fit(*holes)
        full = WeightedEM(tol=1e-11, acceleration=None, e_step=ExactEStep(prune_barren=False)).fit(*holes)
        assert pruned.n_iter_ < full.n_iter_
        assert pruned.objective_ == pytest.approx(full.objective_, abs=1e-9)
        np.testing.assert_allclose(vector(pruned.parameters_), vector(full.parameters_), atol=1e-5)

    def test_ten_thousand_steps_on_a_deterministic_cpd(self):
        model = DiscreteBayesianNetwork([("H", "X"), ("H", "Y")], latents={"H"})
        copy = [[1, 0], [0, 1]]
        names = {"H": [0, 1], "X": [0, 1], "Y": [0, 1]}
        start = {
            "H": TabularCPD("H", 2, [[0.3], [0.7]], state_names={"H": [0, 1]}),
            "X": TabularCPD("X", 2, copy, ["H"], [2], state_names={"X": [0, 1], "H": [0, 1]}),
            "Y": TabularCPD("Y", 2, [[0.9, 0.2], [0.1, 0.8]], ["H"], [2], state_names={k: names[k] for k in "HY"}),
        }
        data = pd.DataFrame({"X": [0, 1, None, 0], "Y": [0, 1, 1, None]})
        with pytest.warns(ConvergenceWarning, match="max_iter=10000 "):
            estimator = WeightedEM(init_cpds=start, tol=0, max_iter=10_000).fit(model, data)
        assert estimator.n_iter_ == 10_000
        assert np.isfinite(estimator.history_).all()
        assert np.isfinite(vector(estimator.parameters_)).all()
        np.testing.assert_array_equal(estimator.parameters_[1].get_values(), copy)

    def test_complete_data_needs_one_step_from_anywhere_even_from_its_maximum(self):
        network, codes = _student()
        data = to_frame(network, codes)
        first = WeightedEM(init_cpds="random", seed=0).fit(to_pgmpy(network), data)
        assert first.n_iter_ == 1
        assert first.status_ == "converged"
        maximum = {cpd.variable: cpd for cpd in first.parameters_}
        again = WeightedEM(init_cpds=maximum).fit(to_pgmpy(network), data)
        assert again.n_iter_ == 1
        np.testing.assert_allclose(vector(again.parameters_), vector(first.parameters_), rtol=1e-14)
        assert again.history_[1] == pytest.approx(again.history_[0], rel=1e-14)


def _student():
    rng = np.random.default_rng(0)
    network = build_network("DIG", {"G": "DI"}, {"D": [0, 1], "I": [0, 1], "G": ["a", "b", "c"]})
    return network, sample_codes(network, random_parameters(network, rng), 200, rng)


class TestUnidentifiedRows:
    """Parent configurations that no record reaches."""

    def test_uniform_and_listed(self):
        data = pd.DataFrame({"A": ["x", "x", "y"], "B": ["u", "v", "u"], "C": ["p", "q", "p"]})
        model = DiscreteBayesianNetwork([("A", "C"), ("B", "C")])
        estimator = WeightedEM().fit(model, data)
        assert [(row.variable, row.parents) for row in estimator.unidentified_rows_] == [("C", {"A": "y", "B": "v"})]
        np.testing.assert_allclose(estimator.parameters_[1].get_values()[:, 3], [0.5, 0.5])
        theirs = DiscreteMLE().fit(model, data).parameters_
        for mine, other in zip(estimator.parameters_, theirs, strict=True):
            np.testing.assert_allclose(mine.get_values(), other.get_values(), rtol=1e-12)

    def test_a_prior_identifies_them(self):
        data = pd.DataFrame({"A": ["x", "x"], "B": ["u", "v"]})
        states = {"A": ["x", "y"]}
        estimator = WeightedEM(state_names=states, prior="K2").fit(DiscreteBayesianNetwork([("A", "B")]), data)
        assert estimator.unidentified_rows_ == []

    def test_a_variable_that_is_never_observed_and_has_no_child(self):
        data = pd.DataFrame({"A": ["x", "y", "y"], "B": [None, None, None]})
        model = DiscreteBayesianNetwork([("A", "B")])
        estimator = WeightedEM(seed=0).fit(model, data)
        rows = [(row.variable, row.parents) for row in estimator.unidentified_rows_]
        assert rows == [("B", {"A": "x"}), ("B", {"A": "y"})]
        np.testing.assert_allclose(estimator.parameters_[1].get_values(), 0.5)

    def test_zeros_of_the_start_are_not_opened(self):
        """Two causes that the start says never occur together: the data has nothing to do with it."""
        model = DiscreteBayesianNetwork([("A", "X"), ("B", "X")], latents={"A", "B"})
        names = {"A": [0, 1], "B": [0, 1], "X": [0, 1]}
        start = {
            "A": TabularCPD("A", 2, [[0.5], [0.5]], state_names={"A": [0, 1]}),
            "B": TabularCPD("B", 2, [[0.4], [0.6]], state_names={"B": [0, 1]}),
            "X": TabularCPD(
                "X",
                3,
                [[0.8, 0.3, 0.2, 0], [0.2, 0.7, 0.8, 0], [0, 0, 0, 1]],
                ["A", "B"],
                [2, 2],
                state_names={**names, "X": [0, 1, 2]},
            ),
        }
        data = pd.DataFrame({"X": [0, 1, 0, 1, 1]})
        estimator = WeightedEM(init_cpds=start, tol=1e-6).fit(model, data)
        learned = {cpd.variable: cpd for cpd in estimator.parameters_}["X"]
        np.testing.assert_array_equal(learned.get_values()[:, 3], [0, 0, 1])
        assert ("X", {"A": 1, "B": 1}) in [(row.variable, row.parents) for row in estimator.unidentified_rows_]
        assert estimator.score(data) * 5 == pytest.approx(estimator.log_likelihood_)

    def test_the_reported_likelihood_is_that_of_the_returned_cpds(self):
        rng = np.random.default_rng(2)
        model = DiscreteBayesianNetwork([("A", "C"), ("B", "C"), ("C", "D")])
        data = pd.DataFrame(rng.integers(0, 3, (12, 4)), columns=list("ABCD"), dtype=object)
        data = data.mask(rng.random((12, 4)) < 0.08)
        estimator = WeightedEM(tol=1e-6).fit(model, data)
        assert estimator.unidentified_rows_
        assert estimator.score_samples(data).sum() == pytest.approx(estimator.log_likelihood_, abs=1e-10)
        assert estimator.objective_ == pytest.approx(estimator.history_[-1], abs=1e-10)


class TestStopping:
    def test_aitken_gap_of_a_geometric_sequence_is_exact(self):
        history = [-(0.9**k) for k in range(10)]
        for k in range(3, 10):
            assert aitken_gap(history[:k]) == pytest.approx(-history[k - 1])

    @pytest.mark.parametrize(
        ("history", "gap"),
        [([-1.0], np.inf), ([-2.0, -1.0], np.inf), ([-3.0, -2.0, -0.5], np.inf), ([-1.0, -1.0], 0)],
    )
    def test_gap_is_infinite_until_increments_shrink(self, history, gap):
        assert aitken_gap(history) == gap

    def test_converged_needs_three_steps_in_a_row(self):
        history, small = [-1.0] * 4, 0.9 * RULE.tol
        assert stop_reason(RULE, history, [np.inf, np.inf, small, small], 1.0) is None
        assert stop_reason(RULE, history, [np.inf, small, small, RULE.tol], 1.0) is None
        assert stop_reason(RULE, history, [np.inf, small, small, small], 1.0) == "converged"

    def test_runs_with_latents_go_on_for_twenty_steps(self):
        rule = RULE._replace(min_iter=20)
        assert stop_reason(rule, [-1.0] * 20, [0.0] * 20, 1.0) is None
        assert stop_reason(rule, [-1.0] * 21, [0.0] * 21, 1.0) == "converged"

    def test_tol_zero_makes_exactly_max_iter_steps(self, holes):
        with pytest.warns(
            ConvergenceWarning, match=r"EM did not converge within max_iter=37 steps: raise max_iter or tol"
        ):
            estimator = WeightedEM(tol=0, max_iter=37).fit(*holes)
        assert estimator.n_iter_ == 37
        assert len(estimator.history_) == 38
        assert not estimator.converged_
        assert estimator.status_ == "max_iter"

    def test_tol_zero_on_complete_data(self):
        data = pd.DataFrame({"A": [0, 1, 1]})
        model = DiscreteBayesianNetwork()
        model.add_node("A")
        estimator = WeightedEM(tol=0, max_iter=5).fit(model, data)
        assert estimator.n_iter_ == 5
        assert estimator.converged_

    def test_max_iter_zero_evaluates_the_start(self, holes):
        model, data = holes
        start = WeightedEM().fit(model, data)
        given_cpds = {cpd.variable: cpd for cpd in start.parameters_}
        with pytest.warns(ConvergenceWarning, match="max_iter=0 "):
            estimator = WeightedEM(init_cpds=given_cpds, max_iter=0).fit(model, data)
        assert estimator.history_ == [estimator.objective_]
        assert estimator.log_likelihood_ == start.log_likelihood_
        for mine, other in zip(estimator.parameters_, start.parameters_, strict=True):
            np.testing.assert_array_equal(mine.get_values(), other.get_values())

    def test_atol_is_the_parameter_change(self, holes):
        loose = WeightedEM(atol=1e-2, tol=0).fit(*holes)
        tight = WeightedEM(atol=1e-8, tol=0).fit(*holes)
        assert loose.converged_
        assert tight.converged_
        assert loose.n_iter_ < tight.n_iter_
        with pytest.warns(ConvergenceWarning):
            before = WeightedEM(tol=0, max_iter=tight.n_iter_ - 1).fit(*holes)
        change = np.abs(vector(tight.parameters_) - vector(before.parameters_)).max()
        assert change <= 1e-8

    def test_the_true_gap_after_stopping_is_within_three_tol(self, holes):
        for tol in (1e-1, 1e-3, 1e-5):
            limit = WeightedEM(tol=1e-11, init_cpds="random", seed=0).fit(*holes).objective_
            stopped = WeightedEM(tol=tol, init_cpds="random", seed=0).fit(*holes).objective_
            assert limit - stopped <= 3 * tol

    def test_a_fall_is_noticed_and_is_no_convergence(self):
        assert has_fallen([-1.0, -1.1])
        assert aitken_gap([-1.0, -1.1]) == np.inf
        assert not has_fallen([-1.0, -1.0 - 1e-12])
        assert aitken_gap([-1.0, -1.0 - 1e-12]) == 0

    def test_rounding_grows_with_the_weights(self):
        assert has_fallen([-20.0, -20.0 - 1e-6])
        assert not has_fallen([-20.0, -20.0 - 1e-6], total_weight=1e9)

    def test_a_fall_under_an_exact_engine_warns_and_the_best_is_returned(self, holes):
        class Wrong(ExactEStep):
            """Loses more than EM gains, from its fourth call on."""

            def __init__(self):
                self.n_calls = 0
                super().__init__()

            def expected_statistics(self, plan, parameters):
                self.n_calls += 1
                found = super().expected_statistics(plan, parameters)
                loss = 50 * max(self.n_calls - 3, 0)
                return found._replace(log_likelihood=found.log_likelihood - loss)

        with (
            pytest.warns(UserWarning, match="the objective fell at step 3 of run 0"),
            pytest.warns(ConvergenceWarning, match="max_iter=50 "),
        ):
            estimator = WeightedEM(e_step=Wrong(), max_iter=50, init_cpds="available_case").fit(*holes)
        assert not estimator.converged_
        assert estimator.objective_ == max(estimator.history_) == estimator.history_[2]

    def test_a_noisy_engine_that_falls_does_not_converge_by_it(self, holes):
        class Sinking(ExactEStep):
            """Says that it is not exact, and loses 50 nats a step."""

            _tags: ClassVar = {"exact": False}
            n_calls = 0

            def expected_statistics(self, plan, parameters):
                Sinking.n_calls += 1
                found = super().expected_statistics(plan, parameters)
                return found._replace(log_likelihood=found.log_likelihood - 50 * Sinking.n_calls)

        with pytest.warns(ConvergenceWarning, match="max_iter=20 "):
            assert not WeightedEM(e_step=Sinking(), max_iter=20).fit(*holes).converged_

    def test_huge_weights_raise_no_false_alarm(self):
        model = DiscreteBayesianNetwork([("H", "X"), ("H", "Y")], latents={"H"})
        data = pd.DataFrame({"X": [0, 1, 0], "Y": [0, 1, 0]})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one record in a billion is a long way to go
            estimator = WeightedEM(seed=0, n_init=1).fit(model, data, [1e9, 1.0, 1e9])
        assert np.isfinite(estimator.objective_)
        assert all(record.fell_at is None for record in estimator.restarts_)

    def test_the_true_gap_with_a_latent_and_a_slow_tail(self):
        rng = np.random.default_rng(3)
        cause = rng.integers(0, 2, 200)
        data = pd.DataFrame({item: (cause + (rng.random(200) < 0.3)) % 2 for item in "XYZ"})
        model = DiscreteBayesianNetwork([("H", item) for item in "XYZ"], latents={"H"})
        settings = {"seed": 1, "n_init": 1, "max_iter": 100_000}
        limit = WeightedEM(tol=1e-10, **settings).fit(model, data)
        for tol in (1e-2, 1e-3, 1e-4):
            stopped = WeightedEM(tol=tol, **settings).fit(model, data)
            assert limit.objective_ - stopped.objective_ <= 3 * tol


def test_a_start_of_prior_density_zero_is_left_and_never_nan(holes):
    model, data = holes
    start = {"A": TabularCPD("A", 3, [[0.5], [0.5], [0]], state_names={"A": [0, 1, 2]})}
    estimator = WeightedEM(prior="K2", init_cpds=start, seed=0).fit(model, data)
    assert estimator.history_[0] == -np.inf
    assert np.isfinite(estimator.history_[1:]).all()
    assert estimator.converged_
    assert estimator.parameters_[0].get_values()[2, 0] > 0


@given(
    case=cases(max_nodes=5, max_card=3),
    latents=st.sets(st.integers(0, 4), max_size=2),
    fixed=st.sets(st.integers(0, 4), max_size=2),
    prior=st.sampled_from([None, "K2", "BDeu", Dirichlet({0: 0.5})]),
    init=st.sampled_from(["model", "random", "prior", None]),
)
def test_whole_fits_agree_across_engines(case, latents, fixed, prior, init):
    """Latents, fixed CPDs, priors and starts at random, through the estimator itself."""
    codes = case.codes.copy()
    names = [name for name in case.network.names if name in latents]
    codes[:, names] = -1
    model = to_pgmpy(case.network, case.parameters, latents=names)
    states = {name: list(values) for name, values in zip(case.network.names, case.network.state_names, strict=True)}
    settings = {
        "state_names": states,
        "seed": 0,
        "n_init": 1,
        "tol": 0,
        "max_iter": 6,
        "prior": prior,
        "acceleration": None,
    }
    settings |= {"init_cpds": init, "fixed_cpds": [name for name in case.network.names if name in fixed]}
    fits = []
    for engine in (ExactEStep(prune_barren=False), EnumerationEStep(), ExactEStep()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # out of iterations, and perhaps a saddle
            fits.append(WeightedEM(e_step=engine, **settings).fit(model, to_frame(case.network, codes), case.weight))
    np.testing.assert_allclose(fits[0].history_, fits[1].history_, rtol=1e-9, atol=1e-9)
    for estimator in fits:
        history = np.array(estimator.history_)
        finite = history[np.isfinite(history)]
        assert (np.diff(finite) >= -1e-10 * (1 + np.abs(finite[1:]))).all()
        total = estimator.score_samples(to_frame(case.network, codes)) @ case.weight
        assert total == pytest.approx(estimator.log_likelihood_, rel=1e-9, abs=1e-9)
        for cpd in estimator.parameters_:
            np.testing.assert_allclose(cpd.get_values().sum(axis=0), 1, rtol=1e-12)
            if cpd.variable in fixed:
                np.testing.assert_allclose(cpd.get_values(), model.get_cpds(cpd.variable).get_values(), rtol=1e-12)
        fitted = to_pgmpy(case.network)
        fitted.add_cpds(*estimator.parameters_)
        assert fitted.check_model()


class TestLoop:
    """The loop knows no method: it calls five of its own and an observer, in this order."""

    class Trace(NamedTuple):
        """A run that notes what it is asked."""

        state: int
        progress: list[str]

    class Scripted(Method):
        """Ends as its script says, and once finds something beyond its end."""

        is_monotone = True

        def __init__(self, script, finds=0):
            self.script, self.finds = script, finds

        def begin(self, problem, progress, rule, state, racing):
            return TestLoop.Trace(0, progress)

        def stop_reason(self, run, rule):
            run.progress.append("ask")
            return self.script[run.state]

        def look_beyond(self, run, rule):
            run.progress.append("look")
            self.finds -= 1
            return run._replace(state=run.state + 1), self.finds >= 0

        def advance(self, run, rule):
            run.progress.append("advance")
            return run._replace(state=run.state + 1)

        def conclude(self, run, rule, status):
            return status, run.progress

        def recall(self, arrays):
            return arrays

    def run(self, script, finds=0, stops_at=None):
        told = []

        def observe(state, progress):
            progress.append("see")
            return state == stops_at

        return run(None, told, None, observe, self.Scripted(script, finds))

    def test_a_run_goes_on_until_it_is_told_to_stop(self):
        status, told = self.run([None, None, "max_iter"])
        assert status == "max_iter"
        assert told == ["ask", "see", "advance", "ask", "see", "advance", "ask", "see"]

    def test_what_lies_beyond_is_a_step_too(self):
        status, told = self.run(["converged", "converged"], finds=1)
        assert status == "converged"
        assert told == ["ask", "see", "look", "ask", "see", "look"]

    def test_an_observer_that_stops_a_run_ends_it_before_it_looks(self):
        assert self.run(["converged"], finds=1, stops_at=0) == ("converged", ["ask", "see"])
        assert self.run([None, None], stops_at=1) == ("callback", ["ask", "see", "advance", "ask", "see"])

    def test_what_is_known_is_not_observed_again(self):
        told = []
        status, told = run(None, told, None, lambda *_: told.append("see"), self.Scripted([None, "max_iter"]), state=0)
        assert (status, told) == ("max_iter", ["ask", "advance", "ask", "see"])
