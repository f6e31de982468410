"""What double precision does to a fit: objectives that never fall, variances and units that are what they should be."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from pgmpy.factors.continuous import LinearGaussianCPD
from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork

from pgmpy_em_ext import (
    ConditionalGaussianCPD,
    ConditionalGaussianEM,
    ConditionalGaussianNetwork,
    LinearGaussianEM,
    OutOfRangeError,
    WeightedEM,
)
from pgmpy_em_ext.types import CPDColumn

METHODS = ["auto", "lbfgs", "squarem", None]


def every_pair(names):
    return [(one, other) for one in names for other in names if one < other]


def linear(data, edges, **settings):
    settings = {"seed": 0, "std_estimator": "mle"} | settings
    model = LinearGaussianBayesianNetwork(edges)
    model.add_nodes_from(data.columns)
    return LinearGaussianEM(**settings).fit(model, data)


def deviation(found, variable):
    return next(cpd for cpd in found.parameters_ if cpd.variable == variable).std


def least_squares(data, child, parents):
    """Deviation of the residuals, by orthogonal projections: no sum of products."""
    own = data[child].to_numpy() - data[child].mean()
    shifted = data[parents] - data[parents].mean()
    basis, _ = np.linalg.qr(np.column_stack([np.ones(len(data)), shifted / shifted.std()]))
    for _ in range(2):
        own = own - basis @ (basis.T @ own)
    return float(np.sqrt((own**2).mean()))


def few_rows_of_eight():
    rng = np.random.default_rng(19)
    names = list("abcdefgh")
    data = pd.DataFrame(rng.normal(size=(25, 1)) + rng.normal(size=(25, 8)) * 0.4, columns=names)
    return LinearGaussianBayesianNetwork(every_pair(names)), data.mask(rng.random(data.shape) < 0.35)


def few_rows_in_six_groups():
    rng = np.random.default_rng(4)
    data = pd.DataFrame(rng.normal(size=40)[:, None] + rng.normal(size=(40, 4)) * 0.5, columns=list("abcd"))
    data = data.mask(rng.random(data.shape) < 0.3)
    data["g"] = [f"s{i}" for i in rng.integers(0, 6, 40)]
    return ConditionalGaussianNetwork([("g", name) for name in "abcd"] + every_pair("abcd")), data


class TestTheObjectiveNeverFalls:
    """The inputs that were reported, and random ones."""

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("method", METHODS)
    def test_few_rows_of_eight_variables(self, method):
        model, data = few_rows_of_eight()
        found = LinearGaussianEM(seed=0, acceleration=method).fit(model, data)
        assert np.diff(found.history_).min() >= 0
        assert found.converged_
        assert found.n_iter_ < 400

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("method", METHODS)
    def test_few_rows_in_six_groups(self, method):
        model, data = few_rows_in_six_groups()
        found = ConditionalGaussianEM(seed=0, acceleration=method).fit(model, data)
        assert np.diff(found.history_).min() >= 0
        assert found.converged_
        assert found.n_iter_ < 400

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("kind", ["discrete", "linear", "mixed"])
    def test_in_random_fits(self, kind):
        assert sum(climb(kind, seed) for seed in range(12)) > 100

    @pytest.mark.campaign
    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("kind", ["discrete", "linear", "mixed"])
    def test_in_100_000_steps(self, kind):
        n_steps, seed = 0, 1000
        while n_steps < 34_000:
            n_steps += climb(kind, seed)
            seed += 1


def climb(kind, seed):
    """Fit a random network to random rows; the steps that it took, none of which went down."""
    rng = np.random.default_rng(seed)
    method = METHODS[seed % 4]
    settings = {"seed": 0, "n_init": 1, "max_iter": 150, "tol": 1e-7, "acceleration": method}
    found = {"discrete": discrete_fit, "linear": linear_fit, "mixed": mixed_fit}[kind](rng, settings)
    falls = np.diff(found.history_)
    assert falls.min(initial=0.0) >= 0, (kind, seed, falls.min())
    assert found.restarts_[0].fell_at is None, (kind, seed)
    return found.n_iter_


def random_edges(names, rng):
    return [pair for pair in every_pair(names) if rng.random() < 0.5]


def discrete_fit(rng, settings):
    names = list("abcdefg")[: rng.integers(2, 8)]
    cards = dict(zip(names, rng.integers(2, 4, len(names)).tolist(), strict=True))
    data = pd.DataFrame({name: rng.integers(0, card, 30) for name, card in cards.items()})
    data = data.mask(rng.random(data.shape) < rng.choice([0.1, 0.4]))
    latents = {names[0]} if rng.random() < 0.5 else set()
    model = DiscreteBayesianNetwork(random_edges(names, rng))
    model.add_nodes_from(names)
    model.latents = latents
    weight = 10.0 ** rng.uniform(-9, 9, 30) if rng.random() < 0.5 else np.ones(30)
    prior = rng.choice([None, "K2", "BDeu"])
    estimator = WeightedEM(prior=prior, latent_card={name: cards[name] for name in latents}, **settings)
    return estimator.fit(model, data.drop(columns=list(latents)), weight)


def continuous_rows_of(names, rng):
    n_rows = int(rng.choice([8, 25, 80]))
    noise = rng.choice([1.0, 0.1, 1e-3, 1e-6])
    values = rng.normal(size=(n_rows, 1)) + noise * rng.normal(size=(n_rows, len(names)))
    data = pd.DataFrame(values * 10.0 ** rng.uniform(-3, 3, len(names)), columns=names)
    return data.mask(rng.random(data.shape) < rng.choice([0.0, 0.1, 0.4]))


def random_prior(rng):
    return {"variance_prior": [None, (1.0, 0.01)][rng.integers(2)], "ridge": float(rng.choice([0.0, 0.0, 0.5]))}


def linear_fit(rng, settings):
    names = list("abcdef")[: rng.integers(2, 7)]
    data = continuous_rows_of(names, rng)
    latents = {names[0]} if rng.random() < 0.3 else set()
    model = LinearGaussianBayesianNetwork(random_edges(names, rng))
    model.add_nodes_from(names)
    model.latents = latents
    data = data.drop(columns=list(latents))
    return LinearGaussianEM(**random_prior(rng), **settings).fit(model, data)


def mixed_fit(rng, settings):
    names = list("abcd")[: rng.integers(1, 5)]
    data = continuous_rows_of(names, rng)
    for name in ("g", "h"):
        data[name] = pd.Series(rng.integers(0, 3, len(data))).map(str).mask(rng.random(len(data)) < 0.2)
    edges = [("g", name) for name in names] + [("h", names[0])] + random_edges(names, rng)
    latents = {"g"} if rng.random() < 0.5 else set()
    model = ConditionalGaussianNetwork(edges, latents=latents)
    data = data.drop(columns=list(latents))
    cards = {name: int(rng.integers(2, 4)) for name in latents}
    prior = rng.choice([None, "K2"])
    return ConditionalGaussianEM(latent_card=cards, prior=prior, **random_prior(rng), **settings).fit(model, data)


class TestTheVarianceIsThatOfLeastSquares:
    def test_interest_of_a_month(self):
        rng = np.random.default_rng(0)
        month = rng.normal(45_000, 5_000, 2000)
        data = pd.DataFrame({"month": month, "interest": 0.7 * month + rng.normal(0, 0.1, 2000)})
        found = linear(data, [("month", "interest")])
        assert deviation(found, "interest") == pytest.approx(least_squares(data, "interest", ["month"]), rel=1e-6)
        holes = data.mask(rng.random(data.shape) < 0.2)
        for method in METHODS:
            found = linear(holes, [("month", "interest")], acceleration=method)
            expected = least_squares(holes.dropna(), "interest", ["month"])
            assert deviation(found, "interest") == pytest.approx(expected, rel=1e-3)
            assert found.floored_ == []

    @pytest.mark.parametrize("left", [1.0, 0.5, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-13, 1e-14])
    @pytest.mark.parametrize("n_rows", [5, 400])
    def test_whatever_the_parents_explain(self, left, n_rows):
        rng = np.random.default_rng(n_rows)
        x = rng.normal(3, 2, n_rows)
        data = pd.DataFrame({"x": x, "y": 7 + np.sqrt(1 - left) * x + np.sqrt(left) * rng.normal(size=n_rows)})
        found = linear(data, [("x", "y")])
        assert deviation(found, "y") == pytest.approx(least_squares(data, "y", ["x"]), rel=1e-3)
        assert found.floored_ == []

    def test_celsius_and_fahrenheit(self):
        celsius = np.random.default_rng(1).normal(15, 8, 500)
        data = pd.DataFrame({"c": celsius, "f": 32 + 1.8 * celsius})
        rounded = data.round(3)
        found = linear(rounded, [("c", "f")])
        assert deviation(found, "f") == pytest.approx(least_squares(rounded, "f", ["c"]), rel=1e-6)
        with pytest.warns(
            UserWarning, match=r"variance of 'f' is at its floor, \S+e-2\d of the column's \(variance_floor"
        ):
            found = linear(data, [("c", "f")])
        assert found.floored_ == [CPDColumn("f", {})]
        assert deviation(found, "f") < 1e-11

    def test_a_total_and_its_parts(self):
        parts = pd.DataFrame(np.random.default_rng(2).lognormal(size=(300, 3)), columns=list("abc"))
        data = parts.assign(total=parts.sum(axis=1))
        edges = [(name, "total") for name in "abc"]
        rounded = data.round(4)
        found = linear(rounded, edges)
        assert deviation(found, "total") == pytest.approx(least_squares(rounded, "total", list("abc")), rel=1e-6)
        with pytest.warns(UserWarning, match="variance of 'total' is at its floor"):
            assert deviation(linear(data, edges), "total") < 1e-11

    def test_in_each_group(self):
        rng = np.random.default_rng(3)
        x, group = rng.normal(size=600), rng.integers(0, 3, 600)
        noise = np.array([1e-1, 1e-4, 1e-7])[group]
        data = pd.DataFrame({"x": x, "y": x * (1 + group) + noise * rng.normal(size=600), "g": group.astype(str)})
        model = ConditionalGaussianNetwork([("g", "y"), ("x", "y")])
        found = ConditionalGaussianEM(seed=0).fit(model, data)
        expected = [least_squares(rows, "y", ["x"]) for _, rows in data.groupby("g")]
        np.testing.assert_allclose(found.model_.get_cpds("y").std, expected, rtol=1e-6)

    def test_missing_values_of_variables_that_all_but_determine_each_other(self):
        """A chain of five with relative deviations of a ten-millionth: the mean of normals, by their covariance."""
        rng = np.random.default_rng(5)
        first = rng.normal(size=300)
        chain = np.column_stack([first + 1e-7 * rng.normal(size=300) for _ in range(4)])
        data = pd.DataFrame(np.column_stack([first, chain]), columns=list("abcde"))
        data = data.mask(rng.random(data.shape) < 0.3)
        found = linear(data, [("a", name) for name in "bcde"], tol=1e-6)
        assert found.floored_ == []
        for name in "bcde":
            expected = least_squares(data[["a", name]].dropna(), name, ["a"])
            assert deviation(found, name) == pytest.approx(expected, rel=0.1)

    def test_the_prior_that_is_advised_suits_the_data(self):
        rng = np.random.default_rng(6)
        group = np.repeat(["rare", "usual"], [2, 60])
        x = rng.normal(size=62)
        data = pd.DataFrame({"g": group, "x": x, "y": x + 0.1 * rng.normal(size=62)})
        model = ConditionalGaussianNetwork([("g", "y"), ("x", "y")])
        with pytest.warns(UserWarning, match=r"'y' given g=rare is at its floor, 1e-06 .*such as \(1, 0\.01\)"):
            found = ConditionalGaussianEM(seed=0).fit(model, data)
        assert found.floored_ == [CPDColumn("y", {"g": "rare"})]
        calm = ConditionalGaussianEM(seed=0, variance_prior=(1, 0.01)).fit(model, data)
        assert calm.floored_ == []
        assert calm.model_.get_cpds("y").std.max() < 0.12

    def test_a_floor_of_ones_own_holds_everywhere(self):
        rng = np.random.default_rng(7)
        x = rng.normal(size=100)
        data = pd.DataFrame({"x": x, "y": x + 1e-3 * rng.normal(size=100)})
        with pytest.warns(UserWarning, match=r"is at its floor, 0\.01 of the column's"):
            found = linear(data, [("x", "y")], variance_floor=0.01)
        assert deviation(found, "y") == pytest.approx(0.1 * data["y"].std(ddof=0))


class TestUnitsAndCollinearity:
    @pytest.mark.parametrize("edges", [[("x", "y")], [("y", "x")]])
    def test_a_constant_column_has_the_unit_of_its_value(self, edges):
        ends = []
        for scale in (1.0, 1e4, 1e-8):
            x = np.array([6.9, 6.9, np.nan, np.nan, np.nan]) * scale
            data = pd.DataFrame({"x": x, "y": [1.0, 2.0, 3.0, 4.0, 5.5]})
            found = linear(data, edges, variance_prior=(2.5, 0.01))
            ends.append(found.log_likelihood_ + 2 * np.log(scale))
        np.testing.assert_allclose(ends, ends[0], rtol=1e-9)

    @pytest.mark.parametrize("apart", [1e-2, 1e-4, 1e-5, 1e-6])
    def test_nearly_collinear_parents_explain_what_they_do(self, apart):
        x, u, noise = np.random.default_rng(0).normal(size=(3, 2000))
        data = pd.DataFrame({"x": x, "z": x + apart * u, "y": x + u + 0.1 * noise})
        found = linear(data, [("x", "y"), ("z", "y")])
        assert deviation(found, "y") == pytest.approx(least_squares(data, "y", ["x", "z"]), rel=1e-4)
        assert found.collinear_ == []

    def test_collinear_parents_are_said(self):
        x, u, noise = np.random.default_rng(0).normal(size=(3, 2000))
        data = pd.DataFrame({"x": x, "z": x + 1e-8 * u, "y": x + u + 0.1 * noise})
        with pytest.warns(UserWarning, match="the parents of 'y' are collinear, to all digits that there are"):
            found = linear(data, [("x", "y"), ("z", "y")])
        assert found.collinear_ == [CPDColumn("y", {})]
        assert linear(data, [("x", "y"), ("z", "y")], ridge=1.0).collinear_ == []


class TestOverflow:
    DATA = pd.DataFrame({"x": [0.1, 0.5, -1.0, 2.0, 0.3, np.nan], "y": [0.3, 0.1, -1.5, 1.0, np.nan, 2.0]})

    @pytest.mark.parametrize(("slope", "std"), [(1.0, 1e308), (1e308, 1.0), (1.0, 1e200)])
    def test_a_start_that_overflows_is_refused(self, slope, std):
        start = {"y": LinearGaussianCPD("y", [0, slope], std, ["x"]), "x": LinearGaussianCPD("x", [0], 1.0)}
        with pytest.raises(
            ValueError, match="init_cpds: the CPD of 'y' has a coefficient or a standard deviation whose"
        ):
            linear(self.DATA, [("x", "y")], init_cpds=start)

    @pytest.mark.parametrize(("slope", "std"), [(1.0, 1e100), (1e100, 1.0), (1.0, 1e-300)])
    @pytest.mark.parametrize("share", [0, 1])
    def test_a_start_that_is_far_off_leads_to_the_maximum(self, slope, std, share):
        data = self.DATA if share else self.DATA.dropna()
        start = {"y": LinearGaussianCPD("y", [0, slope], std, ["x"]), "x": LinearGaussianCPD("x", [0], 1.0)}
        found = linear(data, [("x", "y")], init_cpds=start, tol=1e-8)
        expected = linear(data, [("x", "y")], tol=1e-8)
        assert found.log_likelihood_ == pytest.approx(expected.log_likelihood_, abs=1e-3)

    def test_a_value_beyond_the_range_is_no_impossible_row(self):
        x = LinearGaussianCPD("x", [0], 1.0)
        y = LinearGaussianCPD("y", [0, 1e148], 1e-300, ["x"])
        with pytest.raises(
            OutOfRangeError, match=r"the density of row \d \(counting from 0\) leaves the range of floating"
        ):
            linear(self.DATA, [("x", "y")], init_cpds={"x": x, "y": y})

    def test_its_error_survives_pickling(self):
        error = OutOfRangeError(3, {"x": 1e200})
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.row, again.values) == (OutOfRangeError, str(error), 3, {"x": 1e200})

    def test_conditional_ones_too(self):
        data = self.DATA.assign(g=["a", "b"] * 3)
        cpd = ConditionalGaussianCPD("y", [[0.0], [0.0]], [1.0, 1e308], [], ["g"], {"g": ["a", "b"]})
        model = ConditionalGaussianNetwork([("g", "y")])
        with pytest.raises(
            ValueError, match="init_cpds: the CPD of 'y' has a coefficient or a standard deviation whose"
        ):
            ConditionalGaussianEM(init_cpds={"y": cpd}).fit(model, data[["g", "y"]])


def test_no_warning_of_numpy_in_wild_fits():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        for kind in ("linear", "mixed"):
            for seed in range(100, 112):
                climb(kind, seed)
