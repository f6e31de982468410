"""How far the log-likelihood of a fit with sampled E-steps may be from that of an exact one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from pgmpy.models import DiscreteBayesianNetwork
from problems import cases, random_parameters

from pgmpy_em_ext import GibbsEStep, WeightedEM
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.e_step.statistics import SamplingNoise
from pgmpy_em_ext.em.stochastic.precision import likelihood_error

MODEL = DiscreteBayesianNetwork([("A", "B"), ("A", "C"), ("B", "C")])


def table():
    rng = np.random.default_rng(4)
    first = rng.integers(0, 3, 60)
    second = (first + (rng.random(60) < 0.3)) % 3
    third = (second + (rng.random(60) < 0.3)) % 3
    data = pd.DataFrame({"A": first, "B": second, "C": third}).astype(object)
    return data.mask(rng.random(data.shape) < 0.35)


def deviations(n_seeds, **settings):
    """What the fits of several seeds lack in log-likelihood, and what they say of it."""
    data = table()
    exact = WeightedEM(e_step="exact", tol=1e-8, show_progress=False, **settings).fit(MODEL, data)
    start = {cpd.variable: cpd for cpd in exact.parameters_}
    engine = GibbsEStep(max_table_size=2)
    fits = [
        WeightedEM(e_step=engine, seed=seed, tol=0.01, init_cpds=start, show_progress=False, **settings).fit(
            MODEL, data
        )
        for seed in range(n_seeds)
    ]
    errors = np.array([fit.mc_standard_error_.log_likelihood for fit in fits])
    return np.array([fit.log_likelihood_ - exact.log_likelihood_ for fit in fits]), errors, fits


def check_repetition(n_seeds, low, high):
    off, errors, fits = deviations(n_seeds, prior="K2")
    assert all(fit.mc_standard_error_.evaluation < 1e-10 for fit in fits)  # each row is summed exactly, and so said
    assert low < np.sqrt(np.mean((off / errors) ** 2)) < high
    assert np.abs(off).max() > 1e6 * max(fit.mc_standard_error_.evaluation for fit in fits)


def test_repetition_with_a_prior():
    check_repetition(4, 0.3, 2.2)  # of the chi-square distribution with 4 degrees of freedom 0.1 % and 99.9 %


@pytest.mark.campaign
def test_many_repetitions_with_a_prior():
    check_repetition(60, 0.7, 1.35)


def test_without_a_prior_errors_count_in_second_order():
    off, errors, fits = deviations(2)
    assert (errors < 1e-10).all()
    assert all(abs(each) < fit.gap_ for each, fit in zip(off, fits, strict=True))


@given(case=cases(max_nodes=4, max_card=3))
def test_the_slope_of_the_prior(case):
    """Against differences, along columns."""
    network = case.network
    rng = np.random.default_rng(0)
    family = Categorical(network, rng.random(network.n_cells), rng.random(len(network.column_sizes)) < 0.2)
    parameters, other = random_parameters(network, rng), random_parameters(network, rng)
    moves = ~family.fixed[network.column_of_cell]
    direction = np.where(moves, (other - parameters) * parameters.min(), 0.0)
    step = 1e-5
    up, down = (family.log_priors(parameters + sign * step * direction).sum() for sign in (1, -1))
    slope = family.prior_gradient(parameters) @ direction
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-6)


def test_errors_that_go_together():
    """Two columns whose counts move as one: their errors add up, or cancel, and are not independent."""
    network = build_network("AB", {}, {"A": [0, 1], "B": [0, 1]})
    family = Categorical(network, np.full(4, 1.0), np.zeros(2, dtype=bool))
    parameters, counts = np.array([0.3, 0.7, 0.3, 0.7]), np.array([30.0, 70, 30, 70])
    shift = np.array([1.0, -1, 0, 0])[None] * np.array([[1.0], [-1], [2], [-2]])
    alike, opposite = shift + np.roll(shift, 2, axis=1), shift - np.roll(shift, 2, axis=1)
    errors = np.full(4, 0.01)
    slope = abs(family.prior_gradient(parameters)[0] - family.prior_gradient(parameters)[1])

    def of(batches):
        noise = SamplingNoise(counts + batches, 0.0, 1.0, np.zeros(4))
        return likelihood_error(family, parameters, errors, noise, counts)

    assert of(alike) == pytest.approx(2 * slope * 0.01)
    assert of(opposite) == pytest.approx(0, abs=1e-9)
    worst = of(alike[:1])  # a single batch tells nothing
    assert worst == pytest.approx(2 * slope * 0.01)
    unknown = SamplingNoise(counts + alike, 0.0, 1.0, np.zeros(4))
    assert likelihood_error(family, parameters, np.full(4, np.inf), unknown, counts) == np.inf
