"""How far a fit says it is from the maximum nearby."""

import numpy as np
import pandas as pd
import pytest
from pgmpy.base import DAG
from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork

from pgmpy_em_ext import ConditionalGaussianEM, LinearGaussianEM, WeightedEM

PAIR = pd.DataFrame({"A": [0, 0, 1, 1, 1], "B": [0, 1, 1, 1, 0]})


class TestCompleteData:
    """One step reaches the maximum, so that nothing is left."""

    @staticmethod
    def check(fit):
        assert (fit.gap_, fit.rate_, fit.n_iter_, fit.status_) == (0, 0, 1, "converged")

    @pytest.mark.parametrize("acceleration", ["auto", "squarem", "lbfgs", None])
    @pytest.mark.parametrize("prior", [None, "K2"])
    def test_tables(self, acceleration, prior):
        estimator = WeightedEM(acceleration=acceleration, prior=prior, show_progress=False)
        self.check(estimator.fit(DiscreteBayesianNetwork([("A", "B")]), PAIR))

    @pytest.mark.parametrize(
        "e_step", ["exact", "sampled", "likelihood_weighting", "enumeration", "belief_propagation"]
    )
    def test_engines(self, e_step):
        self.check(
            WeightedEM(e_step=e_step, seed=0, show_progress=False).fit(DiscreteBayesianNetwork([("A", "B")]), PAIR)
        )

    def test_regressions(self):
        self.check(LinearGaussianEM(show_progress=False).fit(LinearGaussianBayesianNetwork([("A", "B")]), PAIR * 1.0))

    @pytest.mark.parametrize("columns", [["A"], ["A", "B"]])
    def test_mixed(self, columns):
        self.check(ConditionalGaussianEM(discrete=columns, show_progress=False).fit(DAG([("A", "B")]), PAIR))

    def test_several_starts(self):
        fit = WeightedEM(n_init=3, seed=0, show_progress=False).fit(DiscreteBayesianNetwork([("A", "B")]), PAIR)
        assert fit.gap_ == 0

    def test_no_step_tells_nothing(self):
        estimator = WeightedEM(max_iter=0, show_progress=False)
        with pytest.warns(UserWarning, match="did not converge within max_iter=0"):
            assert estimator.fit(DiscreteBayesianNetwork([("A", "B")]), PAIR).gap_ == np.inf
