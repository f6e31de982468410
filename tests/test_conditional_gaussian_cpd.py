"""CPDs that are normal for each configuration of discrete parents: against pgmpy's own, and messages."""

import sys

import numpy as np
import pandas as pd
import pytest
from pgmpy.factors.continuous import LinearGaussianCPD
from pgmpy.factors.discrete import TabularCPD

from pgmpy_em_ext import ConditionalGaussianCPD

STATES = {"K": ["a", "b"], "L": [0, 1, 2]}


def two_parents(**changes):
    """A CPD with a coefficient and a deviation of its own for each of six configurations."""
    arguments = {
        "variable": "Y",
        "beta": np.column_stack([np.arange(6), np.arange(6) / 10, -np.arange(6)]),
        "std": np.arange(1, 7),
        "evidence": ["X", "Z"],
        "discrete_evidence": ["K", "L"],
        "state_names": STATES,
    }
    return ConditionalGaussianCPD(**(arguments | changes))


class TestCPD:
    def test_configurations_are_pgmpys_columns(self):
        cpd = two_parents()
        assert cpd.configurations()[:4] == [
            {"K": "a", "L": 0},
            {"K": "a", "L": 1},
            {"K": "a", "L": 2},
            {"K": "b", "L": 0},
        ]
        table = TabularCPD(
            "C", 2, [np.arange(6) / 6, 1 - np.arange(6) / 6], ["K", "L"], [2, 3], {"C": [0, 1], **STATES}
        )
        for row, configuration in enumerate(cpd.configurations()):
            assert table.get_value(C=0, **configuration) == pytest.approx(row / 6)
            assert cpd.to_linear_gaussian(configuration) == LinearGaussianCPD(
                "Y", [row, row / 10, -row], row + 1, ["X", "Z"]
            )

    def test_iterates_over_all(self):
        cpd = two_parents()
        pairs = list(cpd.linear_gaussian_cpds())
        assert [configuration for configuration, _ in pairs] == cpd.configurations()
        assert all(linear == cpd.to_linear_gaussian(configuration) for configuration, linear in pairs)

    def test_without_discrete_parents(self):
        cpd = ConditionalGaussianCPD("Y", [[1, 2]], [3], ["X"])
        assert cpd.configurations() == [{}]
        assert cpd.to_linear_gaussian() == LinearGaussianCPD("Y", [1, 2], 3, ["X"])
        assert cpd.variables == ["Y", "X"]

    def test_states_are_found_as_in_data(self):
        cpd = two_parents()
        for state in (1, 1.0, np.int64(1), "1", True):
            linear = cpd.to_linear_gaussian({"K": "b", "L": state, "ignored": []})
            assert linear.beta[0] == 4

    @pytest.mark.parametrize(
        "states",
        [["a", "b"], [0, 1], [False, True], [0.5, np.inf], [("a", 1), ("a", (2,))], np.array([3, 4]), pd.Index(["u"])],
    )
    def test_any_states(self, states):
        n = len(states)
        cpd = ConditionalGaussianCPD("Y", np.zeros((n, 1)), np.arange(n) + 1, None, ["K"], {"K": states, "other": 3})
        assert cpd.state_names == {"K": list(states)}
        assert cpd.to_linear_gaussian({"K": states[-1]}).std == n

    def test_arguments_are_copied(self):
        beta, names = np.zeros((2, 1)), {"K": ["a", "b"]}
        cpd = ConditionalGaussianCPD("Y", beta, [1, 1], [], ["K"], names)
        beta += 1
        names["K"].append("c")
        assert (cpd.beta == 0).all()
        assert cpd.state_names == {"K": ["a", "b"]}
        copy = cpd.copy()
        copy.beta += 1
        assert copy != cpd

    def test_equal_in_another_order(self):
        cpd = two_parents()
        order = [(state, number) for number in (2, 0, 1) for state in ("b", "a")]
        rows = [cpd.configurations().index({"K": state, "L": number}) for state, number in order]
        other = two_parents(
            beta=cpd.beta[rows][:, [0, 2, 1]],
            std=cpd.std[rows],
            evidence=["Z", "X"],
            discrete_evidence=["L", "K"],
            state_names={"L": [2, 0, 1], "K": ["b", "a"]},
        )
        assert cpd == other
        assert other == cpd
        other.std[0] += 1e-3
        assert cpd != other

    @pytest.mark.parametrize(
        "changes",
        [
            {"variable": "V"},
            {"evidence": ["X", "W"]},
            {"discrete_evidence": ["L", "K"], "beta": np.zeros((6, 3))},
            {"state_names": {"K": ["a", "c"], "L": [0, 1, 2]}},
        ],
    )
    def test_different(self, changes):
        assert two_parents() != two_parents(**changes)
        assert two_parents() != "Y"

    def test_text(self):
        lines = str(two_parents()).splitlines()
        assert lines[0] == "P(Y | X, Z, K, L)"
        assert lines[1].split() == ["K", "L", "mean", "std"]
        assert lines[-1].split() == ["b", "2", "5", "+", "0.5*X", "-", "5*Z", "6"]
        assert repr(two_parents()) == "<ConditionalGaussianCPD representing P(Y | X, Z, K:2, L:3)>"
        root = ConditionalGaussianCPD("Y", [[1]], [2])
        assert str(root).split() == ["P(Y)", "mean", "std", "1", "2"]
        assert repr(root) == "<ConditionalGaussianCPD representing P(Y)>"

    def test_a_long_text_is_cut(self):
        cpd = ConditionalGaussianCPD("Y", np.zeros((90, 1)), np.ones(90), [], ["K"], {"K": range(90)})
        assert str(cpd).splitlines()[-1] == "... and 70 more configurations"

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"variable": []}, TypeError, r"evidence of the CPD of \[\] must be a list of variables, or None\."),
            ({"evidence": "XZ"}, TypeError, r"evidence of the CPD of 'Y' must be a list of variables, or None\."),
            (
                {"evidence": ["X", "X"]},
                ValueError,
                r"has the parents \['X', 'X', 'K', 'L'\]; they must differ from each",
            ),
            ({"evidence": ["X", "Y"]}, ValueError, r"they must differ from each other and from the variable\."),
            (
                {"state_names": None},
                ValueError,
                r"state_names of the CPD of 'Y' must have the states of \['K', 'L'\]\.",
            ),
            ({"state_names": ["a"]}, TypeError, r"state_names must be a dict, or None\. Got: list\."),
            ({"state_names": {"K": "ab", "L": [0, 1, 2]}}, ValueError, r"the states of 'K' in the CPD of 'Y' must be"),
            ({"state_names": {**STATES, "K": [1, True]}}, ValueError, r"a list of distinct texts.* Got: \[1, True\]\."),
            ({"state_names": {**STATES, "K": ["a", None]}}, ValueError, r"none of them missing\. Got: \['a', None\]\."),
            (
                {"beta": np.zeros((5, 3))},
                ValueError,
                r"beta of the CPD of 'Y' must have the shape \(6, 3\).*\(5, 3\)\.",
            ),
            ({"beta": [["x"]]}, TypeError, r"beta of the CPD of 'Y' must be an array of numbers: could not convert"),
            ({"beta": np.full((6, 3), np.nan)}, ValueError, r"beta of the CPD of 'Y' must be finite\. Got: \[\[nan"),
            ({"std": 1}, ValueError, r"std of the CPD of 'Y' must have the shape \(6,\).* Got: \(\)\."),
            ({"std": [0, 1, 1, 1, 1, 1]}, ValueError, r"std of the CPD of 'Y' must be > 0\. Got: \[0\.0, 1\.0"),
        ],
    )
    def test_wrong_arguments(self, changes, error, message):
        with pytest.raises(error, match=message):
            two_parents(**changes)

    @pytest.mark.parametrize(
        ("assignment", "message"),
        [
            (None, r"the CPD of 'Y' needs a state of its discrete parent 'K', one of \['a', 'b'\]\."),
            ({"K": "a"}, r"the CPD of 'Y' needs a state of its discrete parent 'L', one of \[0, 1, 2\]\."),
            ({"K": "a", "L": 3}, r"knows no state 3 of its discrete parent 'L'\. Known: \[0, 1, 2\]\."),
            ({"K": ["a"], "L": 0}, r"knows no state \['a'\] of its discrete parent 'K'\. Known: \['a', 'b'\]\."),
        ],
    )
    def test_wrong_assignments(self, assignment, message):
        with pytest.raises(ValueError, match=message):
            two_parents().to_linear_gaussian(assignment)


class TestFunctional:
    def test_without_pyro(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyro.distributions", None)
        monkeypatch.setitem(sys.modules, "torch", None)
        with pytest.raises(
            ImportError, match=r"of 'Y', needs pyro\. Install it with: pip install 'pgmpy_em_ext\[pyro\]'"
        ):
            two_parents().to_functional_cpd()

    def test_densities_are_those_of_each_configuration(self):
        pytest.importorskip("pyro")
        torch = pytest.importorskip("torch")
        cpd = two_parents()
        positions = np.array([[0, 0], [0, 2], [1, 0], [1, 1]])
        x, z = np.random.default_rng(0).normal(size=(2, 4))
        parents = {"X": x, "Z": z, "K": positions[:, 0], "L": positions[:, 1]}
        found = cpd.to_functional_cpd().fn({name: torch.as_tensor(value) for name, value in parents.items()})
        row = positions @ [3, 1]
        np.testing.assert_allclose(found.mean.numpy(), cpd.beta[row, 0] + cpd.beta[row, 1] * x + cpd.beta[row, 2] * z)
        np.testing.assert_allclose(found.stddev.numpy(), cpd.std[row])
