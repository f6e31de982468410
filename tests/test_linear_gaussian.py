"""Linear Gaussian networks: against normal distributions by hand, peers, and what must not matter."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pgmpy.factors.continuous import LinearGaussianCPD
from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork
from pgmpy.parameter_estimator import LinearGaussianMLE
from problems import condition
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

from pgmpy_em_ext import CPDColumn, LinearGaussianEM
from pgmpy_em_ext.arrays.gaussian import lay_out_families
from pgmpy_em_ext.arrays.mixed import continuous_network, continuous_rows
from pgmpy_em_ext.cpd_family.linear_gaussian import LinearGaussian
from pgmpy_em_ext.e_step.mixed import HybridEStep
from pgmpy_em_ext.e_step.mixed.patterns import barren
from pgmpy_em_ext.inference.continuous import FittedHybrid, complete, log_likelihoods


@st.composite
def gaussian_cases(draw, max_nodes=6, n_rows=10):
    """Any DAG over up to six variables, random parameters, any missing values, fractional weights."""
    n_nodes = draw(st.integers(1, max_nodes))
    parents = [[j for j in range(i) if draw(st.booleans())] for i in range(n_nodes)]
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    net = lay_out_families(parents, [1] * n_nodes)
    parameters = rng.normal(size=net.offset[-1])
    for node in range(n_nodes):
        net.block(parameters, node)[0, -1] = rng.gamma(1) + 0.1
    values = rng.normal(size=(n_rows, n_nodes))
    values[rng.random(values.shape) < draw(st.sampled_from([0, 0.3, 0.7]))] = np.nan
    return net, parameters, continuous_rows(values, rng.gamma(2, size=n_rows))


def joint(net, parameters):
    """Mean and covariance of all variables."""
    n_nodes = net.n_nodes
    slopes, intercepts, variances = np.zeros((n_nodes, n_nodes)), np.zeros(n_nodes), np.zeros(n_nodes)
    for node in range(n_nodes):
        row = net.block(parameters, node)[0]
        intercepts[node], variances[node] = row[0], row[-1]
        slopes[node, net.parent[net.parent_first[node] : net.parent_first[node + 1]]] = row[1:-1]
    inverse = np.linalg.inv(np.eye(n_nodes) - slopes)
    return inverse @ intercepts, inverse @ np.diag(variances) @ inverse.T


class TestEStep:
    @given(gaussian_cases())
    def test_equals_the_joint_normal(self, case):
        net, parameters, rows = case
        mean, covariance = joint(net, parameters)
        dead = barren(net, np.isnan(rows.values))
        expected, log_likelihood = np.zeros(net.moment_offset[-1]), 0.0
        for row, values in enumerate(rows.values):
            filled, left, log_density = condition(mean, covariance, values)
            log_likelihood += rows.weight[row] * log_density
            for node in np.flatnonzero(~dead[row]):
                members = [*net.parent[net.parent_first[node] : net.parent_first[node + 1]], node]
                one = np.append(1, filled[members])
                products = np.outer(one, one)
                products[1:, 1:] += left[np.ix_(members, members)]
                block = slice(net.moment_offset[node], net.moment_offset[node + 1])
                expected[block] += rows.weight[row] * products[np.tril_indices(len(one))]
        engine = HybridEStep()
        found = engine.expected_statistics(engine.prepare(continuous_network(net), rows), parameters)
        np.testing.assert_allclose(found.counts, net.about(expected, parameters), rtol=1e-8, atol=1e-8)
        assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-9, abs=1e-9)

    @settings(max_examples=50)
    @given(gaussian_cases())
    def test_completions_and_densities(self, case):
        net, parameters, rows = case
        mean, covariance = joint(net, parameters)
        fitted = FittedHybrid(continuous_network(net), parameters, HybridEStep(n_jobs=2))
        values, deviations = complete(fitted, rows)
        densities = log_likelihoods(fitted, rows)
        for row, observed in enumerate(rows.values):
            filled, left, log_density = condition(mean, covariance, observed)
            np.testing.assert_allclose(values[row], filled, atol=1e-8)
            np.testing.assert_allclose(deviations[row] ** 2, np.diag(left), atol=1e-8)
            assert densities[row] == pytest.approx(log_density, abs=1e-8)

    def test_draws_have_the_conditional_covariance(self):
        net = lay_out_families([[], [0], [0, 1]], [1, 1, 1])
        parameters = np.array([0.0, 1.0, 1.0, 0.8, 0.5, -1.0, 0.5, 0.7, 0.3])
        values = np.tile([np.nan, np.nan, 0.4], (20_000, 1))
        normals = np.random.default_rng(0).normal(size=values.shape)
        fitted = FittedHybrid(continuous_network(net), parameters, HybridEStep())
        drawn, _ = complete(fitted, continuous_rows(values), normals)
        filled, left, _ = condition(*joint(net, parameters), values[0])
        np.testing.assert_allclose(drawn.mean(axis=0), filled, atol=0.03)
        np.testing.assert_allclose(np.cov(drawn[:, :2].T), left[:2, :2], atol=0.03)

    def test_any_number_of_threads_gives_the_same_bits(self):
        rng = np.random.default_rng(0)
        net = lay_out_families([[], [0], [0, 1]], [1, 1, 1])
        values = rng.normal(size=(500, 3))
        values[rng.random(values.shape) < 0.3] = np.nan
        rows = continuous_rows(values, rng.gamma(1, size=500))
        parameters = np.array([0.0, 1.0, 1.0, 0.8, 0.5, -1.0, 0.5, 0.7, 0.3])
        one, two = (
            engine.expected_statistics(engine.prepare(continuous_network(net), rows), parameters)
            for engine in (HybridEStep(), HybridEStep(n_jobs=2))
        )
        np.testing.assert_array_equal(one.counts, two.counts)
        assert one.log_likelihood == two.log_likelihood


class TestMStep:
    def family(self, net, **arguments):
        settings = {"floor": np.full(net.n_nodes, 1e-9), "shape": 0.0, "scale": 0.0, "ridge": 0.0}
        settings |= {"fixed": np.zeros(net.n_nodes, dtype=bool)} | arguments
        return LinearGaussian(net, **settings)

    def moments(self, net, values, weight):
        engine = HybridEStep()
        rows = continuous_rows(values, weight)
        parameters = np.ones(net.offset[-1])
        return engine.expected_statistics(engine.prepare(continuous_network(net), rows), parameters).counts

    def test_weighted_least_squares(self):
        rng = np.random.default_rng(0)
        values, weight = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3)) + 2, rng.gamma(1, size=60)
        net = lay_out_families([[], [0], [0, 1]], [1, 1, 1])
        found = self.family(net).maximize(self.moments(net, values, weight), np.ones(net.offset[-1]))
        for node, parents in enumerate([[], [0], [0, 1]]):
            root = np.sqrt(weight)
            design = np.column_stack([np.ones(60), values[:, parents]])
            solution, *_ = np.linalg.lstsq(root[:, None] * design, root * values[:, node])
            residual = values[:, node] - design @ solution
            row = net.block(found, node)[0]
            np.testing.assert_allclose(row[:-1], solution, rtol=1e-7)
            assert row[-1] == pytest.approx(weight @ residual**2 / weight.sum(), rel=1e-8)

    def test_collinear_parents_share_what_they_explain(self):
        rng = np.random.default_rng(1)
        one = rng.normal(size=50)
        values = np.column_stack([one, one, one + rng.normal(size=50)])
        net = lay_out_families([[], [], [0, 1]], [1, 1, 1])
        found = net.block(self.family(net).maximize(self.moments(net, values, np.ones(50)), np.ones(8)), 2)[0]
        assert found[1] == pytest.approx(found[2], rel=1e-6)
        assert found[1] + found[2] == pytest.approx(np.polyfit(one, values[:, 2], 1)[0], rel=1e-6)

    @pytest.mark.parametrize(("shape", "scale", "ridge"), [(0, 0, 0), (2, 0.5, 0), (0, 0, 3), (1.5, 0.2, 4)])
    def test_no_parameters_are_better(self, shape, scale, ridge):
        rng = np.random.default_rng(2)
        values = rng.normal(size=(20, 3)) @ rng.normal(size=(3, 3))
        net = lay_out_families([[], [0], [0, 1]], [1, 1, 1])
        family = self.family(net, shape=float(shape), scale=float(scale), ridge=float(ridge))
        engine = HybridEStep()
        plan = engine.prepare(continuous_network(net), continuous_rows(values))

        def objective(parameters):
            likelihood = engine.expected_statistics(plan, parameters).log_likelihood
            return likelihood + family.log_priors(parameters).sum()

        best = family.maximize(engine.expected_statistics(plan, np.ones(9)).counts, np.ones(9))
        for _ in range(200):
            other = best + rng.normal(size=9) * 1e-2
            for node in range(3):
                net.block(other, node)[0, -1] = abs(net.block(other, node)[0, -1]) + 1e-9
            assert objective(other) <= objective(best) + 1e-9

    def test_a_configuration_without_records_and_a_fixed_family_keep_their_parameters(self):
        net = lay_out_families([[], [0]], [1, 2])
        moments = np.zeros(net.moment_offset[-1])
        moments[:3] = 4, 2, 3
        moments[3:9] = 4, 2, 3, 1, 1, 2
        previous = np.arange(1.0, 9.0)
        found = self.family(net, fixed=np.array([True, False])).maximize(moments, previous)
        np.testing.assert_array_equal(found[:2], previous[:2])
        np.testing.assert_array_equal(found[5:], previous[5:])
        assert not np.array_equal(found[2:5], previous[2:5])


CHAIN = [("a", "b"), ("a", "c"), ("b", "c"), ("c", "d"), ("a", "d"), ("b", "d")]
"""Every pair is joined: any normal distribution of four variables."""


def table(n_rows=400, share=0.2, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_rows, 4)) @ rng.normal(size=(4, 4)) * [1, 10, 0.1, 3] + [5, -100, 0, 1000]
    data = pd.DataFrame(values, columns=list("abcd"))
    return data.mask(rng.random(data.shape) < share)


def fit(data, edges=CHAIN, weight=None, latents=(), **settings):
    model = LinearGaussianBayesianNetwork(edges, latents=set(latents))
    return LinearGaussianEM(**({"tol": 1e-9, "seed": 0} | settings)).fit(model, data, weight)


def same(one, other, rtol=1e-6):
    assert one.log_likelihood_ == pytest.approx(other.log_likelihood_, rel=1e-9, abs=1e-6)
    for mine, theirs in zip(one.parameters_, other.parameters_, strict=True):
        np.testing.assert_allclose(mine.beta, theirs.beta, rtol=rtol, atol=1e-9)
        assert mine.std == pytest.approx(theirs.std, rel=rtol)


class TestPeers:
    @pytest.mark.parametrize("std_estimator", ["mle", "unbiased"])
    def test_complete_data_as_pgmpys_estimator(self, std_estimator):
        data = table(share=0)
        model = LinearGaussianBayesianNetwork(CHAIN)
        theirs = LinearGaussianMLE(std_estimator).fit(model, data).parameters_
        estimator = LinearGaussianEM(std_estimator)
        fitted = LinearGaussianBayesianNetwork(CHAIN).fit(data, estimator=estimator)
        assert estimator.converged_
        assert estimator.n_iter_ <= 2
        assert [cpd.variable for cpd in estimator.parameters_] == list(model.nodes())
        for cpd in theirs:
            mine = fitted.get_cpds(cpd.variable)
            assert mine.evidence == cpd.evidence
            np.testing.assert_allclose(mine.beta, cpd.beta, rtol=1e-8)
            assert mine.std == pytest.approx(cpd.std, rel=1e-9)

    def test_the_saturated_normal_with_holes(self):
        """An EM of its own, on mean and covariance, as in Little and Rubin, chapter 11."""
        data = table(120)
        values = data.to_numpy()
        mean, covariance = np.nanmean(values, axis=0), np.diag(np.nanvar(values, axis=0))
        for _ in range(3000):
            total, products, likelihood = np.zeros(4), np.zeros((4, 4)), 0.0
            for row in values:
                filled, left, log_density = condition(mean, covariance, row)
                total += filled
                products += np.outer(filled - mean, filled - mean) + left
                likelihood += log_density
            following = total / len(values)
            moved = following - mean
            previous = covariance
            covariance = products / len(values) - np.outer(moved, moved)
            mean = following
            if np.allclose(previous, covariance, rtol=1e-13, atol=0):
                break
        found = fit(data, std_estimator="mle", tol=1e-13, max_iter=5000)
        assert found.log_likelihood_ == pytest.approx(likelihood, abs=1e-8)
        parameters, names = {cpd.variable: cpd for cpd in found.parameters_}, "abcd"
        for name in names:
            at = [names.index(parent) for parent in parameters[name].evidence]
            own = names.index(name)
            slopes = np.linalg.solve(covariance[np.ix_(at, at)], covariance[at, own]) if at else np.zeros(0)
            np.testing.assert_allclose(parameters[name].beta[1:], slopes, rtol=1e-6)
            variance = covariance[own, own] - slopes @ covariance[at, own]
            assert parameters[name].std == pytest.approx(np.sqrt(variance), rel=1e-6)

    def test_factor_analysis(self):
        rng = np.random.default_rng(3)
        factors = rng.normal(size=(600, 1))
        values = factors @ rng.normal(size=(1, 6)) * 2 + rng.normal(size=(600, 6)) * [1, 0.5, 2, 1, 1, 0.7] + 10
        data = pd.DataFrame(values, columns=[f"x{i}" for i in range(6)])
        theirs = FactorAnalysis(1, tol=1e-10, max_iter=10_000, svd_method="lapack").fit(values)
        edges = [("f", name) for name in data]
        found = fit(data, edges, latents=["f"], n_init=3, tol=1e-9, max_iter=5000)
        assert found.log_likelihood_ == pytest.approx(theirs.score(values) * 600, abs=1e-6)
        factor = next(cpd for cpd in found.parameters_ if cpd.variable == "f")
        assert (factor.beta[0], factor.std) == (0, 1)
        holes = data.mask(rng.random(data.shape) < 0.2)
        with_holes = fit(holes, edges, latents=["f"], n_init=3)
        scores = with_holes.impute(holes)["f"]
        assert abs(np.corrcoef(scores, factors[:, 0])[0, 1]) > 0.95

    def test_predictions_as_pgmpys(self):
        data = table()
        model = LinearGaussianBayesianNetwork(CHAIN)
        estimator = LinearGaussianEM("mle")
        model.fit(data, estimator=estimator)
        rows = data.dropna().head(20).drop(columns=["b"])
        filled, spread = estimator.impute(rows, return_std=True)
        _, mean, covariance = model.predict_probability(rows)
        np.testing.assert_allclose(filled["b"], np.ravel(mean), rtol=1e-6)
        np.testing.assert_allclose(spread["b"] ** 2, np.ravel(covariance)[0], rtol=1e-6)
        assert not spread[["a", "c", "d"]].to_numpy().any()


class TestWhatMustNotMatter:
    def test_the_objective_never_falls(self):
        for seed in range(5):
            data = table(30, 0.4, seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found = fit(data, [*CHAIN, ("h", "a"), ("h", "d")], latents=["h"], n_init=1, tol=0, max_iter=80)
            assert (np.diff(found.history_) >= -1e-9 * (1 + np.abs(found.history_[1:]))).all()
            assert np.isfinite(found.history_).all()

    def test_units(self):
        data = table()
        factors = pd.Series({"a": 3.0, "b": 1e-6, "c": -2e5, "d": 1.0})
        one, other = fit(data), fit(data * factors + 7)
        n_seen = data.notna().sum()
        shift = (n_seen * np.log(factors.abs())).sum()
        assert other.log_likelihood_ == pytest.approx(one.log_likelihood_ - shift, rel=1e-9)
        for mine, theirs in zip(one.parameters_, other.parameters_, strict=True):
            scale = factors[mine.variable]
            assert theirs.std == pytest.approx(mine.std * abs(scale), rel=1e-6)
            np.testing.assert_allclose(
                theirs.beta[1:], mine.beta[1:] * scale / factors[mine.evidence].to_numpy(), rtol=1e-5
            )

    def test_weights_are_repetition_and_order_is_nothing(self):
        data = table(120)
        weight = np.random.default_rng(0).integers(0, 4, 120)
        repeated = data.loc[data.index.repeat(weight)].sample(frac=1, random_state=1)
        same(fit(data, weight=weight), fit(repeated))

    def test_the_same_seed_and_any_number_of_threads(self):
        data = table(100)
        edges = [*CHAIN, ("h", "a"), ("h", "d")]
        settings = {"latents": ["h"], "n_init": 4, "tol": 1e-3, "max_iter": 3000}
        one, two = fit(data, edges, **settings), fit(data, edges, n_jobs=2, **settings)
        assert one.history_ == two.history_

    def test_given_cpds_are_where_it_starts(self):
        data = table()
        best = fit(data, std_estimator="mle")
        given_cpds = {cpd.variable: cpd for cpd in best.parameters_}
        again = fit(data, init_cpds=given_cpds, tol=1e-3)
        assert again.history_[0] == pytest.approx(best.log_likelihood_, abs=1e-6)
        assert again.restarts_[0].start == "init_cpds"

    def test_information_criteria_and_scores(self):
        data = table()
        found = fit(data)
        assert found.n_parameters_ == 4 * 2 + 6
        assert found.aic_ == pytest.approx(2 * 14 - 2 * found.log_likelihood_)
        n_records = data.notna().any(axis=1).sum()  # a row in which nothing is observed is no part of the sample
        assert found.bic_ == pytest.approx(14 * np.log(n_records) - 2 * found.log_likelihood_)
        assert found.score_samples(data).sum() == pytest.approx(found.log_likelihood_)
        assert found.score(data) == pytest.approx(found.log_likelihood_ / n_records)
        drawn = found.impute(data, "sample", seed=1)
        assert not drawn.isna().any().any()
        pd.testing.assert_frame_equal(drawn.where(data.notna()), data)
        pd.testing.assert_frame_equal(drawn, found.impute(data, "sample", seed=1))


class TestTrouble:
    def test_means_far_out_are_right_or_refused(self):
        rng = np.random.default_rng(0)
        data = pd.DataFrame({"x": rng.normal(size=50)})
        data["y"] = 3 * data["x"] + rng.normal(size=50)
        found = LinearGaussianEM(seed=0).fit(LinearGaussianBayesianNetwork([("x", "y")]), data)
        slope = found.parameters_[1].beta[1]
        for far in (1e9, 1e20, 1e100):
            filled = found.impute(pd.DataFrame({"x": [far], "y": [np.nan]}))
            assert filled["y"][0] == pytest.approx(slope * far, rel=1e-6)
        message = r"row 1 \(counting from 0\) has x=1e\+160, .* standard deviations from its mean: beyond 1e\+140 do"
        with pytest.raises(ValueError, match=message):
            found.impute(pd.DataFrame({"x": [1.0, 1e160], "y": [np.nan, np.nan]}))

    def test_a_parent_that_determines_its_child_is_said(self):
        data = table(share=0)
        data["d"] = 3 * data["a"] + 1
        with pytest.warns(UserWarning, match=r"residual variance of 'd' is at its floor, \d\S+ of the column"):
            found = fit(data, [("a", "d")])
        assert found.floored_ == [CPDColumn("d", {})]
        assert np.isfinite(found.log_likelihood_)
        assert found.parameters_[1].std < 1e-11 * data["d"].std()  # rounding, and no more

    def test_a_variance_prior_keeps_it_from_the_floor(self):
        data = table(share=0)
        data["d"] = 3 * data["a"] + 1
        found = fit(data, [("a", "d")], variance_prior=(1.0, 0.1), std_estimator="mle")
        assert found.floored_ == []
        assert found.parameters_[1].std ** 2 / data["d"].var(ddof=0) == pytest.approx(0.2 / 404, rel=1e-6)

    def test_a_constant_column_and_few_rows(self):
        data = pd.DataFrame({"a": [1.0, 2.0], "b": [5.0, 5.0], "c": [0.0, 1.0]})
        with pytest.warns(UserWarning, match="at its floor"):
            found = fit(data, [("a", "c"), ("b", "c")])
        assert all(np.isfinite([*cpd.beta, cpd.std]).all() and cpd.std > 0 for cpd in found.parameters_)

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (
                lambda data: data.assign(b=np.inf),
                ValueError,
                r"column 'b' has the value inf in row 0 \(counting from 0\)",
            ),
            (lambda data: data.assign(b="x"), TypeError, r"column 'b' must hold numbers. Got: 'x' in row 0"),
            (lambda data: data.drop(columns="b"), ValueError, "the model's node 'b' has no column in the data"),
            (lambda data: data.head(0), ValueError, "data has no rows"),
        ],
    )
    def test_tables(self, change, error, message):
        with pytest.raises(error, match=message):
            fit(change(table(20)))

    @pytest.mark.parametrize(
        ("settings", "error", "message"),
        [
            ({"std_estimator": "ml"}, ValueError, "std_estimator must be 'mle' or 'unbiased'. Got: 'ml'."),
            ({"variance_prior": 3}, ValueError, r"variance_prior must be \(shape, scale\), or None. Got: 3."),
            ({"variance_prior": (1, 0)}, ValueError, "variance_prior's scale must be a number > 0. Got: 0."),
            ({"variance_floor": 0}, ValueError, "variance_floor must be a number > 0. Got: 0."),
            ({"init_cpds": 3}, ValueError, r"init_cpds must be a dict of CPDs, one of \['kmeans\+\+'"),
            (
                {"init_cpds": {"z": LinearGaussianCPD("z", [1.0], 1.0)}},
                ValueError,
                r"init_cpds has CPDs for \['z'\], which the model does not have.",
            ),
            ({"init_cpds": {"a": 3}}, TypeError, r"init_cpds\['a'\] must be a LinearGaussianCPD. Got: int."),
            (
                {"init_cpds": {"b": LinearGaussianCPD("b", [1.0], 1.0)}},
                ValueError,
                r"the CPD of 'b' has the parents \[\] and 1 coefficients, but the model gives it the parents \['a'\]",
            ),
            (
                {"init_cpds": {"a": LinearGaussianCPD("a", [1.0], 0.0)}},
                ValueError,
                r"the CPD of 'a' must have finite coefficients and a standard deviation > 0. Got: \[1.0\] and 0.0.",
            ),
        ],
    )
    def test_arguments(self, settings, error, message):
        with pytest.raises(error, match=message):
            fit(table(20), **settings)

    def test_models_and_latents(self):
        with pytest.raises(TypeError, match=r"must be a pgmpy LinearGaussianBayesianNetwork. Got: DiscreteBayesian"):
            LinearGaussianEM().fit(DiscreteBayesianNetwork(CHAIN), table(20))
        with pytest.raises(ValueError, match="'a' is declared latent, but its column has data"):
            fit(table(20), latents=["a"])
        empty = table(60).assign(f=np.nan)
        edges = [("f", name) for name in "abcd"]
        settings = {"n_init": 2, "tol": 0.1}
        one, other = fit(empty, edges, **settings), fit(empty.drop(columns="f"), edges, latents=["f"], **settings)
        assert one.history_ == other.history_

    def test_a_run_that_is_cut_short_says_so(self):
        with pytest.warns(ConvergenceWarning, match="EM did not converge within max_iter=2 steps"):
            found = fit(table(), max_iter=2)
        assert (found.converged_, found.status_) == (False, "max_iter")
        with pytest.raises(ValueError, match=r"how must be 'mean' or 'sample'. Got: 'mode'."):
            found.impute(table(), "mode")
