"""The E-step by pgmpy's likelihood weighting: what is exact, what is right within its errors, draws, errors."""

# ruff: noqa: NPY002 - numpy's global random state is what pgmpy draws from, and what must be left alone

import logging
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from pgmpy.sampling import BayesianModelSampling
from problems import ProblemCase, brute_force, cases, random_parameters, sample_codes

import pgmpy_em_ext.e_step
from pgmpy_em_ext import EStep, ImpossibleEvidenceError
from pgmpy_em_ext._tools.registry import named_classes
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.e_step.approx_inference import MAX_BATCHES, ApproxInferenceEStep
from pgmpy_em_ext.e_step.pgmpy_inference import to_model
from pgmpy_em_ext.exceptions import DegenerateWeightsError

ROUNDING = {"rtol": 1e-12, "atol": 1e-12}


def statistics(case, n_samples=1000, seed=0):
    engine = ApproxInferenceEStep(n_samples, seed)
    return engine.expected_statistics(engine.prepare(case.network, case.evidence), case.parameters)


def observed_in_all_rows(case):
    """Cells of the families that no row misses a member of."""
    known = [(case.codes[:, list(family.members)] >= 0).all() for family in case.network.families]
    return np.array(known)[case.network.family_of_cell]


def assert_within_errors(case, found, n_samples, n_errors=5):
    """Hold statistics against the full joint; a state that no draw shows has no error, but little probability."""
    counts, log_likelihood = brute_force(case)
    unseen = case.weight.sum() * 10 / n_samples
    assert (abs(found.counts - counts) <= n_errors * found.noise.count_errors + unseen).all()
    exact = observed_in_all_rows(case)
    np.testing.assert_allclose(found.counts[exact], counts[exact], **ROUNDING)
    np.testing.assert_allclose(found.noise.count_errors[exact], 0, atol=1e-12)
    assert abs(found.log_likelihood - log_likelihood) <= n_errors * found.noise.log_likelihood_error + 1e-9


@pytest.fixture
def case():
    """Five variables in two components; all patterns of what is missing, one row without any observation."""
    network = build_network(
        "ABCDE", {"B": "A", "C": "AB", "E": "D"}, {name: range(2 + (name == "C")) for name in "ABCDE"}
    )
    rng = np.random.default_rng(3)
    parameters = network.normalize(random_parameters(network, rng) + 0.1)
    codes = sample_codes(network, parameters, 6, rng)
    codes[[0, 1, 1, 2, 2, 3], [0, 0, 1, 1, 3, 4]] = -1
    codes[4] = -1
    return ProblemCase(network, parameters, codes, np.array([1.0, 0.5, 2.0, 3.0, 1.5, 1.0]))


@pytest.fixture
def latent():
    """A hidden cause of three items, seen often."""
    network = build_network("HXYZ", dict.fromkeys("XYZ", "H"), dict.fromkeys("HXYZ", (0, 1)))
    parameters = np.array([0.4, 0.6] + [0.8, 0.2, 0.3, 0.7] * 3)
    codes = np.array([[-1, 0, 0, 1], [-1, 1, 0, 1]])
    return ProblemCase(network, parameters, codes, np.array([30.0, 20.0]))


class TestInterface:
    def test_found_by_name_and_not_exact(self):
        found = named_classes(EStep, pgmpy_em_ext.e_step)["approx_inference"]
        assert found is ApproxInferenceEStep
        assert found.get_class_tag("exact") is False

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"n_samples": 1}, ValueError, "n_samples must be an integer >= 2. Got: 1."),
            ({"n_samples": 10.0}, TypeError, "n_samples must be an integer >= 2. Got: 10.0."),
            ({"seed": -1}, ValueError, "seed must be an integer >= 0. Got: -1."),
            ({"seed": None}, TypeError, "seed must be an integer >= 0. Got: None."),
        ],
    )
    def test_arguments_are_checked(self, case, arguments, error, message):
        with pytest.raises(error, match=re.escape(message)):
            ApproxInferenceEStep(**arguments).prepare(case.network, case.evidence)

    def test_nothing_is_modified(self, case):
        before = case.parameters.copy(), case.codes.copy()
        statistics(case, 100)
        np.testing.assert_array_equal(case.parameters, before[0])
        np.testing.assert_array_equal(case.codes, before[1])


class TestWhatIsExact:
    def test_complete_data(self, case):
        rng = np.random.default_rng(0)
        complete = case._replace(codes=sample_codes(case.network, case.parameters, 6, rng))
        counts, log_likelihood = brute_force(complete)
        found = statistics(complete, 50)
        np.testing.assert_allclose(found.counts, counts, rtol=1e-15)
        assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-14)
        np.testing.assert_allclose(found.noise.count_errors, 0, atol=1e-15)
        assert found.noise.log_likelihood_error == 0
        assert found.noise.effective_sample_size == 50

    def test_counts_of_a_family_add_up_to_the_weights(self, case):
        found = statistics(case, 30)
        for node in range(case.network.n_nodes):
            assert case.network.block(found.counts, node).sum() == pytest.approx(case.weight.sum(), rel=1e-12)
        assert (found.counts >= 0).all()

    def test_a_row_without_any_observation_has_likelihood_one(self, case):
        nothing = case._replace(codes=case.codes[4:5], weight=np.array([7.0]))
        found = statistics(nothing, 100)
        assert found.log_likelihood == pytest.approx(0, abs=1e-12)
        assert found.noise.log_likelihood_error == pytest.approx(0, abs=1e-12)
        assert found.noise.effective_sample_size == pytest.approx(100)

    @pytest.mark.parametrize(("n_samples", "n_batches"), [(7, 7), (20, MAX_BATCHES), (1013, MAX_BATCHES)])
    def test_the_mean_of_the_batches_is_the_estimate(self, case, n_samples, n_batches):
        found = statistics(case, n_samples)
        assert found.noise.batch_counts.shape == (n_batches, case.network.n_cells)
        np.testing.assert_allclose(found.noise.batch_counts.mean(axis=0), found.counts, **ROUNDING)
        for batch in found.noise.batch_counts:
            assert case.network.block(batch, 2).sum() == pytest.approx(case.weight.sum(), rel=1e-12)

    def test_missing_values_that_the_evidence_separates_do_not_share_weights(self):
        """C below the observed B is drawn with equal weights, whatever the weights of A above it."""
        network = build_network("ABC", {"B": "A", "C": "B"}, dict.fromkeys("ABC", (0, 1)))
        parameters = np.array([0.5, 0.5, 0.99, 0.01, 0.2, 0.8, 0.3, 0.7, 0.6, 0.4])
        found = statistics(ProblemCase(network, parameters, np.array([[-1, 1, -1]]), np.ones(1)), 100)
        hits = 100 * network.block(found.counts, 2)[1]
        np.testing.assert_allclose(hits, np.round(hits), atol=1e-10)
        above = 100 * network.block(found.counts, 0)
        assert abs(above - np.round(above)).max() > 0.01


class TestWithinItsErrors:
    @pytest.mark.parametrize("seed", range(3))
    def test_fixed_cases(self, case, latent, seed):
        for given_case in (case, latent):
            assert_within_errors(given_case, statistics(given_case, 2000, seed), 2000)

    @settings(max_examples=25)
    @given(case=cases(max_nodes=4, max_rows=4, deterministic=False))
    def test_the_full_joint(self, case):
        assert_within_errors(case, statistics(case, 2000), 2000)

    def test_the_errors_are_those_of_repeated_draws(self, latent):
        """And the logarithm has no bias left that would show."""
        counts, log_likelihood = brute_force(latent)
        runs = [statistics(latent, 200, seed) for seed in range(80)]
        scores = [(run.log_likelihood - log_likelihood) / run.noise.log_likelihood_error for run in runs]
        assert 0.8 < np.sqrt(np.mean(np.square(scores))) < 1.2
        assert abs(np.mean(scores)) < 3.5 / np.sqrt(80)
        off = np.array([run.counts - counts for run in runs])
        variance = np.mean([run.noise.count_errors**2 - run.noise.resolution**2 for run in runs], axis=0)
        shown = variance > 1e-6
        assert shown.sum() >= 8
        np.testing.assert_allclose(np.sqrt((off**2).mean(axis=0)[shown] / variance[shown]), 1, atol=0.25)

    def test_errors_fall_as_one_over_the_root_of_the_draws(self, latent):
        few, many = statistics(latent, 400).noise, statistics(latent, 40_000).noise
        assert few.log_likelihood_error / many.log_likelihood_error == pytest.approx(10, rel=0.15)
        assert few.count_errors[0] / many.count_errors[0] == pytest.approx(10, rel=0.6)  # from 20 batches each
        assert many.effective_sample_size / few.effective_sample_size == pytest.approx(100, rel=0.15)

    def test_weights_scale_and_equal_repetition(self, case):
        twice = case._replace(weight=2 * case.weight)
        repeated = case._replace(codes=np.vstack([case.codes] * 2), weight=np.tile(case.weight, 2))
        once = statistics(case, 100)
        for found in (statistics(twice, 100), statistics(repeated, 100)):
            np.testing.assert_array_equal(found.counts, 2 * once.counts)
            assert found.log_likelihood == 2 * once.log_likelihood
            assert found.noise.log_likelihood_error == pytest.approx(2 * once.noise.log_likelihood_error)

    def test_weights_that_pgmpy_lets_underflow(self):
        """Three hundred items that say little of their cause, each of probability about 1/20."""
        items = [f"X{i}" for i in range(300)]
        network = build_network(["H", *items], dict.fromkeys(items, "H"), dict.fromkeys(["H", *items], range(20)))
        rng = np.random.default_rng(0)
        parameters = network.normalize(1 + 0.02 * rng.random(network.n_cells))
        wide = ProblemCase(network, parameters, np.array([[-1] + [0] * 300]), np.ones(1))
        sampling = BayesianModelSampling(to_model(network, parameters, range(301)))
        states = [(f"x{node}", 0) for node in range(1, 301)]
        theirs = sampling.likelihood_weighted_sample(states, 5, include_latents=True, show_progress=False)
        assert (theirs["_weight"] == 0).all()
        found = statistics(wide, 50)
        by_cause = [np.log(network.block(parameters, node)[:, 0]) for node in range(1, 301)]
        joint = np.log(network.block(parameters, 0)) + np.sum(by_cause, axis=0)
        log_likelihood = np.logaddexp.reduce(joint)
        assert log_likelihood < -890
        assert abs(found.log_likelihood - log_likelihood) < 5 * found.noise.log_likelihood_error < 1


class TestRandomNumbers:
    def test_the_seed_and_the_step_determine_every_bit(self, case):
        engine = ApproxInferenceEStep(200, seed=5)
        plan = engine.prepare(case.network, case.evidence)
        chains = engine.start_chains(plan, 5)
        first, later = engine.draw_statistics(plan, case.parameters, chains)
        again, _ = engine.draw_statistics(plan, case.parameters, chains)
        second, _ = engine.draw_statistics(plan, case.parameters, later)
        assert (later.seed, later.step) == (5, 1)
        for same in (again, engine.expected_statistics(plan, case.parameters)):
            np.testing.assert_array_equal(same.counts, first.counts)
            np.testing.assert_array_equal(same.noise.batch_counts, first.noise.batch_counts)
            assert same.log_likelihood == first.log_likelihood
        assert second.log_likelihood != first.log_likelihood
        assert statistics(case, 200, seed=6).log_likelihood != first.log_likelihood

    def test_rows_do_not_share_their_draws(self, latent):
        """Two rows of the same posterior, observed in other variables."""
        network = build_network("HXY", {"X": "H", "Y": "H"}, dict.fromkeys("HXY", (0, 1)))
        parameters = np.array([0.4, 0.6] + [0.8, 0.2, 0.3, 0.7] * 2)
        codes = np.array([[-1, -1, 0], [-1, 0, -1]])
        one, other = (statistics(ProblemCase(network, parameters, codes[:n], np.ones(n)), 500) for n in (1, 2))
        assert not np.allclose(other.counts[:2], 2 * one.counts[:2], rtol=1e-6)

    def test_the_number_of_draws_can_be_set_for_one_call(self, case):
        engine = ApproxInferenceEStep(10)
        plan = engine.prepare(case.network, case.evidence)
        found, _ = engine.draw_statistics(plan, case.parameters, engine.start_chains(plan, 0), n_samples=300)
        np.testing.assert_array_equal(found.counts, statistics(case, 300).counts)

    def test_the_global_random_state_is_left_alone(self, case):
        """With the normal variate that numpy keeps for the next call."""
        np.random.seed(1)
        expected = np.random.standard_normal(3).tolist()
        np.random.seed(1)
        begun = [np.random.standard_normal()]
        one = statistics(case, 50)
        begun += np.random.standard_normal(2).tolist()
        assert begun == expected
        np.testing.assert_array_equal(statistics(case, 50).counts, one.counts)

    def test_the_global_random_state_is_left_alone_by_an_error(self, latent, monkeypatch):
        def fails(*arguments, **keywords):
            np.random.random(5)
            raise RuntimeError("in pgmpy")

        monkeypatch.setattr(BayesianModelSampling, "likelihood_weighted_sample", fails)
        np.random.seed(1)
        expected = np.random.random()
        np.random.seed(1)
        with pytest.raises(RuntimeError, match="in pgmpy"):
            statistics(latent, 50)
        assert np.random.random() == expected

    def test_threads_do_not_change_a_bit(self, case):
        expected = [statistics(case, 100, seed) for seed in range(4)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda seed: statistics(case, 100, seed), range(4)))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.counts, other.counts)
            assert one.log_likelihood == other.log_likelihood

    def test_pgmpy_does_not_log_of_rounding(self, caplog):
        """Floats seldom add up to one, and pgmpy says so of every column that it draws from."""
        network = build_network("AB", {"B": "A"}, dict.fromkeys("AB", range(7)))
        parameters = random_parameters(network, np.random.default_rng(0))
        inexact = ProblemCase(network, parameters, np.array([[-1, -1]]), np.ones(1))
        with caplog.at_level("WARNING", logger="pgmpy"):
            BayesianModelSampling(to_model(network, parameters, range(2))).forward_sample(50, show_progress=False)
            assert "don't exactly sum to 1" in caplog.text
            caplog.clear()
            statistics(inexact, 50)
        assert not caplog.records
        assert not logging.getLogger("pgmpy").filters


class TestErrors:
    @pytest.fixture
    def copies(self):
        """X copies H; Y copies X."""
        network = build_network("HXY", {"X": "H", "Y": "X"}, {"H": [0, 1], "X": ["a", "b"], "Y": ["c", "d"]})
        parameters = np.array([0.5, 0.5, 1, 0, 0, 1, 1, 0, 0, 1], dtype=float)
        return ProblemCase(network, parameters, np.array([[-1, 0, 0], [-1, 0, 0], [0, -1, 1]]), np.ones(3))

    def test_all_weights_zero(self, copies):
        with pytest.raises(DegenerateWeightsError) as caught:
            statistics(copies, 1200)
        assert str(caught.value) == (
            "row 2 (counting from 0), which observes H=0, Y='d': all 1,200 draws of what it misses have weight zero, "
            "and it may be impossible. Take more samples, ApproxInferenceEStep(n_samples=...), or another engine, "
            'e_step="auto" or e_step="exact".'
        )

    def test_some_weights_zero_are_no_error(self, copies):
        possible = copies._replace(codes=np.array([[-1, -1, 1]]), weight=np.ones(1))
        found = statistics(possible, 400)
        np.testing.assert_allclose(found.counts, [0, 1, 0, 0, 0, 1, 0, 0, 0, 1], atol=1e-12)
        assert abs(found.log_likelihood - np.log(0.5)) < 5 * found.noise.log_likelihood_error < 0.5

    def test_an_observed_contradiction_is_impossible_evidence(self, copies):
        """Even where a row that stands earlier in the table has weights of zero alone."""
        observed = copies._replace(codes=np.array([[0, -1, 1], [-1, 1, 0], [-1, 0, 0]]))
        with pytest.raises(ImpossibleEvidenceError, match=r"row 1 \(counting from 0\).*X='b', Y='c'"):
            statistics(observed, 50)

    def test_the_first_such_row_of_the_table_is_named(self, copies):
        """Not the first in the order of the codes, in which the evidence is kept."""
        later = copies._replace(codes=np.array([[0, 0, 0], [1, -1, 0], [0, -1, 1]]))
        with pytest.raises(DegenerateWeightsError, match=r"row 1 \(counting from 0\), which observes H=1, Y='c'"):
            statistics(later, 50)

    def test_few_effective_draws(self):
        """Each state of the cause makes what is seen ten times less probable than the one before."""
        network = build_network("HXYZ", {"X": "H", "Y": "X"}, {"H": range(200), "X": "ab", "Y": "cd", "Z": "ef"})
        seen = 0.5 * 10.0 ** -np.arange(200)
        table = np.column_stack([1 - seen, seen]).ravel()
        parameters = np.concatenate([np.full(200, 1 / 200), table, np.full(6, 0.5)])
        uneven = ProblemCase(network, parameters, np.array([[-1, 1, 0, 0]]), np.ones(1))
        message = (
            r"row 0 \(counting from 0\), which observes X='b': the weights of the 20 draws of what it misses are "
            r"degenerate: their effective sample size is 1\.\d\d, less than 2\. Take more samples"
        )
        with pytest.raises(DegenerateWeightsError, match=message):
            statistics(uneven, 20)
