"""Whether a fit ends at the highest maximum, and says so where it may not: small problems with known answers."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hard_problems import KINDS
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork

from pgmpy_em_ext import (
    ConditionalGaussianCPD,
    ConditionalGaussianEM,
    ConditionalGaussianNetwork,
    NotReplicatedWarning,
    WeightedEM,
)

STARTS = [None, "kmeans++", "random_from_data", "lines", "random"]


def mixture(columns, card):
    edges = [("k", name) for name in columns]
    edges += [(one, other) for one in columns for other in columns if one < other]
    return ConditionalGaussianNetwork(edges, latents={"k"}), {"latent_card": {"k": card}, "show_progress": False}


def separate_normals(groups):
    """Log-likelihood where each group of values is a component of its own that overlaps no other."""
    n = sum(len(group) for group in groups)
    return sum(len(group) * (np.log(len(group) / n) - np.log(2 * np.pi * np.var(group)) / 2 - 0.5) for group in groups)


class TestSmallMixtures:
    """Components with fewer rows than a regression of their own would need."""

    @pytest.mark.parametrize("start", STARTS)
    def test_two_groups_of_three(self, start):
        groups = [[0, 1, 2], [50, 51, 52]]
        model, settings = mixture("x", 2)
        fit = ConditionalGaussianEM(init_cpds=start, seed=0, **settings)
        fit.fit(model, pd.DataFrame({"x": np.concatenate(groups).astype(float)}))
        assert separate_normals(groups) == pytest.approx(-11.4561, abs=1e-4)
        assert fit.log_likelihood_ == pytest.approx(separate_normals(groups), abs=1e-4)
        assert fit.n_starts_ == 16
        assert fit.replicated_ >= 8

    @pytest.mark.parametrize(("n_groups", "size", "seed"), [(3, 3, 0), (3, 3, 1), (10, 3, 2)])
    def test_groups_that_lie_apart(self, n_groups, size, seed):
        rng = np.random.default_rng(seed)
        groups = 100.0 * np.arange(n_groups)[:, None] + rng.normal(size=(n_groups, size))
        model, settings = mixture("x", n_groups)
        fit = ConditionalGaussianEM(seed=seed, variance_prior=(1.0, 1e-5), **settings)
        fit.fit(model, pd.DataFrame({"x": groups.ravel()}))
        means = np.sort(fit.parameters_[1].beta[:, 0])
        np.testing.assert_allclose(means, groups.mean(axis=1), atol=1e-3)

    def test_three_columns(self):
        """Four rows a component, where a regression on two columns has four numbers to estimate."""
        rng = np.random.default_rng(0)
        table = np.repeat(np.arange(3) * 50.0, 4)[:, None] + rng.normal(size=(12, 3))
        model, settings = mixture("xyz", 3)
        fit = ConditionalGaussianEM(seed=0, variance_prior=(1.0, 1e-3), **settings)
        members = fit.fit(model, pd.DataFrame(table, columns=list("xyz"))).predict_proba(
            pd.DataFrame(table, columns=list("xyz"))
        )["k"]
        assert len(set(members.to_numpy().argmax(axis=1).reshape(3, 4).T[0])) == 3
        assert members.to_numpy().max(axis=1) == pytest.approx(1.0)


class TestEqualComponents:
    """A saddle point to second order only: to split them gains nothing at first."""

    @pytest.mark.parametrize("share", [0.5, 0.3])
    def test_they_are_split(self, share):
        rng = np.random.default_rng(0)
        data = pd.DataFrame({"x": np.concatenate([rng.normal(size=100), rng.normal(size=100) + 4])})
        model, settings = mixture("x", 2)
        equal = {
            "k": TabularCPD("k", 2, [[share], [1 - share]]),
            "x": ConditionalGaussianCPD("x", [[2.0], [2.0]], [2.0, 2.0], [], ["k"], {"k": [0, 1]}),
        }
        fit = ConditionalGaussianEM(init_cpds=equal, n_init=1, **settings).fit(model, data)
        best = ConditionalGaussianEM(seed=0, **settings).fit(model, data)
        assert fit.log_likelihood_ == pytest.approx(best.log_likelihood_, abs=0.01)


class TestMixturesOfRegressions:
    @pytest.mark.parametrize("start", [None, "kmeans++", "lines", "random"])
    def test_five_predictors_in_26_rows(self, start):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(26, 5))
        kind = np.arange(26) % 2
        true = rng.normal(size=(2, 6)) * 3
        y = true[kind, 0] + (x * true[kind, 1:]).sum(1) + rng.normal(size=26) * 0.3
        data = pd.DataFrame(x, columns=[f"x{i}" for i in range(5)]).assign(y=y)
        edges = [("k", "y"), *((f"x{i}", "y") for i in range(5))]
        model = ConditionalGaussianNetwork(edges, latents={"k"})
        fit = ConditionalGaussianEM(init_cpds=start, seed=0, variance_prior=(1, 0.01), show_progress=False)
        assert fit.fit(model, data).objective_ == pytest.approx(-171.3675, abs=1e-3)

    def test_lines_that_cross(self):
        """By values alone the rows of two crossing lines cannot be told apart."""
        rng = np.random.default_rng(0)
        x = rng.uniform(-1, 1, 60)
        kind = np.arange(60) % 2
        data = pd.DataFrame({"x": x, "y": np.where(kind, 3 * x, -3 * x) + rng.normal(size=60) * 0.1})
        model = ConditionalGaussianNetwork([("k", "y"), ("x", "y")], latents={"k"})
        fit = ConditionalGaussianEM(init_cpds="lines", n_init=4, seed=0, show_progress=False).fit(model, data)
        slopes = np.sort(next(cpd for cpd in fit.parameters_ if cpd.variable == "y").beta[:, 1])
        np.testing.assert_allclose(slopes, [-3, 3], atol=0.1)


class TestDoubt:
    """What is said where a higher maximum may have been missed."""

    def fit(self, **settings):
        """Few rows and many parameters: almost every start ends elsewhere."""
        rng = np.random.default_rng(3)
        data = pd.DataFrame(rng.integers(0, 4, (40, 5)), columns=list("ABCDE"))
        model = DiscreteBayesianNetwork([("H", item) for item in "ABCDE"], latents={"H"})
        return WeightedEM(latent_card={"H": 4}, show_progress=False, **settings).fit(model, data)

    def test_found_once(self):
        with pytest.warns(
            NotReplicatedWarning, match=r"only one of 2 starts led to the best objective, -\d+\.\d\d, so"
        ):
            assert self.fit(seed=0, n_init=2).replicated_ == 1

    def test_found_from_around_others_alone_or_among_many(self):
        said = []
        for seed in range(4):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                fit = self.fit(seed=seed)
            said += [str(warning.message) for warning in caught]
            ends = np.sort([record.end for record in fit.restarts_ if record.start != "perturbed"])
            assert fit.replicated_ == (ends > fit.objective_ - 0.1).sum()
        assert any("none of 40 starts led to the best objective" in message for message in said)
        assert all(message.startswith("not replicated: ") for message in said)
        assert len(said) >= 4

    def test_more_starts_settle_it(self):
        """The reserve enters, eight at a time, while few starts led to the best maximum."""
        counts = {self.count(seed) for seed in range(4)}
        assert {16} < counts <= {16, 24, 32, 40}

    def count(self, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.latent_class(seed).n_starts_

    @staticmethod
    def latent_class(seed):
        rng = np.random.default_rng(0)
        shares = rng.dirichlet([0.7] * 3, size=(3, 5))
        latent = rng.integers(0, 3, 60)
        codes = (np.cumsum(shares[latent], axis=2) < rng.random((60, 5, 1))).sum(axis=2)
        model = DiscreteBayesianNetwork([("H", item) for item in "ABCDE"], latents={"H"})
        data = pd.DataFrame(codes, columns=list("ABCDE"))
        return WeightedEM(latent_card={"H": 3}, seed=seed, show_progress=False).fit(model, data)


SOME = {"discrete": [5, 13], "mixture": [1], "mixed": [6]}
MOST = {"discrete": (0.02, 0.02), "mixture": (0.10, 0.02), "mixed": (0.06, 0.02)}
"""Shares that may be missed, and missed without a warning: where we stand. The goal is 0.01 and 0."""

REFERENCE = json.loads((Path(__file__).parent / "best_of_200.json").read_text(encoding="utf-8"))


class TestBestOf200:
    """The default beside the best of 200 plain starts (`benchmarks/best_of_200.py`), on random problems."""

    @pytest.mark.campaign
    @pytest.mark.parametrize("kind", sorted(REFERENCE))
    def test_the_default_finds_it_or_is_not_sure(self, kind, record_testsuite_property):
        missed, sure, n_e_steps = [], [], 0
        for seed, objective in REFERENCE[kind].items():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                fit = KINDS[kind](int(seed)).fit(seed=0)
            n_e_steps += fit.n_e_steps_
            if fit.objective_ < objective - 0.05:
                missed.append((seed, round(objective - fit.objective_, 2)))
                is_doubted = any(issubclass(warning.category, NotReplicatedWarning) for warning in caught)
                sure += [] if is_doubted else [seed]
        n_problems = len(REFERENCE[kind])
        record_testsuite_property(f"{kind}: missed of {n_problems}, without a warning", (missed, sure))
        record_testsuite_property(f"{kind}: E-steps a fit", n_e_steps / n_problems)
        most_missed, most_sure = MOST[kind]
        assert len(missed) <= most_missed * n_problems, missed
        assert len(sure) <= most_sure * n_problems, sure

    @pytest.mark.parametrize("kind", sorted(REFERENCE))
    def test_some(self, kind):
        """Those that earlier releases missed most."""
        for seed in SOME[kind]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit = KINDS[kind](seed).fit(seed=0)
            assert fit.objective_ > REFERENCE[kind][str(seed)] - 0.05
