"""Where EM starts: given, drawn, estimated; and starts that are saddle points."""

import numpy as np
import pandas as pd
import pytest
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork
from sklearn.exceptions import ConvergenceWarning

import pgmpy_em_ext.start.initializer
from pgmpy_em_ext import Initializer, WeightedEM
from pgmpy_em_ext._tools.registry import named_classes
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.start.initializer import NearestNeighborStart, StartContext

NAMES = {"A": [0, 1], "B": [0, 1], "H": [0, 1], "X": [0, 1], "Y": [0, 1]}


def cpd(variable, values, *parents):
    states = {name: NAMES[name] for name in (variable, *parents)}
    return TabularCPD(variable, 2, values, list(parents) or None, [2] * len(parents) or None, state_names=states)


def start_of(model, data, init_cpds, **settings):
    """The start itself: what `max_iter=0` returns, by variable."""
    estimator = WeightedEM(init_cpds=init_cpds, max_iter=0, **settings)
    with pytest.warns(ConvergenceWarning, match="max_iter=0"):
        estimator.fit(model, data)
    return {found.variable: found.get_values() for found in estimator.parameters_}


@pytest.fixture
def model():
    return DiscreteBayesianNetwork([("A", "B")])


@pytest.fixture
def data():
    return pd.DataFrame({"A": [0, 0, 0, 1, 1, None, None, 0], "B": [0, 0, 1, 1, None, 1, 1, None]})


def test_the_known_strategies():
    assert list(named_classes(Initializer, pgmpy_em_ext.start.initializer)) == [
        "available_case",
        "complete_case",
        "marginal_mode",
        "model",
        "near_uniform",
        "nearest_neighbor",
        "prior",
        "random",
        "uniform",
    ]


class TestEstimates:
    def test_available_cases_plus_one(self, model, data):
        for init in (None, "available_case"):
            start = start_of(model, data, init)
            np.testing.assert_allclose(start["A"].ravel(), np.array([4 + 1, 2 + 1]) / 8)
            np.testing.assert_allclose(start["B"], [[3 / 5, 1 / 3], [2 / 5, 2 / 3]])

    def test_complete_cases_plus_one(self, model, data):
        start = start_of(model, data, "complete_case")
        np.testing.assert_allclose(start["A"].ravel(), np.array([3 + 1, 1 + 1]) / 6)
        np.testing.assert_allclose(start["B"], [[3 / 5, 1 / 3], [2 / 5, 2 / 3]])

    def test_marginal_mode_plus_one(self, model, data):
        # A is mostly 0, B mostly 1.
        start = start_of(model, data, "marginal_mode")
        np.testing.assert_allclose(start["A"].ravel(), np.array([6 + 1, 2 + 1]) / 10)
        np.testing.assert_allclose(start["B"], [[3 / 8, 1 / 4], [5 / 8, 3 / 4]])

    def test_nearest_neighbor_plus_one(self):
        model = DiscreteBayesianNetwork([("A", "B"), ("B", "X")])
        data = pd.DataFrame({"A": [0, 0, 1, 1, 0], "B": [0, 0, 1, 1, 0], "X": [0, 0, 1, None, None]})
        start = start_of(model, data, "nearest_neighbor")
        # Row 3 takes X from row 2, row 4 from rows 0 and 1.
        np.testing.assert_allclose(start["X"], [[4 / 5, 1 / 4], [1 / 5, 3 / 4]])

    def test_nearest_neighbor_with_few_donors_still_fills_every_variable(self):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.integers(0, 2, (60, 4)), columns=list("ABXY"), dtype=object)
        frame.loc[1:, "Y"] = None
        frame = frame.mask(rng.random((60, 4)) < 0.2)
        frame.loc[0, "Y"] = 1
        model = DiscreteBayesianNetwork([("A", "B"), ("X", "Y")])
        start = start_of(model, frame, NearestNeighborStart(max_donors=2), state_names=NAMES)
        assert all(np.isfinite(values).all() for values in start.values())
        np.testing.assert_allclose(start["Y"].sum(axis=0), 1)

    def test_nearest_neighbor_against_plain_loops(self):
        rng = np.random.default_rng(1)
        codes = rng.integers(0, 3, (80, 5))
        codes[rng.random(codes.shape) < 0.3] = -1
        codes = np.unique(codes, axis=0)
        network = build_network(range(5), {}, {i: [0, 1, 2] for i in range(5)})
        evidence = Evidence(codes, np.ones(len(codes)), np.arange(len(codes)))
        context = StartContext(network, evidence, np.zeros(network.n_cells), {}, frozenset(), 0)
        found, _ = NearestNeighborStart().complete(context)
        for row, node in np.argwhere(codes < 0):
            ranked = []
            for donor in np.flatnonzero(codes[:, node] >= 0):
                both = (codes[row] >= 0) & (codes[donor] >= 0)
                differing = (codes[row] != codes[donor])[both].sum() / max(both.sum(), 1)
                ranked.append((differing, -both.sum(), donor))
            assert found[row, node] == codes[min(ranked)[2], node]


class TestDraws:
    def test_the_same_seed_gives_the_same_bits(self, model, data):
        one, other = (start_of(model, data, "random", seed=7) for _ in range(2))
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])

    def test_variables_and_seeds_have_streams_of_their_own(self):
        model = DiscreteBayesianNetwork()
        model.add_nodes_from(["A", "B"])
        data = pd.DataFrame({"A": [0, 1], "B": [0, 1]})
        one, other = start_of(model, data, "random", seed=1), start_of(model, data, "random", seed=2)
        drawn = [values[0, 0] for start in (one, other) for values in start.values()]
        assert len(set(drawn)) == 4

    def test_the_order_of_the_nodes_does_not_matter(self, data):
        one, other = DiscreteBayesianNetwork(), DiscreteBayesianNetwork()
        one.add_nodes_from("ABX")
        other.add_nodes_from("XBA")
        for network in (one, other):
            network.add_edges_from([("A", "B"), ("B", "X")])
        data = data.assign(X=[0, 1] * 4)
        first, second = start_of(one, data, "random", seed=3), start_of(other, data, "random", seed=3)
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])

    def test_without_a_seed_every_fit_differs(self, model, data):
        one, other = start_of(model, data, "random"), start_of(model, data, "random")
        assert (one["A"] != other["A"]).any()

    def test_a_draw_from_the_prior_follows_it(self, model, data):
        # Pseudo counts of 10^6 leave a draw no room around their share.
        prior = {"A": [[3e6], [1e6]], "B": [[1e6, 4e6], [1e6, 1e6]]}
        start = start_of(model, data, "prior", prior=prior, seed=0)
        np.testing.assert_allclose(start["A"].ravel(), [0.75, 0.25], atol=0.005)
        np.testing.assert_allclose(start["B"], [[0.5, 0.8], [0.5, 0.2]], atol=0.005)

    def test_uniform(self, model, data):
        start = start_of(model, data, "uniform")
        assert (start["A"] == 0.5).all()
        assert (start["B"] == 0.5).all()


class TestGiven:
    def test_all(self, model, data):
        given_cpds = {"A": cpd("A", [[0.3], [0.7]]), "B": cpd("B", [[0.9, 0.2], [0.1, 0.8]], "A")}
        start = start_of(model, data, given_cpds)
        np.testing.assert_array_equal(start["A"].ravel(), [0.3, 0.7])
        np.testing.assert_array_equal(start["B"], [[0.9, 0.2], [0.1, 0.8]])

    def test_some_and_the_others_are_drawn(self, model, data):
        given_cpds = {"A": cpd("A", [[0.3], [0.7]])}
        one, other = (start_of(model, data, given_cpds, seed=seed) for seed in (1, 2))
        np.testing.assert_array_equal(one["A"].ravel(), [0.3, 0.7])
        assert (one["B"] != other["B"]).any()

    def test_the_models(self, model, data):
        model.add_cpds(cpd("A", [[0.3], [0.7]]), cpd("B", [[0.9, 0.2], [0.1, 0.8]], "A"))
        np.testing.assert_array_equal(start_of(model, data, "model")["B"], [[0.9, 0.2], [0.1, 0.8]])

    def test_parents_and_states_in_another_order(self):
        model = DiscreteBayesianNetwork([("A", "X"), ("B", "X")])
        data = pd.DataFrame({"A": [0, 1], "B": [0, 1], "X": [0, 1]})
        values = np.arange(1, 9).reshape(2, 4) / np.arange(1, 9).reshape(2, 4).sum(axis=0)
        straight = cpd("X", values, "A", "B")
        states = {"X": [1, 0], "B": [0, 1], "A": [1, 0]}
        table = values.reshape(2, 2, 2)[::-1, ::-1].transpose(0, 2, 1).reshape(2, 4)
        turned = TabularCPD("X", 2, table, ["B", "A"], [2, 2], state_names=states)
        np.testing.assert_array_equal(
            start_of(model, data, {"X": straight}, state_names=NAMES)["X"],
            start_of(model, data, {"X": turned}, state_names=NAMES)["X"],
        )

    def test_rounded_columns_are_normalised(self, model, data):
        start = start_of(model, data, {"A": cpd("A", [[0.333], [0.666]])})
        np.testing.assert_allclose(start["A"].ravel(), [1 / 3, 2 / 3])

    def test_a_strategy_object_of_ones_own(self, model, data):
        class Skewed(Initializer):
            """Nine to one for the first state."""

            def start(self, context):
                return np.tile([0.9, 0.1], context.network.n_cells // 2)

        for given_strategy in (Skewed, Skewed()):
            np.testing.assert_array_equal(start_of(model, data, given_strategy)["A"].ravel(), [0.9, 0.1])


class TestFixed:
    def test_by_cpd(self, model, data):
        fixed = {"B": cpd("B", [[0.9, 0.2], [0.1, 0.8]], "A")}
        estimator = WeightedEM(fixed_cpds=fixed, n_init=3, seed=0).fit(model, data)
        np.testing.assert_array_equal(estimator.parameters_[1].get_values(), [[0.9, 0.2], [0.1, 0.8]])
        assert estimator.n_parameters_ == 1

    @pytest.mark.parametrize("where", ["init_cpds", "model"])
    def test_by_name(self, model, data, where):
        known = cpd("B", [[0.9, 0.2], [0.1, 0.8]], "A")
        settings = {"init_cpds": {"B": known}} if where == "init_cpds" else {}
        if where == "model":
            model.add_cpds(known)
        estimator = WeightedEM(fixed_cpds=["B"], seed=0, **settings).fit(model, data)
        np.testing.assert_array_equal(estimator.parameters_[1].get_values(), [[0.9, 0.2], [0.1, 0.8]])

    def test_unreached_columns_of_a_fixed_cpd_stay(self, model):
        data = pd.DataFrame({"A": [0, 0], "B": [0, 1]})
        fixed = {"B": cpd("B", [[0.9, 0.2], [0.1, 0.8]], "A")}
        estimator = WeightedEM(fixed_cpds=fixed, state_names=NAMES).fit(model, data)
        assert estimator.unidentified_rows_ == []
        np.testing.assert_array_equal(estimator.parameters_[1].get_values()[:, 1], [0.2, 0.8])


class TestUnlinked:
    """A variable that is observed, but never together with its children: a latent in effect."""

    model = DiscreteBayesianNetwork([("A", item) for item in "BCDE"])

    @pytest.fixture
    def joined(self):
        """Two surveys: the first asked A only, the second all but A."""
        rng = np.random.default_rng(0)
        cause = rng.integers(0, 2, 1000)
        frame = pd.DataFrame({"A": cause.astype(float)})
        for item in "BCDE":
            frame[item] = np.where(rng.random(1000) < 0.15, 1 - cause, cause).astype(float)
        frame.loc[:99, list("BCDE")] = np.nan
        frame.loc[100:, "A"] = np.nan
        return frame

    @pytest.mark.parametrize("start", [None, "available_case", "complete_case"])
    def test_the_default_start_is_no_saddle(self, joined, start):
        estimator = WeightedEM(init_cpds=start, seed=0).fit(self.model, joined)
        drawn = WeightedEM(init_cpds="random", seed=0, n_init=10).fit(self.model, joined)
        assert estimator.objective_ == pytest.approx(drawn.objective_, abs=0.01)
        assert estimator.n_starts_ == 16

    def test_a_uniform_start_is_left(self, joined):
        estimator = WeightedEM(init_cpds="uniform").fit(self.model, joined)
        with pytest.warns(ConvergenceWarning):
            stuck = WeightedEM(init_cpds="uniform", max_iter=20, tol=0, acceleration=None).fit(self.model, joined)
        assert estimator.objective_ > stuck.objective_ + 100

    @pytest.mark.parametrize("start", [None, "marginal_mode", "nearest_neighbor"])
    def test_rows_of_weight_zero_are_deleted(self, joined, start):
        weight = np.ones(1000)
        weight[:100] = 0
        kept = joined.iloc[100:]
        one = WeightedEM(init_cpds=start, seed=0).fit(self.model, joined, weight)
        other = WeightedEM(init_cpds=start, seed=0).fit(self.model, kept)
        assert one.objective_ == other.objective_
        assert one.reduction_.promoted_latents == ("A",)
        assert one.reduction_.n_zero_weight == 100


class TestSaddles:
    model = DiscreteBayesianNetwork([("H", "X"), ("H", "Y")], latents={"H"})
    data = pd.DataFrame({"X": [0, 0, 1, 1], "Y": [0, 0, 1, 1]})

    def fit_without_convergence(self, start):
        """EM alone never leaves a symmetric start; a run that has not converged has not looked beyond it."""
        with pytest.warns(ConvergenceWarning), pytest.warns(UserWarning, match="saddle point") as caught:
            estimator = WeightedEM(init_cpds=start, max_iter=10, tol=0, acceleration=None).fit(self.model, self.data)
        assert r"it is symmetric in states of the latent ['H']" in str([warning.message for warning in caught])
        return estimator

    def test_em_stays_on_a_saddle_point_and_says_so(self):
        estimator = self.fit_without_convergence("uniform")
        learned = {found.variable: found.get_values() for found in estimator.parameters_}
        np.testing.assert_array_equal(learned["X"][:, 0], learned["X"][:, 1])

    @pytest.mark.parametrize("acceleration", ["auto", "squarem", "lbfgs", None])
    def test_a_run_that_converges_on_a_saddle_point_leaves_it(self, acceleration):
        estimator = WeightedEM(init_cpds="uniform", acceleration=acceleration).fit(self.model, self.data)
        better = WeightedEM(seed=0).fit(self.model, self.data)
        assert estimator.converged_
        assert estimator.objective_ == pytest.approx(better.objective_, abs=1e-3)
        assert estimator.n_e_steps_ > estimator.n_iter_ + 20

    def test_equal_columns_warn_whatever_the_latents_own_distribution(self):
        start = {
            "H": cpd("H", [[0.2], [0.8]]),
            "X": cpd("X", [[0.3, 0.3], [0.7, 0.7]], "H"),
            "Y": cpd("Y", [[0.1, 0.1], [0.9, 0.9]], "H"),
        }
        estimator = self.fit_without_convergence(start)
        np.testing.assert_allclose(estimator.parameters_[0].get_values().ravel(), [0.2, 0.8])

    def test_one_differing_child_is_no_saddle(self):
        start = {"H": cpd("H", [[0.5], [0.5]]), "X": cpd("X", [[0.3, 0.4], [0.7, 0.6]], "H")}
        start["Y"] = cpd("Y", [[0.1, 0.1], [0.9, 0.9]], "H")
        estimator = WeightedEM(init_cpds=start).fit(self.model, self.data)
        assert estimator.objective_ > -4 * np.log(4) + 2

    def test_a_parent_that_tells_the_states_apart_is_no_saddle(self):
        model = DiscreteBayesianNetwork([("A", "H"), ("H", "X")], latents={"H"})
        data = pd.DataFrame({"A": [0, 0, 1, 1, 1], "X": [0, 0, 1, 1, 0]})
        start = {
            "A": cpd("A", [[0.5], [0.5]]),
            "H": cpd("H", [[0.9, 0.2], [0.1, 0.8]], "A"),
            "X": cpd("X", [[0.5, 0.5], [0.5, 0.5]], "H"),
        }
        estimator = WeightedEM(init_cpds=start, tol=1e-8).fit(model, data)
        columns = {found.variable: found.get_values() for found in estimator.parameters_}["X"]
        assert abs(columns[0, 0] - columns[0, 1]) > 0.5

    def test_two_equal_states_of_three(self):
        states = {"H": [0, 1, 2], "X": [0, 1], "Y": [0, 1]}
        start = {
            "H": TabularCPD("H", 3, [[0.2], [0.3], [0.5]], state_names={"H": [0, 1, 2]}),
            "X": TabularCPD("X", 2, [[0.3, 0.6, 0.3], [0.7, 0.4, 0.7]], ["H"], [3], {k: states[k] for k in "XH"}),
            "Y": TabularCPD("Y", 2, [[0.1, 0.2, 0.1], [0.9, 0.8, 0.9]], ["H"], [3], {k: states[k] for k in "YH"}),
        }
        estimator = self.fit_without_convergence(start)
        learned = {found.variable: found.get_values() for found in estimator.parameters_}["X"]
        np.testing.assert_allclose(learned[:, 0], learned[:, 2], atol=1e-12)

    def test_uniform_without_latents_does_not_warn(self, model, data):
        assert WeightedEM(init_cpds="uniform").fit(model, data).converged_
