"""Conditional Gaussian networks: against pgmpy under each configuration, moments, files, messages."""

import gzip
import json
import re
import sys

import numpy as np
import pandas as pd
import pgmpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pgmpy.base import DAG
from pgmpy.factors.continuous import LinearGaussianCPD
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import FunctionalBayesianNetwork, LinearGaussianBayesianNetwork

from pgmpy_em_ext import ConditionalGaussianCPD, ConditionalGaussianNetwork
from pgmpy_em_ext.networks.json_values import read_value, write_value

STATES = {"K": ["a", "b"], "L": [0, 1, 2]}


@pytest.fixture
def model():
    """K -> L; K -> X; X, K, L -> Y; a latent Z -> Y."""
    model = ConditionalGaussianNetwork(
        [("K", "L"), ("K", "X"), ("X", "Y"), ("K", "Y"), ("L", "Y"), ("Z", "Y")], latents={"Z"}, outcomes={"Y"}
    )
    model.add_cpds(
        TabularCPD("K", 2, [[0.3], [0.7]], state_names={"K": STATES["K"]}),
        TabularCPD("L", 3, [[0.2, 0.6], [0.5, 0.4], [0.3, 0.0]], ["K"], [2], STATES),
        ConditionalGaussianCPD("X", [[-1], [2]], [0.5, 1.5], [], ["K"], STATES),
        ConditionalGaussianCPD("Z", [[1]], [2]),
        ConditionalGaussianCPD(
            "Y",
            np.column_stack([np.arange(6), np.arange(6) / 10, -np.arange(6)]),
            np.arange(1, 7),
            ["X", "Z"],
            ["K", "L"],
            STATES,
        ),
    )
    return model


class TestModel:
    def test_kinds_and_cpds(self, model):
        assert model.check_model()
        assert isinstance(model, DAG)
        assert model.discrete_nodes == ["K", "L"]
        assert model.continuous_nodes == ["X", "Y", "Z"]
        assert model.get_cpds("X").variable == "X"
        assert len(model.get_cpds()) == 5
        model.add_cpds(ConditionalGaussianCPD("X", [[5], [5]], [1, 1], [], ["K"], STATES))
        assert len(model.get_cpds()) == 5
        assert model.get_cpds("X").beta[0, 0] == 5
        model.remove_cpds("X", model.get_cpds("K"))
        assert model.get_cpds("X") is None
        assert model.discrete_nodes == ["L"]

    def test_copies_are_equal_and_apart(self, model):
        copy = model.copy()
        assert copy == model
        assert hash(copy) == hash(model)
        assert (copy.latents, copy.outcomes) == ({"Z"}, {"Y"})
        copy.get_cpds("X").beta[0] += 1
        assert copy != model
        assert model != DAG(model.edges())

    def test_roles_are_pgmpys(self, model):
        assert model.with_role("exposures", {"K"}).exposures == {"K"}
        assert model.exposures == set()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda m: m.remove_cpds("X", "K"), r"the model has no CPD of \['K', 'X'\]: add a TabularCPD or a Cond"),
            (
                lambda m: m.remove_node("Z"),
                r"the model has CPDs of \['Z'\], which are no nodes of it\. Remove them with",
            ),
            (
                lambda m: m.add_edge("L", "X"),
                r"the CPD of 'X' has the parents \['K'\], but the model gives it \['K', 'L'\]",
            ),
            (lambda m: m.add_edge("Z", "L"), r"the discrete variable 'L' has the continuous parent 'Z', which a cond"),
            (
                lambda m: m.add_cpds(ConditionalGaussianCPD("X", [[1, 1]], [1], ["K"])),
                r"the CPD of 'X' has 'K' in evidence, for continuous parents, but 'K' has a TabularCPD\. Name it",
            ),
            (
                lambda m: m.add_cpds(
                    ConditionalGaussianCPD("Y", np.zeros((4, 1)), np.ones(4), [], ["X", "K"], {"X": [0, 1], **STATES})
                ),
                r"the CPD of 'Y' has 'X' in discrete_evidence, but 'X' has a ConditionalGaussianCPD\. Name it in evid",
            ),
            (
                lambda m: m.add_cpds(ConditionalGaussianCPD("X", [[1], [1]], [1, 1], [], ["K"], {"K": ["b", "a"]})),
                r"the CPD of 'X' has the states \['b', 'a'\] of 'K', but its own CPD has \['a', 'b'\]\. Give both",
            ),
            (
                lambda m: m.add_cpds(TabularCPD("L", 3, np.full((3, 2), 1 / 3), ["K"], [2], {"L": [0, 1, 2]})),
                r"the CPD of 'L' has the states \[\] of 'K', but its own CPD has \['a', 'b'\]\.",
            ),
            (
                lambda m: m.add_cpds(TabularCPD("K", 1, [[1]], state_names={"K": ["a", "b"]})),
                r"the CPD of 'K' has state_names for \(2,\) states of its parents and itself, but its table has",
            ),
            (
                lambda m: m.add_cpds(TabularCPD("K", 2, [[0.4], [0.4]], state_names={"K": ["a", "b"]})),
                r"a column of the CPD of 'K' sums to 0\.8; every column must sum to 1\.",
            ),
            (
                lambda m: m.get_cpds("X").std.fill(0),
                r"the CPD of 'X' has a coefficient that is not finite, or a standard deviation that is not positive\.",
            ),
        ],
    )
    def test_check_model(self, model, change, message):
        change(model)
        with pytest.raises(ValueError, match=message):
            model.check_model()

    def test_wrong_cpds(self, model):
        with pytest.raises(TypeError, match=r"must be TabularCPDs or ConditionalGaussianCPDs\. Got: LinearGaussianCPD"):
            model.add_cpds(LinearGaussianCPD("X", [1], 1))
        with pytest.raises(
            ValueError, match=r"the CPD of 'X' names \['W'\], which the model does not have\. Known: \['K'"
        ):
            model.add_cpds(ConditionalGaussianCPD("X", [[1, 1]], [1], ["W"]))
        with pytest.raises(ValueError, match=r"the model has no node 'W'\. Known: \['K'"):
            model.get_cpds("W")
        with pytest.raises(ValueError, match=r"the model has no CPD of 'W' to remove\."):
            model.remove_cpds("W")


class TestToLinearGaussian:
    def test_pgmpy_goes_on(self, model):
        """Its log-likelihood is that of the regressions by hand; its predictions are their means."""
        gaussian = model.to_linear_gaussian({"K": "b", "L": 2})
        assert type(gaussian) is LinearGaussianBayesianNetwork
        assert gaussian.check_model()
        assert (gaussian.latents, gaussian.outcomes) == ({"Z"}, {"Y"})
        assert set(gaussian.edges()) == {("X", "Y"), ("Z", "Y")}
        rows = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=["X", "Y", "Z"])
        mean = 5 + 0.5 * rows["X"] - 5 * rows["Z"]
        expected = sum(
            -np.log(std) - np.log(2 * np.pi) / 2 - ((value - center) / std) ** 2 / 2
            for value, center, std in [(rows["X"], 2, 1.5), (rows["Z"], 1, 2), (rows["Y"], mean, 6)]
        )
        assert gaussian.log_likelihood(rows) == pytest.approx(expected.sum(), rel=1e-6)
        np.testing.assert_allclose(gaussian.predict(rows[["X", "Z"]])["Y"], mean, atol=1e-6)
        assert list(gaussian.simulate(3, seed=0).columns) == ["X", "Y"]

    def test_needless_states_may_be_left_out(self):
        model = ConditionalGaussianNetwork([("K", "L")])
        model.add_node("X")
        model.add_cpds(
            TabularCPD("K", 2, [[0.5], [0.5]], state_names={"K": STATES["K"]}),
            TabularCPD("L", 3, np.full((3, 2), 1 / 3), ["K"], [2], STATES),
            ConditionalGaussianCPD("X", [[3]], [1]),
        )
        assert model.to_linear_gaussian() == model.to_linear_gaussian({"L": 1})

    @pytest.mark.parametrize(
        ("evidence", "message"),
        [
            ({"K": "a"}, r"the CPD of 'Y' needs a state of its discrete parent 'L'"),
            ({"K": "a", "L": 7}, r"the CPD of 'Y' knows no state 7 of its discrete parent 'L'"),
            (
                {"K": "a", "L": 0, "X": 1.0, "W": 2},
                r"evidence names \['X', 'W'\], which are no discrete variables of the",
            ),
        ],
    )
    def test_wrong_evidence(self, model, evidence, message):
        with pytest.raises(ValueError, match=message):
            model.to_linear_gaussian(evidence)


class TestSimulate:
    def test_moments_are_the_parameters(self, model):
        data = model.simulate(200_000, seed=1, include_latents=True)
        assert list(data.columns) == list(model.nodes())
        shares = pd.crosstab(data["K"], data["L"], normalize="index").to_numpy()
        np.testing.assert_allclose(shares, model.get_cpds("L").get_values().T, atol=0.005)
        assert shares[1, 2] == 0
        np.testing.assert_allclose(data["K"].value_counts(normalize=True)[["a", "b"]], [0.3, 0.7], atol=0.005)
        cpd = model.get_cpds("Y")
        for row, configuration in enumerate(cpd.configurations()):
            part = data[(data["K"] == configuration["K"]) & (data["L"] == configuration["L"])]
            if part.empty:
                continue
            design = np.column_stack([np.ones(len(part)), part[["X", "Z"]]])
            found, *_ = np.linalg.lstsq(design, part["Y"])
            error = cpd.std[row] * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
            assert (np.abs(found - cpd.beta[row]) < 4 * error).all()
            assert (part["Y"] - design @ found).std() == pytest.approx(cpd.std[row], rel=0.03)

    def test_equals_pgmpy_under_a_configuration(self, model):
        data = model.simulate(100_000, seed=2, include_latents=True)
        part = data.loc[(data["K"] == "b") & (data["L"] == 1), ["X", "Z", "Y"]]
        theirs = model.to_linear_gaussian({"K": "b", "L": 1}).simulate(100_000, seed=3, include_latents=True)
        np.testing.assert_allclose(part.mean(), theirs[["X", "Z", "Y"]].mean(), atol=0.2)
        np.testing.assert_allclose(part.cov(), theirs[["X", "Z", "Y"]].cov(), rtol=0.05, atol=0.3)

    def test_seed_and_latents(self, model):
        first, again = model.simulate(50, seed=0), model.simulate(50, seed=0)
        pd.testing.assert_frame_equal(first, again)
        assert list(first.columns) == ["K", "L", "X", "Y"]
        assert not first.equals(model.simulate(50, seed=1))

    @pytest.mark.parametrize(
        "states", [["a", "b"], [0, 1], [False, True], [1, 2.5], [1, "1"], [("a", 1), "b"], [("a", 1), ("b", 2)]]
    )
    def test_states_keep_their_types(self, states):
        model = ConditionalGaussianNetwork()
        model.add_node(("K", 1))
        model.add_cpds(TabularCPD(("K", 1), 2, [[0.5], [0.5]], state_names={("K", 1): states}))
        data = model.simulate(100, seed=0)
        assert list(data.columns) == [("K", 1)]
        column = data[[("K", 1)]].iloc[:, 0]
        assert list(column.cat.categories) == states
        assert {type(value) for value in column.tolist()} == {type(state) for state in states}

    def test_states_that_never_come_are_categories(self):
        model = ConditionalGaussianNetwork()
        model.add_node("K")
        model.add_cpds(TabularCPD("K", 3, [[0], [1], [0]], state_names={"K": list("abc")}))
        column = model.simulate(1000, seed=0)["K"]
        assert set(column) == {"b"}
        assert list(column.cat.categories) == ["a", "b", "c"]

    def test_wrong_number(self, model):
        with pytest.raises(ValueError, match=r"n_samples must be an integer >= 1\. Got: 0\."):
            model.simulate(0)


plain = st.one_of(st.text(max_size=3), st.booleans(), st.integers(), st.floats(allow_nan=False))
values = st.one_of(plain, st.tuples(plain, st.tuples(plain)), st.just(()))


class TestFiles:
    @given(values)
    def test_values_keep_their_types(self, value):
        back = read_value(json.loads(json.dumps(write_value(value, "it"), allow_nan=False)))
        assert repr(back) == repr(value)

    @settings(max_examples=50)
    @given(
        st.lists(values, min_size=3, max_size=3, unique=True),
        st.lists(values, min_size=2, max_size=3, unique=True),
        st.integers(0, 1000),
    )
    def test_networks_come_back(self, tmp_path_factory, names, states, seed):
        discrete, parent, child = names
        rng, n = np.random.default_rng(seed), len(states)
        model = ConditionalGaussianNetwork([(discrete, child), (parent, child)], latents={parent})
        model.add_cpds(
            ConditionalGaussianCPD(
                child, rng.normal(size=(n, 2)), rng.gamma(1, size=n), [parent], [discrete], {discrete: states}
            ),
            ConditionalGaussianCPD(parent, [[rng.normal() * 1e-300]], [rng.gamma(1)]),
            TabularCPD(discrete, n, rng.dirichlet(np.ones(n))[:, None], state_names={discrete: states}),
        )
        path = tmp_path_factory.mktemp("files") / "model.json"
        model.save(path)
        back = ConditionalGaussianNetwork.load(path)
        assert back == model
        assert back.latents == {parent}
        assert repr(list(back.nodes())) == repr(list(model.nodes()))
        assert repr(back.get_cpds(discrete).state_names) == repr(model.get_cpds(discrete).state_names)
        np.testing.assert_array_equal(back.get_cpds(discrete).values, model.get_cpds(discrete).values)
        for name in (parent, child):
            np.testing.assert_array_equal(back.get_cpds(name).beta, model.get_cpds(name).beta)
            np.testing.assert_array_equal(back.get_cpds(name).std, model.get_cpds(name).std)
        pd.testing.assert_frame_equal(back.simulate(5, seed=0), model.simulate(5, seed=0))

    def test_all_of_a_model(self, model, tmp_path):
        for name in ("model.json", "model.json.gz"):
            model.save(tmp_path / name)
            assert ConditionalGaussianNetwork.load(str(tmp_path / name)) == model
        assert gzip.decompress((tmp_path / "model.json.gz").read_bytes()) == (tmp_path / "model.json").read_bytes()

    def test_names_that_no_file_holds(self, tmp_path):
        for name, state, message in [
            (frozenset("a"), "b", r"the variable frozenset\(\{'a'\}\) cannot be saved: a file holds texts, integers"),
            ("a", pd.Timestamp("2020-01-01"), r"'a': the state Timestamp\('2020-01-01 00:00:00'\) cannot be saved"),
        ]:
            model = ConditionalGaussianNetwork()
            model.add_node(name)
            model.add_cpds(TabularCPD(name, 2, [[0.5], [0.5]], state_names={name: [state, 0]}))
            with pytest.raises(TypeError, match=message):
                model.save(tmp_path / "model.json")
        assert list(tmp_path.iterdir()) == []

    def test_an_incomplete_model(self, model, tmp_path):
        model.remove_cpds("X")
        with pytest.raises(ValueError, match=r"the model has no CPD of \['X'\]"):
            model.save(tmp_path / "model.json")

    def test_files_of_others(self, model, tmp_path):
        path = tmp_path / "model.json"
        for content, message in [
            (b"network unknown {}", r"is no file of a conditional Gaussian network: it is not JSON, Expecting value"),
            (b"\xff\xfe\x00", r"is no file of a conditional Gaussian network: it is not JSON"),
            (b'{"nodes": ["a"], "arcs": [], "cpds": {}}', r"it does not say 'format': 'pgmpy_em_ext conditional Gauss"),
            (b"[1]", r"it does not say 'format'"),
        ]:
            path.write_bytes(content)
            with pytest.raises(ValueError, match=re.escape(str(path)) + ".*" + message):
                ConditionalGaussianNetwork.load(path)
        with pytest.raises(FileNotFoundError):
            ConditionalGaussianNetwork.load(tmp_path / "nowhere.json")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"version": 2}, r"has version 2 of its format; this version of pgmpy_em_ext reads 1\. Use the version"),
            ({"nodes": [{"set": []}]}, r"is damaged: ValueError: \{'set': \[\]\} is no name and no state\."),
            ({"nodes": None}, r"is damaged: TypeError"),
            ({"edges": [["K"]]}, r"is damaged: ValueError"),
            ({"edges": [["K", "X"], ["X", "K"]]}, r"is damaged: ValueError: Cycles are not allowed"),
            ({"roles": [["latents", ["nobody"]]]}, r"is damaged: ValueError: Variable 'nobody' not found"),
            ({"cpds": [{"variable": "K", "evidence": []}]}, r"is damaged: KeyError: 'kind'"),
            ({"cpds": [{"kind": "odd", "variable": "K", "evidence": []}]}, r"ValueError: a CPD is of the kind 'odd'\."),
            ({"cpds": []}, r"is damaged: ValueError: the model has no CPD of"),
        ],
    )
    def test_damaged_files(self, model, tmp_path, change, message):
        path = tmp_path / "model.json"
        model.save(path)
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(ValueError, match=message):
            ConditionalGaussianNetwork.load(path)


class TestFunctional:
    def test_without_pyro(self, model, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyro.distributions", None)
        monkeypatch.setitem(sys.modules, "torch", None)
        with pytest.raises(ImportError, match=r"of 'K', needs pyro\. Install it with: pip install"):
            model.to_functional_cpds()

    def test_pgmpys_functional_network_draws_the_same(self, model):
        pyro = pytest.importorskip("pyro")
        pyro.set_rng_seed(0)
        before = pgmpy.config.get_backend()
        pgmpy.config.set_backend("torch", device="cpu")
        try:
            functional = FunctionalBayesianNetwork(model.edges())
            functional.add_cpds(*model.to_functional_cpds())
            assert functional.check_model()
            theirs = functional.simulate(5000, seed=0)
        finally:
            pgmpy.config.set_backend(before)
        ours = model.simulate(100_000, seed=0, include_latents=True)
        ours = ours.assign(K=ours["K"].cat.codes, L=ours["L"].cat.codes)
        for node in model.nodes():
            spread = ours[node].std()
            assert theirs[node].mean() == pytest.approx(ours[node].mean(), abs=spread * 5 / np.sqrt(5000))
            assert theirs[node].std() == pytest.approx(spread, rel=0.1)
        np.testing.assert_allclose(theirs.corr(), ours[theirs.columns].corr(), atol=0.06)
