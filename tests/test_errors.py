"""Bad input: one error, before any work, that names what is wrong and what to do."""

import re

import networkx as nx
import numpy as np
import pandas as pd
import pyarrow
import pytest
from pgmpy.base import DAG
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork
from pgmpy.parameter_estimator import DiscreteBayesianEstimator, DiscreteEM, DiscreteMLE

from pgmpy_em_ext import (
    BDeu,
    ConditionalGaussianEM,
    Dirichlet,
    EnumerationEStep,
    EStep,
    ExactEStep,
    ExpectedStatistics,
    ImpossibleEvidenceError,
    Initializer,
    LinearGaussianEM,
    MemoryBudgetError,
    Prior,
    WeightedEM,
)
from pgmpy_em_ext.e_step.exact import packed
from pgmpy_em_ext.start.initializer import NearestNeighborStart

DATA = pd.DataFrame({"A": [0, 1, 1, None], "B": [0, 1, None, 1]})
NAMES = {"A": [0, 1], "B": [0, 1]}


@pytest.fixture(autouse=True)
def _no_work(monkeypatch, request):
    """No E-step may run before the error, unless the test is about the E-step itself."""
    if "inference" in request.keywords:
        return

    def refuse(*_):
        raise AssertionError("an E-step was prepared before the input was checked")

    monkeypatch.setattr(ExactEStep, "prepare", refuse)


def chain(latents=()):
    return DiscreteBayesianNetwork([("A", "B")], latents=set(latents))


def cpd(variable, values, parents=(), states=None):
    cards = [len(values[0]) if len(parents) == 1 else 2 for _ in parents]
    return TabularCPD(variable, len(values), values, list(parents) or None, cards or None, state_names=states or {})


def refuse(message, error=ValueError, *, model=None, data=DATA, weight=None, **settings):
    with pytest.raises(error, match=message):
        WeightedEM(**settings).fit(chain() if model is None else model, data, weight)


class TestModel:
    def test_empty(self):
        refuse("the model has no nodes; add at least one", model=DiscreteBayesianNetwork())

    def test_cyclic(self):
        model = chain()
        nx.DiGraph.add_edge(model, "B", "A")
        refuse(r"the model has a cycle through \['A', 'B'\].*Remove an edge", model=model)

    @pytest.mark.parametrize(
        "model", ["A -> B", None, nx.DiGraph([("A", "B")]), LinearGaussianBayesianNetwork([("A", "B")])]
    )
    def test_other_kind(self, model):
        with pytest.raises(TypeError, match=r"model must be a pgmpy DiscreteBayesianNetwork or DAG. Got: "):
            WeightedEM().fit(model, DATA)

    def test_a_node_without_a_column(self):
        refuse(
            r"node 'B' has no column in the data and is not latent.*model.latents = \{\.\.\., 'B'\}", data=DATA[["A"]]
        )

    def test_a_cpd_that_no_memory_holds(self):
        parents = [f"P{number}" for number in range(70)]
        model = DiscreteBayesianNetwork([(parent, "A") for parent in parents])
        data = pd.DataFrame(np.zeros((2, 71), dtype=int), columns=[*parents, "A"])
        states = {name: [0, 1] for name in [*parents, "A"]}
        message = r"the CPD of 'A' given \['P0', .* has 2,361,183,241,434,822,606,848 entries, more than the 16,777,216"
        refuse(message, MemoryBudgetError, model=model, data=data, state_names=states)

    @pytest.mark.inference
    @pytest.mark.parametrize("n_parents", [61, 62])
    def test_many_parents_of_one_state_are_fine(self, n_parents):
        model, data = self.with_parents(n_parents)
        found = WeightedEM(n_init=1, seed=0).fit(model, data)
        assert found.log_likelihood_ == pytest.approx(2 * np.log(2 / 3) + np.log(1 / 3), abs=1e-3)

    def test_too_many_parents(self):
        model, data = self.with_parents(63)
        refuse("'A' has 63 parents, more than the 62 that are supported", MemoryBudgetError, model=model, data=data)

    @staticmethod
    def with_parents(n_parents):
        parents = [f"P{number}" for number in range(n_parents)]
        model = DiscreteBayesianNetwork([(parent, "A") for parent in parents])
        data = pd.DataFrame(np.zeros((4, n_parents + 1)), columns=[*parents, "A"])
        return model, data.assign(A=[0, 0, 1, None])

    def test_a_node_of_a_dag_without_a_column(self):
        refuse("node 'B' has no column", model=DAG([("A", "B")]), data=DATA[["A"]])


class TestData:
    @pytest.mark.parametrize(
        ("data", "got"),
        [
            ([[0, 1]], "list. Convert it: pandas.DataFrame(data, columns=[...])."),
            ({"A": [0]}, "dict. Convert it: pandas.DataFrame(data, columns=[...])."),
            (np.zeros((2, 2)), "numpy.ndarray. Convert it: pandas.DataFrame(data, columns=[...])."),
            (None, "NoneType. Convert it: pandas.DataFrame(data, columns=[...])."),
            (pyarrow.table({"A": [0]}), "pyarrow.lib.Table. Convert it: data.to_pandas()."),
        ],
    )
    def test_not_a_table(self, data, got):
        message = re.escape(f"data must be a pandas DataFrame. Got: {got}")
        refuse(message, TypeError, data=data)
        with pytest.raises(TypeError, match=message):
            LinearGaussianEM().fit(LinearGaussianBayesianNetwork([("A", "B")]), data)
        with pytest.raises(TypeError, match=message):
            ConditionalGaussianEM().fit(chain(), data)

    def test_another_librarys_data_frame(self):
        class DataFrame:  # as polars has it
            def to_pandas(self):
                return DATA

        DataFrame.__module__, DataFrame.__qualname__ = "polars.dataframe.frame", "DataFrame"
        message = re.escape("Got: polars.dataframe.frame.DataFrame. Convert it: data.to_pandas().")
        refuse(message, TypeError, data=DataFrame())

    def test_no_rows(self):
        refuse("data has no rows; at least one is needed", data=DATA.iloc[:0])

    def test_none_of_the_columns_is_a_variable(self):
        data = DATA.rename(columns=str.lower)
        refuse(r"none of the data's columns \['a', 'b'\] is a variable of the model. Known: \['A', 'B'\]", data=data)

    def test_duplicated_columns(self):
        data = pd.concat([DATA, DATA[["B"]]], axis=1)
        refuse(r"data has several columns named \['B'\]; keep one", data=data)

    def test_columns_of_several_levels_have_no_single_names(self):
        data = DATA.set_axis(pd.MultiIndex.from_product([["A", "B"], ["x"]])[:2], axis=1)
        refuse(r"none of the data's columns \[\('A', 'x'\), \('B', 'x'\)\] is a variable", data=data)

    def test_unhashable_cell_in_an_arrow_column(self):
        lists = pd.Series([[0], [1], [0]], dtype=pd.ArrowDtype(pyarrow.list_(pyarrow.int64())))
        refuse("column 'A', row 0 .* not hashable", data=pd.DataFrame({"A": lists, "B": [0, 1, 1]}))

    def test_unhashable_cell(self):
        data = pd.DataFrame({"A": pd.Series([0, [1, 2], 1], dtype=object), "B": [0, 1, 1]})
        refuse(r"column 'A', row 1 \(counting from 0\): \[1, 2\] cannot be a state.*not hashable", data=data)

    @pytest.mark.parametrize("given", [frozenset({1, 2}), {1, 2}])
    def test_a_set_in_a_cell(self, given):
        data = pd.DataFrame({"A": pd.Series([0, given, 1], dtype=object), "B": [0, 1, 1]})
        why = "a set" if isinstance(given, frozenset) else "not hashable"
        message = re.escape(f"column 'A', row 1 (counting from 0): {given!r} cannot be a state, since it is {why}.")
        refuse(message, data=data)
        refuse(message, data=data.set_axis([7, 7, 7]))
        with pytest.raises(ValueError, match=message):
            ConditionalGaussianEM().fit(chain(), data)
        numbers = re.escape(f"column 'A' must hold numbers. Got: {given!r} in row 1 (counting from 0).")
        with pytest.raises(TypeError, match=numbers):
            LinearGaussianEM().fit(LinearGaussianBayesianNetwork([("A", "B")]), data)
        model = chain()
        model.add_cpds(cpd("A", [[0.5], [0.5]]), cpd("B", [[0.5, 0.4], [0.5, 0.6]], ["A"]))
        for ask in ("score", "score_samples", "predict_proba", "impute", "complete", "expected_counts"):
            with pytest.raises(ValueError, match=message):
                getattr(WeightedEM.from_model(model), ask)(data)

    def test_a_state_that_state_names_lacks(self):
        data = DATA.assign(B=["no", "yes", None, "maybe"])
        refuse(
            r"column 'B', row 3 \(counting from 0\): the state 'maybe' is not among \['no', 'yes'\], the states of 'B' "
            r"by state_names\. Correct the cell, make it missing, or declare the state with state_names=",
            data=data,
            state_names={"B": ["no", "yes"]},
        )

    def test_a_state_that_the_model_lacks(self):
        model = chain()
        model.add_cpds(cpd("A", [[0.5], [0.5]], states={"A": ["x", "y"]}))
        refuse("column 'A', row 0 .* the state 0 is not among .*'x', 'y'.* by the model's CPDs", model=model)

    def test_a_latent_that_has_data(self):
        refuse("'A' is declared latent, but its column has data.*model.latents", model=chain(["A"]))


class TestWeights:
    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            ([1, 2, 3], r"one number for each of the 4 rows. Got: an array of shape \(3,\)"),
            ([[1, 2, 3, 4]], r"Got: an array of shape \(1, 4\)"),
            (2.0, r"Got: an array of shape \(\)"),
            ([1, 2, -3, 4], r"finite and >= 0. Got: -3.0 in row 2 \(counting from 0\)"),
            ([1, np.nan, 3, 4], r"finite and >= 0. Got: nan in row 1 \(counting from 0\)"),
            ([1, 2, 3, np.inf], r"finite and >= 0. Got: inf in row 3 \(counting from 0\)"),
            ([0, 0, 0, 0], "zero for every row; at least one must be positive"),
            (["a", "b", "c", "d"], "sample_weight must be real numbers that a float can hold, one for each row"),
            ([1e308] * 4, r"sample_weight adds up to inf records, more than the 9,007,199,254,740,992 that double"),
            ([1e30] * 4, r"adds up to 4e\+30 records, more than .* can count. Divide all weights by a constant"),
            ([1e160] * 4, r"adds up to 4e\+160 records, more than the 9,007,199,254,740,992"),
            ([2.0**61] * 4, r"adds up to 9.22337e\+18 records, more than the 9,007,199,254,740,992"),
            ([1, 2, 3, 10**400], "sample_weight must be real numbers that a float can hold, one for each row"),
            ([1, 2, 3, 4j], "sample_weight must be real numbers that a float can hold, one for each row"),
            (np.array([1, 2, 3, 4 + 0j]), "sample_weight must be real numbers that a float can hold, one for each row"),
            (pd.Series([1, 2, 3, 4], index=[3, 2, 1, 0]), "the data's index in another order.*sample_weight.loc"),
        ],
    )
    def test_weights(self, weight, message):
        refuse(message, weight=weight)
        with pytest.raises(ValueError, match=message):
            LinearGaussianEM().fit(LinearGaussianBayesianNetwork([("A", "B")]), DATA, weight)
        with pytest.raises(ValueError, match=message):
            ConditionalGaussianEM().fit(chain(), DATA, weight)

    def test_a_series_with_an_unrelated_index_goes_by_position(self):
        weight = pd.Series([1, 2, 3, 4], index=list("uvwx"))
        with pytest.raises(AssertionError, match="an E-step was prepared"):
            WeightedEM().fit(chain(), DATA, weight)


class TestStates:
    @pytest.mark.parametrize("card", [0, -1, 1.5, "2", True, None])
    def test_latent_card(self, card):
        refuse(
            "latent_card of 'A' must be an integer >= 1. Got: ",
            model=chain(["A"]),
            data=DATA[["B"]],
            latent_card={"A": card},
        )

    def test_latent_card_of_an_unknown_variable(self):
        refuse(r"latent_card names \['Z'\], which the model does not have. Known: \['A', 'B'\]", latent_card={"Z": 3})

    def test_latent_card_in_conflict_with_state_names(self):
        refuse(
            "latent_card says 3 states for 'A', but 2 come from state_names: .*Make them agree",
            model=chain(["A"]),
            data=DATA[["B"]],
            latent_card={"A": 3},
            state_names={"A": ["u", "v"]},
        )

    def test_latent_card_in_conflict_with_a_given_cpd(self):
        refuse(
            "latent_card says 3 states for 'A', but 2 come from init_cpds",
            model=chain(["A"]),
            data=DATA[["B"]],
            latent_card={"A": 3},
            init_cpds={"A": cpd("A", [[0.5], [0.5]])},
        )

    def test_latent_card_in_conflict_with_the_models_cpds_as_start(self):
        model = chain(["A"])
        model.add_cpds(cpd("A", [[0.5], [0.5]]), cpd("B", [[0.5, 0.4], [0.5, 0.6]], ["A"]))
        refuse(
            "the model: the CPD of 'A' has shape .* with 2 states of 'A'; there are 3",
            model=model,
            data=DATA[["B"]],
            latent_card={"A": 3},
            init_cpds="model",
        )

    @pytest.mark.parametrize("argument", ["state_names", "latent_card"])
    def test_kind(self, argument):
        refuse(f"{argument} must be a dict, or None. Got: list", TypeError, **{argument: ["A"]})

    @pytest.mark.parametrize("states", [[], "yes", 2, {0, 1}, np.array([])])
    def test_no_list(self, states):
        refuse("the states of 'A' by state_names must be a non-empty list", state_names={"A": states})

    def test_repeated(self):
        refuse(r"the states of 'A' by state_names must differ. Got: \[0, 1, 1\]", state_names={"A": [0, 1, 1]})

    @pytest.mark.parametrize("states", [[[0], [1]], [frozenset({0}), 1]])
    def test_no_states(self, states):
        refuse(r"the states of 'A' by state_names must be texts, numbers or tuples", state_names={"A": states})

    @pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
    def test_missing_is_no_state(self, missing):
        refuse("the states of 'A' by state_names hold a missing value", state_names={"A": [0, 1, missing]})


class TestGivenCPDs:
    def test_unknown_variable(self):
        refuse("init_cpds has a CPD for 'Z', which the model does not have. Known:", init_cpds={"Z": cpd("Z", [[1.0]])})

    def test_not_a_cpd(self):
        refuse(r"init_cpds\['A'\] must be a TabularCPD. Got: list", TypeError, init_cpds={"A": [0.5, 0.5]})

    def test_under_another_name(self):
        refuse(
            r"init_cpds\['B'\] is the CPD of 'A'; put it under its own name", init_cpds={"B": cpd("A", [[0.5], [0.5]])}
        )

    def test_wrong_parents(self):
        refuse(
            r"init_cpds: the CPD of 'B' has the parents \[\], but the model gives it \['A'\]",
            init_cpds={"B": cpd("B", [[0.5], [0.5]])},
        )

    def test_wrong_shape(self):
        refuse(
            r"init_cpds: the CPD of 'B' has shape \(2, 3\), with 3 states of 'A'; there are 2: \[0, 1\]",
            init_cpds={"B": cpd("B", [[0.5] * 3, [0.5] * 3], ["A"], {"A": [0, 1, 2], "B": [0, 1]})},
            state_names=NAMES,
        )

    def test_wrong_states(self):
        refuse(
            r"init_cpds: the CPD of 'A' names the states \['u', 'v'\] of 'A'; they must be \[0, 1\]",
            init_cpds={"A": cpd("A", [[0.5], [0.5]], states={"A": ["u", "v"]})},
            state_names=NAMES,
        )

    def test_columns_that_do_not_sum_to_one(self):
        refuse(
            "init_cpds: a column of the CPD of 'B' sums to 1.1; every column must sum to 1",
            init_cpds={"B": cpd("B", [[0.5, 0.6], [0.5, 0.5]], ["A"])},
        )

    def test_nan(self):
        refuse(
            "init_cpds: the CPD of 'A' has an entry that is NaN, infinite or negative",
            init_cpds={"A": cpd("A", [[np.nan], [0.5]])},
        )

    def test_the_models_cpds_are_incomplete(self):
        model = chain()
        model.add_cpds(cpd("A", [[0.5], [0.5]]))
        refuse(r"init_cpds='model' needs a CPD of every variable.*\['B'\] have none", model=model, init_cpds="model")

    def test_fixed_but_unknown(self):
        refuse("fixed_cpds names 'Z', which the model does not have", fixed_cpds=["Z"])

    def test_fixed_without_a_cpd(self):
        refuse("fixed_cpds names 'A', but neither init_cpds nor the model has its CPD", fixed_cpds=["A"])

    def test_fixed_names_that_cannot_be_variables(self):
        refuse(r"fixed_cpds names \['A'\], which cannot be a variable", TypeError, fixed_cpds=[["A"]])

    @pytest.mark.parametrize("given", ["A", 3])
    def test_fixed_of_another_kind(self, given):
        refuse("fixed_cpds must be a dict of TabularCPDs, a list of variables, or None", TypeError, fixed_cpds=given)

    def test_fixed_with_a_wrong_sum(self):
        refuse("fixed_cpds: a column of the CPD of 'A' sums to 0.8", fixed_cpds={"A": cpd("A", [[0.4], [0.4]])})


class TestNames:
    def test_strategy(self):
        refuse(
            r"init_cpds 'guess' is unknown. Known: \['available_case', 'complete_case', 'marginal_mode', 'model', "
            r"'near_uniform', 'nearest_neighbor', 'prior', 'random', 'uniform'\]",
            init_cpds="guess",
        )

    def test_strategy_of_another_kind(self):
        refuse("init_cpds must be one of .* or a class or instance of Initializer. Got: int", TypeError, init_cpds=3)

    def test_engine(self):
        refuse(
            r"e_step 'gibbs' is unknown. Known: \['approx_inference', 'auto', 'belief_propagation', 'enumeration', "
            r"'exact', 'likelihood_weighting', 'sampled', 'variable_elimination'\]",
            e_step="gibbs",
        )

    def test_engine_of_another_kind(self):
        refuse("e_step must be one of .* Got: NoneType", TypeError, e_step=None)

    def test_prior(self):
        refuse(r"prior 'jeffreys' is unknown. Known: \['BDeu', 'Dirichlet', 'K2'\]", prior="jeffreys")

    def test_acceleration(self):
        refuse(r"acceleration must be one of \['auto', 'squarem', 'lbfgs', None\]. Got: 'turbo'", acceleration="turbo")


class TestPartsOfOnesOwn:
    def test_an_engine_without_methods(self):
        class Hollow(EStep):
            """Defines nothing."""

        refuse("e_step: Hollow does not define expected_statistics", TypeError, e_step=Hollow)
        refuse("e_step: EStep does not define expected_statistics", TypeError, e_step=EStep)

    def test_a_prior_that_returns_no_counts(self):
        class Negative(Prior):
            """Takes counts away."""

            def resolve(self, network):
                return np.full(network.n_cells, -1.0)

        refuse("Negative.resolve must return 6 numbers >= 0.*smallest -1.0", prior=Negative())

    @pytest.mark.inference
    @pytest.mark.parametrize(
        ("counts", "log_likelihood", "message"),
        [(np.ones(2), -1.0, r"must return 6 counts and a number. Got: shape \(2,\)"), (np.ones(6), np.nan, "nan")],
    )
    def test_an_engine_that_returns_no_statistics(self, counts, log_likelihood, message):
        class Wrong(ExactEStep):
            """Returns what it is told."""

            def expected_statistics(self, plan, parameters):
                return ExpectedStatistics(counts, log_likelihood)

        refuse(message, e_step=Wrong())


class TestStartsOfOnesOwn:
    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            (np.ones(3), r"Wrong.start must return shape \(6,\). Got: \(3,\)"),
            (np.full(6, 0.6), "Wrong.start must return numbers >= 0 of which every CPD column sums to 1. Got: .* 1.2"),
            (np.array([2.0, -1, 0.5, 0.5, 0.5, 0.5]), "or a number below zero"),
            (np.full(6, np.nan), "a column that sums to nan"),
        ],
    )
    def test_no_distribution(self, returned, message):
        class Wrong(Initializer):
            """Returns what it is told."""

            def start(self, context):
                return returned

        refuse(message, init_cpds=Wrong())


class TestPriors:
    @pytest.mark.parametrize("value", [-1, np.nan, np.inf, "x", True])
    def test_pseudo_counts(self, value):
        refuse("pseudo_counts must be a finite number >= 0. Got: ", prior=Dirichlet(value))

    def test_pseudo_counts_of_a_variable(self):
        refuse("pseudo_counts of 'A' must be a finite number >= 0. Got: -2", prior={"A": -2})

    @pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
    def test_pseudo_counts_in_a_table(self, value):
        refuse(f"pseudo_counts of 'A' must be finite numbers >= 0. Got: {value}.", prior={"A": [[1], [value]]})

    def test_pseudo_counts_that_overflow(self):
        refuse("the prior's pseudo counts add up to more than a number can hold", prior=Dirichlet(1e308))

    def test_shape(self):
        refuse(
            r"pseudo_counts of 'B' must have shape \(2, 2\): a row for each state, .* Got: \(2, 1\)",
            prior={"B": [[1], [1]]},
        )

    def test_no_numbers(self):
        refuse(r"pseudo_counts of 'B' must be numbers in an array of shape \(2, 2\)", prior={"B": [["x"]]})

    def test_unknown_variable(self):
        refuse(r"pseudo_counts names \['Z'\], which the model does not have", prior={"Z": 1})

    def test_sample_size(self):
        refuse("equivalent_sample_size of 'A' must be a finite number >= 0. Got: -5", prior=BDeu(-5))

    def test_sample_size_of_an_unknown_variable(self):
        refuse(r"equivalent_sample_size names \['Z'\]", prior=BDeu({"Z": 5}))

    def test_prior_and_m_step_estimator(self):
        refuse("prior and m_step_estimator both say what to add", prior="K2", m_step_estimator=DiscreteMLE())

    @pytest.mark.parametrize("estimator", [DiscreteEM(), DiscreteMLE, "MLE"])
    def test_m_step_estimator_of_another_kind(self, estimator):
        refuse("m_step_estimator must be an instance of pgmpy's DiscreteMLE or", TypeError, m_step_estimator=estimator)

    def test_m_step_estimator_with_an_unknown_prior(self):
        estimator = DiscreteBayesianEstimator(prior_type="flat")
        refuse("m_step_estimator has prior_type 'flat'. Known: ", m_step_estimator=estimator)


class TestNumbers:
    @pytest.mark.parametrize(
        ("settings", "message", "error"),
        [
            ({"tol": -1}, "tol must be a number >= 0. Got: -1.", ValueError),
            ({"tol": np.nan}, "tol must be a number >= 0. Got: nan.", ValueError),
            ({"tol": "small"}, "tol must be a number >= 0. Got: 'small'.", TypeError),
            ({"tol": None}, "tol must be a number >= 0. Got: None.", TypeError),
            ({"atol": -1}, "atol must be a number >= 0, or None. Got: -1.", ValueError),
            ({"max_time": 0}, "max_time must be a number > 0, or None. Got: 0.", ValueError),
            ({"max_iter": -1}, "max_iter must be an integer >= 0. Got: -1.", ValueError),
            ({"max_iter": 1.5}, "max_iter must be an integer >= 0. Got: 1.5.", TypeError),
            ({"max_iter": True}, "max_iter must be an integer >= 0. Got: True.", TypeError),
            ({"n_init": 0}, "n_init must be an integer >= 1, or None. Got: 0.", ValueError),
            ({"n_jobs": 0}, "n_jobs must be an integer other than 0", ValueError),
            ({"n_jobs": None}, "n_jobs must be an integer. Got: None.", TypeError),
            ({"batch_size": 0}, "batch_size must be an integer >= 1. Got: 0.", ValueError),
            ({"seed": -1}, "seed must be an integer >= 0, or None. Got: -1.", ValueError),
            ({"seed": "x"}, "seed must be an integer >= 0, or None. Got: 'x'.", TypeError),
            ({"callback": 3}, "callback must be callable, or None. Got: int.", TypeError),
            ({"checkpoint": 3, "seed": 0}, "checkpoint must be a path, or None. Got: int.", TypeError),
            ({"checkpoint": "fit.npz"}, "checkpoint needs a seed", ValueError),
        ],
    )
    def test_range(self, settings, message, error):
        refuse(message, error, **settings)


@pytest.mark.inference
class TestInference:
    def test_a_row_that_is_impossible_under_the_start(self):
        start = {"A": cpd("A", [[0.5], [0.5]]), "B": cpd("B", [[1.0, 0.0], [0.0, 1.0]], ["A"])}
        data = pd.DataFrame({"A": [0, 1, 1], "B": [0, 1, 0]})
        message = r"row 2 \(counting from 0\) is impossible: the CPDs give probability zero to A=1, B=0\. Correct"
        refuse(message, ImpossibleEvidenceError, data=data, init_cpds=start)

    def test_a_row_that_is_impossible_under_fixed_cpds(self):
        fixed = {"B": cpd("B", [[1.0, 1.0], [0.0, 0.0]], ["A"])}
        refuse("row 1 .* is impossible: .*B=1", ImpossibleEvidenceError, data=DATA, fixed_cpds=fixed, seed=0)

    def test_an_impossible_row_of_weight_zero_is_no_matter(self):
        start = {"A": cpd("A", [[0.5], [0.5]]), "B": cpd("B", [[1.0, 0.0], [0.0, 1.0]], ["A"])}
        data = pd.DataFrame({"A": [0, 1, 1], "B": [0, 1, 0]})
        assert WeightedEM(init_cpds=start).fit(chain(), data, [1, 1, 0]).converged_

    def test_over_the_memory_budget(self):
        message = r"memory budget of 10 bytes: .* with a table of 2 cells over \['A'\].*ExactEStep\(memory_budget"
        refuse(message, MemoryBudgetError, e_step=ExactEStep(memory_budget=10))

    def test_a_backend_that_is_none(self):
        refuse(r"backend must be one of \['auto', 'numba', 'numpy'\]. Got: 'cuda'.", e_step=ExactEStep(backend="cuda"))

    def test_numba_that_is_not_installed(self, monkeypatch):
        monkeypatch.setattr(packed, "has_numba", lambda: False)
        message = 'backend="numba" needs numba, which is not installed: pip install numba.'
        refuse(message, ImportError, e_step=ExactEStep(backend="numba"))

    def test_a_number_of_threads_that_is_none(self):
        refuse("n_jobs must be an integer other than 0", e_step=ExactEStep(n_jobs=0))

    @pytest.mark.parametrize("budget", ["4GB", None, 1.5])
    def test_a_memory_budget_that_is_no_number(self, budget):
        refuse("memory_budget must be an integer >= 1. Got: ", TypeError, e_step=ExactEStep(memory_budget=budget))

    def test_no_completions(self):
        message = "max_completions must be an integer >= 1. Got: 0."
        refuse(message, e_step=EnumerationEStep(max_completions=0))

    def test_no_donors(self):
        refuse("max_donors must be an integer >= 1. Got: -1.", init_cpds=NearestNeighborStart(max_donors=-1))

    def test_too_many_completions(self):
        data = pd.DataFrame({"A": [0, None], "B": [1, None]})
        message = r"row 1 \(counting from 0\) has 4 completions over \['A', 'B'\], more than max_completions=3"
        refuse(message, MemoryBudgetError, data=data, state_names=NAMES, e_step=EnumerationEStep(max_completions=3))


@pytest.mark.inference
class TestAfterTheFit:
    @pytest.fixture
    def fitted(self):
        start = {"A": cpd("A", [[0.5], [0.5]]), "B": cpd("B", [[1.0, 0.0], [0.0, 1.0]], ["A"])}
        return WeightedEM(init_cpds=start).fit(chain(), pd.DataFrame({"A": [0, 1, None], "B": [0, 1, 1]}))

    def test_not_fitted(self):
        with pytest.raises(Exception, match="has not been fitted yet"):
            WeightedEM().score(DATA)

    @pytest.mark.parametrize("method", ["predict_proba", "impute", "complete", "expected_counts"])
    def test_an_impossible_row(self, fitted, method):
        data = pd.DataFrame({"A": [0, 1, None], "B": [0, 0, 1]})
        with pytest.raises(ImpossibleEvidenceError, match=r"row 1 .*A=1, B=0"):
            getattr(fitted, method)(data)

    def test_an_impossible_row_scores_minus_infinity(self, fitted):
        data = pd.DataFrame({"A": [0, 1], "B": [0, 0]})
        assert fitted.score_samples(data).tolist() == [pytest.approx(-np.log(3)), -np.inf]
        assert fitted.score(data) == -np.inf
        assert fitted.score(data, [1, 0]) == pytest.approx(-np.log(3))

    def test_an_unknown_state(self, fitted):
        with pytest.raises(ValueError, match=r"column 'A', row 0 .* the state 7 is not among \[0, 1\]"):
            fitted.score(pd.DataFrame({"A": [7], "B": [0]}))

    @pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), ("x", TypeError)])
    def test_a_seed_of_draws(self, fitted, seed, error):
        with pytest.raises(error, match=r"seed must be an integer >= 0, or None. Got: "):
            fitted.impute(DATA, how="sample", seed=seed)

    def test_a_variable_named_as_the_weights_of_completions(self):
        model = DiscreteBayesianNetwork()
        model.add_node("_weight")
        data = pd.DataFrame({"_weight": [0, 1]})
        with pytest.raises(ValueError, match="complete adds a column '_weight', but a variable has that name"):
            WeightedEM().fit(model, data).complete(data)

    def test_an_unknown_way_to_impute(self, fitted):
        with pytest.raises(ValueError, match=r"how must be 'mode' or 'sample'. Got: 'mean'"):
            fitted.impute(DATA, how="mean")

    def test_weights(self, fitted):
        with pytest.raises(ValueError, match="sample_weight must be one number for each of the 4 rows"):
            fitted.score(DATA, [1])

    def test_too_many_completions(self, fitted, monkeypatch):
        monkeypatch.setattr("pgmpy_em_ext.inference.answers.MAX_COMPLETIONS", 3)
        with pytest.raises(MemoryBudgetError, match=r"the 4 rows have 6 completions, more than the 3.*how='sample'"):
            fitted.complete(DATA)
