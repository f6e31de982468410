"""Standard errors, bootstrap and identifiability as a user asks for them."""

import pickle

import numpy as np
import pandas as pd
import pytest
from latent_problems import PROBLEMS
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork

from pgmpy_em_ext import CPDColumn, NotReplicatedWarning, WeightedEM


@pytest.fixture
def complete():
    """Complete data, A -> B, with weights."""
    data = pd.DataFrame({"A": ["x", "x", "y", "y"], "B": [0, 1, 0, 1]})
    return DiscreteBayesianNetwork([("A", "B")]), data, [30, 10, 20, 40]


@pytest.fixture
def cheating():
    problem = PROBLEMS["cheating, 2 classes"]()
    return WeightedEM(seed=0, n_init=4).fit(problem.model, problem.data, problem.weight)


class TestStandardErrors:
    def test_complete_data(self, complete):
        found = WeightedEM().fit(*complete).standard_errors()
        np.testing.assert_allclose(found.errors["A"].squeeze(), np.sqrt(0.4 * 0.6 / 100), rtol=1e-12)
        np.testing.assert_allclose(found.errors["B"].loc[0, "x"], np.sqrt(0.75 * 0.25 / 40), rtol=1e-12)
        np.testing.assert_allclose(found.errors["B"].loc[1, "y"], np.sqrt(2 / 9 / 60), rtol=1e-12)
        assert (found.reasons["B"] == "").all(axis=None)

    def test_a_fixed_cpd_has_none(self, complete):
        fixed = {"A": TabularCPD("A", 2, [[0.5], [0.5]], state_names={"A": ["x", "y"]})}
        found = WeightedEM(fixed_cpds=fixed).fit(*complete).standard_errors()
        assert (found.errors["A"] == 0).all(axis=None)
        assert (found.reasons["A"] == "fixed").all(axis=None)

    def test_they_do_not_depend_on_how_far_the_fit_went(self):
        problem = PROBLEMS["cheating, 2 classes"]()
        errors = [
            WeightedEM(seed=3, n_init=1, tol=tol).fit(problem.model, problem.data, problem.weight).standard_errors()
            for tol in (1e-2, 1e-9)
        ]
        for name in problem.data.columns:
            np.testing.assert_allclose(errors[0].errors[name], errors[1].errors[name], rtol=1e-2)


class TestBootstrap:
    def test_the_spread_of_complete_data(self, complete):
        fit = WeightedEM(seed=0).fit(*complete)
        draws = fit.bootstrap(n=2000)
        assert draws.values("B").shape == (2000, 2, 2)
        np.testing.assert_allclose(draws.standard_errors()["A"].squeeze(), np.sqrt(0.24 / 100), rtol=0.1)
        low, high = draws.interval(0.9)
        assert low["A"].loc["x"].item() == pytest.approx(0.4 - 1.645 * np.sqrt(0.24 / 100), abs=0.01)
        assert high["A"].loc["x"].item() == pytest.approx(0.4 + 1.645 * np.sqrt(0.24 / 100), abs=0.01)

    def test_the_same_seed_gives_the_same_bits_for_any_n_jobs(self, cheating):
        one = cheating.bootstrap(n=8, seed=5)
        cheating.n_jobs = 2
        np.testing.assert_array_equal(one.draws, cheating.bootstrap(n=8, seed=5).draws)
        assert (one.draws != cheating.bootstrap(n=8, seed=6).draws).any()
        np.testing.assert_array_equal(one.draws[:3], cheating.bootstrap(n=3, seed=5).draws)

    def test_messages(self, complete):
        fit = WeightedEM(seed=0).fit(*complete)
        draws = fit.bootstrap(n=1)
        with pytest.raises(ValueError, match=r"a standard deviation needs two replicates: call bootstrap with n >= 2"):
            draws.standard_errors()
        message = r"bootstrap has no variable 'C', since the model has none\. Known: \['A', 'B'\]"
        with pytest.raises(ValueError, match=message):
            draws.values("C")
        with pytest.raises(ValueError, match="seed must be an integer >= 0"):
            fit.bootstrap(n=1, seed=-1)


class TestIdentifiability:
    @pytest.mark.parametrize(
        ("n_classes", "n_items", "rank", "n_parameters"), [(2, 2, 3, 5), (2, 3, 7, 7), (3, 4, 13, 14)]
    )
    @pytest.mark.filterwarnings("ignore::pgmpy_em_ext.exceptions.NotReplicatedWarning")
    def test_latent_classes(self, n_classes, n_items, rank, n_parameters):
        items = list("ABCD"[:n_items])
        data = pd.DataFrame(np.indices((2,) * n_items).reshape(n_items, -1).T, columns=items)
        weight = np.random.default_rng(0).integers(1, 100, len(data))
        model = DiscreteBayesianNetwork([("H", item) for item in items], latents={"H"})
        found = WeightedEM(latent_card={"H": n_classes}, seed=0, n_init=2).fit(model, data, weight).identifiability()
        assert (found.rank, found.n_parameters, found.deficiency) == (rank, n_parameters, n_parameters - rank)
        assert bool(found.confounded) == (found.deficiency > 0)

    def test_columns_without_data(self):
        data = pd.DataFrame({"A": ["x", "x"], "B": [0, 1]})
        fit = WeightedEM(state_names={"A": ["x", "y"]}).fit(DiscreteBayesianNetwork([("A", "B")]), data)
        assert fit.identifiability().without_data == [CPDColumn("B", {"A": "y"})] == fit.unidentified_rows_


def test_without_a_fit_there_is_nothing_to_tell(complete):
    model, data, weight = complete
    model.add_cpds(*WeightedEM().fit(model, data, weight).parameters_)
    estimator = WeightedEM.from_model(model)
    for ask in (estimator.standard_errors, estimator.bootstrap, estimator.identifiability):
        with pytest.raises(ValueError, match="there was no fit, so that there is no data to ask how sure it is"):
            ask()


def test_a_fitted_estimator_can_be_pickled(cheating):
    again = pickle.loads(pickle.dumps(cheating))
    np.testing.assert_array_equal(again.bootstrap(n=2, seed=0).draws, cheating.bootstrap(n=2, seed=0).draws)
    assert again.restarts_ == cheating.restarts_


def test_a_best_that_only_one_run_found_is_said():
    problem = PROBLEMS["child, 3 hidden"]()
    estimator = WeightedEM(latent_card=problem.latent_card, state_names=problem.state_names, seed=0, n_init=2)
    message = r"not replicated: only one of 2 starts led to the best objective, -10\d+\.\d\d, so that a higher"
    with pytest.warns(NotReplicatedWarning, match=message):
        estimator.fit(problem.model, problem.data)
    assert estimator.replicated_ == 1


def test_columns_that_fell_to_the_boundary_are_named():
    """Two classes that the items tell apart without error, and one item that is pure chance."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 200)
    data = pd.DataFrame({"X": kind, "Y": kind, "Z": kind, "W": rng.integers(0, 2, 200)})
    model = DiscreteBayesianNetwork([("H", item) for item in data.columns], latents={"H"})
    fit = WeightedEM(seed=0).fit(model, data)
    assert fit.boundary_columns_ == [CPDColumn(item, {"H": state}) for item in "XYZ" for state in (0, 1)]
    assert WeightedEM(seed=0, prior="K2").fit(model, data).boundary_columns_ == []
    given = {cpd.variable: cpd for cpd in fit.parameters_}
    assert WeightedEM(init_cpds=given, fixed_cpds=["X"]).fit(model, data).boundary_columns_ == []
