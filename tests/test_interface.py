"""What pgmpy and skbase take for granted of an estimator."""

import importlib
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from pgmpy.inference import VariableElimination
from pgmpy.models import DiscreteBayesianNetwork
from pgmpy.parameter_estimator import DiscreteEM, DiscreteMLE
from skbase.testing import TestAllObjects as ContractSuite

import pgmpy_em_ext
from pgmpy_em_ext import K2, EStep, ExactEStep, ImpossibleEvidenceError, WeightedEM

DATA = pd.DataFrame({"A": [0, 1, None, 1], "B": [0, None, 1, 1]})


@pytest.fixture
def model():
    return DiscreteBayesianNetwork([("A", "B")])


class TestContract(ContractSuite):
    """skbase's own suite, on every object of the package."""

    package_name = "pgmpy_em_ext"
    # Abstract, or made by the package alone from what the user gives.
    exclude_objects = (
        "ComponentEStep",
        "CountingStart",
        "EStep",
        "GivenStart",
        "Initializer",
        "PgmpyEStep",
        "Prior",
        "Schedule",
    )
    valid_tags = (
        "ascends",
        "exact",
        "name",
        "supported_model_types",
        "supports_latent_variables",
        "supports_weighted_data",
    )


def test_the_contract_suite_sees_every_object():
    found = {found.__name__ for found in TestContract()._all_objects()}
    assert {"WeightedEM", "ExactEStep", "EnumerationEStep", "K2", "BDeu", "Dirichlet", "RandomStart"} <= found
    assert {"AutoEStep", "GibbsEStep", "LikelihoodWeightingEStep", "ApproxInferenceEStep"} <= found
    assert {"SAEM", "Fixed", "Ascent"} <= found
    assert len(found) >= 23


class TestDiscreteEMsKeywords:
    def test_same_order(self):
        theirs = list(inspect.signature(DiscreteEM).parameters)
        assert list(inspect.signature(WeightedEM).parameters)[: len(theirs)] == theirs

    def test_all_are_accepted(self, model):
        settings = {
            "state_names": {"A": [0, 1], "B": [0, 1]},
            "latent_card": {},
            "m_step_estimator": DiscreteMLE(),
            "max_iter": 50,
            "atol": 1e-8,
            "n_jobs": 1,
            "batch_size": 10,
            "seed": 3,
            "init_cpds": "random",
            "show_progress": False,
        }
        assert WeightedEM(**settings).fit(model, DATA).converged_
        assert WeightedEM(*settings.values()).get_params()["init_cpds"] == "random"

    def test_the_same_answer_where_both_can_answer(self):
        """A latent cause, no holes: DiscreteEM's case."""
        rng = np.random.default_rng(0)
        cause = rng.integers(0, 2, 60)
        data = pd.DataFrame({item: (cause + (rng.random(60) < 0.2)) % 2 for item in "XYZ"})
        model = DiscreteBayesianNetwork([("H", item) for item in "XYZ"], latents={"H"})
        start = {cpd.variable: cpd for cpd in WeightedEM(seed=1, n_init=1).fit(model, data).parameters_}
        theirs = DiscreteEM(init_cpds=start, max_iter=30, show_progress=False).fit(model, data).parameters_
        ours = WeightedEM(init_cpds=start, max_iter=5000, tol=0, atol=1e-8).fit(model, data).parameters_
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.variables == other.variables
            np.testing.assert_allclose(mine.get_values(), other.get_values(), atol=2e-3)


class TestModelsFit:
    def test_returns_the_model_with_cpds(self, model):
        estimator = WeightedEM()
        assert model.fit(DATA, estimator=estimator) is model
        assert model.check_model()
        assert [cpd.variable for cpd in estimator.parameters_] == list(model.nodes())
        assert model.get_cpds() == estimator.parameters_

    def test_pgmpys_inference_goes_on(self, model):
        estimator = WeightedEM()
        model.fit(DATA, estimator=estimator)
        answer = VariableElimination(model).query(["A"], evidence={"B": 1}, show_progress=False)
        ours = estimator.predict_proba(pd.DataFrame({"A": [None], "B": [1]}))["A"]
        np.testing.assert_allclose(answer.values, ours.to_numpy()[0], rtol=1e-12)

    def test_parents_are_sorted_as_pgmpy_sorts_them(self):
        model = DiscreteBayesianNetwork([("Z", "X"), ("A", "X"), ("M", "X")])
        rng = np.random.default_rng(0)
        data = pd.DataFrame(rng.integers(0, 2, (50, 4)), columns=list("ZAMX"))
        assert WeightedEM().fit(model, data).parameters_[1].variables == ["X", "A", "M", "Z"]


class TestEstimatorObject:
    def test_clone_and_params(self):
        estimator = WeightedEM(prior=K2(), e_step=ExactEStep(prune_barren=False), tol=1e-5)
        copy = estimator.clone()
        assert copy is not estimator
        assert copy.get_params()["e_step__prune_barren"] is False
        assert copy.tol == 1e-5
        copy.set_params(e_step__prune_barren=True, tol=0.1)
        assert estimator.e_step.prune_barren is False

    def test_a_clone_is_not_fitted(self, model):
        estimator = WeightedEM().fit(model, DATA)
        assert estimator.is_fitted
        assert not estimator.clone().is_fitted

    def test_setting_parameters_forgets_the_fit(self, model):
        estimator = WeightedEM().fit(model, DATA)
        estimator.set_params(tol=0.1)
        assert not hasattr(estimator, "parameters_")

    def test_pickle(self, model):
        estimator = WeightedEM(prior="K2", seed=0).fit(model, DATA)
        copy = pickle.loads(pickle.dumps(estimator))
        assert copy.score(DATA) == estimator.score(DATA)
        assert copy.history_ == estimator.history_
        pd.testing.assert_frame_equal(copy.impute(DATA), estimator.impute(DATA))

    def test_errors_pickle(self):
        error = pickle.loads(pickle.dumps(ImpossibleEvidenceError(3, {"A": 1})))
        assert (error.row, error.values) == (3, {"A": 1})
        assert "row 3" in str(error)

    def test_everything_public_is_documented(self):
        for name in pgmpy_em_ext.__all__:
            if name not in ("MISSING", "__version__"):
                assert len(inspect.getdoc(getattr(pgmpy_em_ext, name))) > 30, name


class TestFromModel:
    """An estimator that answers with CPDs that are known already."""

    @pytest.fixture
    def known(self, model):
        return model.fit(DATA, estimator=WeightedEM(prior="K2"))

    def test_answers_as_a_fit_does(self, known):
        fitted = WeightedEM(prior="K2").fit(DiscreteBayesianNetwork([("A", "B")]), DATA)
        estimator = WeightedEM.from_model(known)
        np.testing.assert_array_equal(estimator.score_samples(DATA), fitted.score_samples(DATA))
        assert estimator.state_names_ == fitted.state_names_
        pd.testing.assert_frame_equal(estimator.impute(DATA), fitted.impute(DATA))
        assert not hasattr(estimator, "history_")

    def test_the_model_is_left_alone(self, known):
        before = [cpd.copy() for cpd in known.get_cpds()]
        assert WeightedEM.from_model(known, seed=1).seed == 1
        assert before == known.get_cpds()

    @pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"seed": -1}, {"tol": -1}])
    def test_a_wrong_argument(self, known, wrong):
        with pytest.raises(ValueError, match=rf"{next(iter(wrong))} must be"):
            WeightedEM.from_model(known, **wrong)

    def test_a_wrong_column(self, known):
        known.get_cpds("A").values = np.array([0.4, 0.4])
        with pytest.raises(ValueError, match=r"the model: a column of the CPD of 'A' sums to 0\.8;"):
            WeightedEM.from_model(known)

    def test_a_cpd_is_missing(self, known):
        known.remove_cpds("B")
        with pytest.raises(ValueError, match=r"the model has no CPD of \['B'\]: fit it first"):
            WeightedEM.from_model(known)


class TestLazyImports:
    def test_every_public_name_is_there(self):
        for name in pgmpy_em_ext.__all__:
            assert getattr(pgmpy_em_ext, name) is not None
            assert name in dir(pgmpy_em_ext)

    @pytest.mark.parametrize("folder", ["cpd_family", "e_step", "em", "em.acceleration", "start"])
    def test_so_is_what_extenders_use(self, folder):
        """No name that the page on extending needs begins with an underscore."""
        package = importlib.import_module(f"pgmpy_em_ext.{folder}")
        for name in package.__all__:
            assert getattr(package, name) is not None
            assert not name.startswith("_")
        page = (Path(pgmpy_em_ext.__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
        assert "._" not in "".join(line for line in page.splitlines() if line.startswith("from pgmpy_em_ext"))

    def test_an_unknown_name(self):
        with pytest.raises(AttributeError, match="No pgmpy_em_ext attribute StrongEM"):
            _ = pgmpy_em_ext.StrongEM

    def test_the_package_alone_does_not_import_pgmpy(self):
        code = "import sys, pgmpy_em_ext; sys.exit('pgmpy' in sys.modules or 'numpy' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    @pytest.mark.parametrize(
        "fit",
        [
            "models.DiscreteBayesianNetwork([('A', 'B')]).fit(table, estimator=ext.WeightedEM(seed=0))",
            "ext.LinearGaussianEM(seed=0).fit(models.LinearGaussianBayesianNetwork([('A', 'B')]), table)",
            "ext.ConditionalGaussianEM(seed=0, discrete=['A']).fit(DAG([('A', 'B')]), table).impute(table)",
        ],
    )
    def test_the_first_fit_of_a_process_is_silent_and_loads_what_it_uses(self, fit):
        code = (
            "import sys, pandas as pd, pgmpy_em_ext as ext\n"
            "from pgmpy import config, models\n"
            "from pgmpy.base import DAG\n"
            "config.SHOW_PROGRESS = False\n"
            "table = pd.DataFrame({'A': [0, 1] * 4, 'B': [0.5, 1.0, None, 0.2, 0.9, 0.1, 0.4, None]})\n"
            f"{fit}\n"
            "print([name for name in ('pgmpy.sampling', 'pgmpy.estimators', 'statsmodels') if name in sys.modules])\n"
        )
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


class TestEngines:
    @pytest.mark.parametrize("name", ["exact", "enumeration", "variable_elimination", "belief_propagation"])
    def test_all_climb_to_the_same_maximum(self, model, name):
        estimator = WeightedEM(e_step=name, tol=1e-6).fit(model, DATA)
        exact = WeightedEM(tol=1e-6).fit(model, DATA)
        assert estimator.objective_ == pytest.approx(exact.objective_, abs=1e-5)

    def test_by_class_and_instance(self, model):
        by_name = WeightedEM().fit(model, DATA)
        for given in (ExactEStep, ExactEStep()):
            assert WeightedEM(e_step=given).fit(model, DATA).objective_ == by_name.objective_

    def test_ones_own(self, model):
        class Counting(EStep):
            """Hands everything on to the exact engine, and counts the calls."""

            _tags: ClassVar = {"name": "counting"}

            def __init__(self):
                self.n_calls = 0
                super().__init__()

            def prepare(self, network, evidence):
                return ExactEStep().prepare(network, evidence)

            def expected_statistics(self, plan, parameters):
                self.n_calls += 1
                return ExactEStep().expected_statistics(plan, parameters)

        engine = Counting()
        estimator = WeightedEM(e_step=engine).fit(model, DATA)
        assert engine.n_calls == estimator.n_iter_ + 1
        assert estimator.reduction_.engine == {}
