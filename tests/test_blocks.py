"""Independent blocks of families: told apart rightly, evaluated apart, and each at rest when it has converged."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pgmpy.models import DiscreteBayesianNetwork
from problems import cases, random_parameters
from sklearn.exceptions import ConvergenceWarning

from pgmpy_em_ext import ExactEStep, WeightedEM
from pgmpy_em_ext.e_step.exact import sections, zeros
from pgmpy_em_ext.restarts import checkpoint

BACKENDS = ["numpy", "numba"]


@pytest.mark.parametrize("backend", BACKENDS)
@given(case=cases(), seed=st.integers(0, 99))
def test_other_blocks_parameters_do_not_matter_to_a_bit(backend, case, seed):
    engine = ExactEStep(backend=backend)
    plan = engine.prepare(case.network, case.evidence)
    blocks = engine.blocks(plan)
    positive = random_parameters(case.network, np.random.default_rng(seed))
    one = engine.expected_statistics(plan, positive)
    assert one.log_likelihood == pytest.approx(one.block_log_likelihood.sum(), rel=1e-15)
    other_draw = random_parameters(case.network, np.random.default_rng(seed + 1))
    for block in range(blocks.n_blocks):
        own = blocks.of_cell == block
        changed = np.where(own, positive, other_draw)
        active = np.arange(blocks.n_blocks + 1) == block
        for two in (
            engine.expected_statistics(plan, changed),
            engine.expected_statistics(plan, changed, active=active),
        ):
            assert two.block_log_likelihood[block] == one.block_log_likelihood[block]
            np.testing.assert_array_equal(two.counts[own], one.counts[own])


@pytest.mark.parametrize("backend", BACKENDS)
@given(case=cases(), seed=st.integers(0, 99))
def test_what_rests_counts_for_nothing(backend, case, seed):
    engine = ExactEStep(backend=backend)
    plan = engine.prepare(case.network, case.evidence)
    blocks = engine.blocks(plan)
    active = np.random.default_rng(seed).random(blocks.n_blocks + 1) < 0.5
    full = engine.expected_statistics(plan, case.parameters)
    found = engine.expected_statistics(plan, case.parameters, active=active)
    np.testing.assert_array_equal(found.counts, np.where(active[blocks.of_cell], full.counts, 0))
    np.testing.assert_array_equal(found.block_log_likelihood, np.where(active, full.block_log_likelihood, 0))


@given(case=cases())
def test_families_outside_all_blocks_need_no_inference(case):
    """Their counts are the same whatever the parameters."""
    engine = ExactEStep()
    plan = engine.prepare(case.network, case.evidence)
    outside = engine.blocks(plan).of_cell == engine.blocks(plan).n_blocks
    one, other = (
        engine.expected_statistics(plan, random_parameters(case.network, np.random.default_rng(seed))).counts
        for seed in (1, 2)
    )
    np.testing.assert_array_equal(one[outside], other[outside])


class _SpyingEStep(ExactEStep):
    """Notes which blocks are evaluated, and keeps the plan."""

    def prepare(self, network, evidence):
        plans.append(super().prepare(network, evidence))
        return plans[-1]

    def expected_statistics(self, plan, parameters, active=None):
        evaluated.append(None if active is None else active.copy())
        return super().expected_statistics(plan, parameters, active)


evaluated: list = []
plans: list = []


@pytest.fixture
def two_latents():
    """A pair of latent class models that touch at an observed node; one is easy, one is slow."""
    rng = np.random.default_rng(0)
    n_rows = 600
    easy, slow = rng.random(n_rows) < 0.4, rng.random(n_rows) < 0.5
    columns = {f"E{i}": rng.random(n_rows) < np.where(easy, 0.97, 0.03) for i in range(4)}
    columns |= {f"S{i}": rng.random(n_rows) < np.where(slow, 0.65, 0.4) for i in range(4)}
    columns["X"] = rng.random(n_rows) < 0.5
    model = DiscreteBayesianNetwork(
        [("H", f"E{i}") for i in range(4)] + [("G", f"S{i}") for i in range(4)] + [("X", "H"), ("X", "G")],
        latents={"H", "G"},
    )
    return model, pd.DataFrame(columns).astype(int)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_block_that_has_converged_is_not_evaluated_again(two_latents, backend):
    evaluated.clear()
    model, data = two_latents
    settings = {"seed": 1, "n_init": 1, "show_progress": False}
    estimator = WeightedEM(e_step=_SpyingEStep(backend=backend), **settings).fit(model, data)
    one_rests = [active is not None and active[:-1].sum() == 1 for active in evaluated]
    assert estimator.converged_
    assert sum(one_rests) > 10
    assert (np.diff(estimator.history_) > -1e-9).all()
    best = WeightedEM(**settings, tol=1e-9, max_iter=20_000).fit(model, data)
    assert 0 <= best.objective_ - estimator.objective_ < 2e-3


def test_with_tol_0_nothing_rests(two_latents):
    evaluated.clear()
    model, data = two_latents
    settings = {"seed": 1, "n_init": 1, "tol": 0, "max_iter": 200, "show_progress": False}
    with pytest.warns(UserWarning, match="did not converge"):
        estimator = WeightedEM(e_step=_SpyingEStep(), **settings).fit(model, data)
    assert estimator.n_iter_ == 200
    assert all(active is None for active in evaluated)


def test_a_block_of_fixed_cpds_is_evaluated_once(two_latents):
    evaluated.clear()
    model, data = two_latents
    settings = {"seed": 1, "n_init": 1, "show_progress": False}
    first = WeightedEM(**settings).fit(model, data)
    fixed = {cpd.variable: cpd for cpd in first.parameters_ if cpd.variable in ("H", "E0", "E1", "E2", "E3")}
    again = WeightedEM(e_step=_SpyingEStep(), fixed_cpds=fixed, **settings).fit(model, data)
    assert evaluated[0] is None
    assert all(active[:-1].sum() == 1 for active in evaluated[1:])
    assert again.objective_ == pytest.approx(first.objective_, abs=2e-3)


def test_an_interrupted_fit_with_a_block_at_rest_goes_on_to_the_same_bits(two_latents, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN_SAVES", 0.0)
    model, data = two_latents
    settings = {"seed": 1, "n_init": 1, "show_progress": False}
    whole = WeightedEM(**settings).fit(model, data)
    path = tmp_path / "fit.npz"

    class InterruptedFitError(Exception):
        pass

    def interrupt(iteration):
        if iteration.n_iter == whole.n_iter_ - 5:
            raise InterruptedFitError

    with pytest.raises(InterruptedFitError):
        WeightedEM(callback=interrupt, checkpoint=path, **settings).fit(model, data)
    again = WeightedEM(checkpoint=path, **settings).fit(model, data)
    assert again.history_ == whole.history_
    for mine, theirs in zip(again.parameters_, whole.parameters_, strict=True):
        np.testing.assert_array_equal(mine.get_values(), theirs.get_values())


def test_sections_and_blocks_together(two_latents, monkeypatch):
    """Blocks rest in every section, and the answer is that of one section."""
    model, data = two_latents
    settings = {"seed": 1, "n_init": 1, "show_progress": False, "e_step": _SpyingEStep(backend="numba")}
    whole = WeightedEM(**settings).fit(model, data)
    monkeypatch.setattr(sections, "READS_PER_SECTION", 100)
    monkeypatch.setattr(sections, "READS_PER_SHARED_VALUE", 0.1)
    in_sections = [WeightedEM(n_jobs=n_jobs, **settings).fit(model, data) for n_jobs in (1, 3)]
    assert len(plans[-1].sweeps.packed.sections) > 3
    assert in_sections[0].history_ == in_sections[1].history_
    np.testing.assert_allclose(in_sections[0].history_, whole.history_, rtol=1e-10)


def test_an_interrupted_fit_with_zeros_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """The plan is made anew on the way, as entries sink to zero, and so it is after the interruption."""
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(zeros, "FEW", 0)
    monkeypatch.setattr(zeros, "SMALL", 0)
    monkeypatch.setattr(zeros, "WORTHWHILE", 1)
    rng = np.random.default_rng(0)
    hidden = rng.integers(0, 4, 300)
    data = pd.DataFrame({f"X{i}": (hidden + (rng.random(300) < 0.02 * i)) % 4 for i in range(6)})
    data = data.astype(object).mask(rng.random(data.shape) < 0.3)
    model = DiscreteBayesianNetwork([("H", f"X{i}") for i in range(6)], latents={"H"})
    settings = {"seed": 0, "n_init": 1, "latent_card": {"H": 6}, "max_iter": 900, "tol": 0, "show_progress": False}
    settings["e_step"] = ExactEStep(backend="numba")
    masks = []
    original = ExactEStep.without_zeros
    monkeypatch.setattr(
        ExactEStep, "without_zeros", lambda engine, plan, zero: masks.append(zero) or original(engine, plan, zero)
    )
    with pytest.warns(UserWarning, match="did not converge"):
        whole = WeightedEM(**settings).fit(model, data)
    n_plans = len(masks)
    assert n_plans > 1

    class InterruptedFitError(Exception):
        pass

    def interrupt(iteration):
        if iteration.n_iter == 890:
            raise InterruptedFitError

    path = tmp_path / "fit.npz"
    with pytest.raises(InterruptedFitError):
        WeightedEM(callback=interrupt, checkpoint=path, **settings).fit(model, data)
    with pytest.warns(UserWarning, match="did not converge"):
        again = WeightedEM(checkpoint=path, **settings).fit(model, data)
    assert len(masks) == 2 * n_plans + 1  # once more, when the interrupted fit goes on
    np.testing.assert_array_equal(masks[-1], masks[n_plans - 1])
    assert again.history_ == whole.history_


@pytest.mark.parametrize("tol", [1e-6, 0])
def test_a_smaller_tol_wakes_what_rests(two_latents, tmp_path, tol):
    """A finished fit is taken up with a smaller tol, and comes as far as if it had had it from the start."""
    model, data = two_latents
    settings = {"seed": 1, "n_init": 1, "show_progress": False, "max_iter": 3000}
    path = tmp_path / "fit.npz"
    first = WeightedEM(tol=1.0, checkpoint=path, **settings).fit(model, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again = WeightedEM(tol=tol, checkpoint=path, **settings).fit(model, data)
    fresh = WeightedEM(tol=1e-6, **settings).fit(model, data)
    assert again.n_iter_ > first.n_iter_
    assert again.objective_ == pytest.approx(fresh.objective_, abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_resting_loses_nothing_that_stopping_does_not_lose(seed):
    """Six independent latent classes, some on a plateau for a while: with blocks told apart, and as one."""
    rng = np.random.default_rng(seed)
    columns, edges = {}, []
    for group in range(6):
        hidden = rng.random(400) < 0.5
        for item in range(3):
            columns[f"X{group}{item}"] = (rng.random(400) < np.where(hidden, *rng.random(2))).astype(int)
            edges.append((f"H{group}", f"X{group}{item}"))
    model = DiscreteBayesianNetwork(edges, latents={f"H{group}" for group in range(6)})

    class Whole(ExactEStep):
        def blocks(self, plan):
            return None

    settings = {"seed": 0, "n_init": 1, "tol": 1e-2, "show_progress": False, "max_iter": 5000}
    apart, whole = (
        WeightedEM(e_step=engine, **settings).fit(model, pd.DataFrame(columns)) for engine in (ExactEStep(), Whole())
    )
    assert apart.objective_ > whole.objective_ - 1e-2
