"""Rows that observe nothing are no part of the sample: what is said of a fit is as if they were not there."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pgmpy.base import DAG
from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork
from test_published import CARCINOMA

from pgmpy_em_ext import ConditionalGaussianEM, Dirichlet, LinearGaussianEM, WeightedEM, select_latent_card
from pgmpy_em_ext.selection.folds import deal_folds

N_EMPTY = 690


def with_empty(table, n_rows=N_EMPTY, seed=0):
    """Shuffle empty rows in among the others."""
    longer = table.reindex(range(len(table) + n_rows))
    return longer.sample(frac=1, random_state=seed).reset_index(drop=True)


def discrete(n_rows=101, seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.integers(0, 2, n_rows)
    table = pd.DataFrame({name: (hidden + (rng.random(n_rows) < 0.2)) % 2 for name in "abcd"}).astype(object)
    return table.mask((rng.random(table.shape) < 0.2) & (np.arange(4) > 0))


def continuous(n_rows=101, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n_rows, 1)) + rng.normal(size=(n_rows, 3)), columns=list("xyz"))
    return table.mask((rng.random(table.shape) < 0.2) & (np.arange(3) > 0))


def mixed(n_rows=101, seed=0):
    return continuous(n_rows, seed).assign(a=discrete(n_rows, seed)["a"])


ITEMS = [("h", name) for name in "abcd"]
CASES = {
    "tables": (WeightedEM, DiscreteBayesianNetwork([("a", "b"), ("a", "c"), ("c", "d")]), discrete()),
    "latent class": (WeightedEM, DiscreteBayesianNetwork(ITEMS, latents={"h"}), discrete()),
    "regressions": (LinearGaussianEM, LinearGaussianBayesianNetwork([("x", "y"), ("y", "z")]), continuous()),
    "factor": (LinearGaussianEM, LinearGaussianBayesianNetwork([("f", name) for name in "xyz"], latents={"f"}), None),
    "mixed": (ConditionalGaussianEM, DAG([("a", "x"), ("a", "y"), ("x", "z"), ("y", "z")]), mixed()),
    "mixture": (ConditionalGaussianEM, DAG([("k", name) for name in "xyz"], latents={"k"}), continuous()),
    "evidence nowhere": (
        WeightedEM,
        DiscreteBayesianNetwork([*ITEMS, ("h", "g"), ("g", "i")], latents={"h", "g", "i"}),
        discrete(),
    ),
}


def fit(estimator, model, table, weight=None, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return estimator(seed=0, show_progress=False, **settings).fit(model, table, weight)


@pytest.mark.parametrize("case", CASES)
class TestTheSameFit:
    def test_to_the_bit(self, case):
        estimator, model, table = CASES[case]
        table = continuous() if table is None else table
        longer = with_empty(table)
        without, found = (fit(estimator, model, data, n_init=2, max_iter=100) for data in (table, longer))
        assert found.history_ == without.history_
        assert found.log_likelihood_ == without.log_likelihood_
        assert (found.aic_, found.bic_, found.gap_) == (without.aic_, without.bic_, without.gap_)
        # rows in another order: sums over them may be rounded otherwise
        assert found.score(longer) == pytest.approx(without.score(table), rel=1e-14)
        np.testing.assert_array_equal(found._vector, without._vector)

    def test_how_many_is_told(self, case):
        estimator, model, table = CASES[case]
        table = continuous() if table is None else table
        weight = np.append(np.full(len(table), 2.0), np.full(N_EMPTY, 0.5))
        weight[-1] = 0
        found = fit(estimator, model, table.reindex(range(len(weight))), weight, n_init=1)
        told = found.reduction_
        assert (told.n_rows, told.n_zero_weight, told.n_empty_rows) == (len(weight), 1, N_EMPTY - 1)
        assert (told.empty_weight, told.total_weight) == ((N_EMPTY - 1) / 2, weight.sum())
        n_columns = table.shape[1]
        assert told.n_missing_cells == table.isna().sum().sum() + n_columns * (N_EMPTY - 1)
        bic = found.n_parameters_ * np.log(2 * len(table)) - 2 * found.log_likelihood_
        assert found.bic_ == pytest.approx(bic, rel=1e-14)

    def test_nothing_but_empty_rows(self, case):
        estimator, model, table = CASES[case]
        table = continuous() if table is None else table
        empty = table.iloc[:3].mask(np.full((3, table.shape[1]), True))
        nothing = fit(estimator, model, empty, n_init=1)
        assert (nothing.log_likelihood_, nothing.gap_) == (0, 0)
        assert np.isfinite([nothing.aic_, nothing.bic_]).all()
        assert (nothing.reduction_.n_empty_rows, nothing.reduction_.n_rows) == (0, 3)
        found = fit(estimator, model, table, n_init=1)
        with pytest.raises(ValueError, match="score is a mean over the rows that have a value of any of the model's"):
            found.score(empty)
        np.testing.assert_array_equal(found.score_samples(empty), np.zeros(3))


class TestWhatElseCounts:
    def test_values_of_other_columns_do_not(self):
        estimator, model, table = CASES["tables"]
        longer = with_empty(table).assign(note="x")
        assert fit(estimator, model, longer).bic_ == fit(estimator, model, table).bic_

    def test_the_summary_of_continuous_variables(self):
        told = fit(*CASES["mixed"]).reduction_
        table = CASES["mixed"][2]
        assert told.n_distinct_rows == len(table.drop_duplicates())
        assert told.n_missing_patterns == len(table.isna().drop_duplicates())
        assert (told.ignored_columns, told.promoted_latents) == ((), ())
        assert told.engine["n_continuous_patterns"] > 0
        promoted = fit(ConditionalGaussianEM, DAG([("k", "x"), ("x", "z")]), continuous().assign(k=None, w=1), n_init=1)
        assert (promoted.reduction_.promoted_latents, promoted.reduction_.ignored_columns) == (("k",), ("y", "w"))

    def test_standard_errors_and_bootstrap_do_not_see_them(self):
        estimator, model, table = CASES["latent class"]
        one, other = (fit(estimator, model, data, prior="K2", n_init=1) for data in (table, with_empty(table)))
        errors = [found.standard_errors().errors["a"].to_numpy() for found in (one, other)]
        np.testing.assert_array_equal(*errors)
        np.testing.assert_array_equal(*(found.bootstrap(n=3, seed=1).draws for found in (one, other)))


class TestSelection:
    """R package poLCA's carcinoma data: three kinds of slides, and 300 more that nobody has judged."""

    slides = CARCINOMA.loc[CARCINOMA.index.repeat(CARCINOMA["n"])].drop(columns="n").reset_index(drop=True)
    model = DiscreteBayesianNetwork([("H", item) for item in slides.columns], latents={"H"})

    def select(self, table, **settings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return select_latent_card(self.model, table, {"H": range(1, 5)}, seed=0, show_progress=False, **settings)

    def test_bic(self):
        found = self.select(with_empty(self.slides, 300), estimator=WeightedEM(n_init=6))
        assert found.best == {"H": 3}
        assert found.table["bic"][2] == pytest.approx(697.1357, abs=0.01)

    def test_held_out(self):
        weak = WeightedEM(prior=Dirichlet(0.1), n_init=2, max_iter=50)
        one = self.select(self.slides, criterion="held_out", estimator=weak, n_folds=3)
        longer = self.slides.reindex(range(len(self.slides) + 300))
        other = self.select(longer, criterion="held_out", estimator=weak, n_folds=3)
        pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)

    def test_folds_that_cannot_be_filled(self):
        with pytest.raises(ValueError, match="n_folds=5 is more than the 3 records that can be held out"):
            self.select(self.slides[:3].reindex(range(9)), criterion="held_out")


@given(
    weight=st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, 12.0]), min_size=1, max_size=12).filter(any),
    n_folds=st.integers(2, 4),
    seed=st.integers(0, 9),
)
def test_rows_of_weight_zero_deal_no_other_folds(weight, n_folds, seed):
    weight = np.array(weight)
    whole = deal_folds(weight, n_folds, np.random.default_rng(seed))
    short = deal_folds(weight[weight > 0], n_folds, np.random.default_rng(seed))
    for one, other in zip(whole, short, strict=True):
        np.testing.assert_array_equal(one[weight > 0], other)
        assert not one[weight == 0].any()
