"""Mixed networks: against scikit-learn's mixtures, `WeightedEM`, sums by hand, and what must not matter."""

import logging
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from pgmpy.base import DAG
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture

from pgmpy_em_ext import (
    ConditionalGaussianCPD,
    ConditionalGaussianEM,
    ConditionalGaussianNetwork,
    CPDColumn,
    LinearGaussianEM,
    NotReplicatedWarning,
    WeightedEM,
)

NAMES = list("abcd")
SPHERES = [("k", name) for name in NAMES]
CHAIN = SPHERES + [(one, other) for place, one in enumerate(NAMES) for other in NAMES[place + 1 :]]


def clusters(n_rows=300, share=0.0, seed=0, scale=1.0):
    """Three clusters in four columns."""
    rng = np.random.default_rng(seed)
    label = rng.integers(3, size=n_rows)
    turn = rng.normal(size=(3, 4, 4)) * 0.5 + np.eye(4)
    values = np.einsum("nij,nj->ni", turn[label], rng.normal(size=(n_rows, 4))) + rng.normal(size=(3, 4))[label] * 4
    data = pd.DataFrame(values * scale, columns=NAMES)
    return data.mask(rng.random(data.shape) < share), label


def fit(data, edges, weight=None, latents=("k",), **settings):
    settings = {"tol": 1e-9, "seed": 0, "latent_card": {"k": 3} if "k" in latents else None} | settings
    model = DAG(edges, latents={name for name in latents if name in {node for edge in edges for node in edge}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotReplicatedWarning)  # six runs may find several maxima
        return ConditionalGaussianEM(**settings).fit(model, data, weight)


def normals(estimator):
    """Mean and covariance of the columns in every state of k."""
    found = {}
    for state in estimator.state_names_["k"]:
        joint = estimator.model_.to_linear_gaussian({"k": state}).to_joint_gaussian()
        order = [joint.variables.index(name) for name in NAMES] if hasattr(joint, "variables") else range(4)
        mean, covariance = (joint.mean, joint.covariance) if hasattr(joint, "mean") else joint
        found[state] = np.ravel(mean)[order], np.asarray(covariance)[np.ix_(order, order)]
    return found


class TestMixtures:
    @pytest.mark.parametrize("n_steps", [1, 20, 1500])
    @pytest.mark.parametrize(("edges", "kind"), [(SPHERES, "diag"), (CHAIN, "full")])
    def test_as_scikit_learns_from_the_same_start(self, edges, kind, n_steps):
        """After as many steps, and at the end, where ours is left to its own stopping rule and acceleration."""
        data, _ = clusters()
        values = data.to_numpy()
        theirs = GaussianMixture(3, covariance_type=kind, tol=1e-13, max_iter=5000, reg_covar=0, random_state=1)
        theirs.fit(values)
        # Their answer, half way to the global moments, is the start of both.
        weights = (theirs.weights_ + 1 / 3) / 2
        means = (theirs.means_ + values.mean(axis=0)) / 2
        whole = np.array([np.diag(each) if kind == "diag" else each for each in theirs.covariances_])
        covariances = (whole + np.diag(values.var(axis=0))) / 2
        precisions = np.linalg.inv(covariances)
        start = GaussianMixture(
            3,
            covariance_type=kind,
            tol=0,
            max_iter=n_steps,
            reg_covar=0,
            weights_init=weights,
            means_init=means,
            precisions_init=np.array([np.diag(each) for each in precisions]) if kind == "diag" else precisions,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            start.fit(values)
        given = {"k": TabularCPD("k", 3, weights[:, None])}
        for place, name in enumerate(NAMES):
            parents = list(range(place)) if kind == "full" else []
            beta, std = [], []
            for mean, covariance in zip(means, covariances, strict=True):
                slopes = np.linalg.solve(covariance[np.ix_(parents, parents)], covariance[parents, place])
                beta.append([mean[place] - slopes @ mean[parents], *slopes])
                std.append(np.sqrt(covariance[place, place] - slopes @ covariance[parents, place]))
            evidence = [NAMES[parent] for parent in parents]
            given[name] = ConditionalGaussianCPD(name, beta, std, evidence, ["k"], {"k": [0, 1, 2]})
        stopping = {"tol": 1e-13} if n_steps == 1500 else {"tol": 0, "max_iter": n_steps, "acceleration": None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = fit(data, edges, init_cpds=given, n_init=1, **stopping)
        assert found.log_likelihood_ == pytest.approx(start.score(values) * len(values), abs=1e-8)
        for state, (mean, covariance) in normals(found).items():
            expected = start.covariances_[state]
            np.testing.assert_allclose(mean, start.means_[state], atol=1e-6)
            np.testing.assert_allclose(covariance, np.diag(expected) if kind == "diag" else expected, atol=1e-6)
        np.testing.assert_allclose(np.ravel(found.model_.get_cpds("k").values), start.weights_, atol=1e-6)
        np.testing.assert_allclose(found.predict_proba(data)["k"], start.predict_proba(values), atol=1e-6)
        np.testing.assert_allclose(found.score_samples(data), start.score_samples(values), atol=1e-6)

    def test_without_a_start_it_finds_what_scikit_learn_finds(self):
        data, label = clusters()
        found = fit(data, CHAIN, tol=1e-3)
        values = data.to_numpy()
        theirs = GaussianMixture(3, n_init=10, random_state=0, tol=1e-8, max_iter=1000, reg_covar=0).fit(values)
        assert found.log_likelihood_ >= theirs.score(values) * len(data) - 0.1
        assert found.replicated_ >= 2
        clustering = found.predict_proba(data)["k"].to_numpy().argmax(axis=1)
        shares = pd.crosstab(clustering, label).max(axis=1).sum() / len(data)
        assert shares > 0.9

    def test_with_holes_as_by_hand(self):
        """At the end the parameters are those that a step of EM by hand yields."""
        data, _ = clusters(150, share=0.25, seed=2)
        found = fit(data, CHAIN, n_init=3, max_iter=5000)
        joint, values, weight = normals(found), data.to_numpy(), np.ravel(found.model_.get_cpds("k").values)
        total, likelihood = {state: [0.0, np.zeros(4), np.zeros((4, 4))] for state in joint}, 0.0
        for row in values:
            seen, gone = ~np.isnan(row), np.isnan(row)
            log_density, parts = [], []
            for state, (mean, covariance) in joint.items():
                inner = covariance[np.ix_(seen, seen)]
                gain = covariance[np.ix_(gone, seen)] @ np.linalg.inv(inner)
                filled, left = row.copy(), np.zeros((4, 4))
                filled[gone] = mean[gone] + gain @ (row[seen] - mean[seen])
                left[np.ix_(gone, gone)] = covariance[np.ix_(gone, gone)] - gain @ covariance[np.ix_(seen, gone)]
                density = multivariate_normal(mean[seen], inner).logpdf(row[seen]) if seen.any() else 0.0
                log_density.append(np.log(weight[state]) + density)
                parts.append((filled, np.outer(filled, filled) + left))
            likelihood += logsumexp(log_density)
            for state, share in enumerate(np.exp(np.array(log_density) - logsumexp(log_density))):
                for place, part in enumerate((1.0, *parts[state])):
                    total[state][place] = total[state][place] + share * part
        assert found.log_likelihood_ == pytest.approx(likelihood, abs=1e-8)
        for state, (n_records, first, second) in total.items():
            mean = first / n_records
            np.testing.assert_allclose(mean, joint[state][0], atol=1e-6)
            np.testing.assert_allclose(second / n_records - np.outer(mean, mean), joint[state][1], atol=1e-6)


class TestOtherPeers:
    def test_discrete_networks_as_weighted_em(self):
        rng = np.random.default_rng(0)
        hidden = rng.integers(2, size=400)
        columns = {f"x{i}": np.where(rng.random(400) < 0.8, hidden, rng.integers(2, size=400)) for i in range(4)}
        data = pd.DataFrame(columns).astype(str)
        data = data.mask(rng.random(data.shape) < 0.1)
        edges = [("h", name) for name in data] + [("x0", "x1")]
        model = DiscreteBayesianNetwork(edges)
        model.latents = {"h"}
        weight = rng.gamma(2, size=400)
        for settings in (
            {"seed": 3},
            {"seed": 3, "prior": "K2", "tol": 1e-6},
            {"seed": 1, "acceleration": None},
            {"seed": 1, "init_cpds": "complete_case"},
        ):
            mine = ConditionalGaussianEM(**settings).fit(model, data, weight)
            theirs = WeightedEM(**settings).fit(model, data, weight)
            assert mine.history_ == theirs.history_
            assert mine.log_likelihood_ == theirs.log_likelihood_
            assert mine.unidentified_rows_ == theirs.unidentified_rows_
            assert mine.boundary_columns_ == theirs.boundary_columns_
            for one, other in zip(mine.parameters_, theirs.parameters_, strict=True):
                np.testing.assert_array_equal(one.values, other.values)

    def test_continuous_networks_as_linear_gaussian_em(self):
        from pgmpy.models import LinearGaussianBayesianNetwork

        data, _ = clusters(share=0.2)
        edges = CHAIN[4:]
        mine = fit(data, edges, latents=())
        theirs = LinearGaussianEM("mle", tol=1e-9, seed=0).fit(LinearGaussianBayesianNetwork(edges), data)
        assert mine.history_ == theirs.history_
        for one, other in zip(mine.parameters_, theirs.parameters_, strict=True):
            np.testing.assert_allclose(one.beta[0], other.beta)
            np.testing.assert_allclose(one.std[0], other.std)

    def test_complete_data_is_a_regression_in_every_configuration(self):
        data, label = clusters(400)
        data["group"], data["coin"] = np.array(["x", "y", "z"])[label], np.arange(400) % 2 == 0
        weight = np.random.default_rng(0).gamma(2, size=400)
        edges = [("group", "b"), ("coin", "b"), ("a", "b"), ("coin", "group")]
        found = fit(data, edges, weight, latents=())
        assert found.converged_
        assert found.n_iter_ <= 2
        cpd = found.model_.get_cpds("b")
        for assignment in cpd.configurations():
            chosen = ((data["group"] == assignment["group"]) & (data["coin"] == assignment["coin"])).to_numpy()
            regression = LinearRegression().fit(data.loc[chosen, ["a"]], data.loc[chosen, "b"], weight[chosen])
            residual = data.loc[chosen, "b"] - regression.predict(data.loc[chosen, ["a"]])
            linear = cpd.to_linear_gaussian(assignment)
            np.testing.assert_allclose(linear.beta, [regression.intercept_, *regression.coef_], rtol=1e-8)
            expected = np.sqrt(np.average(residual**2, weights=weight[chosen]))
            assert linear.std == pytest.approx(expected, rel=1e-8)
        shares = pd.Series(weight).groupby([data["coin"], data["group"]]).sum()
        table = found.model_.get_cpds("group")
        for coin in (False, True):
            for group in "xyz":
                expected = shares[coin, group] / shares[coin].sum()
                assert table.get_value(group=group, coin=coin) == pytest.approx(expected)


MIXED = [
    ("k", "group"),
    ("group", "mark"),
    ("k", "a"),
    ("a", "b"),
    ("group", "b"),
    ("f", "c"),
    ("f", "d"),
    ("mark", "d"),
    ("b", "f"),
]
"""Tables below tables, and latent causes of both kinds."""

HIDDEN = {"latents": ("k", "f"), "continuous": ["f"]}


class TestWhatMustNotMatter:
    def mixed(self, n_rows=120, seed=0):
        """Holes of both kinds."""
        rng = np.random.default_rng(seed)
        data, label = clusters(n_rows, seed=seed)
        data["group"] = np.array(["x", "y", "z"])[np.where(rng.random(n_rows) < 0.8, label, 0)]
        data["mark"] = np.where(rng.random(n_rows) < 0.7, data["group"] == "x", rng.random(n_rows) < 0.5).astype(str)
        return data.mask(rng.random(data.shape) < 0.2)

    def test_the_objective_never_falls(self):
        for seed in range(4):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                data = self.mixed(40, seed)
                found = fit(data, MIXED, **HIDDEN, n_init=1, tol=0, max_iter=60, acceleration=None)
                faster = fit(data, MIXED, **HIDDEN, n_init=1, tol=0, max_iter=60)
            for each in (found, faster):
                assert (np.diff(each.history_) >= -1e-9 * (1 + np.abs(each.history_[1:]))).all()
                assert np.isfinite(each.history_).all()

    def test_units(self):
        data = self.mixed()
        factors = pd.Series({"a": 3.0, "b": 1e-5, "c": -2e5, "d": 1.0})
        other_data = data.copy()
        other_data[NAMES] = data[NAMES] * factors + 7
        settings = HIDDEN | {"n_init": 1, "tol": 1e-9}
        one, other = fit(data, MIXED, **settings), fit(other_data, MIXED, **settings)
        shift = (data[NAMES].notna().sum() * np.log(factors.abs())).sum()
        assert other.log_likelihood_ == pytest.approx(one.log_likelihood_ - shift, abs=1e-6)
        for name in NAMES:
            mine, theirs = one.model_.get_cpds(name), other.model_.get_cpds(name)
            np.testing.assert_allclose(theirs.std, mine.std * abs(factors[name]), rtol=1e-6)
        slopes = one.model_.get_cpds("b").beta[..., 1:] * factors["b"] / factors["a"]
        np.testing.assert_allclose(other.model_.get_cpds("b").beta[..., 1:], slopes, rtol=1e-6)

    def test_order_repetition_and_threads(self):
        data = self.mixed()
        rng = np.random.default_rng(1)
        weight = rng.integers(1, 4, len(data))
        settings = HIDDEN | {"n_init": 4, "tol": 1e-2}
        found = fit(data, MIXED, weight, **settings)
        order = rng.permutation(len(data))
        shuffled = fit(data.iloc[order], MIXED, weight[order], **settings)
        threads = fit(data, MIXED, weight, n_jobs=2, **settings)
        assert found.history_ == shuffled.history_ == threads.history_
        for one, other in zip(found.parameters_, shuffled.parameters_, strict=True):
            assert one == other
        repeated = data.loc[data.index.repeat(weight)]
        assert fit(repeated, MIXED, **settings).log_likelihood_ == pytest.approx(found.log_likelihood_, abs=1e-6)

    def test_rows_of_weight_zero_and_ignored_columns(self):
        data, _ = clusters(100)
        weight = np.append(np.ones(80), np.zeros(20))
        found = fit(data.assign(extra=1.0), SPHERES, weight, n_init=6, tol=1e-4)
        assert found.history_ == fit(data.head(80), SPHERES, n_init=6, tol=1e-4).history_
        assert found.ignored_columns_ == ("extra",)

    def test_a_checkpoint_goes_on_where_it_was(self, tmp_path):
        data, path = self.mixed(), tmp_path / "progress"
        settings = HIDDEN | {"n_init": 3, "tol": 1e-2, "checkpoint": path}
        stopped = fit(data, MIXED, **settings, callback=lambda iteration: iteration.n_iter == 9)
        assert stopped.status_ == "callback"
        resumed = fit(data, MIXED, **settings)
        straight = fit(data, MIXED, **(settings | {"checkpoint": None}))
        assert resumed.history_ == straight.history_
        with pytest.raises(ValueError, match="belongs to another fit"):
            fit(data.head(50), MIXED, **settings)


class TestAnswers:
    def test_deviations_far_from_the_mean(self):
        data = pd.DataFrame({"x": np.arange(20.0), "y": np.arange(20) * 2.0 + np.tile([0.1, -0.1], 10)})
        found = fit(data, [("x", "y")], latents=())
        _, spread = found.impute(pd.DataFrame({"x": [3.0, 1e7], "y": [np.nan, np.nan]}), return_std=True)
        np.testing.assert_allclose(spread["y"], found.model_.get_cpds("y").std[0], rtol=1e-9)

    def test_cells_of_both_kinds(self):
        """Two clusters of which rows name some: posterior, mean and spread of a row by hand."""
        data = pd.DataFrame({"x": [0.0, 1, 2, 10, 11, 12], "kind": list("aaabbb")})
        found = fit(data, [("kind", "x")], latents=())
        rows = pd.DataFrame({"x": [1.5, np.nan, 5.0, np.nan], "kind": [None, "a", None, None]}, index=list("pqrs"))
        std = np.sqrt(2 / 3)
        log_density = np.column_stack([norm(1, std).logpdf(rows["x"]), norm(11, std).logpdf(rows["x"])])
        expected = np.exp(log_density - logsumexp(log_density, axis=1, keepdims=True))
        posterior = found.predict_proba(rows)["kind"]
        assert list(posterior.index) == list("prs")
        np.testing.assert_allclose(posterior.loc[["p", "r"]], expected[[0, 2]], rtol=1e-8, atol=1e-300)
        np.testing.assert_allclose(posterior.loc["s"], [0.5, 0.5])
        filled, spread = found.impute(rows, return_std=True)
        assert filled["kind"].tolist()[:3] == ["a", "a", "a"]
        np.testing.assert_allclose(filled["x"], [1.5, 1, 5, 6])
        np.testing.assert_allclose(spread["x"], [0, std, 0, np.sqrt(2 / 3 + 25)])
        samples = found.score_samples(rows)
        assert samples[0] == pytest.approx(logsumexp(log_density[0]) - np.log(2))
        assert samples[1] == pytest.approx(-np.log(2))
        assert samples[3] == pytest.approx(0, abs=1e-12)
        assert found.score(data) * 6 == pytest.approx(found.log_likelihood_)

    def test_draws_have_the_conditional_distribution(self):
        data = pd.DataFrame({"x": [0.0, 1, 2, 10, 11, 12], "y": [0.0, 1, 1, 5, 7, 8], "kind": list("aaabbb")})
        found = fit(data, [("kind", "x"), ("kind", "y"), ("x", "y")], latents=())
        rows = pd.DataFrame({"x": [np.nan] * 20_000, "kind": [None] * 20_000})
        drawn = found.impute(rows, "sample", seed=5)
        pd.testing.assert_frame_equal(drawn, found.impute(rows, "sample", seed=5))
        assert not drawn.isna().any().any()
        assert (drawn["kind"] == "a").mean() == pytest.approx(0.5, abs=0.02)
        own = drawn[drawn["kind"] == "a"]
        assert own["x"].mean() == pytest.approx(1, abs=0.05)
        slope = found.model_.get_cpds("y").to_linear_gaussian({"kind": "a"}).beta[1]
        assert np.polyfit(own["x"], own["y"], 1)[0] == pytest.approx(slope, abs=0.05)

    def test_variables_without_a_column(self):
        data, _ = clusters(200)
        found = fit(data, SPHERES, n_init=6, tol=1e-3)
        filled = found.impute(data.head(3).drop(columns="b"))
        assert list(filled.columns) == ["a", "c", "d", "k", "b"]
        assert set(filled["k"]) <= {0, 1, 2}

    def test_far_from_everything(self):
        """Log-densities leave the range of floating point long before the answers do."""
        data, _ = clusters(100)
        found = fit(data, SPHERES, n_init=6, tol=1e-3)
        far = pd.DataFrame({name: [1e5] for name in NAMES})
        assert np.isfinite(found.score_samples(far)).all()
        assert found.predict_proba(far)["k"].to_numpy().sum() == pytest.approx(1)
        assert found.score_samples(pd.DataFrame({"a": [1e200]}))[0] == -np.inf
        for ask in (found.predict_proba, found.impute):
            with pytest.raises(ValueError, match=r"row 1 \(counting from 0\) has a=1e\+200, .*e\+199 standard dev"):
                ask(pd.DataFrame({"a": [1.0, 1e200]}))

    @pytest.mark.parametrize("far", [1e3, 1e9, 1e14, 1e16, 1e160])
    def test_memberships_far_out_are_right_or_refused(self, far):
        """Of components of one width the nearer one is certain, though both densities are next to nothing."""
        model = ConditionalGaussianNetwork([("k", "x")])
        model.add_cpds(
            TabularCPD("k", 2, [[0.5], [0.5]], state_names={"k": ["left", "right"]}),
            ConditionalGaussianCPD("x", [[-1], [1]], [1, 1], None, ["k"], {"k": ["left", "right"]}),
        )
        found = ConditionalGaussianEM.from_model(model)
        rows = pd.DataFrame({"x": [far, -far]})
        assert found.score_samples(rows).tolist() == pytest.approx([-far * far / 2] * 2, rel=1e-2)
        observed = rows.assign(k=["left", "right"])
        if far < 1e100:
            assert found.impute(observed)["k"].tolist() == ["left", "right"]
        if far > 1e15:
            message = rf"row 0 \(counting from 0\) has x={re.escape(f'{far:g}')}, .* standard deviations from its mean"
            with pytest.raises(ValueError, match=message):
                found.predict_proba(rows)
            return
        assert found.predict_proba(rows)["k"].to_numpy().tolist() == [[0, 1], [1, 0]]
        assert found.impute(rows)["k"].tolist() == ["right", "left"]

    def test_information_criteria_and_kept_cpds(self, tmp_path):
        data, _ = clusters(200)
        found = fit(data, CHAIN, tol=1e-3)
        assert found.n_parameters_ == 2 + 3 * (4 + 10)
        assert found.bic_ == pytest.approx(np.log(200) * 44 - 2 * found.log_likelihood_)
        assert found.model_.check_model()
        found.model_.save(tmp_path / "model.json")
        again = type(found.model_).load(tmp_path / "model.json")
        given = {cpd.variable: cpd for cpd in again.cpds}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            evaluated = fit(data, CHAIN, init_cpds=given, n_init=1, max_iter=0)
        assert evaluated.log_likelihood_ == pytest.approx(found.log_likelihood_, abs=1e-8)

    def test_fixed_cpds(self):
        data, _ = clusters(200)
        fixed = ConditionalGaussianCPD("a", [[-3.0], [0.0], [3.0]], [1.0, 1.0, 2.0], [], ["k"], {"k": [0, 1, 2]})
        table = TabularCPD("k", 3, [[0.2], [0.3], [0.5]])
        found = fit(data, SPHERES, fixed_cpds={"a": fixed, "k": table}, n_init=6, tol=1e-3)
        assert found.model_.get_cpds("a") == fixed
        np.testing.assert_allclose(np.ravel(found.model_.get_cpds("k").values), [0.2, 0.3, 0.5])
        assert found.n_parameters_ == 3 * 6
        by_name = fit(data, SPHERES, init_cpds={"a": fixed, "k": table}, fixed_cpds=["a", "k"], n_init=6, tol=1e-3)
        assert by_name.model_.get_cpds("a") == fixed


class TestTrouble:
    def test_components_that_collapse_are_named(self):
        data = pd.DataFrame({"x": [0.0] * 5 + [1, 2, 3, 4, 5, 6], "kind": ["flat"] * 5 + ["wide"] * 6})
        with pytest.warns(UserWarning, match=r"residual variance of 'x' given kind=flat is at its floor, 1e-06"):
            found = fit(data, [("kind", "x")], latents=())
        assert found.floored_ == [CPDColumn("x", {"kind": "flat"})]
        assert np.isfinite(found.log_likelihood_)

    def test_a_configuration_with_fewer_rows_than_coefficients(self):
        data, _ = clusters(60)
        data["kind"] = np.where(np.arange(60) < 2, "rare", "usual")
        edges = [("kind", "d"), ("a", "d"), ("b", "d"), ("c", "d")]
        with pytest.warns(UserWarning, match="residual variance of 'd' given kind=rare is at its floor"):
            found = fit(data, edges, latents=())
        assert all(np.isfinite(cpd.beta).all() for cpd in found.parameters_ if cpd.variable != "kind")
        quiet = fit(data, edges, latents=(), variance_prior=(1.0, 0.5), ridge=1.0)
        assert quiet.floored_ == []

    def test_a_configuration_that_no_row_has(self):
        data = pd.DataFrame({"x": [0.0, 1, 2, 3], "kind": list("aabb")})
        found = fit(data, [("kind", "x")], latents=(), state_names={"kind": ["a", "b", "c"]})
        assert np.isfinite(found.model_.get_cpds("x").beta).all()
        assert found.unidentified_rows_ == [CPDColumn("x", {"kind": "c"})]

    @pytest.mark.parametrize(
        ("settings", "error", "message"),
        [
            ({"discrete": "a"}, TypeError, "discrete must be a list of variables, or None. Got: 'a'."),
            ({"discrete": ["z"]}, ValueError, "discrete names 'z', which the model does not have."),
            ({"discrete": ["a"], "continuous": ["a"]}, ValueError, "'a' is named in both discrete and continuous"),
            (
                {"init_cpds": "best"},
                ValueError,
                r"init_cpds must be a dict of CPDs, one of \['kmeans\+\+', 'random_from_data', 'lines', 'random'",
            ),
            ({"init_cpds": {"a": 1}}, TypeError, r"init_cpds\['a'\] must be a TabularCPD or ConditionalGaussianCPD"),
            (
                {"variance_floor": 1e-18},
                ValueError,
                "variance_floor must be at least 1e-12: smaller ones are lost",
            ),
            ({"variance_prior": 3}, ValueError, r"variance_prior must be \(shape, scale\), or None. Got: 3."),
            ({"fixed_cpds": ["a"]}, ValueError, "fixed_cpds names 'a', but init_cpds does not have its CPD."),
            ({"fixed_cpds": ["z"]}, ValueError, r"fixed_cpds has CPDs for \['z'\], which the model does not have."),
            ({"acceleration": "fast"}, ValueError, "acceleration must be one of"),
            (
                {"init_cpds": {"a": TabularCPD("a", 2, [[0.5], [0.5]])}, "continuous": ["a"]},
                TypeError,
                "init_cpds: 'a' is continuous, so that its CPD must be a LinearGaussianCPD or",
            ),
            (
                {"fixed_cpds": {"a": ConditionalGaussianCPD("a", [[0.0]], [1.0])}, "discrete": ["a"]},
                TypeError,
                "fixed_cpds: 'a' is discrete, so that its CPD must be a TabularCPD. Got: ConditionalGaussianCPD.",
            ),
            ({"continuous": ["k"]}, ValueError, "'k' is named in continuous, but state_names or latent_card gives it"),
            (
                {"init_cpds": {"a": ConditionalGaussianCPD("a", [[0.0]], [1.0])}},
                ValueError,
                r"the CPD of 'a' has the discrete parents \[\], but the model gives it \['k'\]",
            ),
            (
                {"init_cpds": {"a": ConditionalGaussianCPD("a", [[0], [0]], [1, 1], [], ["k"], {"k": ["u", "v"]})}},
                ValueError,
                r"names the states \['u', 'v'\] of 'k'; they must be \[0, 1, 2\]",
            ),
        ],
    )
    def test_arguments(self, settings, error, message):
        with pytest.raises(error, match=message):
            fit(clusters(30)[0], SPHERES, **settings)

    def test_continuous_parents_of_discrete_variables(self):
        data = pd.DataFrame({"x": [0.5, 1.5], "kind": ["a", "b"]})
        with pytest.raises(ValueError, match="discrete variable 'kind' has the continuous parent 'x'"):
            fit(data, [("x", "kind")], latents=())
        found = fit(data.assign(x=[0, 1]), [("x", "kind")], latents=(), discrete=["x"])
        assert found.state_names_ == {"x": [0, 1], "kind": ["a", "b"]}

    def test_kinds(self):
        data = pd.DataFrame(
            {
                "i": [1, 2, 3],
                "f": [0.5, 1, 2],
                "b": [True, False, True],
                "c": pd.Categorical([1, 2, 1]),
                "t": list("uvu"),
            }
        )
        found = fit(data, [(one, "f") for one in "ibct"], latents=(), variance_prior=(1.0, 1.0))
        assert found.model_.discrete_nodes == ["b", "c", "t"]
        assert found.model_.continuous_nodes == ["i", "f"]

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (lambda data: data.assign(a=np.inf), ValueError, "column 'a' has the value inf in row 0"),
            (lambda data: data.drop(columns="a"), ValueError, "the model's node 'a' has no column in the data"),
            (lambda data: data.assign(k=1.0), ValueError, "'k' is declared latent, but its column has data"),
            (lambda data: data.to_numpy(), TypeError, "data must be a pandas DataFrame"),
        ],
    )
    def test_tables(self, change, error, message):
        with pytest.raises(error, match=message):
            fit(change(clusters(30)[0]), SPHERES)

    @pytest.mark.parametrize("std", [1e-9, 1e160])
    def test_relations_beyond_precision(self, std):
        fixed = ConditionalGaussianCPD("b", [[0.0, 1.0]], [std], ["a"])
        with pytest.raises(
            ValueError, match="CPD of 'b' has a standard deviation of less than a millionth, or more than"
        ):
            fit(clusters(30)[0], CHAIN[4:], latents=(), fixed_cpds={"b": fixed})

    def test_dates_and_numbers_out_of_range(self):
        data = clusters(30)[0]
        dates = pd.Series(pd.date_range("2020-01-01", periods=30)).mask(np.arange(30) == 3)
        with pytest.raises(
            TypeError, match=r"column 'a' must hold numbers. Got: Timestamp\('2020-01-01 00:00:00'\) in"
        ):
            fit(data.assign(a=dates), SPHERES, continuous=["a"])
        with pytest.raises(ValueError, match=r"column 'a' has the value -1.7e\+308 in row 2"):
            fit(data.assign(a=np.where(np.arange(30) == 2, -1.7e308, 1.0)), SPHERES)

    @pytest.mark.parametrize("large", [10**400, -(10**400), 10**301], ids=["large", "low", "float"])
    def test_integers_out_of_range(self, large):
        data = clusters(30)[0]
        cells = pd.Series([1, None, 2.5, large, *range(26)], dtype=object)
        shown = re.escape(f"column 'a' has the value {'-' * (large < 0)}1.000000e+{len(str(abs(large))) - 1} in row 3")
        with pytest.raises(ValueError, match=shown):
            fit(data.assign(a=cells), SPHERES, continuous=["a"])
        with pytest.raises(ValueError, match=shown):
            LinearGaussianEM().fit(LinearGaussianBayesianNetwork([("a", "b")]), data.assign(a=cells))

    @pytest.mark.parametrize("kind", [complex, object])
    def test_complex_numbers(self, kind):
        data = clusters(30)[0]
        cells = pd.Series([None if row == 0 else row + 2j for row in range(30)], dtype=kind)
        message = re.escape("column 'a' must hold real numbers. Got: ") + r".*1\+2j.* in row 1 \(counting from 0\)"
        with pytest.raises(TypeError, match=message):
            fit(data.assign(a=cells), SPHERES, continuous=["a"])
        with pytest.raises(TypeError, match=message):
            LinearGaussianEM().fit(LinearGaussianBayesianNetwork([("a", "b")]), data.assign(a=cells))
        with pytest.raises(TypeError, match=message):
            fit(data, SPHERES).score(data.assign(a=cells))

    def test_other_columns_are_said_once(self, caplog):
        caplog.set_level(logging.INFO, logger="pgmpy_em_ext")
        data = clusters(60)[0].assign(other=1, note="x")
        told = "The columns ['other', 'note'] are no variables of the model: ignored."
        found = fit(data, SPHERES, n_init=2)
        assert caplog.messages.count(told) == 1
        assert found.ignored_columns_ == ("other", "note")
        caplog.clear()
        found.predict_proba(data)
        assert caplog.messages.count(told) == 1

    def test_a_configuration_without_records_follows_the_prior(self):
        data = pd.DataFrame({"x": [0.0, 1, 2, 3], "z": [1.0, 0, 2, 1], "kind": list("aabb")})
        states, edges = {"kind": ["a", "b", "c"]}, [("kind", "x"), ("z", "x")]
        found = fit(data, edges, latents=(), state_names=states, variance_prior=(3.0, 0.5), ridge=2.0)
        cpd = found.model_.get_cpds("x").to_linear_gaussian({"kind": "c"})
        assert cpd.beta[1] == 0
        assert cpd.std == pytest.approx(np.sqrt(2 * 0.5 / (2 * 3 + 2 + 1)) * data["x"].std(ddof=0))

    def test_a_prior_of_nothing(self):
        with pytest.raises(ValueError, match="prior='K2' is of tables, but no variable is discrete"):
            fit(clusters(30)[0], CHAIN[4:], latents=(), prior="K2")

    def test_models(self):
        with pytest.raises(TypeError, match=r"model must be a pgmpy DAG. Got: list\."):
            ConditionalGaussianEM().fit([("k", "a")], clusters(30)[0])
