"""Questions about rows after the fit, against the full joint."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pgmpy.models import DiscreteBayesianNetwork
from problems import brute_force, cases, to_frame, to_pgmpy
from sklearn.exceptions import ConvergenceWarning

from pgmpy_em_ext import EnumerationEStep, ExactEStep, WeightedEM
from pgmpy_em_ext.e_step.enumeration import enumerate_completions, weigh_completions
from pgmpy_em_ext.e_step.exact import compile as compile_module


def fitted(case, **settings):
    """An estimator whose fitted parameters are the case's own."""
    model = to_pgmpy(case.network, case.parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter=0
        warnings.filterwarnings("ignore", "the fit has ended on a saddle point")  # a column may be missing throughout
        return WeightedEM(init_cpds="model", max_iter=0, **settings).fit(model, to_frame(case.network, case.codes))


@given(case=cases(), batch_size=st.integers(1, 5))
def test_score_samples(case, batch_size):
    estimator = fitted(case, batch_size=batch_size)
    found = estimator.score_samples(to_frame(case.network, case.codes))
    for row in range(len(case.codes)):
        single = case._replace(codes=case.codes[[row]], weight=np.ones(1))
        assert found[row] == pytest.approx(brute_force(single)[1], rel=1e-10, abs=1e-10)


@given(case=cases(), batch_size=st.integers(1, 5))
def test_score_is_the_weighted_mean(case, batch_size):
    estimator = fitted(case, batch_size=batch_size)
    table, observed = to_frame(case.network, case.codes), (case.codes >= 0).any(axis=1)
    if not observed.any():
        with pytest.raises(ValueError, match="score is a mean over the rows that have a value"):
            estimator.score(table, case.weight)
        return
    found = estimator.score(table, case.weight)
    assert found == pytest.approx(brute_force(case)[1] / case.weight[observed].sum(), rel=1e-10, abs=1e-10)


@given(case=cases(), batch_size=st.integers(1, 5))
def test_predict_proba(case, batch_size):
    estimator = fitted(case, batch_size=batch_size)
    found = estimator.predict_proba(to_frame(case.network, case.codes))
    completions = enumerate_completions(case.network, case.codes)
    posterior, _ = weigh_completions(case.network, case.parameters, completions, len(case.codes))
    assert set(found) == {case.network.names[node] for node in np.flatnonzero((case.codes < 0).any(axis=0))}
    for name, frame in found.items():
        node = case.network.index[name]
        expected = np.zeros((len(case.codes), case.network.cardinalities[node]))
        np.add.at(expected, (completions.row, completions.codes[:, node]), posterior)
        missing = np.flatnonzero(case.codes[:, node] < 0)
        assert frame.index.tolist() == missing.tolist()
        assert frame.columns.tolist() == list(case.network.state_names[node])
        np.testing.assert_allclose(frame.to_numpy(), expected[missing], rtol=1e-10, atol=1e-12)


@given(case=cases(max_nodes=4))
def test_expected_counts_are_the_weighted_completions_counted(case):
    estimator = fitted(case)
    data = to_frame(case.network, case.codes)
    counts, completed = estimator.expected_counts(data, case.weight), estimator.complete(data, case.weight)
    assert (completed["_weight"] > 0).all()
    np.testing.assert_allclose(completed["_weight"].groupby(completed.index).sum(), case.weight)
    expected, _ = brute_force(case)
    for node, name in enumerate(case.network.names):
        table = case.network.block(expected, node).reshape(-1, case.network.cardinalities[node]).T
        np.testing.assert_allclose(counts[name].to_numpy(), table, rtol=1e-10, atol=1e-10)
        for state, row in counts[name].iterrows():
            total = completed.loc[completed[name] == state, "_weight"].sum()
            assert total == pytest.approx(row.sum(), rel=1e-9, abs=1e-9)


@given(case=cases())
def test_imputing_modes(case):
    estimator = fitted(case)
    data = to_frame(case.network, case.codes)
    filled = estimator.impute(data)
    for name, frame in estimator.predict_proba(data).items():
        assert filled.loc[frame.index, name].tolist() == frame.idxmax(axis=1).tolist()
    for name in data.columns:
        observed = data[name].notna()
        assert filled.loc[observed, name].tolist() == data.loc[observed, name].tolist()


@given(case=cases(), seed=st.integers(0, 9))
def test_draws_have_positive_probability_and_do_not_depend_on_batches(case, seed):
    data = to_frame(case.network, case.codes)
    one = fitted(case, batch_size=3).impute(data, how="sample", seed=seed)
    other = fitted(case).impute(data, how="sample", seed=seed)
    pd.testing.assert_frame_equal(one, other)
    assert not one.isna().any(axis=None)
    assert np.isfinite(fitted(case).score_samples(one)).all()


class TestDraws:
    """Joint draws, not cell by cell: two missing copies of one cause agree."""

    @pytest.fixture
    def estimator(self):
        rng = np.random.default_rng(0)
        first = rng.integers(0, 2, 500)
        data = pd.DataFrame({"A": first, "B": (first + (rng.random(500) < 0.1)) % 2, "C": first})
        return WeightedEM(seed=1).fit(DiscreteBayesianNetwork([("A", "B"), ("A", "C")]), data)

    def test_frequencies(self, estimator):
        empty = pd.DataFrame({"A": [None] * 20_000, "B": [None] * 20_000, "C": [None] * 20_000})
        drawn = estimator.impute(empty, how="sample", seed=0)
        completed = estimator.complete(empty.iloc[:1]).set_index(["A", "B", "C"])["_weight"]
        found = drawn.value_counts(normalize=True)
        for states, probability in completed.items():
            error = 4 * np.sqrt(probability * (1 - probability) / 20_000)
            assert found[states] == pytest.approx(probability, abs=error)
        assert (drawn["A"] == drawn["C"]).all()

    def test_seeds(self, estimator):
        data = pd.DataFrame({"A": [None] * 50, "B": [1] * 50, "C": [None] * 50})
        by_default = estimator.impute(data, how="sample")
        pd.testing.assert_frame_equal(by_default, estimator.impute(data, how="sample", seed=1))
        assert not by_default.equals(estimator.impute(data, how="sample", seed=2))


def test_columns_may_be_absent(caplog):
    data = pd.DataFrame({"A": [0, 1, 1], "B": [0, 1, 0]})
    estimator = WeightedEM().fit(DiscreteBayesianNetwork([("A", "B")]), data)
    with caplog.at_level("INFO"):
        found = estimator.predict_proba(data[["B"]])
    assert "The variables ['A'] have no column: taken as unobserved" in caplog.text
    np.testing.assert_allclose(found["A"].loc[0], [0.5, 0.5])
    assert estimator.impute(data[["B"]]).columns.tolist() == ["B"]


def test_a_batch_over_the_budget_is_halved(monkeypatch):
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.integers(0, 2, (300, 3)), columns=list("ABC"), dtype=object).mask(
        rng.random((300, 3)) < 0.5
    )
    model = DiscreteBayesianNetwork([("A", "B"), ("B", "C")])
    expected = WeightedEM().fit(model, data).impute(data, how="sample", seed=0)
    estimator = WeightedEM(e_step=ExactEStep(memory_budget=50_000)).fit(model, data)
    sweeps = []
    original = compile_module.Compiler.run
    monkeypatch.setattr(compile_module.Compiler, "run", lambda self: sweeps.append(1) or original(self))
    pd.testing.assert_frame_equal(estimator.impute(data, how="sample", seed=0), expected)
    assert len(sweeps) >= 3


def test_the_engine_of_the_fit_does_not_matter():
    data = pd.DataFrame({"A": [0, 1, None, 1], "B": [0, None, 1, 1]})
    model = DiscreteBayesianNetwork([("A", "B")])
    one = WeightedEM(tol=1e-9).fit(model, data)
    other = WeightedEM(tol=1e-9, e_step=EnumerationEStep()).fit(model, data)
    assert one.score(data) == pytest.approx(other.score(data), abs=1e-8)
