"""Sampled E-steps: components too large for exact inference, by chains or by weights, against the full joint."""

import gzip
import time
import warnings
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pgmpy.models import DiscreteBayesianNetwork
from pgmpy.readwrite import BIFReader
from problems import ProblemCase, brute_force, cases, random_parameters, sample_codes, to_frame, to_pgmpy

from pgmpy_em_ext import (
    ApproxInferenceEStep,
    AutoEStep,
    DegenerateWeightsError,
    ExactEStep,
    GibbsEStep,
    ImpossibleEvidenceError,
    LikelihoodWeightingEStep,
    WeightedEM,
)
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.e_step.importance import summarize_weights
from pgmpy_em_ext.em.step import Problem
from pgmpy_em_ext.em.stochastic.judge import judge, lift
from pgmpy_em_ext.em.stochastic.rate import measure_rate
from pgmpy_em_ext.prepare.tables import prepare, read_parameters


@cache
def example(name):
    """A network that pgmpy carries: arrays and parameters."""
    packed = (files("pgmpy") / "utils" / "example_models" / f"{name}.bif.gz").read_bytes()
    return read_parameters(BIFReader(string=gzip.decompress(packed).decode()).get_model())


@cache
def holes(name, n_rows, share, seed=0):
    """Rows of such a network with cells missing at random."""
    network, parameters = example(name)
    rng = np.random.default_rng(seed)
    codes = sample_codes(network, parameters, n_rows, rng)
    codes[rng.random(codes.shape) < share] = -1
    return ProblemCase(network, parameters, codes, np.ones(n_rows))


def parity_ring(n):
    """Hidden bits in a ring, each as likely as not, and the parity of neighbours."""
    names = [f"h{i}" for i in range(n)] + [f"x{i}" for i in range(n)]
    parents = {f"x{i}": [f"h{i}", f"h{(i + 1) % n}"] for i in range(n)}
    network = build_network(names, parents, {name: [0, 1] for name in names})
    parameters = np.full(network.n_cells, 0.5)
    for node in range(n):
        network.block(parameters, n + node)[...] = np.eye(2)[[[0, 1], [1, 0]]]
    return network, parameters


def exact_statistics(case, **arguments):
    engine = ExactEStep(**arguments)
    return engine.expected_statistics(engine.prepare(case.network, case.evidence), case.parameters)


def sampled_statistics(case, engine):
    return engine.expected_statistics(engine.prepare(case.network, case.evidence), case.parameters)


def scores(found, counts):
    """How many of their own standard errors the counts are off; counts without noise must be right."""
    error = found.noise.count_errors
    off = found.counts - counts
    noisy = error > 1e-12 * (1 + counts)  # what remains of equal batches is rounding
    np.testing.assert_allclose(off[~noisy], 0, atol=1e-9)
    return off[noisy] / error[noisy]


class TestFullJoint:
    @settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
    @given(cases(max_nodes=6), st.sampled_from([1, 2, 4, 8]), st.booleans())
    def test_counts_and_likelihood(self, case, limit, prune_barren):
        """Any zeros, any holes, any weights. Errors are those of 20 batches: the limit is wide."""
        engine = GibbsEStep(n_samples=400, max_table_size=limit, prune_barren=prune_barren, n_likelihood=400)
        found = sampled_statistics(case, engine)
        counts, log_likelihood = brute_force(case)
        if not prune_barren:
            assert np.abs(scores(found, counts)).max(initial=0) < 7
            for start, end in zip(case.network.offsets[:-1], case.network.offsets[1:], strict=True):
                assert found.counts[start:end].sum() == pytest.approx(case.weight.sum())
        error = found.noise.log_likelihood_error
        assert abs(found.log_likelihood - log_likelihood) < 6 * error + 1e-9
        np.testing.assert_allclose(found.noise.batch_counts.mean(axis=0), found.counts, rtol=1e-12)

    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(cases(max_nodes=5, max_card=3, deterministic=False), st.sampled_from([1, 4]))
    def test_likelihood_weighting(self, case, limit):
        engine = LikelihoodWeightingEStep(n_samples=2000, max_table_size=limit, prune_barren=False)
        found = sampled_statistics(case, engine)
        counts, log_likelihood = brute_force(case)
        assert np.abs(scores(found, counts)).max(initial=0) < 7
        assert abs(found.log_likelihood - log_likelihood) < 6 * found.noise.log_likelihood_error + 1e-9

    @settings(max_examples=40)
    @given(cases(max_nodes=6))
    def test_one_block_is_exact(self, case):
        """Components that memory has no room for, but a block does, are computed row by row, without noise."""
        largest = 4**7
        engine = GibbsEStep(max_table_size=largest, memory_budget=8 * case.network.n_cells + 200, prune_barren=False)
        try:
            plan = engine.prepare(case.network, case.evidence)
        except ValueError:  # not even the messages' room: the base counts alone exceed so small a budget
            return
        assert engine.is_exact(plan)
        found = engine.expected_statistics(plan, case.parameters)
        counts, log_likelihood = brute_force(case)
        np.testing.assert_allclose(found.counts, counts, atol=1e-9)
        assert found.log_likelihood == pytest.approx(log_likelihood, abs=1e-9)
        assert not found.noise.count_errors.any()


@pytest.mark.parametrize(
    ("name", "n_rows", "share", "limit"), [("asia", 300, 0.5, 4), ("alarm", 150, 0.3, 8), ("insurance", 60, 0.3, 32)]
)
class TestKnownNetworks:
    def test_scores_over_seeds(self, name, n_rows, share, limit):
        case = holes(name, n_rows, share)
        counts = exact_statistics(case).counts
        runs = [sampled_statistics(case, GibbsEStep(400, max_table_size=limit, seed=seed)) for seed in range(4)]
        plan = GibbsEStep(max_table_size=limit).prepare(case.network, case.evidence)
        assert plan.tasks.n_tasks > n_rows / 10
        all_scores = np.concatenate([scores(run, counts) for run in runs])
        assert (np.abs(all_scores) > 4).mean() < 0.01
        clear = np.concatenate(
            [np.abs(run.noise.count_errors / np.maximum(run.noise.resolution, 1e-9)) > 5 for run in runs]
        )
        noisy = np.concatenate([run.noise.count_errors > 0 for run in runs])
        spread = np.sqrt(np.mean(np.square(all_scores[clear[noisy]])))
        assert 0.6 < spread < 1.35

    def test_error_falls_as_one_over_the_root_of_the_draws(self, name, n_rows, share, limit):
        case = holes(name, n_rows, share)
        counts = exact_statistics(case).counts
        error = [
            np.sqrt(
                np.mean(
                    [
                        np.mean(
                            (sampled_statistics(case, GibbsEStep(n, max_table_size=limit, seed=seed)).counts - counts)
                            ** 2
                        )
                        for seed in range(5)
                    ]
                )
            )
            for n in (25, 400)
        ]
        assert error[0] / error[1] == pytest.approx(4, rel=0.4)

    def test_likelihood_within_its_error(self, name, n_rows, share, limit):
        case = holes(name, n_rows, share)
        exact = exact_statistics(case).log_likelihood
        for seed in range(3):
            found = sampled_statistics(case, GibbsEStep(max_table_size=limit, n_likelihood=200, seed=seed))
            assert abs(found.log_likelihood - exact) < 4 * found.noise.log_likelihood_error


def test_expectations_within_blocks_have_less_variance_than_states():
    """Rao-Blackwell: what is counted is the expectation given the cutset, not the state that was drawn."""
    case = holes("alarm", 150, 0.3)
    engine, network = GibbsEStep(1, max_table_size=8), case.network
    plan = engine.prepare(network, case.evidence)
    chains = engine.start_chains(plan, 1)
    expected, plain = [], []
    for _ in range(150):
        found, chains = engine.draw_statistics(plan, case.parameters, chains)
        expected.append(found.counts)
        counts = np.zeros(network.n_cells)
        for c in range(plan.tasks.n_tasks):
            row = chains.states[plan.tasks.chain[c]][None]
            for family in plan.tasks.family[plan.tasks.family_first[c] : plan.tasks.family_first[c + 1]].tolist():
                counts[network.cells(family, row)] += 1
        plain.append(counts)
    blocked, single = np.var(expected, axis=0).sum(), np.var(plain, axis=0).sum()
    assert single > 0
    assert blocked < 0.75 * single
    rest = exact_statistics(case).counts - np.mean(plain, axis=0)
    assert (
        np.abs(np.mean(expected, axis=0) - np.mean(plain, axis=0) - rest) < 5 * np.std(plain, axis=0) / 8 + 0.05
    ).all()


class TestUnlimited:
    @pytest.mark.parametrize("engine", [GibbsEStep(max_table_size=None), AutoEStep()], ids=["sampled", "auto"])
    def test_equals_exact_to_the_last_bit(self, engine):
        rng = np.random.default_rng(0)
        data = pd.DataFrame({item: rng.integers(0, 3, 80) for item in "WXYZ"}).astype(object)
        data = data.mask(rng.random(data.shape) < 0.2)
        data["One"] = "only"
        model = DiscreteBayesianNetwork([("H", "W"), ("H", "X"), ("X", "Y"), ("One", "Y"), ("Y", "Z")], latents={"H"})
        settings = {"seed": 0, "n_init": 4, "max_iter": 60, "tol": 1e-2}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            ours = WeightedEM(e_step=engine, **settings).fit(model, data)
            theirs = WeightedEM(e_step="exact", **settings).fit(model, data)
        assert ours.history_ == theirs.history_
        for mine, other in zip(ours.parameters_, theirs.parameters_, strict=True):
            np.testing.assert_array_equal(mine.get_values(), other.get_values())
        assert ours.mc_standard_error_.log_likelihood == 0
        assert not any(frame.to_numpy().any() for frame in ours.mc_standard_error_.cpds.values())


class TestDeterminism:
    def fit(self, data, weight=None, **settings):
        model = DiscreteBayesianNetwork([("A", "B"), ("A", "C"), ("B", "D"), ("C", "D"), ("B", "E"), ("C", "E")])
        engine = GibbsEStep(max_table_size=4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return WeightedEM(e_step=engine, seed=5, max_iter=25, prior="K2", **settings).fit(model, data, weight)

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls):
        rng = np.random.default_rng(1)
        table = pd.DataFrame({item: rng.integers(0, 2, 200) for item in "ABCDE"}).astype(object)
        return table.mask(rng.random(table.shape) < 0.5)

    def same(self, one, other):
        assert one.history_ == other.history_
        for mine, theirs in zip(one.parameters_, other.parameters_, strict=True):
            np.testing.assert_array_equal(mine.get_values(), theirs.get_values())

    def test_threads(self, data):
        self.same(self.fit(data), self.fit(data, n_jobs=2))

    def test_row_order(self, data):
        self.same(self.fit(data), self.fit(data.sample(frac=1, random_state=0)))

    def test_repetition_and_weights(self, data):
        self.same(self.fit(pd.concat([data, data])), self.fit(data, np.full(len(data), 2)))

    def test_another_seed_draws_otherwise(self, data):
        model = DiscreteBayesianNetwork([("A", "B"), ("A", "C"), ("B", "D"), ("C", "D"), ("B", "E"), ("C", "E")])
        one, other = (
            WeightedEM(e_step=GibbsEStep(max_table_size=4), seed=seed, prior="K2").fit(model, data) for seed in (0, 1)
        )
        assert one.history_[1:] != other.history_[1:]

    def test_a_checkpoint_goes_on_bit_for_bit(self, data, tmp_path):
        whole = self.fit(data)
        steps = []

        def stop(iteration):
            steps.append(iteration.n_iter)
            return iteration.n_iter >= 10

        self.fit(data, checkpoint=tmp_path / "fit.npz", callback=stop)
        with np.load(tmp_path / "fit.npz") as saved:
            assert len(saved["0.history"]) == 11  # falls are noise, and no reason to stop saving
        assert max(steps) == 10
        self.same(whole, self.fit(data, checkpoint=tmp_path / "fit.npz"))


class TestFits:
    @pytest.mark.parametrize("schedule", ["saem", "fixed", "ascent"])
    def test_alarm_within_its_errors_of_exact_em(self, schedule):
        case = holes("alarm", 2000, 0.2)
        model, data = to_pgmpy(case.network, case.parameters), to_frame(case.network, case.codes)
        settings = {"prior": "K2", "seed": 0}
        exact = WeightedEM(e_step="exact", tol=1e-6, **settings).fit(model, data)
        engine = GibbsEStep(max_table_size=8, schedule=schedule)
        fit = WeightedEM(e_step=engine, n_jobs=2, **settings).fit(model, data)
        assert fit.converged_
        assert fit.reduction_.engine["n_sampled_components"] > 500
        assert abs(fit.objective_ - exact.objective_) < 3 * fit.mc_standard_error_.log_likelihood + 1
        off = np.concatenate(
            [
                ((mine.get_values() - other.get_values()) / fit.mc_standard_error_.cpds[mine.variable].to_numpy())[
                    fit.mc_standard_error_.cpds[mine.variable].to_numpy() > 1e-6
                ]
                for mine, other in zip(fit.parameters_, exact.parameters_, strict=True)
            ]
        )
        assert len(off) > 500
        # Errors of the ascent are those of five batches: Student's t with four degrees of freedom has 4 % beyond.
        assert (np.abs(off) > 3).mean() < (0.12 if schedule == "ascent" else 0.05)
        at_theirs = WeightedEM(
            e_step="exact", max_iter=0, init_cpds={cpd.variable: cpd for cpd in fit.parameters_}, prior="K2", tol=0
        )
        with pytest.warns(UserWarning, match="max_iter=0"):
            true = at_theirs.fit(model, data).objective_
        assert exact.objective_ - true < 1  # what noise has cost
        assert exact.objective_ - true < 2 * fit.gap_ + 0.05

    @pytest.mark.campaign
    def test_alarm_with_ten_thousand_rows_and_no_prior(self):
        case = holes("alarm", 10_000, 0.2)
        model, data = to_pgmpy(case.network, case.parameters), to_frame(case.network, case.codes)
        exact = WeightedEM(e_step="exact", tol=1e-4, seed=0).fit(model, data)
        fit = WeightedEM(e_step=GibbsEStep(max_table_size=8), n_jobs=2, seed=0).fit(model, data)
        start = {cpd.variable: cpd for cpd in fit.parameters_}
        with pytest.warns(UserWarning, match="max_iter=0"):
            true = WeightedEM(e_step="exact", max_iter=0, init_cpds=start).fit(model, data).log_likelihood_
        assert exact.log_likelihood_ - true < 1

    def test_a_latent_with_holes_weights_fixed_cpds_and_restarts(self):
        """Everything at once, against exact EM: hidden H, noisy items, one CPD fixed."""
        rng = np.random.default_rng(2)
        cause = rng.integers(0, 2, 200)
        data = pd.DataFrame({item: (cause + (rng.random(200) < 0.15)) % 2 for item in "UVWXYZ"}).astype(object)
        data = data.mask(rng.random(data.shape) < 0.2)
        weight = rng.choice([0.5, 1, 3], 200)
        model = DiscreteBayesianNetwork(
            [("H", item) for item in "UVWXYZ"] + [("G", "U"), ("G", "V")], latents={"H", "G"}
        )
        exact = WeightedEM(e_step="exact", seed=0, n_init=8, prior="K2").fit(model, data, weight)
        fixed = {"U": exact.parameters_[[cpd.variable for cpd in exact.parameters_].index("U")]}
        settings = {"seed": 0, "n_init": 4, "prior": "K2", "fixed_cpds": fixed}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            exact = WeightedEM(e_step="exact", **settings).fit(model, data, weight)
            fit = WeightedEM(e_step=GibbsEStep(max_table_size=2), **settings).fit(model, data, weight)
        assert fit.converged_
        assert len(fit.restarts_) == 4
        assert fit.objective_ > exact.objective_ - 3 * fit.mc_standard_error_.log_likelihood - 2
        np.testing.assert_array_equal(
            fit.mc_standard_error_.cpds["U"].to_numpy(), np.zeros_like(fit.mc_standard_error_.cpds["U"].to_numpy())
        )
        np.testing.assert_allclose(
            next(cpd for cpd in fit.parameters_ if cpd.variable == "U").get_values(),
            fixed["U"].get_values(),
            rtol=1e-12,
        )
        assert any(record.log_likelihood_error > 0 for record in fit.restarts_)

    def test_likelihood_weighting_and_pgmpys_sampler_fit_too(self):
        rng = np.random.default_rng(4)
        data = pd.DataFrame({item: rng.integers(0, 2, 12) for item in "ABC"}).astype(object)
        data = data.mask(rng.random(data.shape) < 0.3)
        model = DiscreteBayesianNetwork([("A", "B"), ("A", "C"), ("B", "C")])
        settings = {"prior": "K2", "seed": 0, "tol": 0.05}
        exact = WeightedEM(e_step="exact", **settings).fit(model, data)
        for engine in (LikelihoodWeightingEStep(max_table_size=1, n_samples=300), ApproxInferenceEStep(300)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                fit = WeightedEM(e_step=engine, max_iter=30, **settings).fit(model, data)
            assert fit.objective_ == pytest.approx(exact.objective_, abs=0.3)

    def test_time_callback_and_no_step(self):
        case = holes("asia", 300, 0.5)
        model, data = to_pgmpy(case.network, case.parameters), to_frame(case.network, case.codes)
        engine = GibbsEStep(max_table_size=4)
        with pytest.warns(UserWarning, match="max_time=1e-06 seconds have passed"):
            assert WeightedEM(e_step=engine, seed=0, max_time=1e-6).fit(model, data).status_ == "max_time"
        fit = WeightedEM(e_step=engine, seed=0, callback=lambda step: step.n_iter == 3).fit(model, data)
        assert fit.status_ == "callback"
        assert (len(fit.history_), fit.n_iter_) == (4, 3)
        start = {cpd.variable: cpd for cpd in model.get_cpds()}
        with pytest.warns(UserWarning, match="max_iter=0"):
            none = WeightedEM(e_step=engine, seed=0, max_iter=0, init_cpds=start).fit(model, data)
        assert none.n_iter_ == 0
        exact = exact_statistics(case).log_likelihood
        assert abs(none.log_likelihood_ - exact) < 4 * none.mc_standard_error_.log_likelihood
        with pytest.warns(UserWarning, match="max_iter=12 steps"):
            fit = WeightedEM(e_step=engine, seed=0, tol=0, max_iter=12).fit(model, data)
        assert not fit.converged_
        assert np.isfinite(fit.history_).all()


class TestFewRecords:
    """Draws that weigh much bend the E-step: the average of noisy steps is then beside the maximum."""

    @pytest.mark.parametrize("seed", [0, 1, 5])
    def test_two_hidden_causes_and_a_hundred_records(self, seed):
        rng = np.random.default_rng(seed)
        causes = rng.integers(0, 2, (100, 2))
        effect, base = rng.normal(0, 1.5, (6, 2)), rng.normal(0, 0.7, 6)
        chance = 1 / (1 + np.exp(-(2 * causes - 1) @ effect.T - base))
        data = pd.DataFrame((rng.random(chance.shape) < chance).astype(int), columns=[f"x{i}" for i in range(6)])
        model = DiscreteBayesianNetwork([(f"H{c}", item) for c in range(2) for item in data], latents={"H0", "H1"})
        fit = WeightedEM(e_step=GibbsEStep(max_table_size=2), seed=seed, n_init=1).fit(model, data)
        assert fit.converged_
        start = {cpd.variable: cpd for cpd in fit.parameters_}
        exact = WeightedEM(e_step="exact", init_cpds=start, tol=1e-5).fit(model, data)
        assert exact.history_[-1] - exact.history_[0] < 0.1

    @pytest.mark.parametrize("schedule", ["saem", "fixed", "ascent"])
    def test_one_free_table_under_two_hidden_causes(self, schedule):
        """Forty records, everything known but P(Z): a short way from one draw's weight to a boundary."""
        parents = {"B": "A", "X": "AB", "Z": "AB"}
        network = build_network("ABXZ", parents, {name: [0, 1] for name in "ABXZ"}, latents="AB")
        rng = np.random.default_rng(3)
        parameters = random_parameters(network, rng, 0)
        codes = sample_codes(network, parameters, 40, rng)
        model = to_pgmpy(network, parameters, latents={"A", "B"})
        data = to_frame(network, codes)[["X", "Z"]]
        start = {cpd.variable: cpd for cpd in model.get_cpds()}
        fixed = {name: start[name] for name in "ABX"}
        settings = {"init_cpds": start, "fixed_cpds": fixed, "prior": "K2", "seed": 0}
        exact = WeightedEM(e_step="exact", tol=1e-7, **settings).fit(model, data)
        fit = WeightedEM(e_step=GibbsEStep(max_table_size=2, schedule=schedule), **settings).fit(model, data)
        assert fit.converged_
        right, found = (next(cpd for cpd in one.parameters_ if cpd.variable == "Z") for one in (exact, fit))
        error = fit.mc_standard_error_.cpds["Z"].to_numpy()
        assert (np.abs(found.get_values() - right.get_values()) < 4 * error + 1e-3).all()
        assert not fit.mc_standard_error_.cpds["X"].to_numpy().any()

    def test_draws_grow_with_the_records_that_a_row_stands_for(self):
        case = holes("asia", 30, 0.5)
        plan = GibbsEStep(max_table_size=4).prepare(case.network, case.evidence)
        assert GibbsEStep(max_table_size=4).usual_draws(plan) == -(-2000 // plan.tasks.n_tasks)
        heavy = ProblemCase(case.network, case.parameters, np.vstack([case.codes] * 1000), np.ones(30_000))
        plan = GibbsEStep(max_table_size=4).prepare(heavy.network, heavy.evidence)
        assert GibbsEStep(max_table_size=4).usual_draws(plan) == max(64, -(-2000 // plan.tasks.n_tasks))
        assert GibbsEStep(7, max_table_size=4).usual_draws(plan) == 7

    def test_what_no_draw_has_met_is_listed_and_keeps_its_entries(self):
        """Hidden H and G are so rarely 1 that no draw is, for both: nothing says that this column is uniform."""
        network = build_network("HGX", {"X": "HG"}, {name: [0, 1] for name in "HGX"}, latents="HG")
        parameters = np.array([1 - 1e-9, 1e-9, 1 - 1e-9, 1e-9, 0.7, 0.3, 0.2, 0.8, 0.6, 0.4, 0.9, 0.1])
        model = to_pgmpy(network, parameters, latents={"H", "G"})
        data = to_frame(network, sample_codes(network, parameters, 50, np.random.default_rng(0)))[["X"]]
        start = {cpd.variable: cpd for cpd in model.get_cpds()}
        engine = GibbsEStep(5, max_table_size=1)
        with pytest.warns(UserWarning, match="max_iter=3"):
            fit = WeightedEM(e_step=engine, init_cpds=start, seed=0, max_iter=3).fit(model, data)
        unmet = [column for column in fit.unidentified_rows_ if column.variable == "X"]
        assert [column.parents for column in unmet] == [{"H": 1, "G": 1}]
        table = fit.mc_standard_error_.cpds["X"]
        assert not np.allclose(fit.parameters_[-1].get_values()[:, -1], 0.5)
        assert np.isinf(table.to_numpy()).all()  # three steps


class TestJudgement:
    def problem(self):
        case = holes("asia", 200, 0.4)
        model, data = to_pgmpy(case.network, case.parameters), to_frame(case.network, case.codes)
        exact = WeightedEM(e_step="exact", prior="K2", tol=1e-9, seed=0).fit(model, data)
        prepared = prepare(WeightedEM(e_step=GibbsEStep(max_table_size=4), prior="K2"), model, data, None)
        engine, plan = prepared.settings.engine.settle(prepared.network, prepared.evidence)
        return Problem(engine, plan, prepared.family), exact._vector

    def judge(self, problem, parameters, n_wanted=400):
        chains = problem.engine.start_chains(problem.plan, 5)
        nothing = np.zeros_like(parameters)
        return judge(problem, parameters, nothing, chains, 1, n_wanted, None)

    def test_nothing_is_left_at_the_maximum_and_something_elsewhere(self):
        problem, best = self.problem()
        found = self.judge(problem, best)
        assert found.gain < 2 * found.error
        assert found.left(0.5) < 0.1
        assert found.growth == 0
        start = problem.family.maximize(np.ones_like(best), best)
        elsewhere = self.judge(problem, start)
        assert elsewhere.gain > 10
        assert elsewhere.left(0.5) == 2 * elsewhere.gain

    def test_an_entry_that_noise_has_driven_to_zero_is_seen_to_grow(self):
        problem, best = self.problem()
        sunk = best.copy()
        of_smoke = problem.plan.network.block(sunk, list(problem.plan.network.names).index("smoke"))
        of_smoke[...] = [1e-6, 1 - 1e-6]
        found = self.judge(problem, sunk)
        assert found.grows.any()
        assert found.growth > 1
        assert found.left(0.5) >= found.growth
        lifted = problem.family.maximize(lift(problem, found.statistics.counts, found.grows), sunk)
        assert (lifted[found.grows] > 0.04).all()

    def test_the_rate_of_a_hidden_cause_is_measured(self):
        """Against the ratio of the exact steps' lengths, the displacement being the slowest direction."""
        network = build_network("ABUVWX", dict.fromkeys("UVWX", "AB"), {name: [0, 1] for name in "ABUVWX"}, "AB")
        rng = np.random.default_rng(4)
        parameters = random_parameters(network, rng, 0)
        case = ProblemCase(network, parameters, sample_codes(network, parameters, 2000, rng), np.ones(2000))
        case.codes[:, :2] = -1
        family = Categorical(network, np.ones(network.n_cells), np.zeros(len(network.column_starts), dtype=bool))
        exact = ExactEStep()
        plan = exact.prepare(network, case.evidence)
        points = [parameters]
        for _ in range(3000):
            counts = exact.expected_statistics(plan, points[-1]).counts
            points.append(family.maximize(counts, points[-1]))
        best, metric = points[-1], family.information(counts, points[-1])
        direction, following = points[1500] - best, points[1501] - best
        slowest = np.sqrt((metric @ following**2) / (metric @ direction**2))
        assert 0.5 < slowest < 1
        engine = GibbsEStep(max_table_size=2)
        problem = Problem(engine, engine.prepare(network, case.evidence), family)
        chains = engine.start_chains(problem.plan, 0)
        found = measure_rate(problem, best, counts, direction, 1e-2, chains, 200, 1600, None)
        assert found is not None
        assert found[0] == pytest.approx(min(slowest, 0.95), abs=0.05)
        assert found[2] == 4
        assert measure_rate(problem, best, counts, 0 * direction, 1e-2, chains, 1, 1, None)[0] == 0

    def test_no_judgement_when_time_is_up(self):
        problem, best = self.problem()
        chains = problem.engine.start_chains(problem.plan, 5)
        assert judge(problem, best, np.zeros_like(best), chains, 1, 400, time.monotonic()) is None
        amounts = 1e-2, chains, 1, 400, time.monotonic()
        assert measure_rate(problem, best, best, best - 0.5, *amounts) is None


class TestZeros:
    @pytest.fixture(scope="class")
    @classmethod
    def parity(cls):
        """Eight hidden bits in a ring, whose neighbours' parity is observed: two completions, far apart."""
        n = 8
        network, parameters = parity_ring(n)
        network.block(parameters, 0)[...] = [0.7, 0.3]
        codes = np.full((1, 2 * n), -1)
        codes[0, n:] = 0
        return ProblemCase(network, parameters, codes, np.ones(1))

    def test_joint_moves_reach_what_blocks_cannot(self, parity):
        found = sampled_statistics(parity, GibbsEStep(n_samples=4000, max_table_size=4))
        plan = GibbsEStep(max_table_size=4).prepare(parity.network, parity.evidence)
        assert len(plan.tasks.block_node_first) - 1 >= 2
        np.testing.assert_allclose(found.counts[:2], [0.7, 0.3], atol=0.05)
        assert found.noise.n_stuck == 0
        assert found.log_likelihood == pytest.approx(np.log(2 * 0.5**8), abs=0.2)

    def test_a_chain_that_is_stuck_is_said_to_be(self, parity, monkeypatch):
        """With joint moves that are all refused, single bits cannot move."""
        engine = GibbsEStep(n_samples=50, max_table_size=4)
        plan = engine.prepare(parity.network, parity.evidence)
        moves = np.array([[50, 0, 0]])
        assert engine._count_stuck(plan, parity.parameters, moves) == 1
        assert engine._count_stuck(plan, np.full_like(parity.parameters, 0.5), moves) == 0
        assert engine._count_stuck(plan, parity.parameters, np.array([[50, 1, 0]])) == 0
        monkeypatch.setattr(GibbsEStep, "_count_stuck", lambda *_: 3)
        model = to_pgmpy(parity.network, parity.parameters)
        start = {cpd.variable: cpd for cpd in model.get_cpds()}
        with pytest.warns(UserWarning, match="3 chains are stuck"), pytest.warns(UserWarning, match="max_iter=1"):
            WeightedEM(e_step=engine, init_cpds=start, max_iter=1, tol=0).fit(
                model, to_frame(parity.network, parity.codes)[[f"x{i}" for i in range(8)] + [f"h{i}" for i in range(8)]]
            )

    @pytest.mark.parametrize("n_draws", [2, 5])
    def test_the_likelihood_is_right_on_average_however_few_draws_lead_somewhere(self, n_draws):
        """Seven parities of three hidden bits each: many draws end in contradictions."""
        rng = np.random.default_rng(0)
        hidden, seen = [f"h{i}" for i in range(8)], [f"x{i}" for i in range(7)]
        parents = {name: [f"h{j}" for j in sorted(rng.choice(8, 3, replace=False))] for name in seen}
        network = build_network(hidden + seen, parents, {name: [0, 1] for name in hidden + seen})
        parameters = np.full(network.n_cells, 0.5)
        for node in range(8, 15):
            network.block(parameters, node)[...] = np.eye(2)[np.indices((2, 2, 2)).sum(axis=0) % 2]
        case = ProblemCase(network, parameters, np.array([[-1] * 8 + [0] * 7]), np.ones(1))
        plan = GibbsEStep(max_table_size=4).prepare(network, case.evidence)
        engines = [GibbsEStep(max_table_size=4, seed=seed) for seed in range(1500)]
        weights = np.exp([engine.weigh(plan, parameters, n_draws)[0] for engine in engines])
        assert 0.3 < (weights == 0).mean() < 0.9
        means = weights.mean(axis=1)
        assert abs(means.mean() - np.exp(exact_statistics(case).log_likelihood)) < 4 * means.std() / np.sqrt(1500)

    def test_a_chain_with_nowhere_to_go_is_not_stuck(self):
        """What is observed leaves one completion: all proposals are the same."""
        network = build_network("ABX", {"X": "AB"}, {name: [0, 1] for name in "ABX"})
        both = np.zeros((2, 2, 2))
        both[..., 0], both[1, 1] = 1, [0, 1]
        parameters = np.concatenate([[0.5, 0.5, 0.5, 0.5], both.ravel()])
        case = ProblemCase(network, parameters, np.array([[-1, -1, 1]]), np.ones(1))
        found = sampled_statistics(case, GibbsEStep(n_samples=200, max_table_size=2))
        np.testing.assert_allclose(found.counts[:4], [0, 1, 0, 1])
        assert found.noise.n_stuck == 0

    def test_an_impossible_row_is_named(self, parity):
        codes = parity.codes.copy()
        codes[0, -1] = 1  # an odd number of differences around a ring
        odd = ProblemCase(parity.network, parity.parameters, np.vstack([parity.codes, codes]), np.ones(2))
        with pytest.raises((ImpossibleEvidenceError, DegenerateWeightsError), match=r"row 1 \(counting from 0\)"):
            sampled_statistics(odd, GibbsEStep(max_table_size=4))
        with pytest.raises(DegenerateWeightsError, match="all 1,000 draws of what it misses have weight zero"):
            sampled_statistics(odd, LikelihoodWeightingEStep(max_table_size=4))

    def test_degenerate_weights_are_refused(self):
        network = build_network("HX", {"X": "H"}, {"H": [0, 1], "X": [0, 1]})
        parameters = np.array([0.999, 0.001, 1 - 1e-9, 1e-9, 0.1, 0.9])
        case = ProblemCase(network, parameters, np.array([[-1, 1]]), np.ones(1))
        engine = LikelihoodWeightingEStep(max_table_size=1, seed=1)

        def draw_often():  # one draw in a thousand has nearly all of the weight: often there is one, or none
            for seed in range(20):
                sampled_statistics(case, engine.set_params(seed=seed))

        message = r"row 0 .*observes X=1: the weights of the 1,000 draws .* less than 2"
        with pytest.raises(DegenerateWeightsError, match=message):
            draw_often()

    def test_no_nan_over_many_iterations_with_zeros(self):
        case = holes("asia", 200, 0.6)  # "either" is deterministic
        model, data = to_pgmpy(case.network, case.parameters), to_frame(case.network, case.codes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            fit = WeightedEM(e_step=GibbsEStep(max_table_size=4), seed=0, tol=0, max_iter=150).fit(model, data)
        assert np.isfinite(fit.history_).all()
        for cpd in fit.parameters_:
            np.testing.assert_allclose(cpd.get_values().sum(axis=0), 1)
        assert all(np.isfinite(frame.to_numpy()).all() for frame in fit.mc_standard_error_.cpds.values())


class TestAuto:
    def test_exact_where_it_fits_and_silent(self):
        case = holes("asia", 300, 0.5)
        engine, _ = AutoEStep().settle(case.network, case.evidence)
        assert isinstance(engine, ExactEStep)

    def test_says_with_sizes_what_it_samples(self):
        case = holes("insurance", 60, 0.5)
        auto = AutoEStep(memory_budget=300_000, sampled=GibbsEStep(max_table_size=16))
        with pytest.warns(
            UserWarning,
            match=r"memory budget of 300,000 bytes, so that \d+ groups of missing variables in \d+ distinct rows are "
            r"sampled, with tables of at most 16 cells where exact ones would have up to [\d,]+\.",
        ):
            engine, plan = auto.settle(case.network, case.evidence)
        assert isinstance(engine, GibbsEStep)
        assert plan.tasks.n_tasks > 10

    def test_beats_complete_cases_where_exact_inference_is_refused(self):
        """A hidden grid: the exact engine refuses it, sampling fits it, and held-out rows become more probable."""
        size = 5
        hidden = [f"h{i}{j}" for i in range(size) for j in range(size)]
        seen = [f"x{i}{j}" for i in range(size) for j in range(size)]
        above = {
            f"h{i}{j}": [f"h{a}{b}" for a, b in ((i - 1, j), (i, j - 1)) if min(a, b) >= 0]
            for i in range(size)
            for j in range(size)
        }
        parents = above | {f"x{name[1:]}": [name] for name in hidden}
        network = build_network(hidden + seen, parents, {name: [0, 1] for name in hidden + seen}, latents=hidden)
        parameters = np.zeros(network.n_cells)
        for node, family in enumerate(network.families):
            n_on = np.indices(network.shapes[node][:-1]).sum(axis=0)
            high = 0.5 + 0.45 * (2 * n_on / max(len(family.parents), 1) - 1) if family.parents else 0.5
            network.block(parameters, node)[...] = np.stack([1 - high, high], axis=-1)
        rng = np.random.default_rng(0)
        codes = sample_codes(network, parameters, 240, rng)
        codes[:, : len(hidden)] = -1
        model = to_pgmpy(network, latents=hidden)
        data = to_frame(network, codes)[seen]
        budget = 200_000
        with pytest.raises(ValueError, match="exact inference needs more than its memory budget"):
            WeightedEM(e_step=ExactEStep(memory_budget=budget), n_init=1).fit(model, data[:200])
        engine = AutoEStep(memory_budget=budget, sampled=GibbsEStep(max_table_size=16))
        settings = {"e_step": engine, "seed": 0, "prior": "K2", "n_init": 1, "n_jobs": 2}
        with pytest.warns(UserWarning, match="are sampled"), pytest.warns(UserWarning, match="max_iter=60"):
            fit = WeightedEM(max_iter=60, tol=0, **settings).fit(model, data[:200])
        with pytest.warns(UserWarning, match="are sampled"), pytest.warns(UserWarning, match="max_iter=0"):
            counted = WeightedEM(max_iter=0, init_cpds="complete_case", **settings).fit(model, data[:200])
        assert fit.score(data[200:]) > counted.score(data[200:]) + 1


class TestQuestions:
    @pytest.fixture(scope="class")
    @classmethod
    def both(cls):
        case = holes("insurance", 40, 0.5)
        model = to_pgmpy(case.network, case.parameters)
        engines = [
            "exact",
            GibbsEStep(n_samples=600, max_table_size=16, n_likelihood=1000),
            AutoEStep(memory_budget=60_000, sampled=GibbsEStep(600, max_table_size=16, n_likelihood=1000)),
        ]
        return to_frame(case.network, case.codes), [WeightedEM.from_model(model, e_step=e, seed=0) for e in engines]

    def test_log_likelihoods(self, both):
        data, (exact, *others) = both
        for other in others:
            off = other.score_samples(data) - exact.score_samples(data)
            assert np.abs(off).max() < 0.5
            assert off.any()
            assert other.score(data) == pytest.approx(exact.score(data), abs=0.05)

    def test_posteriors_and_imputation(self, both):
        data, (exact, *others) = both
        right = exact.predict_proba(data)
        for other in others:
            found = other.predict_proba(data)
            assert list(found) == list(right)
            for name in right:
                pd.testing.assert_index_equal(found[name].index, right[name].index)
                np.testing.assert_allclose(found[name].sum(axis=1), 1)
                np.testing.assert_allclose(found[name], right[name], atol=0.12)
            filled = other.impute(data, "sample", seed=1)
            assert not filled.isna().any().any()
            assert np.isfinite(exact.score_samples(filled)).all()  # the draws are possible
            pd.testing.assert_frame_equal(filled, other.impute(data, "sample", seed=1))
            pd.testing.assert_frame_equal(
                filled.where(data.notna()), data.where(data.notna(), filled.where(data.notna()))
            )

    def test_draws_have_the_posteriors_frequencies(self):
        case = holes("insurance", 1, 0.6, seed=3)
        model = to_pgmpy(case.network, case.parameters)
        data = pd.concat([to_frame(case.network, case.codes)] * 800, ignore_index=True)
        right = WeightedEM.from_model(model, e_step="exact").predict_proba(data[:1])
        drawn = WeightedEM.from_model(model, e_step=GibbsEStep(max_table_size=16), seed=0).impute(data, "sample")
        for name, posterior in right.items():
            for state, probability in posterior.iloc[0].items():
                share = (drawn[name] == state).mean()
                assert abs(share - probability) < 5 * np.sqrt(probability * (1 - probability) / 800) + 0.005

    def test_expected_counts(self, both):
        data, (exact, *others) = both
        right = exact.expected_counts(data)
        for other in others:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found = other.expected_counts(data)
            for name in right:
                np.testing.assert_allclose(found[name], right[name], atol=0.6)

    def test_an_impossible_row_and_a_complete_one(self):
        case = holes("asia", 50, 0.5)
        model = to_pgmpy(case.network, case.parameters)
        complete = to_frame(case.network, sample_codes(case.network, case.parameters, 2, np.random.default_rng(0)))
        odd = complete.copy()
        odd["either"] = ["no" if state == "yes" else "yes" for state in odd["either"]]
        one = WeightedEM.from_model(model, e_step=GibbsEStep(max_table_size=4))
        exact = WeightedEM.from_model(model, e_step="exact")
        np.testing.assert_allclose(one.score_samples(complete), exact.score_samples(complete))
        assert np.isneginf(one.score_samples(odd)).all()

    def test_an_answer_does_not_depend_on_the_rows_beside_it(self, both):
        data, (_, sampled, _) = both
        rows = [3, 17, 29]
        np.testing.assert_allclose(
            sampled.score_samples(data)[rows], sampled.score_samples(data.iloc[rows]), rtol=1e-12
        )
        whole, part = sampled.predict_proba(data), sampled.predict_proba(data.iloc[rows])
        for name, table in part.items():
            np.testing.assert_allclose(table, whole[name].loc[table.index], rtol=1e-12)

    def test_messages_count_rows_in_the_users_table(self):
        """A row that no draw completes, behind others that are equal or exact."""
        n = 8
        network, parameters = parity_ring(n)
        codes = np.full((4, 2 * n), -1)
        codes[:, n:] = 0
        codes[:2, :n] = 0  # complete
        codes[3, -1] = 1  # an odd number of differences around a ring
        sampled = WeightedEM.from_model(to_pgmpy(network, parameters), e_step=GibbsEStep(max_table_size=4), seed=0)
        with pytest.raises((ImpossibleEvidenceError, DegenerateWeightsError), match=r"row 3 \(counting from 0\)"):
            sampled.predict_proba(to_frame(network, codes))


def test_variables_of_one_state_do_not_count_as_observed():
    """Below the hidden variables nothing is observed but what cannot be otherwise: nothing is sampled."""
    states = {"A": [0, 1], "B": [0, 1], "C": [0, 1], "One": ["only"], "X": [0, 1]}
    network = build_network(list(states), {"C": "AB", "One": ["B", "C"], "X": []}, states)
    evidence = ProblemCase(network, random_parameters(network, np.random.default_rng(0), 0), None, None)
    codes = np.array([[-1, -1, -1, -1, 0], [-1, -1, -1, -1, 1]])
    case = evidence._replace(codes=codes, weight=np.ones(2))
    assert GibbsEStep(max_table_size=1).prepare(network, case.evidence).tasks.n_tasks == 0
    assert GibbsEStep(max_table_size=1, prune_barren=False).prepare(network, case.evidence).tasks.n_tasks == 2


def test_tables_have_to_fit_into_memory():
    assert GibbsEStep(max_table_size=10**15).limit == 2**32 / 64
    assert GibbsEStep(max_table_size=10**15, memory_budget=10**6).limit == 2**20
    assert GibbsEStep(max_table_size=50).limit == 50
    assert np.isinf(GibbsEStep(max_table_size=None).limit)


class TestArguments:
    case = holes("asia", 30, 0.5)

    @pytest.mark.parametrize(
        ("engine", "message"),
        [
            (GibbsEStep(n_samples=0), "n_samples must be an integer >= 1, or None. Got: 0."),
            (GibbsEStep(burn_in=-1), "burn_in must be an integer >= 0. Got: -1."),
            (GibbsEStep(thin=0), "thin must be an integer >= 1. Got: 0."),
            (GibbsEStep(max_table_size=0), "max_table_size must be an integer >= 1"),
            (GibbsEStep(n_likelihood=1), "n_likelihood must be an integer >= 2. Got: 1."),
            (GibbsEStep(schedule="sgd"), r"schedule 'sgd' is unknown. Known: \['ascent', 'fixed', 'saem'\]"),
            (
                LikelihoodWeightingEStep(n_samples=1),
                "n_samples must be at least 2, since weights are compared. Got: 1.",
            ),
        ],
    )
    def test_are_checked_before_any_work(self, engine, message):
        with pytest.raises(ValueError, match=message):
            engine.prepare(self.case.network, self.case.evidence)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"acceleration": "lbfgs"}, "acceleration='lbfgs' needs an exact e_step"),
            ({"atol": 1e-3}, "atol=0.001 needs an exact e_step"),
        ],
    )
    def test_that_need_an_exact_engine(self, settings, message):
        model = to_pgmpy(self.case.network, self.case.parameters)
        data = to_frame(self.case.network, self.case.codes)
        with pytest.raises(ValueError, match=message):
            WeightedEM(e_step=GibbsEStep(max_table_size=2), **settings).fit(model, data)

    def test_errors_of_the_fit_itself_are_refused(self):
        model = to_pgmpy(self.case.network, self.case.parameters)
        data = to_frame(self.case.network, self.case.codes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            fit = WeightedEM(e_step=GibbsEStep(max_table_size=2), max_iter=3, seed=0).fit(model, data)
        for question in (fit.standard_errors, fit.bootstrap, fit.identifiability):
            with pytest.raises(ValueError, match="the fit's E-steps were sampled"):
                question()


def test_weights_tell_likelihood_error_and_effective_size():
    rng = np.random.default_rng(0)
    log_weight = rng.normal(-0.5, 1, size=(40_000, 16))  # lognormal: the mean weight is one
    found = summarize_weights(log_weight)
    plain = np.log(np.exp(log_weight).mean(axis=1))
    assert abs(found.log_likelihood.mean()) < 0.2 * abs(plain.mean())  # the jackknife takes most of the bias out
    assert np.sqrt(np.mean(found.error**2)) == pytest.approx(found.log_likelihood.std(), rel=0.1)
    equal = summarize_weights(np.log([[0.2, 0.2], [0.1, 0.3]]))
    np.testing.assert_allclose(equal.effective_sample_size, [2, 1.6])
    none = summarize_weights(np.full((1, 3), -np.inf))
    assert np.isneginf(none.log_likelihood[0])
    assert none.effective_sample_size[0] == 0


def test_random_parameters_have_zeros_somewhere():
    """The cases above do draw what they say."""
    network, _ = example("asia")
    assert (random_parameters(network, np.random.default_rng(0), 0.3) == 0).any()
