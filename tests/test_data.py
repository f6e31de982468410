"""The tables that `fit` takes: any type of column, any cell missing, weights, latents, edge shapes."""

import decimal
import logging
import re

import numpy as np
import pandas as pd
import pyarrow
import pytest
from pgmpy.base import DAG
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork

from pgmpy_em_ext import ConditionalGaussianEM, LinearGaussianEM, WeightedEM
from pgmpy_em_ext._tools.labels import match_states

CHAIN = [("A", "B")]


def fit(data, model=None, weight=None, **settings):
    return WeightedEM(seed=0, **settings).fit(model or DiscreteBayesianNetwork(CHAIN), data, weight)


def values(estimator):
    return [cpd.get_values().round(12).tolist() for cpd in estimator.parameters_]


COLUMNS = {
    "object": pd.Series([0, 1, None, 1, 0], dtype=object),
    "object with three kinds of missing": pd.Series([0, 1, pd.NA, 1, 0], dtype=object),
    "float": pd.Series([0.0, 1.0, np.nan, 1.0, 0.0]),
    "nullable integer": pd.Series([0, 1, pd.NA, 1, 0], dtype="Int64"),
    "nullable float": pd.Series([0, 1, pd.NA, 1, 0], dtype="Float64"),
    "nullable boolean": pd.Series([False, True, pd.NA, True, False], dtype="boolean"),
    "boolean object": pd.Series([False, True, None, True, False], dtype=object),
    "text": pd.Series(["0", "1", None, "1", "0"], dtype="str"),
    "nullable text": pd.Series(["0", "1", pd.NA, "1", "0"], dtype="string"),
    "category": pd.Series(["0", "1", None, "1", "0"], dtype="category"),
    "float32": pd.Series([0, 1, np.nan, 1, 0], dtype="float32"),
    "arrow integer": pd.Series([0, 1, None, 1, 0], dtype="int64[pyarrow]"),
    "arrow float": pd.Series([0.0, 1.0, None, 1.0, 0.0], dtype="double[pyarrow]"),
    "arrow boolean": pd.Series([False, True, None, True, False], dtype="bool[pyarrow]"),
    "arrow text": pd.Series(["0", "1", None, "1", "0"], dtype="string[pyarrow]"),
    "ordered category": pd.Series(pd.Categorical([0, 1, None, 1, 0], categories=[0, 1], ordered=True)),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_type_of_column_gives_the_same_fit(kind):
    other = [1, 0, 1, None, 0]
    expected = fit(pd.DataFrame({"A": [0, 1, None, 1, 0], "B": other}))
    found = fit(pd.DataFrame({"A": COLUMNS[kind], "B": other}))
    assert values(found) == values(expected)
    assert found.reduction_.n_missing_cells == 2


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_type_of_column_is_imputed_in_its_own_type(kind):
    data = pd.DataFrame({"A": COLUMNS[kind], "B": [1, 0, 1, None, 0]})
    filled = fit(data).impute(data)
    assert not filled.isna().any(axis=None)
    assert filled["A"].dtype == data["A"].dtype
    pd.testing.assert_series_equal(filled["A"][[0, 1, 3, 4]], data["A"][[0, 1, 3, 4]])
    assert filled["A"][2] in set(data["A"].dropna())


def test_a_nan_beside_the_mark_of_an_arrow_column_is_missing():
    column = pd.Series(pd.arrays.ArrowExtensionArray(pyarrow.array([0.0, 1.0, np.nan, None, 0.0])))
    data = pd.DataFrame({"A": column, "B": [1, 0, 1, 0, 0]})
    found = fit(data)
    assert found.state_names_["A"] == [0, 1]
    assert found.reduction_.n_missing_cells == 2
    filled = found.impute(data)["A"]
    assert set(filled) <= {0.0, 1.0}


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.to_datetime(["2020-01-01", None, "2021-01-01"])),
        pd.Series(pd.cut([1.0, np.nan, 7.0], [0, 5, 10])),
        pd.Series([decimal.Decimal("0.1"), None, decimal.Decimal("0.2")], dtype=object),
        pd.Series([("a", 1), None, ("b", 2)], dtype=object),
    ],
    ids=["datetime", "interval", "decimal", "tuple"],
)
def test_states_of_any_hashable_kind(column):
    data = pd.DataFrame({"A": column, "B": [0, 1, 1]})
    found = fit(data)
    assert found.parameters_[0].variable_card == 2
    assert found.reduction_.n_missing_cells == 1
    assert not found.impute(data)["A"].isna().any()


class TestStateNames:
    @pytest.mark.parametrize("kind", [tuple, np.array, pd.Index, pd.Series, pd.array])
    def test_any_kind_of_list(self, kind):
        found = fit(pd.DataFrame({"A": [1, 2], "B": [0, 1]}), state_names={"A": kind([2, 1, 3])})
        assert found.state_names_["A"] == [2, 1, 3]
        assert [type(state) for state in found.state_names_["A"]] == [int] * 3

    def test_float32_states_are_the_decimals_that_they_show(self):
        data = pd.DataFrame({"A": np.array([0.1, 0.2], dtype="float32"), "B": [0, 1]})
        found = fit(data)
        assert found.state_names_["A"] == [0.1, 0.2]
        assert np.isfinite(found.score(pd.DataFrame({"A": [0.1], "B": [0]})))

    def test_inferred_sorted_and_plain(self):
        found = fit(pd.DataFrame({"A": [2.0, np.nan, 1.0], "B": ["y", "x", None]}))
        assert found.state_names_ == {"A": [1, 2], "B": ["x", "y"]}
        assert [type(state) for state in found.state_names_["A"]] == [int, int]
        assert found.parameters_[1].state_names == {"B": ["x", "y"], "A": [1, 2]}

    def test_floats_match_integers(self):
        found = fit(pd.DataFrame({"A": [1.0, np.nan, 2.0], "B": [0, 0, 1]}), state_names={"A": [1, 2, 3]})
        assert found.parameters_[0].state_names["A"] == [1, 2, 3]
        assert found.parameters_[0].get_values()[2, 0] < 1e-3

    def test_integers_match_the_texts_of_a_bif_file(self):
        model = DiscreteBayesianNetwork(CHAIN)
        model.add_cpds(
            TabularCPD("A", 2, [[0.5], [0.5]], state_names={"A": ["2", "1"]}),
            TabularCPD("B", 2, np.full((2, 2), 0.5), ["A"], [2], state_names={"B": ["no", "yes"], "A": ["2", "1"]}),
        )
        found = fit(pd.DataFrame({"A": [1, 2, 2], "B": ["no", None, "yes"]}), model)
        assert found.state_names_ == {"A": ["2", "1"], "B": ["no", "yes"]}
        assert found.parameters_[0].get_values()[0, 0] == pytest.approx(2 / 3, abs=1e-3)

    def test_texts_match_integers(self):
        found = fit(pd.DataFrame({"A": ["1", "0"], "B": [0, 1]}), state_names={"A": [0, 1]})
        assert found.state_names_["A"] == [0, 1]

    def test_mixed_types_are_sorted_by_type(self):
        found = fit(pd.DataFrame({"A": ["b", 1, "a", 3], "B": [0, 1, 0, 1]}))
        assert found.state_names_["A"] == [1, 3, "a", "b"]

    def test_the_users_come_before_the_models(self):
        model = DiscreteBayesianNetwork(CHAIN)
        model.add_cpds(TabularCPD("A", 2, [[0.5], [0.5]], state_names={"A": ["x", "y"]}))
        found = fit(pd.DataFrame({"A": ["y", "z"], "B": [0, 1]}), model, state_names={"A": ["z", "y"]})
        assert found.state_names_["A"] == ["z", "y"]

    def test_tuples_are_states(self):
        data = pd.DataFrame({"A": [(0, 1), (1, 1), None], "B": [0, 1, 1]})
        found = fit(data)
        assert found.state_names_["A"] == [(0, 1), (1, 1)]
        assert found.impute(data)["A"][2] == (1, 1)
        assert list(found.predict_proba(data)["A"].columns) == [(0, 1), (1, 1)]


ALIKE = {
    "integers and texts": ([1, "1", 2, "2", None, 2], [1, 2], "1 and '1', 2 and '2'"),
    "floats and texts": ([1.0, "1.0", 2.0, "2.0", None, "2.0"], [1, 2], "1 and '1.0', 2 and '2.0'"),
    "whole floats and texts": ([1.0, "1", 2.5, "2.5", None, 2.5], [1, 2.5], "1 and '1', 2.5 and '2.5'"),
    "truth values": ([True, "True", False, "False", None, False], [False, True], "False and 'False', True and 'True'"),
    "scalars of numpy": ([np.int64(1), "1", np.int64(2), "2", None, "2"], [1, 2], "1 and '1', 2 and '2'"),
    "one pair": ([1, "1", "a", "a", None, "a"], [1, "a"], "1 and '1'"),
    "four pairs": ([*[1, 2, 3, 4], *"1234"], [1, 2, 3, 4], "1 and '1', 2 and '2', 3 and '3' and 1 more such pairs"),
}


class TestStatesThatAreWrittenAlike:
    """The number 1 and the text "1" in one column, as `read_csv` makes it of a long file, are one state."""

    @pytest.mark.parametrize("kind", ALIKE)
    def test_are_one_with_a_warning(self, kind):
        cells, states, pairs = ALIKE[kind]
        data = pd.DataFrame({"A": pd.Series(cells, dtype=object), "B": [*"xyxyxyxy"][: len(cells)]})
        with pytest.warns(UserWarning, match=re.escape(f"column 'A' holds {pairs}, which are written alike")) as caught:
            found = fit(data)
        assert caught[0].filename == __file__
        assert found.state_names_["A"] == states
        with pytest.warns(UserWarning, match="written alike"):
            assert values(fit(data.iloc[::-1])) == values(found)
        of_one_type = data.assign(A=[cells[number] if number % 2 == 0 else None for number in range(len(cells))])
        assert found.score_samples(data[::2]).tolist() == found.score_samples(of_one_type[::2]).tolist()

    def test_questions_take_them_for_one(self):
        data = pd.DataFrame({"A": [1, 1, 2, 2], "B": ["x", "x", "y", "y"]})
        mixed = pd.DataFrame({"A": pd.Series([1, "1", "2", None], dtype=object), "B": ["x", "x", "y", "y"]})
        found = fit(data)
        assert found.score_samples(mixed)[:3].tolist() == found.score_samples(data)[:3].tolist()
        assert found.predict_proba(mixed)["A"].to_dict("records") == [{1: pytest.approx(0), 2: pytest.approx(1)}]
        assert found.impute(mixed)["A"].tolist() == [1, "1", "2", "2"]
        hole = pd.DataFrame({"A": pd.Series([1, "1", None], dtype=object), "B": ["x", "x", "x"]})
        assert found.impute(hole)["A"].tolist() == [1, "1", 1]

    def test_declared_states_decide_without_a_warning(self):
        data = pd.DataFrame({"A": pd.Series([1, "1", 2, "2"], dtype=object), "B": [0, 1, 0, 1]})
        assert fit(data, state_names={"A": ["1", "2"]}).parameters_[0].get_values()[0, 0] == pytest.approx(0.5)
        apart = fit(data, state_names={"A": [1, "1", 2, "2"]})
        assert apart.parameters_[0].get_values().ravel() == pytest.approx([0.25] * 4)

    def test_texts_that_differ_are_not_alike(self):
        assert fit(pd.DataFrame({"A": ["1", "1.0", "2"], "B": [0, 1, 0]})).state_names_["A"] == ["1", "1.0", "2"]

    def test_large_integers_stay_apart(self):
        found = fit(pd.DataFrame({"A": pd.Series([2**53, 2**53 + 1], dtype=object), "B": [0, 1]}))
        assert found.state_names_["A"] == [2**53, 2**53 + 1]

    def test_mixed_networks(self):
        rng = np.random.default_rng(0)
        data = pd.DataFrame({"A": pd.Series([1, "1", 2, "2"] * 5, dtype=object), "B": rng.normal(size=20)})
        with pytest.warns(UserWarning, match="column 'A' holds 1 and '1', 2 and '2', which are written alike"):
            found = ConditionalGaussianEM(seed=0).fit(DAG(CHAIN), data)
        assert found.state_names_ == {"A": [1, 2]}
        plain = ConditionalGaussianEM(seed=0, discrete=["A"]).fit(DAG(CHAIN), data.assign(A=data["A"].astype(int)))
        assert found.log_likelihood_ == plain.log_likelihood_
        assert found.score(data) == plain.score(data)

    def test_numbers_and_texts_of_continuous_columns_are_numbers(self):
        rng = np.random.default_rng(0)
        data = pd.DataFrame({"A": rng.normal(size=20), "B": rng.normal(size=20)})
        mixed = data.astype(object)
        mixed.loc[:9, "A"] = mixed["A"][:10].map(repr)
        model = LinearGaussianBayesianNetwork(CHAIN)
        found, plain = (LinearGaussianEM(seed=0).fit(model, table) for table in (mixed, data))
        assert found.log_likelihood_ == plain.log_likelihood_

    @pytest.mark.parametrize("states", [["1", "2"], ["1.0", "2.0"], [1, 2], [1.0, 2.0]])
    @pytest.mark.parametrize("cells", [["1", "2"], ["1.0", "2.0"], [1, 2], [1.0, 2.0]])
    def test_all_ways_of_writing_match(self, states, cells):
        if isinstance(states[0], str) and isinstance(cells[0], str) and states != cells:
            assert match_states(cells, states) == [None, None]
        else:
            assert match_states(cells, states) == [0, 1]


class TestRefitting:
    """A model carries the CPDs of its last fit; they must not stand in the way of the next."""

    data = pd.DataFrame({"X": [0, 1, 1, 0, None], "Y": [0, 1, 1, None, 1]})

    def test_with_another_latent_card(self):
        model = DiscreteBayesianNetwork([("H", "X"), ("H", "Y")], latents={"H"})
        for card in (2, 3, 2):
            model.fit(self.data, estimator=WeightedEM(latent_card={"H": card}, n_init=1, seed=0))
            assert model.get_cpds("H").variable_card == card
        assert model.check_model()

    def test_the_names_of_a_latents_states_stay(self):
        model = DiscreteBayesianNetwork([("H", "X"), ("H", "Y")], latents={"H"})
        model.fit(self.data, estimator=WeightedEM(state_names={"H": ["low", "high"]}, n_init=1, seed=0))
        model.fit(self.data, estimator=WeightedEM(latent_card={"H": 2}, n_init=1, seed=0))
        assert model.get_cpds("H").state_names["H"] == ["low", "high"]

    def test_a_latent_card_of_an_observed_variable_is_noted(self, caplog):
        with caplog.at_level(logging.INFO):
            fit(pd.DataFrame({"A": [0, 1], "B": [0, 1]}), latent_card={"A": 3})
        assert "latent_card names ['A'], which have data: ignored" in caplog.text


class TestLatents:
    model = DiscreteBayesianNetwork([("H", "X"), ("H", "Y")], latents={"H"})
    data = pd.DataFrame({"X": [0, 1, 1, 0, None], "Y": [0, 1, 1, None, 1]})

    def test_two_states_by_default(self):
        found = fit(self.data, self.model)
        assert found.state_names_["H"] == [0, 1]
        assert found.n_starts_ == 16

    def test_cardinality(self):
        found = fit(self.data, self.model, latent_card={"H": 3}, n_init=2)
        assert found.parameters_[0].get_values().shape == (3, 1)

    def test_state_names(self):
        found = fit(self.data, self.model, state_names={"H": ["low", "high"]}, n_init=1)
        assert found.parameters_[0].state_names == {"H": ["low", "high"]}

    def test_cardinality_of_one(self):
        found = fit(self.data, self.model, latent_card={"H": 1})
        assert found.parameters_[0].get_values() == 1

    def test_an_empty_column_makes_a_latent(self, caplog):
        data = self.data.assign(H=None)
        model = DiscreteBayesianNetwork(self.model.edges())
        with caplog.at_level(logging.INFO):
            found = fit(data, model, latent_card={"H": 3})
        assert found.reduction_.promoted_latents == ("H",)
        assert "['H'] are missing in every row: taken as latent variables" in caplog.text
        assert model.latents == set()
        assert values(found) == values(fit(self.data, self.model, latent_card={"H": 3}))

    def test_a_declared_latent_may_have_an_empty_column(self):
        assert fit(self.data.assign(H=np.nan), self.model).reduction_.promoted_latents == ()

    def test_relabelling_the_states_changes_nothing_else(self):
        first = fit(self.data, self.model, tol=1e-8)
        swapped = {}
        for cpd in first.parameters_:
            table = cpd.get_values()
            flipped = table[::-1] if cpd.variable == "H" else table[:, ::-1]
            parents = cpd.variables[1:]
            swapped[cpd.variable] = TabularCPD(cpd.variable, 2, flipped, parents or None, [2] if parents else None)
        second = fit(self.data, self.model, init_cpds=swapped, tol=1e-8)
        assert second.log_likelihood_ == pytest.approx(first.log_likelihood_, abs=1e-7)


class TestShapes:
    def test_one_column(self):
        model = DiscreteBayesianNetwork()
        model.add_node("A")
        found = fit(pd.DataFrame({"A": ["x", None, "y", "y"]}), model)
        np.testing.assert_allclose(found.parameters_[0].get_values().ravel(), [1 / 3, 2 / 3], atol=1e-12)

    def test_one_row(self):
        found = fit(pd.DataFrame({"A": ["x"], "B": ["y"]}))
        assert found.log_likelihood_ == 0
        assert found.n_parameters_ == 0

    def test_one_row_with_a_hole(self):
        found = fit(pd.DataFrame({"A": ["x"], "B": [None]}), state_names={"B": [0, 1]})
        assert [row.variable for row in found.unidentified_rows_] == ["B"]

    def test_nothing_observed_at_all(self):
        found = fit(pd.DataFrame({"A": [None, None], "B": [None, None]}))
        assert found.log_likelihood_ == 0
        assert len(found.unidentified_rows_) == 3

    def test_other_columns_are_ignored_and_said(self, caplog):
        data = pd.DataFrame({"A": [0, 1], "B": [0, 1], "note": ["a", None]})
        with caplog.at_level(logging.INFO):
            found = fit(data)
        assert found.reduction_.ignored_columns == ("note",)
        assert "['note'] are no variables of the model: ignored" in caplog.text
        assert values(found) == values(fit(data[["A", "B"]]))

    def test_a_plain_dag(self):
        data = pd.DataFrame({"A": [0, 1, 1], "B": [0, None, 1]})
        assert values(fit(data, DAG(CHAIN))) == values(fit(data))

    def test_latents_of_a_plain_dag(self):
        data = pd.DataFrame({"B": [0, 1, 1]})
        assert fit(data, DAG(CHAIN, latents={"A"})).state_names_["A"] == [0, 1]

    def test_names_of_any_type(self):
        model = DiscreteBayesianNetwork([(1, "x"), (("t", 2), "x")])
        data = pd.DataFrame([[0, 1, 0], [1, None, 1]], columns=pd.Index([1, ("t", 2), "x"], tupleize_cols=False))
        found = fit(data, model)
        assert found.parameters_[1].variables == ["x", 1, ("t", 2)]

    def test_any_index(self):
        data = pd.DataFrame({"A": [0, 1, None], "B": [0, 1, 1]}, index=["u", "u", "v"])
        found = fit(data)
        assert found.predict_proba(data)["A"].index.tolist() == ["v"]
        assert found.complete(data).index.unique().tolist() == ["u", "v"]
        assert found.impute(data).index.tolist() == ["u", "u", "v"]

    def test_the_data_and_the_model_are_left_alone(self):
        model = DiscreteBayesianNetwork(CHAIN)
        data = pd.DataFrame({"A": [0, 1, None], "B": [0, 1, 1], "C": [1, 2, 3]})
        before = data.copy(deep=True)
        found = fit(data, model)
        pd.testing.assert_frame_equal(data, before)
        assert model.cpds == []
        assert not any(isinstance(value, pd.DataFrame) for value in vars(found).values())


class TestWeights:
    data = pd.DataFrame({"A": [0, 1, None, 1], "B": [0, 1, 1, None]})

    def test_whole_weights_equal_repetition(self):
        weight = [2, 0, 3, 1]
        repeated = self.data.loc[np.repeat(self.data.index, weight)]
        states = {"A": [0, 1], "B": [0, 1]}
        one, other = fit(self.data, weight=weight, state_names=states), fit(repeated, state_names=states)
        assert values(one) == values(other)
        assert one.log_likelihood_ == other.log_likelihood_
        assert one.bic_ == other.bic_

    @pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series])
    def test_any_kind_of_array(self, kind):
        assert fit(self.data, weight=kind([0.5, 1.5, 2, 1])).reduction_.total_weight == 5

    def test_cells_of_zero_weight_rows_do_not_count(self):
        data = pd.DataFrame({"A": [0, 1, "unknown"], "B": [0, 1, 1]})
        found = fit(data, weight=[1, 1, 0])
        assert found.state_names_["A"] == [0, 1]

    def test_weights_that_look_like_shares_are_noted(self, caplog):
        with caplog.at_level(logging.WARNING):
            fit(self.data, weight=[0.01, 0.01, 0.02, 0.01])
        assert "The weights of 4 rows add up to 0.05. Weights are numbers of records" in caplog.text

    @pytest.mark.parametrize(
        "weight",
        [pd.array([1, 2, 3, 4], dtype="Int64"), np.array([1, 2, 3, 4], dtype=object), [True, False, True, True]],
        ids=["nullable", "object", "boolean"],
    )
    def test_any_type_of_number(self, weight):
        assert fit(self.data, weight=weight).reduction_.total_weight == sum(weight)

    @pytest.mark.parametrize("largest", [2.0**53 / 4, 1e15])
    def test_as_many_records_as_can_be_counted(self, largest):
        found, plain = fit(self.data, weight=[largest] * 4), fit(self.data)
        assert found.status_ == "converged"
        assert found.log_likelihood_ / largest == pytest.approx(plain.log_likelihood_, rel=1e-3)
        replicates = found.bootstrap(3, seed=0)
        assert np.isfinite(replicates.values("A")).all()

    def test_zero_weight_rows_are_counted(self):
        found = fit(self.data, weight=[1, 0, 1, 1])
        assert found.reduction_.n_zero_weight == 1
        assert found.reduction_.n_rows == 4

    def test_scaling_the_weights_scales_the_log_likelihood(self):
        one, other = fit(self.data, tol=1e-10), fit(self.data, weight=np.full(4, 7.0), tol=1e-10)
        assert other.log_likelihood_ == pytest.approx(7 * one.log_likelihood_, rel=1e-9)

    def test_through_the_models_fit(self):
        model = DiscreteBayesianNetwork(CHAIN)
        estimator = WeightedEM()
        model.fit(self.data, estimator=estimator, sample_weight=[1, 2, 3, 4])
        assert estimator.reduction_.total_weight == 10


def test_reduction_accounts_for_everything():
    data = pd.DataFrame({"A": [0, 0, None, None, 1], "B": [1, 1, 0, 0, None], "C": 1})
    found = fit(data, weight=[1, 1, 1, 1, 0])
    reduction = found.reduction_
    assert reduction[:8] == (5, 1, 0, 0, 4.0, 2, 2, 2)
    assert reduction.engine == {"n_local_problems": 1, "n_elimination_steps": 1, "n_table_cells": 1}
