"""Answers that others have published, to the digits that they give."""

import latent_problems
import numpy as np
import pandas as pd
import pytest
from latent_problems import read_patterns
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork

from pgmpy_em_ext import EnumerationEStep, ExactEStep, WeightedEM

TEXTBOOK = [EnumerationEStep(), ExactEStep(prune_barren=False)]


def cpd(variable, values, parents=(), states=None):
    cards = [2] * len(parents)
    return TabularCPD(variable, len(values), values, list(parents) or None, cards or None, state_names=states or {})


class TestAlgorithmsForDecisionMaking:
    """Kochenderfer, Wheeler & Wray (2022), example 4.3: weighted completions."""

    @pytest.fixture
    def fitted(self):
        model = DiscreteBayesianNetwork([("A", "B")])
        model.add_cpds(cpd("A", [[0.5], [0.5]]), cpd("B", [[0.8, 0.4], [0.2, 0.6]], ["A"]))
        data = pd.DataFrame({"A": [1, 0, 0, None], "B": [1, 1, None, 0]})
        with pytest.warns(UserWarning, match="max_iter=0"):
            estimator = WeightedEM(init_cpds="model", max_iter=0).fit(model, data)
        return estimator, data

    def test_completions(self, fitted):
        estimator, data = fitted
        completed = estimator.complete(data)
        assert completed[["A", "B"]].to_numpy().tolist() == [[1, 1], [0, 1], [0, 0], [0, 1], [0, 0], [1, 0]]
        assert completed.index.tolist() == [0, 1, 2, 2, 3, 3]
        np.testing.assert_allclose(completed["_weight"], [1, 1, 0.8, 0.2, 2 / 3, 1 / 3], rtol=1e-14)

    def test_expected_counts(self, fitted):
        estimator, data = fitted
        counts = estimator.expected_counts(data)
        np.testing.assert_allclose(counts["A"].to_numpy().ravel(), [2 + 2 / 3, 1 + 1 / 3], rtol=1e-14)
        np.testing.assert_allclose(counts["B"].to_numpy(), [[0.8 + 2 / 3, 1 / 3], [1.2, 1]], rtol=1e-14)


class TestCrimeVictimisation:
    """Kadane (1985), Schafer (1997), R package cvam: holes and weights."""

    @pytest.fixture
    def data(self):
        rows = [
            ("no", "no", 392),
            ("yes", "no", 76),
            (None, "no", 31),
            ("no", "yes", 55),
            ("yes", "yes", 38),
            (None, "yes", 7),
            ("no", None, 33),
            ("yes", None, 9),
            (None, None, 115),
        ]
        return pd.DataFrame(rows, columns=["V1", "V2", "n"])

    @staticmethod
    def joint(model):
        first, second = model.get_cpds("V1").get_values()[:, 0], model.get_cpds("V2").get_values()
        return (second * first).ravel()  # (no, no), (yes, no), (no, yes), (yes, yes)

    def test_maximum(self, data):
        model = DiscreteBayesianNetwork([("V1", "V2")])
        estimator = WeightedEM(tol=1e-12)
        model.fit(data, estimator=estimator, sample_weight=data["n"])
        np.testing.assert_allclose(self.joint(model), [0.69712335, 0.13578303, 0.09863044, 0.06846318], atol=1e-8)
        assert estimator.log_likelihood_ == pytest.approx(-562.5033730705, abs=1e-9)
        assert model.get_cpds("V1").get_values()[0, 0] == pytest.approx(0.79575378, abs=1e-8)
        np.testing.assert_allclose(model.get_cpds("V2").get_values()[1], [0.12394592, 0.33519927], atol=1e-8)

    def test_likelihood_ratio(self, data):
        joined = WeightedEM(tol=1e-12).fit(DiscreteBayesianNetwork([("V1", "V2")]), data, data["n"])
        apart = DiscreteBayesianNetwork()
        apart.add_nodes_from(["V1", "V2"])
        separate = WeightedEM(tol=1e-12).fit(apart, data, data["n"])
        assert separate.log_likelihood_ == pytest.approx(-575.1943009351, abs=1e-9)
        assert 2 * (joined.log_likelihood_ - separate.log_likelihood_) == pytest.approx(25.382, abs=5e-4)

    @pytest.mark.parametrize("engine", TEXTBOOK, ids=["enumeration", "exact"])
    def test_trajectory_from_uniform(self, data, engine):
        estimator = WeightedEM(init_cpds="uniform", e_step=engine, tol=1e-9)
        estimator.fit(DiscreteBayesianNetwork([("V1", "V2")]), data, data["n"])
        published = [-833.162911, -575.625287, -563.081753, -562.527455, -562.504401, -562.503420]
        np.testing.assert_allclose(estimator.history_[:6], published, atol=5e-7)

    def test_expected_completions(self, data):
        estimator = WeightedEM(tol=1e-13).fit(DiscreteBayesianNetwork([("V1", "V2")]), data, data["n"])
        completed = estimator.complete(data, data["n"])["_weight"]
        np.testing.assert_allclose(completed[2], [25.94628, 5.053718], atol=5e-6)
        # The table lists (no, no), (yes, no), (no, yes), (yes, yes); completions have the last variable fastest.
        np.testing.assert_allclose(completed[8], [80.16919, 11.342500, 15.615049, 7.873266], atol=1e-5)

    @pytest.mark.parametrize(("start", "first"), [("complete_case", 0.698752), ("available_case", 0.796020)])
    def test_counting_gives_other_answers(self, data, start, first):
        model = DiscreteBayesianNetwork([("V1", "V2")])
        with pytest.warns(UserWarning, match="max_iter=0"):
            model.fit(data, estimator=WeightedEM(init_cpds=start, max_iter=0), sample_weight=data["n"] * 1e7)
        answer = self.joint(model)[0] if start == "complete_case" else model.get_cpds("V1").get_values()[0, 0]
        assert answer == pytest.approx(first, abs=1e-6)


def with_counts(table):
    answers, counts = read_patterns(table)
    return answers.assign(n=counts)


CARCINOMA = with_counts(latent_problems.CARCINOMA)
VALUES = with_counts(latent_problems.VALUES)
CHEATING = with_counts(latent_problems.CHEATING)


def latent_class(data, n_classes, seed=0, **settings):
    items = [column for column in data.columns if column != "n"]
    model = DiscreteBayesianNetwork([("class", item) for item in items], latents={"class"})
    estimator = WeightedEM(latent_card={"class": n_classes}, seed=seed, **settings)
    model.fit(data, estimator=estimator, sample_weight=data["n"])
    return model, estimator


class TestLatentClasses:
    """R package poLCA, its manual pages: local maxima of latent class models."""

    @pytest.mark.parametrize(
        ("data", "n_classes", "published", "digits"),
        [
            (CARCINOMA, 2, -317.2568, 4),
            (CARCINOMA, 3, -293.705, 3),
            (CARCINOMA, 4, -289.2858, 4),
            (VALUES, 1, -543.6498, 4),
            (VALUES, 2, -504.4677, 4),
            (VALUES, 3, -503.3011, 4),
            (CHEATING, 2, -440.0271, 4),
        ],
        ids=["carcinoma-2", "carcinoma-3", "carcinoma-4", "values-1", "values-2", "values-3", "cheating-2"],
    )
    def test_log_likelihood(self, data, n_classes, published, digits):
        _, estimator = latent_class(data, n_classes, n_init=30, tol=1e-7, max_iter=20_000)
        assert estimator.log_likelihood_ == pytest.approx(published, abs=0.5 * 10**-digits + 1e-6)

    @pytest.mark.parametrize(("data", "n_classes", "published"), [(CARCINOMA, 3, -293.705), (VALUES, 2, -504.4677)])
    def test_the_defaults_find_the_maximum_from_every_seed(self, data, n_classes, published):
        self.check_seeds(range(10), data, n_classes, published)

    @pytest.mark.campaign
    @pytest.mark.parametrize(("data", "n_classes", "published"), [(CARCINOMA, 3, -293.705), (VALUES, 2, -504.4677)])
    def test_the_defaults_find_the_maximum_from_two_hundred_seeds(self, data, n_classes, published):
        self.check_seeds(range(200), data, n_classes, published)

    @staticmethod
    def check_seeds(seeds, data, n_classes, published):
        for seed in seeds:
            _, estimator = latent_class(data, n_classes, seed=seed)
            assert estimator.converged_
            assert estimator.log_likelihood_ == pytest.approx(published, abs=2e-3), seed

    def test_carcinoma_solution(self):
        model, estimator = latent_class(CARCINOMA, 3, n_init=20, tol=1e-8)
        shares = model.get_cpds("class").get_values()[:, 0]
        order = [int(np.abs(shares - share).argmin()) for share in (0.3736, 0.1817, 0.4447)]
        np.testing.assert_allclose(shares[order], [0.3736, 0.1817, 0.4447], atol=5e-5)
        published = {
            "A": [0.9427, 0.4872, 0],
            "B": [0.8621, 0, 0.0191],
            "C": [1, 1, 0.1425],
            "D": [1, 0.9424, 0.4138],
            "E": [0.9449, 0.2494, 0],
            "F": [1, 1, 0.5236],
            "G": [1, 0.3693, 0],
        }
        for item, expected in published.items():
            np.testing.assert_allclose(model.get_cpds(item).get_values()[0, order], expected, atol=1e-4)
        assert estimator.aic_ == pytest.approx(633.41, abs=5e-3)
        assert estimator.bic_ == pytest.approx(697.1357, abs=5e-4)
        assert estimator.n_parameters_ == 23

    def test_local_maxima_differ(self):
        _, estimator = latent_class(CARCINOMA, 4, n_init=40)
        ends = [record.end for record in estimator.restarts_]
        assert estimator.objective_ == max(ends) == pytest.approx(-289.2858, abs=1e-3)
        assert max(ends) - min(ends) > 1  # maxima themselves, not where some runs were left


class TestCandyBags:
    """Russell & Norvig, AIMA, chapter 20: a trajectory from a stated start."""

    @pytest.fixture
    def fit(self):
        rows = [
            ("cherry", "red", "hole", 273),
            ("cherry", "red", "no", 93),
            ("cherry", "green", "hole", 104),
            ("cherry", "green", "no", 90),
            ("lime", "red", "hole", 79),
            ("lime", "red", "no", 100),
            ("lime", "green", "hole", 94),
            ("lime", "green", "no", 167),
        ]
        data = pd.DataFrame(rows, columns=["flavour", "wrapper", "hole", "n"])
        names = {"flavour": ["cherry", "lime"], "wrapper": ["red", "green"], "hole": ["hole", "no"], "bag": [1, 2]}
        start = {
            item: cpd(item, [[0.6, 0.4], [0.4, 0.6]], ["bag"], {item: names[item], "bag": [1, 2]})
            for item in ("flavour", "wrapper", "hole")
        }
        start["bag"] = cpd("bag", [[0.6], [0.4]], states={"bag": [1, 2]})

        def run(**settings):
            model = DiscreteBayesianNetwork([("bag", item) for item in names if item != "bag"], latents={"bag"})
            estimator = WeightedEM(init_cpds=start, **settings)
            model.fit(data, estimator=estimator, sample_weight=data["n"])
            return model, estimator

        return run

    def test_first_iteration(self, fit):
        with pytest.warns(UserWarning, match="max_iter=1 "):
            model, _ = fit(max_iter=1)
        assert model.get_cpds("bag").get_values()[0, 0] == pytest.approx(0.6124, abs=5e-5)
        first = [model.get_cpds(item).get_values()[0] for item in ("flavour", "wrapper", "hole")]
        np.testing.assert_allclose(np.transpose(first), [[0.6684, 0.6483, 0.6558], [0.3887, 0.3817, 0.3827]], atol=5e-5)

    def test_trajectory_and_limit(self, fit):
        with pytest.warns(UserWarning, match="max_iter=1000 "):
            _, estimator = fit(tol=0, max_iter=1000, acceleration=None)
        assert estimator.n_iter_ == 1000
        computed = {
            0: -2044.260365,
            1: -2021.026239,
            2: -2003.025050,
            3: -1990.967733,
            5: -1983.806634,
            10: -1982.017785,
            20: -1980.698817,
            50: -1979.552347,
            100: -1979.369855,
            200: -1979.360160,
        }
        for step, value in computed.items():
            assert estimator.history_[step] == pytest.approx(value, abs=5e-7)
        assert estimator.log_likelihood_ == pytest.approx(-1979.3601270423, abs=1e-10)

    def test_default_tolerance_is_kept_on_the_slow_tail(self, fit):
        _, estimator = fit()
        assert estimator.converged_
        assert -1979.3601270423 - estimator.log_likelihood_ < 3e-3


def test_197_animals():
    """Dempster, Laird & Rubin (1977), as a network with fixed CPDs."""
    model = DiscreteBayesianNetwork([("M", "T"), ("M", "Y"), ("T", "Y")], latents={"M", "T"})
    # Columns of Y: (M, T) = (A, 0), (A, 1), (B, 0), (B, 1).
    outcome = [[1, 1, 0, 0.5], [0, 0, 0.5, 0], [0, 0, 0.5, 0], [0, 0, 0, 0.5]]
    names = {"M": ["A", "B"], "T": [0, 1], "Y": [1, 2, 3, 4]}
    fixed = {
        "M": TabularCPD("M", 2, [[0.5], [0.5]], state_names={"M": names["M"]}),
        "Y": TabularCPD("Y", 4, outcome, ["M", "T"], [2, 2], state_names=names),
    }
    start = {"T": TabularCPD("T", 2, [[0.5, 0.5], [0.5, 0.5]], ["M"], [2], state_names={k: names[k] for k in "TM"})}
    data = pd.DataFrame({"Y": [1, 2, 3, 4]})
    published = [0.5, 0.608247423, 0.624321050, 0.626488879, 0.626777322, 0.626815632]
    for steps, value in list(enumerate(published))[1:]:
        estimator = WeightedEM(fixed_cpds=fixed, init_cpds=start, tol=0, max_iter=steps)
        with pytest.warns(UserWarning, match=f"max_iter={steps} "):
            estimator.fit(model, data, [125, 18, 20, 34])
        learned = estimator.parameters_[1]
        assert learned.variable == "T"
        assert learned.get_values()[1, 1] == pytest.approx(value, abs=5e-10)
    estimator = WeightedEM(fixed_cpds=fixed, init_cpds=start, tol=1e-13).fit(model, data, [125, 18, 20, 34])
    assert estimator.parameters_[1].get_values()[1, 1] == pytest.approx(0.6268214978709824, abs=1e-7)
    np.testing.assert_array_equal(estimator.parameters_[2].get_values(), outcome)
